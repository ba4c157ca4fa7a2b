//! The body of `PUT /v1/maps/{id}`: a map with all that lies on it.
//!
//! Two forms, told apart member by member. Footfall's own: lengths in metres (`width_m`, `x_m`), `zones` a GeoJSON
//! FeatureCollection in metres, `access_points`. The vendor's map object: `width` and `height` in pixels, `ppm`, and
//! `zones`, `vbeacons`, `rssizones`, `devices` as lists of the vendor's objects. Unknown members are ignored.

use serde_json::Value;

use super::collection::{self, Otherwise};
use super::reader::{Object, Reader, place_of, type_of};
use super::{Problem, geojson, georeference, mist};
use crate::model::floorplan::{AccessPoint, AreaPlan, MapPlan};
use crate::model::ids::{AreaKind, MapId, SiteId};

/// Reads a map. All faults are told, and with any fault nothing is taken.
pub fn read_map(id: &MapId, document: &Value) -> Result<MapPlan, Vec<Problem>> {
    let mut reader = Reader::default();
    let plan = reader.object(String::new(), document).map(|document| plan(&mut reader, id, &document, None));
    reader.finish(plan)
}

/// Reads a map that stands anywhere in a document. `ppm` is its scale where it says none itself.
pub fn plan(reader: &mut Reader, id: &MapId, document: &Object, ppm: Option<f64>) -> MapPlan {
    if let Some(own) = reader.id_text(document, "id").map(|own| MapId::from(own.as_str()))
        && own != *id
    {
        reader.member_fault(document, "id", &format!("is {own}, but the address says {id}"));
    }
    let frame = Frame::read(reader, document, ppm);
    let (georeference, placement) = georeference::read(reader, document, frame.ppm).unzip();
    let mut areas = zones(reader, id, document, Otherwise { units: None, ppm: frame.ppm, placement });
    areas.extend(list(reader, document, "vbeacons", |reader, it| {
        vendor_area(reader, AreaKind::Vbeacon, id, it, frame.ppm)
    }));
    areas.extend(list(reader, document, "rssizones", |reader, it| {
        mist::area(reader, AreaKind::Rssizone, it, None, None)
    }));
    reader.fits("zones, vbeacons and rssizones", areas.len());
    let mut access_points =
        list(reader, document, "access_points", |reader, it| access_point(reader, id, it, frame.ppm));
    access_points.extend(list(reader, document, "devices", |reader, it| access_point(reader, id, it, frame.ppm)));
    MapPlan {
        id: id.clone(),
        site: reader.id_text(document, "site_id").map(|id| SiteId::from(id.as_str())),
        name: reader.text(document, "name"),
        width_m: frame.width_m,
        height_m: frame.height_m,
        ppm: frame.ppm,
        orientation_deg: reader.number(document, "orientation_deg").or_else(|| reader.number(document, "orientation")),
        occupancy_limit: reader.count(document, "occupancy_limit"),
        georeference,
        collection_json: None,
        areas,
        access_points,
    }
}

/// A list holds the vendor's zones, an object is GeoJSON.
fn zones(reader: &mut Reader, map: &MapId, document: &Object, otherwise: Otherwise) -> Vec<AreaPlan> {
    match document.get("zones") {
        Some(Value::Object(members)) => {
            let collection = Object { place: document.place_of("zones"), members };
            match collection::nested_coordinates(reader, &collection, otherwise) {
                Some(coordinates) => geojson::areas(reader, &collection, coordinates),
                None => Vec::new(),
            }
        }
        None | Some(Value::Array(_)) => {
            list(reader, document, "zones", |reader, it| vendor_area(reader, AreaKind::Zone, map, it, otherwise.ppm))
        }
        Some(other) => {
            let reason = format!("must be a GeoJSON FeatureCollection or a list, not {}", type_of(other));
            reader.fault(&document.place_of("zones"), reason);
            Vec::new()
        }
    }
}

/// One of the vendor's zones or virtual beacons. The vendor lists those of a whole site: one of another map is a fault,
/// because in this map's scale it would lie somewhere else.
fn vendor_area(
    reader: &mut Reader,
    kind: AreaKind,
    map: &MapId,
    object: &Object,
    ppm: Option<f64>,
) -> Option<AreaPlan> {
    if let Some(other) = reader.map_id(object).filter(|other| other != map) {
        reader.fault(&object.place, format!("lies on map {other}, not on {map}"));
        return None;
    }
    mist::area(reader, kind, object, None, ppm)
}

/// A device. Those of other maps are left out, as those that nobody has placed.
fn access_point(reader: &mut Reader, map: &MapId, object: &Object, ppm: Option<f64>) -> Option<AccessPoint> {
    let is_elsewhere = reader.map_id(object).is_some_and(|other| other != *map);
    if is_elsewhere { None } else { mist::access_point(reader, object, ppm) }
}

fn list<T>(
    reader: &mut Reader,
    document: &Object,
    key: &str,
    mut read: impl FnMut(&mut Reader, &Object) -> Option<T>,
) -> Vec<T> {
    let items = reader.list(document, key);
    let mut found = Vec::new();
    if reader.fits(key, items.len()) {
        for (number, item) in items.iter().enumerate() {
            let place = place_of(&document.place_of(key), number, item.get("name"));
            if let Some(object) = reader.object(place, item) {
                found.extend(read(reader, &object));
            }
        }
    }
    found
}

/// Size and scale of a map: metres, and pixels per metre.
#[derive(Default)]
struct Frame {
    width_m: Option<f64>,
    height_m: Option<f64>,
    ppm: Option<f64>,
}

impl Frame {
    /// Metres where they are given, else pixels over `ppm`; `ppm` from both where it is missing or 0.
    fn read(reader: &mut Reader, document: &Object, otherwise_ppm: Option<f64>) -> Frame {
        let [width_m, height_m] = ["width_m", "height_m"].map(|key| reader.size(document, key));
        let [width_px, height_px, ppm] = ["width", "height", "ppm"].map(|key| reader.size(document, key));
        if reader.text(document, "type").as_deref() == Some("google") {
            // Drawn on a world map: it has no image, so no pixels.
            return Frame { width_m, height_m, ppm: None };
        }
        let ratio = |px: Option<f64>, per: Option<f64>| Some(px? / per?);
        let ppm = ppm.or_else(|| ratio(width_px, width_m)).or_else(|| ratio(height_px, height_m)).or(otherwise_ppm);
        Frame {
            width_m: width_m.or_else(|| ratio(width_px, ppm)),
            height_m: height_m.or_else(|| ratio(height_px, ppm)),
            ppm,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{AREAS_MAX, PROBLEMS_MAX, told};
    use super::*;
    use crate::model::floorplan::Shape;

    const MAP: &str = "63eda950-c6da-11e4-a628-60f81dd250cc";

    fn read(document: Value) -> Result<MapPlan, String> {
        read_map(&MapId::from(MAP), &document).map_err(|problems| told(&problems))
    }

    fn vendor_map() -> Value {
        json!({"id": MAP, "site_id": "72771e6a-6f5e-4de4-a5b9-1266c4197811", "name": "Mist Office", "type": "image",
            "ppm": 40.0, "width": 1200, "height": 1600, "origin_x": 35, "origin_y": 60, "orientation": 30,
            "locked": false, "flags": {"assetHoldTime": 5}, "url": "https://url/to/image.png", "occupancy_limit": 90,
            "wall_path": {"coordinate": "actual", "nodes": [{"name": "N1", "position": {"x": 746, "y": 104}}]},
            "zones": [{"id": "a", "name": "Board Room", "map_id": MAP, "vertices":
                [{"x": 400, "y": 400}, {"x": 800, "y": 400}, {"x": 800, "y": 600}]}],
            "vbeacons": [{"id": "b", "name": "desk", "x": 80, "y": 40, "power": 4}],
            "rssizones": [{"id": "c", "devices": [{"device_id": "00000000-0000-0000-1000-5c5b35bd76bb", "rssi": -80}]}],
            "devices": [{"id": "d", "mac": "5C:5B:35:BD:76:BB", "x": 40, "y": 80, "height": 2.75}, {"id": "unplaced"},
                {"id": "e", "map_id": "elsewhere", "x": 1, "y": 1}]})
    }

    #[test]
    fn a_vendor_map_becomes_metres() {
        let plan = read(vendor_map()).unwrap();
        assert_eq!((plan.width_m, plan.height_m, plan.ppm), (Some(30.0), Some(40.0), Some(40.0)));
        assert_eq!((plan.orientation_deg, plan.occupancy_limit), (Some(30.0), Some(90)));
        let Shape::Zone(outline) = &plan.areas[0].shape else { panic!() };
        assert_eq!(outline.rings().next().unwrap(), [[10.0, 10.0], [20.0, 10.0], [20.0, 15.0], [10.0, 10.0]]);
        let Shape::Vbeacon { x_m, y_m, .. } = &plan.areas[1].shape else { panic!() };
        assert_eq!((*x_m, *y_m, plan.areas[2].id.kind), (2.0, 1.0, AreaKind::Rssizone));
        let placed: Vec<_> = plan.access_points.iter().map(|ap| (ap.id.as_str(), ap.x_m, ap.y_m)).collect();
        assert_eq!(placed, [("d", 1.0, 2.0)]);
    }

    #[test]
    fn own_form_is_in_metres() {
        let plan = read(json!({
            "site_id": "s", "name": "Ground", "width_m": 15.81, "height_m": 11.86, "ppm": 50, "orientation_deg": 90,
            "zones": {"type": "FeatureCollection", "features": [{"type": "Feature", "id": "z",
                "properties": {"name": "Cafe", "tags": ["food"]},
                "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [2.8, 0], [2.8, 2.6], [0, 0]]]}}]},
            "vbeacons": [{"id": "v", "name": "Desk", "x_m": 3, "y_m": 4}],
            "rssizones": [{"id": "r", "name": "Dock", "devices": [{"device_id": "d", "rssi": -70}]}],
            "access_points": [{"id": "ap", "mac": "5c5b35000001", "name": "AP1", "x_m": 1, "y_m": 2, "height_m": 2.8,
                "orientation_deg": 45}]
        }))
        .unwrap();
        assert_eq!((plan.width_m, plan.orientation_deg, plan.site), (Some(15.81), Some(90.0), Some(SiteId::from("s"))));
        let names: Vec<_> = plan.areas.iter().map(|area| area.name.as_deref().unwrap()).collect();
        assert_eq!(names, ["Cafe", "Desk", "Dock"]);
        assert_eq!(plan.areas[1].shape, Shape::Vbeacon { x_m: 3.0, y_m: 4.0, details_json: None });
        let ap = &plan.access_points[0];
        assert_eq!((ap.x_m, ap.y_m, ap.height_m, ap.orientation_deg), (1.0, 2.0, Some(2.8), Some(45.0)));
    }

    #[test]
    fn a_missing_scale_is_taken_from_the_size_or_told_for_what_needs_it() {
        let mut map = vendor_map();
        for ppm in [json!(0), Value::Null] {
            map["ppm"] = ppm;
            map["width_m"] = json!(60.0);
            let plan = read(map.clone()).unwrap();
            assert_eq!((plan.ppm, plan.height_m), (Some(20.0), Some(80.0)));
            map["width_m"] = Value::Null;
            let told = read(map.clone()).unwrap_err();
            let places: Vec<_> = told.lines().map(|line| line.split_once(": ").unwrap().0).collect();
            assert_eq!(places, ["zones[0] \"Board Room\"", "vbeacons[0] \"desk\"", "devices[0]"]);
        }
    }

    #[test]
    fn a_world_map_has_no_pixels() {
        let mut map = json!({"name": "Oakridge Mall", "type": "google", "view": "roadmap", "origin_x": -122.03301,
            "ppm": 10, "width": 500, "width_m": 50, "latlng_tl": {"lat": "37.295057", "lng": "-122.033095"}});
        let plan = read(map.clone()).unwrap();
        assert_eq!((plan.width_m, plan.height_m, plan.ppm), (Some(50.0), None, None));
        map["vbeacons"] = json!([{"id": "b", "x": 1, "y": 1}]);
        assert!(read(map).unwrap_err().starts_with("vbeacons[0]: is given in pixels"));
    }

    #[test]
    fn a_member_of_the_wrong_type_is_named() {
        let told = read(json!({"id": "other", "name": {}, "site_id": [], "width_m": -1, "height_m": "9", "ppm": true,
            "orientation": "north", "occupancy_limit": 1.5, "zones": 5, "vbeacons": {}, "rssizones": [7],
            "access_points": "none"}))
        .unwrap_err();
        for line in [
            "id: is other, but the address says 63eda950-c6da-11e4-a628-60f81dd250cc",
            "name: must be text, not an object",
            "site_id: must be text, not a list",
            "width_m: must be from 0.001 to 1,000,000",
            "height_m: must be a number, not text",
            "ppm: must be a number, not true or false",
            "orientation: must be a number, not text",
            "occupancy_limit: must be a whole number of clients, 0 or more",
            "zones: must be a GeoJSON FeatureCollection or a list, not a number",
            "vbeacons: must be a list, not an object",
            "rssizones[0]: must be an object, not a number",
            "access_points: must be a list, not text",
        ] {
            assert!(told.lines().any(|found| found == line), "{line:?} is not in:\n{told}");
        }
        assert_eq!((told.lines().count(), read(json!([])).is_err()), (12, true));
    }

    #[test]
    fn a_zone_of_another_map_and_a_second_of_one_id_are_told() {
        let mut map = vendor_map();
        map["zones"] = json!([map["zones"][0], map["zones"][0], {"id": "x", "map_id": "other"}]);
        map["access_points"] = json!([map["devices"][0]]);
        assert_eq!(
            read(map).unwrap_err(),
            format!(
                "zones[1] \"Board Room\": its id, a, is there twice\nzones[2]: lies on map other, not on {MAP}\n\
                 devices[0]: its id, d, is there twice\n"
            )
        );
    }

    #[test]
    fn a_map_of_too_many_areas_is_refused_and_faults_without_end_are_counted() {
        assert!(read(json!({"vbeacons": vec![Value::Null; AREAS_MAX + 1]})).unwrap_err().contains("10001 entries"));
        let beacons = |range: std::ops::Range<usize>| range.map(|id| json!({"id": id, "x_m": 1, "y_m": 1}));
        let rssizones: Vec<_> = (0..AREAS_MAX).map(|id| json!({"id": id})).collect();
        let split = json!({"vbeacons": beacons(0..9).collect::<Vec<_>>(), "rssizones": rssizones});
        assert!(read(split).unwrap_err().contains("zones, vbeacons and rssizones: has 10009 entries"));
        let told = read(json!({"vbeacons": vec![json!(1); AREAS_MAX]})).unwrap_err();
        assert_eq!(told.lines().count(), PROBLEMS_MAX + 1);
        assert_eq!(told.lines().last(), Some("document: 9000 more faults are not told"));
    }

    #[test]
    fn checking_outlines_has_an_end() {
        // Each crosses itself at once, so that the test is fast: what counts is what it might have cost.
        let knot = [[0, 0], [2, 2], [2, 0], [0, 3]].into_iter().chain((0..3_000).map(|i| [i, 9 + i % 2]));
        let knot: Vec<Value> = knot.map(|[x, y]| json!({"x": x, "y": y})).collect();
        let zones: Vec<Value> = (0..60).map(|id| json!({"id": id, "vertices_m": knot})).collect();
        assert!(read(json!({"zones": zones})).unwrap_err().contains("more corners or holes than can be checked"));
    }
}
