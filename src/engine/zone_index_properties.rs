//! The index against a scan of all polygons in whole numbers, over every point of a lattice.
//!
//! Corners are multiples of 1/8 m, which doubles hold exactly, so the oracle's integers and the index's doubles speak
//! of the same polygons. The lattice is coarse: many of its points are corners, or lie on edges and on rims of holes.

use proptest::prelude::*;

use super::zone_index::{Zone, ZoneIndex};
use crate::model::floorplan::Outline;
use crate::model::ids::AreaKey;
use crate::model::position::Position;

/// As many cases as the environment asks for, else `modest`.
pub(super) fn cases(modest: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_some() { config } else { ProptestConfig { cases: modest, ..config } }
}

/// A point in some unit, exact.
type Spot = (i64, i64);
/// Corners in eighths of a metre, the last not repeating the first.
type Ring = Vec<Spot>;

/// An eighth of a metre in millimetres.
const EIGHTH_MM: i64 = 125;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Inside,
    Edge,
    Outside,
}

/// Positive when a, b, c turn counterclockwise with y up, zero when they are in line.
fn turn(a: Spot, b: Spot, c: Spot) -> i64 {
    (b.0 - a.0) * (c.1 - a.1) - (b.1 - a.1) * (c.0 - a.0)
}

/// By how often the ring winds around `at`.
fn side_of(ring: &[Spot], at: Spot) -> Side {
    let mut turns = 0;
    for (&a, &b) in ring.iter().zip(ring.iter().cycle().skip(1)) {
        let side = turn(a, b, at);
        let is_beside = |a: i64, b: i64, at: i64| a.min(b) <= at && at <= a.max(b);
        if side == 0 && is_beside(a.0, b.0, at.0) && is_beside(a.1, b.1, at.1) {
            return Side::Edge;
        }
        turns += i64::from(a.1 <= at.1 && at.1 < b.1 && side > 0) - i64::from(b.1 <= at.1 && at.1 < a.1 && side < 0);
    }
    if turns == 0 { Side::Outside } else { Side::Inside }
}

/// The boundary is inside, and so are the rims of holes.
fn contains(rings: &[Ring], at: Spot) -> bool {
    let (outer, holes) = rings.split_first().expect("a polygon has an outer ring");
    side_of(outer, at) != Side::Outside && holes.iter().all(|hole| side_of(hole, at) != Side::Inside)
}

/// `None` for what is no outline: the shapes below may cross themselves or each other.
fn outline(rings: &[Ring]) -> Option<Outline> {
    let metres = |ring: &Ring| {
        let closed = ring.iter().chain(ring.first());
        closed.map(|(x, y)| [*x as f64 / 8.0, *y as f64 / 8.0]).collect()
    };
    Outline::from_rings(rings.iter().map(metres).collect()).ok()
}

/// Corners at any distance around a centre, in order of their direction.
fn star() -> impl Strategy<Value = Ring> {
    prop::collection::vec((-9i64..10, -9i64..10), 3..10).prop_map(|mut corners| {
        corners.retain(|corner| *corner != (0, 0));
        let is_lower = |corner: &Spot| *corner < (0, 0);
        corners.sort_by(|a, b| is_lower(a).cmp(&is_lower(b)).then_with(|| 0.cmp(&turn((0, 0), *a, *b))));
        corners.dedup_by(|a, b| turn((0, 0), *a, *b) == 0 && is_lower(a) == is_lower(b));
        corners
    })
}

/// A comb with teeth up and down, whose edges are level or upright.
fn comb() -> impl Strategy<Value = Ring> {
    prop::collection::vec((1i64..5, 1i64..8, 1i64..8), 1..5).prop_map(|teeth| {
        let (mut upper, mut lower, mut x) = (Vec::new(), Vec::new(), 0);
        for (width, up, down) in teeth {
            upper.extend([(x, up), (x + width, up)]);
            lower.extend([(x, -down), (x + width, -down)]);
            x += width;
        }
        upper.extend(lower.into_iter().rev());
        upper.dedup();
        upper
    })
}

fn tile() -> impl Strategy<Value = Ring> {
    (1i64..4, 1i64..4).prop_map(|(w, h)| vec![(0, 0), (4 * w, 0), (4 * w, 4 * h), (0, 4 * h)])
}

/// A square room with holes, which may touch each other or the wall in a corner.
fn room() -> impl Strategy<Value = Vec<Ring>> {
    let hole = (prop_oneof![star(), comb(), tile()], 0i64..24, 0i64..24);
    prop::collection::vec(hole, 0..4).prop_map(|holes| {
        let mut rings = vec![vec![(0, 0), (24, 0), (24, 24), (0, 24)]];
        for (hole, x, y) in holes {
            rings.push(moved(&hole, (x, y)));
            if outline(&rings).is_none() {
                rings.pop();
            }
        }
        rings
    })
}

fn moved(ring: &[Spot], by: Spot) -> Ring {
    ring.iter().map(|(x, y)| (x + by.0, y + by.1)).collect()
}

/// A shape somewhere on the floor, either way round and perhaps turned over.
fn shape() -> impl Strategy<Value = Vec<Ring>> {
    let plain = prop_oneof![star(), comb(), tile()].prop_map(|ring| vec![ring]);
    let rings = prop_oneof![2 => plain, 1 => room()];
    (rings, 0i64..9, 0i64..9, any::<bool>(), any::<bool>()).prop_map(|(rings, x, y, is_reversed, is_turned)| {
        let placed = rings.into_iter().map(|ring| {
            let mut ring = moved(&ring, (4 * x, 4 * y));
            if is_reversed {
                ring.reverse();
            }
            if is_turned {
                ring.iter_mut().for_each(|(x, y)| std::mem::swap(x, y));
            }
            ring
        });
        placed.collect()
    })
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn the_index_agrees_with_a_scan_of_all_polygons(
        shapes in prop::collection::vec(shape(), 0..12),
        // Far out, doubles are coarse.
        origin in prop::sample::select(vec![0, -8_000, 7_990_000]),
        // A millimetre beside the lattice in one direction, no edge but a level or an upright one is met.
        beside_mm in prop::sample::select(vec![(0, 0), (0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]),
    ) {
        let shapes = shapes.iter().map(|rings| rings.iter().map(|ring| moved(ring, (origin, origin))).collect());
        let zones: Vec<(u32, Vec<Ring>, Outline)> = (0..)
            .zip(shapes)
            .filter_map(|(key, rings): (u32, Vec<Ring>)| outline(&rings).map(|outline| (key, rings, outline)))
            .collect();
        let in_mm = |rings: &[Ring]| -> Vec<Ring> {
            let mm = |ring: &Ring| ring.iter().map(|(x, y)| (x * EIGHTH_MM, y * EIGHTH_MM)).collect();
            rings.iter().map(mm).collect()
        };
        let scan: Vec<_> = zones.iter().map(|(key, rings, _)| ((AreaKey(*key), key + 1), in_mm(rings))).collect();
        let zone = |(key, _, outline): &(u32, _, Outline)| Zone {
            area: AreaKey(*key),
            version: key + 1,
            outline: outline.clone(),
        };
        let index = ZoneIndex::new(zones.iter().rev().map(zone).collect());
        let mut found = Vec::new();
        for (x, y) in (-12..60).flat_map(|x| (-12..60).map(move |y| (x, y))) {
            let at = ((origin + x) * EIGHTH_MM + beside_mm.0, (origin + y) * EIGHTH_MM + beside_mm.1);
            index.zones_at(Position { x_mm: at.0 as i32, y_mm: at.1 as i32 }, &mut found);
            let expected = scan.iter().filter(|(_, rings)| contains(rings, at)).map(|(zone, _)| *zone);
            let expected: Vec<_> = expected.collect();
            prop_assert_eq!(&found, &expected, "at {:?} mm", at);
        }
    }
}

/// Whether a point, in eighths of a metre, is in the zone of these rings.
fn is_in(rings: &[Ring], at: Spot) -> bool {
    let zone = Zone { area: AreaKey(7), version: 1, outline: outline(rings).expect("the rings are an outline") };
    let mut found = Vec::new();
    let at = Position { x_mm: (at.0 * EIGHTH_MM) as i32, y_mm: (at.1 * EIGHTH_MM) as i32 };
    ZoneIndex::new(vec![zone]).zones_at(at, &mut found);
    !found.is_empty()
}

fn square(from: i64, to: i64) -> Ring {
    vec![(from, from), (to, from), (to, to), (from, to)]
}

#[test]
fn edges_and_corners_are_inside() {
    let slope = [vec![(0, 0), (8, 0), (0, 4)]];
    for at in [(0, 0), (8, 0), (0, 4), (4, 0), (0, 2), (4, 2), (6, 1), (1, 1)] {
        assert!(is_in(&slope, at), "{at:?}");
    }
    for at in [(-1, 0), (9, 0), (0, 5), (4, -1), (5, 2), (7, 1)] {
        assert!(!is_in(&slope, at), "{at:?}");
    }
}

#[test]
fn the_rim_of_a_hole_is_inside_and_its_middle_is_not() {
    let rings = [square(0, 16), square(4, 12)];
    assert!(is_in(&rings, (4, 4)) && is_in(&rings, (4, 8)) && is_in(&rings, (3, 8)));
    assert!(!is_in(&rings, (8, 8)) && !is_in(&rings, (5, 5)));
}

#[test]
fn the_corner_where_a_hole_touches_the_wall_is_inside() {
    let rings = [square(0, 16), vec![(0, 8), (4, 4), (4, 12)]];
    assert!(is_in(&rings, (0, 8)) && is_in(&rings, (0, 7)) && !is_in(&rings, (2, 8)));
}

#[test]
fn neighbours_share_their_edge() {
    let zone = |key, ring: Ring| Zone { area: AreaKey(key), version: 1, outline: outline(&[ring]).unwrap() };
    let index = ZoneIndex::new(vec![zone(2, moved(&square(0, 8), (8, 0))), zone(1, square(0, 8))]);
    let mut found = vec![(AreaKey(9), 9)];
    index.zones_at(Position { x_mm: 1000, y_mm: 500 }, &mut found);
    assert_eq!(found, [(AreaKey(1), 1), (AreaKey(2), 1)]);
}

#[test]
fn an_index_without_zones_finds_none() {
    let mut found = vec![(AreaKey(9), 9)];
    ZoneIndex::new(vec![]).zones_at(Position { x_mm: 0, y_mm: 0 }, &mut found);
    assert_eq!(found, []);
}
