//! Occupancy, dwell and visits, asked over HTTP.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{DESK, LOBBY, MAP, SITE, START_S, TestApp, delivery, fix};

const ANN: &str = "00000000000a";
const BOB: &str = "00000000000b";

/// The current occupancy of each area, by its id.
async fn current(app: &TestApp, query: &str) -> Vec<(String, i64)> {
    let answer = app.get(&format!("/v1/occupancy{query}")).await;
    let areas = answer["areas"].as_array().unwrap().iter();
    areas.map(|area| (area["area_id"].as_str().unwrap().into(), area["current"].as_i64().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn occupancy_follows_people_and_the_clock() {
    let app = TestApp::start().await;
    app.upload_map().await;
    assert_eq!(current(&app, "").await, [(DESK.into(), 0), (LOBBY.into(), 0)]);
    app.deliver(&delivery("location", vec![fix(ANN, 0.0, 2.0, 2.0), fix(BOB, 1.0, 8.0, 8.0)])).await;
    assert_eq!(current(&app, "").await, [(DESK.into(), 1), (LOBBY.into(), 2)]);
    assert_eq!(current(&app, "?kind=asset").await, [(DESK.into(), 0), (LOBBY.into(), 0)]);
    assert_eq!(current(&app, &format!("?area={LOBBY}")).await, [(LOBBY.into(), 2)]);
    app.deliver(&delivery("location", vec![fix(ANN, 60.0, 8.0, 8.0), fix(ANN, 70.0, 8.0, 8.0)])).await;
    assert_eq!(current(&app, "").await, [(DESK.into(), 0), (LOBBY.into(), 2)]);
    // Bob was last seen at 1 s, Ann at 70 s, which is also when the clock was last set: it runs on from there.
    app.run_on_to(70.0 + 280.0).await;
    assert_eq!(current(&app, "").await, [(DESK.into(), 0), (LOBBY.into(), 0)], "both have been silent too long");
    let visits = app.get(&format!("/v1/visits?from={}", "2026-07-01T07:00:00Z")).await;
    let told: Vec<String> = visits["visits"].as_array().unwrap().iter().map(tell).collect();
    assert_eq!(
        told,
        [
            format!("{ANN} Lobby 2026-07-01T08:00:00.000Z 70.0 timeout"),
            format!("{ANN} Desk 2026-07-01T08:00:00.000Z 60.0 left"),
            format!("{BOB} Lobby 2026-07-01T08:00:01.000Z 0.0 timeout"),
        ]
    );
}

fn tell(visit: &Value) -> String {
    let text = |key: &str| visit[key].as_str().unwrap_or("-");
    let dwell_s = &visit["dwell_s"];
    format!("{} {} {} {dwell_s} {}", text("client_id"), text("area_name"), text("entered_at"), text("ended"))
}

/// Ann is in the lobby from 0 to 100 s, Bob from 50 s on and at the desk from 50 to 80 s.
async fn two_people(app: &TestApp) {
    app.upload_map().await;
    let events = vec![
        fix(ANN, 0.0, 8.0, 8.0),
        fix(BOB, 50.0, 2.0, 2.0),
        fix(BOB, 80.0, 8.0, 8.0),
        fix(BOB, 95.0, 8.0, 8.0),
        fix(ANN, 100.0, 15.0, 15.0),
        fix(ANN, 110.0, 15.0, 15.0),
        fix(BOB, 200.0, 8.0, 8.0),
    ];
    app.deliver(&delivery("location", events)).await;
    app.clock.set((START_S + 200) * 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_counts_each_bucket() {
    let app = TestApp::start().await;
    two_people(&app).await;
    let path = format!("/v1/occupancy/series?area={LOBBY}&from=2026-07-01T08:00:00Z&to=2026-07-01T08:03:00Z&bucket=1m");
    let series = app.get(&path).await;
    let told: Vec<String> = series["buckets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| {
            format!("{} {} {} {} {} {}", b["min"], b["max"], b["mean"], b["entries"], b["exits"], b["unique_clients"])
        })
        .collect();
    // Ann 0-60 and Bob 50-60; both to 100, then Bob; Bob.
    let mean = [70.0 / 60.0, 100.0 / 60.0, 1.0];
    assert_eq!(
        told,
        [format!("1 2 {} 2 0 2", mean[0]), format!("1 2 {} 0 1 2", mean[1]), format!("1 1 {:.1} 0 0 1", mean[2])]
    );
    assert_eq!((&series["current"], &series["time_zone"]), (&json!(1), &json!("UTC")));
    let map = app.get(&path.replace(&format!("area={LOBBY}"), &format!("map={MAP}"))).await;
    assert_eq!(map["total"]["max"], 2, "Bob at the desk is in the lobby too, and counts once");
}

#[tokio::test(flavor = "multi_thread")]
async fn dwell_is_cut_to_the_window_unless_told_otherwise() {
    let app = TestApp::start().await;
    two_people(&app).await;
    let path = format!("/v1/dwell?area={LOBBY}&from=2026-07-01T08:01:00Z&to=2026-07-01T08:03:00Z");
    let clipped = app.get(&path).await;
    assert_eq!((&clipped["count"], &clipped["max_s"], &clipped["mean_s"]), (&json!(2), &json!(120.0), &json!(80.0)));
    assert_eq!(clipped["bands"][0]["visits"], 2);
    let whole = app.get(&format!("{path}&clip=false")).await;
    assert_eq!((&whole["max_s"], &whole["median_s"]), (&json!(130.0), &json!(115.0)));
    let none = app.get(&format!("/v1/dwell?area={LOBBY}&from=2026-07-01T07:00:00Z&to=2026-07-01T07:30:00Z")).await;
    assert_eq!((&none["count"], &none["mean_s"]), (&json!(0), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_visits_join_without_a_gap() {
    let app = TestApp::start().await;
    two_people(&app).await;
    let mut cursor = String::new();
    let mut ids = Vec::new();
    loop {
        let page = app.get(&format!("/v1/visits?from=2026-07-01T07:00:00Z&limit=1{cursor}")).await;
        ids.extend(page["visits"].as_array().unwrap().iter().map(|visit| visit["visit_id"].as_i64().unwrap()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(ids, [1, 2, 3]);
    let long = app.get("/v1/visits?from=2026-07-01T07:00:00Z&min_dwell=1m").await;
    assert_eq!(long["visits"].as_array().unwrap().len(), 1, "only ended visits of a minute or more");
    let bob = app.get(&format!("/v1/visits?from=2026-07-01T07:00:00Z&client={BOB}&area={DESK}")).await;
    assert_eq!(bob["visits"][0]["dwell_s"], 30.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn reported_visits_stand_beside_computed_ones_and_the_authoritative_source_can_be_set() {
    let app = TestApp::start().await;
    app.upload_map().await;
    let enter = json!({"site_id": SITE, "map_id": MAP, "zone_id": LOBBY, "mac": ANN, "type": "wifi",
        "trigger": "enter", "timestamp": START_S as f64 + 0.5});
    app.deliver(&delivery("zone", vec![enter])).await;
    let room = json!({"site_id": SITE, "rssizone_id": "r1", "mac": BOB, "type": "wifi", "trigger": "enter", "timestamp": START_S});
    app.deliver(&delivery("rssizone", vec![room])).await;
    assert_eq!(current(&app, "").await, [(DESK.into(), 0), (LOBBY.into(), 0), ("r1".into(), 1)]);
    assert_eq!(current(&app, &format!("?source=reported&area={LOBBY}")).await, [(LOBBY.into(), 1)]);
    let square = json!([{"x": 0, "y": 0}, {"x": 10, "y": 0}, {"x": 10, "y": 10}, {"x": 0, "y": 10}]);
    let zone = json!({"name": "Lobby", "map_id": MAP, "vertices_m": square, "authoritative_source": "reported"});
    let (status, area) = app.call(Method::PUT, &format!("/v1/areas/{LOBBY}"), Some(zone)).await;
    assert_eq!((status, &area["authoritative_source"]), (StatusCode::OK, &json!("reported")), "{area}");
    assert_eq!(current(&app, &format!("?area={LOBBY}")).await, [(LOBBY.into(), 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_is_wrong_is_told_so() {
    let app = TestApp::start().await;
    app.upload_map().await;
    for path in [
        "/v1/occupancy?kind=cat",
        "/v1/occupancy?colour=red",
        "/v1/occupancy/series?bucket=7m",
        "/v1/occupancy/series?tz=Mars/Base",
        "/v1/occupancy/series?from=-1h&to=-2h",
        "/v1/occupancy/series?from=1999-01-01T00:00:00Z&bucket=1m",
        "/v1/dwell?clip=perhaps",
        "/v1/visits?limit=0",
        "/v1/visits?limit=10001",
        "/v1/visits?cursor=x",
        "/v1/visits?min_dwell=-5",
    ] {
        let (status, problem) = app.call(Method::GET, path, None).await;
        assert_eq!((status, &problem["status"]), (StatusCode::BAD_REQUEST, &json!(400)), "{path}: {problem}");
    }
    for path in ["/v1/dwell?area=none", "/v1/visits?map=none", "/v1/occupancy/series?site=none", "/v1/nothing"] {
        assert_eq!(app.call(Method::GET, path, None).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_sets_its_zone_rules_and_bands() {
    let app = TestApp::start().await;
    let path = format!("/v1/sites/{SITE}");
    let settings = json!({"name": "HQ", "time_zone": "Asia/Kolkata", "exit_grace_s": 3000.0,
        "dwell_bands": [{"name": "short", "from_s": 0, "to_s": 199}]});
    assert_eq!(app.call(Method::PUT, &path, Some(settings)).await.0, StatusCode::OK);
    two_people(&app).await;
    let dwell = app.get(&format!("/v1/dwell?area={DESK}&from=2026-07-01T08:00:00Z")).await;
    assert_eq!((&dwell["bands"][0]["name"], &dwell["bands"][0]["visits"]), (&json!("short"), &json!(1)));
    let visits = app.get(&format!("/v1/visits?area={LOBBY}&client={ANN}&from=2026-07-01T07:00:00Z")).await;
    assert_eq!(visits["visits"][0]["exited_at"], Value::Null, "she went out, but within the site's long grace");
    let series = app.get(&format!("/v1/occupancy/series?area={LOBBY}&from=2026-07-01T07:45:00Z&bucket=1h")).await;
    assert_eq!(series["buckets"].as_array().unwrap().len(), 1, "half past the hour in UTC is the hour in Kolkata");
    let (_, site) = app.call(Method::PATCH, &path, Some(json!({"name": "Head office"}))).await;
    assert_eq!((&site["name"], &site["exit_grace_s"]), (&json!("Head office"), &json!(3000.0)));
    let (_, site) = app.call(Method::PUT, &path, Some(json!({}))).await;
    assert_eq!((&site["name"], &site["exit_grace_s"]), (&Value::Null, &Value::Null));
    for wrong in
        [json!({"time_zone": "X"}), json!({"exit_grace_s": -1}), json!({"dwell_bands": [{"name": "", "from_s": 0}]})]
    {
        assert_eq!(app.call(Method::PUT, &path, Some(wrong)).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(app.call(Method::PUT, &path, Some(json!({"colour": 1}))).await.0, StatusCode::BAD_REQUEST);
}
