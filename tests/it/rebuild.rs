//! Visits derived anew are what live gave, or would have given had the zones been there and the events in order.

use std::path::Path;
use std::time::Duration;

use footfall::check;
use footfall::cli::Replay;
use footfall::replay;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::forum::{self, Forum};
use crate::harness::process::Server;
use crate::harness::{DESK, LOBBY, MAP, SITE, START_S, TestApp, ask, crowd, delivery, fix};
use crate::replay::{VISITS, arguments};

/// A server with its clock after everything that the files hold.
async fn late_server() -> TestApp {
    let app = TestApp::start().await;
    app.clock.set((START_S + 100_000) * 1000);
    app
}

async fn upload(app: &TestApp, map: &Value) -> Value {
    let (status, answer) = app.call(Method::PUT, &format!("/v1/maps/{MAP}"), Some(map.clone())).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

async fn play(app: &TestApp, file: &Path) {
    let unhurried = arguments(format!("{}/v1/webhooks/mist", app.base), file);
    replay::run(Replay { batch: Some(50), ..unhurried }).await.unwrap();
}

/// Asks for a rebuild and waits until it is done.
async fn rebuild(app: &TestApp, request: Value) -> Value {
    let (status, asked) = app.call(Method::POST, "/v1/rebuilds", Some(request)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{asked}");
    wait_for(app, &asked).await
}

async fn wait_for(app: &TestApp, asked: &Value) -> Value {
    for _ in 0..2000 {
        let found = app.get(&format!("/v1/rebuilds/{}", asked["rebuild_id"])).await;
        match found["state"].as_str().unwrap() {
            "queued" | "running" => tokio::time::sleep(Duration::from_millis(10)).await,
            "done" => return found,
            other => panic!("{other}: {found}"),
        }
    }
    panic!("the rebuild does not end");
}

/// The visits of a server that stops now, its file checked.
async fn visits(app: TestApp) -> Vec<String> {
    let dir = app.stop().await;
    let path = dir.path().join("footfall.duckdb");
    assert_eq!(format!("{:?}", check::run(&path).unwrap()), format!("{:?}", std::process::ExitCode::SUCCESS));
    ask(&path, VISITS)
}

/// What live makes of a file when the zones are there from the beginning and every delivery comes in order.
async fn live(map: &Value, file: &Path) -> Vec<String> {
    let app = late_server().await;
    upload(&app, map).await;
    play(&app, file).await;
    visits(app).await
}

/// The lines of a file in any order, in a file of its own.
fn shuffled(file: &Path, dir: &TempDir, seed: u64) -> std::path::PathBuf {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.shuffle(&mut StdRng::seed_from_u64(seed));
    let path = dir.path().join("shuffled.ndjson");
    std::fs::write(&path, lines.join("\n")).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_day_rebuilt_is_what_live_gave() {
    let Some(Forum { map, file, expected, dir: _dir }) = forum::load() else { return };
    let app = late_server().await;
    upload(&app, &map).await;
    play(&app, &file).await;
    let done = rebuild(&app, json!({})).await;
    assert_eq!((&done["visits"], &done["replaced_visits"]), (&json!(expected.len()), &json!(expected.len())));
    assert_eq!(visits(app).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn zones_uploaded_after_the_real_day_find_its_visits() {
    let Some(Forum { map, file, expected, dir: _dir }) = forum::load() else { return };
    let app = late_server().await;
    play(&app, &file).await;
    let offer = upload(&app, &map).await["rebuild_offer"].clone();
    assert_eq!(offer["fixes"], 14_534, "{offer}");
    assert_eq!(offer["message"], "14,534 fixes on this map since 2026-07-01T08:00:10.556Z: rebuild?");
    let done = rebuild(&app, offer["request"].clone()).await;
    assert_eq!(done["replaced_visits"], 0);
    assert_eq!(visits(app).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_day_in_any_order_is_put_right_by_a_rebuild() {
    let Some(Forum { map, file, expected, dir }) = forum::load() else { return };
    let app = late_server().await;
    upload(&app, &map).await;
    play(&app, &shuffled(&file, &dir, 5)).await;
    rebuild(&app, json!({ "map_id": MAP })).await;
    assert_eq!(visits(app).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_made_up_crowd_in_any_order_is_put_right_by_a_rebuild() {
    for seed in [31, 32, 33] {
        let (map, file, dir) = crowd::recorded(seed);
        let app = late_server().await;
        upload(&app, &map).await;
        play(&app, &shuffled(&file, &dir, seed)).await;
        rebuild(&app, json!({ "site_id": SITE })).await;
        assert_eq!(visits(app).await, live(&map, &file).await, "seed {seed}");
    }
}

/// Rebuilds now and then while deliveries come, with restarts between: nothing of it shows in the end.
#[tokio::test(flavor = "multi_thread")]
async fn rebuilds_and_restarts_on_the_way_change_nothing() {
    let (map, file, _dir) = crowd::recorded(41);
    let unbroken = live(&map, &file).await;
    let mut app = late_server().await;
    upload(&app, &map).await;
    let text = std::fs::read_to_string(&file).unwrap();
    let zone = map["zones"][4]["id"].clone();
    let requests = [json!({}), json!({ "map_id": MAP }), json!({ "area_id": zone }), json!({"from": "-24h"})];
    for (number, line) in text.lines().enumerate() {
        app.deliver(&serde_json::from_str(line).unwrap()).await;
        if number % 25 == 24 {
            app.run_on_to(100_000.0 + number as f64).await;
            let asked = requests[number / 25 % 4].clone();
            if number % 50 == 24 {
                rebuild(&app, asked).await;
            } else {
                // Left to be done by the next run, or while it takes deliveries.
                app.call(Method::POST, "/v1/rebuilds", Some(asked)).await;
            }
            if number % 100 == 99 {
                app = app.restart().await;
            }
        }
    }
    let end = json!({"topic": "ping", "events": [{"site_id": SITE, "id": "x", "timestamp": START_S + 50_000}]});
    app.deliver(&end).await;
    rebuild(&app, json!({"from": "2026-07-01T08:05:00Z", "to": "2026-07-01T08:06:00Z"})).await;
    assert_eq!(visits(app).await, unbroken);
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_go_on_and_readers_see_old_or_new() {
    let (map, file, _dir) = crowd::recorded(47);
    let unbroken = live(&map, &file).await;
    let app = late_server().await;
    upload(&app, &map).await;
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (first, rest) = lines.split_at(lines.len() / 2);
    for line in first {
        app.deliver(line).await;
    }
    let mut asked = Vec::new();
    for (number, line) in rest.iter().enumerate() {
        if number % 30 == 0 {
            let (_, answer) = app.call(Method::POST, "/v1/rebuilds", Some(json!({}))).await;
            asked.push(answer);
        }
        app.deliver(line).await;
        // A client is in an area once: a mixture of old and new would show it twice, or not at all.
        let occupancy = app.get("/v1/occupancy").await;
        let now: i64 =
            occupancy["areas"].as_array().unwrap().iter().map(|area| area["current"].as_i64().unwrap()).sum();
        assert!(now > 0 && now < 60, "{now}");
    }
    for asked in asked {
        wait_for(&app, &asked).await;
    }
    let end = json!({"topic": "ping", "events": [{"site_id": SITE, "id": "x", "timestamp": START_S + 50_000}]});
    app.deliver(&end).await;
    assert_eq!(visits(app).await, unbroken);
}

/// A visit of the question below: who, where, from when to when in seconds.
fn split(visit: &str) -> (String, f64, f64) {
    let cells: Vec<&str> = visit.split(' ').collect();
    let seconds = |ms: &str| ms.parse::<i64>().map_or(f64::INFINITY, |ms| (ms - START_S * 1000) as f64 / 1000.0);
    (format!("{} {}", cells[0], cells[1]), seconds(cells[2]), seconds(cells[3]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_period_brings_a_new_zone_the_visits_that_touch_it_whole() {
    let (map, file, _dir) = crowd::recorded(53);
    let all = live(&map, &file).await;
    let mut rng = StdRng::seed_from_u64(53);
    for _ in 0..6 {
        let from = rng.random_range(0..1100);
        let to = rng.random_range(from + 1..1300);
        let app = late_server().await;
        play(&app, &file).await;
        upload(&app, &map).await;
        let at = |s: i64| chrono::DateTime::from_timestamp(START_S + s, 0).unwrap().to_rfc3339();
        rebuild(&app, json!({"from": at(from), "to": at(to)})).await;
        let touching = |visit: &&String| {
            let (_, entered, exited) = split(visit);
            entered < to as f64 && (exited > from as f64 || entered >= from as f64)
        };
        let expected: Vec<String> = all.iter().filter(touching).cloned().collect();
        assert_eq!(app.stop_and_ask(VISITS).await, expected, "{from} to {to}");
    }
}

/// Zones moved by a few metres, a period rebuilt: nobody is anywhere twice, what touches the period is as the new
/// zones have it, what lies apart from it as the old ones.
#[tokio::test(flavor = "multi_thread")]
async fn a_period_rebuilt_after_zones_moved_leaves_no_seam() {
    let (map, file, _dir) = crowd::recorded(59);
    let mut moved = map.clone();
    for zone in moved["zones"].as_array_mut().unwrap() {
        for vertex in zone["vertices_m"].as_array_mut().unwrap() {
            vertex["x"] = json!(vertex["x"].as_f64().unwrap() + 3.0);
        }
    }
    let (old, new) = (live(&map, &file).await, live(&moved, &file).await);
    let mut rng = StdRng::seed_from_u64(59);
    for _ in 0..6 {
        let from = rng.random_range(0..1000);
        let to = rng.random_range(from + 30..1200);
        let app = late_server().await;
        upload(&app, &map).await;
        play(&app, &file).await;
        upload(&app, &moved).await;
        let at = |s: i64| chrono::DateTime::from_timestamp(START_S + s, 0).unwrap().to_rfc3339();
        rebuild(&app, json!({"map_id": MAP, "from": at(from), "to": at(to)})).await;
        let found = app.stop_and_ask(VISITS).await;
        let (from, to) = (from as f64, to as f64);
        let mut before: std::collections::HashMap<String, f64> = Default::default();
        for visit in &found {
            let (whose, entered, exited) = split(visit);
            assert!(before.insert(whose, exited).is_none_or(|earlier| earlier <= entered), "twice at once: {visit}");
            assert!(old.contains(visit) || new.contains(visit), "of neither: {visit}");
            if entered < to && exited > from {
                assert!(new.contains(visit), "touches, but is not as the new zones have it: {visit}");
            }
        }
        let touching = |visit: &&String| {
            let (_, entered, exited) = split(visit);
            entered < to && exited > from
        };
        assert!(new.iter().filter(touching).all(|visit| found.contains(visit)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reported_visits_are_put_right_too() {
    let mut rng = StdRng::seed_from_u64(61);
    let mut events = Vec::new();
    for client in 0..6 {
        let mut at_s = 0;
        for _ in 0..40 {
            at_s += rng.random_range(1..400);
            let room = format!("room{}", rng.random_range(0..3));
            let trigger = if rng.random_bool(0.5) { "enter" } else { "exit" };
            events.push((
                at_s,
                json!({"site_id": SITE, "rssizone_id": room, "mac": format!("0000000000{client:02x}"),
                    "trigger": trigger, "timestamp": START_S + at_s}),
            ));
        }
    }
    events.sort_by_key(|(at_s, _)| *at_s);
    let reported = VISITS.replace("'computed'", "'reported'");
    let app = late_server().await;
    for (_, event) in &events {
        app.deliver(&delivery("rssizone", vec![event.clone()])).await;
    }
    let in_order = app.stop_and_ask(&reported).await;
    assert!(in_order.len() > 30, "{}", in_order.len());
    let app = late_server().await;
    events.shuffle(&mut rng);
    for (_, event) in &events {
        app.deliver(&delivery("rssizone", vec![event.clone()])).await;
    }
    rebuild(&app, json!({})).await;
    assert_eq!(app.stop_and_ask(&reported).await, in_order);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_fix_that_a_rebuild_put_in_place_counts_after_a_restart_too() {
    let app = TestApp::start().await;
    app.clock.set((START_S + 60) * 1000);
    app.upload_map().await;
    let who = "00000000000a";
    // Inside, out at 5 s and at 9 s; late comes word that it was inside at 7 s.
    app.deliver(&delivery(
        "location",
        vec![fix(who, 0.0, 5.0, 5.0), fix(who, 5.0, 15.0, 15.0), fix(who, 9.0, 15.0, 15.0)],
    ))
    .await;
    app.deliver(&delivery("location", vec![fix(who, 7.0, 5.0, 5.0)])).await;
    rebuild(&app, json!({})).await;
    let app = app.restart().await;
    app.deliver(&delivery("location", vec![fix(who, 20.0, 15.0, 15.0)])).await;
    let found = app.stop_and_ask(VISITS).await;
    let ms = START_S * 1000;
    assert_eq!(found, [format!("{who} {LOBBY} {ms} {} left", ms + 9_000)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_what_if_says_what_the_zone_would_count_and_keeps_nothing() {
    let (map, file, _dir) = crowd::recorded(67);
    let app = late_server().await;
    upload(&app, &map).await;
    play(&app, &file).await;
    let corners = map["zones"][4]["vertices_m"].as_array().unwrap();
    let mut ring: Vec<Value> = corners.iter().map(|vertex| json!([vertex["x"], vertex["y"]])).collect();
    ring.push(ring[0].clone());
    let zone = map["zones"][4]["id"].as_str().unwrap();
    for (from, to) in [("08:00:00", "08:30:00"), ("08:04:10", "08:07:03"), ("08:10:00", "08:10:30")] {
        let (from, to) = (format!("2026-07-01T{from}Z"), format!("2026-07-01T{to}Z"));
        let asked = json!({"map_id": MAP, "polygon": [ring.clone()], "from": from, "to": to, "bucket": "1m"});
        let (status, found) = app.call(Method::POST, "/v1/what-if/zones", Some(asked)).await;
        assert_eq!(status, StatusCode::OK, "{found}");
        let period = format!("area={zone}&from={from}&to={to}");
        assert_eq!(found["occupancy"], app.get(&format!("/v1/occupancy/series?{period}&bucket=1m")).await);
        assert_eq!(found["dwell"], app.get(&format!("/v1/dwell?{period}")).await);
        assert!(found["dwell"]["count"].as_i64().unwrap() > 0, "{found}");
    }
    let areas = app.get("/v1/areas").await;
    assert_eq!(areas["areas"].as_array().unwrap().len(), 9);
    for (polygon, reason) in [
        (json!([[[0, 0], [4, 0], [4, 4]]]), "open"),
        (json!([[[0, 0], [4, 4], [4, 0], [0, 3], [0, 0]]]), "not valid"),
        (json!({"type": "Point", "coordinates": [1, 2]}), "Point"),
    ] {
        let asked = json!({"map_id": MAP, "polygon": polygon});
        let (status, answer) = app.call(Method::POST, "/v1/what-if/zones", Some(asked)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
        assert!(answer.to_string().contains(reason), "{answer}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_can_be_given_up_and_survives_a_kill() {
    let (map, file, _dir) = crowd::recorded(71);
    let expected = live(&map, &file).await;
    let dir = TempDir::new().unwrap();
    let mut server = Server::start(dir.path());
    let client = reqwest::Client::new();
    replay::run(arguments(format!("{}/v1/webhooks/mist", server.base), &file)).await.unwrap();
    client.put(format!("{}/v1/maps/{MAP}", server.base)).json(&map).send().await.unwrap();
    // Nobody waits for these: some are over, some under way and some in the line when the server is killed.
    for _ in 0..3 {
        client.post(format!("{}/v1/rebuilds", server.base)).json(&json!({})).send().await.unwrap();
    }
    let last: Value = client
        .post(format!("{}/v1/rebuilds", server.base))
        .json(&json!({}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    server.kill_and_restart(dir.path());
    let url = format!("{}/v1/rebuilds/{}", server.base, last["rebuild_id"]);
    loop {
        let found: Value = client.get(&url).send().await.unwrap().json().await.unwrap();
        if found["state"] == "done" {
            break;
        }
        assert!(found["state"] == "queued" || found["state"] == "running", "{found}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let over = client.delete(&url).send().await.unwrap();
    assert_eq!(over.status(), StatusCode::CONFLICT);
    drop(client);
    server.stop();
    let path = dir.path().join("footfall.duckdb");
    assert_eq!(ask(&path, VISITS), expected);
    assert_eq!(ask(&path, "SELECT DISTINCT state FROM rebuilds"), ["done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_rebuild_that_is_cancelled_is_never_done() {
    let (map, file, _dir) = crowd::recorded(73);
    let app = late_server().await;
    upload(&app, &map).await;
    play(&app, &file).await;
    let mut asked = Vec::new();
    for _ in 0..5 {
        asked.push(app.call(Method::POST, "/v1/rebuilds", Some(json!({}))).await.1);
    }
    let url = format!("/v1/rebuilds/{}", asked[4]["rebuild_id"]);
    let (status, answer) = app.call(Method::DELETE, &url, None).await;
    assert_eq!((status, &answer["state"]), (StatusCode::ACCEPTED, &json!("cancelled")));
    wait_for(&app, &asked[3]).await;
    let list = app.get("/v1/rebuilds").await;
    let states: Vec<&str> =
        list["rebuilds"].as_array().unwrap().iter().map(|rebuild| rebuild["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["cancelled", "done", "done", "done", "done"]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_refused() {
    let app = TestApp::start().await;
    app.upload_map().await;
    for (body, status) in [
        (json!({"site_id": "nowhere"}), StatusCode::NOT_FOUND),
        (json!({"map_id": "nowhere"}), StatusCode::NOT_FOUND),
        (json!({"area_id": "nowhere"}), StatusCode::NOT_FOUND),
        (json!({"map_id": MAP, "area_id": DESK}), StatusCode::BAD_REQUEST),
        (json!({"from": "yesterday"}), StatusCode::BAD_REQUEST),
        (json!({"from": "-1h", "to": "-2h"}), StatusCode::BAD_REQUEST),
        (json!({"form": "-1h"}), StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(app.call(Method::POST, "/v1/rebuilds", Some(body.clone())).await.0, status, "{body}");
    }
    assert_eq!(app.call(Method::GET, "/v1/rebuilds/7", None).await.0, StatusCode::NOT_FOUND);
    let (status, offer) = app.call(Method::POST, "/v1/rebuilds?dry_run=true", Some(json!({"area_id": DESK}))).await;
    assert_eq!((status, &offer["fixes"]), (StatusCode::OK, &json!(0)));
    assert_eq!(app.get("/v1/rebuilds").await["rebuilds"], json!([]));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_uploaded_is_listed_with_its_counts() {
    let app = TestApp::start().await;
    app.upload_map().await;
    let elsewhere = |mac: &str, at_s: f64| {
        let mut event = fix(mac, at_s, 1.0, 1.0);
        event["map_id"] = json!("attic");
        event
    };
    app.deliver(&delivery("location", vec![elsewhere("0a", 0.0), elsewhere("0a", 2.0), elsewhere("0b", 1.0)])).await;
    app.deliver(&delivery("location", vec![fix("0a", 3.0, 1.0, 1.0)])).await;
    let zone = json!({"site_id": SITE, "map_id": MAP, "zone_id": "cellar", "mac": "00000000000a", "trigger": "enter",
        "timestamp": START_S, "type": "client"});
    app.deliver(&delivery("zone", vec![zone])).await;
    let found = app.get(&format!("/v1/unmapped?site={SITE}")).await;
    assert_eq!(
        found,
        json!({
            "maps": [{"map_id": "attic", "site_id": SITE, "events": 3, "fixes": 3, "clients": 2,
                "first_event_at": "2026-07-01T08:00:00.000Z", "last_event_at": "2026-07-01T08:00:02.000Z"}],
            "areas": [{"area_id": "cellar", "kind": "zone", "site_id": SITE, "map_id": MAP, "events": 1, "clients": 1,
                "first_event_at": "2026-07-01T08:00:00.000Z", "last_event_at": "2026-07-01T08:00:00.000Z"}]
        })
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_that_is_put_by_itself_brings_up_the_past_of_its_map() {
    let app = late_server().await;
    app.upload_map().await;
    for second in 0..3 {
        app.deliver(&delivery("location", vec![fix("000000000001", f64::from(second), 15.0, 15.0)])).await;
    }
    let corner = json!({"site_id": SITE, "map_id": MAP, "name": "Corner", "vertices_m": [
        {"x": 12, "y": 12}, {"x": 18, "y": 12}, {"x": 18, "y": 18}, {"x": 12, "y": 18}]});
    let (status, answer) = app.call(Method::PUT, "/v1/areas/corner", Some(corner)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["rebuild_offer"]["fixes"], 3, "{answer}");
    let done = rebuild(&app, answer["rebuild_offer"]["request"].clone()).await;
    assert_eq!((&done["visits"], &done["replaced_visits"]), (&json!(1), &json!(0)));
}
