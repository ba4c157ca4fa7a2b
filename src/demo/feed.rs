//! What the network posts about the crowd: events of a topic gathered for some seconds, then one delivery.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::person::{Person, Radio, Spot, is_inside};
use super::site::{Room, Site};

/// The body of one webhook delivery, ready to be signed and posted.
pub type Body = String;

pub struct Feed {
    site_id: String,
    maps: Vec<String>,
    areas: Vec<Area>,
    aps: Vec<(usize, String, f64, f64)>,
    /// By topic, in order of topic.
    waiting: BTreeMap<&'static str, Vec<Value>>,
    has_pinged: bool,
}

/// An area of which the network itself reports who enters and leaves.
struct Area {
    topic: &'static str,
    id: String,
    floor: usize,
    edge: Edge,
}

enum Edge {
    Ring(Vec<[f64; 2]>),
    Circle { x_m: f64, y_m: f64, radius_m: f64 },
}

/// Seconds of events gathered into one delivery.
const GATHER_S: i64 = 5;
/// Standard deviation of a position, per axis, metres.
const NOISE_M: f64 = 0.9;
/// Zones that the network reports as well.
const REPORTED_ZONES: [&str; 2] = ["Waiting room", "Ward A"];
const BEACON_REACH_M: f64 = 4.0;
const AP_REACH_M: f64 = 8.0;

impl Feed {
    pub fn new(site: &Site, rooms: &[Room]) -> Feed {
        let mut areas: Vec<Area> = rooms
            .iter()
            .filter(|room| REPORTED_ZONES.contains(&room.name.as_str()))
            .map(|room| Area {
                topic: "zone",
                id: room.zone_id.clone(),
                floor: room.floor,
                edge: Edge::Ring(room.ring.clone()),
            })
            .collect();
        let mut aps = Vec::new();
        for (floor, map) in site.maps.iter().enumerate() {
            let circle = |x_m, y_m, radius_m| Edge::Circle { x_m, y_m, radius_m };
            for beacon in &map.vbeacons {
                let edge = circle(beacon.x_m, beacon.y_m, BEACON_REACH_M);
                areas.push(Area { topic: "vbeacon", id: beacon.id.clone(), floor, edge });
            }
            for zone in &map.rssizones {
                let device = &zone["devices"][0]["device_id"];
                for ap in map.access_points.iter().filter(|ap| *device == ap.id) {
                    let id = zone["id"].as_str().unwrap_or_default().to_owned();
                    areas.push(Area { topic: "rssizone", id, floor, edge: circle(ap.x_m, ap.y_m, AP_REACH_M) });
                }
            }
            aps.extend(map.access_points.iter().map(|ap| (floor, ap.mac.clone(), ap.x_m, ap.y_m)));
        }
        Feed {
            site_id: site.site_id.clone(),
            maps: site.maps.iter().map(|map| map.map_id.clone()).collect(),
            areas,
            aps,
            waiting: BTreeMap::new(),
            has_pinged: false,
        }
    }

    /// What is heard of a person in this second.
    pub fn note(&mut self, person: &mut Person, now_s: i64, rng: &mut StdRng) {
        if person.is_heard(now_s, rng) {
            self.locate(person, now_s, rng);
        }
        self.report_crossings(person, now_s);
        if person.radio == Radio::Sdk && now_s >= person.next_scan_s {
            person.next_scan_s = now_s + 60;
            self.scan(person, now_s);
        }
    }

    /// A phone joins the network.
    pub fn join(&mut self, person: &Person, now_s: i64) {
        if person.radio == Radio::Connected {
            let event = json!({"site_id": self.site_id, "mac": person.id, "ssid": "clinic", "band": "5",
                "ap": self.aps[0].1, "connect": now_s, "version": 2, "timestamp": now_s});
            self.waiting.entry("client-join").or_default().push(event);
        }
    }

    /// A person is gone: the network says so of the areas it reports.
    pub fn leave(&mut self, person: &Person, now_s: i64) {
        for area in &person.reported {
            self.cross(person, *area, "exit", now_s);
        }
        if person.radio == Radio::Connected {
            let event = json!({"site_id": self.site_id, "mac": person.id, "ssid": "clinic", "version": 2,
                "termination_reason": 2, "disconnect": now_s, "timestamp": now_s});
            self.waiting.entry("client-sessions").or_default().push(event);
        }
    }

    /// Posts what was gathered, every few seconds; now and then twice, as an organisation's and a site's webhook would.
    pub fn flush(&mut self, now_s: i64, rng: &mut StdRng, deliveries: &mut Vec<Body>) {
        if !self.has_pinged {
            self.has_pinged = true;
            let ping = json!({"site_id": self.site_id, "id": "18ff1f91-a9e0-43b7-b4ea-2ce4ea372f72", "name": "demo",
                "timestamp": now_s});
            deliveries.push(delivery("ping", &[ping]));
        }
        if now_s % GATHER_S != 0 {
            return;
        }
        if now_s % 7200 == 0 {
            let ap = &self.aps[rng.random_range(0..self.aps.len())].1;
            let restart = json!({"site_id": self.site_id, "ap": ap, "type": "AP_RESTARTED", "timestamp": now_s});
            self.waiting.entry("device-updowns").or_default().push(restart);
        }
        for (topic, events) in std::mem::take(&mut self.waiting) {
            let made = delivery(topic, &events);
            if rng.random_range(0..200) == 0 {
                deliveries.push(made.clone());
            }
            deliveries.push(made);
        }
    }

    fn locate(&mut self, person: &Person, now_s: i64, rng: &mut StdRng) {
        // The sum of three even spreads is near enough to a bell.
        let mut noise_m = || (0..3).map(|_| rng.random_range(-1.0..1.0)).sum::<f64>() * NOISE_M;
        let metres = |m: f64| (m * 1000.0).round() / 1000.0;
        let (x, y) = (metres(person.spot.x_m + noise_m()), metres(person.spot.y_m + noise_m()));
        let mut event = json!({"site_id": self.site_id, "map_id": self.maps[person.spot.floor], "x": x, "y": y,
            "timestamp": now_s});
        let topic = match person.radio {
            Radio::Connected => {
                event["type"] = "wifi".into();
                event["mac"] = person.id.as_str().into();
                event["rssi"] = (-45 - (noise_m() * 10.0) as i64).into();
                "location-client"
            }
            Radio::Unconnected => {
                event["type"] = "wifi".into();
                event["mac"] = person.id.as_str().into();
                "location-unclient"
            }
            Radio::Sdk => {
                event["type"] = "sdk".into();
                event["id"] = person.id.as_str().into();
                "location-sdk"
            }
            Radio::Asset => {
                event["type"] = "asset".into();
                event["mac"] = person.id.as_str().into();
                event["name"] = person.name.as_deref().unwrap_or_default().into();
                event["battery_voltage"] = 3000.into();
                "location-asset"
            }
        };
        self.waiting.entry(topic).or_default().push(event);
    }

    fn report_crossings(&mut self, person: &mut Person, now_s: i64) {
        if person.radio == Radio::Unconnected {
            return;
        }
        for area in 0..self.areas.len() {
            let is_in = self.areas[area].contains(person.spot);
            let was_in = person.reported.iter().position(|reported| *reported == area);
            match (was_in, is_in) {
                (None, true) => {
                    person.reported.push(area);
                    self.cross(person, area, "enter", now_s);
                }
                (Some(place), false) => {
                    person.reported.remove(place);
                    self.cross(person, area, "exit", now_s);
                }
                _ => {}
            }
        }
    }

    fn cross(&mut self, person: &Person, area: usize, trigger: &str, now_s: i64) {
        let Area { topic, id, floor, .. } = &self.areas[area];
        let mut event = json!({"site_id": self.site_id, "map_id": self.maps[*floor], "trigger": trigger,
            "timestamp": now_s as f64 + 0.25});
        event[format!("{topic}_id")] = id.as_str().into();
        let (kind, key) = match person.radio {
            Radio::Sdk => ("sdk", "id"),
            Radio::Asset => ("asset", "mac"),
            _ => ("wifi", "mac"),
        };
        event["type"] = kind.into();
        event[key] = person.id.as_str().into();
        self.waiting.entry(topic).or_default().push(event);
    }

    fn scan(&mut self, person: &Person, now_s: i64) {
        let Spot { floor, x_m, y_m } = person.spot;
        let mut heard: Vec<(f64, &str)> = self
            .aps
            .iter()
            .filter(|(on, ..)| *on == floor)
            .map(|(_, mac, x, y)| ((x - x_m).hypot(y - y_m), mac.as_str()))
            .collect();
        heard.sort_by(|a, b| a.0.total_cmp(&b.0));
        let rssi = |distance_m: f64| -40.0 - (20.0 * distance_m.max(1.0).log10()).round();
        let entries: Vec<Value> = heard
            .iter()
            .take(5)
            .map(|(distance_m, mac)| {
                json!({"ap": mac, "bssid": mac, "ssid": "clinic", "band": "5", "channel": 36,
                    "rssi": rssi(*distance_m), "timestamp": now_s})
            })
            .collect();
        let (distance_m, nearest) = heard[0];
        let event = json!({"site_id": self.site_id, "mac": person.id.replace('-', "")[..12], "last_seen": now_s,
            "connection_ap": nearest, "connection_bssid": nearest, "connection_band": "5", "connection_channel": 36,
            "connection_rssi": rssi(distance_m), "scan_data": entries});
        self.waiting.entry("sdkclient-scan-data").or_default().push(event);
    }
}

impl Area {
    fn contains(&self, spot: Spot) -> bool {
        spot.floor == self.floor
            && match &self.edge {
                Edge::Ring(ring) => is_inside(ring, spot.x_m, spot.y_m),
                Edge::Circle { x_m, y_m, radius_m } => (spot.x_m - x_m).hypot(spot.y_m - y_m) <= *radius_m,
            }
    }
}

fn delivery(topic: &str, events: &[Value]) -> Body {
    json!({"topic": topic, "events": events}).to_string()
}
