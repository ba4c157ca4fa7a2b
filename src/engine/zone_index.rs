//! Which zones of a map contain a point: an R*-tree of envelopes, then the exact polygon test.
//!
//! A point on an edge, a corner or a hole's rim is inside. The test is exact on doubles: the orientation of three
//! points is decided with adaptive precision (Shewchuk 1997, through `geo`), never by a rounded product.

use geo::Coord;
use geo::coordinate_position::{CoordPos, CoordinatePosition};
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

use crate::model::floorplan::Outline;
use crate::model::ids::AreaKey;
use crate::model::position::Position;

/// One zone of a map.
#[derive(Clone, Debug)]
pub struct Zone {
    pub area: AreaKey,
    /// The version of its geometry, kept with each visit.
    pub version: u32,
    pub outline: Outline,
}

/// The zones of one map, ready to be asked. Built once per change of the map.
#[derive(Debug, Default)]
pub struct ZoneIndex {
    zones: Vec<Zone>,
    tree: RTree<Envelope>,
}

/// A zone's envelope with its place in `zones`, and whether the envelope is all of the zone.
type Envelope = GeomWithData<Rectangle<[f64; 2]>, (usize, bool)>;

impl ZoneIndex {
    /// O(n log n) in the number of zones.
    pub fn new(mut zones: Vec<Zone>) -> ZoneIndex {
        zones.sort_by_key(|zone| zone.area);
        let envelopes = zones
            .iter()
            .enumerate()
            .map(|(place, zone)| {
                let (lower, upper) = zone.outline.envelope();
                GeomWithData::new(Rectangle::from_corners(lower, upper), (place, zone.outline.is_upright_rectangle()))
            })
            .collect();
        ZoneIndex { tree: RTree::bulk_load(envelopes), zones }
    }

    /// Puts the zones that contain `at` into `found`, in ascending order of their keys, with their versions.
    ///
    /// O(log n + k c) for k candidate envelopes of c corners.
    pub fn zones_at(&self, at: Position, found: &mut Vec<(AreaKey, u32)>) {
        found.clear();
        let point = Coord { x: at.x_m(), y: at.y_m() };
        let spot = AABB::from_point([point.x, point.y]);
        for candidate in self.tree.locate_in_envelope_intersecting(spot) {
            let (place, is_whole) = candidate.data;
            let zone = &self.zones[place];
            if is_whole || zone.outline.polygon().coordinate_position(&point) != CoordPos::Outside {
                found.push((zone.area, zone.version));
            }
        }
        found.sort_unstable();
    }
}
