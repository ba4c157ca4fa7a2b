//! Files of every earlier schema, with data in them, become files of this version that answer the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use duckdb::Connection;
use footfall::check;
use footfall::clock::Clock;
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Method, StatusCode};
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

/// Levels from which on files have visits, alerts with callbacks, and tokens.
const VISITS: usize = 3;
const ALERTS: usize = 7;
const TOKENS: usize = 10;

/// What is asked of every file, each with the level from which on files have it.
async fn answers(app: &TestApp) -> Vec<(usize, Value)> {
    let mut answers = Vec::new();
    // What was not kept of areas in earlier versions, such as the units they were drawn in, may be missing.
    for area in app.get("/v1/areas").await["areas"].as_array().unwrap() {
        answers.push((1, json!([area["area_id"], area["name"], area["vertices_m"], area["valid_from"]])));
    }
    answers.push((2, app.get(&format!("/v1/clients/{ANN}/track?from=2026-07-01T07:00:00Z")).await["fixes"].clone()));
    answers.push((2, app.get("/v1/sources").await));
    // A rebuild numbers visits anew.
    let visits = app.get("/v1/visits?from=2026-07-01T07:00:00Z").await;
    let told =
        |visit: &Value| ["client_id", "area_id", "entered_at", "exited_at", "ended"].map(|key| visit[key].clone());
    let mut visits: Vec<Value> = visits["visits"].as_array().unwrap().iter().map(|visit| json!(told(visit))).collect();
    visits.sort_by_key(Value::to_string);
    answers.extend(visits.into_iter().map(|visit| (VISITS, visit)));
    // The site's clock has run on while the server was down.
    for area in app.get("/v1/occupancy").await["areas"].as_array().unwrap() {
        answers.push((VISITS, json!([area["area_id"], area["current"], area["by_kind"]])));
    }
    for path in ["/v1/alerts", "/v1/alert-rules", "/v1/callbacks", "/v1/callbacks/1/deliveries"] {
        // There is no such endpoint in earlier files.
        answers.push((ALERTS, app.call(Method::GET, path, None).await.1));
    }
    for token in app.get("/v1/tokens").await["tokens"].as_array().unwrap() {
        answers.push((TOKENS, json!([token["token_id"], token["name"], token["scopes"], token["created_at"]])));
    }
    answers
}

fn of_level(answers: &[(usize, Value)], level: usize) -> Vec<&Value> {
    answers.iter().filter(|(since, _)| *since <= level).map(|(_, answer)| answer).collect()
}

const ANN: &str = "00000000000a";

/// Made, with the status that says so.
async fn make_through(app: &TestApp, path: &str, body: Value) -> Value {
    let (status, made) = app.call(Method::POST, path, Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{path}: {made}");
    made
}

/// Opens a file. Endpoints are told of nothing, so that what they are to be told of stays.
async fn open(dir: TempDir, token: Option<&str>) -> TestApp {
    let mut config = config(dir.path());
    config.callbacks.deliver = false;
    let mut app = TestApp::open(dir, config, Clock::manual((START_S + 96) * 1000)).await;
    if let Some(token) = token {
        let bearer = format!("Bearer {token}").parse().unwrap();
        let headers = [(AUTHORIZATION, bearer)].into_iter().collect();
        app.client = Client::builder().default_headers(headers).build().unwrap();
    }
    app
}

async fn rebuild(app: &TestApp) {
    let (status, job) = app.call(Method::POST, "/v1/rebuilds", Some(json!({}))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    while app.get(&format!("/v1/rebuilds/{}", job["rebuild_id"])).await["state"] != "done" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A file of this version with all that there is, a token that opens it, and what it answers.
async fn current() -> (TempDir, String, Vec<(usize, Value)>) {
    let app = open(TempDir::new().unwrap(), None).await;
    app.clock.set(START_S * 1000);
    app.upload_map().await;
    make_through(&app, "/v1/callbacks", json!({"name": "desk", "url": "http://127.0.0.1:9/"})).await;
    let rule = json!({"name": "Anyone", "area_id": LOBBY, "condition": "above", "limit_clients": 0});
    make_through(&app, "/v1/alert-rules", rule).await;
    let walk = [(0.0, 2.0), (5.0, 2.0), (10.0, 15.0), (90.0, 15.0), (95.0, 2.0)];
    app.deliver(&delivery("location", walk.map(|(s, x)| fix(ANN, s, x, 5.0)).to_vec())).await;
    let enter =
        json!({"site_id": SITE, "rssizone_id": "r1", "mac": "00000000000b", "trigger": "enter", "timestamp": START_S});
    app.deliver(&delivery("rssizone", vec![enter])).await;
    app.deliver(&delivery("client-join", vec![json!({"site_id": SITE, "mac": "00000000000b", "timestamp": START_S})]))
        .await;
    let made = make_through(&app, "/v1/tokens", json!({"name": "t", "scopes": ["admin"]})).await;
    let token = made["token"].as_str().unwrap().to_owned();
    let dir = app.stop().await;
    let app = open(dir, Some(&token)).await;
    let expected = answers(&app).await;
    let count = |level: usize| of_level(&expected, level).len();
    assert_eq!((count(1), count(2)), (3, 5), "areas; positions and sources");
    assert_eq!(expected[3].1.as_array().unwrap().len(), 5, "positions");
    assert_eq!((count(VISITS), count(ALERTS), count(TOKENS)), (11, 15, 16), "{expected:#?}");
    assert_eq!(expected[11].1["alerts"].as_array().unwrap().len(), 2, "{:#}", expected[11].1);
    assert_eq!(expected[14].1["deliveries"].as_array().unwrap().len(), 3, "{:#}", expected[14].1);
    (app.stop().await, token, expected)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_earlier_schema_are_brought_up_with_their_data() {
    let (dir, token, expected) = current().await;
    let current = dir.path().join("footfall.duckdb");
    for level in 1..migrations().len() {
        let dir = TempDir::new().unwrap();
        make(&dir.path().join("footfall.duckdb"), level, &current);
        let app = open(dir, (level >= TOKENS).then_some(token.as_str())).await;
        if level >= TOKENS {
            let stranger = reqwest::get(format!("{}/v1/sites", app.base)).await.unwrap();
            assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED, "from level {level}");
        }
        let mut has = level;
        // Before the second there are no events. Of those a rebuild makes the visits that files have from the third on.
        if level < VISITS {
            if level == 2 {
                let found = answers(&app).await;
                assert_eq!(of_level(&found, 2), of_level(&expected, 2), "from level {level}, before the rebuild");
                has = VISITS;
            }
            rebuild(&app).await;
        }
        assert_eq!(of_level(&answers(&app).await, has), of_level(&expected, has), "from level {level}");
        // And it goes on.
        app.deliver(&delivery("location", vec![fix(ANN, 100.0, 15.0, 5.0)])).await;
        make_through(
            &app,
            "/v1/alert-rules",
            json!({"name": "Full", "area_id": LOBBY, "condition": "above", "limit_clients": 1}),
        )
        .await;
        let dir = app.stop().await;
        let code = check::run(&dir.path().join("footfall.duckdb")).unwrap();
        assert_eq!(format!("{code:?}"), format!("{:?}", std::process::ExitCode::SUCCESS), "from level {level}");
    }
}
