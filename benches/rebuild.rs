//! Rebuild speed: stored fixes derived anew against 50 zones, through the API, on a file that grows fourfold.
//!
//! `cargo bench --bench rebuild` prints a table; `-- --fixes 40` makes the larger file of 40 million fixes. 1,000 clients
//! walk over one map for an hour of every day, a fix a second each. The history is written straight into the file, in the
//! order in which it would have come. Each file is rebuilt in a process of its own, whose peak memory shows whether a
//! longer history needs more; DuckDB may use 256 MB of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use footfall::app::App;
use footfall::clock::Clock;
use footfall::config::Config;
use footfall::pipeline::Handle;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

const SITE: &str = "4ac1dcf4-9d8b-4211-a5c4-057819f0862b";
const MAP: &str = "63eda950-c6da-41e4-a628-60f81dd250cc";
const START: &str = "2026-06-01T00:00:00Z";
const START_MS: i64 = 1_780_272_000_000;
const CLIENTS: u64 = 1000;
const ZONES: usize = 50;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value_of =
        |name: &str| arguments.iter().position(|a| a == name).and_then(|at| arguments.get(at + 1)?.parse().ok());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Some(stored) = value_of(STORED) {
        runtime.block_on(measure(stored, &config(&PathBuf::from(arguments.last().unwrap()))));
        return;
    }
    let fixes = value_of("--fixes").unwrap_or(16) * 1_000_000;
    println!("{CLIENTS} clients, {ZONES} zones, one map; the median of 3 runs each");
    println!(
        "{:>11} {:<20} {:>11} {:>9} {:>8} {:>12} {:>10}",
        "stored", "rebuilt", "read", "visits", "s", "fixes/s", "peak MiB"
    );
    for stored in [fixes / 4, fixes] {
        let dir = TempDir::new().unwrap();
        let store = dir.path().join("footfall.duckdb");
        runtime.block_on(prepare(stored, &config(&store)));
        let own = std::env::current_exe().unwrap();
        let measured = Command::new(own).args([STORED, &stored.to_string()]).arg(&store).status().unwrap();
        assert!(measured.success());
    }
}

/// Tells the child process to measure a file that is there.
const STORED: &str = "--stored";

fn config(store: &Path) -> Config {
    let mut config = Config::default();
    config.server.listen = ([127, 0, 0, 1], 0).into();
    config.store.path = store.to_owned();
    // Less than the larger file, so that it cannot all be in memory.
    config.store.memory_limit = Some("256MB".into());
    config
}

async fn prepare(fixes: u64, config: &Config) {
    let server = Server::start(config).await;
    server.call(Method::PUT, &format!("/v1/maps/{MAP}"), Some(map())).await;
    write_history(&server.pipeline, fixes).await;
    server.stop().await;
}

async fn measure(stored: u64, config: &Config) {
    let server = Server::start(config).await;
    let days = (stored / CLIENTS).div_ceil(3600) as i64;
    let day = |number: i64| json!(instant(START_MS + number * 86_400_000));
    for (what, request) in [
        ("all of it", json!({})),
        ("one zone", json!({"area_id": zone_id(0), "area_kind": "zone"})),
        ("one day", json!({"from": day(days / 2), "to": day(days / 2 + 1)})),
    ] {
        let mut runs = Vec::new();
        for _ in 0..3 {
            runs.push(server.rebuild(&request).await);
        }
        runs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (seconds, found) = &runs[1];
        let read = found["events"].as_u64().unwrap();
        println!(
            "{stored:>11} {what:<20} {read:>11} {:>9} {seconds:>8.2} {:>12.0} {:>10}",
            found["visits"].to_string(),
            read as f64 / seconds,
            peak_mib()
        );
    }
    server.stop().await;
}

struct Server {
    client: reqwest::Client,
    base: String,
    pipeline: Handle,
    stop: tokio::sync::oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Server {
    async fn start(config: &Config) -> Server {
        let app = App::start(config, Clock::System).await.unwrap();
        let base = format!("http://{}", app.address().unwrap());
        let pipeline = app.pipeline.clone();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let serving = tokio::spawn(app.run(async {
            let _ = stopped.await;
        }));
        Server { client: reqwest::Client::new(), base, pipeline, stop, serving }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    /// Wall seconds from the request until the new visits are in place, and what the server says of it.
    async fn rebuild(&self, request: &Value) -> (f64, Value) {
        let begun = footfall::clock::stopwatch();
        let asked = self.call(Method::POST, "/v1/rebuilds", Some(request.clone())).await;
        loop {
            let found = self.call(Method::GET, &format!("/v1/rebuilds/{}", asked["rebuild_id"]), None).await;
            match found["state"].as_str().unwrap() {
                "done" => return (begun.elapsed().as_secs_f64(), found),
                "queued" | "running" => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
                other => panic!("{other}: {found}"),
            }
        }
    }

    async fn stop(self) {
        drop((self.client, self.pipeline));
        let _ = self.stop.send(());
        self.serving.await.unwrap().unwrap();
    }
}

/// Each client on a curve of its own, which takes it through all of the map.
async fn write_history(pipeline: &Handle, fixes: u64) {
    let sql = format!(
        "INSERT INTO store.clients SELECT i, 0, printf('3c%010x', i), NULL, '{START}' FROM range({CLIENTS}) t(i);
         INSERT INTO store.deliveries VALUES (1, '{START}', 'bench', 'location', 1, 1, 0, 0, 0);
         INSERT INTO store.fixes SELECT 1, moment,
             (SELECT site_key FROM store.sites WHERE site_id = '{SITE}'),
             (SELECT map_key FROM store.maps WHERE map_id = '{MAP}'),
             i % {CLIENTS}, moment,
             50000 + 50000 * sin((i // {CLIENTS}) / 151 + i % {CLIENTS}),
             25000 + 25000 * cos((i // {CLIENTS}) / 97 + 2 * (i % {CLIENTS})),
             -60, false, false, false
         FROM (SELECT i, ('{START}'::TIMESTAMPTZ + to_seconds(i // {CLIENTS} + i // {CLIENTS} // 3600 * 82800)) AS moment FROM range({fixes}) t(i));"
    );
    let write = move |lent: &mut footfall::pipeline::Lent<'_>| {
        lent.writer.in_transaction(|conn| Ok(conn.execute_batch(&sql)?)).unwrap();
    };
    pipeline.exclusively(write).await.unwrap();
}

fn zone_id(number: usize) -> String {
    format!("0d1f5a52-0000-4c00-8000-0000000000{number:02}")
}

/// Ten by five rooms of 10 m.
fn map() -> Value {
    let zones: Vec<Value> = (0..ZONES)
        .map(|n| {
            let (x, y) = ((n % 10) as f64 * 10.0, (n / 10) as f64 * 10.0);
            json!({"id": zone_id(n), "name": format!("Room {n}"), "vertices_m": [
                {"x": x, "y": y}, {"x": x + 10.0, "y": y}, {"x": x + 10.0, "y": y + 10.0}, {"x": x, "y": y + 10.0}]})
        })
        .collect();
    json!({"site_id": SITE, "name": "Bench", "width_m": 100.0, "height_m": 50.0, "zones": zones})
}

fn instant(ms: i64) -> String {
    footfall::model::time::rfc3339(ms)
}

/// The most memory this process has had so far; 0 where the system does not tell.
fn peak_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok());
    peak.unwrap_or(0) / 1024
}
