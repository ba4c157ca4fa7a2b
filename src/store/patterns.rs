//! Patterns of LIKE and its kin: those that may take for ever are stood in for, as functions are in `bounds`.

use serde_json::Value;

pub(super) const MACROS: &str = include_str!("sql/patterns.sql");

/// What is stood in for.
pub(super) const FUNCTIONS: [&str; 9] =
    ["~~", "!~~", "~~*", "!~~*", "~~~", "like_escape", "not_like_escape", "ilike_escape", "not_ilike_escape"];

/// Longest pattern that is tried at each place of a text.
const PLAIN_BYTES_MAX: usize = 100;

/// Whether a statement, as DuckDB's parser gives it, has patterns that are not known to be plain.
pub(super) fn are_open(node: &Value) -> bool {
    match node {
        Value::Array(nodes) => nodes.iter().any(are_open),
        Value::Object(members) => {
            let function = node["function_name"].as_str().unwrap_or_default().to_lowercase();
            let is_open = FUNCTIONS.contains(&function.as_str()) && {
                let pattern = &node["children"][1];
                let is_literal = pattern["class"] == "CONSTANT";
                !is_literal || pattern["value"]["value"].as_str().is_none_or(|pattern| !is_plain(&function, pattern))
            };
            is_open || members.values().any(are_open)
        }
        _ => false,
    }
}

/// Whether it is looked for in a time that grows with the text's length only.
fn is_plain(function: &str, pattern: &str) -> bool {
    let wild = if function == "~~~" { '*' } else { '%' };
    // A LIKE of literal parts is looked for part by part; all else is tried in all ways, which are many from two wildcards on.
    let has_only_parts = matches!(function, "~~" | "!~~") && !pattern.contains('_');
    let tried = pattern.trim_end_matches(wild).split(wild).skip(1).filter(|part| !part.is_empty()).count();
    has_only_parts || tried <= 1 && pattern.len() <= PLAIN_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wildcard_before_the_end_is_plain() {
        for (function, pattern) in [
            ("~~", "Lobby%"),
            ("~~", "%a%b%c%"),
            ("~~", "%b_d 1%"),
            ("~~*", "%lobby%"),
            ("~~~", "*.duck[a-z]*"),
            ("like_escape", "%100\\%"),
            ("!~~", ""),
        ] {
            assert!(is_plain(function, pattern), "{function} {pattern}");
        }
        let long = "_".repeat(101);
        for (function, pattern) in [
            ("~~", "%a_%b"),
            ("~~", "a%b%_"),
            ("~~*", "%a%b"),
            ("~~~", "*a*b"),
            ("not_like_escape", "%a%b"),
            ("~~", long.as_str()),
        ] {
            assert!(!is_plain(function, pattern), "{function} {pattern}");
        }
    }

    #[test]
    fn each_is_stood_in_for() {
        for name in FUNCTIONS {
            let is_there = [format!("CREATE MACRO {name}("), format!("CREATE MACRO \"{name}\"(")];
            assert!(is_there.iter().any(|text| MACROS.contains(text)), "{name}");
        }
    }
}
