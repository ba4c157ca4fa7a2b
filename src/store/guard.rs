//! What may be asked: exactly one SELECT, of the views people are given, and of functions that reach nothing outside.
//!
//! DuckDB's own parser says what a text is; the tree that it gives is walked here.

use duckdb::Connection;

use super::sql::{Open, SqlError};
use super::{bounds, patterns};

/// Table functions that reach nothing outside of the question, or only tell of the schema.
const TABLE_FUNCTIONS: [&str; 11] = [
    "range",
    "generate_series",
    "unnest",
    "repeat",
    "repeat_row",
    "json_each",
    "json_tree",
    "duckdb_columns",
    "duckdb_tables",
    "duckdb_views",
    "duckdb_types",
];

/// Functions that run text as SQL, or tell of the machine.
const BANNED_FUNCTIONS: [&str; 6] = ["query", "query_table", "getenv", "current_setting", "getvariable", "write_log"];

/// Built-in views that tell of the machine.
const BANNED_TABLES: [&str; 5] =
    ["duckdb_databases", "duckdb_logs", "duckdb_secrets", "duckdb_settings", "pragma_database_list"];

/// What may stand after FROM.
const TABLE_REFERENCES: [&str; 8] =
    ["EMPTY", "BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "PIVOT", "SHOW_REF"];

/// A statement that may be asked.
pub(super) struct Checked {
    /// Whether it has patterns that are not known to be plain.
    pub has_open_patterns: bool,
}

/// Whether the text is one statement that may be asked.
pub(super) fn check(conn: &Connection, open: Open, inner: &str, whole: &str) -> Result<Checked, SqlError> {
    let mut has_open_patterns = false;
    let refuse = |why: String| Err(SqlError::Refused(why));
    // First the text as it was given: what is wrong there is told in its own terms.
    for sql in [inner, whole] {
        let json: String = conn.query_row("SELECT json_serialize_sql(?::VARCHAR)", [sql], |row| row.get(0))?;
        let Ok(parsed) = serde_json::from_str::<serde_json::Value>(&json) else {
            return refuse("the statement is nested too deep".into());
        };
        if parsed["error"] == true {
            let message = parsed["error_message"].as_str().unwrap_or("it cannot be read");
            let is_other = parsed["error_type"] == "not implemented";
            let only = "only statements that read may be asked: SELECT, FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW TABLES";
            return refuse(if is_other { only.into() } else { message.to_owned() });
        }
        match parsed["statements"].as_array().map_or(0, Vec::len) {
            0 => return refuse("there is no statement".into()),
            1 => check_node(&parsed["statements"], open)?,
            _ => return refuse("give one statement at a time".into()),
        }
        has_open_patterns |= patterns::are_open(&parsed["statements"]);
    }
    Ok(Checked { has_open_patterns })
}

fn check_node(node: &serde_json::Value, open: Open) -> Result<(), SqlError> {
    use serde_json::Value;
    match node {
        Value::Array(nodes) => nodes.iter().try_for_each(|node| check_node(node, open)),
        Value::Object(members) => {
            check_object(members, open)?;
            members.iter().try_for_each(|(name, member)| {
                let is_reference =
                    name == "from_table" || matches!(name.as_str(), "left" | "right") && member.get("class").is_none();
                let kind = member.get("type").and_then(Value::as_str);
                let is_node = kind.is_none_or(|kind| kind.ends_with("_NODE"));
                if is_reference && !is_node && !kind.is_some_and(|kind| TABLE_REFERENCES.contains(&kind)) {
                    return Err(SqlError::Refused(format!("{} may not be asked from", kind.unwrap_or("this"))));
                }
                check_node(member, open)
            })
        }
        _ => Ok(()),
    }
}

fn check_object(object: &serde_json::Map<String, serde_json::Value>, open: Open) -> Result<(), SqlError> {
    let text = |name: &str| object.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_lowercase();
    let refuse = |why: String| Err(SqlError::Refused(why));
    let kind = text("type");
    match kind.as_str() {
        "base_table" => {
            let (catalog, schema, table) = (text("catalog_name"), text("schema_name"), text("table_name"));
            let is_open = open == Open::Catalogue || matches!(schema.as_str(), "" | "main" | "information_schema");
            if !catalog.is_empty() || !is_open || BANNED_TABLES.contains(&table.as_str()) {
                let name = if schema.is_empty() { table } else { format!("{schema}.{table}") };
                return refuse(format!("{name} may not be asked from: the views of /v1/sql/schema may"));
            }
        }
        "show_ref" => {
            let shown = text("table_name");
            if !matches!(shown.as_str(), "" | "\"tables\"" | "__show_tables_expanded") {
                return refuse(format!("SHOW {shown} may not be asked: SHOW TABLES may, and DESCRIBE a view"));
            }
        }
        "table_function" => {
            let function = &object["function"];
            let name = function["function_name"].as_str().unwrap_or_default().to_lowercase();
            let is_described = open == Open::Catalogue && name.starts_with("pg_");
            if !TABLE_FUNCTIONS.contains(&name.as_str()) && !is_described {
                return refuse(format!("{name}() may not be asked from"));
            }
        }
        _ => {}
    }
    let function = text("function_name");
    let is_harmless = open == Open::Catalogue && function == "current_setting";
    if BANNED_FUNCTIONS.contains(&function.as_str()) && !is_harmless {
        return refuse(format!("{function}() may not be used"));
    }
    let is_qualified = !text("schema").is_empty();
    // As the parser itself names LIKE with ESCAPE; it is looked for as a short name is.
    let is_escape = function.ends_with("_escape") && text("schema") == "main" && text("catalog").is_empty();
    if is_qualified
        && (bounds::FUNCTIONS.contains(&function.as_str()) || patterns::FUNCTIONS.contains(&function.as_str()))
        && !is_escape
        && names_built_in(&text("schema"), &text("catalog"))
    {
        return refuse(format!("{function}() may not be used by a longer name"));
    }
    if matches!(function.as_str(), "format" | "printf") {
        let pattern = &object["children"][0]["value"]["value"];
        if is_qualified || !pattern.as_str().is_some_and(has_narrow_fields) {
            return refuse(format!("{function}() takes a text in quotes with widths below 10000 first, here"));
        }
    }
    Ok(())
}

/// Whether a name may be that of a built-in function: else it is a column's, of which the function is asked.
fn names_built_in(schema: &str, catalog: &str) -> bool {
    !catalog.is_empty() || matches!(schema, "main" | "system" | "pg_catalog")
}

/// Whether no field of a pattern for format or printf can be made wide: by its number, or by a value that tells it.
fn has_narrow_fields(pattern: &str) -> bool {
    let is_wide = pattern.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() >= 5);
    let plain = pattern.replace("{{", "").replace("}}", "");
    let is_nested = plain.split('}').any(|part| part.matches('{').count() > 1);
    let is_told = pattern
        .split('%')
        .skip(1)
        .any(|field| field.trim_start_matches(|c: char| "-+ #.$".contains(c) || c.is_ascii_digit()).starts_with('*'));
    !is_wide && !is_nested && !is_told
}

#[cfg(test)]
mod tests {
    use super::has_narrow_fields;

    #[test]
    fn widths_are_small_and_written_out() {
        for pattern in ["{}", "{:>20} {:.2f}", "{{{}}}", "%5.2f%%", "100 * %d", "{{ {0} }}", "%1$s", ""] {
            assert!(has_narrow_fields(pattern), "{pattern}");
        }
        for pattern in ["{:1000000000}", "{:{}}", "{:.{}f}", "{{{:{}}}}", "%1000000000d", "%*d", "%-.*f", "%1$*d"] {
            assert!(!has_narrow_fields(pattern), "{pattern}");
        }
    }
}
