//! Imports go one way: each part of the program may use only what stands in its line.

use std::fs;
use std::path::{Path, PathBuf};

/// A part, what of ours it may import, and what of others' it may not.
const RULES: [(&str, &[&str], &[&str]); 11] = [
    ("model", &["model"], &["tokio", "axum", "duckdb", "serde"]),
    ("engine", &["model", "engine"], &["tokio", "axum", "duckdb", "serde", "rand", "chrono"]),
    ("floorplan", &["model", "floorplan"], &["tokio", "axum", "duckdb"]),
    ("store", &["model", "store"], &["tokio", "axum"]),
    ("privacy", &["model", "privacy"], &["tokio", "axum", "duckdb"]),
    ("pipeline", &["model", "engine", "store", "pipeline", "privacy", "clock", "telemetry"], &["axum", "duckdb"]),
    ("rebuild", &["model", "engine", "store", "pipeline", "rebuild", "clock"], &["axum", "duckdb"]),
    // The vendor's signature is the receiver's to know.
    ("callbacks", &["model", "store", "pipeline", "receiver", "callbacks", "clock", "telemetry"], &["axum", "duckdb"]),
    ("postgres", &["store", "give_up", "postgres", "access", "tls"], &["axum", "duckdb"]),
    ("access", &["model", "store", "pipeline", "access", "clock", "problem"], &["duckdb"]),
    ("receiver", &["model", "pipeline", "receiver", "access", "clock", "telemetry", "problem"], &["duckdb"]),
];

/// What the query API may import; it asks the store and hands changes to the pipeline.
const API: (&str, &[&str], &[&str]) = (
    "api",
    &[
        "model",
        "store",
        "give_up",
        "pipeline",
        "privacy",
        "rebuild",
        "callbacks",
        "floorplan",
        "receiver",
        "clock",
        "telemetry",
        "problem",
        "config",
        "access",
        "api",
    ],
    &["duckdb"],
);

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The first word after each `crate::` of a text, and whether a foreign crate is named.
fn ours(text: &str) -> Vec<String> {
    let names = text.split("crate::").skip(1);
    names.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()).collect()
}

fn violations(part: &str, ours_allowed: &[&str], others_banned: &[&str]) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(part);
    let mut found = Vec::new();
    for path in files(&folder) {
        let text = fs::read_to_string(&path).unwrap();
        let code: String =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        for name in ours(&code) {
            if !ours_allowed.contains(&name.as_str()) {
                found.push(format!("{}: crate::{name}", path.display()));
            }
        }
        for name in others_banned {
            if code.contains(&format!("{name}::")) && !code.contains(&format!("_{name}::")) {
                found.push(format!("{}: {name}", path.display()));
            }
        }
    }
    found
}

#[test]
fn imports_go_one_way() {
    let mut found = Vec::new();
    for (part, ours_allowed, others_banned) in RULES.into_iter().chain([API]) {
        found.extend(violations(part, ours_allowed, others_banned));
    }
    assert!(found.is_empty(), "forbidden imports:\n{}", found.join("\n"));
}

#[test]
fn only_the_store_says_duckdb() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let elsewhere: Vec<PathBuf> = files(&src)
        .into_iter()
        .filter(|path| !path.starts_with(src.join("store")))
        .filter(|path| fs::read_to_string(path).unwrap().contains("duckdb::"))
        .collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}
