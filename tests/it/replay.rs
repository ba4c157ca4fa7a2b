//! The same events give the same visits: in order, doubled, cut otherwise, restarted on the way.

use std::path::Path;

use footfall::check;
use footfall::cli::Replay;
use footfall::rebuild::recount;
use footfall::replay;
use footfall::store::{Store, StoreOptions};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::forum::{self, Forum};
use crate::harness::{MAP, SECRET, SITE, START_S, TestApp, ask, crowd};

pub const VISITS: &str = "SELECT client_id, area_id, epoch_ms(entered_at), epoch_ms(exited_at), ended FROM visits
    WHERE source = 'computed' ORDER BY ALL";

/// A replay of one file to a running server, unhurried by default.
pub fn arguments(url: String, file: &Path) -> Replay {
    Replay {
        files: vec![file.to_owned()],
        url,
        secret: Some(SECRET.into()),
        speed: None,
        batch: None,
        times: 1,
        run_on: Some(301.0),
    }
}

/// Plays a file into a fresh server and gives back its visits, having checked the file.
async fn play(map: &Value, file: &Path, adjust: impl FnOnce(&mut Replay)) -> Vec<String> {
    let app = TestApp::start().await;
    app.clock.set((START_S + 100_000) * 1000);
    let (status, answer) = app.call(Method::PUT, &format!("/v1/maps/{MAP}"), Some(map.clone())).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let mut arguments = arguments(format!("{}/v1/webhooks/mist", app.base), file);
    adjust(&mut arguments);
    replay::run(arguments).await.unwrap();
    let dir = app.stop().await;
    let path = dir.path().join("footfall.duckdb");
    assert_eq!(format!("{:?}", check::run(&path).unwrap()), format!("{:?}", std::process::ExitCode::SUCCESS));
    ask(&path, VISITS)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_real_people_gives_the_visits_of_an_independent_program() {
    let Some(Forum { map, file, expected, dir: _dir }) = forum::load() else { return };
    assert_eq!(play(&map, &file, |_| {}).await, expected, "in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_day_sent_twice_gives_the_same() {
    let Some(Forum { map, file, expected, dir: _dir }) = forum::load() else { return };
    let twice = |replay: &mut Replay| (replay.times, replay.batch) = (2, Some(40));
    assert_eq!(play(&map, &file, twice).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_day_cut_into_other_batches_gives_the_same() {
    let Some(Forum { map, file, expected, dir: _dir }) = forum::load() else { return };
    for batch in [7, 500, 100_000] {
        assert_eq!(play(&map, &file, |replay| replay.batch = Some(batch)).await, expected, "{batch} an event delivery");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_cut_of_a_made_up_crowd_gives_the_same() {
    let (map, file, _dir) = crowd::recorded(7);
    let in_order = play(&map, &file, |_| {}).await;
    assert!(in_order.len() > 150, "{}", in_order.len());
    for (batch, times) in [(1, 1), (3, 2), (100, 1), (10_000, 3)] {
        let adjust = |replay: &mut Replay| (replay.batch, replay.times) = (Some(batch), times);
        assert_eq!(play(&map, &file, adjust).await, in_order, "batch {batch}, {times} times");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_in_good_order_change_nothing() {
    let (map, file, _dir) = crowd::recorded(11);
    let unbroken = play(&map, &file, |_| {}).await;
    let mut app = TestApp::start().await;
    app.clock.set((START_S + 100_000) * 1000);
    app.call(Method::PUT, &format!("/v1/maps/{MAP}"), Some(map)).await;
    let text = std::fs::read_to_string(&file).unwrap();
    for (number, line) in text.lines().enumerate() {
        app.deliver(&serde_json::from_str(line).unwrap()).await;
        if number % 40 == 39 {
            // Long enough for the clock to close things that go on.
            let later_s = 100_000.0 + number as f64;
            app.run_on_to(later_s + 30.0).await;
            app = app.restart().await;
        }
    }
    let end = json!({"topic": "ping", "events": [{"site_id": SITE, "id": "x", "timestamp": START_S + 50_000}]});
    app.deliver(&end).await;
    assert_eq!(app.stop_and_ask(VISITS).await, unbroken);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_tampered_with_does_not_pass_the_check() {
    let (map, file, _dir) = crowd::recorded(3);
    let app = TestApp::start().await;
    app.clock.set((START_S + 100_000) * 1000);
    app.call(Method::PUT, &format!("/v1/maps/{MAP}"), Some(map)).await;
    replay::run(arguments(format!("{}/v1/webhooks/mist", app.base), &file)).await.unwrap();
    let dir = app.stop().await;
    let path = dir.path().join("footfall.duckdb");
    let tamper = |sql: &str| duckdb::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    let verdict = || format!("{:?}", check::run(&path).unwrap());
    let (good, bad) =
        (format!("{:?}", std::process::ExitCode::SUCCESS), format!("{:?}", std::process::ExitCode::FAILURE));
    assert_eq!(verdict(), good);
    let longest = "visit_key = (SELECT arg_max(visit_key, exited_at - entered_at) FROM store.visits)";
    tamper(&format!("UPDATE store.visits SET exited_at = exited_at - INTERVAL 1 SECOND WHERE {longest}"));
    assert_eq!(verdict(), bad, "a visit a second shorter");
    tamper(&format!("UPDATE store.visits SET exited_at = exited_at + INTERVAL 1 SECOND WHERE {longest}"));
    assert_eq!(verdict(), good);
    tamper("INSERT INTO store.fixes SELECT * FROM store.fixes LIMIT 1");
    assert_eq!(verdict(), bad, "a fix twice");
    let store = Store::open(&StoreOptions { path: path.clone(), memory_limit: None, threads: None }).unwrap();
    assert!(recount::recount(&store).unwrap().visits > 100);
}
