//! Bounds of single functions: what makes much of little is stood in for by macros that refuse to make too much.
//!
//! The macros lie in a database in memory beside the file. Connections of people search it before the built-in functions,
//! those of the program do not.

use duckdb::Connection;

use super::CATALOG;

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

/// Makes them in the database that `conn` uses.
pub(super) fn create(conn: &Connection) -> duckdb::Result<()> {
    conn.execute_batch(MACROS)
}

/// Makes them beside the file that `conn` is of; gives what a connection has to execute so that it finds them.
pub(super) fn attach(conn: &Connection) -> duckdb::Result<String> {
    conn.execute_batch("ATTACH ':memory:' AS footfall_bounds")?;
    let other = conn.try_clone()?;
    other.execute_batch("USE footfall_bounds")?;
    create(&other)?;
    Ok(format!("SET search_path = '{CATALOG}.main,footfall_bounds.main'"))
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
