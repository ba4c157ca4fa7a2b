//! A day of real people and the visits that an independent program found in it. Lies beside the repository.

use std::fmt::Write;
use std::path::PathBuf;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{SITE, START_S, delivery, fix, shared};

pub struct Forum {
    pub map: Value,
    /// Deliveries, one a second.
    pub file: PathBuf,
    /// As the file's visits are asked for in `replay::VISITS`.
    pub expected: Vec<String>,
    pub dir: TempDir,
}

/// `None` where the data is not there.
pub fn load() -> Option<Forum> {
    let folder = shared("data/informatics-forum")?;
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let zones: Value = serde_json::from_str(&read("zones.geojson")).unwrap();
    let map = json!({"site_id": SITE, "name": "Forum", "width_m": 15.81, "height_m": 11.86, "zones": zones});
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("forum.ndjson");
    std::fs::write(&file, deliveries(&read("positions.csv"))).unwrap();
    let mut expected: Vec<(String, String, i64, i64, String)> = Vec::new();
    for line in read("expected-visits.csv").lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let ms = |text: &str| text.parse::<i64>().unwrap() + START_S * 1000;
        expected.push((mac(cells[0]), cells[1].into(), ms(cells[2]), ms(cells[3]), cells[4].into()));
    }
    expected.sort();
    let expected = expected.into_iter().map(|(who, zone, from, to, how)| format!("{who} {zone} {from} {to} {how}"));
    Some(Forum { map, file, expected: expected.collect(), dir })
}

/// Rows of one second of event time go into one delivery.
fn deliveries(positions: &str) -> String {
    let mut text = String::new();
    let mut events: Vec<Value> = Vec::new();
    let mut second = None;
    for line in positions.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let t_ms: i64 = cells[0].parse().unwrap();
        if second.replace(t_ms / 1000) != Some(t_ms / 1000) && !events.is_empty() {
            writeln!(text, "{}", delivery("location", std::mem::take(&mut events))).unwrap();
        }
        let (x_m, y_m) = (cells[2].parse().unwrap(), cells[3].parse().unwrap());
        events.push(fix(&mac(cells[1]), t_ms as f64 / 1000.0, x_m, y_m));
    }
    writeln!(text, "{}", delivery("location", events)).unwrap();
    text
}

/// A stable address for a track of the data set.
fn mac(client: &str) -> String {
    let digest = hex::encode(Sha256::digest(format!("{client}/0")));
    format!("{:02x}{}", u8::from_str_radix(&digest[..2], 16).unwrap() & 0xfc, &digest[2..12])
}
