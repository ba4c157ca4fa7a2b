//! A small crowd made up from a seed: it wanders over a map of overlapping zones, stands still, and falls silent.

use std::fmt::Write;
use std::path::PathBuf;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{SITE, delivery, fix};

/// The map to upload, a file of deliveries, and the folder that holds it.
pub fn recorded(seed: u64) -> (Value, PathBuf, TempDir) {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("crowd.ndjson");
    let mut text = String::new();
    for body in deliveries(seed) {
        writeln!(text, "{body}").unwrap();
    }
    std::fs::write(&file, text).unwrap();
    (map(), file, dir)
}

/// Nine squares of 12 m on a grid of 10 m, so that neighbours overlap.
pub fn map() -> Value {
    let zones: Vec<Value> = (0..9)
        .map(|n| {
            let (x, y) = (f64::from(n % 3) * 10.0, f64::from(n / 3) * 10.0);
            json!({"id": format!("0d1f5a52-0000-4c00-8000-00000000000{n}"), "name": format!("Zone {n}"), "vertices_m": [
                {"x": x, "y": y}, {"x": x + 12.0, "y": y}, {"x": x + 12.0, "y": y + 12.0}, {"x": x, "y": y + 12.0}]})
        })
        .collect();
    json!({"site_id": SITE, "name": "Grid", "width_m": 32.0, "height_m": 32.0, "zones": zones})
}

fn deliveries(seed: u64) -> Vec<Value> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut people: Vec<(f64, f64, f64)> =
        (0..12).map(|_| (rng.random_range(0.0..32.0), rng.random_range(0.0..32.0), 0.0)).collect();
    let mut deliveries = Vec::new();
    for second in 0..1200 {
        let mut events = Vec::new();
        for (number, (x_m, y_m, next_s)) in people.iter_mut().enumerate() {
            if f64::from(second) < *next_s {
                continue;
            }
            *x_m = (*x_m + rng.random_range(-4.0..4.0)).clamp(-1.0, 33.0);
            *y_m = (*y_m + rng.random_range(-4.0..4.0)).clamp(-1.0, 33.0);
            // Mostly seconds, sometimes a pause about as long as the timeout.
            let pause_s = if rng.random_bool(0.03) { rng.random_range(250..350) } else { rng.random_range(1..15) };
            *next_s = f64::from(second + pause_s);
            let millis = f64::from(rng.random_range(0..1000)) / 1000.0;
            events.push(fix(&format!("0000000000{number:02x}"), f64::from(second) + millis, *x_m, *y_m));
        }
        if !events.is_empty() {
            deliveries.push(delivery("location", events));
        }
    }
    deliveries
}
