//! The live stream: the state first, then what changes.

use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

use crate::harness::{DESK, LOBBY, MAP, SITE, TestApp, delivery, fix};

/// Events of a stream as they come: name and data.
struct Events {
    answer: Response,
    text: String,
}

impl Events {
    async fn of(app: &TestApp, query: &str) -> Events {
        let answer = app.client.get(format!("{}/v1/stream{query}", app.base)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Events { answer, text: String::new() }
    }

    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let found = (field("event: "), field("data: "));
                self.text = rest.to_owned();
                if let (Some(name), Some(data)) = found {
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
    let (name, data) = all.next().await;
    assert_eq!((name.as_str(), &data["is_whole"]), ("occupancy", &Value::Bool(false)));
    assert_eq!(counts(&data), [(DESK.into(), 1), (LOBBY.into(), 2)]);
    let (name, data) = all.next().await;
    assert_eq!(name, "positions");
    let position = &data["positions"][0];
    assert_eq!(
        (&position["client_id"], &position["x_m"], &position["site_id"]),
        (&"00000000000b".into(), &2.5.into(), &SITE.into())
    );
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
