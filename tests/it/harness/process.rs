//! The real program as a child process, to be killed.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::SECRET;

/// One that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub struct Server {
    child: Child,
    pub base: String,
    port: u16,
    setting: Setting,
}

/// What a server has beyond what every test's server has.
#[derive(Default)]
struct Setting {
    environment: Vec<(String, String)>,
    /// Where its log goes, if not to the test's own standard error.
    log: Option<PathBuf>,
}

impl Server {
    /// Starts on a free port and waits until it is ready.
    pub fn start(dir: &Path) -> Server {
        Server::start_with(dir, &[])
    }

    /// Starts with more in its environment, which later starts have, too.
    pub fn start_with(dir: &Path, environment: &[(&str, &str)]) -> Server {
        Server::start_as(dir, environment, None)
    }

    /// The same, with its log in a file.
    pub fn start_logging(dir: &Path, environment: &[(&str, &str)], log: &Path) -> Server {
        Server::start_as(dir, environment, Some(log.to_owned()))
    }

    fn start_as(dir: &Path, environment: &[(&str, &str)], log: Option<PathBuf>) -> Server {
        let environment = environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let server = Server::spawn(dir, free_port(), Setting { environment, log });
        server.wait_until_ready();
        server
    }

    fn spawn(dir: &Path, port: u16, setting: Setting) -> Server {
        let log = setting.log.as_ref().map_or_else(Stdio::inherit, |path| File::create(path).unwrap().into());
        let child = Command::new(env!("CARGO_BIN_EXE_footfall"))
            .arg("serve")
            .env("FOOTFALL_SERVER__LISTEN", format!("127.0.0.1:{port}"))
            .env("FOOTFALL_STORE__PATH", dir.join("footfall.duckdb"))
            .env("FOOTFALL_SOURCES__DEFAULT__SECRETS", format!("[\"{SECRET}\"]"))
            .env("FOOTFALL_CALLBACKS__ALLOWED_NETWORKS", "[\"127.0.0.1\"]")
            .env("FOOTFALL_CALLBACKS__RETRY_FIRST_S", "0.02")
            .env("FOOTFALL_CALLBACKS__RETRY_MAX_S", "0.2")
            .env("FOOTFALL_LOG", "error")
            .envs(setting.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Server { child, base: format!("http://127.0.0.1:{port}"), port, setting }
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
        self.restart_without_waiting(dir);
        self.wait_until_ready();
    }

    /// `kill -9`, then a new start that nobody waits for.
    pub fn restart_without_waiting(&mut self, dir: &Path) {
        self.kill();
        *self = Server::spawn(dir, self.port, std::mem::take(&mut self.setting));
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
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
