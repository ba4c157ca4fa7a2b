//! Every delivery the vendor documents is taken as it is. The files lie beside the repository.

use std::fs;

use reqwest::StatusCode;
use serde_json::Value;

use crate::harness::{TestApp, ask, shared};

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_delivery_is_taken_whole_and_once() {
    let Some(folder) = shared("reference/mist-examples") else { return };
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let app = TestApp::start().await;
    app.clock.set(1_800_000_000_000);
    let mut deliveries = 0;
    for path in files.iter().filter(|path| path.extension().is_some_and(|end| end == "json")) {
        let text = fs::read_to_string(path).unwrap();
        let body: Value = serde_json::from_str(&text).unwrap();
        // The examples of webhook objects list topics; the others are objects of the REST API.
        if !body["topic"].is_string() {
            continue;
        }
        deliveries += 1;
        let (status, receipt) = app.post("", text.clone().into_bytes(), |r| r).await;
        assert_eq!((status, &receipt["quarantined"]), (StatusCode::OK, &0.into()), "{}: {receipt}", path.display());
        let (_, again) = app.post("", text.into_bytes(), |r| r).await;
        assert_eq!(again["duplicates"], again["events"], "{} twice: {again}", path.display());
    }
    assert!(deliveries > 60, "{deliveries}");
    let dir = app.stop().await;
    let path = dir.path().join("footfall.duckdb");
    let tables = "SELECT (SELECT count(*) FROM positions) > 0, (SELECT count(*) FROM transitions) > 0,
        (SELECT count(*) FROM scans) > 0, (SELECT count(*) FROM rssi_readings) > 0,
        (SELECT count(*) FROM vendor_alerts) > 0, (SELECT count(*) FROM pings) > 0, (SELECT count(*) FROM events) > 0,
        (SELECT count(*) FROM quarantine)";
    assert_eq!(ask(&path, tables), ["true true true true true true true 0"]);
    let alerts = "SELECT zone_name, current_occupancy, occupancy_limit FROM vendor_alerts
        WHERE site_name LIKE 'TRUE%' ORDER BY zone_name";
    assert_eq!(ask(&path, alerts), ["CSQA 20 10", "Marketing & Sales Ops 9 4", "PLM and Leadership 10 5"]);
    let scan = "SELECT connection_ap, bssid, band, rssi_dbm FROM scans
        WHERE site_id LIKE 'd761985e%' ORDER BY rssi_dbm";
    assert_eq!(ask(&path, scan), ["5c5b352f587e 5c5b352b51b4 2.4 -87.0", "5c5b352f587e 5c5b352b51b8 5 -75.0"]);
}
