//! Any text is answered or refused by the guard, never with a fault of the server's own; and it changes nothing.

#![no_main]

use std::sync::OnceLock;

use footfall::store::sql::{Asking, SqlError};
use footfall::store::{Store, StoreOptions};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static STORE: OnceLock<(TempDir, Store)> = OnceLock::new();

fn store() -> &'static Store {
    let (_, store) = STORE.get_or_init(|| {
        let dir = TempDir::new().expect("a folder");
        let path = dir.path().join("fuzz.duckdb");
        let options = StoreOptions { path, memory_limit: Some("512MB".into()), threads: Some(1) };
        let store = Store::open(&options).expect("a new file");
        (dir, store)
    });
    store
}

fuzz_target!(|text: &str| {
    let asking = Asking::new(store()).expect("a connection");
    // Planned, not run: a statement that runs for an hour is the time limit's matter.
    if let Err(SqlError::Store(error)) = asking.describe(text, &[]) {
        panic!("a fault of ours: {error:?}");
    }
    let asking = Asking::new(store()).expect("a connection");
    let answer = asking.ask("SELECT 1", vec![], 1).expect("the next question is answered");
    assert_eq!(answer.batches.len(), 1);
});
