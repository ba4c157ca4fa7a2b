//! The queue is full while the log is moved into the file: deliveries are told when to come back, and then taken.

use std::time::Duration;

use footfall::receiver::signature::{HEADER_V2, Secret};
use reqwest::{Client, StatusCode};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::kills::{assert_checked, upload_grid};
use super::load::{Sender, compare, send_for, while_sending};
use super::shim::Shim;
use super::{rounds, seed, tell};
use crate::harness::process::Server;
use crate::harness::{SECRET, SITE, START_S, delivery};

/// Deliveries that may wait.
const QUEUE: usize = 4;

/// More pings at once than may wait; whether one of them was refused while the checkpoint went on.
async fn is_full(client: &Client, base: &str, shim: &Shim) -> bool {
    let ping = json!({"site_id": SITE, "id": "probe", "name": "probe", "timestamp": START_S});
    let body = delivery("ping", vec![ping]).to_string();
    let mut pings = JoinSet::new();
    for _ in 0..QUEUE * 2 {
        let signature = Secret::new(SECRET).sign_v2(body.as_bytes());
        let request = client.post(format!("{base}/v1/webhooks/mist")).header(HEADER_V2, signature).body(body.clone());
        pings.spawn(async move { request.send().await.unwrap() });
    }
    let mut was_full = false;
    while let Some(answer) = pings.join_next().await {
        let answer = answer.unwrap();
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            assert_eq!(answer.headers()["retry-after"], "1");
            // It was there before the ping, and still is.
            was_full |= shim.is_told("checkpointing");
        }
    }
    was_full
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_full_during_a_checkpoint_loses_nothing() {
    let Some(shim) = Shim::build() else { return };
    let wanted = rounds(2).div_ceil(10).max(2);
    let dir = TempDir::new().unwrap();
    let queue = QUEUE.to_string();
    let small = [("FOOTFALL_RECEIVER__QUEUE_DELIVERIES", queue.as_str())];
    let environment: Vec<_> = shim.environment().into_iter().chain(small).collect();
    let server = Server::start_with(dir.path(), &environment);
    upload_grid(&server.base).await;
    let mut senders = Sender::crowd(12, seed());
    for sender in &mut senders {
        // The log is moved whenever it has grown to a few MB.
        sender.note_bytes = 400_000;
    }
    shim.begin("slow_checkpoint");
    let client = Client::new();
    let mut met = 0;
    let mut senders = while_sending(senders, &server.base, async || {
        let since = footfall::clock::stopwatch();
        while met < wanted {
            assert!(since.elapsed() < Duration::from_secs(60 + 10 * u64::from(wanted)), "{met} of {wanted} came");
            if shim.is_told("checkpointing") && is_full(&client, &server.base, &shim).await {
                met += 1;
            }
            // Until the next.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    shim.end("slow_checkpoint");
    let refused: u64 = senders.iter().map(|sender| sender.refused).sum();
    // Fewer than may wait: all of theirs is taken, without a restart.
    let waiting = senders.split_off(2);
    let before = senders[0].deliveries;
    let mut senders = send_for(senders, &server.base, Duration::from_secs(1)).await;
    senders.extend(waiting);
    assert!(senders[0].deliveries > before, "it takes nothing after the checkpoint");
    assert_eq!(senders.iter().map(|sender| sender.refused).sum::<u64>(), refused, "it refuses still");
    server.stop();
    let found = compare(&dir.path().join("footfall.duckdb"), &senders);
    tell(format!("queue full during {met} checkpoints: {refused} deliveries refused: {found:?}"));
    found.assert_faultless();
    assert!(found.acknowledged > 0, "nothing was acknowledged");
    assert_checked(dir.path());
}
