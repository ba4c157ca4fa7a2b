//! Where a map lies on Earth: the similarity (turn, scale, shift) that fits its control points best.
//!
//! Degrees become metres on the plane that touches the WGS84 ellipsoid in the middle of the control points, with its
//! radii of curvature there. At a distance d the plane is wrong by about d² tan(latitude) / (2 x 6,371 km): 0.1 m at 1 km
//! and 50° of latitude.

use super::reader::{Object, Reader};
use crate::model::floorplan::{ControlPoint, Georeference};

/// The WGS84 ellipsoid: semi-major axis in metres, and first eccentricity squared.
const SEMI_MAJOR_M: f64 = 6_378_137.0;
const ECCENTRICITY_2: f64 = 6.694_379_990_141_316e-3;

/// Control points nearer to each other than this say nothing of direction, metres.
const SPREAD_MIN_M: f64 = 1.0;

/// Metres of the map per metre on Earth, beyond which one of the two is something else.
const SCALES: std::ops::RangeInclusive<f64> = 0.8..=1.25;

/// Farther off than any surveyor, metres.
const RESIDUAL_MAX_M: f64 = 10.0;

/// Why control points place no map.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GeoreferenceError {
    #[error("has {0} control point(s), but needs two or more")]
    TooFew(usize),
    #[error("control point {0} is no longitude from -180 to 180 and latitude from -85 to 85, with a place in metres")]
    OutOfRange(usize),
    #[error("its control points lie within {SPREAD_MIN_M} m of each other, on the map or on Earth")]
    Coincide,
    #[error(
        "its control points make {scale:.3} m on the map of 1 m on Earth: are x and y in metres, and longitude and latitude \
         not exchanged?"
    )]
    Scale { scale: f64 },
    #[error(
        "its control points fit the map no better than to {rms_m:.1} m: is one of them wrong, or the map mirrored?"
    )]
    Residual { rms_m: f64 },
}

/// A map's place on Earth.
#[derive(Clone, Copy, Debug)]
pub struct Placement {
    lon_deg: f64,
    lat_deg: f64,
    /// Metres per degree at the origin, eastwards and northwards.
    east_m: f64,
    north_m: f64,
    /// (x, y) = (a, b; -b, a) (east, south) + (x0, y0): south, because y goes down.
    a: f64,
    b: f64,
    x0_m: f64,
    y0_m: f64,
    residual_rms_m: f64,
}

impl Placement {
    /// The least-squares similarity through the control points, in closed form (Horn's method in the plane).
    pub fn fit(georeference: &Georeference) -> Result<Placement, GeoreferenceError> {
        let points = &georeference.control_points;
        if points.len() < 2 {
            return Err(GeoreferenceError::TooFew(points.len()));
        }
        if let Some(wrong) = points.iter().position(|point| !is_place(point)) {
            return Err(GeoreferenceError::OutOfRange(wrong));
        }
        let count = points.len() as f64;
        let mean = |value: fn(&ControlPoint) -> f64| points.iter().map(value).sum::<f64>() / count;
        let (lon_deg, lat_deg) = (mean(|p| p.lon_deg), mean(|p| p.lat_deg));
        let (mean_x, mean_y) = (mean(|p| p.x_m), mean(|p| p.y_m));
        let (east_m, north_m) = metres_per_degree(lat_deg);
        let mut fitted = Placement {
            lon_deg,
            lat_deg,
            east_m,
            north_m,
            a: 0.0,
            b: 0.0,
            x0_m: mean_x,
            y0_m: mean_y,
            residual_rms_m: 0.0,
        };
        let (mut along, mut across, mut on_earth, mut on_map) = (0.0, 0.0, 0.0, 0.0);
        for point in points {
            let [east, south] = fitted.plane([point.lon_deg, point.lat_deg]);
            let (x, y) = (point.x_m - mean_x, point.y_m - mean_y);
            along += east * x + south * y;
            across += south * x - east * y;
            on_earth += east * east + south * south;
            on_map += x * x + y * y;
        }
        if on_earth.min(on_map) < SPREAD_MIN_M.powi(2) / 2.0 {
            return Err(GeoreferenceError::Coincide);
        }
        (fitted.a, fitted.b) = (along / on_earth, across / on_earth);
        let squares = points.iter().map(|point| {
            let [x, y] = fitted.to_map([point.lon_deg, point.lat_deg]);
            (x - point.x_m).powi(2) + (y - point.y_m).powi(2)
        });
        fitted.residual_rms_m = (squares.sum::<f64>() / count).sqrt();
        if fitted.residual_rms_m > RESIDUAL_MAX_M {
            return Err(GeoreferenceError::Residual { rms_m: fitted.residual_rms_m });
        }
        let scale = fitted.scale();
        if SCALES.contains(&scale) { Ok(fitted) } else { Err(GeoreferenceError::Scale { scale }) }
    }

    /// Longitude and latitude in degrees -> metres of the map.
    pub fn to_map(self, position: [f64; 2]) -> [f64; 2] {
        let [east, south] = self.plane(position);
        [self.a * east + self.b * south + self.x0_m, self.a * south - self.b * east + self.y0_m]
    }

    /// Metres of the map -> longitude and latitude in degrees.
    pub fn to_world(self, [x_m, y_m]: [f64; 2]) -> [f64; 2] {
        let (x, y) = (x_m - self.x0_m, y_m - self.y0_m);
        let square = self.a * self.a + self.b * self.b;
        let (east, south) = ((self.a * x - self.b * y) / square, (self.b * x + self.a * y) / square);
        [self.lon_deg + east / self.east_m, self.lat_deg - south / self.north_m]
    }

    /// How far the control points lie from where the fit puts them, root mean square, metres of the map.
    pub fn residual_rms_m(self) -> f64 {
        self.residual_rms_m
    }

    /// Metres of the map per metre on Earth.
    pub fn scale(self) -> f64 {
        self.a.hypot(self.b)
    }

    fn plane(self, [lon_deg, lat_deg]: [f64; 2]) -> [f64; 2] {
        [(lon_deg - self.lon_deg) * self.east_m, (self.lat_deg - lat_deg) * self.north_m]
    }
}

/// Reads the member `georeference` of a document: `{"control_points": [{"lon_deg", "lat_deg", "x_m", "y_m"}, ...]}`.
///
/// `lon` and `lat` are taken for their names, too, and `x_px`, `y_px` where `ppm` is known.
pub fn read(reader: &mut Reader, document: &Object, ppm: Option<f64>) -> Option<(Georeference, Placement)> {
    let place = match document.place.as_str() {
        "" => "georeference".to_owned(),
        outer => format!("{outer}.georeference"),
    };
    let member = reader.object(place.clone(), document.get("georeference")?)?;
    let mut control_points = Vec::new();
    let list = reader.list(&member, "control_points");
    for (number, item) in list.iter().enumerate() {
        let point = reader.object(format!("{place}.control_points[{number}]"), item);
        control_points.push(point.and_then(|point| control_point(reader, &point, ppm)));
    }
    let georeference = Georeference { control_points: control_points.into_iter().collect::<Option<_>>()? };
    match Placement::fit(&georeference) {
        Ok(placement) => Some((georeference, placement)),
        Err(error) => {
            reader.fault(&place, error.to_string());
            None
        }
    }
}

fn control_point(reader: &mut Reader, point: &Object, ppm: Option<f64>) -> Option<ControlPoint> {
    let either = |reader: &mut Reader, name: &str, short: &str| {
        let key = if point.has(short) { short } else { name };
        reader.needed_number(point, key)
    };
    let (lon_deg, lat_deg) = (either(reader, "lon_deg", "lon"), either(reader, "lat_deg", "lat"));
    let [x_m, y_m] = if point.has("x_px") || point.has("y_px") {
        if ppm.is_none() {
            reader.fault(&point.place, "is given in pixels, but there is no `ppm` (pixels per metre)");
        }
        let (x_px, y_px) = (reader.needed_number(point, "x_px"), reader.needed_number(point, "y_px"));
        [x_px? / ppm?, y_px? / ppm?]
    } else {
        let (x_m, y_m) = (reader.needed_number(point, "x_m"), reader.needed_number(point, "y_m"));
        [x_m?, y_m?]
    };
    Some(ControlPoint { lon_deg: lon_deg?, lat_deg: lat_deg?, x_m, y_m })
}

/// Near the poles a degree of longitude is too short to place anything with.
fn is_place(point: &ControlPoint) -> bool {
    let is_near = |metres: f64| metres.is_finite() && metres.abs() <= 1.0e6;
    (-180.0..=180.0).contains(&point.lon_deg)
        && (-85.0..=85.0).contains(&point.lat_deg)
        && is_near(point.x_m)
        && is_near(point.y_m)
}

/// From the radii of curvature in the prime vertical and in the meridian.
pub(super) fn metres_per_degree(lat_deg: f64) -> (f64, f64) {
    let latitude = lat_deg.to_radians();
    let w2 = 1.0 - ECCENTRICITY_2 * latitude.sin().powi(2);
    let prime_vertical = SEMI_MAJOR_M / w2.sqrt();
    let meridian = SEMI_MAJOR_M * (1.0 - ECCENTRICITY_2) / (w2 * w2.sqrt());
    ((prime_vertical * latitude.cos()).to_radians(), meridian.to_radians())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn point(lon_deg: f64, lat_deg: f64, x_m: f64, y_m: f64) -> ControlPoint {
        ControlPoint { lon_deg, lat_deg, x_m, y_m }
    }

    fn fit(control_points: Vec<ControlPoint>) -> Result<Placement, GeoreferenceError> {
        Placement::fit(&Georeference { control_points })
    }

    #[test]
    fn north_is_up_where_two_points_say_so() {
        // A degree of latitude is 111,141 m at 47.5 degrees, and one of longitude 75,324 m (tables of the ellipsoid).
        let north_west = point(8.5, 47.5, 0.0, 0.0);
        let south_east = point(8.5 + 100.0 / 75_336.0, 47.5 - 50.0 / 111_178.0, 100.0, 50.0);
        let placement = fit(vec![north_west, south_east]).unwrap();
        assert!((placement.scale() - 1.0).abs() < 1.0e-3, "{}", placement.scale());
        let [x, y] = placement.to_map([8.5, 47.5 - 50.0 / 111_178.0]);
        assert!(x.abs() < 0.1 && (y - 50.0).abs() < 0.1, "{x} {y}");
    }

    #[test]
    fn control_points_that_place_nothing_are_told_why() {
        let here = point(8.5, 47.5, 0.0, 0.0);
        assert_eq!(fit(vec![here]).unwrap_err(), GeoreferenceError::TooFew(1));
        assert_eq!(fit(vec![here, here]).unwrap_err(), GeoreferenceError::Coincide);
        assert_eq!(fit(vec![here, point(188.5, 47.5, 9.0, 9.0)]).unwrap_err(), GeoreferenceError::OutOfRange(1));
        let pixels = point(8.501, 47.5, 3_000.0, 0.0);
        let told = fit(vec![here, pixels]).unwrap_err().to_string();
        assert!(told.contains("are x and y in metres"), "{told}");
        // Turned over: south is up and east is right, which no turn can do.
        let mirrored = vec![here, point(8.5, 47.499, 0.0, -111.2), point(8.501, 47.5, 75.3, 0.0)];
        assert!(matches!(fit(mirrored).unwrap_err(), GeoreferenceError::Residual { .. }));
    }

    /// A placement by its definition, and control points that it makes.
    fn made() -> impl Strategy<Value = (Placement, Vec<[f64; 2]>)> {
        let frame = (-179.0..179.0f64, -70.0..70.0f64, 0.0..std::f64::consts::TAU, 0.9..1.1f64);
        let corners = prop::collection::vec([0.0..400.0f64, 0.0..400.0f64], 3..8);
        (frame, corners).prop_map(|((lon_deg, lat_deg, turn, scale), mut corners)| {
            corners.extend([[0.0, 0.0], [400.0, 300.0]]);
            let (east_m, north_m) = metres_per_degree(lat_deg);
            let (a, b) = (scale * turn.cos(), scale * turn.sin());
            let shift = (-12.0, 70.0);
            let residual_rms_m = 0.0;
            (
                Placement { lon_deg, lat_deg, east_m, north_m, a, b, x0_m: shift.0, y0_m: shift.1, residual_rms_m },
                corners,
            )
        })
    }

    fn control_points(placement: &Placement, corners: &[[f64; 2]]) -> Vec<ControlPoint> {
        let of = |&[x_m, y_m]: &[f64; 2]| {
            let [lon_deg, lat_deg] = placement.to_world([x_m, y_m]);
            point(lon_deg, lat_deg, x_m, y_m)
        };
        corners.iter().map(of).collect()
    }

    proptest! {
        #[test]
        fn what_made_the_points_is_found_again((made, corners) in made()) {
            let found = fit(control_points(&made, &corners)).unwrap();
            for &corner in &corners {
                let [x, y] = found.to_map(made.to_world(corner));
                prop_assert!((x - corner[0]).hypot(y - corner[1]) < 0.05, "{x} {y} {corner:?}");
            }
            prop_assert!((found.scale() - made.scale()).abs() < 1.0e-3);
        }

        #[test]
        fn there_and_back_is_the_same_place((made, _) in made(), x in -1.0e3..1.0e3f64, y in -1.0e3..1.0e3f64) {
            let [back_x, back_y] = made.to_map(made.to_world([x, y]));
            prop_assert!((back_x - x).hypot(back_y - y) < 1.0e-3);
        }

        #[test]
        fn no_other_similarity_fits_better((made, corners) in made(), errors in prop::collection::vec(-3.0..3.0f64, 20),
            nudge in prop::array::uniform4(-1.0e-3..1.0e-3f64)) {
            let mut points = control_points(&made, &corners);
            for (point, error) in points.iter_mut().zip(errors.chunks(2)) {
                (point.x_m, point.y_m) = (point.x_m + error[0], point.y_m + error[1]);
            }
            let found = fit(points.clone()).unwrap();
            let squares = |placement: &Placement| -> f64 {
                points.iter().map(|point| {
                    let [x, y] = placement.to_map([point.lon_deg, point.lat_deg]);
                    (x - point.x_m).powi(2) + (y - point.y_m).powi(2)
                }).sum()
            };
            let mut other = found;
            (other.a, other.b) = (other.a + nudge[0], other.b + nudge[1]);
            (other.x0_m, other.y0_m) = (other.x0_m + nudge[2], other.y0_m + nudge[3]);
            prop_assert!(squares(&found) <= squares(&other) + 1.0e-9);
        }
    }
}
