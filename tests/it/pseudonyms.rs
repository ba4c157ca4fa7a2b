//! At a site that wants pseudonyms nobody's own id reaches the disk, and a client is the same client still.

use std::path::Path;
use std::process::ExitCode;

use footfall::app::App;
use footfall::check;
use footfall::clock::Clock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{LOBBY, MAP, SITE, START_S, TestApp, ask, config, delivery, fix};

const MADE_UP: &str = "5684dae9ac8b";
const REAL: &str = "5484dae9ac8b";

/// Cells of all tables of a stopped file that name a client, however it is spelled.
fn cells_that_name(file: &Path, id: &str) -> Vec<String> {
    let columns = ask(
        file,
        "SELECT table_schema || '.' || table_name || ' ' || column_name FROM information_schema.columns
         WHERE table_schema IN ('store', 'main') ORDER BY ALL",
    );
    assert!(columns.len() > 200);
    // All in one: a file takes long to open.
    let cells = columns.iter().map(|column| {
        let (table, column) = column.split_once(' ').unwrap();
        let bare = format!("lower(regexp_replace(\"{column}\"::VARCHAR, '[:.-]', '', 'g'))");
        format!("SELECT '{table}.{column}: ' || \"{column}\"::VARCHAR FROM {table} WHERE contains({bare}, '{id}')")
    });
    ask(file, &cells.collect::<Vec<_>>().join(" UNION ALL "))
}

async fn set(app: &TestApp, settings: Value) {
    let (status, answer) = app.call(Method::PATCH, &format!("/v1/sites/{SITE}"), Some(settings)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

async fn clients(app: &TestApp) -> Vec<(String, bool)> {
    let asked = json!({"sql": "SELECT client_id, is_randomised FROM clients ORDER BY client_id"});
    let (_, answer) = app.call(Method::POST, "/v1/sql", Some(asked)).await;
    let rows = answer["rows"].as_array().unwrap().iter();
    rows.map(|row| (row["client_id"].as_str().unwrap().to_owned(), row["is_randomised"] == true)).collect()
}

async fn visits(app: &TestApp) -> Vec<Value> {
    let answer = app.get("/v1/visits?from=2026-07-01T07:00:00Z&to=2026-07-05T00:00:00Z").await;
    answer["visits"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_id_reaches_the_disk_in_any_event() {
    let app = TestApp::start().await;
    app.upload_map().await;
    set(&app, json!({"pseudonymise": "keyed"})).await;
    let at = START_S;
    let mut named = fix("56:84:DA:E9:AC:8B", 0.0, 5.0, 5.0);
    named["name"] = json!("Ann's phone");
    named["wifi_beacon_extended_info"] = json!([{"frame_ctrl": 776, "payload": MADE_UP}]);
    // Without its site, which its map tells.
    let mut bare = fix(REAL, 0.0, 5.0, 5.0);
    bare.as_object_mut().unwrap().remove("site_id");
    app.deliver(&delivery("location", vec![named, bare])).await;
    let room = json!({"site_id": SITE, "rssizone_id": "r1", "mac": MADE_UP, "trigger": "enter", "timestamp": at});
    app.deliver(&delivery("rssizone", vec![room])).await;
    let beacon = json!({"site_id": SITE, "map_id": MAP, "vbeacon_id": "v1", "mac": MADE_UP, "trigger": "enter",
        "timestamp": at, "name": "Ann's phone"});
    app.deliver(&delivery("vbeacon", vec![beacon])).await;
    let scan = json!({"site_id": SITE, "mac": MADE_UP, "last_seen": at, "scan_data": [{"ap": "5c5b35000001"}]});
    app.deliver(&delivery("sdkclient-scan-data", vec![scan])).await;
    let reading = json!({"site_id": SITE, "map_id": MAP, "mac": MADE_UP, "ap_loc": [1, 1, 1], "rssi": -60,
        "device_id": "00000000-0000-0000-1000-5c5b35000001", "timestamp": at});
    app.deliver(&delivery("discovered-raw-rssi", vec![reading])).await;
    let join = json!({"site_id": SITE, "mac": "56-84-da-e9-ac-8b", "ap": "5c5b35000001", "ssid": "guests",
        "client_hostname": "anns-phone", "timestamp": at});
    app.deliver(&delivery("client-join", vec![join.clone()])).await;
    let unread = vec![json!({"mac": "5684.DAE9.AC8B", "x": "?"}), json!({"site_id": SITE, "mac": MADE_UP})];
    app.deliver(&delivery("location", unread)).await;
    // It is one client, in all of that, and known again.
    assert_eq!(app.deliver(&delivery("client-join", vec![join])).await["duplicates"], 1);
    let known = clients(&app).await;
    let kinds: Vec<(&str, bool)> = known.iter().map(|(id, made_up)| (&id[..3], *made_up)).collect();
    assert_eq!(kinds.iter().filter(|(start, made_up)| *start == "pr-" && *made_up).count(), 1, "{known:?}");
    assert!(known.iter().all(|(id, _)| id.starts_with("p-") || id.starts_with("pr-")), "{known:?}");
    app.run_on_to(30.0).await;
    assert_eq!(app.get(&format!("/v1/occupancy?area={LOBBY}&randomised=false")).await["areas"][0]["current"], 1);

    let app = app.restart().await;
    app.deliver(&delivery("location", vec![fix(MADE_UP, 20.0, 5.0, 5.0)])).await;
    assert_eq!(clients(&app).await, known);
    let dir = app.stop().await;
    let file = dir.path().join("footfall.duckdb");
    for told in [MADE_UP, REAL, "s phone", "annsphone"] {
        assert_eq!(cells_that_name(&file, told), [""; 0], "{told}");
    }
    let aps = cells_that_name(&file, "5c5b35000001");
    assert!(aps.iter().any(|cell| cell.starts_with("store.events.body")), "{aps:?}");
    assert_eq!(format!("{:?}", check::run(&file).unwrap()), format!("{:?}", ExitCode::SUCCESS));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daily_pseudonym_ends_at_the_sites_midnight() {
    let app = TestApp::start().await;
    app.upload_map().await;
    set(&app, json!({"pseudonymise": "daily", "time_zone": "Europe/Lisbon"})).await;
    // Midnight in Lisbon is 23:00 UTC, 15 hours after the start.
    let midnight_s = 15.0 * 3600.0;
    app.run_on_to(midnight_s + 400.0).await;
    for seconds in [-120.0, -60.0, 0.0, 60.0] {
        app.deliver(&delivery("location", vec![fix(MADE_UP, midnight_s + seconds, 5.0, 5.0)])).await;
    }
    app.run_on_to(midnight_s + 1000.0).await;
    let visits = visits(&app).await;
    let times: Vec<(&str, &str)> = visits
        .iter()
        .map(|visit| (visit["entered_at"].as_str().unwrap(), visit["exited_at"].as_str().unwrap()))
        .collect();
    assert_eq!(
        times,
        [
            ("2026-07-01T22:58:00.000Z", "2026-07-01T22:59:00.000Z"),
            ("2026-07-01T23:00:00.000Z", "2026-07-01T23:01:00.000Z")
        ]
    );
    assert_ne!(visits[0]["client_id"], visits[1]["client_id"]);

    // Whoever asks to be forgotten is found under both.
    let (status, answer) = app.call(Method::DELETE, &format!("/v1/clients/{MADE_UP}"), None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["erased"]["clients"], 2, "{answer}");
    assert!(clients(&app).await.iter().all(|(id, _)| id.starts_with("erased-")));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_key_a_server_does_not_start() {
    let app = TestApp::start().await;
    set_first(&app).await;
    let dir = app.stop().await;
    let key = dir.path().join("footfall.duckdb.key");
    std::fs::rename(&key, dir.path().join("elsewhere")).unwrap();
    let config = config(dir.path());
    let refused = App::start(&config, Clock::manual(START_S * 1000)).await.err().expect("there is no key");
    let told = format!("{refused:#}");
    assert!(told.contains("footfall.duckdb.key") && told.contains("privacy.key_file"), "{told}");
    std::fs::rename(dir.path().join("elsewhere"), &key).unwrap();
    TestApp::open(dir, config, Clock::manual(START_S * 1000)).await.stop().await;
}

async fn set_first(app: &TestApp) {
    let (status, answer) =
        app.call(Method::PUT, &format!("/v1/sites/{SITE}"), Some(json!({"pseudonymise": "keyed"}))).await;
    assert_eq!((status, &answer["pseudonymise"]), (StatusCode::OK, &json!("keyed")), "{answer}");
    let wrong = json!({"pseudonymise": "sometimes"});
    let (status, _) = app.call(Method::PATCH, &format!("/v1/sites/{SITE}"), Some(wrong)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
}
