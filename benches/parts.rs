//! The parts of ingest by themselves, each on one thread: signature, decoding, index, presence, commit.
//!
//! `cargo bench --bench parts`; names after it choose, such as `-- index`. The index stands beside what else could be used.

#[allow(dead_code, reason = "made for another benchmark, which needs all of it")]
#[path = "ingest/crowd.rs"]
mod crowd;

use std::sync::Arc;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use footfall::clock::Clock;
use footfall::engine::{DedupeWindow, Engine, FixInput, Plan, Setup, Zone, ZoneIndex};
use footfall::model::floorplan::Outline;
use footfall::model::ids::{AreaKey, ClientKey, MapKey, SiteKey, VisitKey};
use footfall::model::position::Position;
use footfall::model::settings::PresenceRules;
use footfall::model::time::{EventTime, ReceivedAt};
use footfall::receiver::decode;
use footfall::receiver::signature::Secret;
use footfall::store::row::{self, Instant};
use footfall::store::writer::{Drain, Writer};
use footfall::store::{Store, StoreOptions};
use geo::relate::{PreparedGeometry, Relate};
use geo::{BoundingRect, Intersects, Point, Polygon};
use geo_index::rtree::sort::HilbertSort;
use geo_index::rtree::{RTreeBuilder, RTreeIndex};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rstar::RTree;
use rstar::primitives::{GeomWithData, Rectangle};

use crowd::{Lane, Request, Size};

const SIZE: Size = Size { sites: 1, zones: 50, clients: 1000 };
/// A site's events of one commit under load.
const COMMIT_EVENTS: usize = 4000;
const POINTS: usize = 4096;

fn main() {
    divan::main();
}

fn deliveries(count: usize, events: usize) -> Vec<Request> {
    let mut lane = Lane::new(0, 1, SIZE, Clock::System.now().0 / 1000 - 86_400);
    (0..count).map(|_| lane.request(events)).collect()
}

#[divan::bench(args = [1, 500])]
fn signature(bencher: Bencher, events: usize) {
    let (secret, made) = (Secret::new(crowd::SECRET), deliveries(1, events));
    let body = made[0].body();
    bencher
        .counter(ItemsCount::new(events))
        .counter(BytesCount::new(body.len()))
        .bench(|| secret.sign_v2(black_box(body)));
}

#[divan::bench(args = [1, 500])]
fn decoding(bencher: Bencher, events: usize) {
    let (source, made): (Arc<str>, _) = ("default".into(), deliveries(1, events));
    let (body, now) = (made[0].body(), Clock::System.now());
    bencher
        .counter(ItemsCount::new(events))
        .counter(BytesCount::new(body.len()))
        .bench(|| decode::decode(&source, black_box(body), now, None).unwrap().events.len());
}

/// Rooms that are no rectangles, of five corners each, side by side.
fn rooms(count: usize) -> Vec<Outline> {
    let across = (count as f64).sqrt().ceil() as usize;
    let room = |n: usize| {
        let (x, y) = ((n % across) as f64 * 10.0, (n / across) as f64 * 10.0);
        vec![[x, y], [x + 10.0, y], [x + 10.0, y + 7.0], [x + 6.0, y + 10.0], [x, y + 10.0], [x, y]]
    };
    (0..count).map(|n| Outline::from_rings(vec![room(n)]).unwrap()).collect()
}

fn points(rooms: usize) -> Vec<Position> {
    let side_mm = ((rooms as f64).sqrt().ceil() * 10_000.0) as i32;
    let mut rng = StdRng::seed_from_u64(1);
    (0..POINTS).map(|_| Position { x_mm: rng.random_range(0..side_mm), y_mm: rng.random_range(0..side_mm) }).collect()
}

const ROOMS: [usize; 4] = [1, 10, 100, 1000];

mod index {
    use super::*;

    #[divan::bench(args = ROOMS)]
    fn ours(bencher: Bencher, count: usize) {
        let zone = |(n, outline)| Zone { area: AreaKey(n as u32), version: 1, outline };
        let index = ZoneIndex::new(rooms(count).into_iter().enumerate().map(zone).collect());
        let (points, mut found) = (points(count), Vec::new());
        bencher.counter(ItemsCount::new(POINTS)).bench_local(|| {
            points
                .iter()
                .map(|at| {
                    index.zones_at(*at, &mut found);
                    found.len()
                })
                .sum::<usize>()
        });
    }

    /// What the crates' own pages show: a tree of envelopes, then `intersects`.
    #[divan::bench(args = ROOMS)]
    fn rstar_and_geo(bencher: Bencher, count: usize) {
        let rooms: Vec<Polygon> = rooms(count).iter().map(|outline| outline.polygon().clone()).collect();
        let tree =
            RTree::bulk_load(rooms.iter().enumerate().map(|(n, room)| GeomWithData::new(envelope(room), n)).collect());
        look_up(bencher, count, |point| {
            tree.locate_all_at_point([point.x(), point.y()])
                .filter(|found| rooms[found.data].intersects(&point))
                .count()
        });
    }

    #[divan::bench(args = ROOMS)]
    fn packed_hilbert_tree(bencher: Bencher, count: usize) {
        let rooms: Vec<Polygon> = rooms(count).iter().map(|outline| outline.polygon().clone()).collect();
        let mut builder = RTreeBuilder::<f64>::new(rooms.len() as u32);
        for room in &rooms {
            let rect = room.bounding_rect().unwrap();
            builder.add(rect.min().x, rect.min().y, rect.max().x, rect.max().y);
        }
        let tree = builder.finish::<HilbertSort>();
        look_up(bencher, count, |point| {
            let found = tree.search(point.x(), point.y(), point.x(), point.y());
            found.iter().filter(|n| rooms[**n as usize].intersects(&point)).count()
        });
    }

    #[divan::bench(args = ROOMS)]
    fn prepared_geometry(bencher: Bencher, count: usize) {
        let rooms: Vec<Polygon> = rooms(count).iter().map(|outline| outline.polygon().clone()).collect();
        let tree =
            RTree::bulk_load(rooms.iter().enumerate().map(|(n, room)| GeomWithData::new(envelope(room), n)).collect());
        let prepared: Vec<_> = rooms.iter().map(PreparedGeometry::from).collect();
        look_up(bencher, count, |point| {
            let candidates = tree.locate_all_at_point([point.x(), point.y()]);
            candidates.filter(|found| prepared[found.data].relate(&point).is_intersects()).count()
        });
    }

    fn envelope(room: &Polygon) -> Rectangle<[f64; 2]> {
        let rect = room.bounding_rect().unwrap();
        Rectangle::from_corners([rect.min().x, rect.min().y], [rect.max().x, rect.max().y])
    }

    fn look_up(bencher: Bencher, count: usize, rooms_at: impl Fn(Point) -> usize) {
        let points = points(count);
        bencher
            .counter(ItemsCount::new(POINTS))
            .bench_local(|| points.iter().map(|at| rooms_at(Point::new(at.x_m(), at.y_m()))).sum::<usize>());
    }
}

/// A crowd that walks, one fix a second each: the engine alone, with its index, duplicates, presence and clock.
#[divan::bench(args = [1_000, 100_000], sample_count = 20)]
fn engine(bencher: Bencher, clients: u32) {
    const FIXES: u32 = 100_000;
    let (site, map) = (SiteKey(1), MapKey(1));
    let zones = rooms(50).into_iter().enumerate();
    let zones = zones.map(|(n, outline)| Zone { area: AreaKey(n as u32), version: 1, outline }).collect();
    let mut engine = Engine::new(DedupeWindow(86_400_000), VisitKey(1));
    engine.set_site(site, PresenceRules::DEFAULT);
    engine.set_map(site, map, Some(Plan { size_m: Some((80.0, 80.0)), zones }));
    let mut rng = StdRng::seed_from_u64(1);
    let mut walkers: Vec<Position> = (0..clients)
        .map(|_| Position { x_mm: rng.random_range(0..80_000), y_mm: rng.random_range(0..80_000) })
        .collect();
    let mut next = 0u64;
    let mut changes = Vec::new();
    let mut walk = move || {
        let client = (next % u64::from(clients)) as usize;
        let step = |mm: i32, rng: &mut StdRng| (mm + rng.random_range(-1500..1500)).clamp(0, 80_000);
        let at = &mut walkers[client];
        *at = Position { x_mm: step(at.x_mm, &mut rng), y_mm: step(at.y_mm, &mut rng) };
        let at_ms = (next / u64::from(clients) * 1000) as i64;
        next += 1;
        FixInput {
            site,
            map,
            client: ClientKey(client as u32),
            at: EventTime(at_ms),
            received_at: ReceivedAt(at_ms),
            position: *at,
        }
    };
    bencher
        .counter(ItemsCount::new(FIXES))
        .with_inputs(|| (0..FIXES).map(|_| walk()).collect::<Vec<_>>())
        .bench_local_values(|fixes| {
            changes.clear();
            fixes.iter().for_each(|fix| {
                engine.apply_fix(fix, &mut changes);
            });
            changes.len()
        });
}

/// Fixes into DuckDB, on disk when it returns.
#[divan::bench(args = [1, 500, COMMIT_EVENTS, 20_000], sample_count = 50)]
fn commit(bencher: Bencher, fixes: usize) {
    let dir = tempfile::TempDir::new().unwrap();
    let options = StoreOptions { path: dir.path().join("bench.duckdb"), memory_limit: None, threads: None };
    let store = Store::open(&options).unwrap();
    let mut writer = Writer::new(&store).unwrap();
    let fix = |n: usize| row::Fix {
        delivery_key: n as i64 / 500,
        received_at: Instant(1_782_892_800_000 + n as i64),
        site_key: 1,
        map_key: 1,
        client_key: n as i32 % 1000,
        event_at: Instant(1_782_892_800_000 + n as i64 / 1000),
        x_mm: n as i32 * 7919 % 80_000,
        y_mm: n as i32 * 104_729 % 80_000,
        rssi_dbm: Some(-60.0),
        is_late: false,
        is_off_map: false,
        is_received_time: false,
    };
    let drain = Drain { fixes: (0..fixes).map(fix).collect(), ..Drain::default() };
    bencher.counter(ItemsCount::new(fixes)).bench_local(|| writer.commit(&drain).unwrap().len());
}
