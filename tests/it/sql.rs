//! SQL over HTTP: what may be asked is answered, and nothing else.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::attempts::attempts;
use crate::harness::{LOBBY, MAP, TestApp, delivery, fix};

async fn ask(app: &TestApp, body: Value) -> (StatusCode, Value) {
    app.call(Method::POST, "/v1/sql", Some(body)).await
}

async fn rows(app: &TestApp, sql: &str) -> Value {
    let (status, answer) = ask(app, json!({"sql": sql})).await;
    assert_eq!(status, StatusCode::OK, "{sql}: {answer}");
    answer["rows"].clone()
}

/// Two clients in the lobby, and an endpoint with a secret.
async fn served() -> TestApp {
    let app = TestApp::start().await;
    app.upload_map().await;
    app.deliver(&delivery("location", vec![fix("00000000000a", 0.0, 5.0, 5.0), fix("00000000000b", 1.0, 5.0, 5.0)]))
        .await;
    let endpoint =
        json!({"name": "secretive", "url": "http://127.0.0.1:9/", "headers": {"Authorization": "Bearer hidden"}});
    assert_eq!(app.call(Method::POST, "/v1/callbacks", Some(endpoint)).await.0, StatusCode::CREATED);
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_in_every_form() {
    let app = served().await;
    let sql = "SELECT area_name, count(*) AS visits FROM visits WHERE entered_at >= $1::TIMESTAMPTZ AND kind = $2 GROUP BY ALL";
    let asked = json!({"sql": sql, "params": ["2026-07-01T08:00:00Z", "wifi"]});
    let (status, answer) = ask(&app, asked).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["rows"], json!([{"area_name": "Lobby", "visits": 2}]));
    assert_eq!(
        answer["columns"],
        json!([{"name": "area_name", "type": "text"}, {"name": "visits", "type": "integer"}])
    );
    assert_eq!(answer["is_truncated"], false);
    for (sql, expected) in [
        ("FROM range(3)", json!([{"range": 0}, {"range": 1}, {"range": 2}])),
        ("VALUES (1, 'a'), (NULL, 'b');", json!([{"col0": 1, "col1": "a"}, {"col0": null, "col1": "b"}])),
        (
            "SELECT 1.5 AS a, true AS b, DATE '2026-07-01' AS c -- a comment",
            json!([{"a": 1.5, "b": true, "c": "2026-07-01"}]),
        ),
        ("SELECT max(event_at) AS newest FROM positions", json!([{"newest": "2026-07-01T08:00:01Z"}])),
        ("WITH callbacks AS (SELECT 1 AS a) FROM callbacks", json!([{"a": 1}])),
        ("SELECT 1 AS a WHERE false", json!([])),
        (
            "SELECT (SELECT count(*) FROM visits v WHERE v.client_id = c.client_id) AS n FROM clients c ORDER BY ALL",
            json!([{"n": 1}, {"n": 1}]),
        ),
    ] {
        assert_eq!(rows(&app, sql).await, expected, "{sql}");
    }
    assert!(rows(&app, "DESCRIBE visits").await.to_string().contains("entered_at"));
    assert!(rows(&app, "SHOW TABLES").await.to_string().contains("positions"));
    assert!(rows(&app, "SUMMARIZE visits").await.to_string().contains("dwell_s"));
    let (_, cut) = ask(&app, json!({"sql": "FROM range(100)", "limit": 7})).await;
    assert_eq!((cut["rows"].as_array().unwrap().len(), &cut["is_truncated"]), (7, &json!(true)));
    for (form, begins) in [("csv", "\u{feff}range\n0\n1"), ("arrow", "\u{ff}"), ("parquet", "PAR1")] {
        let url = format!("{}/v1/sql?format={form}", app.base);
        let answer = app.client.post(url).json(&json!({"sql": "FROM range(2)"})).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["x-is-truncated"], "false");
        let bytes = answer.bytes().await.unwrap();
        assert!(bytes.starts_with(begins.as_bytes()) || form == "arrow" && bytes.starts_with(&[0xff; 4]), "{form}");
    }
    let schema = app.get("/v1/sql/schema").await;
    let visits = schema["views"].as_array().unwrap().iter().find(|view| view["name"] == "visits").unwrap();
    assert!(visits["comment"].as_str().unwrap().contains("Every visit"));
    let entered = visits["columns"].as_array().unwrap().iter().find(|column| column["name"] == "entered_at").unwrap();
    assert!(!entered["comment"].as_str().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_reading_what_is_open_is_done() {
    let app = served().await;
    let before = rows(&app, "SELECT count(*) AS n FROM positions").await;
    let file = app.dir.path().join("footfall.duckdb");
    let (outside, file) = (app.dir.path().join("out.csv"), file.display().to_string());
    std::fs::write(&outside, "a\n1\n").unwrap();
    let outside = outside.display().to_string();
    let attempts = attempts(&outside, &file);
    assert!(attempts.len() >= 40);
    for attempt in &attempts {
        let (status, answer) = ask(&app, json!({"sql": attempt})).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{attempt}: {answer}");
        let told = answer["detail"].as_str().unwrap();
        assert!(!told.is_empty() && !told.contains("whsec") && !told.contains("hidden"), "{attempt}: {told}");
    }
    assert_eq!(rows(&app, "SELECT count(*) AS n FROM positions").await, before);
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "a\n1\n");
    app.deliver(&delivery("location", vec![fix("00000000000c", 2.0, 5.0, 5.0)])).await;
    assert_eq!(rows(&app, "SELECT count(*) AS n FROM positions").await, json!([{"n": 3}]), "it goes on as before");
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_are_given_up_and_ingest_goes_on() {
    let app = served().await;
    for bomb in [
        "SELECT count(*) FROM range(100000000) a, range(100000000) b",
        "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x) SELECT count(*) FROM x",
        "SELECT sum(a.range * b.range % 7) FROM range(10000000) a, range(10000000) b",
        "SELECT DISTINCT a.range * 1000000000 + b.range FROM range(1000000) a, range(1000000) b ORDER BY 1 DESC",
    ] {
        let asking = ask(&app, json!({"sql": bomb, "timeout_s": 0.5}));
        let since = footfall::clock::stopwatch();
        let (status, answer) = tokio::time::timeout(Duration::from_secs(20), asking).await.unwrap();
        assert_eq!(status, StatusCode::GATEWAY_TIMEOUT, "{bomb}: {answer}");
        assert!(since.elapsed() < Duration::from_secs(10), "{bomb}: {:?}", since.elapsed());
    }
    // A large answer is refused before it fills the memory.
    let (status, answer) =
        ask(&app, json!({"sql": "SELECT repeat('x', 10000) AS x FROM range(100000)", "limit": 100_000})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("larger than"), "{answer}");
    // However early the time is over.
    for timeout_s in [0.001, 0.0015, 0.002, 0.003, 0.005] {
        let (status, answer) =
            ask(&app, json!({"sql": "SELECT count(*) FROM positions", "timeout_s": timeout_s})).await;
        assert!(matches!(status, StatusCode::OK | StatusCode::GATEWAY_TIMEOUT), "{status} {answer}");
    }
    let deep = format!("SELECT {}1{}", "abs(".repeat(3000), ")".repeat(3000));
    assert_eq!(ask(&app, json!({"sql": deep})).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    // A reader that goes away gives its question up: otherwise four of these would hold all the turns.
    for _ in 0..8 {
        let body = json!({"sql": "SELECT count(*) FROM range(100000000) a, range(100000000) b", "timeout_s": 60});
        let asking = app.client.post(format!("{}/v1/sql", app.base)).json(&body).timeout(Duration::from_millis(200));
        assert!(asking.send().await.is_err());
    }
    let since = footfall::clock::stopwatch();
    assert_eq!(rows(&app, "SELECT 1 AS a").await, json!([{"a": 1}]));
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    app.deliver(&delivery("location", vec![fix("00000000000c", 2.0, 5.0, 5.0)])).await;
    assert_eq!(app.get(&format!("/v1/occupancy?area={LOBBY}")).await["areas"][0]["current"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_wrong_is_told_so() {
    let app = served().await;
    for (body, told) in [
        (json!({"sql": "SELECT 1", "limit": 0}), "limit"),
        (json!({"sql": "SELECT 1", "limit": 1_000_000}), "limit"),
        (json!({"sql": "SELECT 1", "timeout_s": 0}), "timeout_s"),
        (json!({"sql": "SELECT 1", "timeout_s": 3600}), "timeout_s"),
        (json!({"sql": "SELECT ?", "params": [[1]]}), "params"),
        (json!({"sql": "SELECT '\u{0}'"}), "NUL"),
        (json!({"sql": 1}), "string"),
        (json!({"query": "SELECT 1"}), "query"),
    ] {
        let (status, answer) = ask(&app, body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(told), "{body}: {answer}");
    }
    for (sql, params, told) in [
        ("SELECT ?", json!([]), "1 parameters, and 0"),
        ("SELECT nothing FROM visits", json!([]), "nothing"),
        ("SELECT * FROM nowhere", json!([]), "nowhere"),
        ("SELECT ?::INTEGER", json!(["x"]), "x"),
    ] {
        let (status, answer) = ask(&app, json!({"sql": sql, "params": params})).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{sql}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(told), "{sql}: {answer}");
    }
    assert_eq!(app.get(&format!("/v1/maps/{MAP}")).await["map_id"], MAP);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_file_is_sent_while_it_is_made() {
    const ROWS: i64 = 3_000_000;
    let app = served().await;
    let file = async |form: &str, sql: &str, timeout_s: f64| {
        let asked = json!({"sql": sql, "limit": ROWS, "timeout_s": timeout_s});
        app.client.post(format!("{}/v1/sql?format={form}", app.base)).json(&asked).send().await.unwrap()
    };
    let answer = file("csv", &format!("FROM range({})", ROWS + 1), 60.0).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.headers().get("x-is-truncated").is_none(), "it is not known yet");
    assert!(answer.headers().get("content-length").is_none());
    let text = answer.text().await.unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("\u{feff}range"));
    let mut next = 0;
    for line in lines {
        assert_eq!(line.parse(), Ok(next));
        next += 1;
    }
    assert_eq!(next, ROWS);
    let found = file("parquet", &format!("SELECT range AS n, hash(range) AS h FROM range({ROWS})"), 60.0).await;
    let found = found.bytes().await.unwrap();
    assert!(found.len() > 4 << 20);
    let path = app.dir.path().join("answer.parquet");
    std::fs::write(&path, &found).unwrap();
    let asked = format!("SELECT count(*), sum(n), bool_and(hash(n) = h) FROM '{}'", path.display());
    assert_eq!(
        crate::harness::ask(&app.dir.path().join("other.duckdb"), &asked),
        [format!("{ROWS} {} true", ROWS * (ROWS - 1) / 2)]
    );
    // What fails when much is sent cannot be taken for an answer that is whole.
    let failing = format!(
        "SELECT CASE WHEN range = {ROWS} - 1 THEN error('broken') ELSE range::VARCHAR END AS n FROM range({ROWS})"
    );
    let answer = file("csv", &failing, 60.0).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.text().await.is_err());
    // When little is sent, it has its status.
    let answer =
        file("csv", "SELECT CASE WHEN range = 900 THEN error('broken') ELSE '' END AS n FROM range(1000)", 60.0).await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let answer = file("csv", "SELECT count(*) FROM range(100000000) a, range(100000000) b", 0.3).await;
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_holds_no_turn() {
    let app = served().await;
    let begun = async |timeout_s: f64| {
        let asked = json!({"sql": "SELECT range, repeat('x', 100) AS x FROM range(5000000)", "limit": 5_000_000, "timeout_s": timeout_s});
        app.client.post(format!("{}/v1/sql?format=arrow", app.base)).json(&asked).send().await.unwrap()
    };
    // More than there are turns: each goes away before its file has ended.
    for _ in 0..8 {
        let mut answer = begun(60.0).await;
        assert!(answer.chunk().await.unwrap().is_some());
    }
    // Those that stay, and read nothing, are late one day.
    let mut waiting = Vec::new();
    for _ in 0..4 {
        waiting.push(begun(2.0).await);
    }
    let answer = tokio::time::timeout(Duration::from_secs(10), rows(&app, "SELECT 1 AS a")).await;
    assert_eq!(answer.expect("a turn is free"), json!([{"a": 1}]));
    for answer in waiting {
        assert!(answer.bytes().await.is_err(), "it was too late to read on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_does_not_wait_for_long_questions() {
    let app = served().await;
    let asking: Vec<_> = ["json", "csv"]
        .map(|form| {
            let bomb = "SELECT count(*) FROM range(100000000) a, range(100000000) b";
            let request = app.client.post(format!("{}/v1/sql?format={form}", app.base));
            tokio::spawn(request.json(&json!({"sql": bomb, "timeout_s": 60})).send())
        })
        .into();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let since = footfall::clock::stopwatch();
    app.stop().await;
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    for asked in asking {
        assert_eq!(asked.await.unwrap().unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
