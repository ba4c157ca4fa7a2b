//! People of every kind who come and go for ten days on two sites, with gaps of all lengths; where the network tells of
//! enters and exits, some of these beside their positions.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{number, row};
use crate::harness::{DESK, LOBBY, MAP, SITE, START_S, TestApp, delivery, fix};

pub const DAYS: i64 = 10;
pub const HALL: &str = "0d1f5a52-0003-4c00-8000-000000000003";
pub const HUT: &str = "0d1f5a52-0004-4c00-8000-000000000004";
pub const BEACON: &str = "b1";
pub const DOCK: &str = "r1";
pub const OTHER_SITE: &str = "5bd2ede5-9d8b-7211-65c4-057819f0862b";
pub const OTHER_MAP: &str = "74feb061-c6da-11e4-a628-60f81dd250cc";
/// Of the first site; the other has the default ones.
pub const BANDS: [(i64, Option<i64>); 3] = [(5, Some(59)), (60, Some(1799)), (3600, None)];

/// 24 October 2026, the night before Zurich's clocks go back, a week before New York's do; 26 March 2027, when Zurich's go
/// forward and Lord Howe's back by half an hour; 30 September 2026, when Lord Howe's go forward.
const BEGINS_S: [i64; 3] = [1_792_800_000, 1_806_019_200, 1_790_726_400];

/// Of time, that is delivered topic by topic.
const STRETCH_S: f64 = 3.0 * 3600.0;

/// Delivers a crowd and tells when its first day began.
pub async fn deliver(app: &TestApp, seed: u64, rng: &mut StdRng) -> i64 {
    let begin_s = BEGINS_S[(seed % 3) as usize];
    let end_s = begin_s + DAYS * 86_400;
    furnish(app).await;
    app.run_on_to((end_s - START_S) as f64).await;
    let mut events: Vec<(f64, &str, Value)> = Vec::new();
    for number in 0..32 {
        let person = Person::numbered(number);
        let mut at_s = begin_s as f64 + rng.random_range(0.0..20_000.0);
        while at_s < end_s as f64 {
            if rng.random_bool(0.12) {
                let (topic, crossing) = person.crossing(at_s, rng);
                events.push((at_s, topic, crossing));
            } else {
                events.push((at_s, person.topic, person.fix(at_s, rng)));
            }
            at_s +=
                *[7.0, 31.0, 64.0, 280.0, 300.0, 2_000.0, 30_000.0].choose(rng).unwrap() * rng.random_range(0.9..1.1);
        }
    }
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    // By the hour, a topic after the other: what is late by more than the longest silence would be visits that overlap.
    for some in events.chunk_by(|a, b| (a.0 / STRETCH_S).floor() == (b.0 / STRETCH_S).floor()) {
        let mut topics: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for (_, topic, event) in some {
            topics.entry(topic).or_default().push(event.clone());
        }
        for (topic, events) in topics {
            app.deliver(&delivery(topic, events)).await;
        }
    }
    let sql =
        "SELECT count(*) FILTER (source = 'computed') AS computed, count(*) FILTER (source = 'reported') AS reported,
                   count(*) FILTER (exited_at IS NULL) AS open, count(DISTINCT kind) AS kinds
               FROM visits";
    let there = row(app, sql).await;
    let least = [("computed", 1000.0), ("reported", 200.0), ("open", 3.0), ("kinds", 4.0)];
    assert!(least.iter().all(|(name, least)| number(&there[name]) >= *least), "{there}");
    begin_s
}

/// Zones that overlap, one of them counted as the network reports it; a virtual beacon, an RSSI zone, and another site.
async fn furnish(app: &TestApp) {
    let square = |from: f64, to: f64| json!([[[from, from], [to, from], [to, to], [from, to], [from, from]]]);
    let zone = |id: &str, from: f64, to: f64, properties: Value| {
        json!({"type": "Feature", "id": id, "properties": properties,
            "geometry": {"type": "Polygon", "coordinates": square(from, to)}})
    };
    let map = json!({"site_id": SITE, "name": "Ground", "width_m": 20.0, "height_m": 20.0,
        "zones": {"type": "FeatureCollection", "features": [
            zone(LOBBY, 0.0, 10.0, json!({"name": "Lobby", "tags": ["public", "waiting"], "occupancy_limit": 4})),
            zone(DESK, 1.0, 6.0, json!({"name": "Desk", "tags": ["waiting"], "occupancy_limit": 1}))]},
        "vbeacons": [{"id": BEACON, "name": "Info", "x_m": 15.0, "y_m": 5.0, "tags": ["public"]}],
        "rssizones": [{"id": DOCK, "name": "Dock", "devices": [{"device_id": "d", "rssi": -70}]}]});
    let other = json!({"site_id": OTHER_SITE, "name": "Yard", "width_m": 20.0, "height_m": 20.0,
        "zones": {"type": "FeatureCollection", "features": [
            zone(HUT, 5.0, 16.0, json!({"name": "Hut", "tags": ["public"], "occupancy_limit": 2}))]}});
    let corners = json!([{"x": 8, "y": 8}, {"x": 20, "y": 8}, {"x": 20, "y": 20}, {"x": 8, "y": 20}]);
    let hall = json!({"map_id": MAP, "name": "Hall", "vertices_m": corners, "occupancy_limit": 2,
        "authoritative_source": "reported"});
    let bands: Vec<Value> =
        BANDS.iter().map(|(from, to)| json!({"name": format!("from {from}"), "from_s": from, "to_s": to})).collect();
    let site = json!({"dwell_bands": bands, "time_zone": "Europe/Zurich"});
    for (method, path, body) in [
        (Method::PUT, format!("/v1/maps/{MAP}"), map),
        (Method::PUT, format!("/v1/maps/{OTHER_MAP}"), other),
        (Method::PUT, format!("/v1/areas/{HALL}"), hall),
        (Method::PATCH, format!("/v1/sites/{SITE}"), site),
    ] {
        let (status, answer) = app.call(method, &path, Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    }
}

struct Person {
    number: u32,
    id: String,
    kind: &'static str,
    topic: &'static str,
}

impl Person {
    fn numbered(number: u32) -> Person {
        let (kind, topic) = match number % 8 {
            4 => ("wifi", "location-unclient"),
            5 => ("sdk", "location"),
            6 => ("asset", "location"),
            _ => ("wifi", "location"),
        };
        // Some ids are those of two clients, of one kind each.
        let twin = if number.is_multiple_of(8) && number > 8 { number - 2 } else { number };
        let mac = format!("{}{twin:010x}", if twin.is_multiple_of(3) { "02" } else { "3c" });
        let id = if kind == "sdk" { format!("a2b0c0de-0000-4000-8000-{mac}") } else { mac };
        Person { number, id, kind, topic }
    }

    /// Most stay on the first site, some on the other, and some go to and fro.
    fn is_elsewhere(&self, rng: &mut StdRng) -> bool {
        self.number % 5 == 4 || self.number % 5 == 3 && rng.random_bool(0.2)
    }

    fn named(&self, mut event: Value) -> Value {
        event["type"] = json!(self.kind);
        let name = if self.kind == "sdk" { "id" } else { "mac" };
        event.as_object_mut().unwrap().remove("mac");
        event[name] = json!(self.id);
        event
    }

    fn fix(&self, at_s: f64, rng: &mut StdRng) -> Value {
        let (x_m, y_m) = (rng.random_range(0.0..20.5), rng.random_range(0.0..20.0));
        let mut event = self.named(fix(&self.id, at_s - START_S as f64, x_m, y_m));
        if self.is_elsewhere(rng) {
            (event["site_id"], event["map_id"]) = (json!(OTHER_SITE), json!(OTHER_MAP));
        }
        event
    }

    fn crossing(&self, at_s: f64, rng: &mut StdRng) -> (&'static str, Value) {
        let (topic, id, area) = *[
            ("zone", "zone_id", LOBBY),
            ("zone", "zone_id", HALL),
            ("vbeacon", "vbeacon_id", BEACON),
            ("rssizone", "rssizone_id", DOCK),
        ]
        .choose(rng)
        .unwrap();
        let trigger = if rng.random_bool(0.55) { "enter" } else { "exit" };
        let event = json!({"site_id": SITE, "map_id": MAP, "trigger": trigger, "timestamp": at_s, id: area});
        (topic, self.named(event))
    }
}
