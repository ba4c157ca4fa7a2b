//! Made-up histories through the whole of it, from signed bytes to the file, while the sender repeats, delays and reorders
//! deliveries and the server is cut off at any moment; against a reading of the presence rules that keeps no state.
//!
//! Each site of a run is a history of its own; a delivery brings something of many of them. A crash is a copy of the file and
//! its log as they lie, on which a new server goes on. All is chosen by a seed: `FOOTFALL_SEED` repeats a run.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{START_S, TestApp, config, delivery};
use crate::soak::{copy, rounds, seed, tell};

const SITES: usize = 250;
const EXIT_GRACE_MS: i64 = 10_000;
const PRESENCE_TIMEOUT_MS: i64 = 300_000;

/// Zones as squares from the origin, by the side in metres: one lies in the other.
const ZONES: [f64; 2] = [10.0, 4.0];

#[derive(Clone, Copy, Debug)]
struct Fix {
    at_ms: i64,
    /// Metres, in both directions.
    spot: f64,
}

/// One client's walk through its site: mostly a fix every few seconds, with pauses about as long as grace and timeout.
fn walk(rng: &mut StdRng) -> Vec<Fix> {
    let mut at_ms = START_S * 1000 + rng.random_range(0..60_000);
    let mut spot = 2.0;
    (0..rng.random_range(10..60))
        .map(|_| {
            if rng.random_bool(0.4) {
                spot = [2.0, 7.0, 15.0][rng.random_range(0..3)];
            }
            at_ms += match rng.random_range(0..20) {
                0 => rng.random_range(9_998..=10_002),
                1 => rng.random_range(299_998..=300_002),
                2 => rng.random_range(10_000..400_000),
                _ => rng.random_range(500..9_000),
            };
            Fix { at_ms, spot }
        })
        .collect()
}

/// (zone, entered) -> (exited, how it ended), for all fixes of a client in order of time, once its site's clock is far on.
fn visits(fixes: &[Fix]) -> BTreeMap<(usize, i64), (i64, &'static str)> {
    let mut found = BTreeMap::new();
    for (zone, side) in ZONES.into_iter().enumerate() {
        for spell in fixes.chunk_by(|a, b| b.at_ms - a.at_ms <= PRESENCE_TIMEOUT_MS) {
            let is_in = |fix: &Fix| fix.spot <= side;
            let mut entered = None;
            let mut out_since = None;
            for fix in spell {
                // Outside for the grace, or longer: it left when it went out.
                if let (Some(from), Some(out)) = (entered, out_since)
                    && fix.at_ms - out >= EXIT_GRACE_MS
                {
                    found.insert((zone, from), (out, "left"));
                    (entered, out_since) = (None, None);
                }
                match (is_in(fix), entered) {
                    (true, None) => entered = Some(fix.at_ms),
                    (true, Some(_)) => out_since = None,
                    (false, Some(_)) => out_since = out_since.or(Some(fix.at_ms)),
                    (false, None) => {}
                }
            }
            if let Some(from) = entered {
                let last_ms = spell[spell.len() - 1].at_ms;
                found.insert((zone, from), out_since.map_or((last_ms, "timeout"), |out| (out, "left")));
            }
        }
    }
    found
}

/// What counts live of fixes in the order of their arrival: not one that is older than what its client had shown.
fn on_time(arrived: &[Fix]) -> Vec<Fix> {
    let mut newest = i64::MIN;
    let keep = |fix: &&Fix| {
        let counts = fix.at_ms > newest;
        newest = newest.max(fix.at_ms);
        counts
    };
    arrived.iter().filter(keep).copied().collect()
}

struct Run {
    rng: StdRng,
    app: TestApp,
    crashes: u32,
    resent: u32,
}

impl Run {
    async fn begin(seed: u64) -> Run {
        let app = TestApp::start().await;
        let square = |id: String, side: f64| {
            json!({"id": id, "name": format!("{side} m"), "vertices_m": [{"x": 0, "y": 0}, {"x": side, "y": 0},
                {"x": side, "y": side}, {"x": 0, "y": side}]})
        };
        let map = |site: usize| {
            let zones: Vec<Value> =
                ZONES.into_iter().enumerate().map(|(zone, side)| square(zone_id(site, zone), side)).collect();
            json!({"id": map_id(site), "site_id": site_id(site), "name": "m", "width_m": 20, "height_m": 20, "zones": zones})
        };
        let maps: Vec<Value> = (0..SITES).map(map).collect();
        let file =
            footfall::floorplan::SourceFile { name: "maps.json".into(), bytes: json!(maps).to_string().into_bytes() };
        let (status, told) = app.import("", &[file]).await;
        assert_eq!(status, StatusCode::OK, "{told}");
        Run { rng: StdRng::seed_from_u64(seed), app, crashes: 0, resent: 0 }
    }

    /// Sends a body until it is acknowledged, through whatever comes between; sometimes once more.
    async fn send(mut self, body: &Value) -> Run {
        if self.rng.random_bool(0.08) {
            // Cut off before it came.
            self = self.crash().await;
        }
        self.app.deliver(body).await;
        if self.rng.random_bool(0.08) {
            // Cut off after it was committed, before anybody heard of it: it is sent again.
            self = self.crash().await;
            self.app.deliver(body).await;
            self.resent += 1;
        } else if self.rng.random_bool(0.1) {
            self.app.deliver(body).await;
            self.resent += 1;
        }
        self
    }

    async fn crash(mut self) -> Run {
        self.crashes += 1;
        let image = copy(self.app.dir.path());
        let (clock, config) = (self.app.clock.clone(), config(image.path()));
        let app = TestApp::open(image, config, clock).await;
        std::mem::replace(&mut self.app, app).stop().await;
        self
    }

    /// The visits of every history that the server tells of.
    async fn told(&self) -> Vec<BTreeMap<(usize, i64), (i64, String)>> {
        let mut told = vec![BTreeMap::new(); SITES];
        let mut cursor = String::new();
        loop {
            let page = self.app.get(&format!("/v1/visits?from=2026-06-01T00:00:00Z&limit=10000{cursor}")).await;
            for visit in page["visits"].as_array().unwrap() {
                let (site, zone) = places(visit["area_id"].as_str().unwrap());
                let ms = |key: &str| {
                    chrono::DateTime::parse_from_rfc3339(visit[key].as_str().unwrap_or("1970-01-01T00:00:00Z"))
                        .unwrap()
                        .timestamp_millis()
                };
                let ended = visit["ended"].as_str().unwrap_or("open").to_owned();
                told[site].insert((zone, ms("entered_at")), (ms("exited_at"), ended));
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return told,
            }
        }
    }
}

fn site_id(site: usize) -> String {
    format!("4ac1dcf4-9d8b-4211-a5c4-{site:012x}")
}

fn map_id(site: usize) -> String {
    format!("63eda950-c6da-41e4-a628-{site:012x}")
}

fn zone_id(site: usize, zone: usize) -> String {
    format!("0d1f5a52-000{zone}-4c00-8000-{site:012x}")
}

fn places(zone_id: &str) -> (usize, usize) {
    let site = usize::from_str_radix(&zone_id[24..], 16).unwrap();
    (site, zone_id[12..13].parse().unwrap())
}

fn event(site: usize, fix: Fix) -> Value {
    json!({"site_id": site_id(site), "map_id": map_id(site), "type": "wifi", "mac": format!("5c{site:010x}"),
        "x": fix.spot, "y": fix.spot, "timestamp": fix.at_ms as f64 / 1000.0})
}

/// The order in which a history's fixes arrive: mostly theirs, with some that were held up on the way.
fn arrival(fixes: &[Fix], rng: &mut StdRng) -> Vec<Fix> {
    let mut places: Vec<(f64, Fix)> = fixes
        .iter()
        .enumerate()
        .map(|(place, fix)| {
            let delay = if rng.random_bool(0.06) { rng.random_range(1.0..8.0) } else { 0.0 };
            (place as f64 + delay, *fix)
        })
        .collect();
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    places.into_iter().map(|(_, fix)| fix).collect()
}

fn expected(histories: &[Vec<Fix>]) -> Vec<BTreeMap<(usize, i64), (i64, String)>> {
    let owned =
        |fixes: &Vec<Fix>| visits(fixes).into_iter().map(|(key, (at, how))| (key, (at, how.to_owned()))).collect();
    histories.iter().map(owned).collect()
}

async fn simulate(seed: u64) -> (usize, u32, u32) {
    let mut run = Run::begin(seed).await;
    let walks: Vec<Vec<Fix>> = (0..SITES).map(|_| walk(&mut run.rng)).collect();
    let arrived: Vec<Vec<Fix>> = walks.iter().map(|fixes| arrival(fixes, &mut run.rng)).collect();
    let mut sent = vec![0; SITES];
    let end_ms = walks.iter().flatten().map(|fix| fix.at_ms).max().unwrap() + 3_600_000;
    // By the wall all of it comes within a second: only events move the clocks.
    run.app.clock.set(end_ms);
    while sent.iter().zip(&arrived).any(|(sent, arrived)| *sent < arrived.len()) {
        let mut events = Vec::new();
        for site in 0..SITES {
            let until = (sent[site] + run.rng.random_range(0..6)).min(arrived[site].len());
            // Within a delivery a client's own order is kept.
            events.extend(arrived[site][sent[site]..until].iter().map(|fix| (site, *fix)));
            sent[site] = until;
        }
        // Whose events come first is nobody's order.
        let mut sites: Vec<usize> = (0..SITES).collect();
        sites.shuffle(&mut run.rng);
        let place: BTreeMap<usize, usize> = sites.into_iter().enumerate().map(|(place, site)| (site, place)).collect();
        events.sort_by_key(|(site, _)| place[site]);
        let body = delivery("location", events.into_iter().map(|(site, fix)| event(site, fix)).collect());
        run = run.send(&body).await;
    }
    let pings: Vec<Value> = (0..SITES)
        .map(|site| json!({"site_id": site_id(site), "id": "end", "name": "end", "timestamp": end_ms as f64 / 1000.0}))
        .collect();
    run = run.send(&delivery("ping", pings)).await;
    run.app.clock.set(end_ms + 1000);
    let live: Vec<Vec<Fix>> = arrived.iter().map(|fixes| on_time(fixes)).collect();
    assert_same(&run.told().await, &expected(&live), seed, "live");
    // A rebuild puts the late ones in their places.
    let (status, job) = run.app.call(Method::POST, "/v1/rebuilds", Some(json!({}))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    while run.app.get(&format!("/v1/rebuilds/{}", job["rebuild_id"])).await["state"] != "done" {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_same(&run.told().await, &expected(&walks), seed, "rebuilt");
    let (crashes, resent) = (run.crashes, run.resent);
    let fixes: usize = walks.iter().map(Vec::len).sum();
    assert_eq!(
        run.app.stop_and_ask("SELECT count(*) FROM positions").await,
        [fixes.to_string()],
        "FOOTFALL_SEED={seed}"
    );
    (fixes, crashes, resent)
}

type Told = BTreeMap<(usize, i64), (i64, String)>;

fn assert_same(told: &[Told], expected: &[Told], seed: u64, what: &str) {
    for (site, (told, expected)) in told.iter().zip(expected).enumerate() {
        assert_eq!(told, expected, "{what}: history {site} of FOOTFALL_SEED={seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_through_crashes_repeats_and_delays_give_the_visits_of_the_rules() {
    let runs = rounds(2).div_ceil(10).max(2);
    let seed = seed();
    for run in 0..u64::from(runs) {
        let (fixes, crashes, resent) = simulate(seed.wrapping_add(run)).await;
        tell(format!(
            "{SITES} histories of seed {}: {fixes} fixes, {crashes} crashes, {resent} deliveries sent again",
            seed.wrapping_add(run)
        ));
    }
}
