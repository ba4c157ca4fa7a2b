//! `kill -9` at random instants: under load, while the log is moved into the file, and while the server starts.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use footfall::check;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use super::image::copy;
use super::load::{Found, Sender, compare, while_sending};
use super::{rounds, seed, tell};
use crate::harness::crowd;
use crate::harness::process::Server;

pub fn assert_checked(dir: &Path) {
    let code = check::run(&dir.join("footfall.duckdb")).unwrap();
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
}

pub async fn upload_grid(base: &str) {
    let url = format!("{base}/v1/maps/{}", crate::harness::MAP);
    let put = reqwest::Client::new().put(url).json(&crowd::map()).send().await.unwrap();
    assert!(put.status().is_success(), "{}", put.status());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_instant_it_loses_nothing_acknowledged_and_counts_nothing_twice() {
    let (kills, seed) = (rounds(10), seed());
    let mut rng = StdRng::seed_from_u64(seed);
    let dir = TempDir::new().unwrap();
    let mut server = Server::start(dir.path());
    upload_grid(&server.base).await;
    let mut senders = Sender::crowd(8, seed);
    let mut at_start = 0;
    for round in 1..=kills {
        let base = server.base.clone();
        let until_kill = Duration::from_millis(rng.random_range(0..1500));
        senders = while_sending(senders, &base, async || {
            tokio::time::sleep(until_kill).await;
            server.kill();
        })
        .await;
        let found = compare(&copy(dir.path()).path().join("footfall.duckdb"), &senders);
        tell(format!("kill {round} of {kills} after {} ms: {found:?}", until_kill.as_millis()));
        found.assert_faultless();
        // Sometimes it is killed again before it is ready.
        while rng.random_bool(0.25) {
            at_start += 1;
            server.restart_without_waiting(dir.path());
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..150))).await;
            server.kill();
        }
        server.kill_and_restart(dir.path());
        if round % 20 == 0 {
            assert_checked(copy_of_stopped(&mut server, dir.path()).path());
        }
    }
    server.stop();
    let found @ Found { .. } = compare(&dir.path().join("footfall.duckdb"), &senders);
    tell(format!("{kills} kills under load and {at_start} while starting: {found:?}"));
    found.assert_faultless();
    assert!(found.acknowledged > 0, "nothing was acknowledged");
    assert_checked(dir.path());
}

/// What a kill leaves, in a copy; the server is started again.
fn copy_of_stopped(server: &mut Server, dir: &Path) -> TempDir {
    server.kill();
    let copied = copy(dir);
    server.kill_and_restart(dir);
    copied
}
