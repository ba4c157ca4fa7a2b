//! Maps and areas as Footfall keeps them: metres, checked when built.

use geo::algorithm::{Area as _, BoundingRect, Validation};
use geo::{LineString, Polygon};

use super::ids::{AreaId, MapId, SiteId};

/// A zone's outline in its map's metres: closed rings that do not cross themselves or each other, with an inside.
#[derive(Clone, Debug, PartialEq)]
pub struct Outline(Polygon<f64>);

/// Why a polygon is no outline. Each says what to mend.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OutlineError {
    #[error("ring {ring} has {corners} different corners, but an area needs at least three")]
    TooFewCorners { ring: usize, corners: usize },
    #[error("ring {ring} is open: its last position must repeat its first")]
    Open { ring: usize },
    #[error("ring {ring} has a coordinate that is not a number of metres within 1,000,000 of the origin")]
    NotFinite { ring: usize },
    #[error("the polygon has no area")]
    NoArea,
    #[error("the polygon is not valid: {0}")]
    Invalid(String),
    #[error("the polygon has {corners} corners, more than the {max} allowed")]
    TooManyCorners { corners: usize, max: usize },
}

/// More corners than any room has; a bound on what one point-in-polygon test may cost.
pub const CORNERS_MAX: usize = 4_000;

impl Outline {
    /// Checks closed rings in metres: the outer one first, then the holes.
    pub fn from_rings(rings: Vec<Vec<[f64; 2]>>) -> Result<Outline, OutlineError> {
        let corners: usize = rings.iter().map(Vec::len).sum();
        if corners > CORNERS_MAX {
            return Err(OutlineError::TooManyCorners { corners, max: CORNERS_MAX });
        }
        if rings.is_empty() {
            return Err(OutlineError::TooFewCorners { ring: 0, corners: 0 });
        }
        let mut lines = Vec::with_capacity(rings.len());
        for (ring, points) in rings.into_iter().enumerate() {
            lines.push(closed_ring(ring, points)?);
        }
        let exterior = lines.remove(0);
        let polygon = Polygon::new(exterior, lines);
        if polygon.unsigned_area() <= 0.0 {
            return Err(OutlineError::NoArea);
        }
        polygon.check_validation().map_err(|problem| OutlineError::Invalid(problem.to_string()))?;
        Ok(Outline(polygon))
    }

    pub fn polygon(&self) -> &Polygon<f64> {
        &self.0
    }

    /// The smallest upright rectangle around it: lower and upper corner, metres.
    pub fn envelope(&self) -> ([f64; 2], [f64; 2]) {
        let rect = self.0.bounding_rect().expect("an outline has corners");
        ([rect.min().x, rect.min().y], [rect.max().x, rect.max().y])
    }

    /// Whether it is the same as its envelope, as most rooms are.
    pub fn is_upright_rectangle(&self) -> bool {
        let ring = self.0.exterior();
        let is_level = |line: geo::Line| line.start.x == line.end.x || line.start.y == line.end.y;
        self.0.interiors().is_empty() && ring.0.len() == 5 && ring.lines().all(is_level)
    }

    /// Its area in square metres.
    pub fn area_m2(&self) -> f64 {
        self.0.unsigned_area()
    }

    /// Closed rings in metres, the outer one first, exactly as they were given.
    pub fn rings(&self) -> impl Iterator<Item = Vec<[f64; 2]>> + '_ {
        std::iter::once(self.0.exterior())
            .chain(self.0.interiors())
            .map(|ring| ring.coords().map(|c| [c.x, c.y]).collect())
    }
}

fn closed_ring(ring: usize, points: Vec<[f64; 2]>) -> Result<LineString<f64>, OutlineError> {
    if points.iter().flatten().any(|v| !v.is_finite() || v.abs() > 1.0e6) {
        return Err(OutlineError::NotFinite { ring });
    }
    if points.len() >= 2 && points.first() != points.last() {
        return Err(OutlineError::Open { ring });
    }
    let corners = points.len().saturating_sub(1);
    if corners < 3 {
        return Err(OutlineError::TooFewCorners { ring, corners });
    }
    Ok(points.into_iter().map(|[x, y]| geo::Coord { x, y }).collect())
}

/// A floorplan as it was uploaded. Lengths in metres; origin at the top left of the image, x right, y down.
#[derive(Clone, Debug, PartialEq)]
pub struct MapPlan {
    pub id: MapId,
    pub site: Option<SiteId>,
    pub name: Option<String>,
    pub width_m: Option<f64>,
    pub height_m: Option<f64>,
    /// Pixels of the image per metre.
    pub ppm: Option<f64>,
    pub orientation_deg: Option<f64>,
    /// Clients allowed on the map at once.
    pub occupancy_limit: Option<i64>,
    pub georeference: Option<Georeference>,
    /// The members of the GeoJSON FeatureCollection it came from, but for the features, as they came.
    pub collection_json: Option<String>,
    pub areas: Vec<AreaPlan>,
    pub access_points: Vec<AccessPoint>,
}

impl MapPlan {
    /// A map of which nothing is said.
    pub fn unsaid(id: MapId, site: Option<SiteId>) -> MapPlan {
        MapPlan {
            id,
            site,
            name: None,
            width_m: None,
            height_m: None,
            ppm: None,
            orientation_deg: None,
            occupancy_limit: None,
            georeference: None,
            collection_json: None,
            areas: Vec::new(),
            access_points: Vec::new(),
        }
    }
}

/// Where a map lies on Earth: places that are known in both frames, two or more.
#[derive(Clone, Debug, PartialEq)]
pub struct Georeference {
    pub control_points: Vec<ControlPoint>,
}

/// One place in WGS84 degrees and in a map's metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ControlPoint {
    pub lon_deg: f64,
    pub lat_deg: f64,
    pub x_m: f64,
    pub y_m: f64,
}

/// What the coordinates of a GeoJSON document are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Units {
    /// Of the map: x right, y down from the top left.
    Metres,
    /// Of the map's image, at so many per metre.
    Pixels { ppm: f64 },
    /// Longitude and latitude in degrees.
    Wgs84,
}

impl Units {
    pub fn name(self) -> &'static str {
        match self {
            Units::Metres => "metres",
            Units::Pixels { .. } => "pixels",
            Units::Wgs84 => "wgs84",
        }
    }
}

/// An area as it was uploaded.
#[derive(Clone, Debug, PartialEq)]
pub struct AreaPlan {
    pub id: AreaId,
    pub name: Option<String>,
    pub shape: Shape,
    pub tags: Vec<String>,
    /// Clients allowed in the area at once.
    pub occupancy_limit: Option<i64>,
    /// GeoJSON properties as they came.
    pub properties_json: Option<String>,
    pub drawn: Option<Drawn>,
}

/// The GeoJSON feature an area came from, whole, so that it can be given back as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    pub units: Units,
    pub feature_json: String,
}

/// Where an area is.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    Zone(Outline),
    /// Metres on its map; the vendor's own fields as JSON.
    Vbeacon {
        x_m: f64,
        y_m: f64,
        details_json: Option<String>,
    },
    /// Access points by device id, each with the signal in dBm from which on a client is inside.
    Rssizone {
        devices: Vec<(String, f64)>,
    },
}

/// An access point placed on a map.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessPoint {
    pub id: String,
    /// 12 lower-case hex digits.
    pub mac: Option<String>,
    pub name: Option<String>,
    pub x_m: f64,
    pub y_m: f64,
    /// Above the floor.
    pub height_m: Option<f64>,
    /// Clockwise from up on the map.
    pub orientation_deg: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(points: &[[f64; 2]]) -> Vec<Vec<[f64; 2]>> {
        vec![points.to_vec()]
    }

    #[test]
    fn a_square_is_an_outline_and_keeps_its_rings() {
        let rings = ring(&[[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0], [0.0, 0.0]]);
        let outline = Outline::from_rings(rings.clone()).unwrap();
        assert_eq!(outline.area_m2(), 4.0);
        assert_eq!(outline.rings().collect::<Vec<_>>(), rings);
    }

    #[test]
    fn polygons_without_an_inside_are_refused() {
        let open = ring(&[[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]]);
        assert_eq!(Outline::from_rings(open), Err(OutlineError::Open { ring: 0 }));
        let flat = ring(&[[0.0, 0.0], [2.0, 0.0], [4.0, 0.0], [0.0, 0.0]]);
        assert_eq!(Outline::from_rings(flat), Err(OutlineError::NoArea));
        let bow_tie = ring(&[[0.0, 0.0], [2.0, 2.0], [2.0, 0.0], [0.0, 3.0], [0.0, 0.0]]);
        assert!(matches!(Outline::from_rings(bow_tie), Err(OutlineError::Invalid(_))));
        assert!(Outline::from_rings(vec![]).is_err());
        assert!(Outline::from_rings(ring(&[[f64::NAN, 0.0], [1.0, 0.0], [1.0, 1.0], [f64::NAN, 0.0]])).is_err());
    }
}
