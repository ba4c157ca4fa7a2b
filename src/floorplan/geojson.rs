//! GeoJSON (RFC 7946) in a map's metres: x right, y down from the top left, no longitude or latitude.

use serde::Deserialize;
use serde_json::Value;

use super::{AREAS_MAX, Reader, plain_area};
use crate::model::floorplan::{AreaPlan, Outline, Shape};
use crate::model::ids::{AreaKind, Id};

/// The areas of a FeatureCollection: polygons are zones, points with `"kind": "vbeacon"` are virtual beacons.
pub fn areas(reader: &mut Reader, place: &str, collection: &Value) -> Vec<AreaPlan> {
    let is_collection = collection.get("type").and_then(Value::as_str) == Some("FeatureCollection");
    let Some(features) = collection.get("features").and_then(Value::as_array).filter(|_| is_collection) else {
        reader.fault(place, "is neither a GeoJSON FeatureCollection nor a list");
        return Vec::new();
    };
    if features.len() > AREAS_MAX {
        reader.fault(place, format!("has {} features, more than the {AREAS_MAX} allowed", features.len()));
        return Vec::new();
    }
    let mut found = Vec::with_capacity(features.len());
    for (number, value) in features.iter().enumerate() {
        let name = value.pointer("/properties/name").and_then(Value::as_str);
        let place = match name {
            Some(name) => format!("{place}.features[{number}] {name:?}"),
            None => format!("{place}.features[{number}]"),
        };
        found.extend(feature(reader, &place, None, value));
    }
    found
}

/// One feature. Its id stands at `id`, or in its properties as `id` or `zone_id`.
pub fn feature(reader: &mut Reader, place: &str, id: Option<&Id>, feature: &Value) -> Option<AreaPlan> {
    let nothing = Value::Null;
    let properties = feature.get("properties").unwrap_or(&nothing);
    let stated = reader
        .text(feature, place, "id")
        .or_else(|| reader.text(properties, place, "id"))
        .or_else(|| reader.text(properties, place, "zone_id"));
    let id = reader.id(place, id, stated);
    let geometry = feature.get("geometry").unwrap_or(&nothing);
    let kind = properties.get("kind").and_then(Value::as_str);
    let (kind, shape) = match (geometry.get("type").and_then(Value::as_str), kind) {
        (Some("Point"), Some("vbeacon")) => (AreaKind::Vbeacon, point(reader, place, geometry)),
        (Some("Point"), _) => {
            reader
                .fault(place, "is a Point; only a virtual beacon is one, with \"kind\": \"vbeacon\" in its properties");
            return None;
        }
        (Some("Polygon" | "MultiPolygon"), _) => (AreaKind::Zone, polygon(reader, place, geometry)),
        (other, _) => {
            let found = other.unwrap_or("nothing");
            reader.fault(place, format!("its geometry is {found}; it must be a Polygon, or a Point for a vbeacon"));
            return None;
        }
    };
    let tags = match properties.get("tags") {
        None | Some(Value::Null) => Vec::new(),
        Some(tags) => Vec::<String>::deserialize(tags).unwrap_or_else(|_| {
            reader.fault(place, "`tags` is not a list of texts");
            Vec::new()
        }),
    };
    let name = reader.text(properties, place, "name");
    let limit = reader.count(properties, place, "occupancy_limit");
    let properties_json = properties.is_object().then(|| properties.to_string());
    Some(AreaPlan { tags, properties_json, ..plain_area(kind, id?, name, shape?, limit) })
}

fn polygon(reader: &mut Reader, place: &str, geometry: &Value) -> Option<Shape> {
    let is_multi = geometry.get("type").and_then(Value::as_str) == Some("MultiPolygon");
    let coordinates = geometry.get("coordinates");
    let parts = match coordinates.and_then(Value::as_array) {
        Some(parts) if is_multi && parts.len() == 1 => parts.first(),
        Some(parts) if is_multi => {
            reader.fault(place, format!("has {} parts: give each part its own zone", parts.len()));
            return None;
        }
        _ => coordinates,
    };
    // A third coordinate is height, which a floor has none of.
    let Some(rings) = parts.and_then(|rings| Vec::<Vec<Vec<f64>>>::deserialize(rings).ok()) else {
        reader.fault(place, "its coordinates are not rings of [x, y] in metres");
        return None;
    };
    let mut corners = Vec::with_capacity(rings.len());
    for ring in rings {
        let ring: Option<Vec<[f64; 2]>> = ring.iter().map(|at| Some([*at.first()?, *at.get(1)?])).collect();
        let Some(ring) = ring else {
            reader.fault(place, "a position has fewer than two coordinates");
            return None;
        };
        corners.push(ring);
    }
    match Outline::from_rings(corners) {
        Ok(outline) => Some(Shape::Zone(outline)),
        Err(error) => {
            reader.fault(place, error.to_string());
            None
        }
    }
}

fn point(reader: &mut Reader, place: &str, geometry: &Value) -> Option<Shape> {
    let found = geometry.get("coordinates").and_then(|at| Vec::<f64>::deserialize(at).ok());
    match found.as_deref() {
        Some([x_m, y_m, ..]) => Some(Shape::Vbeacon { x_m: *x_m, y_m: *y_m, details_json: None }),
        _ => {
            reader.fault(place, "its coordinates are not [x, y] in metres");
            None
        }
    }
}
