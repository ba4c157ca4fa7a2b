//! Files of every earlier schema, with data in them, become files of this version that answer the same.

use std::fs;
use std::path::{Path, PathBuf};

use duckdb::Connection;
use footfall::check;
use footfall::clock::Clock;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{LOBBY, SITE, START_S, TestApp, config, delivery, fix};

fn migrations() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// A file of the first `level` migrations, with what `current` has of its tables and columns.
fn make(path: &Path, level: usize, current: &Path) {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(
        "SET TimeZone = 'UTC';
         CREATE TABLE main.schema_migrations (name VARCHAR NOT NULL, applied_at TIMESTAMPTZ NOT NULL);",
    )
    .unwrap();
    for (name, sql) in &migrations()[..level] {
        conn.execute_batch(sql).unwrap();
        conn.execute("INSERT INTO main.schema_migrations VALUES (?, now())", [name]).unwrap();
    }
    conn.execute_batch(&format!("ATTACH '{}' AS current (READ_ONLY)", current.display())).unwrap();
    let shared = "SELECT o.table_name, string_agg('\"' || o.column_name || '\"', ', ' ORDER BY o.column_index)
        FROM duckdb_columns() o
        JOIN duckdb_columns() n ON n.database_name = 'current' AND n.schema_name = 'store'
            AND n.table_name = o.table_name AND n.column_name = o.column_name
        JOIN duckdb_tables() t ON t.database_name = o.database_name AND t.schema_name = 'store' AND t.table_name = o.table_name
        WHERE o.database_name = current_database() AND o.schema_name = 'store' GROUP BY ALL";
    let mut statement = conn.prepare(shared).unwrap();
    let tables: Vec<(String, String)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    assert!(!tables.is_empty());
    for (table, columns) in tables {
        conn.execute_batch(&format!(
            "INSERT INTO store.{table} ({columns}) SELECT {columns} FROM current.store.{table}"
        ))
        .unwrap();
    }
}

async fn answers(app: &TestApp) -> Vec<Value> {
    let mut answers = Vec::new();
    answers.push(app.get("/v1/visits?from=2026-07-01T07:00:00Z").await);
    // The site's clock has run on while the server was down.
    for area in app.get("/v1/occupancy").await["areas"].as_array().unwrap() {
        answers.push(json!([area["area_id"], area["current"], area["by_kind"]]));
    }
    // What was not kept of areas in earlier versions, such as the units they were drawn in, may be missing.
    for area in app.get("/v1/areas").await["areas"].as_array().unwrap() {
        answers.push(json!([area["area_id"], area["name"], area["vertices_m"], area["valid_from"]]));
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_earlier_schema_are_brought_up_with_their_data() {
    let app = TestApp::start().await;
    app.upload_map().await;
    let walk = [(0.0, 2.0), (5.0, 2.0), (10.0, 15.0), (90.0, 15.0), (95.0, 2.0)];
    app.deliver(&delivery("location", walk.map(|(s, x)| fix("00000000000a", s, x, 5.0)).to_vec())).await;
    let enter =
        json!({"site_id": SITE, "rssizone_id": "r1", "mac": "00000000000b", "trigger": "enter", "timestamp": START_S});
    app.deliver(&delivery("rssizone", vec![enter])).await;
    app.deliver(&delivery("client-join", vec![json!({"site_id": SITE, "mac": "00000000000b", "timestamp": START_S})]))
        .await;
    app.clock.set((START_S + 96) * 1000);
    let expected = answers(&app).await;
    assert_eq!(expected[0]["visits"].as_array().unwrap().len(), 3);
    let dir = app.stop().await;
    let current = dir.path().join("footfall.duckdb");
    // Before the third there are no visits, and before the second no events.
    for level in 3..migrations().len() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("footfall.duckdb");
        make(&path, level, &current);
        let config = config(dir.path());
        let app = TestApp::open(dir, config, Clock::manual((START_S + 96) * 1000)).await;
        assert_eq!(answers(&app).await, expected, "from level {level}");
        // And it goes on.
        app.deliver(&delivery("location", vec![fix("00000000000a", 100.0, 15.0, 5.0)])).await;
        let rule = json!({"name": "Full", "area_id": LOBBY, "condition": "above", "limit_clients": 1});
        assert!(app.call(Method::POST, "/v1/alert-rules", Some(rule)).await.0.is_success(), "from level {level}");
        let dir = app.stop().await;
        let code = check::run(&dir.path().join("footfall.duckdb")).unwrap();
        assert_eq!(format!("{code:?}"), format!("{:?}", std::process::ExitCode::SUCCESS), "from level {level}");
    }
}
