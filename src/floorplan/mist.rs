//! The vendor's zone, vbeacon, rssizone and device objects, as its REST API gives them (mist-webhooks.md, section 5),
//! and the same objects with places in metres (`vertices_m`, `x_m`, `y_m`), which need no scale.
//!
//! Only what a floorplan needs is read: the vendor's objects have many more members, and new ones every year.

use serde_json::{Map, Value};

use super::Problem;
use super::geojson::{self, Coordinates};
use super::reader::{Object, Reader};
use crate::model::floorplan::{AccessPoint, AreaPlan, Shape};
use crate::model::ids::{AreaId, AreaKind, Id, MapId, parse_mac};

/// What makes a virtual beacon what it is, beside its place: kept as the vendor sent it.
const VBEACON_DETAILS: [&str; 8] =
    ["uuid", "major", "minor", "power", "power_mode", "message", "url", "wayfinding_nodename"];

/// Reads the body of `PUT /v1/areas/{id}`: one of the vendor's objects, or a GeoJSON feature in metres. Gives the map
/// that `map_id` names, too.
///
/// `ppm` is the scale of that map in pixels per metre, where known; pixels without a scale are a fault.
pub fn read_area(
    kind: AreaKind,
    id: &Id,
    document: &Value,
    ppm: Option<f64>,
) -> Result<(Option<MapId>, AreaPlan), Vec<Problem>> {
    let mut reader = Reader::default();
    let Some(object) = reader.object(String::new(), document) else {
        return reader.finish(None);
    };
    let map = reader.map_id(&object);
    let object = Object { place: kind.name().into(), ..object };
    let area = any_area(&mut reader, kind, &object, Some(id), usable(ppm));
    reader.finish(area.map(|area| (map, area)))
}

/// One of the vendor's objects of that kind, or a GeoJSON feature in metres that is one.
pub fn any_area(
    reader: &mut Reader,
    kind: AreaKind,
    object: &Object,
    address: Option<&Id>,
    ppm: Option<f64>,
) -> Option<AreaPlan> {
    if !object.has("geometry") {
        return area(reader, kind, object, address, ppm);
    }
    let found = geojson::area(reader, object, address, Coordinates::Metres)?;
    if found.id.kind != kind {
        reader.fault(&object.place, format!("the feature is a {}, not a {}", found.id.kind.name(), kind.name()));
    }
    Some(found)
}

/// One of the vendor's objects of that kind.
pub fn area(
    reader: &mut Reader,
    kind: AreaKind,
    object: &Object,
    address: Option<&Id>,
    ppm: Option<f64>,
) -> Option<AreaPlan> {
    let own = reader.id_text(object, "id");
    let id = reader.area_id(kind, &object.place, address, own);
    let shape = match kind {
        AreaKind::Zone => zone(reader, object, ppm),
        AreaKind::Vbeacon => vbeacon(reader, object, ppm),
        AreaKind::Rssizone => rssizone(reader, object),
    };
    labelled(reader, object, id, shape)
}

/// An area of that id and shape, with the labels that `object` has.
pub fn labelled(reader: &mut Reader, object: &Object, id: Option<AreaId>, shape: Option<Shape>) -> Option<AreaPlan> {
    let name = reader.text(object, "name");
    let tags = reader.texts(object, "tags");
    let occupancy_limit = reader.count(object, "occupancy_limit");
    Some(AreaPlan { id: id?, name, shape: shape?, tags, occupancy_limit, properties_json: None, drawn: None })
}

/// `vertices_m` in metres where present, else `vertices` in pixels. The last corner joins the first.
fn zone(reader: &mut Reader, object: &Object, ppm: Option<f64>) -> Option<Shape> {
    let vertices_m = reader.list(object, "vertices_m");
    let vertices = reader.list(object, "vertices");
    let (key, vertices, ppm) = match (vertices_m, vertices) {
        ([], []) => {
            reader.fault(&object.place, "has neither `vertices_m` (metres) nor `vertices` (pixels)");
            return None;
        }
        ([], vertices) => ("vertices", vertices, Some(scale(reader, object, ppm)?)),
        (vertices_m, _) => ("vertices_m", vertices_m, None),
    };
    let mut ring = Vec::with_capacity(vertices.len() + 1);
    for (number, vertex) in vertices.iter().enumerate() {
        let coordinate = |axis: &str| vertex.get(axis).and_then(Value::as_f64);
        let (Some(x), Some(y)) = (coordinate("x"), coordinate("y")) else {
            reader.fault(&object.place, format!("`{key}[{number}]` must have `x` and `y`, both numbers"));
            return None;
        };
        ring.push(match ppm {
            Some(ppm) => metres([x, y], ppm),
            None => [x, y],
        });
    }
    if ring.len() == 1 || ring.first() != ring.last() {
        ring.extend(ring.first().copied());
    }
    reader.zone(&object.place, vec![ring])
}

fn vbeacon(reader: &mut Reader, object: &Object, ppm: Option<f64>) -> Option<Shape> {
    let [x_m, y_m] = place(reader, object, ppm)?;
    let details: Map<String, Value> = VBEACON_DETAILS
        .into_iter()
        .filter_map(|key| object.get(key).map(|value| (key.to_owned(), value.clone())))
        .collect();
    let details_json = (!details.is_empty()).then(|| Value::Object(details).to_string());
    Some(Shape::Vbeacon { x_m, y_m, details_json })
}

fn rssizone(reader: &mut Reader, object: &Object) -> Option<Shape> {
    let list = reader.list(object, "devices");
    let mut devices = Vec::with_capacity(list.len());
    for (number, device) in list.iter().enumerate() {
        let place = format!("{}.devices[{number}]", object.place);
        let device = reader.object(place, device)?;
        let device_id = reader.id_text(&device, "device_id");
        if device_id.is_none() {
            reader.member_fault(&device, "device_id", "is missing");
        }
        let rssi_dbm = reader.needed_number(&device, "rssi");
        devices.push((Id::object(&device_id?).to_string(), rssi_dbm?));
    }
    Some(Shape::Rssizone { devices })
}

/// An access point from the vendor's `device` object or from Footfall's own form; `None` if it is none or not placed.
pub fn access_point(reader: &mut Reader, object: &Object, ppm: Option<f64>) -> Option<AccessPoint> {
    let is_other = object.get("type").is_some_and(|kind| kind != "ap");
    let is_unplaced = object.members.get("map_id").is_some_and(Value::is_null);
    if is_other || is_unplaced || !["x", "y", "x_m", "y_m"].iter().any(|key| object.has(key)) {
        return None;
    }
    let mac = mac(reader, object);
    let id = reader.id_text(object, "id").map(|id| Id::object(&id).to_string()).or_else(|| mac.clone());
    match &id {
        Some(id) => reader.note_access_point(&object.place, id),
        None => reader.fault(&object.place, "has neither `id` nor `mac`"),
    }
    let name = reader.text(object, "name");
    let height_m = reader.number(object, "height_m").or_else(|| reader.number(object, "height"));
    let orientation_deg = reader.number(object, "orientation_deg").or_else(|| reader.number(object, "orientation"));
    let [x_m, y_m] = place(reader, object, ppm)?;
    Some(AccessPoint { id: id?, mac, name, x_m, y_m, height_m, orientation_deg })
}

/// 12 lower-case hex digits.
fn mac(reader: &mut Reader, object: &Object) -> Option<String> {
    let text = reader.text(object, "mac")?;
    let mac = parse_mac(text.as_bytes());
    if mac.is_none() {
        reader.member_fault(object, "mac", "must be 12 hex digits");
    }
    mac.map(|mac| Id::Mac(mac).to_string())
}

/// `x_m`, `y_m` in metres, else `x`, `y` in pixels.
fn place(reader: &mut Reader, object: &Object, ppm: Option<f64>) -> Option<[f64; 2]> {
    if object.has("x_m") || object.has("y_m") {
        let (x_m, y_m) = (reader.needed_number(object, "x_m"), reader.needed_number(object, "y_m"));
        return reader.near(&object.place, [x_m?, y_m?]);
    }
    if !object.has("x") && !object.has("y") {
        reader.fault(&object.place, "has no place: give `x_m`, `y_m` in metres, or `x`, `y` in pixels");
        return None;
    }
    let (x_px, y_px) = (reader.needed_number(object, "x"), reader.needed_number(object, "y"));
    let ppm = scale(reader, object, ppm);
    reader.near(&object.place, metres([x_px?, y_px?], ppm?))
}

fn scale(reader: &mut Reader, object: &Object, ppm: Option<f64>) -> Option<f64> {
    if ppm.is_none() {
        reader.fault(&object.place, "is given in pixels, but its map has no `ppm` (pixels per metre)");
    }
    ppm
}

/// The one place where pixels become metres. The frame is the same, so nothing is moved or turned over.
fn metres([x_px, y_px]: [f64; 2], ppm: f64) -> [f64; 2] {
    [x_px / ppm, y_px / ppm]
}

/// A scale that one can divide by.
fn usable(ppm: Option<f64>) -> Option<f64> {
    ppm.filter(|ppm| ppm.is_finite() && *ppm > 0.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::told;
    use super::*;

    const ID: &str = "4ac1dcf4-9d8b-7211-65c4-057819f0862a";
    const MAP: &str = "63eda950-c6da-11e4-a628-60f81dd250cc";

    fn read(kind: AreaKind, document: Value, ppm: Option<f64>) -> Result<AreaPlan, String> {
        read_area(kind, &Id::object(ID), &document, ppm).map(|(_, area)| area).map_err(|problems| told(&problems))
    }

    fn ring(area: &AreaPlan) -> Vec<[f64; 2]> {
        let Shape::Zone(outline) = &area.shape else { panic!("{area:?}") };
        outline.rings().next().unwrap()
    }

    #[test]
    fn a_vendor_zone_becomes_metres_and_its_last_corner_joins_the_first() {
        let zone = json!({"name": "Board Room", "map_id": MAP, "vertices":
            [{"x": 1120, "y": 520}, {"x": 1400, "y": 520}, {"x": 1400, "y": 740}, {"x": 1120, "y": 740}]});
        let (map, area) = read_area(AreaKind::Zone, &Id::object(ID), &zone, Some(40.0)).unwrap();
        assert_eq!((map, area.name.as_deref()), (Some(MapId::from(MAP)), Some("Board Room")));
        assert_eq!(ring(&area), [[28.0, 13.0], [35.0, 13.0], [35.0, 18.5], [28.0, 18.5], [28.0, 13.0]]);
    }

    #[test]
    fn a_ring_that_the_vendor_closed_is_not_closed_again() {
        let corners = json!([{"x": 0, "y": 0}, {"x": 4, "y": 0}, {"x": 4, "y": 4}, {"x": 0, "y": 0}]);
        assert_eq!(ring(&read(AreaKind::Zone, json!({"vertices_m": corners}), None).unwrap()).len(), 4);
    }

    #[test]
    fn vertices_in_metres_are_preferred_and_need_no_scale() {
        let zone = json!({"vertices": [{"x": 732, "y": 1821}, {"x": 900, "y": 1821}, {"x": 900, "y": 2000}],
            "vertices_m": [{"x": 24.0, "y": 60.0}, {"x": 26.0, "y": 60.0}, {"x": 26.0, "y": 62.0}]});
        assert_eq!(ring(&read(AreaKind::Zone, zone, None).unwrap())[1], [26.0, 60.0]);
    }

    #[test]
    fn pixels_without_a_scale_are_a_fault() {
        let zone = json!({"vertices": [{"x": 0, "y": 0}, {"x": 9, "y": 0}, {"x": 9, "y": 9}]});
        for ppm in [None, Some(0.0), Some(f64::NAN), Some(-1.0)] {
            assert!(read(AreaKind::Zone, zone.clone(), ppm).unwrap_err().contains("no `ppm`"));
        }
        assert!(read(AreaKind::Vbeacon, json!({"x": 1, "y": 2}), None).unwrap_err().contains("no `ppm`"));
    }

    #[test]
    fn a_vbeacon_keeps_what_the_vendor_says_of_it() {
        let vbeacon = json!({"uuid": "31375aeb-b8d3-1ea6-83bf-a31eb04e1c38", "major": 1356, "minor": 21,
            "power_mode": "default", "message": "Welcome", "name": "desk", "map_id": MAP, "x": 53.5, "y": 173.0,
            "modified_time": 1700000000});
        let area = read(AreaKind::Vbeacon, vbeacon, Some(10.0)).unwrap();
        let Shape::Vbeacon { x_m, y_m, details_json } = area.shape else { panic!() };
        let details: Value = serde_json::from_str(&details_json.unwrap()).unwrap();
        let kept = json!({"uuid": "31375aeb-b8d3-1ea6-83bf-a31eb04e1c38", "major": 1356, "minor": 21,
            "power_mode": "default", "message": "Welcome"});
        assert_eq!((x_m, y_m, details), (5.35, 17.3, kept));
    }

    #[test]
    fn an_rssizone_keeps_its_devices_and_thresholds() {
        let device = "00000000-0000-0000-1000-5c5b35bd76bb";
        let rssizone = json!({"name": "Board Room", "devices": [{"device_id": device, "rssi": -80}]});
        let area = read(AreaKind::Rssizone, rssizone, None).unwrap();
        assert_eq!(area.shape, Shape::Rssizone { devices: vec![(device.into(), -80.0)] });
        let wrong = json!({"devices": [{"rssi": "loud"}]});
        let told = read(AreaKind::Rssizone, wrong, None).unwrap_err();
        assert_eq!(
            told,
            "rssizone.devices[0]: `device_id` is missing\nrssizone.devices[0]: `rssi` must be a number, not text\n"
        );
    }

    #[test]
    fn an_id_that_contradicts_the_address_is_a_fault_and_its_case_is_not() {
        let corners = json!([{"x": 0, "y": 0}, {"x": 4, "y": 0}, {"x": 4, "y": 4}]);
        assert!(read(AreaKind::Zone, json!({"id": ID.to_uppercase(), "vertices_m": corners}), None).is_ok());
        let told = read(AreaKind::Zone, json!({"id": "other", "vertices_m": corners}), None).unwrap_err();
        assert_eq!(told, format!("zone: its id is other, but the address says {ID}\n"));
    }

    #[test]
    fn a_feature_is_an_area_of_its_own_kind_only() {
        let feature = json!({"type": "Feature", "map_id": MAP, "properties": {"kind": "vbeacon"},
            "geometry": {"type": "Point", "coordinates": [1, 2]}});
        assert!(read(AreaKind::Vbeacon, feature.clone(), None).is_ok());
        assert_eq!(read(AreaKind::Zone, feature, None).unwrap_err(), "zone: the feature is a vbeacon, not a zone\n");
    }

    fn read_access_point(document: &Value) -> Result<Option<AccessPoint>, Vec<Problem>> {
        let mut reader = Reader::default();
        let object = reader.object("access point".into(), document);
        let found = object.and_then(|object| access_point(&mut reader, &object, Some(10.0)));
        reader.finish(Some(found))
    }

    #[test]
    fn an_access_point_stands_where_it_was_placed() {
        let device = json!({"id": "497F6ECA-6276-4993-bfeb-53cbbbba6008", "mac": "5C:5B:35:BD:76:BB", "type": "ap",
            "name": "AP1", "map_id": MAP, "x": 53.5, "y": 173.0, "height": 2.75, "orientation": 45});
        let placed = read_access_point(&device).unwrap().unwrap();
        assert_eq!(
            (placed.id.as_str(), placed.mac.as_deref()),
            ("497f6eca-6276-4993-bfeb-53cbbbba6008", Some("5c5b35bd76bb"))
        );
        assert_eq!(
            (placed.x_m, placed.y_m, placed.height_m, placed.orientation_deg),
            (5.35, 17.3, Some(2.75), Some(45.0))
        );
    }

    #[test]
    fn a_device_that_is_not_placed_or_no_access_point_is_none() {
        for device in [
            json!({"id": "d"}),
            json!({"id": "d", "map_id": null, "x": 0, "y": 0}),
            json!({"id": "d", "x": null, "y": null}),
            json!({"id": "d", "type": "switch", "x": 1, "y": 1}),
        ] {
            assert_eq!(read_access_point(&device), Ok(None));
        }
        let nameless = json!({"name": "conference room", "map_id": MAP, "x": 53.5, "y": 173.1, "mac": "none"});
        let problems = read_access_point(&nameless).unwrap_err();
        assert_eq!(
            told(&problems),
            "access point: `mac` must be 12 hex digits\naccess point: has neither `id` nor `mac`\n"
        );
    }

    #[test]
    fn a_place_no_map_reaches_is_a_fault() {
        for it in [json!({"x_m": 1e300, "y_m": 0}), json!({"x": 1e300, "y": 0})] {
            assert!(read(AreaKind::Vbeacon, it, Some(1e-9)).unwrap_err().contains("more than 1,000,000 metres"));
        }
    }
}
