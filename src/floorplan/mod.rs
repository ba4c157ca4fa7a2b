//! Floorplans as people have them -> model types. Pixels become metres here and nowhere else.
//!
//! All that is wrong with a document is told at once, each fault with its place, and then nothing of it is taken.

mod geojson;
pub mod image;
mod mist;

use serde_json::Value;

use crate::model::floorplan::{AreaPlan, MapPlan, Shape};
use crate::model::ids::{AreaId, AreaKind, ID_BYTES_MAX, Id, MapId, SiteId};

/// One fault of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, such as `zones.features[3] "Cafe"`.
    pub feature: String,
    /// What is wrong there, and what would be right.
    pub reason: String,
}

impl Problem {
    fn new(feature: impl Into<String>, reason: impl Into<String>) -> Problem {
        Problem { feature: feature.into(), reason: reason.into() }
    }
}

/// Areas of one map beyond which a document is no floorplan.
const AREAS_MAX: usize = 10_000;

/// Reads the body of `PUT /v1/maps/{id}`.
///
/// Two forms, told apart member by member. Footfall's own: lengths in metres (`width_m`, `x_m`), `zones` a GeoJSON
/// FeatureCollection in metres. The vendor's map object: `width` and `height` in pixels, `ppm`, and `zones`,
/// `vbeacons`, `rssizones`, `devices` as lists of the vendor's objects, in pixels.
pub fn read_map(id: &MapId, document: &Value) -> Result<MapPlan, Vec<Problem>> {
    let mut reader = Reader::default();
    if !document.is_object() {
        return Err(vec![Problem::new("body", "is not a JSON object")]);
    }
    if let Some(stated) = reader.text(document, "", "id")
        && MapId::from(stated.as_str()) != *id
    {
        reader.fault("id", format!("is {stated:?}, but the address says {id}"));
    }
    let frame = reader.frame(document);
    let mut areas = Vec::new();
    match document.get("zones") {
        None | Some(Value::Null) => {}
        Some(Value::Array(zones)) => areas.extend(
            reader.each("zones", zones, |reader, place, zone| mist::zone(reader, place, None, zone, frame.ppm)),
        ),
        Some(collection) => areas.extend(geojson::areas(&mut reader, "zones", collection)),
    }
    let vbeacons = reader.list(document, "vbeacons");
    areas.extend(
        reader.each("vbeacons", vbeacons, |reader, place, it| mist::vbeacon(reader, place, None, it, frame.ppm)),
    );
    let rssizones = reader.list(document, "rssizones");
    areas.extend(reader.each("rssizones", rssizones, |reader, place, it| mist::rssizone(reader, place, None, it)));
    let mut access_points = Vec::new();
    for list in ["access_points", "devices"] {
        let devices = reader.list(document, list);
        access_points
            .extend(reader.each(list, devices, |reader, place, it| mist::access_point(reader, place, it, frame.ppm)));
    }
    reader.refuse_twins(&areas);
    let plan = MapPlan {
        id: id.clone(),
        site: reader.text(document, "", "site_id").map(|id| SiteId::from(id.as_str())),
        name: reader.text(document, "", "name"),
        width_m: frame.width_m,
        height_m: frame.height_m,
        ppm: frame.ppm,
        orientation_deg: reader
            .number(document, "", "orientation_deg")
            .or_else(|| reader.number(document, "", "orientation")),
        occupancy_limit: reader.count(document, "", "occupancy_limit"),
        areas,
        access_points,
    };
    reader.finish(plan)
}

/// Reads the body of `PUT /v1/areas/{id}`: one of the vendor's objects, or for a zone a GeoJSON feature in metres with
/// `map_id` beside it. `ppm` is that of its map, where known. Returns the map it names.
pub fn read_area(
    kind: AreaKind,
    id: &Id,
    document: &Value,
    ppm: Option<f64>,
) -> Result<(Option<MapId>, AreaPlan), Vec<Problem>> {
    let mut reader = Reader::default();
    let place = kind.name();
    let area = match (kind, document.get("geometry")) {
        (AreaKind::Zone, Some(_)) => geojson::feature(&mut reader, place, Some(id), document),
        (AreaKind::Zone, None) => mist::zone(&mut reader, place, Some(id), document, ppm),
        (AreaKind::Vbeacon, _) => mist::vbeacon(&mut reader, place, Some(id), document, ppm),
        (AreaKind::Rssizone, _) => mist::rssizone(&mut reader, place, Some(id), document),
    };
    let map = reader.text(document, "", "map_id").map(|id| MapId::from(id.as_str()));
    match area {
        Some(area) => reader.finish((map, area)),
        None => Err(reader.problems),
    }
}

/// Size and scale of a map.
#[derive(Clone, Copy, Default)]
struct Frame {
    width_m: Option<f64>,
    height_m: Option<f64>,
    ppm: Option<f64>,
}

/// Reads members and collects what is wrong with them.
#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn finish<T>(self, value: T) -> Result<T, Vec<Problem>> {
        if self.problems.is_empty() { Ok(value) } else { Err(self.problems) }
    }

    fn fault(&mut self, place: impl Into<String>, reason: impl Into<String>) {
        self.problems.push(Problem::new(place, reason));
    }

    fn at(place: &str, key: &str) -> String {
        if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") }
    }

    /// A member that is text; blank and null are none.
    fn text(&mut self, object: &Value, place: &str, key: &str) -> Option<String> {
        match object.get(key) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.len() > 10 * ID_BYTES_MAX => {
                self.fault(Self::at(place, key), "is too long");
                None
            }
            Some(Value::String(text)) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(_) => {
                self.fault(Self::at(place, key), "is not text");
                None
            }
        }
    }

    /// A member that is a finite number, or text that spells one.
    fn number(&mut self, object: &Value, place: &str, key: &str) -> Option<f64> {
        let found = match object.get(key) {
            None | Some(Value::Null) => return None,
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        let found = found.filter(|number: &f64| number.is_finite());
        if found.is_none() {
            self.fault(Self::at(place, key), "is not a number");
        }
        found
    }

    /// A length or scale: a number above zero. The vendor sends 0 for what is not set.
    fn positive(&mut self, object: &Value, key: &str) -> Option<f64> {
        let number = self.number(object, "", key)?;
        if number < 0.0 {
            self.fault(key, "must be above zero");
        }
        (number > 0.0).then_some(number)
    }

    fn count(&mut self, object: &Value, place: &str, key: &str) -> Option<i64> {
        let number = self.number(object, place, key)?;
        if number < 0.0 || number.fract() != 0.0 || number > 1.0e9 {
            self.fault(Self::at(place, key), "is not a whole number of clients");
            return None;
        }
        Some(number as i64)
    }

    /// An id, from the address or the object itself; both must agree.
    fn id(&mut self, place: &str, expected: Option<&Id>, stated: Option<String>) -> Option<Id> {
        match (expected, stated) {
            (_, Some(stated)) if stated.len() > ID_BYTES_MAX => {
                self.fault(place, format!("its id is longer than {ID_BYTES_MAX} bytes"));
                None
            }
            (Some(expected), Some(stated)) if Id::object(&stated) != *expected => {
                self.fault(place, format!("its id is {stated:?}, but the address says {expected}"));
                None
            }
            (Some(expected), _) => Some(expected.clone()),
            (None, Some(stated)) => Some(Id::object(&stated)),
            (None, None) => {
                self.fault(place, "has no id");
                None
            }
        }
    }

    fn list<'a>(&mut self, object: &'a Value, key: &str) -> &'a [Value] {
        match object.get(key) {
            None | Some(Value::Null) => &[],
            Some(Value::Array(items)) => items,
            Some(_) => {
                self.fault(key, "is not a list");
                &[]
            }
        }
    }

    fn each<T>(
        &mut self,
        list: &str,
        items: &[Value],
        mut read: impl FnMut(&mut Reader, &str, &Value) -> Option<T>,
    ) -> Vec<T> {
        if items.len() > AREAS_MAX {
            self.fault(list, format!("has {} entries, more than the {AREAS_MAX} allowed", items.len()));
            return Vec::new();
        }
        let mut found = Vec::with_capacity(items.len());
        for (place, item) in items.iter().enumerate() {
            let place = match item.get("name").and_then(Value::as_str) {
                Some(name) => format!("{list}[{place}] {name:?}"),
                None => format!("{list}[{place}]"),
            };
            found.extend(read(self, &place, item));
        }
        found
    }

    /// Metres where they are given, else pixels over `ppm`; `ppm` from both where it is missing or 0.
    fn frame(&mut self, document: &Value) -> Frame {
        let (width_px, height_px) = (self.positive(document, "width"), self.positive(document, "height"));
        let (width_m, height_m) = (self.positive(document, "width_m"), self.positive(document, "height_m"));
        let ratio = |px: Option<f64>, m: Option<f64>| Some(px? / m?);
        let ppm = self.positive(document, "ppm");
        let ppm = ppm.or_else(|| ratio(width_px, width_m)).or_else(|| ratio(height_px, height_m));
        Frame {
            width_m: width_m.or_else(|| ratio(width_px, ppm)),
            height_m: height_m.or_else(|| ratio(height_px, ppm)),
            ppm,
        }
    }

    fn refuse_twins(&mut self, areas: &[AreaPlan]) {
        let mut seen = std::collections::BTreeSet::new();
        for area in areas {
            if !seen.insert((area.id.kind, &area.id.id)) {
                let name = area.name.as_deref().unwrap_or_default();
                self.fault(format!("{} {} {name:?}", area.id.kind.name(), area.id.id), "its id is there twice");
            }
        }
    }
}

/// An area without labels or vendor extras.
fn plain_area(kind: AreaKind, id: Id, name: Option<String>, shape: Shape, limit: Option<i64>) -> AreaPlan {
    AreaPlan { id: AreaId { kind, id }, name, shape, tags: Vec::new(), occupancy_limit: limit, properties_json: None }
}

/// What every placed thing has: metres as they are, or pixels over `ppm`.
fn place_m(reader: &mut Reader, place: &str, object: &Value, ppm: Option<f64>) -> Option<(f64, f64)> {
    let (x_m, y_m) = (reader.number(object, place, "x_m"), reader.number(object, place, "y_m"));
    if let (Some(x_m), Some(y_m)) = (x_m, y_m) {
        return Some((x_m, y_m));
    }
    let (x_px, y_px) = (reader.number(object, place, "x")?, reader.number(object, place, "y")?);
    match ppm {
        Some(ppm) => Some((x_px / ppm, y_px / ppm)),
        None => {
            reader.fault(place, "is given in pixels, but its map has no `ppm` (pixels per metre)");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map_id() -> MapId {
        MapId::from("63eda950-c6da-11e4-a628-60f81dd250cc")
    }

    fn reasons(problems: Vec<Problem>) -> String {
        problems.iter().map(|p| format!("{}: {}\n", p.feature, p.reason)).collect()
    }

    #[test]
    fn a_vendor_map_becomes_metres() {
        let document = json!({
            "name": "Mist Office", "type": "image", "ppm": 40.0, "width": 1200, "height": 1600, "orientation": 30,
            "zones": [{"id": "a", "name": "Board Room", "vertices":
                [{"x": 400, "y": 400}, {"x": 800, "y": 400}, {"x": 800, "y": 600}]}],
            "vbeacons": [{"id": "b", "name": "desk", "x": 80, "y": 40, "power": 4}],
            "rssizones": [{"id": "c", "devices": [{"device_id": "00000000-0000-0000-1000-5c5b35bd76bb", "rssi": -80}]}],
            "devices": [{"id": "d", "mac": "5C:5B:35:BD:76:BB", "x": 40, "y": 80, "height": 2.75}, {"id": "unplaced"}]
        });
        let plan = read_map(&map_id(), &document).unwrap();
        assert_eq!((plan.width_m, plan.height_m, plan.orientation_deg), (Some(30.0), Some(40.0), Some(30.0)));
        let Shape::Zone(outline) = &plan.areas[0].shape else { panic!() };
        assert_eq!(outline.rings().next().unwrap(), [[10.0, 10.0], [20.0, 10.0], [20.0, 15.0], [10.0, 10.0]]);
        let Shape::Vbeacon { x_m, y_m, .. } = &plan.areas[1].shape else { panic!() };
        assert_eq!((*x_m, *y_m), (2.0, 1.0));
        assert_eq!(plan.access_points.len(), 1);
        assert_eq!(plan.access_points[0].mac.as_deref(), Some("5c5b35bd76bb"));
    }

    #[test]
    fn vertices_in_metres_are_preferred_to_pixels() {
        let zone = json!({"name": "Z", "map_id": "m",
            "vertices": [{"x": 1, "y": 1}, {"x": 2, "y": 1}, {"x": 2, "y": 2}],
            "vertices_m": [{"x": 24.0, "y": 60.0}, {"x": 26.0, "y": 60.0}, {"x": 26.0, "y": 62.0}]});
        let (map, area) = read_area(AreaKind::Zone, &Id::object("z"), &zone, None).unwrap();
        let Shape::Zone(outline) = &area.shape else { panic!() };
        assert_eq!((map, outline.area_m2()), (Some(MapId::from("m")), 2.0));
    }

    #[test]
    fn a_missing_scale_is_taken_from_width_or_told() {
        let mut document = json!({"ppm": 0, "width": 1000, "width_m": 50.0,
            "vbeacons": [{"id": "b", "x": 100, "y": 40}]});
        let plan = read_map(&map_id(), &document).unwrap();
        assert_eq!(plan.ppm, Some(20.0));
        document["width_m"] = Value::Null;
        assert!(reasons(read_map(&map_id(), &document).unwrap_err()).contains("ppm"));
    }

    #[test]
    fn own_form_in_metres_with_geojson_zones() {
        let document = json!({"site_id": "s", "name": "Ground", "width_m": 15.81, "height_m": 11.86, "zones": {
            "type": "FeatureCollection", "features": [
                {"type": "Feature", "id": "z", "properties": {"name": "Cafe", "tags": ["food"], "occupancy_limit": 40},
                 "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [2.8, 0], [2.8, 2.6], [0, 0]]]}}]}});
        let plan = read_map(&map_id(), &document).unwrap();
        assert_eq!(plan.areas[0].name.as_deref(), Some("Cafe"));
        assert_eq!((plan.areas[0].tags.clone(), plan.areas[0].occupancy_limit), (vec!["food".to_owned()], Some(40)));
    }

    #[test]
    fn all_faults_are_told_at_once_with_their_places() {
        let polygon = |ring: Value| json!({"type": "Polygon", "coordinates": [ring]});
        let feature = |id: &str, ring: Value| {
            json!({"type": "Feature", "id": id, "properties": {"name": id},
            "geometry": polygon(ring)})
        };
        let document = json!({"width_m": -1, "occupancy_limit": 1.5, "name": {}, "zones": {"type": "FeatureCollection",
        "features": [
            feature("open", json!([[0, 0], [1, 0], [1, 1]])),
            feature("bow", json!([[0, 0], [2, 2], [2, 0], [0, 3], [0, 0]])),
            feature("flat", json!([[0, 0], [1, 0], [2, 0], [0, 0]])),
            feature("twin", json!([[0, 0], [1, 0], [1, 1], [0, 0]])),
            feature("twin", json!([[0, 0], [1, 0], [1, 1], [0, 0]])),
            {"type": "Feature", "properties": {}, "geometry": null},
        ]}});
        let told = reasons(read_map(&map_id(), &document).unwrap_err());
        for part in [
            "width_m",
            "occupancy_limit",
            "name: is not text",
            "\"open\"",
            "repeat its first",
            "\"bow\"",
            "\"flat\"",
            "no area",
            "there twice",
            "features[5]",
        ] {
            assert!(told.contains(part), "{part} is not in:\n{told}");
        }
    }

    #[test]
    fn an_id_that_contradicts_the_address_is_a_fault() {
        assert!(read_map(&map_id(), &json!({"id": "other"})).is_err());
        let zone = json!({"id": "other", "vertices_m": [{"x": 0, "y": 0}, {"x": 1, "y": 0}, {"x": 1, "y": 1}]});
        assert!(read_area(AreaKind::Zone, &Id::object("z"), &zone, None).is_err());
    }
}
