//! GeoJSON (RFC 7946): in a map's metres or its image's pixels (x right, y down from the top left), or in WGS84 degrees.
//!
//! A Polygon is a zone; a Point with `"kind": "vbeacon"` in its properties is a virtual beacon. A feature is kept whole,
//! so that `geojson_write` can give it back as it came.

use serde_json::{Map, Value};

use super::georeference::Placement;
use super::mist::labelled;
use super::reader::{Object, Reader, place_of, type_of};
use crate::model::floorplan::{AreaPlan, Drawn, Shape, Units};
use crate::model::ids::{AreaKind, Id};

/// What the coordinates of a document are, and how they become metres.
#[derive(Clone, Copy, Debug)]
pub enum Coordinates {
    Metres,
    Pixels { ppm: f64 },
    Wgs84(Placement),
}

impl Coordinates {
    pub fn units(&self) -> Units {
        match *self {
            Coordinates::Metres => Units::Metres,
            Coordinates::Pixels { ppm } => Units::Pixels { ppm },
            Coordinates::Wgs84(_) => Units::Wgs84,
        }
    }

    pub fn to_metres(self, [x, y]: [f64; 2]) -> [f64; 2] {
        match self {
            Coordinates::Metres => [x, y],
            Coordinates::Pixels { ppm } => [x / ppm, y / ppm],
            Coordinates::Wgs84(placement) => placement.to_map([x, y]),
        }
    }

    pub fn of_metres(self, [x_m, y_m]: [f64; 2]) -> [f64; 2] {
        match self {
            Coordinates::Metres => [x_m, y_m],
            Coordinates::Pixels { ppm } => [x_m * ppm, y_m * ppm],
            Coordinates::Wgs84(placement) => placement.to_world([x_m, y_m]),
        }
    }
}

/// The areas of a FeatureCollection that stands anywhere in a document.
pub fn areas(reader: &mut Reader, collection: &Object, coordinates: Coordinates) -> Vec<AreaPlan> {
    let place = if collection.place.is_empty() { "document" } else { &collection.place };
    if collection.get("type").and_then(Value::as_str) != Some("FeatureCollection") {
        reader.fault(place, "must be a GeoJSON FeatureCollection: its `type` says otherwise");
        return Vec::new();
    }
    let Some(Value::Array(features)) = collection.get("features") else {
        reader.fault(place, "must be a GeoJSON FeatureCollection, but `features` is not a list");
        return Vec::new();
    };
    let list = collection.place_of("features");
    if !reader.fits(&list, features.len()) {
        return Vec::new();
    }
    let mut found = Vec::with_capacity(features.len());
    for (number, feature) in features.iter().enumerate() {
        let place = place_of(&list, number, feature.pointer("/properties/name"));
        if let Some(feature) = reader.object(place, feature) {
            found.extend(area(reader, &feature, None, coordinates));
        }
    }
    found
}

/// One feature. Its id stands at `id`, or in its properties as `id` or `zone_id`.
pub fn area(reader: &mut Reader, feature: &Object, address: Option<&Id>, coordinates: Coordinates) -> Option<AreaPlan> {
    if feature.get("type").is_some_and(|kind| kind != "Feature") {
        reader.member_fault(feature, "type", "must be \"Feature\"");
    }
    let nothing = Map::new();
    let properties = match feature.get("properties") {
        None => feature.with(&nothing),
        Some(Value::Object(members)) => feature.with(members),
        Some(other) => {
            reader.member_fault(feature, "properties", &format!("must be an object, not {}", type_of(other)));
            feature.with(&nothing)
        }
    };
    let own = reader
        .id_text(feature, "id")
        .or_else(|| reader.id_text(&properties, "id"))
        .or_else(|| reader.id_text(&properties, "zone_id"));
    let is_vbeacon = properties.get("kind").is_some_and(|kind| kind == "vbeacon");
    let (kind, shape) = match shape(feature, is_vbeacon) {
        Ok(Geometry::Rings(mut rings)) => {
            rings.iter_mut().flatten().for_each(|at| *at = coordinates.to_metres(*at));
            (AreaKind::Zone, reader.zone(&feature.place, rings))
        }
        Ok(Geometry::Point(at)) => {
            let at = reader.near(&feature.place, coordinates.to_metres(at));
            (AreaKind::Vbeacon, at.map(|[x_m, y_m]| Shape::Vbeacon { x_m, y_m, details_json: details_of(&properties) }))
        }
        Err(reason) => {
            reader.fault(&feature.place, reason);
            (if is_vbeacon { AreaKind::Vbeacon } else { AreaKind::Zone }, None)
        }
    };
    let id = reader.area_id(kind, &feature.place, address, own);
    let area = labelled(reader, &properties, id, shape)?;
    let properties_json = feature.get("properties").map(Value::to_string);
    let feature_json = serde_json::to_string(feature.members).expect("JSON that was read can be written");
    Some(AreaPlan { properties_json, drawn: Some(Drawn { units: coordinates.units(), feature_json }), ..area })
}

/// What a beacon is, beside its place, as it is exported.
fn details_of(properties: &Object) -> Option<String> {
    properties.get("details").filter(|details| details.is_object()).map(Value::to_string)
}

/// A geometry in the document's own units.
enum Geometry {
    Rings(Vec<Vec<[f64; 2]>>),
    Point([f64; 2]),
}

/// What a feature draws, or why it is no area.
fn shape(feature: &Object, is_vbeacon: bool) -> Result<Geometry, String> {
    let geometry = feature.get("geometry").ok_or("has no geometry: it must be a Polygon, or a Point for a vbeacon")?;
    let coordinates = geometry.get("coordinates").unwrap_or(&Value::Null);
    match geometry.get("type").and_then(Value::as_str) {
        Some("Polygon") => rings(coordinates).map(Geometry::Rings),
        Some("MultiPolygon") => match items(coordinates, "the coordinates")? {
            [part] => rings(part).map(Geometry::Rings),
            parts => Err(format!("is a MultiPolygon of {} parts: give each part a zone of its own", parts.len())),
        },
        Some("Point") if is_vbeacon => {
            position(coordinates).map(Geometry::Point).ok_or_else(|| "the coordinates must be [x, y]".into())
        }
        Some("Point") => Err("is a Point, but has no \"kind\": \"vbeacon\" in its properties".into()),
        Some(other) => {
            let other: String = other.chars().take(60).collect();
            Err(format!("is a {other}, but must be a Polygon, or a Point for a vbeacon"))
        }
        None => Err("its geometry has no `type`".into()),
    }
}

pub fn rings(coordinates: &Value) -> Result<Vec<Vec<[f64; 2]>>, String> {
    let rings = items(coordinates, "the coordinates")?.iter().enumerate();
    rings
        .map(|(ring, positions)| {
            let positions = items(positions, &format!("ring {ring}"))?.iter().enumerate();
            positions
                .map(|(number, it)| {
                    position(it).ok_or_else(|| format!("position {number} of ring {ring} must be [x, y]"))
                })
                .collect()
        })
        .collect()
}

pub fn items<'a>(value: &'a Value, what: &str) -> Result<&'a [Value], String> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| format!("{what} must be a list, not {}", type_of(value)))
}

/// The first two numbers. A third is height, which a floor has none of.
pub fn position(value: &Value) -> Option<[f64; 2]> {
    let numbers = value.as_array().filter(|numbers| numbers.iter().all(Value::is_number))?;
    let finite = |number: &Value| number.as_f64().filter(|number| number.is_finite());
    Some([finite(numbers.first()?)?, finite(numbers.get(1)?)?])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{AREAS_MAX, Problem, told};
    use super::*;

    fn read_zones(collection: &Value) -> Result<Vec<AreaPlan>, Vec<Problem>> {
        let mut reader = Reader::default();
        let object = reader.object(String::new(), collection);
        let areas = object.map(|object| areas(&mut reader, &object, Coordinates::Metres));
        reader.finish(areas)
    }

    fn zone(id: &str, coordinates: Value) -> Value {
        json!({"type": "Feature", "id": id, "properties": {"name": id},
            "geometry": {"type": "Polygon", "coordinates": coordinates}})
    }

    fn collection(features: Vec<Value>) -> Value {
        json!({"type": "FeatureCollection", "name": "Ground floor", "features": features})
    }

    fn faults(feature: Value) -> String {
        told(&read_zones(&collection(vec![feature])).unwrap_err())
    }

    fn triangle() -> Value {
        json!([[[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 0.0]]])
    }

    #[test]
    fn an_id_may_stand_in_the_properties_and_be_a_number() {
        let geometry = json!({"type": "Polygon", "coordinates": triangle()});
        let ids = [json!({"id": "a"}), json!({"zone_id": "b"}), json!({"id": 7})];
        let features = ids.map(|ids| json!({"type": "Feature", "properties": ids, "geometry": geometry}));
        let areas = read_zones(&collection(features.to_vec())).unwrap();
        let ids: Vec<_> = areas.iter().map(|area| area.id.id.to_string()).collect();
        assert_eq!(ids, ["a", "b", "7"]);
    }

    #[test]
    fn a_multipolygon_of_one_part_is_a_zone_and_heights_are_ignored() {
        let mut feature = zone("a", json!([[[[0, 0, 9], [4, 0, 9], [4, 4, 9], [0, 0, 9]]]]));
        feature["geometry"]["type"] = json!("MultiPolygon");
        let areas = read_zones(&collection(vec![feature.clone()])).unwrap();
        let Shape::Zone(outline) = &areas[0].shape else { panic!() };
        assert_eq!(json!(outline.rings().collect::<Vec<_>>()), triangle());
        feature["geometry"]["coordinates"] = json!([triangle(), triangle()]);
        assert!(faults(feature).contains("MultiPolygon of 2 parts"));
    }

    #[test]
    fn what_is_no_area_is_told_why() {
        for (coordinates, reason) in [
            (json!([[[0, 0], [4, 0], [4, 4]]]), "ring 0 is open"),
            (json!([[[0, 0], [4, 4], [4, 0], [0, 3], [0, 0]]]), "self-intersection"),
            (json!([[[0, 0], [4, 0], [8, 0], [0, 0]]]), "no area"),
            (json!([[[0, 0], [1e300, 0], [4, 4], [0, 0]]]), "not a number of metres"),
            (json!([[[0, 0], [4, "0"], [4, 4], [0, 0]]]), "position 1 of ring 0 must be [x, y]"),
            (json!([[[0, 0], [4], [4, 4], [0, 0]]]), "position 1 of ring 0 must be [x, y]"),
            (json!([7]), "ring 0 must be a list, not a number"),
            (json!([]), "at least three"),
            (json!(null), "the coordinates must be a list, not null"),
        ] {
            let told = faults(zone("Cafe", coordinates));
            assert!(told.starts_with("features[0] \"Cafe\": ") && told.contains(reason), "{told}");
        }
        let mut point = zone("Cafe", json!([1, 2]));
        point["geometry"]["type"] = json!("Point");
        assert!(faults(point).contains("no \"kind\": \"vbeacon\""));
    }

    #[test]
    fn all_faults_are_told_each_with_its_feature() {
        let nameless = json!({"type": "Feature", "properties": {"tags": [1], "occupancy_limit": -1}, "geometry": null});
        let features = vec![zone("twin", triangle()), zone("twin", triangle()), nameless, json!(5)];
        assert_eq!(
            told(&read_zones(&collection(features)).unwrap_err()),
            "features[1] \"twin\": its id, twin, is there twice\n\
             features[2]: has no geometry: it must be a Polygon, or a Point for a vbeacon\n\
             features[2]: has no id\n\
             features[2]: `tags` must be a list of texts\n\
             features[2]: `occupancy_limit` must be a whole number of clients, 0 or more\n\
             features[3]: must be an object, not a number\n"
        );
    }

    #[test]
    fn what_is_no_collection_or_too_long_is_refused() {
        for document in [json!(null), json!([]), json!({}), json!({"type": "FeatureCollection", "features": {}})] {
            assert!(told(&read_zones(&document).unwrap_err()).starts_with("document: must be "));
        }
        let many = vec![Value::Null; AREAS_MAX + 1];
        assert_eq!(read_zones(&collection(many)).unwrap_err().len(), 1);
    }
}
