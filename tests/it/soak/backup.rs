//! A snapshot taken under load is a whole file: with all that was acknowledged before it was asked for, and a server goes on
//! from it.

use std::time::Duration;

use tempfile::TempDir;

use super::image::copy;
use super::kills::{assert_checked, upload_grid};
use super::load::{Sender, compare, while_sending};
use super::{seed, tell};
use crate::harness::process::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_under_load_is_whole_and_a_server_goes_on_from_it() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path());
    upload_grid(&server.base).await;
    let senders = while_sending(Sender::crowd(4, seed()), &server.base, async || {
        tokio::time::sleep(Duration::from_secs(1)).await;
    })
    .await;
    let before = compare(&copy(dir.path()).path().join("footfall.duckdb"), &senders).acknowledged;
    let restored = TempDir::new().unwrap();
    let senders = while_sending(senders, &server.base, async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let url = format!("{}/v1/snapshot?secrets=true", server.base);
        let bytes = reqwest::get(url).await.unwrap().error_for_status().unwrap().bytes().await.unwrap();
        std::fs::write(restored.path().join("footfall.duckdb"), bytes).unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
    })
    .await;
    server.stop();
    let snapshot = compare(&restored.path().join("footfall.duckdb"), &senders);
    tell(format!("snapshot under load: {before} acknowledged before it; {snapshot:?}"));
    assert_eq!((snapshot.twice, snapshot.foreign), (0, 0));
    // What came while it was made may be in it or not.
    let stored = snapshot.acknowledged - snapshot.lost;
    assert!(before > 0 && stored >= before && stored < snapshot.acknowledged, "{before}: {snapshot:?}");
    assert_checked(restored.path());
    // Senders that were not answered after the loss send again, and all is there.
    let server = Server::start(restored.path());
    let fresh = while_sending(Sender::crowd(2, 1), &server.base, async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
    })
    .await;
    assert!(fresh.iter().any(|sender| sender.deliveries > 0), "it takes nothing");
    server.stop();
    assert_checked(restored.path());
}
