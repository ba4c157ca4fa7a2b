//! A server on a free port with a file of its own and a clock that the test moves; and bodies to post to it.

pub mod attempts;
pub mod crowd;
pub mod forum;
pub mod listener;
pub mod process;
pub mod requests;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use footfall::access::Access;
use footfall::app::App;
use footfall::clock::Clock;
use footfall::config::{Config, Source};
use footfall::floorplan::{self, SourceFile};
use footfall::pipeline::Handle;
use footfall::receiver::signature::{HEADER_V2, Secret};
use footfall::store::Store;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const SECRET: &str = "a secret of the tests";
pub const SITE: &str = "4ac1dcf4-9d8b-7211-65c4-057819f0862b";
pub const MAP: &str = "63eda950-c6da-11e4-a628-60f81dd250cc";
pub const LOBBY: &str = "0d1f5a52-0001-4c00-8000-000000000001";
pub const DESK: &str = "0d1f5a52-0002-4c00-8000-000000000002";
/// 2026-07-01T08:00:00Z, in seconds.
pub const START_S: i64 = 1_782_892_800;

/// A running server. Dropping it without [`TestApp::stop`] leaves its tasks to the runtime's end.
pub struct TestApp {
    pub base: String,
    /// Where PostgreSQL clients connect, if they may.
    pub postgres: Option<SocketAddr>,
    pub client: reqwest::Client,
    pub clock: Clock,
    pub pipeline: Handle,
    pub access: Access,
    pub store: Store,
    pub dir: TempDir,
    stop: oneshot::Sender<()>,
    running: JoinHandle<anyhow::Result<()>>,
}

pub fn config(dir: &Path) -> Config {
    let mut config = Config::default();
    config.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.store.path = dir.join("footfall.duckdb");
    let signed = Source { secrets: vec![SECRET.into()], ..Source::default() };
    config.sources.insert("default".into(), signed);
    config.callbacks.allowed_networks = vec!["127.0.0.1".into()];
    config.callbacks.retry_first_s = 0.02;
    config.callbacks.retry_max_s = 0.2;
    config.sources.insert("open".into(), Source { unsigned: true, ..Source::default() });
    config
}

impl TestApp {
    pub async fn start() -> TestApp {
        TestApp::start_with(|_| {}).await
    }

    pub async fn start_with(adjust: impl FnOnce(&mut Config)) -> TestApp {
        let dir = TempDir::new().unwrap();
        let mut config = config(dir.path());
        adjust(&mut config);
        TestApp::open(dir, config, Clock::manual(START_S * 1000)).await
    }

    /// With the system's clock, as callbacks need it: their pauses are pauses of the wall clock.
    pub async fn start_live(adjust: impl FnOnce(&mut Config)) -> TestApp {
        let dir = TempDir::new().unwrap();
        let mut config = config(dir.path());
        adjust(&mut config);
        TestApp::open(dir, config, Clock::System).await
    }

    pub async fn open(dir: TempDir, config: Config, clock: Clock) -> TestApp {
        let app = App::start(&config, clock.clone()).await.unwrap();
        let base = format!("http://{}", app.address().unwrap());
        let postgres = app.postgres_address().unwrap();
        let (pipeline, access, store) = (app.pipeline.clone(), app.access.clone(), app.store.clone());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(app.run(async {
            let _ = stopped.await;
        }));
        TestApp { base, postgres, client: reqwest::Client::new(), clock, pipeline, access, store, dir, stop, running }
    }

    /// Stops in good order and gives back the folder with the file.
    pub async fn stop(self) -> TempDir {
        let TestApp { pipeline, store, dir, stop, running, client, .. } = self;
        // An idle connection would hold the server up until it times out.
        drop((client, pipeline, store));
        let _ = stop.send(());
        running.await.unwrap().unwrap();
        dir
    }

    /// Stops and starts again on the same file, with the clock where it stood.
    pub async fn restart(self) -> TestApp {
        let clock = self.clock.clone();
        let dir = self.stop().await;
        let config = config(dir.path());
        TestApp::open(dir, config, clock).await
    }

    /// Sets wall time to `START_S + seconds` and runs the site clocks on to it.
    pub async fn run_on_to(&self, seconds: f64) {
        self.clock.set(START_S * 1000 + (seconds * 1000.0) as i64);
        self.pipeline.tick().await;
    }

    /// Posts a signed delivery and expects it to be acknowledged.
    pub async fn deliver(&self, body: &Value) -> Value {
        let (status, answer) = self.post("", body.to_string().into_bytes(), |request| request).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// Posts a body signed with the tests' secret, after `adjust`.
    pub async fn post(
        &self,
        source: &str,
        body: Vec<u8>,
        adjust: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> (StatusCode, Value) {
        let url = format!("{}/v1/webhooks/mist{source}", self.base);
        let request = self.client.post(url).header(HEADER_V2, Secret::new(SECRET).sign_v2(&body)).body(body);
        let answer = adjust(request).send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    /// Imports an upload of files, packed as the command line packs them.
    pub async fn import(&self, query: &str, files: &[SourceFile]) -> (StatusCode, Value) {
        let url = format!("{}/v1/maps/import?{query}", self.base);
        let answer = self.client.post(url).body(floorplan::pack(files)).send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.call(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    /// Uploads the tests' map: a lobby of 10 m x 10 m with a desk of 2 m x 2 m in it.
    pub async fn upload_map(&self) {
        let square = |id: &str, name: &str, from: f64, to: f64| {
            json!({"type": "Feature", "id": id, "properties": {"name": name}, "geometry": {"type": "Polygon",
                "coordinates": [[[from, from], [to, from], [to, to], [from, to], [from, from]]]}})
        };
        let map = json!({"site_id": SITE, "name": "Ground", "width_m": 20.0, "height_m": 20.0, "zones": {
            "type": "FeatureCollection",
            "features": [square(LOBBY, "Lobby", 0.0, 10.0), square(DESK, "Desk", 1.0, 3.0)]}});
        let (status, answer) = self.call(Method::PUT, &format!("/v1/maps/{MAP}"), Some(map)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    /// What the file holds, asked after the server has stopped.
    pub async fn stop_and_ask(self, sql: &str) -> Vec<String> {
        let dir = self.stop().await;
        ask(&dir.path().join("footfall.duckdb"), sql)
    }
}

/// Every row of a question to a stopped file, each as its cells joined by blanks.
pub fn ask(path: &Path, sql: &str) -> Vec<String> {
    let conn = duckdb::Connection::open(path).unwrap();
    let mut statement = conn.prepare(&format!("SELECT COLUMNS(*)::VARCHAR FROM ({sql})")).unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut found = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let cells: Vec<String> = (0..row.as_ref().column_count())
            .map(|column| row.get::<_, Option<String>>(column).unwrap().unwrap_or_else(|| "null".into()))
            .collect();
        found.push(cells.join(" "));
    }
    found
}

/// A connected Wi-Fi client's fix, `seconds` after [`START_S`].
pub fn fix(mac: &str, seconds: f64, x_m: f64, y_m: f64) -> Value {
    json!({"site_id": SITE, "map_id": MAP, "type": "wifi", "mac": mac, "x": x_m, "y": y_m,
        "timestamp": START_S as f64 + seconds})
}

pub fn delivery(topic: &str, events: Vec<Value>) -> Value {
    json!({"topic": topic, "events": events})
}

/// Data that lies beside the repository where it is developed. Where it is not, says so loudly; the test then passes
/// without having tested.
pub fn shared(path: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(path);
    if found.exists() {
        return Some(found);
    }
    // Written past the test runner, which would keep what a passing test prints to itself.
    let told = format!("\n*** SKIPPED: {} is not there, so this test tests nothing ***\n", found.display());
    std::io::stderr().write_all(told.as_bytes()).unwrap();
    None
}
