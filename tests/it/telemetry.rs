//! What `/metrics` tells, by value: how long commits take, what came twice or late, how long an endpoint has been waiting.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{LOBBY, START_S, TestApp, delivery, fix};

/// The value of a series, by its name and labels as they stand in the text.
async fn value(app: &TestApp, series: &str) -> f64 {
    let text = app.client.get(format!("{}/metrics", app.base)).send().await.unwrap().text().await.unwrap();
    let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("{series} is not in {text}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_commit_is_in_the_histogram_of_latencies() {
    let app = TestApp::start().await;
    let count = "footfall_commit_seconds_count";
    assert_eq!(value(&app, count).await, 0.0);
    let since = footfall::clock::stopwatch();
    for number in 0..7 {
        let events = (0..3).map(|n| fix("00000000000a", f64::from(number * 10 + n), 1.0, 1.0)).collect();
        app.deliver(&delivery("location", events)).await;
    }
    let elapsed_s = since.elapsed().as_secs_f64();
    // One was acknowledged before the next was sent, so each was a commit of its own.
    assert_eq!(value(&app, count).await, 7.0);
    let sum_s = value(&app, "footfall_commit_seconds_sum").await;
    assert!(sum_s > 0.0 && sum_s <= elapsed_s, "{sum_s} s of {elapsed_s}");
    assert_eq!(value(&app, "footfall_commit_seconds_bucket{le=\"+Inf\"}").await, 7.0);
    // 1 ms doubled up to 4 s; no bucket holds fewer than the one before.
    let mut before = 0.0;
    for bound in (0..13).map(|place| 0.001 * f64::from(1 << place)) {
        let within = value(&app, &format!("footfall_commit_seconds_bucket{{le=\"{bound}\"}}")).await;
        assert!(within >= before, "{within} within {bound} s");
        before = within;
    }
    assert_eq!(before, 7.0, "a commit of three events takes no four seconds");
    assert_eq!(value(&app, "footfall_commit_events_sum").await, 21.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_twice_or_late_is_counted() {
    let app = TestApp::start().await;
    let at = |seconds: f64| fix("00000000000a", seconds, 1.0, 1.0);
    app.deliver(&delivery("location", vec![at(10.0), at(20.0)])).await;
    // One as before, one between the two, one before both, one that is new.
    app.deliver(&delivery("location", vec![at(20.0), at(15.0), at(5.0), at(30.0)])).await;
    app.deliver(&delivery("location", vec![at(30.0), at(5.0)])).await;
    let no_number = json!({"site_id": "s", "map_id": "m", "type": "wifi", "mac": "00000000000a", "x": "x", "y": 1});
    app.deliver(&delivery("location", vec![no_number])).await;
    let events = |outcome: &str| format!("footfall_events_total{{outcome=\"{outcome}\",topic=\"location\"}}");
    assert_eq!(value(&app, &events("stored")).await, 5.0);
    assert_eq!(value(&app, &events("duplicate")).await, 3.0);
    assert_eq!(value(&app, &events("quarantined")).await, 1.0);
    assert_eq!(value(&app, "footfall_quarantined_events_total{reason=\"x\"}").await, 1.0);
    assert_eq!(value(&app, "footfall_late_events_total").await, 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_age_of_the_oldest_callback_is_told() {
    // Nothing goes out, so it stays pending, and the clock is the test's.
    let app = TestApp::start_with(|config| config.callbacks.deliver = false).await;
    app.upload_map().await;
    let endpoint = json!({"name": "desk", "url": "http://127.0.0.1:9/"});
    assert_eq!(app.call(Method::POST, "/v1/callbacks", Some(endpoint)).await.0, StatusCode::CREATED);
    let rule = json!({"name": "Anyone", "area_id": LOBBY, "condition": "above", "limit_clients": 0});
    assert_eq!(app.call(Method::POST, "/v1/alert-rules", Some(rule)).await.0, StatusCode::CREATED);
    let oldest = "footfall_callback_oldest_pending_seconds{callback=\"1\",name=\"desk\"}";
    let pending = "footfall_callbacks_pending{callback=\"1\",name=\"desk\"}";
    assert_eq!((value(&app, oldest).await, value(&app, pending).await), (0.0, 0.0));
    app.deliver(&delivery("location", vec![fix("00000000000a", 0.0, 5.0, 5.0)])).await;
    app.clock.set((START_S + 90) * 1000);
    assert_eq!((value(&app, oldest).await, value(&app, pending).await), (90.0, 1.0));
    // A younger one changes nothing.
    let outside = [100.0, 115.0].map(|seconds| fix("00000000000a", seconds, 15.0, 15.0));
    app.clock.set((START_S + 120) * 1000);
    app.deliver(&delivery("location", outside.to_vec())).await;
    assert_eq!((value(&app, oldest).await, value(&app, pending).await), (120.0, 2.0));
}
