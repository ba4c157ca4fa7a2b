//! The real program as a child process, to be killed.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::SECRET;

pub struct Server {
    child: Child,
    pub base: String,
    port: u16,
}

impl Server {
    /// Starts on a free port and waits until it is ready.
    pub fn start(dir: &Path) -> Server {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Server::start_on(dir, port)
    }

    fn start_on(dir: &Path, port: u16) -> Server {
        let child = Command::new(env!("CARGO_BIN_EXE_footfall"))
            .arg("serve")
            .env("FOOTFALL_SERVER__LISTEN", format!("127.0.0.1:{port}"))
            .env("FOOTFALL_STORE__PATH", dir.join("footfall.duckdb"))
            .env("FOOTFALL_SOURCES__DEFAULT__SECRETS", format!("[\"{SECRET}\"]"))
            .env("FOOTFALL_CALLBACKS__ALLOWED_NETWORKS", "[\"127.0.0.1\"]")
            .env("FOOTFALL_CALLBACKS__RETRY_FIRST_S", "0.02")
            .env("FOOTFALL_CALLBACKS__RETRY_MAX_S", "0.2")
            .env("FOOTFALL_LOG", "error")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server { child, base: format!("http://127.0.0.1:{port}"), port };
        server.wait_until_ready();
        server
    }

    fn wait_until_ready(&self) {
        let since = footfall::clock::stopwatch();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(since.elapsed() < Duration::from_secs(60), "the server does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// `kill -9`, then a new start on the same file and port.
    pub fn kill_and_restart(&mut self, dir: &Path) {
        self.kill();
        *self = Server::start_on(dir, self.port);
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops in good order.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A failed test must not leave it running; one that has ended already is no matter.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
