//! What is old is deleted without harm to what is left, and who is erased is found nowhere.

use std::collections::BTreeMap;
use std::process::ExitCode;

use footfall::model::time::ReceivedAt;
use footfall::retention::{Kept, Rules, forget_old};
use footfall::{check, newest};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{LOBBY, MAP, SITE, START_S, TestApp, ask, crowd, delivery, fix};

const DAY_S: i64 = 86_400;

fn rules(events_days: Option<u32>, visits_days: Option<u32>) -> Rules {
    Rules { kept: Kept { events_days, visits_days }, sites: BTreeMap::new(), callbacks_days: Some(90) }
}

fn assert_checked(dir: &TempDir) {
    let code = check::run(&dir.path().join("footfall.duckdb")).unwrap();
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
}

/// The same clients on each of `days`, a minute apart, in and out of the lobby; the clock stands at their end.
async fn days_of_visits(app: &TestApp, days: i64) {
    app.upload_map().await;
    for day in 0..days {
        for client in 0..5 {
            let at_s = (day * DAY_S + client * 10) as f64;
            let mac = format!("0000000000{client:02x}");
            let walk = [(0.0, 5.0), (20.0, 5.0), (40.0, 15.0), (60.0, 15.0)];
            let events = walk.map(|(after_s, x)| fix(&mac, at_s + after_s, x, 5.0)).to_vec();
            app.clock.set((START_S + day * DAY_S + 100) * 1000);
            app.deliver(&delivery("location", events)).await;
        }
        let note = json!({"site_id": SITE, "mac": "000000000001", "timestamp": START_S + day * DAY_S});
        app.deliver(&delivery("client-join", vec![note])).await;
        app.deliver(&delivery(
            "location",
            vec![json!({"site_id": SITE, "mac": "00:00:00:00:00:01", "x": "no number"})],
        ))
        .await;
    }
}

async fn forget(app: &TestApp, rules: &Rules) -> usize {
    // What is noted of clients outlives their fixes.
    newest::note(&app.store, &app.pipeline, 0).await.unwrap();
    forget_old(&app.store, &app.pipeline, rules, app.clock.now()).await.unwrap()
}

async fn rebuild(app: &TestApp) {
    let (status, job) = app.call(Method::POST, "/v1/rebuilds", Some(json!({"site_id": SITE}))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    for _ in 0..400 {
        let state = app.get(&format!("/v1/rebuilds/{}", job["rebuild_id"])).await;
        if state["state"] == "done" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the rebuild is not done");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_is_deleted_and_visits_stay_as_they_are() {
    let app = TestApp::start().await;
    days_of_visits(&app, 10).await;
    let visits =
        async |app: &TestApp| app.get("/v1/visits?from=2026-06-01T00:00:00Z&limit=1000").await["visits"].clone();
    let before = visits(&app).await;
    assert_eq!(before.as_array().unwrap().len(), 50);
    // Four days back from the end of the tenth: six days of five clients with four fixes, their notes, what was no event.
    let deleted = forget(&app, &rules(Some(4), None)).await;
    assert!(deleted >= 5 * 5 * 4, "{deleted}");
    assert_eq!(forget(&app, &rules(Some(4), None)).await, 0, "a second time there is nothing");
    assert_eq!(visits(&app).await, before);
    // Nothing that a rebuild cannot derive any more is touched by it; what it can, is the same.
    rebuild(&app).await;
    let strip = |visits: &Value| -> Vec<Value> {
        let list = visits.as_array().unwrap().iter();
        let mut stripped: Vec<Value> =
            list.map(|visit| json!([visit["client_id"], visit["entered_at"], visit["exited_at"]])).collect();
        stripped.sort_by_key(Value::to_string);
        stripped
    };
    assert_eq!(strip(&visits(&app).await), strip(&before));
    let app = app.restart().await;
    assert_eq!(strip(&visits(&app).await), strip(&before));
    // It goes on, and is known again.
    app.deliver(&delivery("location", vec![fix("000000000000", (9 * DAY_S + 70) as f64, 5.0, 5.0)])).await;
    // Visits of which the events are gone may go, too.
    let deleted = forget(&app, &rules(Some(4), Some(7))).await;
    assert!(deleted > 0, "no visit was deleted");
    let left = visits(&app).await.as_array().unwrap().len();
    assert!((30..50).contains(&left), "{left}");
    // One who was there long ago and never again is known by no id once the server has started again.
    app.clock.set((START_S + 40 * DAY_S) * 1000);
    app.deliver(&delivery("location", vec![fix("000000000000", (40 * DAY_S) as f64, 5.0, 5.0)])).await;
    app.deliver(&delivery("location", vec![fix("000000000000", (40 * DAY_S) as f64 + 5.0, 5.0, 5.0)])).await;
    forget(&app, &rules(Some(4), Some(7))).await;
    let app = app.restart().await;
    app.deliver(&delivery("location", vec![fix("000000000000", (40 * DAY_S) as f64 + 9.0, 5.0, 5.0)])).await;
    let dir = app.stop().await;
    assert_checked(&dir);
    let known = ask(
        &dir.path().join("footfall.duckdb"),
        "SELECT count(*) FILTER (NOT starts_with(client_id, 'erased-')), count(*) FROM clients",
    );
    assert!(known[0].ends_with(" 5") && !known[0].starts_with('5'), "{known:?}");
    let oldest =
        ask(&dir.path().join("footfall.duckdb"), "SELECT min(event_at) >= '2026-07-06T00:00:00Z' FROM positions");
    assert_eq!(oldest, ["true"]);
    let bad = ask(&dir.path().join("footfall.duckdb"), "SELECT count(*) < 10 FROM quarantine");
    assert_eq!(bad, ["true"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_that_goes_on_over_the_bound_is_not_cut_by_a_rebuild() {
    let app = TestApp::start().await;
    app.upload_map().await;
    // In the lobby from the first day to the third, a fix every four minutes.
    for hour in 0..60 {
        let events = (0..15).map(|n| fix("00000000000a", f64::from(hour * 3600 + n * 240), 5.0, 5.0)).collect();
        app.clock.set((START_S + i64::from(hour) * 3600 + 3599) * 1000);
        app.deliver(&delivery("location", events)).await;
    }
    assert!(forget(&app, &rules(Some(1), Some(1))).await > 0);
    rebuild(&app).await;
    let visits = app.get("/v1/visits?from=2026-06-01T00:00:00Z").await;
    let visits = visits["visits"].as_array().unwrap();
    assert_eq!(visits.len(), 1, "{visits:?}");
    assert_eq!((&visits[0]["entered_at"], &visits[0]["exited_at"]), (&json!("2026-07-01T08:00:00.000Z"), &Value::Null));
    assert_checked(&app.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_played_in_today_is_not_old() {
    let app = TestApp::start().await;
    app.upload_map().await;
    app.clock.set((START_S + 1000 * DAY_S) * 1000);
    app.deliver(&delivery("location", vec![fix("00000000000a", 0.0, 5.0, 5.0), fix("00000000000a", 400.0, 5.0, 5.0)]))
        .await;
    app.deliver(&delivery("location", vec![fix("00000000000a", 900.0, 5.0, 5.0)])).await;
    assert_eq!(forget(&app, &rules(Some(30), Some(396))).await, 0);
}

/// The crowd of a seed, once whole and once with everything deleted after each day: readers count the same.
#[tokio::test(flavor = "multi_thread")]
async fn live_visits_are_the_same_with_and_without_forgetting() {
    let (map, file, _dir) = crowd::recorded(31);
    let text = std::fs::read_to_string(file).unwrap();
    let bodies: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut found = Vec::new();
    for forgets in [false, true] {
        let app = TestApp::start().await;
        let put = app.call(Method::PUT, &format!("/v1/maps/{MAP}"), Some(map.clone())).await;
        assert_eq!(put.0, StatusCode::OK);
        for (n, body) in bodies.iter().enumerate() {
            app.deliver(body).await;
            if forgets && n % 200 == 199 {
                // All but the newest delivery.
                let now = ReceivedAt(app.clock.now().0 + 2 * DAY_S * 1000);
                forget_old(&app.store, &app.pipeline, &rules(Some(1), None), now).await.unwrap();
            }
        }
        let visits = "SELECT client_id, area_id, entered_at, exited_at FROM visits ORDER BY ALL";
        found.push(app.stop_and_ask(visits).await);
    }
    assert!(found[0].len() > 50);
    assert_eq!(found[0], found[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_erased_is_found_nowhere() {
    let app = TestApp::start().await;
    days_of_visits(&app, 2).await;
    let rule = json!({"name": "Long", "area_id": LOBBY, "condition": "dwell", "for_s": 5});
    assert_eq!(app.call(Method::POST, "/v1/alert-rules", Some(rule)).await.0, StatusCode::CREATED);
    let endpoint = json!({"name": "e", "url": "http://127.0.0.1:9/x"});
    assert_eq!(app.call(Method::POST, "/v1/callbacks", Some(endpoint)).await.0, StatusCode::CREATED);
    let at = |after_s: i64| (DAY_S + after_s) as f64;
    for after_s in [200, 210, 220] {
        app.deliver(&delivery("location", vec![fix("000000000001", at(after_s), 5.0, 5.0)])).await;
        app.deliver(&delivery("location", vec![fix("000000000002", at(after_s), 5.0, 5.0)])).await;
    }
    let enter = json!({"site_id": SITE, "rssizone_id": "r1", "mac": "00-00-00-00-00-01", "trigger": "enter", "timestamp": START_S});
    app.deliver(&delivery("rssizone", vec![enter])).await;
    let scan = json!({"mac": "000000000001", "site_id": SITE, "connection_ap": "5c5b350e0001", "last_seen": START_S,
        "scan_data": [{"ap": "5c5b350e0001", "rssi": -60, "timestamp": START_S}]});
    app.deliver(&delivery("sdkclient-scan-data", vec![scan])).await;
    let now = async |app: &TestApp| {
        let areas = app.get(&format!("/v1/occupancy?area={LOBBY}")).await;
        areas["areas"][0]["current"].as_i64().unwrap()
    };
    assert_eq!(now(&app).await, 2);
    app.client.get(format!("{}/v1/snapshot", app.base)).send().await.unwrap().bytes().await.unwrap();
    assert!(newest::note(&app.store, &app.pipeline, 0).await.unwrap() > 0);
    let (status, told) = app.call(Method::DELETE, "/v1/clients/00:00:00:00:00:01", None).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    for table in [
        "positions",
        "visits",
        "open_visits",
        "events",
        "quarantine",
        "transitions",
        "scans",
        "scan_readings",
        "clients",
        "alerts",
    ] {
        assert!(told["erased"][table].as_u64().is_some_and(|rows| rows > 0), "{table}: {told}");
    }
    assert_eq!(told["copies"][0]["path"], "/v1/snapshot");
    assert_eq!(now(&app).await, 1, "it is not counted any more");
    assert_eq!(app.call(Method::DELETE, "/v1/clients/000000000001", None).await.0, StatusCode::NOT_FOUND);
    rebuild(&app).await;
    let app = app.restart().await;
    assert_eq!(now(&app).await, 1);
    let acts = app.get("/v1/acts").await;
    assert_eq!(acts["acts"][1]["path"], "/v1/clients/{id}");
    // Others are there still, and one that comes back is counted as anybody.
    app.deliver(&delivery("location", vec![fix("000000000001", at(300), 5.0, 5.0)])).await;
    assert_eq!(now(&app).await, 2);
    app.call(Method::DELETE, "/v1/clients/000000000001", None).await;
    let dir = app.stop().await;
    assert_checked(&dir);
    let file = dir.path().join("footfall.duckdb");
    let conn = duckdb::Connection::open(&file).unwrap();
    let mut statement = conn.prepare("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'store'").unwrap();
    let tables: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(tables.len() > 20);
    for table in tables {
        let sql = format!(
            "SELECT count(*) FROM store.{table} t WHERE regexp_matches(translate(lower(t::VARCHAR), ':-.', ''), '(^|[^0-9a-f])000000000001([^0-9a-f]|$)')"
        );
        let rows: i64 = conn.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table} names it still");
    }
    let noted = "SELECT count(*) FROM store.newest_fixes SEMI JOIN
                     (FROM store.clients WHERE starts_with(client_id, 'erased-')) USING (client_key)";
    assert_eq!(conn.query_row(noted, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}
