//! Statements that would make much of little in one call: each is answered soon, and the server's memory stays within bounds.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use footfall::clock::stopwatch;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_postgres::NoTls;

use crate::harness::process::Server;
use crate::harness::{TestApp, delivery, fix};

/// What the server may take at its most, of which 300 MB are DuckDB's.
const PEAK_MIB: u64 = 1024;

/// From asking to the answer, of a second that a statement may take: it may hear that late, on a busy machine.
const ANSWER: Duration = Duration::from_secs(15);

const BOMBS: [&str; 15] = [
    "SELECT len(range(10000000))",
    "SELECT length(repeat('x',1000000000))",
    "SELECT length(repeat(repeat('x',100000000),20))",
    "SELECT count(*) FROM (SELECT repeat('x',50000000+range) s FROM range(20)) WHERE s LIKE '%y%'",
    "SELECT range(300000000)",
    "SELECT lpad('x',2000000000,'y')",
    "SELECT rpad('x',2000000000,'y')",
    "SELECT generate_series(TIMESTAMP '1900-01-01', TIMESTAMP '2026-01-01', INTERVAL 1 SECOND)",
    "FROM unnest(range(3000000000))",
    "SELECT format('{:>2000000000}', 1)",
    "SELECT printf('%2000000000d', 1)",
    "SELECT list_resize([1], 2000000000)",
    "SELECT bitstring('1', 2000000000)",
    "SELECT damerau_levenshtein(repeat('x',200000), repeat('y',200000))",
    "SELECT len(list(range)) FROM range(10000000000)",
];

/// A server with little memory, and where its PostgreSQL clients connect.
fn served(dir: &TempDir) -> (Server, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Server::start_with(
        dir.path(),
        &[
            ("FOOTFALL_STORE__MEMORY_LIMIT", "300MB"),
            ("FOOTFALL_POSTGRES__LISTEN", &format!("127.0.0.1:{port}")),
            ("FOOTFALL_POSTGRES__STATEMENT_TIMEOUT_S", "1"),
        ],
    );
    (server, port)
}

/// The most MiB that a process has had in memory, as the system tells.
fn peak_mib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}

async fn connect(port: u16) -> tokio_postgres::Client {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).user("ann").dbname("footfall");
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn ask(client: &reqwest::Client, server: &Server, query: &str, sql: &str, timeout_s: f64) -> (StatusCode, Value) {
    let asked = json!({"sql": sql, "timeout_s": timeout_s});
    let answer = client.post(format!("{}/v1/sql{query}", server.base)).json(&asked).send().await.unwrap();
    let status = answer.status();
    (status, answer.json().await.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn they_leave_memory_and_time_to_others_over_http() {
    let dir = TempDir::new().unwrap();
    let (mut server, _) = served(&dir);
    let client = reqwest::Client::new();
    for (place, bomb) in BOMBS.iter().enumerate() {
        let since = stopwatch();
        let query = if place % 2 == 0 { "" } else { "?format=csv" };
        let (status, answer) = ask(&client, &server, query, bomb, 1.0).await;
        let (took, peak_mib) = (since.elapsed(), peak_mib(server.id()));
        assert!(matches!(status.as_u16(), 422 | 504), "{bomb:.100}: {status} {answer}");
        assert!(took < ANSWER, "{bomb:.100}: {took:?}");
        assert!(peak_mib < PEAK_MIB, "{bomb:.100}: {peak_mib} MiB");
    }
    assert_eq!(server.ended(), None);
    let (status, answer) = ask(&client, &server, "", "SELECT repeat('x', 3) AS x", 10.0).await;
    assert_eq!((status, &answer["rows"]), (StatusCode::OK, &json!([{"x": "xxx"}])), "{answer}");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn they_leave_memory_and_time_to_others_over_the_wire() {
    let dir = TempDir::new().unwrap();
    let (mut server, port) = served(&dir);
    for (place, bomb) in BOMBS.iter().enumerate() {
        let client = connect(port).await;
        let since = stopwatch();
        let answer = match place % 2 {
            0 => client.simple_query(bomb).await.map(drop),
            _ => client.query(*bomb, &[]).await.map(drop),
        };
        let (took, peak_mib) = (since.elapsed(), peak_mib(server.id()));
        assert!(answer.unwrap_err().as_db_error().is_some(), "{bomb:.100}");
        assert!(took < 2 * ANSWER, "{bomb:.100}: {took:?}");
        assert!(peak_mib < PEAK_MIB, "{bomb:.100}: {peak_mib} MiB");
    }
    assert_eq!(server.ended(), None);
    let client = connect(port).await;
    assert_eq!(client.query("SELECT repeat('x', 3)", &[]).await.unwrap()[0].get::<_, String>(0), "xxx");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn ordinary_statements_are_answered_as_ever() {
    let app = TestApp::start().await;
    app.upload_map().await;
    app.deliver(&delivery("location", vec![fix("00000000000a", 0.0, 5.0, 5.0), fix("00000000000a", 90.0, 5.0, 5.0)]))
        .await;
    for (sql, expected) in [
        ("SELECT repeat('x', 10)", "xxxxxxxxxx"),
        (
            "SELECT area_name || repeat('*', count(*)::INT) FROM visits WHERE area_name = 'Lobby' GROUP BY area_name",
            "Lobby*",
        ),
        ("SELECT repeat([1, 2], 2)::VARCHAR", "[1, 2, 1, 2]"),
        ("SELECT repeat(NULL, 2)", "null"),
        ("SELECT lpad('7', 3, '0') || rpad('x', 2, '-') || ('y').lpad(2, ' ')", "007x- y"),
        ("SELECT len(range(1000))", "1000"),
        ("SELECT range(3, 9, 2)::VARCHAR || range(9, 3, -2)::VARCHAR || range(-1)::VARCHAR", "[3, 5, 7][9, 7, 5][]"),
        ("SELECT len(generate_series(TIMESTAMP '2026-01-01', TIMESTAMP '2026-12-31', INTERVAL 1 MINUTE))", "524161"),
        (
            "SELECT count(*) FROM generate_series(TIMESTAMPTZ '2026-01-01', TIMESTAMPTZ '2026-03-01', INTERVAL 1 SECOND)",
            "5097601",
        ),
        ("SELECT count(*) FROM range(20000000)", "20000000"),
        ("SELECT sum(i) FROM range(3) t(n), unnest(generate_series(0, n)) u(i)", "4"),
        (
            "SELECT count(*) FROM (SELECT unnest(generate_series(date_trunc('minute', entered_at), coalesce(exited_at, entered_at + INTERVAL 1 MINUTE), INTERVAL 1 MINUTE)) FROM visits WHERE area_name = 'Lobby')",
            "2",
        ),
        ("SELECT [x * 2 FOR x IN range(4) IF x > 1]::VARCHAR", "[4, 6]"),
        ("SELECT list_transform(range(3), lambda x: repeat('a', x::INT))::VARCHAR", "['', a, aa]"),
        ("SELECT list_resize([1], 3, 7)::VARCHAR", "[1, 7, 7]"),
        ("SELECT levenshtein('lobby', 'hobby') || editdist3('a', 'b') || damerau_levenshtein('ab', 'ba')", "111"),
        ("SELECT format('{:>6.2f} {}', 1.5, 'm') || printf('%5d%%', 7)", "  1.50 m    7%"),
        ("SELECT s.repeat(2) FROM (SELECT 'ab' AS s)", "abab"),
        ("SELECT max(n) FROM (SELECT repeat('x', (random() * 0)::INT) AS n FROM range(3))", ""),
        ("SELECT bitstring('0101', 8)::VARCHAR", "00000101"),
    ] {
        let (status, answer) = app.call(reqwest::Method::POST, "/v1/sql", Some(json!({"sql": sql}))).await;
        assert_eq!(status, StatusCode::OK, "{sql}: {answer}");
        let cell = answer["rows"][0].as_object().unwrap().values().next().unwrap();
        let told = cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
        assert_eq!(told, expected, "{sql}");
    }
    let given =
        json!({"sql": "SELECT repeat('x', ?) AS a, len(range(?)) AS b, lpad(?, 4, ' ') AS c", "params": [3, 4, "x"]});
    let (status, answer) = app.call(reqwest::Method::POST, "/v1/sql", Some(given)).await;
    assert_eq!((status, &answer["rows"]), (StatusCode::OK, &json!([{"a": "xxx", "b": 4, "c": "   x"}])), "{answer}");
}
