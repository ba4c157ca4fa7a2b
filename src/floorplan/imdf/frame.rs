//! Where things lie on a level: its box on Earth, the frame made of it, and the strip that an opening becomes.

use crate::floorplan::georeference::{Placement, metres_per_degree};
use crate::model::floorplan::{ControlPoint, Georeference};

/// Metres to each side of an opening's line that count as the opening.
const OPENING_SIDE_M: f64 = 0.5;

/// Lengths of the sides of a level's box, metres.
const SIDES_M: std::ops::RangeInclusive<f64> = 1.0..=100_000.0;

/// A box in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
}

/// A map that is north up, from the north-west corner of its box.
pub struct Frame {
    pub width_m: f64,
    pub height_m: f64,
    pub georeference: Georeference,
    pub placement: Placement,
}

impl Bounds {
    /// The smallest box around some positions, if there are any.
    pub fn around<'a>(positions: impl IntoIterator<Item = &'a [f64; 2]>) -> Option<Bounds> {
        positions
            .into_iter()
            .map(|&[lon, lat]| Bounds { west: lon, south: lat, east: lon, north: lat })
            .reduce(Bounds::with)
    }

    /// The smallest box around two.
    pub fn with(self, other: Bounds) -> Bounds {
        Bounds {
            west: self.west.min(other.west),
            south: self.south.min(other.south),
            east: self.east.max(other.east),
            north: self.north.max(other.north),
        }
    }

    /// Its frame, with metres as `Placement::fit` has them: on the plane that touches the Earth in the middle.
    pub fn frame(self) -> Result<Frame, String> {
        let (east_m, north_m) = metres_per_degree((self.south + self.north) / 2.0);
        let (width_m, height_m) = ((self.east - self.west) * east_m, (self.north - self.south) * north_m);
        if !SIDES_M.contains(&width_m) || !SIDES_M.contains(&height_m) {
            return Err(format!("is {width_m:.1} m by {height_m:.1} m, but a level's sides are from 1 m to 100 km"));
        }
        let north_west = ControlPoint { lon_deg: self.west, lat_deg: self.north, x_m: 0.0, y_m: 0.0 };
        let south_east = ControlPoint { lon_deg: self.east, lat_deg: self.south, x_m: width_m, y_m: height_m };
        let georeference = Georeference { control_points: vec![north_west, south_east] };
        let placement = Placement::fit(&georeference).map_err(|error| format!("cannot be placed: {error}"))?;
        let [width_m, height_m] = rounded([width_m, height_m]);
        Ok(Frame { width_m, height_m, georeference, placement })
    }
}

/// To millimetres.
pub fn rounded(at: [f64; 2]) -> [f64; 2] {
    at.map(|metres| (metres * 1_000.0).round() / 1_000.0)
}

/// The closed ring of a rectangle along a line's chord, wide enough for the line's bends; none if its ends coincide.
pub fn strip(line: &[[f64; 2]]) -> Option<Vec<[f64; 2]>> {
    let (&[x0, y0], &[x1, y1]) = (line.first()?, line.last()?);
    let (along_x, along_y) = (x1 - x0, y1 - y0);
    let chord_m = along_x.hypot(along_y);
    if chord_m == 0.0 {
        return None;
    }
    let off_chord = |&[x, y]: &[f64; 2]| ((x - x0) * along_y - (y - y0) * along_x).abs() / chord_m;
    let side_m = OPENING_SIDE_M + line.iter().map(off_chord).fold(0.0, f64::max);
    let [side_x, side_y] = rounded([-along_y / chord_m * side_m, along_x / chord_m * side_m]);
    let corner = |x: f64, y: f64, sign: f64| rounded([x + sign * side_x, y + sign * side_y]);
    let first = corner(x0, y0, 1.0);
    Some(vec![first, corner(x1, y1, 1.0), corner(x1, y1, -1.0), corner(x0, y0, -1.0), first])
}
