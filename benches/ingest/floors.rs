//! What cannot be left out, each by itself on the same bytes and one thread: to hash the bodies, to read them as JSON, to
//! append their fixes to DuckDB and have them on disk. CPU seconds a million events.

use std::sync::Arc;

use duckdb::Connection;
use duckdb::arrow::array::{ArrayRef, BooleanArray, Float32Array, Int32Array, Int64Array, TimestampMicrosecondArray};
use duckdb::arrow::record_batch::RecordBatch;
use footfall::receiver::signature::Secret;
use serde::Deserialize;
use tempfile::TempDir;

use super::crowd::{Request, SECRET};
use super::server::cpu_s;

/// As many events as are under way at a time when eight senders send deliveries of 500.
const COMMIT_EVENTS: usize = 4000;

pub struct Floors {
    pub hash_s: f64,
    pub parse_s: f64,
    pub append_s: f64,
}

impl Floors {
    pub fn sum_s(&self) -> f64 {
        self.hash_s + self.parse_s + self.append_s
    }

    pub fn of(requests: &[Request]) -> Floors {
        let secret = Secret::new(SECRET);
        let (hash_s, _) = timed(|| requests.iter().map(|request| secret.sign_v2(request.body()).len()).sum::<usize>());
        let (parse_s, events) =
            timed(|| requests.iter().map(|request| read(request.body()).events.len()).sum::<usize>());
        let (append_s, _) = timed(|| append(requests));
        // Reading them again is no part of appending.
        let append_s = (append_s - parse_s).max(0.0);
        let a_million = 1e6 / events as f64;
        Floors { hash_s: hash_s * a_million, parse_s: parse_s * a_million, append_s: append_s * a_million }
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let before_s = cpu_s("self");
    let made = std::hint::black_box(work());
    (cpu_s("self") - before_s, made)
}

#[derive(Deserialize)]
struct Delivery<'a> {
    #[serde(borrow)]
    events: Vec<Fix<'a>>,
}

#[derive(Deserialize)]
struct Fix<'a> {
    mac: &'a str,
    x: f64,
    y: f64,
    timestamp: i64,
}

fn read(body: &[u8]) -> Delivery<'_> {
    serde_json::from_slice(body).expect("our own deliveries")
}

/// The columns of a stored fix, appended as Arrow in the order in which they come: the fastest way that DuckDB has.
fn append(requests: &[Request]) {
    let dir = TempDir::new().unwrap();
    let conn = Connection::open(dir.path().join("floor.duckdb")).unwrap();
    conn.execute_batch(
        "CREATE TABLE fixes (delivery_key BIGINT, received_at TIMESTAMP, site_key INTEGER, map_key INTEGER, client_key INTEGER,
             event_at TIMESTAMP, x_mm INTEGER, y_mm INTEGER, rssi_dbm FLOAT, is_late BOOLEAN, is_off_map BOOLEAN, is_received_time BOOLEAN)",
    )
    .unwrap();
    let mut waiting = Vec::with_capacity(COMMIT_EVENTS);
    for (delivery, request) in requests.iter().enumerate() {
        for fix in read(request.body()).events {
            let client = i32::from_str_radix(&fix.mac[4..], 16).expect("our own addresses");
            let (x_mm, y_mm) = ((fix.x * 1000.0) as i32, (fix.y * 1000.0) as i32);
            waiting.push((delivery as i64, client, fix.timestamp * 1_000_000, x_mm, y_mm));
        }
        if waiting.len() >= COMMIT_EVENTS {
            commit(&conn, &waiting);
            waiting.clear();
        }
    }
    commit(&conn, &waiting);
    conn.execute_batch("CHECKPOINT").unwrap();
}

/// Delivery, client, when in microseconds, millimetres.
type Row = (i64, i32, i64, i32, i32);

fn commit(conn: &Connection, rows: &[Row]) {
    let integers = |of: fn(&Row) -> i32| Arc::new(Int32Array::from_iter_values(rows.iter().map(of))) as ArrayRef;
    let times = || Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.2))) as ArrayRef;
    let flags = || Arc::new(BooleanArray::from(vec![false; rows.len()])) as ArrayRef;
    let columns = [
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))) as ArrayRef,
        times(),
        integers(|_| 1),
        integers(|_| 1),
        integers(|row| row.1),
        times(),
        integers(|row| row.3),
        integers(|row| row.4),
        Arc::new(Float32Array::from(vec![-60.0; rows.len()])),
        flags(),
        flags(),
        flags(),
    ];
    let names = "abcdefghijkl".split("").filter(|name| !name.is_empty());
    let batch = RecordBatch::try_from_iter(names.zip(columns)).unwrap();
    conn.execute_batch("BEGIN").unwrap();
    conn.appender("fixes").unwrap().append_record_batch(batch).unwrap();
    conn.execute_batch("COMMIT").unwrap();
}
