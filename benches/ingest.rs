//! Ingest as a network would do it: signed deliveries over HTTP to the real server, each acknowledged once it is on
//! disk. Server and load generator are two processes on one machine.
//!
//! `cargo bench --bench ingest` prints a table; `-- --seconds 30` measures longer, `-- --memory` only what many clients take. 1,000 clients walk over one map of 50
//! zones, a fix a second each. One lane per connection, with its own clients, so that each client's fixes stay in
//! order.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use footfall::clock::{Clock, stopwatch};
use footfall::receiver::signature::{HEADER_V2, Secret};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tempfile::TempDir;

const SECRET: &str = "bench";
const SITE: &str = "4ac1dcf4-9d8b-4211-a5c4-057819f0862b";
const MAP: &str = "63eda950-c6da-41e4-a628-60f81dd250cc";
const CLIENTS: usize = 1000;
const ZONES: usize = 50;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let seconds = arguments.iter().position(|a| a == "--seconds").and_then(|at| arguments.get(at + 1)?.parse().ok());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure(Duration::from_secs(seconds.unwrap_or(10))));
}

async fn measure(length: Duration) {
    if std::env::args().any(|argument| argument == "--memory") {
        return memory().await;
    }
    println!(
        "{CLIENTS} clients, {ZONES} zones, {} s each; every figure with the load on the same machine",
        length.as_secs()
    );
    println!(
        "{:>6} {:>6} {:>12} {:>10} {:>10} {:>14}",
        "events", "lanes", "events/s", "p50 ms", "p99 ms", "server CPU s/M"
    );
    let mut bytes_per_fix = None;
    // One event at a time on an idle server first, then a crowd of senders.
    for (batch, lanes) in [(1, 1), (1, 64), (10, 32), (100, 16), (500, 8)] {
        let found = run(batch, lanes, length).await;
        println!(
            "{batch:>6} {lanes:>6} {:>12.0} {:>10.2} {:>10.2} {:>14.2}",
            found.events as f64 / length.as_secs_f64(),
            found.quantile_ms(0.5),
            found.quantile_ms(0.99),
            found.cpu_s / found.events as f64 * 1e6,
        );
        bytes_per_fix = Some((found.file_bytes as f64 / found.events as f64, found.events));
    }
    if let Some((bytes, fixes)) = bytes_per_fix {
        println!("{bytes:.1} bytes of file per stored fix, visits included, after {fixes} fixes");
    }
    memory().await;
}

/// Clients that are tracked at once, and how many fixes of each come.
const TRACKED: usize = 200_000;
const ROUNDS: usize = 5;

/// What a great many clients take, all of them in a room: with the default settings, at the end and at most.
async fn memory() {
    let dir = TempDir::new().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = start(dir.path(), port).await;
    let base = format!("http://127.0.0.1:{port}");
    upload_map(&base).await;
    let mut crowd = Lane::new(0, TRACKED, Clock::System.now().0 - 60_000);
    let client = reqwest::Client::new();
    for _ in 0..TRACKED * ROUNDS / 500 {
        let body = crowd.delivery(500);
        let signature = Secret::new(SECRET).sign_v2(body.as_bytes());
        let request = client.post(format!("{base}/v1/webhooks/mist")).header(HEADER_V2, signature).body(body);
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    let metrics = client.get(format!("{base}/metrics")).send().await.unwrap().text().await.unwrap();
    let open = metrics.lines().find_map(|line| line.strip_prefix("footfall_open_visits ")).unwrap_or("?");
    let (now_mib, most_mib) = (memory_mib(server.id(), "VmRSS:"), memory_mib(server.id(), "VmHWM:"));
    stop(&mut server);
    println!(
        "{TRACKED} clients tracked, {open} visits open: {now_mib} MiB resident, {most_mib} MiB at most (bound: 1024)"
    );
}

/// 0 where the system does not tell.
fn memory_mib(pid: u32, key: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("0");
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

struct Found {
    events: u64,
    /// Ascending.
    latencies: Vec<Duration>,
    cpu_s: f64,
    file_bytes: u64,
}

impl Found {
    fn quantile_ms(&self, q: f64) -> f64 {
        let place = (q * (self.latencies.len() - 1) as f64) as usize;
        self.latencies[place].as_secs_f64() * 1000.0
    }
}

async fn run(batch: usize, lanes: usize, length: Duration) -> Found {
    let dir = TempDir::new().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = start(dir.path(), port).await;
    let base = format!("http://127.0.0.1:{port}");
    upload_map(&base).await;
    let start_ms = Clock::System.now().0 - 86_400_000;
    let cpu_before_s = cpu_s(server.id());
    let begun = stopwatch();
    let sending: Vec<_> = (0..lanes)
        .map(|lane| {
            let url = format!("{base}/v1/webhooks/mist");
            tokio::spawn(async move {
                let client = reqwest::Client::new();
                let mut crowd = Lane::new(lane, (CLIENTS / lanes).max(1), start_ms);
                let mut latencies = Vec::new();
                while begun.elapsed() < length {
                    let body = crowd.delivery(batch);
                    let signature = Secret::new(SECRET).sign_v2(body.as_bytes());
                    let sent = stopwatch();
                    let answer = client.post(&url).header(HEADER_V2, signature).body(body).send().await.unwrap();
                    assert_eq!(answer.status(), 200);
                    answer.bytes().await.unwrap();
                    latencies.push(sent.elapsed());
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for lane in sending {
        latencies.extend(lane.await.unwrap());
    }
    latencies.sort_unstable();
    let cpu_s = cpu_s(server.id()) - cpu_before_s;
    stop(&mut server);
    let file_bytes = fs::metadata(dir.path().join("footfall.duckdb")).unwrap().len();
    Found { events: (latencies.len() * batch) as u64, latencies, cpu_s, file_bytes }
}

/// The clients of one connection, each a fix further on with every round.
struct Lane {
    rng: StdRng,
    macs: Vec<String>,
    places: Vec<(f64, f64)>,
    next: usize,
    at_ms: i64,
}

impl Lane {
    fn new(lane: usize, clients: usize, start_ms: i64) -> Lane {
        let mut rng = StdRng::seed_from_u64(lane as u64);
        Lane {
            macs: (0..clients).map(|client| format!("3c{lane:04x}{client:06x}")).collect(),
            places: (0..clients).map(|_| (rng.random_range(0.0..100.0), rng.random_range(0.0..50.0))).collect(),
            rng,
            next: 0,
            at_ms: start_ms,
        }
    }

    fn delivery(&mut self, batch: usize) -> String {
        let events: Vec<String> = (0..batch).map(|_| self.fix()).collect();
        format!(r#"{{"topic":"location","events":[{}]}}"#, events.join(","))
    }

    fn fix(&mut self) -> String {
        let client = self.next;
        self.next = (self.next + 1) % self.macs.len();
        if self.next == 0 {
            self.at_ms += 1000;
        }
        let (x, y) = &mut self.places[client];
        *x = (*x + self.rng.random_range(-1.5..1.5)).clamp(0.0, 100.0);
        *y = (*y + self.rng.random_range(-1.5..1.5)).clamp(0.0, 50.0);
        format!(
            r#"{{"site_id":"{SITE}","map_id":"{MAP}","type":"wifi","mac":"{}","x":{x:.3},"y":{y:.3},"rssi":-60,"timestamp":{}}}"#,
            self.macs[client],
            self.at_ms / 1000
        )
    }
}

async fn start(dir: &Path, port: u16) -> Child {
    let server = Command::new(env!("CARGO_BIN_EXE_footfall"))
        .arg("serve")
        .env("FOOTFALL_SERVER__LISTEN", format!("127.0.0.1:{port}"))
        .env("FOOTFALL_STORE__PATH", dir.join("footfall.duckdb"))
        .env("FOOTFALL_SOURCES__DEFAULT__SECRETS", format!("[\"{SECRET}\"]"))
        .env("FOOTFALL_LOG", "warn")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    while reqwest::get(format!("http://127.0.0.1:{port}/health/ready")).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server
}

/// Stops in good order, so that the file is whole without its log.
fn stop(server: &mut Child) {
    Command::new("kill").args(["-TERM", &server.id().to_string()]).status().unwrap();
    assert!(server.wait().unwrap().success());
}

/// Ten by five rooms of 10 m.
async fn upload_map(base: &str) {
    let zones: Vec<Value> = (0..ZONES)
        .map(|n| {
            let (x, y) = ((n % 10) as f64 * 10.0, (n / 10) as f64 * 10.0);
            json!({"id": format!("0d1f5a52-0000-4c00-8000-0000000000{n:02}"), "name": format!("Room {n}"), "vertices_m": [
                {"x": x, "y": y}, {"x": x + 10.0, "y": y}, {"x": x + 10.0, "y": y + 10.0}, {"x": x, "y": y + 10.0}]})
        })
        .collect();
    let map = json!({"site_id": SITE, "name": "Bench", "width_m": 100.0, "height_m": 50.0, "zones": zones});
    let put = reqwest::Client::new().put(format!("{base}/v1/maps/{MAP}")).body(map.to_string()).send().await.unwrap();
    assert!(put.status().is_success());
}

/// CPU seconds a process has used; 0 where the system does not tell.
fn cpu_s(pid: u32) -> f64 {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return 0.0 };
    // After the name in brackets: state is field 3, utime 14, stime 15; in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
