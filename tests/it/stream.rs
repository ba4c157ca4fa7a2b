//! The live stream: the state first, then what changes.

use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::harness::{DESK, LOBBY, MAP, SITE, START_S, TestApp, delivery, fix};

/// Events of a stream as they come: name and data.
struct Events {
    answer: Response,
    text: String,
    /// Of the last event.
    id: String,
}

impl Events {
    async fn of(app: &TestApp, query: &str) -> Events {
        Events::after(app, query, "").await
    }

    /// Comes back with the id of the last event.
    async fn after(app: &TestApp, query: &str, last: &str) -> Events {
        let request = app.client.get(format!("{}/v1/stream{query}", app.base));
        let answer = request.header("last-event-id", last).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Events { answer, text: String::new(), id: String::new() }
    }

    /// The next event of a name that is as it should be.
    async fn until(&mut self, name: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let (found, data) = self.next().await;
            if found == name && is_it(&data) {
                return data;
            }
        }
    }

    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let (found, id) = ((field("event: "), field("data: ")), field("id: "));
                self.text = rest.to_owned();
                if let (Some(name), Some(data)) = found {
                    self.id = id.expect("every event has an id");
                    return (name, serde_json::from_str(&data).unwrap());
                }
                continue;
            }
            let waiting = tokio::time::timeout(Duration::from_secs(20), self.answer.chunk());
            let chunk = waiting.await.unwrap().unwrap().unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

fn counts(data: &Value) -> Vec<(String, i64)> {
    let area = |area: &Value| (area["area_id"].as_str().unwrap().to_owned(), area["current"].as_i64().unwrap());
    data["areas"].as_array().unwrap().iter().map(area).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_begins_with_the_state_and_goes_on_with_what_changes() {
    let app = TestApp::start().await;
    app.upload_map().await;
    app.deliver(&delivery("location", vec![fix("00000000000a", 0.0, 8.0, 8.0)])).await;
    let mut all = Events::of(&app, &format!("?topics=occupancy,positions,alerts&map={MAP}")).await;
    let mut elsewhere = Events::of(&app, "?topics=occupancy,alerts&site=elsewhere").await;
    let (name, data) = all.next().await;
    assert_eq!((name.as_str(), &data["is_whole"]), ("occupancy", &Value::Bool(true)));
    assert_eq!(counts(&data), [(DESK.into(), 0), (LOBBY.into(), 1)]);
    assert_eq!(all.next().await.0, "alerts");
    assert_eq!(counts(&elsewhere.next().await.1), []);
    assert_eq!(elsewhere.next().await.0, "alerts");
    let two = vec![fix("00000000000b", 1.0, 2.0, 2.0), fix("00000000000b", 2.0, 2.5, 2.0)];
    app.deliver(&delivery("location", two)).await;
    // On a busy machine the feed may look at the first delivery only now, and tell of it once more.
    let both = |data: &Value| counts(data) == [(DESK.into(), 1), (LOBBY.into(), 2)];
    let data = all.until("occupancy", both).await;
    assert_eq!(data["is_whole"], false);
    let of_bob = |position: &Value| position["client_id"] == "00000000000b";
    let data = all.until("positions", |data| data["positions"].as_array().unwrap().iter().any(of_bob)).await;
    let position = data["positions"].as_array().unwrap().iter().find(|position| of_bob(position)).unwrap();
    assert_eq!((&position["x_m"], &position["site_id"]), (&2.5.into(), &SITE.into()));
    // The desk alone changes; what the clock closes is told, too.
    app.deliver(&delivery("location", vec![fix("00000000000b", 3.0, 8.0, 8.0), fix("00000000000b", 13.0, 8.0, 8.0)]))
        .await;
    loop {
        let (name, data) = all.next().await;
        if name == "occupancy" {
            assert_eq!(counts(&data), [(DESK.into(), 0)]);
            break;
        }
    }
    app.run_on_to(1000.0).await;
    loop {
        let (name, data) = all.next().await;
        if name == "occupancy" {
            assert_eq!(counts(&data), [(LOBBY.into(), 0)]);
            break;
        }
    }
    let (status, answer) = app.call(Method::GET, "/v1/stream?topics=weather", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_never_read_hold_nothing_up() {
    let app = TestApp::start().await;
    app.upload_map().await;
    let mut idle = Vec::new();
    for _ in 0..50 {
        idle.push(app.client.get(format!("{}/v1/stream?topics=occupancy,positions", app.base)).send().await.unwrap());
    }
    let since = footfall::clock::stopwatch();
    for second in 0..100 {
        let crowd = (0..50).map(|n| fix(&format!("0000000000{n:02x}"), f64::from(second), 8.0, 8.0)).collect();
        app.deliver(&delivery("location", crowd)).await;
    }
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    assert_eq!(app.get(&format!("/v1/occupancy?area={LOBBY}")).await["areas"][0]["current"], 50);
    drop(idle);
    app.stop().await;
}

/// Somebody in or out of the lobby, of which more than one is too many.
async fn stay(app: &TestApp, seconds: f64, inside: &[&str]) {
    let everybody = ["00000000000a", "00000000000b", "00000000000c"];
    let fixes = everybody.iter().map(|mac| {
        let at = if inside.contains(mac) { 8.0 } else { 15.0 };
        fix(mac, seconds, at, at)
    });
    app.deliver(&delivery("location", fixes.collect())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_is_told_what_was_missed_across_a_restart() {
    let app = TestApp::start().await;
    app.upload_map().await;
    let rule = json!({"name": "Full", "area_id": LOBBY, "condition": "above", "limit_clients": 1});
    assert_eq!(app.call(Method::POST, "/v1/alert-rules", Some(rule)).await.0, StatusCode::CREATED);
    let mut events = Events::of(&app, "?topics=alerts").await;
    let (name, data) = events.next().await;
    assert_eq!((name.as_str(), &data["alerts"], events.id.as_str()), ("alerts", &json!([]), "0"));
    stay(&app, 0.0, &["00000000000a", "00000000000b"]).await;
    let (name, data) = events.next().await;
    assert_eq!((name.as_str(), &data["data"]["alert_id"], events.id.as_str()), ("alert.firing", &json!(1), "1-1"));
    let last = events.id.clone();
    drop(events);
    // Resolved, fired again, resolved and fired: all of it is missed, and the server is restarted meanwhile.
    for (seconds, inside) in [
        (20.0, &[][..]),
        (40.0, &[]),
        (60.0, &["00000000000a", "00000000000b"]),
        (80.0, &[]),
        (100.0, &[]),
        (120.0, &["00000000000a", "00000000000c"]),
    ] {
        stay(&app, seconds, inside).await;
    }
    let app = app.restart().await;
    let mut events = Events::after(&app, "?topics=alerts", &last).await;
    let (name, data) = events.next().await;
    assert_eq!((name.as_str(), &data["is_resumed"], &data["missed_alerts"]), ("resumed", &json!(true), &json!(4)));
    assert_eq!(events.id, last);
    let mut told = Vec::new();
    for _ in 0..4 {
        let (name, data) = events.next().await;
        told.push(format!("{name} {} {}", data["data"]["alert_id"], events.id));
    }
    assert_eq!(told, ["alert.resolved 1 1", "alert.firing 2 2-2", "alert.resolved 2 2", "alert.firing 3 3-3"]);
    // The live stream goes on from there; who broke off in between is told the rest.
    stay(&app, 140.0, &[]).await;
    stay(&app, 160.0, &[]).await;
    let (name, _) = events.next().await;
    assert_eq!((name.as_str(), events.id.as_str()), ("alert.resolved", "3"));
    let mut events = Events::after(&app, "?topics=alerts", "2-2").await;
    assert_eq!(events.next().await.1["missed_alerts"], 3);
    // Elsewhere nothing was missed, though the id names alerts of this place.
    let mut elsewhere = Events::after(&app, "?topics=alerts&site=elsewhere", "2-2").await;
    assert_eq!(elsewhere.next().await.1["missed_alerts"], 0);
    drop((events, elsewhere));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_with_an_id_that_tells_nothing_gets_the_whole_state() {
    let app = TestApp::start().await;
    app.upload_map().await;
    app.deliver(&delivery("location", vec![fix("00000000000a", 0.0, 8.0, 8.0)])).await;
    for id in ["nonsense", "0-many", "\u{e4}"] {
        let mut events = Events::after(&app, "", id).await;
        let (name, data) = events.next().await;
        assert_eq!((name.as_str(), &data["is_resumed"]), ("resumed", &json!(false)), "{id}: {data}");
        let (name, data) = events.next().await;
        assert_eq!((name.as_str(), &data["is_whole"]), ("occupancy", &json!(true)));
        assert_eq!(events.next().await.0, "alerts");
    }
    // Without headers; what is whole at all times needs no history.
    let mut events = Events::of(&app, "?topics=occupancy,positions&last_event_id=0").await;
    assert_eq!(events.next().await.1["is_resumed"], true);
    let (name, data) = events.next().await;
    assert_eq!((name.as_str(), counts(&data)), ("occupancy", vec![(DESK.into(), 0), (LOBBY.into(), 1)]));
    drop(events);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_area_on_no_map_is_told_of_as_the_last_one_leaves() {
    let app = TestApp::start().await;
    app.upload_map().await;
    let room = |trigger: &str, second: i64| {
        let event = json!({"site_id": SITE, "rssizone_id": "room", "mac": "00000000000a", "type": "wifi",
            "trigger": trigger, "timestamp": START_S + second});
        delivery("rssizone", vec![event])
    };
    let mut events = Events::of(&app, "?topics=occupancy").await;
    for (trigger, second, here) in [("enter", 0, 1), ("exit", 30, 0)] {
        app.deliver(&room(trigger, second)).await;
        events.until("occupancy", |data| counts(data).contains(&("room".into(), here))).await;
    }
    drop(events);
    app.stop().await;
}
