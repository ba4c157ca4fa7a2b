//! Whatever bytes a PostgreSQL client sends, before or after it has said who it is, nobody else is disturbed.

#![no_main]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

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
    address: SocketAddr,
    _stopping: watch::Sender<bool>,
    _dir: TempDir,
}

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
        let options = Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            users: BTreeMap::new(),
            tls: None,
            is_tls_required: false,
            connections_max: 64,
            statement_timeout: Duration::from_secs(10),
            rows_max: 1000,
        };
        let bound = runtime.block_on(Postgres::bind(&options, store, Arc::new(Semaphore::new(4))));
        let bound = bound.expect("a free port");
        let address = bound.address().expect("it is bound");
        let (stopping, stopped) = watch::channel(false);
        runtime.spawn(bound.serve(stopped));
        Served { runtime, address, _stopping: stopping, _dir: dir }
    })
}

/// Protocol 3.0, user `fuzz`.
const STARTUP: &[u8] = b"\x00\x00\x00\x13\x00\x03\x00\x00user\x00fuzz\x00\x00";
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
        if choice.is_multiple_of(4) {
            say(served.address, &[bytes], true).await;
        } else {
            say(served.address, &[STARTUP, bytes], true).await;
        }
        if choice.is_multiple_of(16) {
            let answer = say(served.address, &[STARTUP, ASK], false).await;
            assert!(answer.windows(8).any(|part| part == b"SELECT 1"), "{:?}", String::from_utf8_lossy(&answer));
        }
    });
});
