//! A place on a map, exact to the millimetre.

/// A point in its map's frame: origin at the top left of the floorplan image, x right, y down, in millimetres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub x_mm: i32,
    pub y_mm: i32,
}

impl Position {
    /// Rounds metres to the nearest millimetre, halves away from zero. `None` beyond about 2,147 km from the origin
    /// or when a coordinate is not finite.
    pub fn from_metres(x_m: f64, y_m: f64) -> Option<Position> {
        Some(Position { x_mm: millimetres(x_m)?, y_mm: millimetres(y_m)? })
    }

    /// The double nearest to the decimal number of metres, so that 3400 mm compares equal to a literal 3.4.
    pub fn x_m(self) -> f64 {
        f64::from(self.x_mm) / 1000.0
    }

    /// See [`Position::x_m`].
    pub fn y_m(self) -> f64 {
        f64::from(self.y_mm) / 1000.0
    }
}

fn millimetres(metres: f64) -> Option<i32> {
    let rounded = (metres * 1000.0).round();
    // A NaN fails the comparison, so it is refused here too.
    (rounded.abs() <= f64::from(i32::MAX)).then_some(rounded as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metres_round_to_the_nearest_millimetre() {
        assert_eq!(Position::from_metres(66.36483, -0.0004), Some(Position { x_mm: 66_365, y_mm: 0 }));
    }

    #[test]
    fn what_no_floor_can_hold_is_refused() {
        for metres in [f64::NAN, f64::INFINITY, 3.0e6, -3.0e6] {
            assert_eq!(Position::from_metres(metres, 0.0), None);
        }
    }
}
