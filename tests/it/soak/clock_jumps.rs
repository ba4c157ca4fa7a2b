//! A wall clock that jumps: nothing is lost, and visits follow from event time alone.

use std::time::Duration;

use tempfile::TempDir;

use super::kills::{assert_checked, upload_grid};
use super::load::{Sender, compare, while_sending};
use super::shim::Shim;
use super::{seed, tell};
use crate::harness::ask;
use crate::harness::process::Server;

/// Seconds that the clock is off, one after the other.
const JUMPS_S: [i64; 7] = [3_600, -86_400, 0, 30 * 86_400, 12, -7_200, 0];

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_moves_no_visit_that_events_tell_of() {
    let Some(shim) = Shim::build() else { return };
    let dir = TempDir::new().unwrap();
    let server = Server::start_with(dir.path(), &shim.environment());
    upload_grid(&server.base).await;
    let mut senders = Sender::crowd(4, seed());
    for jump_s in JUMPS_S {
        shim.tell("clock", jump_s);
        senders = while_sending(senders, &server.base, async || {
            tokio::time::sleep(Duration::from_millis(1200)).await;
        })
        .await;
    }
    server.stop();
    let path = dir.path().join("footfall.duckdb");
    let found = compare(&path, &senders);
    let received = "SELECT date_diff('day', min(received_at), max(received_at)) FROM deliveries";
    let span_days: i64 = ask(&path, received)[0].parse().unwrap();
    tell(format!("clock jumps {JUMPS_S:?} s, received over {span_days} days: {found:?}"));
    found.assert_faultless();
    assert!(span_days >= 30, "the clock did not jump");
    assert_checked(dir.path());
}
