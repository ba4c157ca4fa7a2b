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
