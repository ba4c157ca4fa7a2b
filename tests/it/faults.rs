//! What goes wrong around the server, and what it then does.

use std::process::Command;

use footfall::receiver::signature::{HEADER_V2, Secret};
use reqwest::StatusCode;
use tempfile::TempDir;

use crate::harness::process::Server;
use crate::harness::{SECRET, TestApp, delivery, fix};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_says_when_to_come_back_and_loses_nothing() {
    let app = TestApp::start_with(|config| config.receiver.queue_deliveries = 1).await;
    let mut sending = Vec::new();
    for number in 0..300 {
        let events = (0..50).map(|n| fix(&format!("0000000{number:05x}"), f64::from(n), 1.0, 1.0)).collect();
        let body = delivery("location", events).to_string();
        let request = app
            .client
            .post(format!("{}/v1/webhooks/mist", app.base))
            .header(HEADER_V2, Secret::new(SECRET).sign_v2(body.as_bytes()))
            .body(body);
        sending.push(tokio::spawn(async move { request.send().await.unwrap() }));
    }
    let (mut taken, mut refused) = (0, 0);
    for answer in sending {
        let answer = answer.await.unwrap();
        match answer.status() {
            StatusCode::OK => taken += 1,
            StatusCode::SERVICE_UNAVAILABLE => {
                assert_eq!(answer.headers()["retry-after"], "1");
                refused += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert!(taken > 0 && refused > 0, "{taken} taken, {refused} refused");
    let late = app.deliver(&delivery("location", vec![fix("0000000000aa", 99.0, 1.0, 1.0)])).await;
    assert_eq!(late["events"], 1, "it goes on afterwards");
    assert_eq!(app.stop_and_ask("SELECT count(*) FROM positions").await, [(taken * 50 + 1).to_string()]);
}

fn serve_on(path: &std::path::Path) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_footfall"))
        .args(["serve", "--listen", "127.0.0.1:0", "--store"])
        .arg(path)
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_file_says_so_and_ends() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path());
    let second = serve_on(&dir.path().join("footfall.duckdb"));
    assert!(!second.status.success());
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(told.contains("is another process using it"), "{told}");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_from_a_newer_version_is_refused() {
    let dir = TestApp::start().await.stop().await;
    let path = dir.path().join("footfall.duckdb");
    let newer = "INSERT INTO schema_migrations VALUES ('9999_newer', now())";
    duckdb::Connection::open(&path).unwrap().execute_batch(newer).unwrap();
    let refused = serve_on(&path);
    assert!(!refused.status.success());
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("newer version of Footfall"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_text_is_stored_as_text() {
    let app = TestApp::start().await;
    let mut event = fix("'; DROP TABLE store.fixes; --", 0.0, 1.0, 1.0);
    event["site_id"] = "\u{0}\u{1f600}'\"\\".into();
    event["name"] = "a\u{0}b".into();
    app.deliver(&delivery("location", vec![event])).await;
    let app = app.restart().await;
    let client = app.get("/v1/sites").await["sites"][0]["site_id"].clone();
    assert_eq!(client, "\u{0}\u{1f600}'\"\\");
    assert_eq!(app.stop_and_ask("SELECT client_id FROM positions").await, ["'; DROP TABLE store.fixes; --"]);
}
