//! GeoJSON (RFC 7946) in a map's metres: x right, y down from the top left, no longitude or latitude.
//!
//! A Polygon is a zone; a Point with `"kind": "vbeacon"` in its properties is a virtual beacon. What is read can be
//! written again with the same coordinates, ids and properties; other members of a feature and heights are left out.

use serde_json::{Map, Value, json};

use super::Problem;
use super::mist::labelled;
use super::reader::{Object, Reader, place_of, type_of};
use crate::model::floorplan::{AreaPlan, Shape};
use crate::model::ids::{AreaKind, Id};

/// Reads the areas of a FeatureCollection.
pub fn read_zones(collection: &Value) -> Result<Vec<AreaPlan>, Vec<Problem>> {
    let mut reader = Reader::default();
    let areas = match reader.object(String::new(), collection) {
        Some(collection) => areas(&mut reader, &collection),
        None => Vec::new(),
    };
    reader.finish(Some(areas))
}

/// A FeatureCollection of the zones and virtual beacons among `areas`; an RSSI zone has no place.
///
/// An id is written in its canonical form: a UUID in lower case, a number as text. Properties are those that were read;
/// an area without any gets its name, labels and limit for properties.
pub fn write_zones(areas: &[AreaPlan]) -> Value {
    let features: Vec<Value> = areas.iter().filter_map(written).collect();
    json!({ "type": "FeatureCollection", "features": features })
}

fn written(area: &AreaPlan) -> Option<Value> {
    let geometry = match &area.shape {
        Shape::Zone(outline) => json!({ "type": "Polygon", "coordinates": outline.rings().collect::<Vec<_>>() }),
        Shape::Vbeacon { x_m, y_m, .. } => json!({ "type": "Point", "coordinates": [x_m, y_m] }),
        Shape::Rssizone { .. } => return None,
    };
    let kept = area.properties_json.as_deref().and_then(|json| serde_json::from_str(json).ok());
    let properties = kept.unwrap_or_else(|| plain_properties(area));
    Some(json!({ "type": "Feature", "id": area.id.id.to_string(), "properties": properties, "geometry": geometry }))
}

/// Null where there is nothing to say, as the standard has it.
fn plain_properties(area: &AreaPlan) -> Value {
    let mut properties = Map::new();
    if let Some(name) = &area.name {
        properties.insert("name".into(), json!(name));
    }
    if !area.tags.is_empty() {
        properties.insert("tags".into(), json!(area.tags));
    }
    if let Some(limit) = area.occupancy_limit {
        properties.insert("occupancy_limit".into(), json!(limit));
    }
    if area.id.kind == AreaKind::Vbeacon {
        properties.insert("kind".into(), json!(AreaKind::Vbeacon.name()));
    }
    if properties.is_empty() { Value::Null } else { Value::Object(properties) }
}

/// The areas of a FeatureCollection that stands anywhere in a document.
pub fn areas(reader: &mut Reader, collection: &Object) -> Vec<AreaPlan> {
    let place = if collection.place.is_empty() { "document" } else { &collection.place };
    if collection.get("type").and_then(Value::as_str) != Some("FeatureCollection") {
        reader.fault(place, "must be a GeoJSON FeatureCollection: its `type` says otherwise");
        return Vec::new();
    }
    let Some(Value::Array(features)) = collection.get("features") else {
        reader.fault(place, "must be a GeoJSON FeatureCollection, but `features` is not a list");
        return Vec::new();
    };
    let list = if collection.place.is_empty() { "features".into() } else { format!("{place}.features") };
    if !reader.fits(&list, features.len()) {
        return Vec::new();
    }
    let mut found = Vec::with_capacity(features.len());
    for (number, feature) in features.iter().enumerate() {
        let place = place_of(&list, number, feature.pointer("/properties/name"));
        if let Some(feature) = reader.object(place, feature) {
            found.extend(area(reader, &feature, None));
        }
    }
    found
}

/// One feature. Its id stands at `id`, or in its properties as `id` or `zone_id`.
pub fn area(reader: &mut Reader, feature: &Object, address: Option<&Id>) -> Option<AreaPlan> {
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
        Ok(Drawn::Rings(rings)) => (AreaKind::Zone, reader.zone(&feature.place, rings)),
        Ok(Drawn::Point(at)) => {
            let at = reader.near(&feature.place, at);
            (AreaKind::Vbeacon, at.map(|[x_m, y_m]| Shape::Vbeacon { x_m, y_m, details_json: None }))
        }
        Err(reason) => {
            reader.fault(&feature.place, reason);
            (if is_vbeacon { AreaKind::Vbeacon } else { AreaKind::Zone }, None)
        }
    };
    let id = reader.area_id(kind, &feature.place, address, own);
    let area = labelled(reader, &properties, id, shape)?;
    let properties_json = feature.get("properties").map(Value::to_string);
    Some(AreaPlan { properties_json, ..area })
}

/// A geometry in metres.
enum Drawn {
    Rings(Vec<Vec<[f64; 2]>>),
    Point([f64; 2]),
}

/// What a feature draws, or why it is no area.
fn shape(feature: &Object, is_vbeacon: bool) -> Result<Drawn, String> {
    let geometry = feature.get("geometry").ok_or("has no geometry: it must be a Polygon, or a Point for a vbeacon")?;
    let coordinates = geometry.get("coordinates").unwrap_or(&Value::Null);
    match geometry.get("type").and_then(Value::as_str) {
        Some("Polygon") => rings(coordinates).map(Drawn::Rings),
        Some("MultiPolygon") => match items(coordinates, "the coordinates")? {
            [part] => rings(part).map(Drawn::Rings),
            parts => Err(format!("is a MultiPolygon of {} parts: give each part a zone of its own", parts.len())),
        },
        Some("Point") if is_vbeacon => {
            position(coordinates).map(Drawn::Point).ok_or_else(|| "the coordinates must be [x, y] in metres".into())
        }
        Some("Point") => Err("is a Point, but has no \"kind\": \"vbeacon\" in its properties".into()),
        Some(other) => {
            let other: String = other.chars().take(60).collect();
            Err(format!("is a {other}, but must be a Polygon, or a Point for a vbeacon"))
        }
        None => Err("its geometry has no `type`".into()),
    }
}

fn rings(coordinates: &Value) -> Result<Vec<Vec<[f64; 2]>>, String> {
    let rings = items(coordinates, "the coordinates")?.iter().enumerate();
    rings
        .map(|(ring, positions)| {
            let positions = items(positions, &format!("ring {ring}"))?.iter().enumerate();
            positions
                .map(|(number, it)| {
                    position(it).ok_or_else(|| format!("position {number} of ring {ring} must be [x, y] in metres"))
                })
                .collect()
        })
        .collect()
}

fn items<'a>(value: &'a Value, what: &str) -> Result<&'a [Value], String> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| format!("{what} must be a list, not {}", type_of(value)))
}

/// The first two numbers. A third is height, which a floor has none of.
fn position(value: &Value) -> Option<[f64; 2]> {
    let numbers = value.as_array().filter(|numbers| numbers.iter().all(Value::is_number))?;
    let finite = |number: &Value| number.as_f64().filter(|number| number.is_finite());
    Some([finite(numbers.first()?)?, finite(numbers.get(1)?)?])
}

#[cfg(test)]
mod tests {
    use super::super::{AREAS_MAX, told};
    use super::*;

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
    fn zones_with_holes_and_beacons_are_given_back_as_they_came() {
        let atrium = json!({"type": "Feature", "id": "6f1e0a52-0006-4c00-8000-000000000006",
            "properties": {"name": "Atrium", "note": "has a planter", "tags": ["open"], "occupancy_limit": 40},
            "geometry": {"type": "Polygon", "coordinates": [
                [[3.4, 2.0], [12.4, 2.0], [12.4, 10.4], [3.4, 10.4], [3.4, 2.0]],
                [[6.6, 5.2], [6.6, 6.8], [8.4, 6.8], [8.4, 5.2], [6.6, 5.2]]]}});
        let desk = json!({"type": "Feature", "id": "desk", "properties": {"kind": "vbeacon", "name": "Desk"},
            "geometry": {"type": "Point", "coordinates": [1.5, 2.5]}});
        let bare = json!({"type": "Feature", "id": "bare", "properties": null,
            "geometry": {"type": "Polygon", "coordinates": triangle()}});
        let features = vec![atrium, desk, bare];
        let areas = read_zones(&collection(features.clone())).unwrap();
        assert_eq!((areas[0].tags.as_slice(), areas[0].occupancy_limit), (["open".to_owned()].as_slice(), Some(40)));
        assert_eq!(areas[1].id.kind, AreaKind::Vbeacon);
        assert_eq!(write_zones(&areas), json!({"type": "FeatureCollection", "features": features}));
    }

    #[test]
    fn what_came_without_properties_is_written_with_what_is_known() {
        let mut areas = read_zones(&collection(vec![zone("a", triangle())])).unwrap();
        areas[0].properties_json = None;
        areas[0].tags = vec!["quiet".into()];
        assert_eq!(write_zones(&areas)["features"][0]["properties"], json!({"name": "a", "tags": ["quiet"]}));
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
        assert_eq!(write_zones(&areas)["features"][0]["geometry"]["coordinates"], triangle());
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
