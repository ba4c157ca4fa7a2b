//! `footfall import` and `footfall rebuild`, as people type them.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::harness::process::Server;
use crate::harness::{MAP, SITE, TestApp, ask, delivery, fix};

fn footfall(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_footfall"));
    command.current_dir(dir).args(arguments).stdin(Stdio::null()).env("FOOTFALL_LOG", "warn").output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_imported_after_the_fact_is_rebuilt_on_a_stopped_file_and_on_a_running_server() {
    let app = TestApp::start().await;
    let fixes = [(0.0, 5.0), (5.0, 5.0), (10.0, 15.0), (90.0, 15.0)];
    app.deliver(&delivery("location", fixes.map(|(s, x)| fix("00000000000a", s, x, 5.0)).to_vec())).await;
    let dir = app.stop().await;
    let plan = json!({"type": "FeatureCollection", "map_id": MAP, "site_id": SITE, "width_m": 20, "height_m": 20,
        "features": [{"type": "Feature", "properties": {"name": "Lobby"}, "geometry": {"type": "Polygon",
            "coordinates": [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]]}}]});
    std::fs::create_dir(dir.path().join("plans")).unwrap();
    std::fs::write(dir.path().join("plans/ground.geojson"), plan.to_string()).unwrap();

    let dry = said(&footfall(dir.path(), &["import", "plans", "--store", "footfall.duckdb", "--dry-run"]));
    assert!(dry.contains("2 would be new, 0 would be changed"), "{dry}");
    let done = said(&footfall(dir.path(), &["import", "plans", "--store", "footfall.duckdb"]));
    assert!(done.contains("new       zone         \"Lobby\"") && done.contains("4 fixes on this map since"), "{done}");
    let offer = said(&footfall(dir.path(), &["rebuild", "--map", MAP, "--store", "footfall.duckdb", "--dry-run"]));
    assert!(offer.contains("4 fixes on this map"), "{offer}");
    let done = said(&footfall(dir.path(), &["rebuild", "--map", MAP, "--store", "footfall.duckdb"]));
    assert_eq!(done, "rebuild 1 done: 4 events read, 0 visits replaced by 1\n");
    let visits = "SELECT area_name, dwell_s FROM visits";
    assert_eq!(ask(&dir.path().join("footfall.duckdb"), visits), ["Lobby 10.0"]);

    let server = Server::start(dir.path());
    let again = said(&footfall(dir.path(), &["import", "plans/ground.geojson", "--url", &server.base]));
    assert!(again.contains("0 new, 0 changed, 0 ended; 2 unchanged"), "{again}");
    let done = said(&footfall(dir.path(), &["rebuild", "--site", SITE, "--url", &server.base]));
    assert_eq!(done, "rebuild 2 done: 4 events read, 1 visits replaced by 1\n");
    server.stop();
}

#[test]
fn what_cannot_be_done_is_told_and_the_exit_code_says_so() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("broken.json"), "{").unwrap();
    for (arguments, told) in [
        (vec!["import", "none.json"], "read none.json"),
        (vec!["import", "broken.json", "--url", "http://127.0.0.1:9"], "no server answers at http://127.0.0.1:9"),
        (vec!["rebuild", "--store", "none.duckdb"], "there is no file none.duckdb"),
        (vec!["rebuild", "--site", "a", "--map", "b"], "cannot be used with"),
    ] {
        let output = footfall(dir.path(), &arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(told), "{arguments:?}: {error}");
    }
    let server = Server::start(dir.path());
    let output = footfall(dir.path(), &["import", "broken.json", "--url", &server.base]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("\n  broken.json: document: is not JSON"), "{error}");
    let output = footfall(dir.path(), &["rebuild", "--map", "none", "--url", &server.base]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no map \"none\""));
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_asked_copied_and_exported_while_its_server_runs_and_when_it_does_not() {
    let app = TestApp::start().await;
    app.upload_map().await;
    let days = [-86_400.0, 0.0, 100.0].map(|s| fix("00000000000a", s, 5.0, 5.0));
    app.deliver(&delivery("location", days.to_vec())).await;
    let endpoint = json!({"name": "secretive", "url": "http://127.0.0.1:9/"});
    app.call(reqwest::Method::POST, "/v1/callbacks", Some(endpoint)).await;
    let dir = app.stop().await;
    let path = |name: &str| dir.path().join(name);

    let stopped = ["--store", "footfall.duckdb"];
    let count = ["sql", "SELECT count(*) AS fixes FROM positions"];
    let drawn = said(&footfall(dir.path(), &[&count[..], &stopped].concat()));
    assert!(drawn.contains("│     3 │") && drawn.contains("1 row,"), "{drawn}");
    let csv = said(&footfall(dir.path(), &["sql", "--format", "csv", "VALUES (1)", "--store", "footfall.duckdb"]));
    assert_eq!(csv, "\u{feff}col0\n1\n");

    let server = Server::start(dir.path());
    let running = ["--url", server.base.as_str()];
    let drawn = said(&footfall(dir.path(), &[&count[..], &running].concat()));
    assert!(drawn.contains("│     3 │"), "{drawn}");
    said(&footfall(dir.path(), &[&["snapshot", "copy.duckdb"][..], &running].concat()));
    said(&footfall(dir.path(), &[&["snapshot", "--secrets", "backup.duckdb"][..], &running].concat()));
    let again = footfall(dir.path(), &[&["snapshot", "copy.duckdb"][..], &running].concat());
    assert!(String::from_utf8_lossy(&again.stderr).contains("is there already"));
    let exported = said(&footfall(dir.path(), &[&["export", "lake"][..], &running].concat()));
    assert!(exported.starts_with("4 files written"), "{exported}");
    let resumed = said(&footfall(dir.path(), &[&["export", "lake"][..], &running].concat()));
    assert_eq!(resumed, "0 files written (0 B), 4 were there already\n");
    // As one that broke off leaves it: a file begun, another not yet.
    let of_day = |day: &str| path(&format!("lake/positions/site_id={SITE}/day={day}"));
    std::fs::rename(of_day("2026-06-30").join("positions.parquet"), of_day("2026-06-30").join("positions.partial"))
        .unwrap();
    std::fs::write(of_day("2026-06-30").join("positions.partial"), "PAR1 and no more").unwrap();
    std::fs::remove_dir_all(of_day("2026-07-01")).unwrap();
    let resumed = said(&footfall(dir.path(), &[&["export", "lake"][..], &running].concat()));
    assert!(resumed.starts_with("2 files written") && resumed.ends_with("2 were there already\n"), "{resumed}");
    assert!(!of_day("2026-06-30").join("positions.partial").exists());
    server.stop();
    let refused = footfall(dir.path(), &["sql", "DELETE FROM store.fixes", "--store", "footfall.duckdb"]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("only statements that read"));

    // What came of it, asked of an independent reader.
    let secrets = "SELECT count(*) FILTER (contains(secrets::VARCHAR, 'whsec_')), count(*) FILTER (is_enabled)
                   FROM store.callbacks";
    assert_eq!(ask(&path("copy.duckdb"), secrets), ["0 0"]);
    assert_eq!(ask(&path("backup.duckdb"), secrets), ["1 1"]);
    for file in ["copy.duckdb", "backup.duckdb"] {
        assert_eq!(ask(&path(file), "SELECT count(*) FROM positions"), ["3"]);
        let checked = said(&footfall(dir.path(), &["check", file]));
        assert!(!checked.is_empty());
    }
    let lake = format!(
        "SELECT site_id, day, count(*) FROM read_parquet('{}/positions/**/*.parquet', hive_partitioning = true)
         GROUP BY ALL ORDER BY ALL",
        path("lake").display()
    );
    assert_eq!(ask(&path("empty.duckdb"), &lake), [format!("{SITE} 2026-06-30 1"), format!("{SITE} 2026-07-01 2")]);
    assert!(std::fs::read_dir(path("footfall.duckdb.scratch")).unwrap().next().is_none(), "nothing is left behind");
}

/// Runs a command with a line on its standard input.
fn typed(dir: &Path, arguments: &[&str], line: &str) -> Output {
    use std::io::Write;
    let mut command = Command::new(env!("CARGO_BIN_EXE_footfall"));
    command.current_dir(dir).args(arguments).env("FOOTFALL_LOG", "warn");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{line}").unwrap();
    child.wait_with_output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_users_are_made_before_the_first_start_and_while_the_server_runs() {
    let dir = tempfile::tempdir().unwrap();
    let store = ["--store", "footfall.duckdb"];
    let admin = said(&footfall(dir.path(), &[&["token", "create", "admin", "--scope", "admin"], &store[..]].concat()));
    let admin = admin.trim();
    assert!(admin.starts_with("ff_") && admin.len() == 67, "{admin}");
    let server = Server::start(dir.path());
    let url = ["--url", &server.base];
    let refused = footfall(dir.path(), &[&["token", "list"], &url[..]].concat());
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("say who you are"));
    let running = [&url[..], &["--token", admin]].concat();
    let read =
        said(&footfall(dir.path(), &[&["token", "create", "Grafana", "--scope", "read"], &running[..]].concat()));
    let list = said(&footfall(dir.path(), &[&["token", "list"], &running[..]].concat()));
    assert!(list.contains("Grafana") && !list.contains(read.trim()), "{list}");
    let set = typed(dir.path(), &[&["user", "set", "ann", "--scope", "read"], &running[..]].concat(), "correct horse");
    assert_eq!(said(&set), "ann may log in, with read\n");
    let short = typed(dir.path(), &[&["user", "set", "ann", "--scope", "read"], &running[..]].concat(), "short");
    assert!(String::from_utf8_lossy(&short.stderr).contains("10 to 1000 bytes"));
    said(&footfall(dir.path(), &[&["token", "revoke", "2"], &running[..]].concat()));
    said(&footfall(dir.path(), &[&["user", "remove", "ann"], &running[..]].concat()));
    let sites = reqwest::Client::new().get(format!("{}/v1/sites", server.base)).bearer_auth(read.trim()).send().await;
    assert_eq!(sites.unwrap().status(), 401);
    server.stop();
}

/// What asks for a statement; it comes after all that the one before had to say.
#[cfg(target_os = "linux")]
const MARK: &str = "footfall> ";

/// A prompt in a terminal of its own, as util-linux's `script` makes one.
#[cfg(target_os = "linux")]
struct Terminal {
    script: std::process::Child,
    keys: std::process::ChildStdin,
    shown: std::sync::Arc<std::sync::Mutex<String>>,
}

#[cfg(target_os = "linux")]
impl Terminal {
    fn open(home: &Path, base: &str) -> Option<Terminal> {
        let command = format!("{} sql --url {base}", env!("CARGO_BIN_EXE_footfall"));
        let mut script = Command::new("script");
        script.args(["-qefc", &command, "/dev/null"]).current_dir(home).env("HOME", home).env("TERM", "xterm");
        let script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut script) = script else {
            eprintln!("*** SKIPPED: there is no `script`, so the prompt is not tested ***");
            return None;
        };
        let (keys, mut screen) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
        let shown = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let told = shown.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = std::io::Read::read(&mut screen, &mut bytes) {
                told.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
        });
        let terminal = Terminal { script, keys, shown };
        terminal.see(MARK);
        Some(terminal)
    }

    /// Types, and waits for what then comes.
    fn type_and_see(&mut self, keys: &str, wanted: &str) {
        self.shown.lock().unwrap().clear();
        std::io::Write::write_all(&mut self.keys, keys.as_bytes()).unwrap();
        self.see(wanted);
    }

    fn see(&self, wanted: &str) {
        let is_there = |_: &u32| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            self.shown.lock().unwrap().contains(wanted)
        };
        assert!((0..3000).find(is_there).is_some(), "no {wanted:?} in {:?}", self.shown.lock().unwrap());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_prompt_takes_statements_of_several_lines_and_remembers_each_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let Some(mut terminal) = Terminal::open(dir.path(), &server.base) else { return };
    terminal.type_and_see("SELECT 40 +\r", "..> ");
    terminal.type_and_see("2 AS answer;\r", "│     42 │");
    terminal.see(MARK);
    terminal.type_and_see("FROM nowhere;\r", "error: ");
    terminal.see(MARK);
    // The terminal is closed without a word.
    terminal.script.kill().unwrap();
    terminal.script.wait().unwrap();
    let history = std::fs::read_to_string(dir.path().join(".footfall_sql_history")).unwrap();
    assert!(history.contains("2 AS answer;") && history.contains("FROM nowhere;"), "{history}");
    // Twice up: the one before the last.
    let mut terminal = Terminal::open(dir.path(), &server.base).unwrap();
    terminal.type_and_see("\u{1b}[A\u{1b}[A\r", "│     42 │");
    terminal.see(MARK);
    terminal.type_and_see("exit\r", "exit");
    assert!(terminal.script.wait().unwrap().success());
    server.stop();
}
