//! A crowd that walks over floors of square rooms, and its signed deliveries as HTTP requests, made before anything is
//! timed.

use footfall::receiver::signature::{HEADER_V2, Secret};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

pub const SECRET: &str = "bench";

/// Rooms of a floor stand in rows of so many.
const ROOMS_A_ROW: usize = 10;

/// The length of a room's side, metres.
const ROOM_M: f64 = 10.0;

/// How much there is of everything.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Each with one map.
    pub sites: usize,
    /// On each map.
    pub zones: usize,
    /// On each site.
    pub clients: usize,
}

pub fn site_id(site: usize) -> String {
    format!("4ac1dcf4-9d8b-4211-a5c4-{site:012x}")
}

pub fn map_id(site: usize) -> String {
    format!("63eda950-c6da-41e4-a628-{site:012x}")
}

fn floor_m(zones: usize) -> (f64, f64) {
    let across = zones.min(ROOMS_A_ROW);
    (across as f64 * ROOM_M, zones.div_ceil(ROOMS_A_ROW) as f64 * ROOM_M)
}

/// A floor as `PUT /v1/maps/{id}` takes it.
pub fn map(site: usize, zones: usize) -> Value {
    let (width_m, height_m) = floor_m(zones);
    let rooms = (0..zones).map(|n| {
        let (x, y) = ((n % ROOMS_A_ROW) as f64 * ROOM_M, (n / ROOMS_A_ROW) as f64 * ROOM_M);
        let corners = [(x, y), (x + ROOM_M, y), (x + ROOM_M, y + ROOM_M), (x, y + ROOM_M)];
        json!({"id": format!("0d1f5a52-{site:04x}-4c00-8000-{n:012x}"), "name": format!("Room {n}"),
            "vertices_m": corners.map(|(x, y)| json!({"x": x, "y": y}))})
    });
    json!({"site_id": site_id(site), "name": format!("Floor {site}"), "width_m": width_m, "height_m": height_m,
        "zones": rooms.collect::<Vec<_>>()})
}

/// A delivery: what goes over the wire, and where its body begins.
pub struct Request {
    pub bytes: Vec<u8>,
    body_at: usize,
}

impl Request {
    fn new(body: &str) -> Request {
        let signature = Secret::new(SECRET).sign_v2(body.as_bytes());
        let head = format!(
            "POST /v1/webhooks/mist HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n{HEADER_V2}: {signature}\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        let body_at = head.len();
        Request { bytes: [head.as_bytes(), body.as_bytes()].concat(), body_at }
    }

    pub fn body(&self) -> &[u8] {
        &self.bytes[self.body_at..]
    }
}

/// The clients whose fixes come over one connection, so that each one's stay in order: every `lanes`th of all sites.
pub struct Lane {
    rng: StdRng,
    floor_m: (f64, f64),
    /// Site, MAC address, metres.
    walkers: Vec<(usize, String, f64, f64)>,
    next: usize,
    at_s: i64,
}

impl Lane {
    pub fn new(lane: usize, lanes: usize, size: Size, start_s: i64) -> Lane {
        let mut rng = StdRng::seed_from_u64(lane as u64);
        let floor_m = floor_m(size.zones);
        let all = (0..size.clients * size.sites).skip(lane).step_by(lanes);
        let walkers = all.map(|client| {
            let (x, y) = (rng.random_range(0.0..floor_m.0), rng.random_range(0.0..floor_m.1));
            (client % size.sites, format!("3c{client:010x}"), x, y)
        });
        Lane { walkers: walkers.collect(), rng, floor_m, next: 0, at_s: start_s }
    }

    pub fn request(&mut self, events: usize) -> Request {
        let fixes: Vec<String> = (0..events).map(|_| self.fix()).collect();
        Request::new(&format!(r#"{{"topic":"location","events":[{}]}}"#, fixes.join(",")))
    }

    /// The next client's, a step on; all of them once a second.
    fn fix(&mut self) -> String {
        let (site, mac, x, y) = &mut self.walkers[self.next];
        *x = (*x + self.rng.random_range(-1.5..1.5)).clamp(0.0, self.floor_m.0);
        *y = (*y + self.rng.random_range(-1.5..1.5)).clamp(0.0, self.floor_m.1);
        let (site, map) = (site_id(*site), map_id(*site));
        let (at_s, rssi) = (self.at_s, -60);
        let fix = format!(
            r#"{{"site_id":"{site}","map_id":"{map}","type":"wifi","mac":"{mac}","x":{x:.3},"y":{y:.3},"rssi":{rssi},"timestamp":{at_s}}}"#
        );
        self.next = (self.next + 1) % self.walkers.len();
        if self.next == 0 {
            self.at_s += 1;
        }
        fix
    }
}
