//! Whatever bytes a PostgreSQL client sends, before, while or after it says who it is, nobody else is disturbed.

#![no_main]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use footfall::access::{Access, Policy};
use footfall::clock::Clock;
use footfall::postgres::{Options, Postgres};
use footfall::store::{Store, StoreOptions};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

struct Served {
    runtime: Runtime,
    /// Asks nobody who they are.
    open: SocketAddr,
    /// Has one user.
    closed: SocketAddr,
    clock: Clock,
    _stopping: watch::Sender<bool>,
    _dir: TempDir,
}

static MINUTES: AtomicI64 = AtomicI64::new(0);
static SERVED: OnceLock<Served> = OnceLock::new();

/// Decoders of pgwire that take no care of a message's end panic; that ends the connection it came by and nothing else, which
/// is what is looked at here. Any other panic is a finding.
fn let_decoders_panic() {
    let fail = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |told| {
        let is_decoder = told.location().is_some_and(|at| at.file().contains("/bytes-") || at.file().contains("/pgwire-"));
        if !is_decoder {
            fail(told);
        }
    }));
}

fn served() -> &'static Served {
    SERVED.get_or_init(|| {
        let_decoders_panic();
        let runtime = Runtime::new().expect("a runtime");
        let dir = TempDir::new().expect("a folder");
        let path = dir.path().join("fuzz.duckdb");
        let options = StoreOptions { path, memory_limit: Some("512MB".into()), threads: Some(1) };
        let store = Store::open(&options).expect("a new file");
        let (stopping, stopped) = watch::channel(false);
        let clock = Clock::manual(0);
        let access = Access::new(Policy::default(), clock.clone(), vec![], vec![]);
        let serve = |users: BTreeMap<String, String>| {
            let options = Options {
                listen: SocketAddr::from(([127, 0, 0, 1], 0)),
                users,
                tls: None,
                is_tls_required: false,
                connections_max: 64,
                statement_timeout: Duration::from_secs(10),
                rows_max: 1000,
            };
            let turns = Arc::new(Semaphore::new(4));
            let bound = runtime.block_on(Postgres::bind(&options, store.clone(), turns, access.clone()));
            let bound = bound.expect("a free port");
            let address = bound.address().expect("it is bound");
            runtime.spawn(bound.serve(stopped.clone()));
            address
        };
        let open = serve(BTreeMap::new());
        let closed = serve([("fuzz".to_owned(), "a password".to_owned())].into());
        Served { runtime, open, closed, clock, _stopping: stopping, _dir: dir }
    })
}

/// Protocol 3.0, user `fuzz`.
const STARTUP: &[u8] = b"\x00\x00\x00\x13\x00\x03\x00\x00user\x00fuzz\x00\x00";
/// The first message of SCRAM-SHA-256, as a client says it.
const FIRST: &[u8] = b"p\x00\x00\x00\x36SCRAM-SHA-256\x00\x00\x00\x00\x20n,,n=,r=fyko+d2lbbFgONRv9qkxdawL";
const ASK: &[u8] = b"Q\x00\x00\x00\x0dSELECT 1\x00X\x00\x00\x00\x04";

/// A client that hangs up has its statement given up, so one that wants the answer does not.
async fn say(address: SocketAddr, parts: &[&[u8]], hangs_up: bool) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    for part in parts {
        // It may have hung up already.
        let _ = stream.write_all(part).await;
    }
    if hangs_up {
        let _ = stream.shutdown().await;
    }
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.expect("it neither answers nor hangs up");
    answer
}

fuzz_target!(|input: &[u8]| {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let served = served();
    served.runtime.block_on(async {
        match choice % 4 {
            0 => drop(say(served.open, &[bytes], true).await),
            1 => {
                // A minute later: else all that follow would be turned away unread.
                served.clock.set(60_000 * MINUTES.fetch_add(1, Ordering::Relaxed));
                let first = if choice % 8 == 1 { FIRST } else { b"" };
                let answer = say(served.closed, &[STARTUP, first, bytes], true).await;
                // Ready for a query: without the password nobody gets there.
                assert!(!answer.windows(5).any(|part| part == b"Z\x00\x00\x00\x05"), "{answer:?}");
            }
            _ => drop(say(served.open, &[STARTUP, bytes], true).await),
        }
        if choice.is_multiple_of(16) {
            let answer = say(served.open, &[STARTUP, ASK], false).await;
            assert!(answer.windows(8).any(|part| part == b"SELECT 1"), "{:?}", String::from_utf8_lossy(&answer));
        }
    });
});
