use geo::{Distance, Geodesic, Point};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::floorplan::georeference::Placement;
use crate::floorplan::{AREAS_MAX, PROBLEMS_MAX};
use crate::model::floorplan::{AreaPlan, ControlPoint, Georeference, Shape};

const VENUE: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const GROUND: &str = "bbbbbbbb-0000-4000-8000-000000000001";
const UPPER: &str = "bbbbbbbb-0000-4000-8000-000000000002";

/// Metres per degree at 47.37 degrees north, on the ellipsoid.
const EAST_M: f64 = 75_529.7;
const NORTH_M: f64 = 111_178.0;

/// A position some metres east and south of the building's north-west corner.
fn at(east_m: f64, south_m: f64) -> Value {
    json!([8.54 + east_m / EAST_M, 47.37 - south_m / NORTH_M])
}

fn ring(west_m: f64, north_m: f64, width_m: f64, height_m: f64) -> Value {
    let (east_m, south_m) = (west_m + width_m, north_m + height_m);
    let first = at(west_m, north_m);
    json!([first, at(east_m, north_m), at(east_m, south_m), at(west_m, south_m), first])
}

fn polygon(rings: Vec<Value>) -> Value {
    json!({"type": "Polygon", "coordinates": rings})
}

fn feature(kind: &str, id: &str, properties: Value, geometry: Value) -> Value {
    json!({"type": "Feature", "feature_type": kind, "id": id, "properties": properties, "geometry": geometry})
}

fn collection(features: Vec<Value>) -> Value {
    json!({"type": "FeatureCollection", "features": features})
}

/// A building of two levels, 100 m by 50 m; the upper one has no outline.
struct Building {
    manifest: Value,
    venues: Vec<Value>,
    levels: Vec<Value>,
    units: Vec<Value>,
    openings: Vec<Value>,
}

fn building() -> Building {
    let outline = || polygon(vec![ring(0.0, 0.0, 100.0, 50.0)]);
    let lobby = json!({"category": "lobby", "restriction": "employeesonly", "level_id": GROUND,
        "name": {"de": "Halle", "en": "Lobby"}});
    let shops = json!({"type": "MultiPolygon", "coordinates":
        [[ring(60.0, 10.0, 10.0, 10.0)], [ring(80.0, 10.0, 10.0, 10.0)]]});
    let door = json!({"type": "LineString", "coordinates": [at(10.0, 20.0), at(11.0, 20.2), at(12.0, 20.0)]});
    Building {
        manifest: json!({"version": "1.0.0", "created": "2026-01-01T00:00:00Z", "language": "en-GB"}),
        venues: vec![feature("venue", VENUE, json!({"name": {"de": "Museum Z", "en": "Museum"}}), outline())],
        levels: vec![
            feature("level", GROUND, json!({"ordinal": 0, "name": {"en": "Ground"}}), outline()),
            feature("level", UPPER, json!({"ordinal": 1, "name": null, "short_name": null}), Value::Null),
        ],
        units: vec![
            feature("unit", "u1", lobby, polygon(vec![ring(10.0, 20.0, 30.0, 20.0), ring(20.0, 25.0, 5.0, 5.0)])),
            feature(
                "unit",
                "u2",
                json!({"category": "retail", "level_id": UPPER, "alt_name": {"fr": "Boutique"}}),
                shops,
            ),
            feature("unit", "u3", json!({"category": "room", "level_id": UPPER}), Value::Null),
        ],
        openings: vec![feature("opening", "o1-and-more", json!({"category": "pedestrian", "level_id": GROUND}), door)],
    }
}

impl Building {
    fn files(&self) -> Vec<SourceFile> {
        let documents = [
            ("manifest.json", self.manifest.clone()),
            ("venue.geojson", collection(self.venues.clone())),
            ("level.geojson", collection(self.levels.clone())),
            ("unit.geojson", collection(self.units.clone())),
            ("opening.geojson", collection(self.openings.clone())),
            ("amenity.geojson", collection(vec![json!({}), json!({})])),
            ("fixture.geojson", collection(vec![])),
            ("address.geojson", collection(vec![json!({})])),
        ];
        documents.map(|(name, document)| file(name, document.to_string())).into()
    }

    fn read(&self) -> Result<Import, String> {
        self.read_onto(&[], None)
    }

    fn read_onto(&self, onto: &[(&str, &str)], known: Option<KnownMap>) -> Result<Import, String> {
        let onto = onto.iter().map(|(level, map)| (level.to_string(), MapId::from(*map))).collect();
        let options = ImportOptions { onto, ..ImportOptions::default() };
        read(&self.files(), &options, &|_| known.clone()).map_err(|problems| told(&problems))
    }

    fn faults(&self) -> String {
        self.read().unwrap_err()
    }
}

fn file(name: &str, text: impl Into<Vec<u8>>) -> SourceFile {
    SourceFile { name: name.into(), bytes: text.into() }
}

fn told(problems: &[Problem]) -> String {
    let line = |it: &Problem| format!("{}: {}: {}\n", it.file.as_deref().unwrap_or("-"), it.feature, it.reason);
    problems.iter().map(line).collect()
}

fn rings(area: &AreaPlan) -> Vec<Vec<[f64; 2]>> {
    let Shape::Zone(outline) = &area.shape else { panic!("{area:?}") };
    outline.rings().collect()
}

fn is_near([x, y]: [f64; 2], place: [f64; 2]) -> bool {
    (x - place[0]).hypot(y - place[1]) < 0.02
}

#[test]
fn an_archive_is_known_by_its_manifest_and_its_place() {
    let files = building().files();
    assert!(is_imdf(&files));
    let moved = |folder: &str| -> Vec<SourceFile> {
        files.iter().map(|it| SourceFile { name: format!("{folder}{}", it.name), ..it.clone() }).collect()
    };
    assert!(is_imdf(&moved("museum/")) && !is_imdf(&moved("a/b/")) && !is_imdf(&moved("not-")));
    assert!(!is_imdf(&files[..1]) && !is_imdf(&files[1..]) && is_imdf(&files[..2]) && !is_imdf(&[]));
    let in_folder = read(&moved("museum/"), &ImportOptions::default(), &|_| None).unwrap();
    assert_eq!(in_folder.maps, building().read().unwrap().maps);
    let two = told(&read(&[files.clone(), moved("b/")].concat(), &ImportOptions::default(), &|_| None).unwrap_err());
    assert!(two.contains("several IMDF archives, such as \"\" and \"b/\""), "{two}");
}

#[test]
fn a_venue_is_a_site_and_its_levels_are_maps_from_their_north_west_corner() {
    let import = building().read().unwrap();
    let site = SitePlan { id: SiteId::from(VENUE), name: Some("Museum".into()), time_zone: None };
    assert_eq!(import.sites, std::slice::from_ref(&site));
    let [ground, upper] = &import.maps[..] else { panic!("{:?}", import.maps) };
    assert_eq!((ground.id.to_string().as_str(), ground.name.as_deref()), (GROUND, Some("Ground")));
    assert_eq!((&ground.site, upper.name.as_deref()), (&Some(site.id), Some("Level 1")));
    assert!(is_near([ground.width_m.unwrap(), ground.height_m.unwrap()], [100.0, 50.0]), "{ground:?}");
    let placement = Placement::fit(ground.georeference.as_ref().unwrap()).unwrap();
    assert!(is_near(placement.to_map([8.54, 47.37]), [0.0, 0.0]) && placement.residual_rms_m() < 1.0e-6);
    // Without outline, the box is around its shops.
    assert!(is_near([upper.width_m.unwrap(), upper.height_m.unwrap()], [30.0, 10.0]), "{upper:?}");
}

#[test]
fn units_are_zones_with_holes_parts_and_tags() {
    let import = building().read().unwrap();
    let lobby = &import.maps[0].areas[0];
    assert_eq!(
        (lobby.name.as_deref(), &lobby.tags[..]),
        (Some("Lobby"), &["lobby".into(), "employeesonly".into()][..])
    );
    let (outer, hole) = (&rings(lobby)[0], &rings(lobby)[1]);
    assert!(is_near(outer[0], [10.0, 20.0]) && is_near(outer[2], [40.0, 40.0]) && is_near(hole[0], [20.0, 25.0]));
    assert!(outer.iter().flatten().all(|metres| (metres * 1e3 - (metres * 1e3).round()).abs() < 1e-9), "{outer:?}");
    let properties: Value = serde_json::from_str(lobby.properties_json.as_ref().unwrap()).unwrap();
    assert_eq!((&properties, &lobby.drawn), (&building().units[0]["properties"], &None));
    let shops = &import.maps[1].areas;
    let named: Vec<_> = shops.iter().map(|shop| (shop.id.id.to_string(), shop.name.clone().unwrap())).collect();
    assert_eq!(named, [("u2".into(), "Boutique".into()), ("u2/2".into(), "Boutique (2)".into())]);
    assert!(is_near(rings(&shops[1])[0][0], [20.0, 0.0]), "{shops:?}");
}

#[test]
fn a_zone_without_a_name_is_called_by_its_category_and_id() {
    let mut building = building();
    building.units[0]["properties"]["name"] = json!({"en": " "});
    building.units[1]["properties"] = json!({"level_id": UPPER});
    let import = building.read().unwrap();
    let names =
        |map: usize| import.maps[map].areas.iter().map(|area| area.name.as_deref().unwrap()).collect::<Vec<_>>();
    assert_eq!((names(0), names(1)), (vec!["Lobby u1", "Opening o1-and-m"], vec!["Unit u2", "Unit u2 (2)"]));
}

#[test]
fn an_opening_is_a_strip_wide_enough_for_its_bend() {
    let import = building().read().unwrap();
    let door = &import.maps[0].areas[1];
    assert_eq!(door.tags, ["opening", "pedestrian"]);
    let [a, b, c, d, _] = rings(door)[0][..] else { panic!() };
    let corners = [(a, [10.0, 20.7]), (b, [12.0, 20.7]), (c, [12.0, 19.3]), (d, [10.0, 19.3])];
    assert!(corners.iter().all(|&(found, meant)| is_near(found, meant)), "{corners:?}");
}

#[test]
fn what_is_left_out_is_noted() {
    let mut building = building();
    building.openings[0]["geometry"]["coordinates"] = json!([at(1.0, 1.0), at(3.0, 1.0), at(1.0, 1.0)]);
    let notes = building.read().unwrap().notes;
    let texts: Vec<String> = notes.iter().map(|it| format!("{:?} {}", it.file.as_deref(), it.text)).collect();
    assert_eq!(
        texts,
        [
            "Some(\"opening.geojson\") left out, for the two ends of its line coincide: features[0]",
            "Some(\"unit.geojson\") left out, without geometry: features[2]",
            "Some(\"unit.geojson\") of several parts, each now a zone of its own, with /2, /3 and so on after its id: features[1]",
            "None left out, for only units and openings are zones: address (1), amenity (2)",
        ]
    );
    building.units.clear();
    let empty = building.read().unwrap();
    assert_eq!((empty.maps[1].width_m, &empty.maps[1].georeference), (None, &None));
    assert!(empty.notes[0].text.contains("\"Level 1\" has neither outline nor units"), "{:?}", empty.notes);
}

#[test]
fn names_are_of_the_default_language_else_of_the_first() {
    let lobby = |manifest: Value| {
        let import = Building { manifest, ..building() }.read().unwrap();
        import.maps[0].areas[0].name.clone().unwrap()
    };
    assert_eq!(
        (lobby(json!({"language": "EN"})), lobby(json!({"language": "de-CH"}))),
        ("Lobby".into(), "Halle".into())
    );
    assert_eq!((lobby(json!({"language": "fr"})), lobby(json!([]))), ("Halle".into(), "Halle".into()));
}

/// A map that lies as the ground level does, but 5 m farther right and down.
fn shifted() -> KnownMap {
    let ground = building().read().unwrap().maps[0].georeference.clone().unwrap();
    let shift = |point: ControlPoint| ControlPoint { x_m: point.x_m + 5.0, y_m: point.y_m + 5.0, ..point };
    let control_points = ground.control_points.into_iter().map(shift).collect();
    let georeference = Some(Georeference { control_points });
    KnownMap { site: Some(SiteId::from("campus")), ppm: None, georeference }
}

#[test]
fn a_level_can_be_placed_on_a_map_that_is_there() {
    let import = building().read_onto(&[(&GROUND.to_uppercase(), "m")], Some(shifted())).unwrap();
    assert_eq!((import.maps.len(), import.maps[0].id.to_string().as_str()), (1, UPPER));
    let [lobby, door] = &import.areas[..] else { panic!("{:?}", import.areas) };
    assert_eq!((&lobby.site, &door.map), (&Some(SiteId::from("campus")), &Some(MapId::from("m"))));
    assert!(is_near(rings(&lobby.plan)[0][0], [15.0, 25.0]), "{lobby:?}");
    assert!(
        import.notes[0].text.contains("is placed on map m, whose control points fit to 0.00 m"),
        "{:?}",
        import.notes
    );
}

#[test]
fn a_level_is_not_placed_where_nothing_says_how() {
    let onto = |level: &str, known| building().read_onto(&[(level, "m")], known).unwrap_err();
    assert!(
        onto(GROUND, None)
            .contains("level.geojson: features[0] \"Ground\": is to be placed on map m, which is not there")
    );
    assert!(
        onto(GROUND, Some(KnownMap::default())).contains("which has no georeference: give it control points first")
    );
    let georeference = Some(Georeference { control_points: vec![] });
    let few = onto(GROUND, Some(KnownMap { georeference, ..shifted() }));
    assert!(few.contains("its georeference is wrong: has 0 control point(s)"), "{few}");
    let twice = building().read_onto(&[(GROUND, "m"), (GROUND, "n")], Some(shifted())).unwrap_err();
    assert!(twice.contains("\"Ground\": is to be placed on map n, and on another"), "{twice}");
    let other = onto("cellar", Some(shifted()));
    assert_eq!(other, "level.geojson: features: level cellar, to be placed on map m, is no level of the archive\n");
}

#[test]
fn the_site_of_the_options_is_the_site() {
    let options = ImportOptions { site: Some(SiteId::from("campus")), ..ImportOptions::default() };
    let import = read(&building().files(), &options, &|_| None).unwrap();
    let campus = SiteId::from("campus");
    assert_eq!(import.maps[1].site.as_ref(), Some(&campus));
    assert_eq!(import.sites, [SitePlan { id: campus, name: Some("Museum".into()), time_zone: None }]);
}

#[test]
fn all_faults_are_told_at_once_each_with_its_file() {
    let mut building = building();
    let unit = |id: Value, level: Value, ring: Value| json!({"id": id, "properties": {"level_id": level, "name": {"en": "Cafe"}}, "geometry": polygon(vec![ring])});
    let good = || ring(0.0, 0.0, 4.0, 4.0);
    building.levels.push(building.levels[0].clone());
    building.units = vec![
        unit(Value::Null, json!(GROUND), good()),
        unit(json!("a"), json!("cellar"), good()),
        unit(json!("b"), json!(" "), good()),
        unit(json!("c"), json!(GROUND), json!([at(0.0, 0.0), at(4.0, 0.0), at(4.0, 4.0), at(0.0, 4.0)])),
        unit(json!("d"), json!(GROUND), json!([at(0.0, 0.0), at(4.0, 4.0), at(4.0, 0.0), at(0.0, 9.0), at(0.0, 0.0)])),
        unit(json!("e"), json!(GROUND), json!([at(0.0, 0.0), at(4.0, 0.0), at(9.0, 0.0), at(0.0, 0.0)])),
        unit(json!("f"), json!(GROUND), json!([[47.0, 8.0], [47.0, 108.0]])),
        unit(json!("g"), json!(GROUND), good()),
        unit(json!("g"), json!(GROUND), good()),
        json!({"feature_type": "level"}),
        json!({"id": "h", "properties": [], "geometry": null}),
        json!(7),
    ];
    building.openings[0]["geometry"] = polygon(vec![good()]);
    let faults = building.faults();
    let expected = [
        "level.geojson: features[2] \"Ground\": its id, bbbbbbbb-0000-4000-8000-000000000001, is there twice",
        "unit.geojson: features[0] \"Cafe\": `id` is missing",
        "unit.geojson: features[1] \"Cafe\": `level_id` is cellar, which is no level of the archive",
        "unit.geojson: features[2] \"Cafe\": `level_id` is missing",
        "unit.geojson: features[3] \"Cafe\": ring 0 is open",
        "unit.geojson: features[4] \"Cafe\": the polygon is not valid",
        "unit.geojson: features[5] \"Cafe\": the polygon has no area",
        "unit.geojson: features[6] \"Cafe\": position 1 of ring 0 must be [longitude, latitude] in degrees",
        "unit.geojson: features[8] \"Cafe\": its id, g, is there twice",
        "unit.geojson: features[9]: `feature_type` must be \"unit\" in this file",
        "unit.geojson: features[10]: `properties` must be an object, not a list",
        "unit.geojson: features[11]: must be an object, not a number",
        "opening.geojson: features[0]: its geometry must be a LineString",
    ];
    for fault in expected {
        assert!(faults.contains(fault), "{fault}\nis not in\n{faults}");
    }
    assert_eq!(faults.lines().count(), expected.len(), "{faults}");
}

#[test]
fn files_that_are_no_feature_collections_are_faults() {
    let faults = |name: &str, text: &str| {
        let mut files = building().files();
        files.iter_mut().find(|file| file.name == name).unwrap().bytes = text.into();
        told(&read(&files, &ImportOptions::default(), &|_| None).unwrap_err())
    };
    let cut = faults("manifest.json", "{\n  \"version\"");
    assert!(cut.starts_with("manifest.json: document: is not JSON: EOF") && cut.contains("line 2 column 11"), "{cut}");
    assert!(
        faults("unit.geojson", "[]")
            .contains("unit.geojson: document: must be a GeoJSON FeatureCollection, not a list")
    );
    assert!(faults("amenity.geojson", "{}").contains("amenity.geojson: document: must be"));
    let missing = faults("venue.geojson", "{\"type\": \"FeatureCollection\"}");
    assert!(missing.contains("but its `features` is missing"), "{missing}");
    let levels = faults("level.geojson", "null");
    assert_eq!(levels.lines().count(), 2, "{levels}");
    assert!(levels.contains("-: document: has no level.geojson that can be read"), "{levels}");
}

#[test]
fn a_mark_before_the_json_is_not_a_fault() {
    let mut files = building().files();
    files[2].bytes.splice(..0, *b"\xef\xbb\xbf");
    assert!(read(&files, &ImportOptions::default(), &|_| None).is_ok());
}

#[test]
fn a_level_that_is_no_floor_is_a_fault() {
    let mut building = building();
    building.levels[0]["geometry"] = json!({"type": "Polygon", "coordinates": [[[-179.9, 1], [179.9, 1], [179.9, 2]]]});
    assert!(building.faults().contains("m, but a level's sides are from 1 m to 100 km"), "{}", building.faults());
    building.levels[0]["geometry"] = json!({"type": "Polygon", "coordinates": [[[8, 1], [8, 1]]]});
    assert!(building.faults().contains("is 0.0 m by 0.0 m"), "{}", building.faults());
    building.levels = (0..2_001).map(|id| json!({"id": id})).collect();
    assert_eq!(building.faults(), "level.geojson: features: has 2001 levels, more than the 2000 allowed\n");
}

#[test]
fn a_level_has_an_end_and_so_have_its_faults() {
    let mut building = building();
    let unit = |id: usize| {
        let geometry = polygon(vec![ring(id as f64 / 200.0, 1.0, 1.0, 1.0)]);
        json!({"id": id, "properties": {"level_id": GROUND}, "geometry": geometry})
    };
    building.units = (0..AREAS_MAX).map(unit).collect();
    let full =
        "level.geojson: features[0] \"Ground\": has more than the 10000 units and openings that a map may have\n";
    assert_eq!(building.faults(), full);
    building.openings.clear();
    assert_eq!(building.read().unwrap().maps[0].areas.len(), AREAS_MAX);
    building.units = vec![json!({}); 2 * PROBLEMS_MAX];
    let problems = read(&building.files(), &ImportOptions::default(), &|_| None).unwrap_err();
    assert_eq!(problems.len(), PROBLEMS_MAX + 1);
    assert!(problems[PROBLEMS_MAX].reason.contains("3000 more faults are not told"), "{:?}", problems[PROBLEMS_MAX]);
}

#[test]
fn parts_do_not_multiply_long_properties() {
    let mut building = building();
    building.units[1]["properties"]["note"] = "n".repeat(100_000).into();
    assert!(building.read().is_ok());
    let parts: Vec<Value> = (0..200).map(|part| json!([ring(f64::from(part), 0.0, 0.5, 0.5)])).collect();
    building.units[1]["geometry"]["coordinates"] = parts.into();
    assert!(building.faults().contains("has too many parts for its long properties"), "{}", building.faults());
}

/// Members that the format knows, with values of all types.
fn document() -> impl Strategy<Value = Value> {
    let words = ["FeatureCollection", "Polygon", "MultiPolygon", "LineString", "unit", "level", "en", "l", "a"];
    let leaf = prop_oneof![
        Just(Value::Null),
        (-3i64..4).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(words.to_vec()).prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    let keys = ["id", "type", "feature_type", "features", "properties", "geometry", "coordinates"];
    let properties = ["name", "alt_name", "level_id", "category", "restriction", "ordinal", "language", "en"];
    let keys = prop::sample::select([&keys[..], &properties[..]].concat());
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(keys.clone(), inner, 0..9).prop_map(|map| json!(map)),
        ]
    })
}

/// A feature of level `l` or `a` that draws anything on a small grid.
fn drawing() -> impl Strategy<Value = Value> {
    let position = [-1i8..5, -1i8..5].prop_map(|[x, y]| json!([f64::from(x) * 1.0e-4, f64::from(y) * 1.0e-4]));
    let line = prop::collection::vec(position, 0..7);
    let parts = prop::collection::vec(prop::collection::vec(line, 0..3), 0..3);
    let id = prop::sample::select(vec!["l", "a", "b", ""]);
    (id.clone(), id, parts, 0..3).prop_map(|(id, level, parts, kind)| {
        let geometry = match (kind, parts.first()) {
            (0, Some(rings)) => json!({"type": "Polygon", "coordinates": rings}),
            (1, Some(rings)) => json!({"type": "LineString", "coordinates": rings.first()}),
            _ => json!({"type": "MultiPolygon", "coordinates": parts}),
        };
        json!({"id": id, "properties": {"level_id": level}, "geometry": geometry})
    })
}

fn features() -> impl Strategy<Value = Value> {
    let feature = prop_oneof![1 => document(), 4 => drawing()];
    prop_oneof![1 => document(), 9 => prop::collection::vec(feature, 0..4).prop_map(collection)]
}

proptest! {
    #[test]
    fn no_archive_makes_it_panic(manifest in document(), files in prop::array::uniform5(features())) {
        let names = ["venue.geojson", "level.geojson", "unit.geojson", "opening.geojson", "kiosk.geojson"];
        let documents = names.iter().zip(&files).map(|(name, document)| file(name, document.to_string()));
        let files: Vec<_> = documents.chain([file("manifest.json", manifest.to_string())]).collect();
        prop_assert!(is_imdf(&files));
        let onto = vec![("l".to_owned(), MapId::from("m"))];
        for onto in [vec![], onto] {
            let options = ImportOptions { onto, ..ImportOptions::default() };
            if let Err(problems) = read(&files, &options, &|_| Some(shifted())) {
                prop_assert!(!problems.is_empty());
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let files = [file("manifest.json", bytes.clone()), file("level.geojson", bytes)];
        prop_assert!(read(&files, &ImportOptions::default(), &|_| None).is_err());
    }

    #[test]
    fn a_frame_keeps_the_distances_of_the_ellipsoid(
        west in -179.0..179.0f64,
        north in -70.0..70.0f64,
        from in [0.0..0.5f64, 0.0..0.5f64],
        size in [0.1..0.5f64, 0.1..0.5f64],
    ) {
        let (height, width) = (200.0 / 111_320.0, 200.0 / (111_320.0 * north.to_radians().cos()));
        let degrees = |[x, y]: [f64; 2]| [west + x * width, north - y * height];
        let rectangle = |[x, y]: [f64; 2], [w, h]: [f64; 2]| {
            [[x, y], [x + w, y], [x + w, y + h], [x, y + h], [x, y]].map(degrees)
        };
        let unit = rectangle(from, size);
        let mut building = building();
        building.levels[0]["geometry"] = polygon(vec![json!(rectangle([0.0, 0.0], [1.0, 1.0]))]);
        building.units[0]["geometry"] = polygon(vec![json!(unit)]);
        building.openings.clear();
        let ground = &building.read().unwrap().maps[0];
        let zone = &rings(&ground.areas[0])[0];
        for (a, b) in (0..4).flat_map(|a| (0..a).map(move |b| (a, b))) {
            let on_map = (zone[a][0] - zone[b][0]).hypot(zone[a][1] - zone[b][1]);
            let on_earth = Geodesic.distance(Point::from(unit[a]), Point::from(unit[b]));
            prop_assert!((on_map - on_earth).abs() < 0.01, "{on_map} m on the map, {on_earth} m on Earth");
        }
        let placement = Placement::fit(ground.georeference.as_ref().unwrap()).unwrap();
        let [x, y] = placement.to_map(degrees([1.0, 1.0]));
        prop_assert!((x - ground.width_m.unwrap()).abs() < 1e-3 && (y - ground.height_m.unwrap()).abs() < 1e-3);
        prop_assert!(placement.to_map(degrees([0.0, 0.0])).iter().all(|metres| metres.abs() < 1e-6));
    }
}
