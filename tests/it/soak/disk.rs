//! Disks that are full, read-only, slow, or that fail: what cannot be made durable is not acknowledged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::image::copy;
use super::kills::{assert_checked, upload_grid};
use super::load::{Sender, compare, send_for};
use super::shim::Shim;
use super::{seed, tell};
use crate::harness::process::Server;

/// A file system in memory of so many megabytes.
struct SmallDisk {
    at: TempDir,
}

impl SmallDisk {
    /// None where this process may not mount: only root may.
    fn mount(megabytes: u32) -> Option<SmallDisk> {
        let disk = SmallDisk { at: TempDir::new().unwrap() };
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "soak"]).arg(disk.at.path()).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(disk);
        }
        tell("*** SKIPPED: no small disk can be mounted here (it takes root), so this test tests nothing ***");
        None
    }

    fn path(&self) -> &Path {
        self.at.path()
    }

    fn remount(&self, how: &str) {
        let options = format!("remount,{how}");
        assert!(Command::new("mount").args(["-o", &options]).arg(self.path()).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: what a failed test left open must not keep it.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// After a fault is over: goes on as it is, or after the start that it asked for; nothing may be missing either way.
async fn assert_recovers(mut server: Server, dir: &Path, senders: Vec<Sender>, fault: &str) {
    let ended = server.ended();
    if ended.is_some() {
        server.kill_and_restart(dir);
    }
    let before = compare(&copy(dir).path().join("footfall.duckdb"), &senders).acknowledged;
    let senders = send_for(senders, &server.base, Duration::from_millis(1500)).await;
    // A log that the fault left torn would hide what was appended since.
    server.kill_and_restart(dir);
    server.stop();
    let found = compare(&dir.join("footfall.duckdb"), &senders);
    let how = ended.map_or("goes on by itself".into(), |status| format!("ended ({status}), goes on after a start"));
    tell(format!("{fault}: {how}: {found:?}"));
    found.assert_faultless();
    assert!(found.acknowledged > before, "it takes nothing after the fault");
    assert_checked(dir);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_not_acknowledged_and_room_ends_it() {
    let Some(disk) = SmallDisk::mount(96) else { return };
    let ballast: PathBuf = disk.path().join("ballast");
    fs::write(&ballast, vec![1; 48 << 20]).unwrap();
    let mut server = Server::start_with(disk.path(), &[("FOOTFALL_STORE__FREE_BYTES_MIN", "25000000")]);
    upload_grid(&server.base).await;
    let mut senders = Sender::crowd(8, seed());
    while senders.iter().map(|sender| sender.refused).sum::<u64>() < 20 {
        senders = send_for(senders, &server.base, Duration::from_millis(500)).await;
        assert!(server.ended().is_none(), "it ended: the disk was filled to the last byte");
    }
    let ready = reqwest::get(format!("{}/health/ready", server.base)).await.unwrap();
    assert_eq!(ready.status(), 503);
    assert!(ready.text().await.unwrap().contains("nearly full"));
    fs::remove_file(ballast).unwrap();
    assert_recovers(server, disk.path(), senders, "disk nearly full").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_filled_to_the_last_byte_ends_the_server_with_all_that_was_acknowledged() {
    let Some(disk) = SmallDisk::mount(96) else { return };
    let ballast: PathBuf = disk.path().join("ballast");
    fs::write(&ballast, vec![1; 48 << 20]).unwrap();
    let mut server = Server::start_with(disk.path(), &[("FOOTFALL_STORE__FREE_BYTES_MIN", "0")]);
    upload_grid(&server.base).await;
    let mut senders = Sender::crowd(8, seed());
    while senders.iter().all(|sender| sender.refused == 0) && server.ended().is_none() {
        senders = send_for(senders, &server.base, Duration::from_millis(500)).await;
    }
    fs::remove_file(ballast).unwrap();
    assert_recovers(server, disk.path(), senders, "disk full").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_turns_read_only_is_not_acknowledged() {
    let Some(disk) = SmallDisk::mount(96) else { return };
    let server = Server::start_with(disk.path(), &[("FOOTFALL_STORE__FREE_BYTES_MIN", "0")]);
    upload_grid(&server.base).await;
    let senders = send_for(Sender::crowd(4, seed()), &server.base, Duration::from_millis(500)).await;
    // A file that is open for writing keeps its file system writable, so the program ends first.
    server.stop();
    disk.remount("ro");
    let refused = Command::new(env!("CARGO_BIN_EXE_footfall"))
        .args(["serve", "--listen", "127.0.0.1:0", "--store"])
        .arg(disk.path().join("footfall.duckdb"))
        .output()
        .unwrap();
    assert!(!refused.status.success());
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("may this one write there"), "{told}");
    disk.remount("rw");
    let server = Server::start_with(disk.path(), &[("FOOTFALL_STORE__FREE_BYTES_MIN", "0")]);
    assert_recovers(server, disk.path(), senders, "disk read-only").await;
}

/// Sends while calls of the program fail or wait, and once more after they no longer do.
async fn through(fault: &str, during: Duration) {
    let Some(shim) = Shim::build() else { return };
    let dir = TempDir::new().unwrap();
    let server = Server::start_with(dir.path(), &shim.environment());
    upload_grid(&server.base).await;
    let senders = send_for(Sender::crowd(8, seed()), &server.base, Duration::from_millis(700)).await;
    let before = compare(&copy(dir.path()).path().join("footfall.duckdb"), &senders).acknowledged;
    assert!(before > 0, "nothing was taken before the fault");
    shim.begin(fault);
    let senders = send_for(senders, &server.base, during).await;
    // What the disk held when the power went, so to speak.
    let found = compare(&copy(dir.path()).path().join("footfall.duckdb"), &senders);
    found.assert_faultless();
    shim.end(fault);
    assert_recovers(server, dir.path(), senders, fault).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_synced_is_not_acknowledged() {
    through("fail_sync", Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_by_half_is_not_acknowledged() {
    through("fail_write", Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_waits_for_a_slow_disk() {
    through("slow_sync", Duration::from_secs(3)).await;
    let Some(shim) = Shim::build() else { return };
    let dir = TempDir::new().unwrap();
    let server = Server::start_with(dir.path(), &shim.environment());
    upload_grid(&server.base).await;
    shim.begin("slow_sync");
    let since = footfall::clock::stopwatch();
    let senders = send_for(Sender::crowd(1, seed()), &server.base, Duration::from_secs(2)).await;
    let waited = since.elapsed();
    server.stop();
    let found = compare(&dir.path().join("footfall.duckdb"), &senders);
    let deliveries = senders[0].deliveries;
    tell(format!("slow_sync: {deliveries} deliveries of one sender in {} ms: {found:?}", waited.as_millis()));
    found.assert_faultless();
    // Each waited for one of 200 ms at least.
    assert!(deliveries > 0 && Duration::from_millis(200) * deliveries <= waited, "{deliveries} in {waited:?}");
}
