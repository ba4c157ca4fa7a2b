//! More than it can take: it says so at once, keeps its memory, and goes on when that is over.

use std::fs;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::kills::{assert_checked, upload_grid};
use super::load::{Sender, compare, send_for};
use super::{seed, tell};
use crate::harness::process::Server;

/// The most memory the program has had, megabytes.
pub fn peak_mb(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_is_too_large_is_refused_in_bounded_memory_and_forgotten() {
    let dir = TempDir::new().unwrap();
    // A queue of as many bytes as one body may have, so that a burst of this machine's own overruns it.
    let small = [("FOOTFALL_RECEIVER__QUEUE_DELIVERIES", "8"), ("FOOTFALL_STORE__MEMORY_LIMIT", "256MB")];
    let server = Server::start_with(dir.path(), &small);
    upload_grid(&server.base).await;
    let mut senders = Sender::crowd(100, seed());
    for sender in &mut senders {
        sender.events_max = 500;
    }
    let mut senders = send_for(senders, &server.base, Duration::from_secs(4)).await;
    let refused: u64 = senders.iter().map(|sender| sender.refused).sum();
    let peak = cfg!(target_os = "linux").then(|| peak_mb(&server));
    assert!(refused > 0, "nothing was refused");
    assert!(peak.is_none_or(|peak| peak < 1024), "{peak:?} MB");
    // The crowd has gone, and the next is taken without a restart.
    let next = send_for(Sender::numbered(100..101, 7), &server.base, Duration::from_millis(500)).await;
    assert_eq!((next[0].refused, next[0].deliveries > 0), (0, true));
    server.stop();
    senders.extend(next);
    let found = compare(&dir.path().join("footfall.duckdb"), &senders);
    tell(format!("100 senders: {refused} deliveries refused, at most {peak:?} MB resident: {found:?}"));
    found.assert_faultless();
    assert_checked(dir.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_connections_that_say_nothing_keep_nobody_out() {
    let connections = if std::env::var_os("FOOTFALL_SOAK_ROUNDS").is_some() { 10_000 } else { 2_000 };
    raise_file_limit();
    let dir = TempDir::new().unwrap();
    let server = Server::start_with(dir.path(), &[("FOOTFALL_SERVER__HEAD_TIMEOUT_S", "60")]);
    upload_grid(&server.base).await;
    let address = server.base.trim_start_matches("http://").to_owned();
    let mut held = Vec::new();
    for number in 0..connections {
        let Ok(mut stream) = TcpStream::connect(&address).await else {
            panic!("only {number} of {connections} connections could be made; is the limit of open files as low?")
        };
        // Half of them have begun.
        if number % 2 == 0 {
            stream.write_all(b"POST /v1/webhooks/mist HTTP/1.1\r\nHost: x\r\n").await.unwrap();
        }
        held.push(stream);
    }
    let senders = send_for(Sender::crowd(4, seed()), &server.base, Duration::from_secs(1)).await;
    let peak = cfg!(target_os = "linux").then(|| peak_mb(&server));
    drop(held);
    server.stop();
    let found = compare(&dir.path().join("footfall.duckdb"), &senders);
    tell(format!("{connections} connections held, at most {peak:?} MB resident: {found:?}"));
    found.assert_faultless();
    assert!(found.acknowledged > 0, "nobody else was let in");
    assert!(peak.is_none_or(|peak| peak < 1024), "{peak:?} MB");
    assert_checked(dir.path());
}

/// Both ends of a connection are files: of this process, and of the program that it starts.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
