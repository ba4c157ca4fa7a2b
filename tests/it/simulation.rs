//! Made-up histories through the whole of it, from signed bytes to the file, while the sender repeats, delays and reorders
//! deliveries and the server is cut off at any moment; against a reading of the presence rules that keeps no state.
//!
//! Each site of a run is a history of its own; a delivery brings something of many of them. A crash is a copy of the file and
//! its log as they lie, on which a new server goes on. All is chosen by a seed: `FOOTFALL_SEED` repeats a run, but for how far
//! deliveries that are under way have come when it is cut off; what is asked of it holds however far that is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use footfall::clock::Clock;
use footfall::newest;
use footfall::receiver::signature::{HEADER_V2, Secret};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::harness::{SECRET, START_S, TestApp, config, delivery};
use crate::soak::{copy, copy_at_once, rounds, seed, tell};

const SITES: usize = 500;
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

/// A file with a map for every site, which takes longer to import than a run takes to play.
async fn maps() -> TempDir {
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
    app.stop().await
}

struct Run {
    rng: StdRng,
    app: TestApp,
    played: Played,
}

/// What was played.
#[derive(Clone, Copy, Debug, Default)]
struct Played {
    fixes: usize,
    crashes: u32,
    /// Deliveries that were under way when the server was cut off.
    cut_off: usize,
    /// Deliveries sent once more.
    resent: usize,
}

impl Run {
    /// On a copy of the file with every site's map.
    async fn begin(seed: u64, maps: &Path) -> Run {
        let dir = copy(maps);
        let config = config(dir.path());
        let app = TestApp::open(dir, config, Clock::manual(START_S * 1000)).await;
        Run { rng: StdRng::seed_from_u64(seed), app, played: Played::default() }
    }

    /// Sends bodies until all are acknowledged, through whatever comes between; sometimes once more.
    async fn send(mut self, mut bodies: Vec<Value>) -> Run {
        if self.rng.random_bool(0.1) {
            // A start after this reads only what comes after it.
            newest::note(&self.app.store, &self.app.pipeline, 0).await.unwrap();
        }
        if self.rng.random_bool(0.06) {
            // Cut off before they came.
            let image = copy(self.app.dir.path());
            self = self.go_on_from(image).await;
        }
        if self.rng.random_bool(0.3) {
            (self, bodies) = self.cut_off_under_way(bodies).await;
        }
        self.deliver(&bodies).await;
        if self.rng.random_bool(0.06) {
            // Cut off after all was committed, before anybody heard of it: it is sent again.
            let image = copy(self.app.dir.path());
            self = self.go_on_from(image).await;
            self.deliver(&bodies).await;
            self.played.resent += bodies.len();
        } else if self.rng.random_bool(0.1) {
            self.deliver(&bodies).await;
            self.played.resent += bodies.len();
        }
        self
    }

    /// Sends bodies, each beside the others, and waits until all are acknowledged.
    async fn deliver(&self, bodies: &[Value]) {
        self.post(bodies).join_all().await;
    }

    /// What is under way; each gives its place once it is acknowledged.
    fn post(&self, bodies: &[Value]) -> JoinSet<usize> {
        let mut sending = JoinSet::new();
        for (place, body) in bodies.iter().enumerate() {
            let body = body.to_string();
            let signature = Secret::new(SECRET).sign_v2(body.as_bytes());
            let url = format!("{}/v1/webhooks/mist", self.app.base);
            let request = self.app.client.post(url).header(HEADER_V2, signature).body(body);
            sending.spawn(async move {
                let answer = request.send().await.unwrap();
                assert_eq!(answer.status(), StatusCode::OK);
                answer.bytes().await.unwrap();
                place
            });
        }
        sending
    }

    /// Cut off with some bodies acknowledged and the others anywhere on their way; gives back these others.
    async fn cut_off_under_way(mut self, bodies: Vec<Value>) -> (Run, Vec<Value>) {
        let first = self.rng.random_range(0..bodies.len());
        let pause = Duration::from_micros(self.rng.random_range(0..8_000));
        let mut sending = self.post(&bodies);
        let mut acknowledged = BTreeSet::new();
        while acknowledged.len() < first {
            acknowledged.insert(sending.join_next().await.unwrap().unwrap());
        }
        tokio::time::sleep(pause).await;
        while let Some(done) = sending.try_join_next() {
            acknowledged.insert(done.unwrap());
        }
        // What is acknowledged from here on would not have been: by then the server is gone.
        let image = copy_at_once(self.app.dir.path());
        sending.shutdown().await;
        let mut place = 0;
        let mut left = bodies;
        left.retain(|_| {
            place += 1;
            !acknowledged.contains(&(place - 1))
        });
        self.played.cut_off += left.len();
        (self.go_on_from(image).await, left)
    }

    async fn go_on_from(mut self, image: TempDir) -> Run {
        self.played.crashes += 1;
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

async fn simulate(seed: u64, maps: PathBuf) -> Played {
    let mut run = Run::begin(seed, &maps).await;
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
        if events.is_empty() {
            continue;
        }
        // Whose events come first is nobody's order, and nobody's are in two bodies that go out at once.
        let mut sites: Vec<usize> = (0..SITES).collect();
        sites.shuffle(&mut run.rng);
        let place: BTreeMap<usize, usize> = sites.into_iter().enumerate().map(|(place, site)| (site, place)).collect();
        events.sort_by_key(|(site, _)| place[site]);
        let bodies = events.chunk_by(|(a, _), (b, _)| a == b || run.rng.random_bool(0.99));
        let body = |events: &[(usize, Fix)]| {
            delivery("location", events.iter().map(|(site, fix)| event(*site, *fix)).collect())
        };
        let bodies: Vec<Value> = bodies.map(body).collect();
        run = run.send(bodies).await;
    }
    let pings: Vec<Value> = (0..SITES)
        .map(|site| json!({"site_id": site_id(site), "id": "end", "name": "end", "timestamp": end_ms as f64 / 1000.0}))
        .collect();
    run = run.send(vec![delivery("ping", pings)]).await;
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
    let fixes: usize = walks.iter().map(Vec::len).sum();
    let played = Played { fixes, ..run.played };
    let stored = run.app.stop_and_ask("SELECT count(*) FROM positions").await;
    assert_eq!(stored, [fixes.to_string()], "FOOTFALL_SEED={seed}");
    played
}

type Told = BTreeMap<(usize, i64), (i64, String)>;

fn assert_same(told: &[Told], expected: &[Told], seed: u64, what: &str) {
    for (site, (told, expected)) in told.iter().zip(expected).enumerate() {
        assert_eq!(told, expected, "{what}: history {site} of FOOTFALL_SEED={seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_through_crashes_repeats_and_delays_give_the_visits_of_the_rules() {
    let runs = rounds(10).div_ceil(10);
    let first = seed();
    let maps = maps().await;
    let since = footfall::clock::stopwatch();
    let mut all = Played::default();
    for run in 0..u64::from(runs) {
        let seed = first.wrapping_add(run);
        let played = tokio::spawn(simulate(seed, maps.path().to_owned())).await.unwrap_or_else(|failed| {
            tell(format!("repeat what failed with FOOTFALL_SEED={seed}"));
            std::panic::resume_unwind(failed.into_panic())
        });
        all.fixes += played.fixes;
        all.crashes += played.crashes;
        all.cut_off += played.cut_off;
        all.resent += played.resent;
    }
    let Played { fixes, crashes, cut_off, resent } = all;
    tell(format!(
        "{} histories in {:.1} s: {fixes} fixes, {crashes} crashes, {cut_off} deliveries under way at one, {resent} sent twice",
        runs as usize * SITES,
        since.elapsed().as_secs_f64()
    ));
    // One run may happen to be spared.
    assert!(runs < 10 || crashes > 0 && resent > 0 && cut_off > 0, "{all:?}");
}
