//! A GeoJSON FeatureCollection that is a map: members beside its features say which map, how large, in what units.

use serde_json::{Map, Value};

use super::UnitsName;
use super::geojson::{self, Coordinates};
use super::georeference::{self, Placement};
use super::reader::{Object, Reader};
use crate::model::floorplan::{Georeference, MapPlan};
use crate::model::ids::{MapId, SiteId};

/// What holds for a collection that does not say it itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Otherwise {
    pub units: Option<UnitsName>,
    pub ppm: Option<f64>,
    pub placement: Option<Placement>,
}

/// Reads a collection as the map of that id; without `site` where it names none.
pub fn map(reader: &mut Reader, id: &MapId, collection: &Object, otherwise: Otherwise) -> MapPlan {
    let ppm = reader.size(collection, "ppm");
    let [width_m, height_m] = ["width_m", "height_m"].map(|key| reader.size(collection, key));
    let placed = georeference::read(reader, collection, ppm.or(otherwise.ppm));
    let (georeference, placement) = placed.unzip();
    let areas = match coordinates(reader, collection, ppm, placement, otherwise) {
        Some(coordinates) => geojson::areas(reader, collection, coordinates),
        None => Vec::new(),
    };
    let site = reader.id_text(collection, "site_id").map(|id| SiteId::from(id.as_str()));
    MapPlan {
        id: id.clone(),
        site,
        name: reader.text(collection, "name"),
        width_m,
        height_m,
        ppm,
        orientation_deg: reader.number(collection, "orientation_deg"),
        occupancy_limit: reader.count(collection, "occupancy_limit"),
        georeference,
        collection_json: Some(without_features(collection.members)),
        areas,
        access_points: Vec::new(),
    }
}

/// The units of a collection inside another document, such as a map's `zones`, or of a feature that stands alone.
pub fn nested_coordinates(reader: &mut Reader, collection: &Object, otherwise: Otherwise) -> Option<Coordinates> {
    let ppm = reader.size(collection, "ppm");
    let placed = georeference::read(reader, collection, ppm.or(otherwise.ppm));
    coordinates(reader, collection, ppm, placed.map(|(_, placement)| placement), otherwise)
}

/// What the coordinates of a collection are: as it says, or is said of it; else as its georeference or scale tells.
fn coordinates(
    reader: &mut Reader,
    collection: &Object,
    ppm: Option<f64>,
    placement: Option<Placement>,
    otherwise: Otherwise,
) -> Option<Coordinates> {
    let place = if collection.place.is_empty() { "document" } else { collection.place.as_str() };
    let units = match reader.text(collection, "units") {
        Some(text) => {
            let units = UnitsName::from_name(&text);
            if units.is_none() {
                reader.member_fault(collection, "units", "must be metres, pixels or wgs84");
            }
            units?
        }
        None => otherwise.units.unwrap_or_else(|| implied_units(collection.members)),
    };
    let found = match units {
        UnitsName::Metres => return Some(Coordinates::Metres),
        UnitsName::Pixels => ppm.or(otherwise.ppm).map(|ppm| Coordinates::Pixels { ppm }),
        UnitsName::Wgs84 => placement.or(otherwise.placement).map(Coordinates::Wgs84),
    };
    // A georeference that is there and wrong has been told of already.
    if found.is_none() && units == UnitsName::Pixels {
        reader.fault(place, "is in pixels, but `ppm` (pixels per metre) is missing, here and for its map");
    } else if found.is_none() && !collection.has("georeference") {
        reader.fault(
            place,
            "is in degrees, but `georeference` (two or more control points) is missing, here and for its map",
        );
    }
    found
}

/// Units of a collection that does not name any.
pub fn implied_units(members: &Map<String, Value>) -> UnitsName {
    let has = |key: &str| members.get(key).is_some_and(|value| !value.is_null());
    if has("georeference") {
        UnitsName::Wgs84
    } else if has("ppm") {
        UnitsName::Pixels
    } else {
        UnitsName::Metres
    }
}

/// A map's own georeference, ready to use; what is stored has been checked when it came.
pub fn placement_of(georeference: Option<&Georeference>) -> Option<Placement> {
    georeference.and_then(|georeference| Placement::fit(georeference).ok())
}

fn without_features(members: &Map<String, Value>) -> String {
    let members: Map<String, Value> =
        members.iter().filter(|(key, _)| *key != "features").map(|(key, value)| (key.clone(), value.clone())).collect();
    Value::Object(members).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::told;
    use super::*;
    use crate::model::floorplan::{Shape, Units};

    fn read(document: Value, otherwise: Otherwise) -> Result<MapPlan, String> {
        let mut reader = Reader::default();
        let plan =
            reader.object(String::new(), &document).map(|it| map(&mut reader, &MapId::from("m"), &it, otherwise));
        reader.finish(plan).map_err(|problems| told(&problems))
    }

    fn collection(members: Value) -> Value {
        let mut document = json!({"type": "FeatureCollection", "features": [{"type": "Feature", "id": "a",
            "geometry": {"type": "Polygon", "coordinates": [[[10, 10], [20, 10], [20, 30], [10, 10]]]}}]});
        for (key, value) in members.as_object().unwrap() {
            document[key] = value.clone();
        }
        document
    }

    fn first_ring(plan: &MapPlan) -> Vec<[f64; 2]> {
        let Shape::Zone(outline) = &plan.areas[0].shape else { panic!() };
        outline.rings().next().unwrap()
    }

    #[test]
    fn units_are_as_said_or_as_the_scale_tells() {
        let plain = read(collection(json!({})), Otherwise::default()).unwrap();
        assert_eq!(
            (first_ring(&plain)[1], plain.areas[0].drawn.as_ref().unwrap().units),
            ([20.0, 10.0], Units::Metres)
        );
        let pixels = read(collection(json!({"ppm": 10})), Otherwise::default()).unwrap();
        assert_eq!((first_ring(&pixels)[2], pixels.ppm), ([2.0, 3.0], Some(10.0)));
        let metres = read(collection(json!({"ppm": 10, "units": "metres"})), Otherwise::default()).unwrap();
        assert_eq!(first_ring(&metres)[2], [20.0, 30.0]);
        let otherwise = Otherwise { units: Some(UnitsName::Pixels), ppm: Some(5.0), placement: None };
        assert_eq!(first_ring(&read(collection(json!({})), otherwise).unwrap())[2], [4.0, 6.0]);
    }

    #[test]
    fn degrees_lie_where_the_control_points_say() {
        let georeference = json!({"control_points": [{"lon": 10.0, "lat": 10.0, "x_px": 0, "y_px": 0},
            {"lon_deg": 10.001, "lat_deg": 9.999, "x_m": 109.64, "y_m": 110.61}]});
        let mut document = collection(json!({"georeference": georeference, "ppm": 20, "units": "wgs84"}));
        document["features"][0]["geometry"]["coordinates"] =
            json!([[[10.0, 10.0], [10.001, 10.0], [10.001, 9.999], [10.0, 10.0]]]);
        let plan = read(document, Otherwise::default()).unwrap();
        let [x, y] = first_ring(&plan)[1];
        assert!((x - 109.64).abs() < 0.1 && y.abs() < 0.1, "{x} {y}");
        assert_eq!(plan.georeference.unwrap().control_points[1].x_m, 109.64);
    }

    #[test]
    fn what_units_need_and_lack_is_told() {
        for (members, told) in [
            (json!({"units": "pixels"}), "document: is in pixels, but `ppm`"),
            (json!({"units": "wgs84"}), "document: is in degrees, but `georeference`"),
            (json!({"units": "feet"}), "units: must be metres, pixels or wgs84"),
            (json!({"georeference": {"control_points": []}}), "georeference: has 0 control point(s)"),
            (json!({"georeference": 5}), "georeference: must be an object"),
            (
                json!({"georeference": {"control_points": [{"lon": 1, "lat": 1}, 7]}}),
                "georeference.control_points[1]: must be",
            ),
            (json!({"georeference": {"control_points": [{"lon": 1, "lat": 1, "x_px": 1, "y_px": 1}]}}), "no `ppm`"),
        ] {
            let found = read(collection(members), Otherwise::default()).unwrap_err();
            assert!(found.contains(told), "{told:?} is not in {found:?}");
        }
    }
}
