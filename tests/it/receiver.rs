//! What the receiver takes, what it refuses, and what becomes of each event.

use std::io::Write;

use footfall::receiver::signature::{HEADER_V1, HEADER_V2};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{MAP, SITE, START_S, TestApp, delivery, fix};

const MAC: &str = "5684dae9ac8b";

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_holder_of_the_secret_is_heard() {
    let app = TestApp::start().await;
    let body = delivery("location", vec![fix(MAC, 0.0, 1.0, 1.0)]).to_string().into_bytes();
    let (status, _) = app.post("", body.clone(), |r| r).await;
    assert_eq!(status, StatusCode::OK);
    let url = format!("{}/v1/webhooks/mist", app.base);
    let unsigned = app.client.post(&url).body(body.clone()).send().await.unwrap();
    assert_eq!(unsigned.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(unsigned.headers()["content-type"], "application/problem+json");
    for (header, value) in [(HEADER_V2, "0".repeat(64)), (HEADER_V2, "x".into()), (HEADER_V1, "0".repeat(40))] {
        let refused = app.client.post(&url).header(header, value).body(body.clone()).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(app.post("/nobody", body.clone(), |r| r).await.0, StatusCode::NOT_FOUND);
    let open = app.client.post(format!("{url}/open")).body(body).send().await.unwrap();
    assert_eq!(open.status(), StatusCode::OK);
    assert_eq!(app.stop_and_ask("SELECT count(*) FROM positions").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_secrets_are_valid_while_one_replaces_the_other_and_v1_where_allowed() {
    let app = TestApp::start_with(|config| {
        let source = config.sources.get_mut("default").unwrap();
        source.secrets = vec!["the next".into(), "secret".into()];
        source.allow_signature_v1 = true;
    })
    .await;
    let body = r#"{"topic":"ping","events":[{"site_id":"4ac1dcf4-9d8b-7211-65c4-057819f0862b","id":"18ff1f91-a9e0-c3b7-74ea-2ce4ea372f72","name":"my webhook","timestamp":1461220784}]}"#;
    let post = |header: &'static str, value: &'static str| {
        app.client.post(format!("{}/v1/webhooks/mist", app.base)).header(header, value).body(body).send()
    };
    let v2 = post(HEADER_V2, "307ae6b84705800dab747439bfc2311d70c1d3d3684859a7c6370945effe8c3a").await.unwrap();
    assert_eq!(v2.status(), StatusCode::OK);
    let v1 = post(HEADER_V1, "3eb53ad1655fba7a80a305aa132030a1d0a23b92").await.unwrap();
    assert_eq!(v1.json::<Value>().await.unwrap()["duplicates"], 1);
    let sources = app.get("/v1/sources").await;
    assert_eq!(sources["sources"][0]["last_ping_webhook"], "my webhook");
}

#[tokio::test(flavor = "multi_thread")]
async fn gzip_is_taken_signed_as_sent_or_as_plain() {
    let app = TestApp::start().await;
    let plain = delivery("location", vec![fix(MAC, 0.0, 1.0, 1.0)]).to_string().into_bytes();
    let zipped = gzip(&plain);
    let gz = |r: reqwest::RequestBuilder| r.header("content-encoding", "gzip");
    assert_eq!(app.post("", zipped.clone(), gz).await, (StatusCode::OK, receipt(1, 0, 0)));
    let signature = footfall::receiver::signature::Secret::new(crate::harness::SECRET).sign_v2(&plain);
    let request = app.client.post(format!("{}/v1/webhooks/mist", app.base)).header(HEADER_V2, signature);
    let answer = gz(request.body(zipped)).send().await.unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap(), receipt(1, 1, 0));
    assert_eq!(app.post("", b"not gzip".to_vec(), gz).await.0, StatusCode::BAD_REQUEST);
    let brotli = app.post("", plain, |r| r.header("content-encoding", "br")).await;
    assert_eq!(brotli.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_413_also_when_it_only_unzips_to_that() {
    let app = TestApp::start_with(|config| config.receiver.body_bytes_max = 10_000).await;
    assert_eq!(app.post("", vec![b' '; 10_001], |r| r).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let bomb = gzip(&vec![b' '; 1_000_000]);
    assert!(bomb.len() < 10_000);
    let refused = app.post("", bomb, |r| r.header("content-encoding", "gzip")).await;
    assert_eq!(refused.0, StatusCode::PAYLOAD_TOO_LARGE);
    // A body that does not announce its length.
    let mut wire = tokio::net::TcpStream::connect(app.base.strip_prefix("http://").unwrap()).await.unwrap();
    let head = "POST /v1/webhooks/mist HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    wire.write_all(format!("{head}{:x}\r\n{}\r\n0\r\n\r\n", 10_001, " ".repeat(10_001)).as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    wire.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_delivery_is_400() {
    let app = TestApp::start().await;
    for body in ["", "{", "[]", "5", "{}", r#"{"events":[]}"#, r#"{"topic":"zone","events":5}"#, "{\"topic\":\"\u{0}"] {
        let (status, problem) = app.post("", body.as_bytes().to_vec(), |r| r).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    }
    assert_eq!(app.post("", vec![0xff, 0xfe], |r| r).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(app.stop_and_ask("SELECT count(*) FROM deliveries").await, ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_event_goes_to_quarantine_and_spares_its_neighbours() {
    let app = TestApp::start().await;
    let good = fix(MAC, 0.0, 1.0, 1.0);
    let mut far = fix(MAC, 1.0, 1.0e9, 1.0);
    far["rssi"] = json!(-60);
    let mut ahead = fix(MAC, 301.0, 1.0, 1.0);
    ahead["mac"] = json!("aaaaaaaaaaaa");
    let nobody = json!({"site_id": SITE, "map_id": MAP, "x": 1, "y": 1, "timestamp": START_S});
    let when = json!({"site_id": SITE, "map_id": MAP, "mac": MAC, "x": 1, "y": 1, "timestamp": "soon"});
    let where_to = json!({"site_id": SITE, "map_id": MAP, "mac": MAC, "x": "here", "y": 1, "timestamp": START_S});
    let events = vec![json!(null), far, good, ahead, nobody, when, where_to, json!("text")];
    assert_eq!(app.deliver(&delivery("location", events)).await, receipt(1, 0, 7));
    let found = app.stop_and_ask("SELECT event_index, reason FROM quarantine ORDER BY event_index").await;
    let reasons = found.join("\n");
    for reason in ["beyond any floorplan", "ahead of its receipt", "nobody is named", "`timestamp`", "`x`"] {
        assert!(reasons.contains(reason), "{reason} is not in:\n{reasons}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_event_by_two_webhooks_and_two_topics_is_stored_once() {
    let app = TestApp::start().await;
    let event = fix(MAC, 0.0, 1.0, 1.0);
    app.deliver(&delivery("location", vec![event.clone()])).await;
    assert_eq!(app.deliver(&delivery("location-client", vec![event.clone()])).await, receipt(1, 1, 0));
    assert_eq!(app.deliver(&delivery("location_client", vec![event])).await, receipt(1, 1, 0));
    let updown = |extra: Value| {
        let mut event =
            json!({"site_id": SITE, "org_id": "o", "ap": "5c5b35000001", "type": "AP_RESTARTED", "timestamp": START_S});
        event.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        delivery("device-updowns", vec![event])
    };
    app.deliver(&updown(json!({}))).await;
    assert_eq!(app.deliver(&updown(json!({"for_site": true}))).await, receipt(1, 1, 0));
    let audit = |message: &str| {
        delivery("audits", vec![json!({"id": "a1", "message": message, "site_id": SITE, "timestamp": START_S})])
    };
    app.deliver(&audit("one")).await;
    assert_eq!(app.deliver(&audit("one")).await, receipt(1, 1, 0));
    let alarm = |count: u32| {
        delivery("alarms", vec![json!({"id": "x", "count": count, "site_id": SITE, "timestamp": START_S})])
    };
    app.deliver(&alarm(1)).await;
    assert_eq!(app.deliver(&alarm(1)).await, receipt(1, 1, 0));
    assert_eq!(app.deliver(&alarm(2)).await, receipt(1, 0, 0), "an update of an alarm is news");
    // The window outlives a restart.
    let app = app.restart().await;
    assert_eq!(app.deliver(&alarm(2)).await, receipt(1, 1, 0));
    assert_eq!(app.deliver(&delivery("location", vec![fix(MAC, 0.0, 1.0, 1.0)])).await, receipt(1, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_may_be_one_object_or_the_body_itself_in_any_dress() {
    let app = TestApp::start().await;
    let mut event = fix(MAC, 0.0, 1.0, 1.0);
    app.deliver(&json!({"events": event, "topic": "LOCATION"})).await;
    event["timestamp"] = json!((START_S + 1).to_string());
    event["topic"] = json!("location");
    app.deliver(&event).await;
    event["timestamp"] = json!((START_S + 2) * 1000);
    event["mac"] = json!("56:84:DA:E9:AC:8B");
    event["x"] = json!("1.5");
    app.deliver(&json!({"topic": "location", "events": [event]})).await;
    let found =
        app.stop_and_ask("SELECT client_id, epoch(event_at)::BIGINT, x_m FROM positions ORDER BY event_at").await;
    assert_eq!(
        found,
        [format!("{MAC} {} 1.0", START_S), format!("{MAC} {} 1.0", START_S + 1), format!("{MAC} {} 1.5", START_S + 2)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_without_a_time_is_dated_by_its_receipt_and_its_retry_is_known() {
    let app = TestApp::start().await;
    let event = json!({"site_id": SITE, "map_id": MAP, "mac": MAC, "x": 1, "y": 1});
    app.deliver(&delivery("location", vec![event.clone()])).await;
    app.clock.set((START_S + 5) * 1000);
    assert_eq!(app.deliver(&delivery("location", vec![event.clone()])).await, receipt(1, 1, 0));
    app.clock.set((START_S + 90) * 1000);
    assert_eq!(app.deliver(&delivery("location", vec![event])).await, receipt(1, 0, 0), "still there, not a retry");
    let found = app.stop_and_ask("SELECT epoch(event_at)::BIGINT, is_received_time FROM positions ORDER BY 1").await;
    assert_eq!(found, [format!("{START_S} true"), format!("{} true", START_S + 90)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_client_is_told_by_type_and_topic() {
    let app = TestApp::start().await;
    let event = |extra: Value| {
        let mut event = json!({"site_id": SITE, "map_id": MAP, "x": 1, "y": 1, "timestamp": START_S});
        event.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        event
    };
    let sdk = "de87bf9d-183f-e383-cc68-6ba43947d403";
    let tag = json!({"type": "asset", "mac": "7fc2936fd243", "battery_voltage": "3370", "ibeacon_major": 13});
    app.deliver(&delivery(
        "location",
        vec![
            event(json!({"type": "sdk", "id": sdk, "name": "Ann"})),
            event(json!({"type": "wifi", "mac": MAC, "rssi": -60.5})),
            event(tag),
        ],
    ))
    .await;
    app.deliver(&delivery("location-unclient", vec![event(json!({"type": "wifi", "mac": MAC}))])).await;
    app.deliver(&delivery("location-sdk", vec![event(json!({"id": sdk}))])).await;
    let dir = app.stop().await;
    let path = dir.path().join("footfall.duckdb");
    let clients = crate::harness::ask(&path, "SELECT kind, client_id, coalesce(name, '-') FROM clients ORDER BY kind");
    assert_eq!(
        clients,
        [
            "asset 7fc2936fd243 -".to_owned(),
            format!("sdk {sdk} Ann"),
            format!("unconnected {MAC} -"),
            format!("wifi {MAC} -")
        ]
    );
    assert_eq!(crate::harness::ask(&path, "SELECT battery_mv, ibeacon_major FROM beacons"), ["3370 13"]);
    assert_eq!(crate::harness::ask(&path, "SELECT rssi_dbm FROM positions WHERE kind = 'wifi'"), ["-60.5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_nobody_knows_is_kept_whole() {
    let app = TestApp::start().await;
    let event = json!({"id": 5, "site_id": SITE, "type": "T", "odd": [1, {"a": null}], "timestamp": START_S});
    app.deliver(&delivery("brand_new-topic", vec![event])).await;
    let found = app.stop_and_ask("SELECT topic, event_id, event_type, body->>'$.odd[1].a' IS NULL FROM events").await;
    assert_eq!(found, ["brand-new-topic 5 T true"]);
}

fn receipt(events: u32, duplicates: u32, quarantined: u32) -> Value {
    json!({"events": events, "duplicates": duplicates, "late": 0, "unmatched_exits": 0, "quarantined": quarantined})
}
