//! Connections that nobody should hold: slow, half-open, deaf, or too many; TLS; and whose deliveries are not taken.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use footfall::receiver::signature::{HEADER_V2, Secret};
use reqwest::{Certificate, StatusCode};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{SECRET, START_S, TestApp, delivery, fix};

/// Longer than any limit of these tests.
const LONG: Duration = Duration::from_secs(20);

async fn impatient() -> TestApp {
    TestApp::start_with(|config| {
        config.server.head_timeout_s = 1.0;
        config.server.read_timeout_s = 1.0;
        config.server.write_timeout_s = 1.0;
    })
    .await
}

async fn connect(app: &TestApp) -> TcpStream {
    let address: SocketAddr = app.base.trim_start_matches("http://").parse().unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// All that comes until the server hangs up.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = timeout(LONG, stream.read_to_end(&mut text)).await.expect("the server does not hang up");
    // It may hang up with a reset.
    let _ = read;
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_slow_is_hung_up_on_and_others_are_answered() {
    let app = impatient().await;
    let mut silent = Vec::new();
    for head in ["", "POST /v1/webhooks/mist HT", "POST /v1/webhooks/mist HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
        for _ in 0..50 {
            let mut stream = connect(&app).await;
            stream.write_all(head.as_bytes()).await.unwrap();
            silent.push(stream);
        }
    }
    app.deliver(&delivery("location", vec![fix("00000000000a", 0.0, 1.0, 1.0)])).await;
    for mut stream in silent {
        rest(&mut stream).await;
    }
    // One that sends a little from time to time is no better.
    let mut dripping = connect(&app).await;
    let mut is_over = false;
    for _ in 0..100 {
        is_over = is_over || dripping.write_all(b"X").await.is_err();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(is_over, "a head that never ends is waited for");
    app.deliver(&delivery("location", vec![fix("00000000000a", 1.0, 1.0, 1.0)])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_half_way_is_refused_and_nothing_of_it_kept() {
    let app = impatient().await;
    let body = delivery("location", vec![fix("00000000000a", 0.0, 1.0, 1.0)]).to_string();
    let signature = Secret::new(SECRET).sign_v2(body.as_bytes());
    for announced in [format!("Content-Length: {}", body.len()), "Transfer-Encoding: chunked".into()] {
        let mut stream = connect(&app).await;
        let head = format!(
            "POST /v1/webhooks/mist HTTP/1.1\r\nHost: 127.0.0.1\r\n{HEADER_V2}: {signature}\r\n{announced}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let part = &body[..body.len() / 2];
        let sent = if announced.starts_with('C') { part.to_owned() } else { format!("{:x}\r\n{part}\r\n", part.len()) };
        stream.write_all(sent.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("could not be read to its end"), "{answer}");
    }
    assert_eq!(app.stop_and_ask("SELECT count(*) FROM positions").await, ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_the_answer_is_hung_up_on() {
    let app = impatient().await;
    let mut deaf = connect(&app).await;
    let ask = "GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(200);
    // Some of it may not be taken any more.
    let _ = timeout(LONG, deaf.write_all(ask.as_bytes())).await;
    let connections = async || {
        let metrics = app.client.get(format!("{}/metrics", app.base)).send().await.unwrap().text().await.unwrap();
        let line = metrics.lines().find(|line| line.starts_with("footfall_connections ")).unwrap().to_owned();
        line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()
    };
    assert!(connections().await >= 2);
    for _ in 0..100 {
        if connections().await == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the deaf one is waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_only_so_many_connections_and_room_again_afterwards() {
    let app = TestApp::start_with(|config| config.server.connections_max = 20).await;
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(connect(&app).await);
    }
    // The loop may not have come to the last of them yet.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut beyond = connect(&app).await;
    assert_eq!(rest(&mut beyond).await, "");
    drop(held);
    tokio::time::sleep(Duration::from_millis(300)).await;
    app.deliver(&delivery("location", vec![fix("00000000000a", 0.0, 1.0, 1.0)])).await;
    let metrics = app.client.get(format!("{}/metrics", app.base)).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("footfall_connections_refused_total 1"), "{metrics}");
}

/// A new certificate for 127.0.0.1 and its key, written where the server reads them.
fn certify(dir: &Path) -> Certificate {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    fs::write(dir.join("certificate.pem"), made.cert.pem()).unwrap();
    Certificate::from_pem(made.cert.pem().as_bytes()).unwrap()
}

fn trusting(certificate: &Certificate) -> reqwest::Client {
    reqwest::Client::builder().tls_certs_only([certificate.clone()]).pool_max_idle_per_host(0).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_a_certificate_that_is_replaced_without_a_restart() {
    let pair = TempDir::new().unwrap();
    let first = certify(pair.path());
    let app = TestApp::start_with(|config| {
        config.server.head_timeout_s = 1.0;
        config.server.tls_certificate = Some(pair.path().join("certificate.pem"));
        config.server.tls_key = Some(pair.path().join("key.pem"));
    })
    .await;
    let url = format!("{}/health/ready", app.base.replace("http:", "https:"));
    assert_eq!(trusting(&first).get(&url).send().await.unwrap().status(), StatusCode::OK);
    assert!(reqwest::get(format!("{}/health/ready", app.base)).await.is_err(), "plain text was answered");
    // A handshake that does not go on.
    rest(&mut connect(&app).await).await;
    // The cookie goes by TLS only.
    let own = app.access.own_token();
    let set = json!({"password": "correct horse", "scopes": ["read"]});
    let base = app.base.replace("http:", "https:");
    let client = trusting(&first);
    let put = client.put(format!("{base}/v1/users/ann")).bearer_auth(own).json(&set).send().await.unwrap();
    assert_eq!(put.status(), StatusCode::OK);
    let login = json!({"name": "ann", "password": "correct horse"});
    let answer = client.post(format!("{base}/v1/login")).json(&login).send().await.unwrap();
    assert!(answer.headers()["set-cookie"].to_str().unwrap().ends_with("; Secure"));
    // Half of a pair is no pair: the old one stays.
    fs::write(pair.path().join("key.pem"), "nothing").unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(trusting(&first).get(&url).send().await.unwrap().status(), StatusCode::OK);
    let second = certify(pair.path());
    for _ in 0..100 {
        if trusting(&second).get(&url).send().await.is_ok() {
            assert!(trusting(&first).get(&url).send().await.is_err());
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the new certificate is not taken in");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_wrongly_too_often_waits_and_who_signs_rightly_does_not() {
    let app = TestApp::start().await;
    let body = delivery("location", vec![fix("00000000000a", 0.0, 1.0, 1.0)]);
    let wrong = async || {
        let request = app.client.post(format!("{}/v1/webhooks/mist", app.base)).header(HEADER_V2, "0".repeat(64));
        request.body(body.to_string()).send().await.unwrap()
    };
    for _ in 0..20 {
        assert_eq!(wrong().await.status(), StatusCode::UNAUTHORIZED);
    }
    let refused = wrong().await;
    assert_eq!(
        (refused.status(), &refused.headers()["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"60".parse().unwrap())
    );
    assert_eq!(app.deliver(&body).await["events"], 1);
    app.clock.set((START_S + 61) * 1000);
    assert_eq!(wrong().await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_may_refuse_other_networks_and_old_events() {
    let app = TestApp::start_with(|config| {
        let source = config.sources.get_mut("default").unwrap();
        source.allowed_networks = vec!["10.0.0.0/8".into()];
        source.refuse_older_h = Some(2.0);
        config.server.trusted_proxies = vec!["127.0.0.1".into()];
    })
    .await;
    let body =
        delivery("location", vec![fix("00000000000a", -7300.0, 1.0, 1.0), fix("00000000000a", -7100.0, 1.0, 1.0)]);
    let bytes = body.to_string().into_bytes();
    let from =
        async |sender: &str| app.post("", bytes.clone(), |request| request.header("x-forwarded-for", sender)).await;
    assert_eq!(from("11.0.0.1").await.0, StatusCode::FORBIDDEN);
    assert_eq!(app.post("", bytes.clone(), |request| request).await.0, StatusCode::FORBIDDEN);
    let (status, answer) = from("10.0.0.1").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&answer["events"], &answer["quarantined"]), (&json!(1), &json!(1)));
    let why = app.stop_and_ask("SELECT reason FROM quarantine").await;
    assert!(why[0].contains("is 2.0 h old; this source refuses that"), "{why:?}");
}

/// Secrets that the server was given stand in none of what it says of itself.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_and_no_text_of_the_configuration_holds_a_secret() {
    let mut config = crate::harness::config(Path::new("."));
    config.postgres.users.insert("grafana".into(), "a password of postgres".into());
    let shown = format!("{config:?}");
    assert!(!shown.contains(SECRET) && !shown.contains("a password of postgres"), "{shown}");
    let app = TestApp::start().await;
    let document = app.get("/openapi.json").await;
    for (path, item) in document["paths"].as_object().unwrap() {
        if item.get("get").is_some() && path != "/v1/stream" {
            let text = app.client.get(format!("{}{path}", app.base)).send().await.unwrap().text().await;
            assert!(!text.is_ok_and(|text| text.contains(SECRET)), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_how_far_behind_it_is_what_was_set_aside_and_how_big_it_is() {
    let app = TestApp::start().await;
    app.clock.set((START_S + 7) * 1000);
    let mut nowhere = fix("00000000000a", 0.0, 1.0, 1.0);
    nowhere["x"] = "nowhere".into();
    app.deliver(&delivery("location", vec![fix("00000000000a", 4.0, 1.0, 1.0), nowhere])).await;
    let metrics = app.client.get(format!("{}/metrics", app.base)).send().await.unwrap().text().await.unwrap();
    for line in [
        "footfall_ingest_lag_seconds_sum 3",
        "footfall_quarantined_events_total{reason=\"x\"} 1",
        "footfall_queue_deliveries 0",
        "footfall_commit_failures_total 0",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    for name in ["footfall_file_bytes", "footfall_log_bytes", "footfall_disk_free_bytes"] {
        let line = metrics.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        assert!(line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() > 0.0, "{line}");
    }
}
