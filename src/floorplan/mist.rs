//! The vendor's zone, vbeacon, rssizone and device objects, as its REST API gives them (mist-webhooks.md, section 5).

use serde_json::Value;

use super::{Reader, place_m, plain_area};
use crate::model::floorplan::{AccessPoint, AreaPlan, Outline, Shape};
use crate::model::ids::{AreaKind, Id};

/// A zone: `vertices_m` in metres where present, else `vertices` in pixels; the last corner joins the first.
pub fn zone(reader: &mut Reader, place: &str, id: Option<&Id>, zone: &Value, ppm: Option<f64>) -> Option<AreaPlan> {
    let stated = reader.text(zone, place, "id");
    let id = reader.id(place, id, stated);
    let name = reader.text(zone, place, "name");
    let limit = reader.count(zone, place, "occupancy_limit");
    let (vertices, scale) = match (reader.list(zone, "vertices_m"), reader.list(zone, "vertices")) {
        ([], []) => {
            reader.fault(place, "has neither `vertices_m` nor `vertices`");
            return None;
        }
        ([], vertices) => match ppm {
            Some(ppm) => (vertices, ppm),
            None => {
                reader.fault(place, "its vertices are in pixels, but its map has no `ppm` (pixels per metre)");
                return None;
            }
        },
        (vertices_m, _) => (vertices_m, 1.0),
    };
    let mut ring = Vec::with_capacity(vertices.len() + 1);
    for vertex in vertices {
        ring.push([reader.number(vertex, place, "x")? / scale, reader.number(vertex, place, "y")? / scale]);
    }
    if ring.first() != ring.last() || ring.len() == 1 {
        ring.extend(ring.first().copied());
    }
    match Outline::from_rings(vec![ring]) {
        Ok(outline) => Some(plain_area(AreaKind::Zone, id?, name, Shape::Zone(outline), limit)),
        Err(error) => {
            reader.fault(place, error.to_string());
            None
        }
    }
}

/// A virtual beacon: its place, and all it says kept as it came.
pub fn vbeacon(reader: &mut Reader, place: &str, id: Option<&Id>, it: &Value, ppm: Option<f64>) -> Option<AreaPlan> {
    let stated = reader.text(it, place, "id");
    let id = reader.id(place, id, stated);
    let name = reader.text(it, place, "name");
    let Some((x_m, y_m)) = place_m(reader, place, it, ppm) else {
        reader.fault(place, "has no place: `x`, `y` in pixels or `x_m`, `y_m` in metres");
        return None;
    };
    let shape = Shape::Vbeacon { x_m, y_m, details_json: Some(it.to_string()) };
    Some(plain_area(AreaKind::Vbeacon, id?, name, shape, None))
}

/// An RSSI zone: access points with a threshold each.
pub fn rssizone(reader: &mut Reader, place: &str, id: Option<&Id>, it: &Value) -> Option<AreaPlan> {
    let stated = reader.text(it, place, "id");
    let id = reader.id(place, id, stated);
    let name = reader.text(it, place, "name");
    let mut devices = Vec::new();
    for device in reader.list(it, "devices") {
        let (Some(device_id), Some(rssi_dbm)) =
            (reader.text(device, place, "device_id"), reader.number(device, place, "rssi"))
        else {
            reader.fault(place, "a device needs `device_id` and `rssi`");
            return None;
        };
        devices.push((device_id, rssi_dbm));
    }
    Some(plain_area(AreaKind::Rssizone, id?, name, Shape::Rssizone { devices }, None))
}

/// An access point; one that nobody has placed is left out.
pub fn access_point(reader: &mut Reader, place: &str, device: &Value, ppm: Option<f64>) -> Option<AccessPoint> {
    let is_placed = ["x", "x_m"].iter().any(|key| device.get(key).is_some_and(|x| !x.is_null()));
    if !is_placed {
        return None;
    }
    let mac = reader.text(device, place, "mac").map(|mac| Id::client(&mac).to_string());
    let id = reader.text(device, place, "id").or_else(|| mac.clone());
    let (x_m, y_m) = place_m(reader, place, device, ppm)?;
    let Some(id) = id else {
        reader.fault(place, "has neither `id` nor `mac`");
        return None;
    };
    Some(AccessPoint {
        id: Id::object(&id).to_string(),
        mac,
        name: reader.text(device, place, "name"),
        x_m,
        y_m,
        height_m: reader.number(device, place, "height_m").or_else(|| reader.number(device, place, "height")),
        orientation_deg: reader
            .number(device, place, "orientation_deg")
            .or_else(|| reader.number(device, place, "orientation")),
    })
}
