//! The PostgreSQL wire protocol: what clients get, and what nobody gets.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, NoTls, SimpleQueryMessage};

use crate::harness::attempts::attempts;
use crate::harness::{LOBBY, TestApp, delivery, fix};
use footfall::access::FAILURES_MAX;
use footfall::config::Config;

fn with_postgres(config: &mut Config) {
    config.postgres.listen = Some(([127, 0, 0, 1], 0).into());
}

/// Two clients in the lobby.
async fn served(adjust: impl FnOnce(&mut Config)) -> TestApp {
    let app = TestApp::start_with(|config| {
        with_postgres(config);
        adjust(config);
    })
    .await;
    app.upload_map().await;
    app.deliver(&delivery("location", vec![fix("00000000000a", 0.0, 5.0, 5.0), fix("00000000000b", 1.0, 5.0, 5.0)]))
        .await;
    app
}

async fn try_connect(app: &TestApp, user: &str, password: &str) -> Result<Client, Error> {
    let address = app.postgres.unwrap();
    let mut config = tokio_postgres::Config::new();
    config.host(address.ip().to_string()).port(address.port()).user(user).password(password).dbname("footfall");
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn connect(app: &TestApp) -> Client {
    try_connect(app, "ann", "").await.unwrap()
}

/// Rows as texts, by the simple protocol.
async fn texts(client: &Client, sql: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
    let messages = client.simple_query(sql).await?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|place| row.get(place).map(str::to_owned)).collect::<Vec<_>>())
        }
        _ => None,
    });
    Ok(rows.collect())
}

fn code(error: &Error) -> &str {
    error.code().map_or("", SqlState::code)
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_as_text_and_in_binary() {
    let app = served(|_| {}).await;
    let client = connect(&app).await;
    let sql =
        "SELECT area_name, count(*) AS n, true AS b, NULL AS nothing, 1.50::DECIMAL(9,2) AS d FROM visits GROUP BY ALL";
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(texts(&client, sql).await.unwrap(), [[some("Lobby"), some("2"), some("t"), None, some("1.50")]]);
    // The client of these tests takes binary, and checks types.
    let since: DateTime<Utc> = "2026-07-01T08:00:00.500Z".parse().unwrap();
    let sql = "SELECT client_id, entered_at, dwell_s, area_version, visit_key, [1, 2] AS list, kind = 'wifi' AS is_wifi
               FROM visits WHERE entered_at > $1::timestamptz AND area_id = $2 AND 5 > $3::int ORDER BY 1";
    let rows = client.query(sql, &[&since, &LOBBY, &4i32]).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].get::<_, String>(0), "00000000000b");
    assert_eq!(rows[0].get::<_, DateTime<Utc>>(1), "2026-07-01T08:00:01Z".parse::<DateTime<Utc>>().unwrap());
    assert_eq!(rows[0].get::<_, Option<f64>>(2), None);
    assert_eq!((rows[0].get::<_, Vec<i32>>(5), rows[0].get::<_, bool>(6)), (vec![1, 2], true));
    // Prepared once, asked often; with other values each time.
    let prepared = client.prepare("SELECT count(*) FROM positions WHERE client_id = $1").await.unwrap();
    for (id, expected) in [("00000000000a", 1i64), ("00000000000f", 0), ("00000000000b", 1)] {
        assert_eq!(client.query_one(&prepared, &[&id]).await.unwrap().get::<_, i64>(0), expected);
    }
    app.deliver(&delivery("location", vec![fix("00000000000f", 2.0, 5.0, 5.0)])).await;
    assert_eq!(client.query_one(&prepared, &[&"00000000000f"]).await.unwrap().get::<_, i64>(0), 1, "what came since");
    assert!(client.query("SELECT 1 WHERE false", &[]).await.unwrap().is_empty());
    assert!(texts(&client, " ; -- nothing").await.unwrap().is_empty());
    assert!(texts(&client, "SHOW TABLES").await.unwrap().contains(&vec![some("visits")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn long_answers_come_row_by_row_and_in_portions() {
    let app = served(|_| {}).await;
    let mut client = connect(&app).await;
    assert_eq!(texts(&client, "FROM range(200000)").await.unwrap().len(), 200_000);
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("SELECT range::BIGINT AS n FROM range(5000)", &[]).await.unwrap();
    let mut seen = Vec::new();
    loop {
        let rows = transaction.query_portal(&portal, 1500).await.unwrap();
        seen.extend(rows.iter().map(|row| row.get::<_, i64>(0)));
        if rows.len() < 1500 {
            break;
        }
    }
    assert_eq!(seen, (0..5000).collect::<Vec<_>>());
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_begin_fail_and_end() {
    let app = served(|_| {}).await;
    let client = connect(&app).await;
    client.batch_execute("BEGIN READ ONLY").await.unwrap();
    let error = texts(&client, "SELECT nothing FROM visits").await.unwrap_err();
    assert_eq!(code(&error), "42703");
    assert!(error.as_db_error().unwrap().message().contains("nothing"));
    assert_eq!(code(&texts(&client, "SELECT 1").await.unwrap_err()), "25P02");
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(texts(&client, "BEGIN; SELECT 1; COMMIT").await.unwrap().len(), 1);
    client
        .batch_execute("SAVEPOINT a; ROLLBACK TO a; SET statement_timeout = 5; RESET ALL; DISCARD ALL")
        .await
        .unwrap();
    for (sql, expected) in [
        ("SELECT 1; SELECT 2", "42601"),
        ("DELETE FROM visits", "25006"),
        ("SELECT * FROM store.callbacks", "42501"),
        ("SELECT * FROM nowhere", "42P01"),
        ("SELECT 'a'::INTEGER", "22P02"),
        ("SELEC", "42601"),
        ("SET enable_external_access = true", "42704"),
        ("SET TIME ZONE 'Europe/Zurich'", "0A000"),
        ("SHOW nothing", "42704"),
        ("COPY visits TO STDOUT", "25006"),
    ] {
        let error = texts(&client, sql).await.unwrap_err();
        assert_eq!(code(&error), expected, "{sql}: {error:?}");
    }
    assert_eq!(texts(&client, "SHOW TIME ZONE").await.unwrap(), [[Some("UTC".to_owned())]]);
    let error = client.query("SELECT $1::int", &[&"x"]).await.unwrap_err();
    assert!(error.to_string().contains("serializing"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_tells_tables_columns_and_comments() {
    let app = served(|_| {}).await;
    let client = connect(&app).await;
    let one = async |sql: &str| texts(&client, sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))[0].clone();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(one("SELECT count(*) FROM pg_catalog.pg_class WHERE relkind = 'r'").await, [some("20")]);
    assert_eq!(
        one("SELECT current_schema(), current_database(), current_user").await,
        [some("main"), some("footfall"), some("ann")]
    );
    assert!(one("SELECT version()").await[0].as_ref().unwrap().starts_with("PostgreSQL 16"));
    assert_eq!(
        one("SELECT data_type FROM information_schema.columns WHERE table_name = 'visits' AND column_name = 'entered_at'")
            .await,
        [some("timestamp with time zone")]
    );
    assert!(
        one("SELECT obj_description('visits'::regclass, 'pg_class')").await[0]
            .as_ref()
            .unwrap()
            .contains("Every visit")
    );
    // Described types and those of answers are the same, for every column of every view.
    let columns = texts(
        &client,
        "SELECT c.relname, a.attname, a.atttypid FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid ORDER BY c.oid, a.attnum",
    )
    .await
    .unwrap();
    for relation in columns.chunk_by(|a, b| a[0] == b[0]) {
        let view = relation[0][0].as_ref().unwrap();
        let statement = client.prepare(&format!("SELECT * FROM {view}")).await.unwrap();
        let answered: Vec<_> = statement
            .columns()
            .iter()
            .map(|column| (some(column.name()), some(&column.type_().oid().to_string())))
            .collect();
        let told: Vec<_> = relation.iter().map(|row| (row[1].clone(), row[2].clone())).collect();
        assert_eq!(told, answered, "{view}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_reading_what_is_open_is_done() {
    let app = served(|_| {}).await;
    let endpoint = json!({"name": "secretive", "url": "http://127.0.0.1:9/", "headers": {"Authorization": "hidden"}});
    app.call(reqwest::Method::POST, "/v1/callbacks", Some(endpoint)).await;
    let file = app.dir.path().join("footfall.duckdb").display().to_string();
    let outside = app.dir.path().join("out.csv");
    std::fs::write(&outside, "a\n1\n").unwrap();
    let outside_name = outside.display().to_string();
    let mut attempts = attempts(&outside_name, &file);
    // What concerns only the session is taken, and does nothing.
    let harmless = ["COMMIT", "ROLLBACK", "BEGIN", "DEALLOCATE p", "", ";", "-- nothing"];
    attempts.retain(|attempt| !harmless.contains(&attempt.as_str()));
    // The catalogue is another database; nothing is got through it either.
    attempts.extend([
        format!("SELECT pg_backend_pid(), * FROM read_text('{outside_name}')"),
        format!("SELECT * FROM '{outside_name}' pg_a"),
        format!("COPY pg_class TO '{outside_name}'"),
        format!("ATTACH '{file}' AS pg_other"),
        "INSERT INTO pg_catalog.pg_class (oid) VALUES (1)".into(),
        "DELETE FROM pg_class".into(),
        "DROP TABLE pg_class".into(),
        "CREATE TABLE pg_x AS SELECT 1".into(),
        "SELECT 1 FROM pg_class) LIMIT 1; COMMIT; DROP TABLE pg_class; SELECT * FROM (SELECT 1".into(),
        "SELECT current_setting('temp_directory')".into(),
        "SELECT pg_backend_pid() FROM duckdb_settings()".into(),
        "SELECT pg_backend_pid() FROM duckdb_settings".into(),
        "SELECT getenv('HOME') FROM pg_class".into(),
        "SELECT * FROM query('FROM pg_class')".into(),
        "SELECT pg_backend_pid() FROM store.callbacks".into(),
    ]);
    let client = connect(&app).await;
    for attempt in &attempts {
        let simple = texts(&client, attempt).await;
        let extended = client.query(attempt, &[]).await;
        let (Err(simple), Err(extended)) = (simple, extended) else { panic!("{attempt} is answered") };
        for error in [simple, extended] {
            let told = error.as_db_error().unwrap_or_else(|| panic!("{attempt}: {error:?}")).message().to_owned();
            assert!(!told.is_empty() && !told.contains("whsec") && !told.contains("hidden"), "{attempt}: {told}");
        }
        // Whatever it said of transactions is over.
        client.batch_execute("ROLLBACK").await.unwrap();
    }
    assert_eq!(texts(&client, "SELECT count(*) FROM positions").await.unwrap(), [[Some("2".to_owned())]]);
    assert_eq!(texts(&client, "SELECT count(*) FROM pg_class").await.unwrap(), [[Some("20".to_owned())]]);
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "a\n1\n");
    app.deliver(&delivery("location", vec![fix("00000000000c", 2.0, 5.0, 5.0)])).await;
    assert_eq!(texts(&client, "SELECT count(*) FROM positions").await.unwrap(), [[Some("3".to_owned())]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_are_cancelled_time_out_or_are_left_behind() {
    const BOMB: &str = "SELECT count(*) FROM range(100000000) a, range(100000000) b";
    let app = served(|config| {
        config.postgres.statement_timeout_s = 1.0;
        config.postgres.rows_max = 1000;
    })
    .await;
    let client = connect(&app).await;
    for bomb in
        [BOMB, "SELECT count(*) FROM pg_attribute a, pg_attribute b, pg_attribute c, pg_attribute d, pg_attribute e"]
    {
        let error = texts(&client, bomb).await.unwrap_err();
        assert_eq!(code(&error), "57014", "{error:?}");
        assert!(error.as_db_error().unwrap().message().contains("timeout"), "{error:?}");
    }
    let error = texts(&client, "FROM range(1001)").await.unwrap_err();
    assert_eq!(code(&error), "54000", "{error:?}");
    assert_eq!(texts(&client, "FROM range(1000)").await.unwrap().len(), 1000);
    let long = format!("SELECT '{}'", "x".repeat(100_000));
    assert_eq!(code(&texts(&client, &long).await.unwrap_err()), "54000");
    // Left behind, each would hold one of four turns for a second; and then cancelled.
    for _ in 0..12 {
        let client = connect(&app).await;
        let asking = tokio::time::timeout(Duration::from_millis(50), client.simple_query(BOMB));
        assert!(asking.await.is_err());
        drop(client);
    }
    let token = client.cancel_token();
    let asking = texts(&client, BOMB);
    let cancelling = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        token.cancel_query(NoTls).await.unwrap();
    };
    let (asked, ()) = tokio::join!(asking, cancelling);
    let error = asked.unwrap_err();
    assert_eq!(code(&error), "57014");
    assert_eq!(texts(&client, "SELECT 1").await.unwrap().len(), 1);
    app.deliver(&delivery("location", vec![fix("00000000000c", 2.0, 5.0, 5.0)])).await;
    // A server that stops does not wait for who is asking.
    let asking = tokio::spawn(async move { client.simple_query(BOMB).await.is_err() });
    tokio::time::sleep(Duration::from_millis(100)).await;
    app.stop().await;
    assert!(asking.await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_reading_holds_no_turn() {
    let app = served(|config| config.postgres.statement_timeout_s = 0.5).await;
    let sql = "SELECT range, repeat('x', 100) AS x FROM range(900000)\0";
    let query = [b"Q".as_slice(), &(sql.len() as u32 + 4).to_be_bytes(), sql.as_bytes()].concat();
    let mut deaf = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(app.postgres.unwrap()).await.unwrap();
        stream.write_all(b"\x00\x00\x00\x13\x00\x03\x00\x00user\x00fuzz\x00\x00").await.unwrap();
        stream.write_all(&query).await.unwrap();
        deaf.push(stream);
    }
    // By now they have all the turns, and their time is over.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let client = connect(&app).await;
    let answer = tokio::time::timeout(Duration::from_secs(10), texts(&client, "SELECT 1")).await;
    assert_eq!(answer.expect("a turn is free").unwrap().len(), 1);
    for mut stream in deaf {
        stream.write_all(b"X\0\0\0\x04").await.unwrap();
        let mut told = Vec::new();
        stream.read_to_end(&mut told).await.unwrap();
        let end = String::from_utf8_lossy(&told[told.len().saturating_sub(200)..]).into_owned();
        assert!(end.contains("57014") && !end.contains("SELECT 900000"), "{end:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_knows_a_password_is_let_in() {
    let app = served(|config| {
        config.postgres.users = [("ann".to_owned(), "correct horse".to_owned())].into();
        config.postgres.connections_max = 2;
    })
    .await;
    let client = try_connect(&app, "ann", "correct horse").await.unwrap();
    assert_eq!(texts(&client, "SELECT count(*) FROM visits").await.unwrap().len(), 1);
    for (user, password) in [("ann", "wrong"), ("ann", ""), ("bob", "correct horse"), ("", "x"), ("ann\0", "x")] {
        let Err(error) = try_connect(&app, user, password).await else { panic!("{user} {password:?} is let in") };
        let told = format!("{error:?}");
        assert!(!told.contains("correct horse"), "{told}");
        if user == "bob" || password == "wrong" {
            assert_eq!(code(&error), "28P01", "{error:?}");
        }
    }
    // The places are limited, and free again once left; those who were refused leave first.
    let second = loop {
        if let Ok(second) = try_connect(&app, "ann", "correct horse").await {
            break second;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(try_connect(&app, "ann", "correct horse").await.is_err());
    drop(second);
    let again = async {
        while try_connect(&app, "ann", "correct horse").await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_passwords_waits() {
    let app = served(|config| config.postgres.users = [("ann".to_owned(), "correct horse".to_owned())].into()).await;
    let try_code = async |password: &str| {
        let Err(error) = try_connect(&app, "ann", password).await else { panic!("{password} is let in") };
        code(&error).to_owned()
    };
    for guess in 0..=FAILURES_MAX {
        assert_eq!(try_code(&guess.to_string()).await, "28P01");
    }
    // Even the right one, which would tell that it is; here as over HTTP.
    assert_eq!(try_code("correct horse").await, "28000");
    let login = json!({"name": "ann", "password": "x"});
    assert_eq!(app.call(reqwest::Method::POST, "/v1/login", Some(login)).await.0, 429);
    app.run_on_to(61.0).await;
    assert!(try_connect(&app, "ann", "correct horse").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_who_talk_nonsense_are_hung_up_on() {
    let app = served(|config| config.postgres.users = [("ann".to_owned(), "x".to_owned())].into()).await;
    let startup = |body: &[u8]| {
        let mut message = (body.len() as u32 + 8).to_be_bytes().to_vec();
        message.extend(196_608u32.to_be_bytes());
        message.extend(body);
        message
    };
    let hello = startup(b"user\0ann\0\0");
    let query = |sql: &str| [b"Q".as_slice(), &(sql.len() as u32 + 5).to_be_bytes(), sql.as_bytes(), b"\0"].concat();
    let bind = |count: u16| [b"B".as_slice(), &8u32.to_be_bytes(), b"\0\0", &count.to_be_bytes()].concat();
    for sent in [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        vec![0xff; 64],
        vec![0; 64],
        startup(&[b'a'; 20_000]),
        // Asking before saying who one is.
        [hello.clone(), query("SELECT 1")].concat(),
        [hello.clone(), b"S\0\0\0\x04".to_vec(), query("SELECT 1")].concat(),
        [hello.clone(), b"p\0\0\0\x08abc\0".to_vec(), query("SELECT 1")].concat(),
        query("SELECT 1"),
        // A gigabyte, it says; the server does not wait for it to come.
        [hello.clone(), [b"Q".as_slice(), &0x3fff_0000u32.to_be_bytes(), &vec![b'x'; 200_000]].concat()].concat(),
        [hello.clone(), bind(65_535)].concat(),
        [hello.clone(), b"p\0\0\0\x04".to_vec()].concat(),
        [hello.clone(), b"p\xff\xff\xff\xff".to_vec()].concat(),
    ] {
        let mut stream = TcpStream::connect(app.postgres.unwrap()).await.unwrap();
        // It may hang up before all is said.
        let _ = stream.write_all(&sent).await;
        let mut answer = Vec::new();
        let reading = tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut answer)).await;
        assert!(reading.is_ok(), "{:?} is listened to for ever", &sent[..sent.len().min(40)]);
        assert!(!String::from_utf8_lossy(&answer).contains("SELECT 1\0"), "{answer:?}");
        // 'Z': ready for a query.
        assert!(!answer.windows(5).any(|bytes| bytes == b"Z\0\0\0\x05"), "{:?}", String::from_utf8_lossy(&answer));
    }
    let client = try_connect(&app, "ann", "x").await.unwrap();
    assert_eq!(texts(&client, "SELECT 1").await.unwrap().len(), 1);
}

/// Found by fuzzing: a statement to prepare that ends before its number of parameters.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_ends_too_early_breaks_its_own_connection_only() {
    let app = TestApp::start_with(with_postgres).await;
    let startup = b"\x00\x00\x00\x13\x00\x03\x00\x00user\x00fuzz\x00\x00";
    for broken in [
        &b"P\x00\x00\x00\x0e\x00SELECT 1\x00"[..],
        b"P\x00\x00\x00\x06\x00\x00",
        b"B\x00\x00\x00\x06\x00\x00",
        b"E\x00\x00\x00\x05\x00",
    ] {
        let mut stream = TcpStream::connect(app.postgres.unwrap()).await.unwrap();
        stream.write_all(startup).await.unwrap();
        stream.write_all(broken).await.unwrap();
        let mut answer = Vec::new();
        let reading = tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut answer)).await;
        assert!(reading.is_ok(), "{broken:?} is waited for");
        let told = String::from_utf8_lossy(&answer).into_owned();
        assert!(told.contains("FATAL") && told.contains("08P01"), "{broken:?}: {told:?}");
    }
    let client = try_connect(&app, "ann", "x").await.unwrap();
    assert_eq!(texts(&client, "SELECT 1").await.unwrap().len(), 1);
}
