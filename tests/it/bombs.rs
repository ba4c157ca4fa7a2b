//! Statements that would make much of little in one call: each is answered soon, and the server's memory stays within bounds.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use footfall::clock::stopwatch;
use footfall::receiver::signature::{HEADER_V2, Secret};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_postgres::NoTls;

use crate::harness::process::Server;
use crate::harness::{SECRET, TestApp, delivery, fix};

/// What the server may take at its most: 300 MB for DuckDB, a GiB beside it, what it has before anybody asks, and some slack
/// for what is handed over and for what many small pieces make before they are looked at.
const PEAK_MIB: u64 = 2048;

/// From asking to the answer, of a second that a statement may take: it may come that late, on a busy machine.
const ANSWER: Duration = Duration::from_secs(15);

/// Until those are over that were answered for.
const OVER: Duration = Duration::from_secs(300);

fn bombs() -> Vec<String> {
    let doubled =
        (0..28).fold("SELECT 'xxxxxxxx' AS s".to_owned(), |inner, _| format!("SELECT s || s AS s FROM ({inner})"));
    let chain = vec![format!("'{}'", "x".repeat(90)); 900].join(" || ");
    let given = [
        // One value, of a number.
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
        // Many of them at a time.
        "SELECT list_transform(range(1000000), lambda x: repeat('x', 1000000))",
        "SELECT list_transform(range(1000000), lambda x: range(x))",
        "SELECT count(range || repeat('x',1000000) || repeat('y',1000000)) FROM range(100000)",
        // Many rows of one value.
        "SELECT s FROM (SELECT repeat('x', 1000000) AS s), range(100000)",
        // Twice as long each time, or more.
        "SELECT length(list_reduce(list_transform(range(60), lambda x: 'xxxxxxxx'), lambda a, x: a || a))",
        "SELECT len(list_reduce(list_transform(range(60), lambda x: [1, 2]), lambda a, x: a || a))",
        "WITH RECURSIVE x AS (SELECT 'xxxxxxxx' AS s UNION ALL SELECT s || s FROM x) SELECT max(length(s)) FROM x",
        "WITH RECURSIVE x AS (SELECT 'xx' AS s UNION ALL SELECT replace(s, 'x', s) FROM x) SELECT max(length(s)) FROM x",
        "SELECT length(replace(repeat('x',1000000), 'x', repeat('x',1000000)))",
        "SELECT length(regexp_replace(repeat('x',1000000), '', repeat('x',1000000), 'g'))",
        // Gathered.
        "SELECT length(string_agg(repeat('x', 1000), ',')) FROM range(100000000)",
        "SELECT len(list(range)) FROM range(10000000000)",
        "SELECT array_to_string(range(1000000), repeat('x', 1000000))",
        "SELECT len(map_keys(histogram(range))) FROM range(10000000000)",
    ];
    let mut bombs: Vec<String> = given.map(str::to_owned).into();
    let columns: Vec<String> = (0..30).map(|place| format!("a{place} + a{place} AS a{}", place + 1)).collect();
    bombs.push(format!("SELECT range AS a0, {} FROM range(3)", columns.join(", ")));
    bombs.push(format!("SELECT length(s) FROM ({doubled})"));
    bombs.push(format!("SELECT sum(length(range || {chain})) FROM range(1000000)"));
    bombs
}

/// Patterns that would be tried in all ways.
const PATTERNS: [&str; 6] = [
    "SELECT repeat('a', 1000000) LIKE '%a_%a_%a_%a_%b'",
    "SELECT repeat('a', 1000000) NOT ILIKE '%a%a%a%a%b'",
    "SELECT s LIKE p FROM (SELECT repeat('a', 1000000) AS s, repeat('%a_', 30) || 'b' AS p)",
    "SELECT repeat('a', 1000000) GLOB '*a*a*a*a*b'",
    "SELECT repeat('a', 1000000) LIKE '%a_%a_%a_%a_%b' ESCAPE '!'",
    "SELECT ilike_escape(repeat('a', 1000000), repeat('%a_', 30) || 'b', '!')",
];

/// From each letter on it looks for a letter that is not there: an hour, of which it hears nothing.
const DEAF: &str = "SELECT length(regexp_replace(repeat('a', 1000000), 'a*b|a', '', 'g'))";

/// A server with little memory, and where its PostgreSQL clients connect.
fn served(dir: &TempDir, statement_timeout_s: &str) -> (Server, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Server::start_with(
        dir.path(),
        &[
            ("FOOTFALL_STORE__MEMORY_LIMIT", "300MB"),
            ("FOOTFALL_POSTGRES__LISTEN", &format!("127.0.0.1:{port}")),
            ("FOOTFALL_POSTGRES__STATEMENT_TIMEOUT_S", statement_timeout_s),
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

/// Delivers what `ann` is there for, and asks for it.
async fn is_as_ever(client: &reqwest::Client, server: &Server) {
    let body = delivery("location", vec![fix("00000000000a", 0.0, 5.0, 5.0)]).to_string();
    let signature = Secret::new(SECRET).sign_v2(body.as_bytes());
    let request = client.post(format!("{}/v1/webhooks/mist", server.base)).header(HEADER_V2, signature);
    assert_eq!(request.body(body).send().await.unwrap().status(), StatusCode::OK);
    // What went before may be on its way out.
    let (status, answer) = ask(client, server, "", "SELECT count(*) AS fixes FROM positions", 60.0).await;
    assert_eq!((status, &answer["rows"]), (StatusCode::OK, &json!([{"fixes": 1}])), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn they_leave_memory_and_time_to_others_over_http() {
    let dir = TempDir::new().unwrap();
    let (mut server, _) = served(&dir, "1");
    let client = reqwest::Client::new();
    for (place, bomb) in bombs().iter().enumerate() {
        let begun = stopwatch();
        let query = if place % 2 == 0 { "" } else { "?format=csv" };
        let (since, status, answer) = loop {
            let since = stopwatch();
            let (status, answer) = ask(&client, &server, query, bomb, 1.0).await;
            // Those before it were answered for, and have their turns still.
            if status != StatusCode::SERVICE_UNAVAILABLE || begun.elapsed() > OVER {
                break (since, status, answer);
            }
        };
        let (took, peak_mib) = (since.elapsed(), peak_mib(server.id()));
        assert!(matches!(status.as_u16(), 422 | 504), "{bomb:.100}: {status} {answer}");
        assert!(took < ANSWER, "{bomb:.100}: {took:?}");
        assert!(peak_mib < PEAK_MIB, "{bomb:.100}: {peak_mib} MiB");
    }
    assert_eq!(server.ended(), None);
    is_as_ever(&client, &server).await;
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn they_leave_memory_and_time_to_others_over_the_wire() {
    let dir = TempDir::new().unwrap();
    let (mut server, port) = served(&dir, "1");
    // Behind the one guard, so not all of them once more.
    for (place, bomb) in bombs().iter().step_by(3).enumerate() {
        let client = connect(port).await;
        let begun = stopwatch();
        let (since, answer) = loop {
            let since = stopwatch();
            let answer = match place % 2 {
                0 => client.simple_query(bomb).await.map(drop),
                _ => client.query(bomb, &[]).await.map(drop),
            };
            let has_no_turn =
                answer.as_ref().is_err_and(|error| error.code().is_some_and(|code| code.code() == "53300"));
            if !has_no_turn || begun.elapsed() > OVER {
                break (since, answer);
            }
        };
        let (took, peak_mib) = (since.elapsed(), peak_mib(server.id()));
        assert!(answer.unwrap_err().as_db_error().is_some(), "{bomb:.100}");
        assert!(took < 2 * ANSWER, "{bomb:.100}: {took:?}");
        assert!(peak_mib < PEAK_MIB, "{bomb:.100}: {peak_mib} MiB");
    }
    assert_eq!(server.ended(), None);
    let client = connect(port).await;
    assert_eq!(client.query("SELECT repeat('x', 3)", &[]).await.unwrap()[0].get::<_, String>(0), "xxx");
    is_as_ever(&reqwest::Client::new(), &server).await;
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_that_is_refused_is_told_as_such() {
    const BOMB: &str =
        "SELECT length(list_reduce(list_transform(range(60), lambda x: 'xxxxxxxx'), lambda a, x: a || a))";
    let dir = TempDir::new().unwrap();
    let (server, port) = served(&dir, "60");
    let (status, answer) = ask(&reqwest::Client::new(), &server, "", BOMB, 60.0).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
    assert!(answer["detail"].as_str().unwrap().starts_with("Out of Memory"), "{answer}");
    let postgres = connect(port).await;
    let error =
        postgres.simple_query("SELECT s FROM (SELECT repeat('x', 1000000) AS s), range(2048)").await.unwrap_err();
    assert_eq!(error.code().map(|code| code.code()), Some("53200"), "{error:?}");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_take_a_time_that_grows_with_the_text() {
    let dir = TempDir::new().unwrap();
    let (server, port) = served(&dir, "60");
    let client = reqwest::Client::new();
    let postgres = connect(port).await;
    for pattern in PATTERNS {
        let since = stopwatch();
        let (status, answer) = ask(&client, &server, "", pattern, 60.0).await;
        assert!(matches!(status.as_u16(), 200 | 422), "{pattern}: {status} {answer}");
        assert!(since.elapsed() < ANSWER, "{pattern}: {:?}", since.elapsed());
        let given = postgres.simple_query(pattern).await;
        assert!(given.is_ok() == (status == StatusCode::OK), "{pattern}: {given:?}");
    }
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hears_nothing_is_answered_for_and_holds_its_turn() {
    let dir = TempDir::new().unwrap();
    let (mut server, port) = served(&dir, "1");
    let client = reqwest::Client::new();
    for query in ["", "?format=csv"] {
        let since = stopwatch();
        assert_eq!(ask(&client, &server, query, DEAF, 0.5).await.0, StatusCode::GATEWAY_TIMEOUT);
        assert!(since.elapsed() < ANSWER, "{:?}", since.elapsed());
    }
    let postgres = connect(port).await;
    for _ in 0..2 {
        let error = postgres.simple_query(DEAF).await.unwrap_err();
        assert_eq!(error.code().map(|code| code.code()), Some("57014"), "{error:?}");
    }
    // All four turns are theirs: nobody waits for them longer than is said.
    let (status, answer) = ask(&client, &server, "", "SELECT 1", 0.5).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("other statements"), "{answer}");
    let error = postgres.simple_query("SELECT 1").await.unwrap_err();
    assert_eq!(error.code().map(|code| code.code()), Some("53300"), "{error:?}");
    let alive = client.get(format!("{}/v1/occupancy", server.base)).send().await.unwrap();
    assert_eq!(alive.status(), StatusCode::OK);
    assert_eq!(server.ended(), None);
    // Nor does a server that stops.
    let since = stopwatch();
    server.stop();
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
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
        ("SELECT count(*) FROM visits JOIN (SELECT 'L%bb_' AS p) ON area_name LIKE p", "1"),
        ("SELECT count(*) FROM visits WHERE area_name ILIKE '%L%B%'", "1"),
        (
            "SELECT count(*) FROM visits WHERE area_name LIKE 'Lob%' AND area_name NOT LIKE '%x%' AND area_name GLOB 'L*'",
            "1",
        ),
        ("SELECT 'a.b\nc' LIKE '%a.%' || '_c'", "true"),
        ("SELECT 'axb' LIKE '%a.%_b'", "false"),
        ("SELECT '100%' LIKE '%!%' ESCAPE '!'", "true"),
        ("SELECT NULL LIKE 'a' || '%'", "null"),
    ] {
        let (status, answer) = app.call(reqwest::Method::POST, "/v1/sql", Some(json!({"sql": sql}))).await;
        assert_eq!(status, StatusCode::OK, "{sql}: {answer}");
        let cell = answer["rows"][0].as_object().unwrap().values().next().unwrap();
        let told = cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
        assert_eq!(told, expected, "{sql}");
    }
    let given = json!({"sql": "SELECT repeat('x', ?) AS a, len(range(?)) AS b, lpad(?, 4, ' ') AS c, 'Lobby' LIKE ? AS d", "params": [3, 4, "x", "L%b_"]});
    let (status, answer) = app.call(reqwest::Method::POST, "/v1/sql", Some(given)).await;
    assert_eq!(
        (status, &answer["rows"]),
        (StatusCode::OK, &json!([{"a": "xxx", "b": 4, "c": "   x", "d": true}])),
        "{answer}"
    );
}
