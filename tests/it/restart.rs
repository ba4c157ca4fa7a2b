//! `kill -9` at any instant: every acknowledged event is there after the restart, once, and the visits are the same.

use std::path::Path;
use std::time::Duration;

use footfall::check;
use footfall::cli::Replay;
use footfall::replay;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::forum::{self, Forum};
use crate::harness::process::Server;
use crate::harness::{MAP, SITE, TestApp, ask, crowd, delivery, fix};
use crate::replay::{VISITS, arguments};

/// Replays a file while the server is killed and started again `kills` times; gives back the visits.
async fn replay_through_kills(map: &Value, file: &Path, kills: u32, adjust: impl FnOnce(&mut Replay)) -> Vec<String> {
    let dir = TempDir::new().unwrap();
    let mut server = Server::start(dir.path());
    let put = reqwest::Client::new().put(format!("{}/v1/maps/{MAP}", server.base)).json(map).send().await.unwrap();
    assert!(put.status().is_success());
    let mut arguments = arguments(format!("{}/v1/webhooks/mist", server.base), file);
    adjust(&mut arguments);
    let replaying = tokio::spawn(replay::run(arguments));
    let mut rng = StdRng::seed_from_u64(5);
    for _ in 0..kills {
        tokio::time::sleep(Duration::from_millis(rng.random_range(50..700))).await;
        server.kill_and_restart(dir.path());
    }
    replaying.await.unwrap().unwrap();
    server.stop();
    let path = dir.path().join("footfall.duckdb");
    assert_eq!(format!("{:?}", check::run(&path).unwrap()), format!("{:?}", std::process::ExitCode::SUCCESS));
    ask(&path, VISITS)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_restarted_a_made_up_crowd_gives_the_same_visits() {
    let (map, file, _dir) = crowd::recorded(23);
    let unbroken = replay_through_kills(&map, &file, 0, |_| {}).await;
    assert_eq!(replay_through_kills(&map, &file, 4, |_| {}).await, unbroken);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_restarted_the_real_day_gives_the_same_visits() {
    let Some(Forum { map, file, expected, dir: _dir }) = forum::load() else { return };
    assert_eq!(replay_through_kills(&map, &file, 6, |replay| replay.batch = Some(10)).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_before_a_kill_is_there_after_it() {
    let dir = TempDir::new().unwrap();
    let mut server = Server::start(dir.path());
    let client = replay::Sender::new(
        &format!("{}/v1/webhooks/mist", server.base),
        Some(footfall::receiver::signature::Secret::new(crate::harness::SECRET)),
    )
    .unwrap();
    let mut tally = replay::Tally::default();
    for round in 0..5 {
        for number in 0..20 {
            let event = fix("00000000000a", f64::from(round * 20 + number), 1.0, 1.0);
            client.send(delivery("location", vec![event]).to_string(), &mut tally).await.unwrap();
        }
        server.kill();
        let stored =
            ask(&dir.path().join("footfall.duckdb"), "SELECT count(*), count(DISTINCT event_at) FROM positions");
        assert_eq!(stored, [format!("{0} {0}", tally.events)]);
        server.kill_and_restart(dir.path());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_brings_back_occupancy_and_clock_and_the_dedupe_window() {
    let app = TestApp::start().await;
    app.upload_map().await;
    app.deliver(&delivery("location", vec![fix("00000000000a", 0.0, 2.0, 2.0), fix("00000000000a", 5.0, 15.0, 15.0)]))
        .await;
    let room = json!({"site_id": SITE, "rssizone_id": "r1", "mac": "00000000000b", "trigger": "enter",
        "timestamp": crate::harness::START_S});
    app.deliver(&delivery("rssizone", vec![room.clone()])).await;
    let before = app.get("/v1/occupancy").await;
    let app = app.restart().await;
    assert_eq!(app.get("/v1/occupancy").await, before);
    assert_eq!(app.deliver(&delivery("rssizone", vec![room])).await["duplicates"], 1);
    // The client went out at 5 s: back at 14 s it never left, as without the restart.
    app.deliver(&delivery("location", vec![fix("00000000000a", 14.0, 2.0, 2.0)])).await;
    app.clock.set((crate::harness::START_S + 20) * 1000);
    let visits = app.get("/v1/visits?from=2026-07-01T07:00:00Z").await;
    let visits = visits["visits"].as_array().unwrap();
    assert_eq!(visits.len(), 3);
    assert!(visits.iter().all(|visit| visit["exited_at"].is_null()), "{visits:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_replayed_into_a_live_site_is_known_after_a_restart() {
    let app = TestApp::start().await;
    app.deliver(&delivery("location", vec![fix("00000000000b", 0.0, 1.0, 1.0)])).await;
    let last_week = |n: i32| fix("00000000000a", f64::from(n - 700_000), 1.0, 1.0);
    let history = delivery("location", (0..5).map(last_week).collect());
    app.deliver(&history).await;
    let app = app.restart().await;
    assert_eq!(app.deliver(&history).await["duplicates"], 5);
}
