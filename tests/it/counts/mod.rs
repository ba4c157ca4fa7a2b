//! Every metric against an independent count: SQL over the raw `visits` and `positions`, for random windows, buckets, time
//! zones, filters and groups, around the nights on which clocks change.
//!
//! Each seed is a crowd and the questions about it. `FOOTFALL_SEED` plays one seed instead, `FOOTFALL_CASES` more
//! questions: `FOOTFALL_SEED=7 FOOTFALL_CASES=500 cargo test --test it counts`.

mod case;
mod crowd;
mod levels;
mod people;
mod stays;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::harness::TestApp;
use case::Case;

const SEEDS: [u64; 3] = [2026, 2027, 2028];
const CASES: usize = 8;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_agrees_with_sql_over_the_raw_tables() {
    let seeds = from_environment("FOOTFALL_SEED").map_or(SEEDS.to_vec(), |seed| vec![seed]);
    let cases = from_environment("FOOTFALL_CASES").map_or(CASES, |cases| cases as usize);
    for seed in seeds {
        // Shown where the test fails.
        println!("FOOTFALL_SEED={seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let app = TestApp::start().await;
        let begin_s = crowd::deliver(&app, seed, &mut rng).await;
        for _ in 0..cases {
            let case = Case::random(begin_s, &mut rng);
            println!("{case:?}");
            let bounds = levels::check_bounds(&app, &case).await;
            levels::check_series(&app, &case, &bounds).await;
            levels::check_peaks(&app, &case, &bounds).await;
            levels::check_profile(&app, &case).await;
            levels::check_capacity(&app, &case).await;
            levels::check_now(&app, &case).await;
            stays::check_dwell(&app, &case).await;
            stays::check_flows(&app, &case).await;
            stays::check_visits(&app, &case, &mut rng).await;
            people::check_visitors(&app, &case).await;
            people::check_clients(&app, &case).await;
            people::check_heatmap(&app, &case).await;
        }
        app.stop().await;
    }
}

async fn rows(app: &TestApp, sql: &str) -> Vec<Value> {
    let (status, answer) =
        app.call(reqwest::Method::POST, "/v1/sql", Some(json!({"sql": sql, "limit": 100_000}))).await;
    assert_eq!(status, 200, "{sql}: {answer}");
    answer["rows"].as_array().unwrap().clone()
}

/// The one row of an answer.
async fn row(app: &TestApp, sql: &str) -> Value {
    let mut rows = rows(app, sql).await;
    assert_eq!(rows.len(), 1, "{sql}");
    rows.remove(0)
}

fn number(value: &Value) -> f64 {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0.0)
}

/// Milliseconds, of whichever spelling of an instant.
fn ms(value: &Value) -> i64 {
    chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap().timestamp_millis()
}

fn list<'a>(answer: &'a Value, key: &str) -> &'a Vec<Value> {
    answer[key].as_array().unwrap_or_else(|| panic!("no {key} in {answer}"))
}

/// That numbers of two rows agree, by their names in each.
fn assert_agree(found: &Value, expected: &Value, names: &[(&str, &str)], what: &str) {
    for (name, of) in names {
        let (found, expected) = (&found[name], &expected[of]);
        assert_eq!(found.is_null(), expected.is_null(), "{name} of {what}: {found} is not {expected}");
        assert!((number(found) - number(expected)).abs() < 1e-6, "{name} of {what}: {found} is not {expected}");
    }
}
