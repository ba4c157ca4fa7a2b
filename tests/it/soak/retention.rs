//! What is old is deleted while deliveries come: they are acknowledged between its portions, and hardly later than without.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use footfall::clock::{Clock, stopwatch};
use footfall::retention::{Kept, Rules, forget_old};
use tempfile::TempDir;

use super::kills::assert_checked;
use super::tell;
use crate::harness::{START_S, TestApp, ask, config, delivery, fix};

const DAY_S: i64 = 86_400;
const SENDERS: u32 = 4;
/// Rows that one transaction deletes (`src/retention.rs`).
const PORTION_ROWS: usize = 20_000;

/// A file with so many positions of one client, received at the start of the tests' time.
async fn old_file(rows: usize) -> TempDir {
    let app = TestApp::start().await;
    app.upload_map().await;
    for seconds in [0.0, 1.0] {
        app.deliver(&delivery("location", vec![fix("00000000000a", seconds, 5.0, 5.0)])).await;
    }
    let dir = app.stop().await;
    // Far from what is still looked at for duplicates.
    let sql = format!(
        "CREATE TEMP TABLE first AS SELECT max(delivery_key) AS key FROM store.deliveries;
         INSERT INTO store.fixes SELECT f.* REPLACE (
                 first.key + 1 + n // 500 AS delivery_key,
                 f.event_at - INTERVAL 3 DAY - INTERVAL (n * 20) MILLISECOND AS event_at)
             FROM range({rows}) r(n), first, (FROM store.fixes LIMIT 1) f;
         INSERT INTO store.deliveries SELECT d.* REPLACE (first.key + 1 + n AS delivery_key, 500 AS events)
             FROM range({rows} // 500 + 1) r(n), first, (FROM store.deliveries LIMIT 1) d;"
    );
    duckdb::Connection::open(dir.path().join("footfall.duckdb")).unwrap().execute_batch(&sql).unwrap();
    dir
}

/// How long each delivery took to be acknowledged, in order of length.
#[derive(Default)]
struct Latencies(Vec<Duration>);

impl Latencies {
    fn ms(&self, share: f64) -> f64 {
        self.0[((self.0.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0
    }
}

/// A few senders, each with the next delivery once the last is acknowledged, while `meanwhile` goes on.
async fn while_timed(app: &TestApp, numbers: &AtomicU32, meanwhile: impl Future<Output = ()>) -> Latencies {
    let is_over = Arc::new(AtomicBool::new(false));
    let senders = (0..SENDERS).map(|sender| {
        let is_over = is_over.clone();
        async move {
            let mut took = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let number = numbers.fetch_add(1, Ordering::Relaxed);
                let at_s = (31 * DAY_S - 3600) as f64 + f64::from(number) / 10.0;
                let events = (0..20).map(|n| fix(&format!("5e{sender:06x}{n:04x}"), at_s, 5.0, 5.0)).collect();
                let since = stopwatch();
                app.deliver(&delivery("location", events)).await;
                took.push(since.elapsed());
            }
            took
        }
    });
    let ((), took) = futures::join!(
        async {
            meanwhile.await;
            is_over.store(true, Ordering::Relaxed);
        },
        futures::future::join_all(senders)
    );
    let mut all: Vec<Duration> = took.into_iter().flatten().collect();
    all.sort_unstable();
    Latencies(all)
}

fn positions(path: &Path) -> usize {
    ask(path, "SELECT count(*) FROM positions")[0].parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_acknowledged_while_millions_of_old_rows_are_deleted() {
    let rows = if std::env::var_os("FOOTFALL_SOAK_ROUNDS").is_some() { 3_000_000 } else { 200_000 };
    let dir = old_file(rows).await;
    let config = config(dir.path());
    let app = TestApp::open(dir, config, Clock::manual((START_S + 31 * DAY_S) * 1000)).await;
    let kept = Kept { events_days: Some(30), visits_days: None };
    let rules = Rules { kept, sites: BTreeMap::new(), callbacks_days: None };
    let numbers = AtomicU32::new(0);
    let without = while_timed(&app, &numbers, tokio::time::sleep(Duration::from_secs(3))).await;
    let (mut deleted, mut length) = (0, Duration::ZERO);
    let with = while_timed(&app, &numbers, async {
        let since = stopwatch();
        deleted = forget_old(&app.store, &app.pipeline, &rules, app.clock.now()).await.unwrap();
        length = since.elapsed();
    })
    .await;
    let file = app.stop().await;
    let told = |share: f64| {
        let (without, with) = (without.ms(share), with.ms(share));
        format!("{with:.1} ms beside it, {without:.1} without ({:.1} times)", with / without)
    };
    tell(format!(
        "retention: {deleted} old rows deleted in {:.1} s; {} deliveries acknowledged meanwhile: median {}, 99 of 100 {}, longest {}",
        length.as_secs_f64(),
        with.0.len(),
        told(0.5),
        told(0.99),
        told(1.0)
    ));
    assert!(deleted > rows, "only {deleted} of {rows} rows and their deliveries");
    // Were it done at one go, each sender would get one through.
    let portions = rows / PORTION_ROWS;
    assert!(with.0.len() > portions, "{} acknowledged between {portions} portions", with.0.len());
    assert!(with.ms(1.0) < 10_000.0, "one waited for {:.0} ms", with.ms(1.0));
    let acknowledged = (without.0.len() + with.0.len()) * 20;
    assert_eq!(
        positions(&file.path().join("footfall.duckdb")),
        acknowledged,
        "what is new is there, what is old is not"
    );
    assert_checked(file.path());
}
