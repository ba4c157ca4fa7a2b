//! What a dashboard asks, of a long history, while the network goes on sending.
//!
//! `cargo bench --bench queries` builds a file of 10 million fixes and half a million visits over 60 days, and prints how
//! long each question takes, alone and beside 20,000 events/s; `-- --fixes 100000000` builds the large one (3 GB), and
//! `--file PATH` keeps it for the next time. Three sites of four floors with 16 zones each, 8,000 clients a day.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use footfall::clock::{Clock, stopwatch};
use footfall::receiver::signature::{HEADER_V2, Secret};
use footfall::store::{Store, StoreOptions};
use serde_json::{Value, json};

const SECRET: &str = "bench";
const SITES: usize = 3;
const MAPS: usize = 12;
const ZONES_A_MAP: usize = 16;
const DAYS: i64 = 60;
/// Clients of all time, and of a day.
const POOL: usize = 30_000;
const CLIENTS_A_DAY: usize = 8_000;
/// Visits that a start finds open.
const OPEN_VISITS: usize = 100_000;
/// How often each question is asked.
const ROUNDS: usize = 21;
const LIVE_EVENTS_S: usize = 20_000;
const BATCH: usize = 500;
/// How long after its start a server has noted where the fixes end.
const NOTED_AFTER: Duration = Duration::from_secs(20);

fn site_id(n: usize) -> String {
    format!("5172e000-0000-4000-8000-{n:012}")
}

fn map_id(n: usize) -> String {
    format!("0f100000-0000-4000-8000-{n:012}")
}

fn zone_id(map: usize, n: usize) -> String {
    format!("20e00000-0000-4000-{map:04}-{n:012}")
}

fn option<T: std::str::FromStr>(name: &str) -> Option<T> {
    let arguments: Vec<String> = std::env::args().collect();
    arguments.iter().position(|a| a == name).and_then(|at| arguments.get(at + 1)?.parse().ok())
}

fn main() {
    let fixes: u64 = option("--fixes").unwrap_or(10_000_000);
    let kept: Option<PathBuf> = option("--file");
    let dir = tempfile::TempDir::new().unwrap();
    let path = kept.unwrap_or_else(|| dir.path().join("history.duckdb"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure(&path, fixes));
}

async fn measure(path: &Path, fixes: u64) {
    if !path.exists() {
        let since = stopwatch();
        let mut server = start(path).await;
        upload(&server.base).await;
        server.stop();
        fill(path, fixes);
        let bytes = std::fs::metadata(path).unwrap().len();
        println!(
            "built {fixes} fixes, {} visits: {:.0} s, {:.2} GB",
            fixes / 20,
            since.elapsed().as_secs_f64(),
            bytes as f64 / 1e9
        );
    }
    let started = stopwatch();
    let mut server = start(path).await;
    println!("the server was ready after {:.1} s", started.elapsed().as_secs_f64());
    let questions = questions();
    let alone = ask_all(&server.base, &questions).await;
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let sending = tokio::spawn(send(server.base.clone(), stop.clone(), sent.clone()));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (before, since) = (sent.load(Ordering::Relaxed), stopwatch());
    let beside = ask_all(&server.base, &questions).await;
    let rate = (sent.load(Ordering::Relaxed) - before) as f64 / since.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    sending.await.unwrap();
    println!("{:<44} {:>10} {:>10}   {:>10} {:>10}", "", "alone: p50", "p95 ms", "ingest: p50", "p95 ms");
    for (((name, _), alone), beside) in questions.iter().zip(&alone).zip(&beside) {
        println!("{name:<44} {:>10.1} {:>10.1}   {:>10.1} {:>10.1}", alone.0, alone.1, beside.0, beside.1);
    }
    println!("ingest beside the questions: {rate:.0} events/s");
    // Some seconds after its start it notes each client's newest fix: the next start reads only what came since.
    tokio::time::sleep(NOTED_AFTER.saturating_sub(started.elapsed())).await;
    server.stop();
    let since = stopwatch();
    let mut server = start(path).await;
    println!("the next time the server was ready after {:.1} s", since.elapsed().as_secs_f64());
    server.stop();
}

/// What a dashboard of 30 days shows.
fn questions() -> Vec<(&'static str, String)> {
    let (area, map, site) = (zone_id(5, 3), map_id(5), site_id(1));
    vec![
        ("occupancy now, a site", format!("/v1/occupancy?site={site}")),
        ("series, 30 days by hour, an area", format!("/v1/occupancy/series?area={area}&from=-30d&bucket=1h")),
        ("series, 30 days by hour, a map", format!("/v1/occupancy/series?map={map}&from=-30d&bucket=1h")),
        ("series, 30 days by hour, a site", format!("/v1/occupancy/series?site={site}&from=-30d&bucket=1h")),
        ("series, 30 days by day, a site", format!("/v1/occupancy/series?site={site}&from=-30d&bucket=1d")),
        ("dwell, 30 days, an area", format!("/v1/dwell?area={area}&from=-30d")),
        ("dwell, 30 days, a site", format!("/v1/dwell?site={site}&from=-30d")),
        ("flows, a day, a site", format!("/v1/flows?site={site}&from=-24h")),
        ("flows, 30 days, a site", format!("/v1/flows?site={site}&from=-30d")),
        ("heat map, a day, a map", format!("/v1/heatmap?map={map}&from=-24h")),
        ("profile, 28 days, an area", format!("/v1/occupancy/profile?area={area}&from=-28d")),
        ("new and returning, 30 days, an area", format!("/v1/visitors?area={area}&from=-30d&bucket=1d")),
        ("visits, a page, an area", format!("/v1/visits?area={area}&from=-24h&limit=100")),
        ("visits, 30 days, a client", "/v1/visits?client=3c00000004d2&from=-30d".into()),
        ("way, a day, a client", "/v1/clients/3c00000004d2/track?from=-24h".into()),
        ("way, 30 days, a client", "/v1/clients/3c00000004d2/track?from=-30d&limit=100".into()),
    ]
}

/// Median and the worst but one of each, milliseconds, from the request to the last byte.
async fn ask_all(base: &str, questions: &[(&'static str, String)]) -> Vec<(f64, f64)> {
    let client = reqwest::Client::new();
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); questions.len()];
    for _ in 0..ROUNDS {
        for ((name, path), times) in questions.iter().zip(&mut times) {
            let since = stopwatch();
            let answer = client.get(format!("{base}{path}")).send().await.unwrap();
            let status = answer.status();
            let body = answer.bytes().await.unwrap();
            assert!(status.is_success(), "{name}: {status} {}", String::from_utf8_lossy(&body));
            times.push(since.elapsed().as_secs_f64() * 1000.0);
        }
    }
    times
        .into_iter()
        .map(|mut times| {
            times.sort_by(f64::total_cmp);
            (times[ROUNDS / 2], times[ROUNDS - 2])
        })
        .collect()
}

/// Signed deliveries at a steady pace: each client of the day moves every so often, at the time of the wall clock.
async fn send(base: String, stop: Arc<AtomicBool>, sent: Arc<AtomicU64>) {
    let client = reqwest::Client::new();
    let begun = stopwatch();
    let mut next = 0usize;
    while !stop.load(Ordering::Relaxed) {
        let due = (begun.elapsed().as_secs_f64() * LIVE_EVENTS_S as f64) as usize;
        if next + BATCH > due {
            tokio::time::sleep(Duration::from_millis(2)).await;
            continue;
        }
        let now_ms = Clock::System.now().0;
        let events: Vec<String> = (next..next + BATCH)
            .map(|n| {
                let one = n % CLIENTS_A_DAY;
                let (map, x, y) = (one % MAPS, (one * 37 + n / CLIENTS_A_DAY * 3) % 100, (one * 53 + n / CLIENTS_A_DAY) % 60);
                format!(
                    r#"{{"site_id":"{}","map_id":"{}","type":"wifi","mac":"02{one:010x}","x":{x},"y":{y},"timestamp":{}.{:03}}}"#,
                    site_id(map % SITES),
                    map_id(map),
                    now_ms / 1000,
                    now_ms % 1000
                )
            })
            .collect();
        let body = format!(r#"{{"topic":"location","events":[{}]}}"#, events.join(","));
        let signature = Secret::new(SECRET).sign_v2(body.as_bytes());
        let answer =
            client.post(format!("{base}/v1/webhooks/mist")).header(HEADER_V2, signature).body(body).send().await;
        assert!(answer.unwrap().status().is_success());
        next += BATCH;
        sent.fetch_add(BATCH as u64, Ordering::Relaxed);
    }
}

/// Floors of 100 by 60 m, each cut into four by four zones.
async fn upload(base: &str) {
    let client = reqwest::Client::new();
    for site in 0..SITES {
        let settings = json!({"name": format!("Site {site}"), "time_zone": "Europe/Zurich"});
        let put = client.put(format!("{base}/v1/sites/{}", site_id(site))).json(&settings).send().await.unwrap();
        assert!(put.status().is_success());
    }
    for map in 0..MAPS {
        let zones: Vec<Value> = (0..ZONES_A_MAP)
            .map(|n| {
                let (x, y) = ((n % 4) as f64 * 25.0, (n / 4) as f64 * 15.0);
                json!({"id": zone_id(map, n), "name": format!("Room {map}.{n}"), "vertices_m": [
                    {"x": x, "y": y}, {"x": x + 25.0, "y": y}, {"x": x + 25.0, "y": y + 15.0}, {"x": x, "y": y + 15.0}]})
            })
            .collect();
        let document = json!({"site_id": site_id(map % SITES), "name": format!("Floor {map}"), "width_m": 100.0, "height_m": 60.0, "zones": zones});
        let put = client.put(format!("{base}/v1/maps/{}", map_id(map))).json(&document).send().await.unwrap();
        assert!(put.status().is_success());
    }
}

/// The history itself, straight into the tables, as if it had been received: in order of time, each client of a day on one
/// site.
fn fill(path: &Path, fixes: u64) {
    let options = StoreOptions { path: path.to_owned(), memory_limit: None, threads: None };
    let store = Store::open(&options).unwrap();
    let conn = store.connection().unwrap();
    let to_ms = Clock::System.now().0 - 60_000;
    let span_ms = DAYS * 86_400_000;
    let from_ms = to_ms - span_ms;
    let visits = fixes / 20;
    let run = |sql: String| conn.execute_batch(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    run(format!(
        "INSERT INTO store.clients SELECT range + 1, 0, format('3c{{:010x}}', range), NULL, epoch_ms({from_ms})::TIMESTAMPTZ FROM range({POOL});
         CREATE TEMP TABLE floors AS
             SELECT row_number() OVER (ORDER BY map_id) - 1 AS n, map_key, site_key FROM store.maps;
         CREATE TEMP TABLE zones AS
             SELECT row_number() OVER (ORDER BY area_id) - 1 AS n, a.area_key, m.map_key, m.site_key
             FROM store.areas a JOIN store.maps m USING (map_key);"
    ));
    // Somebody of the day, from a number.
    let client = |i: &str, at: &str| {
        format!("1 + ((({at}) // 86400000) * {CLIENTS_A_DAY} * 7 // 3 + hash({i}) % {CLIENTS_A_DAY})::BIGINT % {POOL}")
    };
    let at = format!("({from_ms} + (i * {span_ms}::HUGEINT // {fixes})::BIGINT)");
    for (from, to) in slabs(fixes, 5_000_000) {
        run(format!(
            "INSERT INTO store.deliveries
                 SELECT d, epoch_ms({from_ms} + (d * 500 * {span_ms}::HUGEINT // {fixes})::BIGINT)::TIMESTAMPTZ, 'default', 'location',
                     60000, 500, 0, 0, 0
                 FROM range({from} // 500, {to} // 500) t(d);
             INSERT INTO store.fixes
                 SELECT i // 500, epoch_ms({at})::TIMESTAMPTZ, f.site_key, f.map_key, c.client, epoch_ms({at})::TIMESTAMPTZ,
                     (hash(i, 1) % 100000)::INTEGER, (hash(i, 2) % 60000)::INTEGER, -60, false, false, false
                 FROM (SELECT i, {client} AS client FROM range({from}, {to}) t(i)) c
                 JOIN floors f ON f.n = (c.client + hash(i) % 4 * {SITES}) % {MAPS}
                 ORDER BY i;",
            client = client("i", &at),
        ));
    }
    let at = format!("({from_ms} + (i * {span_ms}::HUGEINT // {visits})::BIGINT)");
    for (from, to) in slabs(visits, 1_000_000) {
        run(format!(
            "INSERT INTO store.visits
                 SELECT i + 1, z.site_key, z.map_key, z.area_key, 1, c.client, 0,
                     epoch_ms({at})::TIMESTAMPTZ, epoch_ms({at} + 30000 + (hash(i, 3) % 60000 * (hash(i, 4) % 60))::BIGINT)::TIMESTAMPTZ,
                     (hash(i, 5) % 2)::UTINYINT, NULL
                 FROM (SELECT i, {client} AS client FROM range({from}, {to}) t(i)) c
                 JOIN zones z ON z.n = (c.client % {MAPS} * {ZONES_A_MAP} + hash(i, 6) % {ZONES_A_MAP})
                 ORDER BY i;",
            client = client("i", &at),
        ));
    }
    // Whoever a start has to remember: an hour ago they entered, as the network says.
    run(format!(
        "INSERT INTO store.open_visits BY NAME
             SELECT {visits} + 1 + i AS visit_key, z.site_key, z.map_key, z.area_key, 1 AS area_version, 1 AS source,
                 (1 + i % {POOL})::INTEGER AS client_key, epoch_ms({to_ms} - 3600000 + i * 30)::TIMESTAMPTZ AS entered_at
             FROM range({OPEN_VISITS}) t(i)
             JOIN zones z ON z.n = (i % {POOL} + i // {POOL}) % {zones}",
        zones = MAPS * ZONES_A_MAP
    ));
    // As where only so much is kept: a start looks whether anything is left of each client.
    run(format!("INSERT INTO store.forgotten SELECT site_key, epoch_ms({from_ms})::TIMESTAMPTZ, 0 FROM store.sites"));
    run("CHECKPOINT".into());
}

fn slabs(count: u64, size: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..count).step_by(size as usize).map(move |from| (from, (from + size).min(count)))
}

struct Server {
    child: Child,
    base: String,
}

impl Server {
    /// Stops in good order.
    fn stop(&mut self) {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

async fn start(path: &Path) -> Server {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = Command::new(env!("CARGO_BIN_EXE_footfall"))
        .arg("serve")
        .env("FOOTFALL_SERVER__LISTEN", format!("127.0.0.1:{port}"))
        .env("FOOTFALL_STORE__PATH", path)
        .env("FOOTFALL_SOURCES__DEFAULT__SECRETS", format!("[\"{SECRET}\"]"))
        .env("FOOTFALL_LOG", "error")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let base = format!("http://127.0.0.1:{port}");
    while reqwest::get(format!("{base}/health/ready")).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Server { child, base }
}
