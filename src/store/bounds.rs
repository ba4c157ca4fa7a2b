//! Bounds of single functions: what makes much of little is stood in for by macros that refuse to make too much.
//!
//! The macros lie in a database in memory beside the file. Connections of people search it before the built-in functions,
//! those of the program do not.

use duckdb::Connection;

use super::{CATALOG, patterns};

const MACROS: &str = include_str!("sql/bounds.sql");

/// Functions that are stood in for. Called by their whole name they would be the built-in ones.
pub(super) const FUNCTIONS: [&str; 12] = [
    "repeat",
    "lpad",
    "rpad",
    "bitstring",
    "range",
    "generate_series",
    "list_resize",
    "array_resize",
    "equi_width_bins",
    "levenshtein",
    "editdist3",
    "damerau_levenshtein",
];

/// What a connection executes so that functions have bounds on it.
pub(super) struct Bounds {
    pub with_functions: String,
    /// Patterns, too, which costs more than those that are known to be plain are worth.
    pub with_patterns: String,
}

/// Makes them beside the database that `conn` is of.
pub(super) fn attach(conn: &Connection) -> duckdb::Result<Bounds> {
    let mut path = format!("{CATALOG}.main");
    Ok(Bounds {
        with_functions: beside(conn, &mut path, "footfall_bounds", MACROS)?,
        with_patterns: beside(conn, &mut path, "footfall_patterns", patterns::MACROS)?,
    })
}

/// Makes them in a database in memory, that of functions in itself. Gives what is executed for those of patterns.
pub(super) fn create_in_memory(conn: &Connection) -> duckdb::Result<String> {
    conn.execute_batch(MACROS)?;
    beside(conn, &mut "memory.main".to_owned(), "footfall_patterns", patterns::MACROS)
}

fn beside(conn: &Connection, path: &mut String, name: &str, macros: &str) -> duckdb::Result<String> {
    conn.execute_batch(&format!("ATTACH ':memory:' AS {name}"))?;
    let other = conn.try_clone()?;
    other.execute_batch(&format!("USE {name}"))?;
    other.execute_batch(macros)?;
    path.push_str(&format!(",{name}.main"));
    Ok(format!("SET search_path = '{path}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_macro_is_named() {
        for name in FUNCTIONS {
            assert!(MACROS.contains(&format!("CREATE MACRO {name}(")), "{name}");
        }
        // The two others are helpers.
        assert_eq!(MACROS.matches("CREATE MACRO ").count(), FUNCTIONS.len() + 2);
    }
}
