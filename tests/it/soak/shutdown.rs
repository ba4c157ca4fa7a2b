//! Told to stop while deliveries are under way: what was taken is answered and kept, and the program ends well.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use super::image::copy;
use super::kills::{assert_checked, upload_grid};
use super::load::{Sender, compare, while_sending};
use super::shim::Shim;
use super::{rounds, seed, tell};
use crate::harness::process::Server;

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_answers_what_it_has_taken_and_ends_well() {
    let Some(shim) = Shim::build() else { return };
    let (stops, seed) = (rounds(3).div_ceil(10).max(3), seed());
    let mut rng = StdRng::seed_from_u64(seed);
    let dir = TempDir::new().unwrap();
    let mut senders = Sender::crowd(8, seed);
    let mut answered_after = 0;
    for stop in 0..stops {
        let server = Server::start_with(dir.path(), &shim.environment());
        if stop == 0 {
            upload_grid(&server.base).await;
        }
        // So that at any instant some wait for their commit.
        shim.begin("slow_sync");
        let base = server.base.clone();
        let mut told = footfall::clock::stopwatch();
        senders = while_sending(senders, &base, async || {
            tokio::time::sleep(Duration::from_millis(rng.random_range(250..900))).await;
            told = footfall::clock::stopwatch();
            // SIGTERM; the exit status must be 0.
            server.stop();
        })
        .await;
        shim.end("slow_sync");
        answered_after += senders.iter().filter(|sender| sender.last_acknowledged > Some(told)).count();
        let found = compare(&copy(dir.path()).path().join("footfall.duckdb"), &senders);
        found.assert_faultless();
    }
    let found = compare(&dir.path().join("footfall.duckdb"), &senders);
    tell(format!("{stops} stops under load: {answered_after} deliveries answered after the signal: {found:?}"));
    assert!(answered_after > 0, "none was under way");
    assert!(found.acknowledged > 0, "nothing was acknowledged");
    assert_checked(dir.path());
}
