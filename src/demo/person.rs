//! One simulated person or thing: where it goes, and when its radio is heard.

use std::collections::VecDeque;

use rand::RngExt;
use rand::rngs::StdRng;

use super::site::Room;

/// A spot on a floor, metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spot {
    pub floor: usize,
    pub x_m: f64,
    pub y_m: f64,
}

/// What carries the radio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Radio {
    Connected,
    Unconnected,
    Sdk,
    Asset,
}

/// A stop on somebody's way: a room, and for how many seconds.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    pub room: usize,
    pub seconds: i64,
}

#[derive(Debug)]
pub struct Person {
    pub radio: Radio,
    /// MAC without separators, or the SDK's UUID.
    pub id: String,
    pub name: Option<String>,
    pub spot: Spot,
    pub room: usize,
    plan: VecDeque<Stop>,
    path: VecDeque<Spot>,
    stays_until_s: i64,
    reports_at_s: i64,
    pub next_scan_s: i64,
    /// Which reported areas it is in, as the network last said.
    pub reported: Vec<usize>,
}

/// The corridor's middle and the stairs, the same on both floors.
const CORRIDOR_Y_M: f64 = 14.0;
const STAIRS_X_M: f64 = 38.0;
/// A calm walk, metres a second.
const WALK_M_PER_S: f64 = 1.2;

impl Person {
    pub fn new(radio: Radio, id: String, plan: Vec<Stop>, rooms: &[Room], now_s: i64, rng: &mut StdRng) -> Person {
        let first = plan[0];
        Person {
            radio,
            id,
            name: None,
            spot: spot_in(&rooms[first.room], rng),
            room: first.room,
            plan: plan.into_iter().skip(1).collect(),
            path: VecDeque::new(),
            stays_until_s: now_s + first.seconds,
            reports_at_s: now_s + rng.random_range(0..30),
            next_scan_s: now_s + rng.random_range(0..60),
            reported: Vec::new(),
        }
    }

    /// Adds a stop behind the others.
    pub fn then(&mut self, stop: Stop) {
        self.plan.push_back(stop);
    }

    /// Whether its way is at its end, so that someone must say where it goes next.
    pub fn is_done(&self, now_s: i64) -> bool {
        self.path.is_empty() && self.plan.is_empty() && now_s >= self.stays_until_s
    }

    pub fn is_walking(&self) -> bool {
        !self.path.is_empty()
    }

    /// One second of its life.
    pub fn step(&mut self, rooms: &[Room], now_s: i64, rng: &mut StdRng) {
        if self.path.is_empty() && now_s >= self.stays_until_s {
            let Some(stop) = self.plan.pop_front() else { return };
            self.path = way(self.spot, &rooms[self.room], &rooms[stop.room], spot_in(&rooms[stop.room], rng));
            self.room = stop.room;
            self.stays_until_s = now_s + stop.seconds;
        }
        let mut left_m = WALK_M_PER_S;
        while let Some(next) = self.path.front().copied() {
            let (dx, dy) = (next.x_m - self.spot.x_m, next.y_m - self.spot.y_m);
            let distance_m = dx.hypot(dy);
            if next.floor == self.spot.floor && distance_m > left_m {
                self.spot.x_m += dx / distance_m * left_m;
                self.spot.y_m += dy / distance_m * left_m;
                return;
            }
            left_m -= distance_m;
            self.spot = next;
            self.path.pop_front();
        }
    }

    /// Whether its radio is heard in this second; then says when it will be next.
    pub fn is_heard(&mut self, now_s: i64, rng: &mut StdRng) -> bool {
        if now_s < self.reports_at_s {
            return false;
        }
        let pause_s = match (self.radio, self.is_walking()) {
            (Radio::Sdk, true) => rng.random_range(1..3),
            (Radio::Sdk, false) => rng.random_range(10..30),
            (Radio::Asset, _) => rng.random_range(25..60),
            (_, true) => rng.random_range(10..30),
            // Now and then a report is missed, and sometimes the phone sleeps.
            (_, false) => match rng.random_range(0..1000) {
                0..4 => rng.random_range(600..1200),
                4..60 => rng.random_range(110..140),
                _ => rng.random_range(50..75),
            },
        };
        self.reports_at_s = now_s + pause_s;
        true
    }
}

/// Out of one room by its door, along the corridor, over the stairs if need be, and in by the other's.
fn way(from: Spot, out: &Room, into: &Room, to: Spot) -> VecDeque<Spot> {
    if out.zone_id == into.zone_id {
        return VecDeque::from([to]);
    }
    let at = |floor, x_m, y_m| Spot { floor, x_m, y_m };
    let mut way = VecDeque::from([at(from.floor, out.door[0], out.door[1]), at(from.floor, out.door[0], CORRIDOR_Y_M)]);
    if from.floor != to.floor {
        way.push_back(at(from.floor, STAIRS_X_M, CORRIDOR_Y_M));
        way.push_back(at(from.floor, STAIRS_X_M, CORRIDOR_Y_M + 6.0));
        way.push_back(at(to.floor, STAIRS_X_M, CORRIDOR_Y_M + 6.0));
        way.push_back(at(to.floor, STAIRS_X_M, CORRIDOR_Y_M));
    }
    way.push_back(at(to.floor, into.door[0], CORRIDOR_Y_M));
    way.push_back(at(to.floor, into.door[0], into.door[1]));
    way.push_back(to);
    way
}

/// Somewhere in a room, a little off its walls.
fn spot_in(room: &Room, rng: &mut StdRng) -> Spot {
    let bound = |axis: usize, pick: fn(f64, f64) -> f64, from: f64| {
        room.ring.iter().map(|corner| corner[axis]).fold(from, pick)
    };
    let (x0, x1) = (bound(0, f64::min, f64::MAX), bound(0, f64::max, f64::MIN));
    let (y0, y1) = (bound(1, f64::min, f64::MAX), bound(1, f64::max, f64::MIN));
    // Rooms are large beside their margins, so this ends soon.
    loop {
        let (x_m, y_m) = (rng.random_range(x0 + 1.0..x1 - 1.0), rng.random_range(y0 + 1.0..y1 - 1.0));
        if is_inside(&room.ring, x_m, y_m) {
            return Spot { floor: room.floor, x_m, y_m };
        }
    }
}

/// Even-odd rule; the simulation need not be exact on edges.
pub fn is_inside(ring: &[[f64; 2]], x_m: f64, y_m: f64) -> bool {
    ring.windows(2).filter(|edge| crosses(edge[0], edge[1], x_m, y_m)).count() % 2 == 1
}

fn crosses([x1, y1]: [f64; 2], [x2, y2]: [f64; 2], x_m: f64, y_m: f64) -> bool {
    (y1 > y_m) != (y2 > y_m) && x_m < (x2 - x1) * (y_m - y1) / (y2 - y1) + x1
}
