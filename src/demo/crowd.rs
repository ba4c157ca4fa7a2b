//! A simulated crowd in the clinic: staff at their posts day and night, patients on their rounds, visitors, equipment.
//!
//! A function of seed and time: no clock, no I/O. It steps by whole seconds, so however far each call goes, the same
//! deliveries come out.

use chrono::{DateTime, Datelike, Timelike, Utc};
use chrono_tz::Tz;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::feed::{Body, Feed};
use super::person::{Person, Radio, Stop};
use super::site::{Room, Site};

pub struct Crowd {
    rooms: Vec<Room>,
    zone: Tz,
    rng: StdRng,
    now_s: i64,
    people: Vec<Person>,
    feed: Feed,
    newcomers: u64,
}

/// Equipment that is wheeled about, and how many of each.
const EQUIPMENT: [(&str, u32); 3] = [("Wheelchair", 6), ("Infusion pump", 8), ("Ultrasound cart", 2)];

impl Crowd {
    /// Starts at `start_ms` (Unix milliseconds) with the people that would be there at that hour.
    pub fn new(site: &Site, seed: u64, start_ms: i64) -> anyhow::Result<Crowd> {
        let rooms = site.rooms()?;
        let mut crowd = Crowd {
            feed: Feed::new(site, &rooms),
            zone: site.time_zone.parse()?,
            rooms,
            rng: StdRng::seed_from_u64(seed),
            now_s: start_ms / 1000,
            people: Vec::new(),
            newcomers: 0,
        };
        crowd.open_up();
        Ok(crowd)
    }

    /// Lives on to `to_ms` and tells what the network would have posted meanwhile, in the order of posting.
    pub fn advance(&mut self, to_ms: i64) -> Vec<Body> {
        let mut deliveries = Vec::new();
        while (self.now_s + 1) * 1000 <= to_ms {
            self.now_s += 1;
            self.step();
            self.feed.flush(self.now_s, &mut self.rng, &mut deliveries);
        }
        deliveries
    }

    /// The simulated time, Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.now_s * 1000
    }

    fn open_up(&mut self) {
        // One of the staff stays with each room, around the clock; their phones change with the shift but not the post.
        for room in 0..self.rooms.len() {
            self.add(Radio::Connected, vec![Stop { room, seconds: self.now_s % 1800 + 60 }]);
        }
        for (name, count) in EQUIPMENT {
            for number in 1..=count {
                let room = self.rng.random_range(0..self.rooms.len());
                self.add(Radio::Asset, vec![Stop { room, seconds: 600 * i64::from(number) }]);
                let added = self.people.last_mut().expect("just added");
                added.name = Some(format!("{name} {number}"));
            }
        }
        // Half an hour's arrivals at once, spread over their rounds.
        for _ in 0..(self.arrivals_per_hour() / 2.0) as u32 {
            self.arrive();
        }
    }

    fn step(&mut self) {
        let chance = self.arrivals_per_hour() / 3600.0;
        if self.rng.random_bool(chance.clamp(0.0, 1.0)) {
            self.arrive();
        }
        let posts = self.rooms.len();
        let mut place = 0;
        while place < self.people.len() {
            let person = &mut self.people[place];
            person.step(&self.rooms, self.now_s, &mut self.rng);
            if person.is_done(self.now_s) {
                if place < posts {
                    on_duty(person, place, &self.rooms, &mut self.rng);
                } else if person.radio == Radio::Asset {
                    let room = self.rng.random_range(0..self.rooms.len());
                    person.then(Stop { room, seconds: self.rng.random_range(1200..7200) });
                } else {
                    let gone = self.people.remove(place);
                    self.feed.leave(&gone, self.now_s);
                    continue;
                }
            }
            self.feed.note(&mut self.people[place], self.now_s, &mut self.rng);
            place += 1;
        }
    }

    /// Patients and visitors an hour, by the local hour: two rushes on working days, few at night.
    fn arrivals_per_hour(&self) -> f64 {
        let local = DateTime::<Utc>::from_timestamp(self.now_s, 0).unwrap_or_default().with_timezone(&self.zone);
        let by_hour = match local.hour() {
            0..6 => 8.0,
            6 | 7 => 40.0,
            8..=10 => 130.0,
            11..=13 => 90.0,
            14..=16 => 110.0,
            17 | 18 => 70.0,
            19..=21 => 35.0,
            _ => 12.0,
        };
        if local.weekday().num_days_from_monday() >= 5 { by_hour * 0.45 } else { by_hour }
    }

    fn arrive(&mut self) {
        let mut plan = vec![(("Entrance hall", 0), 30..120), (("Reception", 0), 90..240)];
        match self.rng.random_range(0..10) {
            0..6 => {
                plan.push((("Waiting room", 0), 300..1800));
                let room = ["Consulting 1", "Consulting 2", "Consulting 3", "Triage"][self.rng.random_range(0..4)];
                plan.push(((room, 0), 480..1500));
                match self.rng.random_range(0..5) {
                    0 => plan.push((("X-ray", 0), 300..900)),
                    1 => plan.push((("Treatment", 0), 600..2400)),
                    2 => plan.push((("Day surgery", 1), 1800..7200)),
                    _ => {}
                }
                if self.rng.random_bool(0.5) {
                    plan.push((("Pharmacy", 0), 180..600));
                }
            }
            6..9 => {
                let ward = ["Ward A", "Ward B", "Ward C", "Recovery"][self.rng.random_range(0..4)];
                plan.push(((ward, 1), 900..5400));
            }
            _ => plan.push((("Meeting room", 1), 1800..5400)),
        }
        if self.rng.random_bool(0.3) {
            plan.push((("Café", 0), 600..2400));
        }
        plan.push((("Entrance hall", 0), 20..60));
        let stops = plan.into_iter().map(|((name, floor), seconds)| Stop {
            room: room_named(&self.rooms, name, floor),
            seconds: self.rng.random_range(seconds),
        });
        let stops = stops.collect();
        let radio = match self.rng.random_range(0..100) {
            0..76 => Radio::Connected,
            76..95 => Radio::Unconnected,
            _ => Radio::Sdk,
        };
        self.add(radio, stops);
        let newcomer = self.people.last().expect("just added");
        self.feed.join(newcomer, self.now_s);
    }

    fn add(&mut self, radio: Radio, plan: Vec<Stop>) {
        self.newcomers += 1;
        let id = match radio {
            Radio::Sdk => {
                let (high, low): (u32, u64) = (self.rng.random(), self.rng.random_range(0..1 << 48));
                format!("{high:08x}-5c1a-4d0e-9b3f-{low:012x}")
            }
            // A quarter of phones make their address up: the second digit then is 2, 6, a or e.
            _ => {
                let first = if radio != Radio::Asset && self.rng.random_bool(0.25) { "da" } else { "3c" };
                format!("{first}{:04x}{:06x}", self.rng.random_range(0..0x1_0000), self.newcomers)
            }
        };
        let person = Person::new(radio, id, plan, &self.rooms, self.now_s, &mut self.rng);
        self.people.push(person);
    }
}

/// The next while of one of the staff: mostly at the post, now and then a break or an errand.
fn on_duty(person: &mut Person, post: usize, rooms: &[Room], rng: &mut StdRng) {
    if person.room == post && rng.random_bool(0.3) {
        let elsewhere = ["Staff room", "Café", "Break room", "Offices"][rng.random_range(0..4)];
        let room = rooms.iter().position(|room| room.name == elsewhere).unwrap_or(post);
        person.then(Stop { room, seconds: rng.random_range(60..240) });
    }
    person.then(Stop { room: post, seconds: rng.random_range(1200..3600) });
}

fn room_named(rooms: &[Room], name: &str, floor: usize) -> usize {
    let found = rooms.iter().position(|room| room.floor == floor && room.name == name);
    found.expect("the sample site has the rooms that its crowd visits")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::super::person::is_inside;
    use super::*;

    /// 2026-07-01T00:00:00Z, a Wednesday.
    const MIDNIGHT_MS: i64 = 1_782_864_000_000;
    const HOUR_MS: i64 = 3_600_000;

    fn crowd(start_ms: i64) -> Crowd {
        Crowd::new(&Site::load().unwrap(), 1, start_ms).unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_deliveries_in_one_step_or_many() {
        let whole = crowd(MIDNIGHT_MS).advance(MIDNIGHT_MS + HOUR_MS);
        let mut cut = crowd(MIDNIGHT_MS);
        let mut pieces = Vec::new();
        for minute in 1..=60 {
            pieces.extend(cut.advance(MIDNIGHT_MS + minute * 60_000 - 300 * (60 - minute)));
        }
        assert!(whole.len() > 500, "{}", whole.len());
        assert_eq!(whole, pieces);
    }

    #[test]
    fn each_client_is_located_at_ascending_times() {
        let mut newest: BTreeMap<(String, String), f64> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for text in crowd(MIDNIGHT_MS + 8 * HOUR_MS).advance(MIDNIGHT_MS + 10 * HOUR_MS) {
            let body: Value = serde_json::from_str(&text).unwrap();
            // One in many is posted twice, as two webhooks would.
            if !body["topic"].as_str().unwrap().starts_with("location") || !seen.insert(text) {
                continue;
            }
            for event in body["events"].as_array().unwrap() {
                let who = (event["mac"].to_string(), event["id"].to_string());
                let at = event["timestamp"].as_f64().unwrap();
                assert!(newest.insert(who, at).is_none_or(|before| before < at));
            }
        }
        assert!(newest.len() > 100, "{}", newest.len());
    }

    #[test]
    fn every_room_is_alive_within_minutes_at_any_hour() {
        let rooms = Site::load().unwrap().rooms().unwrap();
        let site = Site::load().unwrap();
        for hour in [3, 11, 20] {
            let start_ms = MIDNIGHT_MS + hour * HOUR_MS;
            let mut found = BTreeSet::new();
            for text in crowd(start_ms).advance(start_ms + 120_000) {
                let body: Value = serde_json::from_str(&text).unwrap();
                for event in body["events"].as_array().unwrap() {
                    let (Some(x_m), Some(y_m)) = (event["x"].as_f64(), event["y"].as_f64()) else { continue };
                    let is_here = |room: &&Room| {
                        event["map_id"] == site.maps[room.floor].map_id && is_inside(&room.ring, x_m, y_m)
                    };
                    found.extend(rooms.iter().filter(is_here).map(|room| room.name.clone()));
                }
            }
            assert_eq!(found.len(), rooms.len(), "at {hour}: {found:?}");
        }
    }
}
