//! Apple's Indoor Mapping Data Format, version 1: an archive of GeoJSON files in WGS84, one for each type of feature.
//!
//! The venue becomes the site, a level a map, a unit (a room) a zone, and an opening (a door) a strip on both sides of it,
//! so that passing is seen. All else has no counterpart here and is left out with a note.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::collection::placement_of;
use super::georeference::{Placement, north_up};
use super::import::{Import, ImportOptions, KnownMap, PlacedArea, SitePlan, SourceFile};
use super::reader::{Reader, place_of};
use super::{AREAS_MAX, Problem, geojson};
use crate::model::floorplan::{AreaPlan, MapPlan, Shape};
use crate::model::ids::{AreaKind, Id, MapId, SiteId};

/// How far from an opening one is in it, metres.
const OPENING_REACH_M: f64 = 0.5;

/// Levels of one archive, as maps of one upload.
const LEVELS_MAX: usize = 2_000;

/// Feature types that become something.
const READ: [&str; 4] = ["venue", "level", "unit", "opening"];

/// Whether an upload is an IMDF archive: a manifest beside levels, in the root or a folder.
pub fn is_imdf(files: &[SourceFile]) -> bool {
    let folder = |end: &str| files.iter().find_map(|file| file.name.strip_suffix(end).map(str::to_owned));
    folder("manifest.json").is_some_and(|of_manifest| folder("level.geojson") == Some(of_manifest))
}

/// Reads an archive: all of it, or all that is wrong with it.
pub fn read(
    files: Vec<SourceFile>,
    options: &ImportOptions,
    known: &dyn Fn(&MapId) -> Option<KnownMap>,
) -> Result<Import, Vec<Problem>> {
    let mut archive = Archive { reader: Reader::default(), options, import: Import::default(), levels: HashMap::new() };
    let documents = archive.documents(files);
    let of = |name: &str| documents.get(name).map(|(file, document)| (file.as_str(), document));
    let language = of("manifest").and_then(|(_, manifest)| manifest["language"].as_str()).unwrap_or("en").to_owned();
    let language = Language(language);
    let venue = archive.features(of("venue"));
    archive.venue(&venue, &language);
    let (levels, units) = (archive.features(of("level")), archive.features(of("unit")));
    archive.reader.open(of("level").map(|(file, _)| file));
    if levels.len() > LEVELS_MAX {
        archive.reader.fault("document", format!("has {} levels, more than the {LEVELS_MAX} allowed", levels.len()));
    }
    for level in &levels {
        archive.level(level, &units, &language, known);
    }
    let openings = archive.features(of("opening"));
    for (name, features) in [("unit", &units), ("opening", &openings)] {
        archive.reader.open(of(name).map(|(file, _)| file));
        for feature in features {
            archive.area(feature, name, &language);
        }
    }
    archive.finish()
}

/// A feature that has an id.
struct Feature<'a> {
    place: String,
    id: String,
    members: &'a Map<String, Value>,
}

impl Feature<'_> {
    fn property(&self, key: &str) -> &Value {
        self.members.get("properties").and_then(|properties| properties.get(key)).unwrap_or(&Value::Null)
    }

    fn geometry(&self) -> Option<&Value> {
        self.members.get("geometry").filter(|geometry| geometry.is_object())
    }
}

/// The language whose labels are shown, as the manifest has it.
struct Language(String);

impl Language {
    /// A label in this language, else in the first there is.
    fn label(&self, labels: &Value) -> Option<String> {
        let labels = labels.as_object()?;
        let text = labels.get(&self.0).or_else(|| labels.values().next())?.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// Where the areas of a level go.
struct Level {
    map: MapId,
    placement: Placement,
    /// Its place among the maps of the import; `None`: the server has the map.
    at: Option<usize>,
}

struct Archive<'a> {
    reader: Reader,
    options: &'a ImportOptions,
    import: Import,
    /// By id in its settled form; `None` for one that is at fault.
    levels: HashMap<String, Option<Level>>,
}

impl Archive<'_> {
    /// Parsed documents by the name of their feature type, each with its file; what cannot be read is told.
    fn documents(&mut self, files: Vec<SourceFile>) -> HashMap<String, (String, Value)> {
        let mut documents = HashMap::new();
        let mut left_out = Vec::new();
        for file in files {
            let base = file.name.rsplit('/').next().unwrap_or(&file.name);
            let name = base.strip_suffix(".geojson").or_else(|| base.strip_suffix(".json")).unwrap_or(base).to_owned();
            if !READ.contains(&name.as_str()) && name != "manifest" {
                left_out.push(base.to_owned());
                continue;
            }
            self.reader.open(Some(&file.name));
            match serde_json::from_slice(file.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&file.bytes)) {
                Ok(document) => _ = documents.insert(name, (file.name, document)),
                Err(error) => self.reader.fault("document", format!("is not JSON: {error}")),
            }
        }
        if !left_out.is_empty() {
            self.reader.open(None);
            left_out.sort();
            self.reader
                .note(format!("left out, as only venue, levels, units and openings are read: {}", left_out.join(", ")));
        }
        documents
    }

    fn features<'d>(&mut self, document: Option<(&str, &'d Value)>) -> Vec<Feature<'d>> {
        let Some((file, document)) = document else { return Vec::new() };
        self.reader.open(Some(file));
        let Some(Value::Array(features)) = document.get("features") else {
            self.reader.fault("document", "must be a GeoJSON FeatureCollection, but `features` is not a list");
            return Vec::new();
        };
        let mut found = Vec::with_capacity(features.len());
        for (number, feature) in features.iter().enumerate() {
            let name = feature.pointer("/properties/name").and_then(|labels| labels.as_object()?.values().next());
            let place = place_of("features", number, name);
            let Some(object) = self.reader.object(place.clone(), feature) else { continue };
            match self.reader.id_text(&object, "id") {
                Some(id) => found.push(Feature { place, id: Id::object(&id).to_string(), members: object.members }),
                None => self.reader.fault(&place, "has no id"),
            }
        }
        found
    }

    fn venue(&mut self, venues: &[Feature], language: &Language) {
        for venue in venues {
            let id = self.options.site.clone().unwrap_or_else(|| SiteId::from(venue.id.as_str()));
            self.import.sites.push(SitePlan { id, name: language.label(venue.property("name")), time_zone: None });
        }
        // Levels belong to buildings of the one venue that an archive is of.
        self.import.sites.truncate(1);
    }

    fn level(
        &mut self,
        level: &Feature,
        units: &[Feature],
        language: &Language,
        known: &dyn Fn(&MapId) -> Option<KnownMap>,
    ) {
        if self.levels.contains_key(&level.id) {
            return self.reader.twice(&level.place, &level.id, None);
        }
        let onto = self.options.onto.iter().find(|(id, _)| *id == level.id).map(|(_, map)| map.clone());
        let found = match onto {
            Some(map) => {
                let placement = known(&map).and_then(|known| placement_of(known.georeference.as_ref()));
                if placement.is_none() {
                    let reason = format!("is to be placed onto map {map}, but the server has no georeference of it");
                    self.reader.fault(&level.place, reason);
                }
                placement.map(|placement| Level { map, placement, at: None })
            }
            None => self.own_map(level, units, language),
        };
        self.levels.insert(level.id.clone(), found);
    }

    /// A map of a level's own: north up, as large as the box around its outline, or around its units without one.
    fn own_map(&mut self, level: &Feature, units: &[Feature], language: &Language) -> Option<Level> {
        let mut positions = Vec::new();
        let on_level = units.iter().filter(|unit| settled(unit.property("level_id")) == Some(level.id.clone()));
        match level.geometry() {
            Some(geometry) => gather(geometry.get("coordinates").unwrap_or(&Value::Null), &mut positions),
            None => on_level
                .filter_map(Feature::geometry)
                .for_each(|geometry| gather(geometry.get("coordinates").unwrap_or(&Value::Null), &mut positions)),
        }
        let framed = north_up(&positions).and_then(|(georeference, size_m)| {
            Placement::fit(&georeference).map(|placement| (georeference, size_m, placement))
        });
        let (georeference, [width_m, height_m], placement) = match framed {
            Ok(framed) => framed,
            Err(error) => {
                self.reader.fault(&level.place, format!("has no outline that makes a map: {error}"));
                return None;
            }
        };
        let ordinal = level.property("ordinal").as_f64();
        let name = language.label(level.property("name")).or_else(|| language.label(level.property("short_name")));
        let map = MapId::from(level.id.as_str());
        self.import.maps.push(MapPlan {
            id: map.clone(),
            site: self.import.sites.first().map(|site| site.id.clone()).or_else(|| self.options.site.clone()),
            name: name.or_else(|| ordinal.map(|ordinal| format!("Level {ordinal}"))),
            width_m: Some(width_m),
            height_m: Some(height_m),
            ppm: None,
            orientation_deg: None,
            occupancy_limit: None,
            georeference: Some(georeference),
            collection_json: None,
            areas: Vec::new(),
            access_points: Vec::new(),
        });
        Some(Level { map, placement, at: Some(self.import.maps.len() - 1) })
    }

    /// A unit or an opening.
    fn area(&mut self, feature: &Feature, what: &str, language: &Language) {
        let level_id = settled(feature.property("level_id"));
        let Some(level) = level_id.as_ref().and_then(|id| self.levels.get(id)) else {
            let reason = format!("its `level_id`, {}, is no level of the archive", feature.property("level_id"));
            return self.reader.fault(&feature.place, reason);
        };
        let Some(Level { map, placement, at }) = level else { return };
        let (map, placement, at) = (map.clone(), *placement, *at);
        let parts = match feature.geometry() {
            None => {
                self.reader.note(format!("{} is left out: it has no geometry", feature.place));
                return;
            }
            Some(geometry) if what == "unit" => parts_of_unit(geometry, placement),
            Some(geometry) => strip_of_opening(geometry, placement).map(|strip| vec![strip]),
        };
        let parts = match parts {
            Ok(parts) => parts,
            Err(reason) => return self.reader.fault(&feature.place, reason),
        };
        if parts.len() > 1 {
            let told = format!("{} has {} parts: each is a zone of its own", feature.place, parts.len());
            self.reader.note(told);
        }
        for (number, rings) in parts.into_iter().enumerate() {
            let id = if number == 0 { feature.id.clone() } else { format!("{}/{}", feature.id, number + 1) };
            let Some(id) = self.reader.area_id(AreaKind::Zone, &feature.place, None, Some(id)) else { continue };
            let Some(shape) = self.reader.zone(&feature.place, rings) else { continue };
            let plan = labelled(feature, what, language, id, shape);
            match at {
                Some(at) => self.import.maps[at].areas.push(plan),
                None => {
                    let site = self.options.site.clone();
                    self.import.areas.push(PlacedArea { site, map: Some(map.clone()), plan });
                }
            }
        }
    }

    fn finish(mut self) -> Result<Import, Vec<Problem>> {
        self.reader.open(None);
        for plan in self.import.maps.iter().filter(|plan| plan.areas.len() > AREAS_MAX) {
            let reason = format!("has {} areas, more than the {AREAS_MAX} that a map may have", plan.areas.len());
            self.reader.fault(&format!("level {}", plan.id), reason);
        }
        self.import.notes = self.reader.take_notes();
        self.reader.finish(Some(self.import))
    }
}

fn settled(id: &Value) -> Option<String> {
    id.as_str().map(|id| Id::object(id).to_string())
}

/// A zone named as people know it, else after what it is.
fn labelled(
    feature: &Feature,
    what: &str,
    language: &Language,
    id: crate::model::ids::AreaId,
    shape: Shape,
) -> AreaPlan {
    let category = feature.property("category").as_str();
    let short_id: String = feature.id.chars().take(8).collect();
    let unnamed = || {
        let kind = if what == "unit" { category.unwrap_or(what) } else { what };
        format!("{kind} {short_id}")
    };
    let name = language.label(feature.property("name")).or_else(|| language.label(feature.property("alt_name")));
    let name = name.unwrap_or_else(unnamed);
    let restriction = feature.property("restriction").as_str();
    let tags: Vec<String> = (what == "opening")
        .then_some("opening")
        .into_iter()
        .chain(category)
        .chain(restriction)
        .map(str::to_owned)
        .collect();
    let mut properties = feature.members.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(labels) = properties.insert("name".into(), json!(name)) {
        properties.insert("labels".into(), labels);
    }
    properties.insert("tags".into(), json!(tags));
    let properties_json = Some(Value::Object(properties).to_string());
    AreaPlan { id, name: Some(name), shape, tags, occupancy_limit: None, properties_json, drawn: None }
}

/// Positions of any geometry, WGS84 degrees.
fn gather(coordinates: &Value, positions: &mut Vec<[f64; 2]>) {
    match (geojson::position(coordinates), coordinates) {
        (Some(position), _) => positions.push(position),
        (None, Value::Array(items)) => items.iter().for_each(|item| gather(item, positions)),
        _ => {}
    }
}

type Rings = Vec<Vec<[f64; 2]>>;

/// The polygons of a unit, metres.
fn parts_of_unit(geometry: &Value, placement: Placement) -> Result<Vec<Rings>, String> {
    let coordinates = geometry.get("coordinates").unwrap_or(&Value::Null);
    let mut parts = match geometry.get("type").and_then(Value::as_str) {
        Some("Polygon") => vec![geojson::rings(coordinates)?],
        Some("MultiPolygon") => {
            geojson::items(coordinates, "the coordinates")?.iter().map(geojson::rings).collect::<Result<_, _>>()?
        }
        _ => return Err("must be a Polygon or a MultiPolygon".into()),
    };
    parts.iter_mut().flatten().flatten().for_each(|at| *at = placement.to_map(*at));
    Ok(parts)
}

/// A rectangle along the chord of an opening, wide enough for all of its line and so much on both sides.
fn strip_of_opening(geometry: &Value, placement: Placement) -> Result<Rings, String> {
    let coordinates = geometry.get("coordinates").unwrap_or(&Value::Null);
    if geometry.get("type").and_then(Value::as_str) != Some("LineString") {
        return Err("must be a LineString".into());
    }
    let positions = geojson::items(coordinates, "the coordinates")?.iter().map(geojson::position);
    let line: Vec<[f64; 2]> =
        positions.collect::<Option<Vec<_>>>().ok_or("the coordinates must be a list of [longitude, latitude]")?;
    let line: Vec<[f64; 2]> = line.into_iter().map(|at| placement.to_map(at)).collect();
    let (Some(&[x0, y0]), Some(&[x1, y1])) = (line.first(), line.last()) else { return Err("has no positions".into()) };
    let length = (x1 - x0).hypot(y1 - y0);
    if length < 0.01 {
        return Err("its line is shorter than 1 cm from end to end".into());
    }
    let (along, across) = ([(x1 - x0) / length, (y1 - y0) / length], [-(y1 - y0) / length, (x1 - x0) / length]);
    let off = line.iter().map(|[x, y]| ((x - x0) * across[0] + (y - y0) * across[1]).abs()).fold(0.0, f64::max);
    let reach = off + OPENING_REACH_M;
    let corner = |s: f64, t: f64| [x0 + s * along[0] + t * across[0], y0 + s * along[1] + t * across[1]];
    let ring = vec![
        corner(0.0, -reach),
        corner(length, -reach),
        corner(length, reach),
        corner(0.0, reach),
        corner(0.0, -reach),
    ];
    Ok(vec![ring])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::floorplan::Georeference;

    const GROUND: &str = "11111111-1111-4111-8111-111111111111";
    const FIRST: &str = "22222222-2222-4222-8222-222222222222";

    fn file(name: &str, document: Value) -> SourceFile {
        SourceFile { name: format!("venue/{name}"), bytes: document.to_string().into_bytes() }
    }

    fn features(features: Vec<Value>) -> Value {
        json!({"type": "FeatureCollection", "features": features})
    }

    /// At 47.5 degrees north 0.001 degrees are 111.178 m to the north and 75.336 m to the east.
    fn square(west: f64, north: f64, side: f64) -> Value {
        json!([[[west, north], [west + side, north], [west + side, north - side], [west, north - side], [west, north]]])
    }

    fn unit(id: &str, name: Value, level: &str, geometry: Value) -> Value {
        json!({"type": "Feature", "id": id, "feature_type": "unit", "geometry": geometry, "properties": {"name": name,
            "category": "room", "restriction": null, "level_id": level}})
    }

    fn archive() -> Vec<SourceFile> {
        let polygon = |west: f64| json!({"type": "Polygon", "coordinates": square(west, 47.5, 0.0001)});
        let level = |id: &str, ordinal: i32, geometry: Value| {
            json!({"type": "Feature", "id": id, "geometry": geometry, "properties": {"ordinal": ordinal, "name": null,
                "short_name": {"en": format!("L{ordinal}")}}})
        };
        let outline = json!({"type": "Polygon", "coordinates": square(8.5, 47.5, 0.002)});
        let two = json!({"type": "MultiPolygon", "coordinates": [square(8.5, 47.4995, 0.0001), square(8.501, 47.4995, 0.0001)]});
        let door = json!({"type": "Feature", "id": "d", "geometry": {"type": "LineString",
            "coordinates": [[8.5, 47.4999], [8.50002, 47.4999]]}, "properties": {"category": "pedestrian", "level_id": GROUND}});
        vec![
            file("manifest.json", json!({"version": "1.0.0", "language": "de"})),
            file(
                "venue.geojson",
                features(vec![json!({"id": "v", "properties": {"name": {"en": "Hall", "de": "Halle"}}})]),
            ),
            file("level.geojson", features(vec![level(GROUND, 0, outline), level(FIRST, 1, Value::Null)])),
            file(
                "unit.geojson",
                features(vec![
                    unit("a", json!({"de": "Café", "en": "Cafe"}), GROUND, polygon(8.5)),
                    unit("b", Value::Null, FIRST, polygon(8.5)),
                    unit("c", Value::Null, GROUND, two),
                    unit("e", Value::Null, GROUND, Value::Null),
                ]),
            ),
            file("opening.geojson", features(vec![door])),
            file("anchor.geojson", features(vec![])),
        ]
    }

    fn told(files: Vec<SourceFile>, options: &ImportOptions) -> String {
        let problems = read(files, options, &|_| None).unwrap_err();
        problems.iter().map(|p| format!("{}|{}: {}\n", p.file.as_deref().unwrap_or("-"), p.feature, p.reason)).collect()
    }

    #[test]
    fn levels_units_and_openings_become_maps_and_zones() {
        assert!(is_imdf(&archive()) && !is_imdf(&archive()[1..]));
        let import = read(archive(), &ImportOptions::default(), &|_| None).unwrap();
        assert_eq!((import.sites[0].id.clone(), import.sites[0].name.as_deref()), (SiteId::from("v"), Some("Halle")));
        let [ground, first] = import.maps.as_slice() else { panic!() };
        assert_eq!((ground.name.as_deref(), first.name.as_deref()), (Some("L0"), Some("L1")));
        let (width_m, height_m) = (ground.width_m.unwrap(), ground.height_m.unwrap());
        assert!((width_m - 150.67).abs() < 0.05 && (height_m - 222.36).abs() < 0.05, "{width_m} {height_m}");
        let names: Vec<_> = ground.areas.iter().map(|area| area.name.as_deref().unwrap()).collect();
        assert_eq!(names, ["Café", "room c", "room c", "opening d"]);
        assert_eq!(ground.areas[2].id.id.to_string(), "c/2");
        assert_eq!(ground.areas[3].tags, ["opening", "pedestrian"]);
        let envelope = |number: usize| match &ground.areas[number].shape {
            Shape::Zone(outline) => outline.envelope(),
            other => panic!("{other:?}"),
        };
        let ([x, y], [right, bottom]) = envelope(0);
        assert!(x.abs() < 1e-6 && y.abs() < 1e-6 && (right - 7.53).abs() < 0.01 && (bottom - 11.12).abs() < 0.01);
        let ([x, y], [right, bottom]) = envelope(3);
        assert!(
            (y - 10.62).abs() < 0.01 && (bottom - 11.62).abs() < 0.01 && x.abs() < 1e-6 && (right - 1.51).abs() < 0.01
        );
        let notes: String = import.notes.iter().map(|note| format!("{}\n", note.text)).collect();
        assert!(
            notes.contains("anchor.geojson") && notes.contains("has 2 parts") && notes.contains("no geometry"),
            "{notes}"
        );
    }

    #[test]
    fn a_level_may_go_onto_a_map_that_is_there() {
        let onto = vec![(GROUND.to_owned(), MapId::from("plan")), (FIRST.to_owned(), MapId::from("plan2"))];
        let options = ImportOptions { onto, ..ImportOptions::default() };
        let (georeference, _) = north_up(&[[8.4999, 47.5001], [8.503, 47.497]]).unwrap();
        let known = |_: &MapId| Some(KnownMap { georeference: Some(georeference.clone()), ..KnownMap::default() });
        let import = read(archive(), &options, &known).unwrap();
        assert_eq!((import.maps.len(), import.areas.len()), (0, 5));
        let Shape::Zone(outline) = &import.areas[0].plan.shape else { panic!() };
        assert!((outline.envelope().0[0] - 7.53).abs() < 0.01, "{:?}", outline.envelope());
        let told = told(archive(), &options);
        assert!(
            told.contains("venue/level.geojson|features[0]: is to be placed onto map plan, but the server has no"),
            "{told}"
        );
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        let mut files = archive();
        let line = json!({"type": "LineString", "coordinates": [[8.5, 47.5], [8.5, 47.5]]});
        files[3] = file(
            "unit.geojson",
            features(vec![
                unit("a", json!({"de": "Café"}), "nowhere", Value::Null),
                unit("b", Value::Null, GROUND, line.clone()),
                unit(
                    "c",
                    Value::Null,
                    GROUND,
                    json!({"type": "Polygon", "coordinates": [[[8.5, 47.5], [8.501, 47.5], [8.5, 47.4]]]}),
                ),
                json!({"properties": {}}),
            ]),
        );
        files[4] = file(
            "opening.geojson",
            features(vec![json!({"id": "d", "geometry": line, "properties": {"level_id": GROUND}})]),
        );
        files[1].bytes = b"{".to_vec();
        let told = told(files, &ImportOptions::default());
        for line in [
            "venue/venue.geojson|document: is not JSON",
            "venue/unit.geojson|features[3]: has no id",
            "venue/level.geojson|features[1]: has no outline that makes a map",
            "venue/unit.geojson|features[0] \"Café\": its `level_id`, \"nowhere\", is no level",
            "venue/unit.geojson|features[1]: must be a Polygon",
            "venue/unit.geojson|features[2]: ring 0 is open",
            "venue/opening.geojson|features[0]: its line is shorter than 1 cm",
        ] {
            assert!(told.lines().any(|found| found.starts_with(line)), "{line:?} is not in:\n{told}");
        }
        assert_eq!(told.lines().count(), 7, "{told}");
    }

    #[test]
    fn the_frame_is_exact() {
        let (georeference, [width_m, height_m]) = north_up(&[[8.5, 47.5], [8.5025, 47.4985]]).unwrap();
        let Georeference { control_points } = &georeference;
        assert_eq!((control_points[0].x_m, control_points[1].y_m), (0.0, height_m));
        let placement = Placement::fit(&georeference).unwrap();
        let [x, y] = placement.to_map([8.5025, 47.5]);
        assert!((x - width_m).abs() < 1e-6 && y.abs() < 1e-6, "{x} {y}");
    }
}
