//! From the crossing of a threshold to the callback: an endpoint of ours posts the fix that crosses it, and waits for
//! the callback. Server, endpoint and load generator are on one machine.
//!
//! `cargo bench --bench alerts` prints a table; `-- --rounds 1000` measures more crossings. One row is of an idle server,
//! the other of one that takes deliveries of 100 fixes from two senders as fast as it acknowledges them.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use footfall::clock::{Clock, stopwatch};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

const SITE: &str = "4ac1dcf4-9d8b-4211-a5c4-057819f0862b";
const MAP: &str = "63eda950-c6da-41e4-a628-60f81dd250cc";
const LOBBY: &str = "0d1f5a52-0000-4c00-8000-000000000001";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let rounds = arguments.iter().position(|a| a == "--rounds").and_then(|at| arguments.get(at + 1)?.parse().ok());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure(rounds.unwrap_or(200)));
}

async fn measure(rounds: usize) {
    println!("{rounds} crossings; milliseconds from posting the fix that crosses the limit to receiving the callback");
    println!("{:>8} {:>10} {:>8} {:>8} {:>8}", "server", "events/s", "median", "p99", "max");
    for senders in [0, 2] {
        let (mut latencies, events_per_s) = crossings(rounds, senders).await;
        latencies.sort_unstable();
        let quantile = |q: f64| latencies[(q * (latencies.len() - 1) as f64) as usize].as_secs_f64() * 1000.0;
        let name = if senders == 0 { "idle" } else { "busy" };
        let (median, p99, max) = (quantile(0.5), quantile(0.99), quantile(1.0));
        println!("{name:>8} {events_per_s:>10.0} {median:>8.1} {p99:>8.1} {max:>8.1}");
    }
}

/// How long each callback took, and how many other events a second the server acknowledged meanwhile.
async fn crossings(rounds: usize, senders: u32) -> (Vec<Duration>, f64) {
    let dir = TempDir::new().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = start(&dir, port).await;
    let base = format!("http://127.0.0.1:{port}");
    let client = reqwest::Client::new();
    let (hook, mut called) = endpoint().await;
    let corners = json!([{"x": 0, "y": 0}, {"x": 10, "y": 0}, {"x": 10, "y": 10}, {"x": 0, "y": 10}]);
    let zones = json!([{"id": LOBBY, "name": "Lobby", "vertices_m": corners}]);
    let map = json!({"site_id": SITE, "name": "Bench", "width_m": 100.0, "height_m": 50.0, "zones": zones});
    let rule = json!({"name": "Anyone", "area_id": LOBBY, "condition": "above", "limit_clients": 0});
    for (request, body) in [
        (client.put(format!("{base}/v1/maps/{MAP}")), map),
        (client.post(format!("{base}/v1/alert-rules")), rule),
        (client.post(format!("{base}/v1/callbacks")), json!({"name": "bench", "url": hook})),
    ] {
        let answer = request.json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }
    // Event time of its own: each round is 20 s of it, however short.
    let start_ms = Clock::System.now().0 - 86_400_000 / 2;
    let (is_over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let begun = stopwatch();
    let loading: Vec<_> = (0..senders)
        .map(|sender| tokio::spawn(load(base.clone(), sender, start_ms, is_over.clone(), sent.clone())))
        .collect();
    let mut latencies = Vec::new();
    let mut at_ms = start_ms;
    for round in 0..rounds {
        at_ms += 20_000;
        let crossing = stopwatch();
        deliver(&client, &base, vec![fix("3c0000000001", at_ms, 5.0)]).await;
        latencies.push(called.recv().await.unwrap() - crossing);
        // Out for longer than the grace, in one delivery.
        let outside = [1000, 12_000].map(|later_ms| fix("3c0000000001", at_ms + later_ms, 50.0));
        deliver(&client, &base, outside.to_vec()).await;
        called.recv().await.unwrap();
        assert!(called.try_recv().is_err(), "one callback each: round {round}");
    }
    is_over.store(true, Ordering::Relaxed);
    for task in loading {
        task.await.unwrap();
    }
    let events_per_s = sent.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    server.kill().unwrap();
    server.wait().unwrap();
    (latencies, events_per_s)
}

/// An endpoint that says when it was called.
async fn endpoint() -> (String, mpsc::UnboundedReceiver<Instant>) {
    let (calls, called) = mpsc::unbounded_channel();
    let hook = |State(calls): State<mpsc::UnboundedSender<Instant>>, _: String| async move {
        let _ = calls.send(stopwatch());
    };
    let router = Router::new().route("/", post(hook)).with_state(calls);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, called)
}

/// Fixes of a hundred others elsewhere on the map, until it is over.
async fn load(base: String, sender: u32, start_ms: i64, is_over: Arc<AtomicBool>, sent: Arc<AtomicU64>) {
    let client = reqwest::Client::new();
    let mut at_ms = start_ms;
    while !is_over.load(Ordering::Relaxed) {
        at_ms += 1;
        let fixes = (0..100).map(|number| fix(&format!("3d{sender:02x}{number:08x}"), at_ms, 60.0)).collect();
        deliver(&client, &base, fixes).await;
        sent.fetch_add(100, Ordering::Relaxed);
    }
}

fn fix(mac: &str, at_ms: i64, x_m: f64) -> Value {
    let timestamp = at_ms as f64 / 1000.0;
    json!({"site_id": SITE, "map_id": MAP, "type": "wifi", "mac": mac, "x": x_m, "y": 5.0, "timestamp": timestamp})
}

async fn deliver(client: &reqwest::Client, base: &str, events: Vec<Value>) {
    let body = json!({"topic": "location", "events": events}).to_string();
    let answer = client.post(format!("{base}/v1/webhooks/mist")).body(body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.bytes().await.unwrap();
}

async fn start(dir: &TempDir, port: u16) -> Child {
    let server = Command::new(env!("CARGO_BIN_EXE_footfall"))
        .arg("serve")
        .env("FOOTFALL_SERVER__LISTEN", format!("127.0.0.1:{port}"))
        .env("FOOTFALL_STORE__PATH", dir.path().join("footfall.duckdb"))
        .env("FOOTFALL_SOURCES__DEFAULT__UNSIGNED", "true")
        .env("FOOTFALL_CALLBACKS__ALLOWED_NETWORKS", "[\"127.0.0.1\"]")
        .env("FOOTFALL_LOG", "error")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    while reqwest::get(format!("http://127.0.0.1:{port}/health/ready")).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server
}
