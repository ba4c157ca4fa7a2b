//! Rules, what fires and what is over, who is told, and that the past would have been the same.

use std::path::Path;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{DESK, LOBBY, MAP, SITE, START_S, TestApp, crowd, delivery, fix};
use crate::replay::arguments;

fn above(limit: u32) -> Value {
    json!({"name": "Lobby too full", "area_id": LOBBY, "condition": "above", "limit_clients": limit})
}

async fn make_rule(app: &TestApp, rule: Value) -> i64 {
    let (status, made) = app.call(Method::POST, "/v1/alert-rules", Some(rule)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made["rule_id"].as_i64().unwrap()
}

async fn alerts(app: &TestApp, query: &str) -> Vec<Value> {
    app.get(&format!("/v1/alerts{query}")).await["alerts"].as_array().unwrap().clone()
}

/// So many clients in the lobby.
async fn fill(app: &TestApp, clients: std::ops::Range<u32>, at_s: f64) {
    let fixes = clients.map(|client| fix(&format!("0000000000{client:02x}"), at_s, 8.0, 8.0)).collect();
    app.deliver(&delivery("location", fixes)).await;
}

/// Clients leave the lobby: outside at once, and for good a grace later.
async fn empty(app: &TestApp, clients: std::ops::Range<u32>, at_s: f64) {
    for later_s in [0.0, 10.0] {
        let gone = |client: u32| fix(&format!("0000000000{client:02x}"), at_s + later_s, 15.0, 15.0);
        app.deliver(&delivery("location", clients.clone().map(gone).collect())).await;
    }
}

fn time(seconds: f64) -> String {
    footfall::model::time::rfc3339(START_S * 1000 + (seconds * 1000.0) as i64)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_fires_once_and_is_over_once_whatever_jitters_in_between() {
    let app = TestApp::start().await;
    app.upload_map().await;
    let rule = json!({"name": "Full", "area_id": LOBBY, "condition": "above", "limit_clients": 4, "clear_clients": 2,
        "for_s": 30, "severity": "critical", "message": "Open the second door"});
    let rule = make_rule(&app, rule).await;
    fill(&app, 0..5, 0.0).await;
    assert!(alerts(&app, "").await.is_empty(), "not for long enough yet");
    fill(&app, 0..5, 29.0).await;
    fill(&app, 0..5, 31.0).await;
    // One after another goes and comes back: four, five, four, five.
    for round in 0..5 {
        empty(&app, 4..5, 40.0 + f64::from(round) * 20.0).await;
        fill(&app, 0..5, 55.0 + f64::from(round) * 20.0).await;
    }
    empty(&app, 0..3, 200.0).await;
    let fired = alerts(&app, "").await;
    assert_eq!(fired.len(), 1, "{fired:?}");
    let alert = &fired[0];
    let told = ["rule_id", "state", "severity", "since", "fired_at", "clients", "resolved_at", "resolved_clients"];
    let told: Vec<&Value> = told.iter().map(|name| &alert[*name]).collect();
    let expected = json!([rule, "resolved", "critical", time(0.0), time(30.0), 5, time(210.0), 2]);
    assert_eq!(json!(told), expected);
    assert_eq!(alert["resolution"], "cleared");
    assert_eq!(alert["summary"], "No longer more than 4 clients in Lobby: 2");
    let rows = app.stop_and_ask("SELECT rule_name, area_name, clients, resolution FROM alerts").await;
    assert_eq!(rows, ["Full Lobby 5 cleared"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_fires_nothing_again_and_forgets_nothing_that_is_due() {
    let mut app = TestApp::start().await;
    app.upload_map().await;
    make_rule(&app, above(1)).await;
    make_rule(&app, json!({"for_s": 50, "name": "Soon", "area_id": LOBBY, "condition": "above", "limit_clients": 0}))
        .await;
    fill(&app, 0..2, 0.0).await;
    for second in [1, 2, 3] {
        app = app.restart().await;
        fill(&app, 0..2, f64::from(second)).await;
    }
    let fired = alerts(&app, "").await;
    assert_eq!(fired.len(), 1, "{fired:#?}");
    app = app.restart().await;
    app.run_on_to(46.0).await;
    assert_eq!(alerts(&app, "?state=firing").await.len(), 1);
    app = app.restart().await;
    app.run_on_to(100.0).await;
    let fired = alerts(&app, "?state=firing").await;
    assert_eq!(fired.len(), 2, "{fired:?}");
    assert_eq!(fired[0]["fired_at"], json!(time(50.0)), "when it was due, not when it was seen");
    app = app.restart().await;
    empty(&app, 0..2, 120.0).await;
    app = app.restart().await;
    assert!(alerts(&app, "?state=firing").await.is_empty());
    assert_eq!(alerts(&app, "").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn sites_maps_tags_stays_and_silence_are_watched_too() {
    let app = TestApp::start().await;
    app.upload_map().await;
    let tagged = json!({"map_id": MAP, "name": "Kiosk", "type": "Feature", "properties": {"tags": ["shop"]},
        "geometry": {"type": "Polygon", "coordinates": [[[4, 4], [9, 4], [9, 9], [4, 9], [4, 4]]]}});
    let (status, answer) = app.call(Method::PUT, "/v1/areas/kiosk", Some(tagged)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    for rule in [
        json!({"name": "site", "site_id": SITE, "condition": "above", "limit_clients": 1}),
        json!({"name": "map", "map_id": MAP, "condition": "above", "limit_clients": 1}),
        json!({"name": "tag", "tag": "shop", "condition": "above", "limit_clients": 0}),
        json!({"name": "desk", "area_id": DESK, "condition": "below", "limit_clients": 1, "for_s": 60}),
        json!({"name": "stay", "area_id": LOBBY, "condition": "dwell", "for_s": 100}),
        json!({"name": "quiet", "map_id": MAP, "condition": "no_data", "for_s": 200}),
    ] {
        make_rule(&app, rule).await;
    }
    fill(&app, 0..2, 0.0).await;
    fill(&app, 0..1, 90.0).await;
    app.run_on_to(205.0).await;
    let mut told: Vec<String> = alerts(&app, "")
        .await
        .iter()
        .map(|alert| format!("{} {} {}", alert["rule_name"], alert["fired_at"], alert["clients"]).replace('"', ""))
        .collect();
    told.sort();
    let expected = [
        format!("desk {} 0", time(60.0)),
        format!("map {} 2", time(0.0)),
        format!("quiet {} 0", time(290.0)),
        format!("site {} 2", time(0.0)),
        format!("stay {} 1", time(100.0)),
        format!("stay {} 1", time(100.0)),
        format!("tag {} 1", time(0.0)),
    ];
    assert_eq!(told, expected);
    let stay = &alerts(&app, "?rule=5").await[0];
    assert_eq!(stay["client_kind"], "wifi");
    assert!(stay["summary"].as_str().unwrap().contains("has been in Lobby for more than 100 s"), "{stay}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_name_goes_on_and_another_limit_begins_anew() {
    let app = TestApp::start().await;
    app.upload_map().await;
    let rule = make_rule(&app, above(1)).await;
    fill(&app, 0..2, 0.0).await;
    let path = format!("/v1/alert-rules/{rule}");
    let renamed = json!({"name": "Renamed", "area_id": LOBBY, "condition": "above", "limit_clients": 1});
    let (status, answer) = app.call(Method::PUT, &path, Some(renamed)).await;
    assert_eq!((status, &answer["version"]), (StatusCode::OK, &json!(2)));
    app.run_on_to(1.0).await;
    assert_eq!(alerts(&app, "?state=firing").await.len(), 1);
    app.call(Method::PUT, &path, Some(above(0))).await;
    app.run_on_to(2.0).await;
    let both = alerts(&app, "").await;
    assert_eq!(both.len(), 2);
    assert_eq!((&both[0]["rule_version"], &both[1]["resolution"]), (&json!(3), &json!("rule_changed")));
    let (status, _) = app.call(Method::DELETE, &path, None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    app.run_on_to(3.0).await;
    assert!(alerts(&app, "?state=firing").await.is_empty());
    let versions = app.get(&format!("{path}/versions")).await;
    assert_eq!(versions["versions"].as_array().unwrap().len(), 3);
    assert_eq!(app.call(Method::DELETE, &path, None).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_makes_no_sense_is_refused_with_the_reason() {
    let app = TestApp::start().await;
    app.upload_map().await;
    for (wrong, told) in [
        (json!({"name": ""}), "name"),
        (json!({"area_id": null}), "give one of"),
        (json!({"map_id": MAP}), "give one of"),
        (json!({"area_id": "nowhere"}), "there is no area"),
        (json!({"condition": "around"}), "above, below, dwell or no_data"),
        (json!({"limit_clients": null}), "limit_clients"),
        (json!({"clear_clients": 9}), "clear_clients"),
        (json!({"condition": "below", "limit_clients": 0}), "limit_clients"),
        (json!({"condition": "dwell"}), "limit_clients"),
        (json!({"condition": "dwell", "limit_clients": null}), "for_s"),
        (json!({"condition": "no_data", "limit_clients": null, "for_s": 60}), "site_id"),
        (json!({"severity": "loud"}), "info, warning or critical"),
        (json!({"for_s": -1}), "for_s"),
        (json!({"repeat_s": 1}), "repeat_s"),
        (json!({"schedule": []}), "schedule"),
        (json!({"schedule": [{"days": ["mon"], "from": "18:00", "to": "08:00"}]}), "schedule"),
        (json!({"schedule": [{"days": ["someday"], "from": "08:00", "to": "18:00"}]}), "schedule"),
    ] {
        let mut rule = above(5);
        rule.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        let (status, answer) = app.call(Method::POST, "/v1/alert-rules", Some(rule)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert!(answer["detail"].as_str().unwrap().contains(told), "{wrong}: {answer}");
    }
    let (status, answer) = app.call(Method::POST, "/v1/alert-rules", Some(json!({"name": "x", "limt": 5}))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer["detail"].as_str().unwrap().contains("limt"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uploaded_limit_offers_a_rule_until_there_is_one() {
    let app = TestApp::start().await;
    let zone = json!({"id": LOBBY, "name": "Lobby", "occupancy_limit": 20, "vertices_m": [{"x": 0, "y": 0}, {"x": 9, "y": 0}, {"x": 9, "y": 9}]});
    let map = json!({"site_id": SITE, "name": "Ground", "width_m": 20.0, "height_m": 20.0, "zones": [zone]});
    app.call(Method::PUT, &format!("/v1/maps/{MAP}"), Some(map)).await;
    let offers = app.get("/v1/alert-rules").await["offers"].clone();
    assert_eq!(offers[0]["name"], "More than 20 in Lobby");
    assert_eq!(offers[0]["limit_clients"], 20);
    make_rule(&app, offers[0].clone()).await;
    let rules = app.get("/v1/alert-rules").await;
    assert_eq!((rules["alert_rules"].as_array().unwrap().len(), &rules["offers"]), (1, &json!([])));
}

/// Replays the crowd in deliveries of `batch` events; every alert by rule and time, and the folder with the file.
async fn replayed(file: &Path, map: &Value, batch: usize, rules: &[Value]) -> (Vec<String>, TestApp) {
    let app = TestApp::start().await;
    let (status, answer) = app.call(Method::PUT, &format!("/v1/maps/{MAP}"), Some(map.clone())).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    for rule in rules {
        make_rule(&app, rule.clone()).await;
    }
    let mut arguments = arguments(format!("{}/v1/webhooks/mist", app.base), file);
    arguments.batch = Some(batch);
    app.clock.set((START_S + 1200) * 1000);
    footfall::replay::run(arguments).await.unwrap();
    app.run_on_to(3000.0).await;
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app.get(&format!("/v1/alerts?limit=1000{cursor}")).await;
        found.extend(page["alerts"].as_array().unwrap().iter().map(line));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    found.sort();
    (found, app)
}

/// The same events in order of time, beside the file.
fn in_order(file: &Path) -> std::path::PathBuf {
    let text = std::fs::read_to_string(file).unwrap();
    let mut events: Vec<Value> = text
        .lines()
        .flat_map(|line| serde_json::from_str::<Value>(line).unwrap()["events"].as_array().unwrap().clone())
        .collect();
    events.sort_by(|a, b| a["timestamp"].as_f64().unwrap().total_cmp(&b["timestamp"].as_f64().unwrap()));
    let sorted = file.with_extension("sorted.ndjson");
    std::fs::write(&sorted, delivery("location", events).to_string()).unwrap();
    sorted
}

fn line(alert: &Value) -> String {
    let names = ["area_id", "client_id", "since", "fired_at", "clients", "resolved_at", "resolved_clients"];
    names.map(|name| alert[name].to_string()).join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_events_give_the_same_alerts_live_again_and_in_a_preview() {
    let (map, file, _dir) = crowd::recorded(41);
    let zone = |n: u32| format!("0d1f5a52-0000-4c00-8000-00000000000{n}");
    let rules = [
        json!({"name": "a", "area_id": zone(4), "condition": "above", "limit_clients": 3, "clear_clients": 2}),
        json!({"name": "b", "map_id": MAP, "condition": "below", "limit_clients": 9, "for_s": 5}),
        json!({"name": "c", "area_id": zone(0), "condition": "dwell", "for_s": 60}),
        json!({"name": "d", "site_id": SITE, "condition": "above", "limit_clients": 9, "for_s": 10}),
    ];
    let (first, _app) = replayed(&file, &map, 1000, &rules).await;
    assert!(first.len() > 20, "{}", first.len());
    for batch in [1, 7] {
        assert_eq!(replayed(&file, &map, batch, &rules).await.0, first, "in deliveries of {batch}");
    }
    // A preview takes every event in its place, as if it had come when it happened.
    let (first, app) = replayed(&in_order(&file), &map, 1000, &rules).await;
    let mut previewed = Vec::new();
    for rule in &rules {
        let asked = json!({"rule": rule, "from": time(-3600.0), "to": time(3000.0)});
        let (status, preview) = app.call(Method::POST, "/v1/alert-rules/preview", Some(asked)).await;
        assert_eq!(status, StatusCode::OK, "{preview}");
        assert_eq!(preview["count"], preview["alerts"].as_array().unwrap().len());
        previewed.extend(preview["alerts"].as_array().unwrap().iter().map(line));
    }
    previewed.sort();
    assert_eq!(previewed, first);
    // From the middle of the period on: what would have been there then is known.
    let asked = json!({"rule": rules[2], "from": time(600.0), "to": time(3000.0)});
    let (_, preview) = app.call(Method::POST, "/v1/alert-rules/preview", Some(asked)).await;
    let (from, found) = (time(600.0), preview["alerts"].as_array().unwrap());
    let stays = "WHERE rule_name = 'c' AND coalesce(resolved_at, 'infinity') > ";
    let live = app.stop_and_ask(&format!("SELECT count(*) FROM alerts {stays} '{from}'::TIMESTAMPTZ")).await;
    assert_eq!(live, [found.len().to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_and_paged_and_alerts_taken_on() {
    let app = TestApp::start().await;
    app.upload_map().await;
    make_rule(&app, above(0)).await;
    app.clock.set((START_S + 1000) * 1000);
    for round in 0..5 {
        fill(&app, 0..1, f64::from(round) * 100.0).await;
        empty(&app, 0..1, f64::from(round) * 100.0 + 50.0).await;
    }
    fill(&app, 0..1, 600.0).await;
    let page = app.get("/v1/alerts?limit=4").await;
    assert_eq!(page["alerts"].as_array().unwrap().len(), 4);
    let rest = app.get(&format!("/v1/alerts?limit=4&cursor={}", page["next_cursor"].as_str().unwrap())).await;
    assert_eq!((rest["alerts"].as_array().unwrap().len(), &rest["next_cursor"]), (2, &Value::Null));
    assert_eq!(alerts(&app, &format!("?area={LOBBY}&state=resolved&severity=warning")).await.len(), 5);
    assert_eq!(alerts(&app, &format!("?area={DESK}")).await.len(), 0);
    assert_eq!(alerts(&app, &format!("?from={}&to={}", time(100.0), time(301.0))).await.len(), 3);
    let (status, taken) = app
        .call(Method::POST, "/v1/alerts/6/acknowledge", Some(json!({"by": "Night shift", "note": "on my way"})))
        .await;
    assert_eq!((status, &taken["acknowledged_by"]), (StatusCode::OK, &json!("Night shift")));
    assert_eq!(app.call(Method::POST, "/v1/alerts/5/acknowledge", None).await.0, StatusCode::OK);
    assert_eq!(alerts(&app, "?acknowledged=true").await.len(), 2);
    assert_eq!(app.call(Method::POST, "/v1/alerts/99/acknowledge", None).await.0, StatusCode::NOT_FOUND);
    for query in ["?state=odd", "?limit=0", "?limit=many", "?cursor=x", "?rule=x", "?acknowledged=1", "?from=soon"] {
        let (status, answer) = app.call(Method::GET, &format!("/v1/alerts{query}"), None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {answer}");
    }
    let metrics = reqwest::get(format!("{}/metrics", app.base)).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("footfall_alerts_firing{severity=\"warning\"} 1"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_stream_begins_with_what_fires_and_ends_with_the_server() {
    let app = TestApp::start().await;
    app.upload_map().await;
    make_rule(&app, above(0)).await;
    fill(&app, 0..1, 0.0).await;
    let mut stream = app.client.get(format!("{}/v1/stream?topics=alerts&site={SITE}", app.base)).send().await.unwrap();
    let mut elsewhere =
        app.client.get(format!("{}/v1/stream?topics=alerts&site=elsewhere", app.base)).send().await.unwrap();
    async fn next(stream: &mut reqwest::Response) -> String {
        String::from_utf8(stream.chunk().await.unwrap().unwrap().to_vec()).unwrap()
    }
    let first = next(&mut stream).await;
    assert!(first.starts_with("event: alerts\n") && first.contains("More than 0 clients in Lobby: 1"), "{first}");
    assert!(next(&mut elsewhere).await.contains("{\"alerts\":[]}"));
    empty(&app, 0..1, 20.0).await;
    let second = next(&mut stream).await;
    assert!(second.starts_with("event: alert.resolved\n"), "{second}");
    app.stop().await;
    assert!(matches!(stream.chunk().await, Ok(None)), "the server ends it in good order");
    assert!(matches!(elsewhere.chunk().await, Ok(None)));
}
