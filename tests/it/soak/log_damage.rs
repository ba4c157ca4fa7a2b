//! A write-ahead log that a disk has damaged, torn off or with wrong bits: the server says so and does not start, or starts
//! with all that lies before the damage. Never with a hole, never with anything twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use super::image::copy;
use super::kills::upload_grid;
use super::load::{Sender, assert_no_holes, while_sending};
use super::{rounds, seed, tell};
use crate::harness::process::Server;

/// What is done to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Damage {
    Cut,
    ZeroedTail,
    BitInTheLastPage,
    BitAnywhere,
}

const DAMAGES: [Damage; 4] = [Damage::Cut, Damage::ZeroedTail, Damage::BitInTheLastPage, Damage::BitAnywhere];

const PAGE: usize = 4096;

fn damaged(mut log: Vec<u8>, damage: Damage, rng: &mut StdRng) -> Vec<u8> {
    let len = log.len();
    match damage {
        Damage::Cut => log.truncate(rng.random_range(0..len)),
        Damage::ZeroedTail => log[len - rng.random_range(1..PAGE.min(len))..].fill(0),
        Damage::BitInTheLastPage => log[len - rng.random_range(1..PAGE.min(len))] ^= 1 << rng.random_range(0..8),
        Damage::BitAnywhere => log[rng.random_range(0..len)] ^= 1 << rng.random_range(0..8),
    }
    log
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_is_told_of_or_gives_all_before_the_damage() {
    let (times, seed) = (rounds(12), seed());
    let mut rng = StdRng::seed_from_u64(seed);
    let dir = TempDir::new().unwrap();
    let mut server = Server::start(dir.path());
    upload_grid(&server.base).await;
    let base = server.base.clone();
    let senders = while_sending(Sender::crowd(4, seed), &base, async || {
        tokio::time::sleep(Duration::from_millis(800)).await;
        server.kill();
    })
    .await;
    let log = fs::read(dir.path().join("footfall.duckdb.wal")).unwrap();
    assert!(log.len() > PAGE, "there is no log to damage");
    let mut outcomes: BTreeMap<(Damage, &str), u32> = BTreeMap::new();
    for round in 0..times {
        let damage = DAMAGES[round as usize % DAMAGES.len()];
        let copied = copy(dir.path());
        fs::write(copied.path().join("footfall.duckdb.wal"), damaged(log.clone(), damage, &mut rng)).unwrap();
        let outcome = opened(copied.path(), &senders);
        *outcomes.entry((damage, outcome)).or_default() += 1;
    }
    for ((damage, outcome), times) in outcomes {
        tell(format!("log damage {damage:?}: {outcome}: {times}"));
    }
}

fn opened(dir: &Path, senders: &[Sender]) -> &'static str {
    let path = dir.join("footfall.duckdb");
    let checked = Command::new(env!("CARGO_BIN_EXE_footfall")).arg("check").arg(&path).output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
    if !said.contains("holds") {
        assert!(!checked.status.success());
        assert!(complained.contains("is damaged: restore a snapshot"), "{complained}");
        return "refused, and told";
    }
    assert!(checked.status.success(), "{said}{complained}");
    assert_no_holes(&path, senders);
    "opened with all before the damage"
}
