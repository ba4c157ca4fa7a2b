//! The index against a scan of all polygons by another method, on a grid coarse enough that points often fall on
//! edges, corners and the rims of holes.
//!
//! The oracle counts crossings in whole numbers: coordinates are multiples of 1/8 m, exact in doubles.

use proptest::prelude::*;

use super::zone_index::{Zone, ZoneIndex};
use crate::model::floorplan::Outline;
use crate::model::ids::AreaKey;
use crate::model::position::Position;

/// A ring in eighths of a metre.
type Ring = Vec<(i64, i64)>;

#[derive(Debug, PartialEq)]
enum Side {
    Inside,
    Edge,
    Outside,
}

/// Even-odd rule with exact integer arithmetic; edges and corners told apart first.
fn side_of(ring: &Ring, (x, y): (i64, i64)) -> Side {
    let mut is_inside = false;
    for (place, &(x1, y1)) in ring.iter().enumerate() {
        let (x2, y2) = ring[(place + 1) % ring.len()];
        let cross = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1);
        let is_between = x >= x1.min(x2) && x <= x1.max(x2) && y >= y1.min(y2) && y <= y1.max(y2);
        if cross == 0 && is_between {
            return Side::Edge;
        }
        if (y1 > y) != (y2 > y) {
            // The edge meets the ray to the right of the point: compare without dividing.
            let (lhs, rhs) = ((x - x1) * (y2 - y1), (x2 - x1) * (y - y1));
            if (y2 > y1 && lhs < rhs) || (y2 < y1 && lhs > rhs) {
                is_inside = !is_inside;
            }
        }
    }
    if is_inside { Side::Inside } else { Side::Outside }
}

fn contains(rings: &[Ring], at: (i64, i64)) -> bool {
    match side_of(&rings[0], at) {
        Side::Outside => false,
        Side::Edge => true,
        Side::Inside => rings[1..].iter().all(|hole| side_of(hole, at) != Side::Inside),
    }
}

fn outline(rings: &[Ring]) -> Option<Outline> {
    let metres = |ring: &Ring| {
        ring.iter().chain(ring.first()).map(|(x, y)| [*x as f64 / 8.0, *y as f64 / 8.0]).collect::<Vec<_>>()
    };
    Outline::from_rings(rings.iter().map(metres).collect()).ok()
}

/// A star around a centre: concave more often than not, never crossing itself.
fn star() -> impl Strategy<Value = Vec<Ring>> {
    let rays = prop::collection::vec(2i64..12, 5..9);
    ((0i64..40), (0i64..40), rays).prop_map(|(cx, cy, lengths)| {
        let turns = [(4, 0), (3, 3), (0, 4), (-3, 3), (-4, 0), (-3, -3), (0, -4), (3, -3)];
        let ring = lengths.iter().zip(turns).map(|(length, (dx, dy))| (cx + dx * length / 4, cy + dy * length / 4));
        vec![ring.collect()]
    })
}

/// A square with a triangular hole, either touching none of its edges.
fn holed() -> impl Strategy<Value = Vec<Ring>> {
    ((0i64..30), (0i64..30), (6i64..16)).prop_map(|(x, y, size)| {
        let outer = vec![(x, y), (x + size, y), (x + size, y + size), (x, y + size)];
        let hole = vec![(x + 2, y + 2), (x + 2, y + size - 2), (x + size - 2, y + 2)];
        vec![outer, hole]
    })
}

/// Rectangles on a grid of 4, so that neighbours share edges and corners, and some nest.
fn tile() -> impl Strategy<Value = Vec<Ring>> {
    ((0i64..10), (0i64..10), (1i64..4), (1i64..4)).prop_map(|(x, y, w, h)| {
        let (x, y, w, h) = (x * 4, y * 4, w * 4, h * 4);
        vec![vec![(x, y), (x + w, y), (x + w, y + h), (x, y + h)]]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_index_agrees_with_a_scan_of_all_polygons(
        shapes in prop::collection::vec(prop_oneof![star(), holed(), tile()], 0..25),
        points in prop::collection::vec((-4i64..56, -4i64..56), 1..60),
    ) {
        // A star may degenerate into something without an inside; that is no zone.
        let zones: Vec<(u32, Vec<Ring>, Outline)> = shapes
            .into_iter()
            .enumerate()
            .filter_map(|(key, rings)| outline(&rings).map(|outline| (key as u32, rings, outline)))
            .collect();
        let index = ZoneIndex::new(
            zones.iter().rev().map(|(key, _, outline)| Zone {
                area: AreaKey(*key), version: *key + 1, outline: outline.clone(),
            }).collect(),
        );
        let mut found = Vec::new();
        for at in points {
            index.zones_at(Position { x_mm: at.0 as i32 * 125, y_mm: at.1 as i32 * 125 }, &mut found);
            let expected: Vec<_> = zones
                .iter()
                .filter(|(_, rings, _)| contains(rings, at))
                .map(|(key, _, _)| (AreaKey(*key), *key + 1))
                .collect();
            prop_assert_eq!(&found, &expected, "at {:?}", at);
        }
    }
}

#[test]
fn the_rim_of_a_hole_is_inside_and_its_middle_is_not() {
    let rings = [vec![(0, 0), (16, 0), (16, 16), (0, 16)], vec![(4, 4), (4, 12), (12, 12), (12, 4)]];
    let zone = Zone { area: AreaKey(7), version: 1, outline: outline(&rings).unwrap() };
    let index = ZoneIndex::new(vec![zone]);
    let is_in = |x_mm, y_mm| {
        let mut found = Vec::new();
        index.zones_at(Position { x_mm, y_mm }, &mut found);
        !found.is_empty()
    };
    assert!(is_in(500, 500) && is_in(500, 1000) && is_in(0, 0) && is_in(2000, 1000));
    assert!(!is_in(1000, 1000) && !is_in(501, 501) && !is_in(-1, 0));
}
