//! The real server as a child, and what it uses.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::crowd::SECRET;

pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Starts it on the file in a folder, with its default settings, and waits until it takes deliveries.
    pub fn start(dir: &Path) -> Server {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_footfall"))
            .arg("serve")
            .env("FOOTFALL_SERVER__LISTEN", address.to_string())
            .env("FOOTFALL_STORE__PATH", dir.join("footfall.duckdb"))
            .env("FOOTFALL_SOURCES__DEFAULT__SECRETS", format!("[\"{SECRET}\"]"))
            .env("FOOTFALL_LOG", "error")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server { child, address };
        while server.get("/health/ready").is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        server
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn get(&self, path: &str) -> Option<String> {
        super::wait_for(async { reqwest::get(self.url(path)).await.ok()?.error_for_status().ok()?.text().await.ok() })
    }

    pub fn put(&self, path: &str, body: &Value) {
        let request = reqwest::Client::new().put(self.url(path)).body(body.to_string());
        let status = super::wait_for(async { request.send().await.unwrap().status() });
        assert!(status.is_success(), "PUT {path}: {status}");
    }

    /// CPU seconds it has used; 0 where the system does not tell.
    pub fn cpu_s(&self) -> f64 {
        cpu_s(&self.child.id().to_string())
    }

    /// `VmRSS:` is what it takes now, `VmHWM:` the most it took; 0 where the system does not tell.
    pub fn memory_mib(&self, key: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("0");
        line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
    }

    /// Stops in good order, so that the file is whole without its log.
    pub fn stop(mut self) {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

/// CPU seconds of a process, by number or `self`; 0 where the system does not tell.
pub fn cpu_s(process: &str) -> f64 {
    let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else { return 0.0 };
    // After the name in brackets: state is field 3, utime 14, stime 15; in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
