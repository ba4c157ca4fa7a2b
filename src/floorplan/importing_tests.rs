//! Uploads as people have them, whole and broken.

use serde_json::{Value, json};

use super::{Import, ImportOptions, KnownMap, SourceFile, read_import, write_map};
use crate::model::floorplan::Shape;
use crate::model::ids::{AreaKind, MapId, SiteId};

const SITE: &str = "72771e6a-6f5e-4de4-a5b9-1266c4197811";
const MAP: &str = "63eda950-c6da-11e4-a628-60f81dd250cc";

fn file(name: &str, document: Value) -> SourceFile {
    SourceFile { name: name.into(), bytes: document.to_string().into_bytes() }
}

fn read(files: Vec<SourceFile>) -> Result<Import, String> {
    read_with(files, &ImportOptions::default())
}

fn read_with(files: Vec<SourceFile>, options: &ImportOptions) -> Result<Import, String> {
    let known = |id: &MapId| {
        let is_known = *id == MapId::from("known");
        is_known.then_some(KnownMap { site: None, ppm: Some(10.0), georeference: None })
    };
    read_import(files, options, &known).map_err(|problems| {
        let line = |p: &super::Problem| format!("{}|{}: {}\n", p.file.as_deref().unwrap_or("-"), p.feature, p.reason);
        problems.iter().map(line).collect()
    })
}

fn map_object() -> Value {
    json!({"name": "Mist Office", "type": "image", "ppm": 40.0, "width": 1200, "height": 1600})
}

fn zone(id: &str, map: &str) -> Value {
    json!({"id": id, "name": format!("zone {id}"), "map_id": map, "vertices":
        [{"x": 400, "y": 400}, {"x": 800, "y": 400}, {"x": 800, "y": 600}]})
}

fn png() -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend([0, 0, 4, 176, 0, 0, 6, 64, 8, 2, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

#[test]
fn a_backup_becomes_sites_maps_and_images() {
    let other = "845a23bf-bed9-e43c-4c86-6fa474be7ae5";
    let mut map = map_object();
    map["id"] = MAP.into();
    let backup = json!({
        "org": {"id": "o", "sites": [{"id": SITE, "name": "HQ", "timezone": "Europe/Zurich"},
            {"id": other, "name": "Depot", "timezone": "Mars/Olympus"}], "wlans": []},
        "sites": {SITE: {"maps": [map], "zones": [zone("a", MAP)], "wlans": null, "vbeacons": [{"id": "b", "name": "Desk",
            "map_id": MAP, "x": 80, "y": 40}], "rssizones": [{"id": "c", "devices": []}], "devices": [{"id": "d", "type": "ap",
            "map_id": MAP, "x": 4, "y": 8}, {"id": "e", "type": "switch"}]},
            other: {"maps": null}}
    });
    let image = format!("org_conf_file_org_o_site_{SITE}_map_{MAP}.png");
    let stray = SourceFile { name: "logo.png".into(), bytes: png() };
    let import = read(vec![
        file("org_conf_file.json", backup),
        SourceFile { name: image.clone(), bytes: png() },
        stray,
        SourceFile { name: "readme.txt".into(), bytes: b"hello".to_vec() },
    ])
    .unwrap();
    let sites: Vec<_> = import.sites.iter().map(|s| (s.name.as_deref().unwrap(), s.time_zone.as_deref())).collect();
    assert_eq!(sites, [("HQ", Some("Europe/Zurich")), ("Depot", None)]);
    let [map] = import.maps.as_slice() else { panic!("{import:?}") };
    assert_eq!((map.site.as_ref(), map.areas.len(), map.access_points.len()), (Some(&SiteId::from(SITE)), 2, 1));
    let [rssizone] = import.areas.as_slice() else { panic!("{import:?}") };
    assert_eq!((rssizone.plan.id.kind, rssizone.site.as_ref()), (AreaKind::Rssizone, Some(&SiteId::from(SITE))));
    let [found] = import.images.as_slice() else { panic!() };
    assert_eq!(
        (found.file.as_str(), found.width_px, found.map.to_string().as_str()),
        (image.as_str(), Some(1200), MAP)
    );
    let notes: Vec<String> = import.notes.iter().map(|n| format!("{:?} {}", n.file, n.text)).collect();
    for told in ["no time zone \"Mars/Olympus\"", "1 x device that is no access point", "logo.png", "readme.txt"] {
        assert!(notes.iter().any(|note| note.contains(told)), "{told} is not in {notes:?}");
    }
}

#[test]
fn the_vendors_examples_without_ids_find_each_other_and_keep_their_ids() {
    let files = || {
        vec![
            file("map.json", map_object()),
            file("mall.json", json!({"name": "Mall", "type": "google", "latlng_tl": {"lat": 1, "lng": 2}})),
            file("zone.json", {
                let mut zone = zone("", MAP);
                zone.as_object_mut().unwrap().remove("id");
                zone
            }),
            file("device.json", json!({"name": "conference room", "map_id": MAP, "x": 53.5, "y": 173.1, "height": 3})),
        ]
    };
    let import = read(files()).unwrap();
    assert_eq!((import.maps.len(), import.maps[0].id.to_string().as_str()), (2, MAP));
    assert_eq!((import.maps[0].areas.len(), import.maps[0].access_points.len()), (1, 1));
    assert!(matches!(import.maps[1].id.to_string().as_bytes()[14], b'8'), "a made id: {}", import.maps[1].id);
    assert_eq!(read(files()).unwrap(), import);
    let again = read_import(files(), &ImportOptions::default(), &|_| Some(KnownMap::default())).unwrap();
    assert_eq!(again, import, "a map that the server has by now is the same map");
    let alone = read(vec![files().remove(2)]).unwrap_err();
    assert_eq!(alone, "zone.json|zone: is given in pixels, but its map has no `ppm` (pixels per metre)\n");
}

#[test]
fn areas_of_a_map_that_the_server_has_take_its_scale() {
    let import = read(vec![file("zones.json", json!({"results": [zone("a", "known")]}))]).unwrap();
    let Shape::Zone(outline) = &import.areas[0].plan.shape else { panic!() };
    assert_eq!(outline.rings().next().unwrap()[1], [80.0, 40.0]);
    let collection = json!({"type": "FeatureCollection", "units": "pixels", "features": [{"type": "Feature",
        "properties": {"name": "Lab"}, "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [50, 0], [50, 50], [0, 0]]]}}]});
    let options = ImportOptions { map: Some(MapId::from("known")), ..ImportOptions::default() };
    let import = read_with(vec![file("zones.geojson", collection.clone())], &options).unwrap();
    let map = &import.maps[0];
    assert_eq!((map.id.clone(), map.width_m, map.areas[0].name.as_deref()), (MapId::from("known"), None, Some("Lab")));
    assert_eq!(write_map(map, None).unwrap()["features"][0]["geometry"], collection["features"][0]["geometry"]);
    assert!(read(vec![file("zones.geojson", collection)]).unwrap_err().contains("names no map"));
}

#[test]
fn all_that_is_wrong_is_told_with_file_feature_and_reason() {
    let open = json!({"type": "FeatureCollection", "map_id": "g", "features": [
        {"type": "Feature", "id": "open", "properties": {"name": "Cafe"},
            "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 4]]]}},
        {"type": "Feature", "id": "knot", "geometry": {"type": "Polygon",
            "coordinates": [[[0, 0], [4, 4], [4, 0], [0, 3], [0, 0]]]}},
        {"type": "Feature", "id": "flat", "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [8, 0], [0, 0]]]}}]});
    let told = read(vec![
        file("floor.geojson", open),
        file("zones.json", json!([zone("twin", "known"), zone("lost", "elsewhere")])),
        file("more.json", json!([zone("twin", "known")])),
        SourceFile { name: "g.png".into(), bytes: b"GIF89a".to_vec() },
        SourceFile { name: "broken.json".into(), bytes: b"{\n \"id\": }".to_vec() },
    ])
    .unwrap_err();
    for line in [
        "broken.json|document: is not JSON: expected value at line 2 column 8",
        "floor.geojson|features[0] \"Cafe\": ring 0 is open: its last position must repeat its first",
        "floor.geojson|features[1]: the polygon is not valid",
        "floor.geojson|features[2]: the polygon has no area",
        "zones.json|[1] \"zone lost\": is given in pixels, but its map has no `ppm`",
        "more.json|[0] \"zone twin\": its id, twin, is there twice: it is in zones.json, too",
        "g.png|image: this is no PNG, JPEG or SVG image",
    ] {
        assert!(told.lines().any(|found| found.starts_with(line)), "{line:?} is not in:\n{told}");
    }
    assert_eq!(told.lines().count(), 7, "{told}");
}

#[test]
fn an_image_is_of_the_map_of_its_name_or_of_the_file_beside_it() {
    let floor = |map: &str| json!({"type": "FeatureCollection", "map_id": map, "features": []});
    let image = |name: &str| SourceFile { name: name.into(), bytes: png() };
    let import = read(vec![
        file("a/ground.geojson", floor("g")),
        file("first.geojson", floor("f")),
        image("a/ground.png"),
        image("x_map_f.png"),
        image("known.png"),
        image("ground.png"),
    ])
    .unwrap();
    let maps: Vec<String> = import.images.iter().map(|image| image.map.to_string()).collect();
    assert_eq!(maps, ["g", "f", "known"]);
    assert_eq!(import.notes.len(), 1, "{:?}", import.notes);
    let twice = read(vec![file("g.geojson", floor("g")), image("g.png"), image("g.jpg")]).unwrap_err();
    assert_eq!(twice, "g.jpg|image: is a second image of map g\n");
}

#[test]
fn what_is_no_floorplan_is_a_fault_alone_and_a_note_beside_one() {
    let delivery = json!({"topic": "location", "events": []});
    assert!(read(vec![file("delivery.json", delivery.clone())]).unwrap_err().contains("holds no map, zone"));
    assert!(read(vec![]).unwrap_err().contains("there is no floorplan in it"));
    let import = read(vec![file("delivery.json", delivery), file("m.json", json!({"id": "m", "width_m": 3}))]).unwrap();
    assert!(import.notes[0].text.starts_with("left out: 1 x webhook delivery"), "{:?}", import.notes);
}

#[test]
fn a_map_document_of_our_own_may_hold_zones_in_degrees() {
    let document = json!({"id": "m", "site_id": "s", "width_m": 100, "height_m": 80,
        "georeference": {"control_points": [{"lon_deg": 8.5, "lat_deg": 47.5, "x_m": 0, "y_m": 0},
            {"lon_deg": 8.501, "lat_deg": 47.5, "x_m": 75.3, "y_m": 0}]},
        "zones": {"type": "FeatureCollection", "units": "wgs84", "features": [{"type": "Feature", "id": "z",
            "geometry": {"type": "Polygon", "coordinates": [[[8.5, 47.5], [8.501, 47.5], [8.501, 47.4995], [8.5, 47.5]]]}}]}});
    let import = read(vec![file("m.json", document)]).unwrap();
    let Shape::Zone(outline) = &import.maps[0].areas[0].shape else { panic!() };
    let corner = outline.rings().next().unwrap()[2];
    assert!((corner[0] - 75.3).abs() < 0.1 && (corner[1] - 55.6).abs() < 0.2, "{corner:?}");
    assert!(import.notes[0].text.contains("control points fit to 0.00 m"), "{:?}", import.notes);
}

#[test]
fn made_ids_follow_the_map_however_its_id_is_written_and_tell_namesakes_apart() {
    let floor = |map: Value| {
        let feature = |side: i32| {
            json!({"type": "Feature", "properties": {"name": "Room"}, "geometry": {"type": "Polygon",
                "coordinates": [[[0, 0], [side, 0], [side, side], [0, 0]]]}})
        };
        json!({"type": "FeatureCollection", "map_id": map, "features": [feature(4), feature(5)]})
    };
    let ids = |map: Value| -> Vec<String> {
        let import = read(vec![file("f.geojson", floor(map))]).unwrap();
        import.maps[0].areas.iter().map(|area| area.id.id.to_string()).collect()
    };
    assert_eq!(ids(json!(MAP)), ids(json!(MAP.to_uppercase())));
    assert!(ids(json!(1)) != ids(json!(2)) && ids(json!(1))[0] != ids(json!(1))[1]);
}

#[test]
fn a_map_that_was_placed_elsewhere_is_exported_where_it_is() {
    let control_points = |x_m: f64| {
        json!({"control_points": [{"lon_deg": 8.5, "lat_deg": 47.5, "x_m": x_m, "y_m": 0.0},
            {"lon_deg": 8.501, "lat_deg": 47.5, "x_m": x_m + 75.3, "y_m": 0.0}]})
    };
    let document = json!({"type": "FeatureCollection", "map_id": "m", "georeference": control_points(0.0), "features": [
        {"type": "Feature", "id": "z", "geometry": {"type": "Polygon",
            "coordinates": [[[8.5, 47.5], [8.501, 47.5], [8.501, 47.4995], [8.5, 47.5]]]}}]});
    let mut map = read(vec![file("m.geojson", document.clone())]).unwrap().maps.remove(0);
    assert_eq!(write_map(&map, None).unwrap(), document);
    let moved =
        json!({"type": "FeatureCollection", "map_id": "m", "georeference": control_points(50.0), "features": []});
    map.georeference = read(vec![file("m.geojson", moved)]).unwrap().maps.remove(0).georeference;
    let exported = write_map(&map, None).unwrap();
    assert_eq!(exported["georeference"], control_points(50.0));
    let again = read(vec![file("m.geojson", exported)]).unwrap().maps.remove(0);
    let (Shape::Zone(outline), Shape::Zone(other)) = (&map.areas[0].shape, &again.areas[0].shape) else { panic!() };
    for ([x, y], [other_x, other_y]) in outline.rings().flatten().zip(other.rings().flatten()) {
        assert!((x - other_x).hypot(y - other_y) < 1e-6);
    }
}

#[test]
fn a_beacon_keeps_what_it_is_through_geojson() {
    let vbeacon =
        json!({"id": "b", "map_id": "m", "x_m": 1, "y_m": 2, "uuid": "u", "major": 7, "power_mode": "default"});
    let map = json!({"id": "m", "width_m": 9});
    let import = read(vec![file("m.json", json!([map, vbeacon]))]).unwrap();
    let exported = write_map(&import.maps[0], None).unwrap();
    let again = read(vec![file("m.geojson", exported)]).unwrap();
    assert_eq!(again.maps[0].areas[0].shape, import.maps[0].areas[0].shape);
}

#[test]
fn collections_of_one_map_complete_each_other_and_images_alone_are_an_upload() {
    let part = |members: Value| {
        let mut document = json!({"type": "FeatureCollection", "map_id": "sp", "features": []});
        for (key, value) in members.as_object().unwrap() {
            document[key] = value.clone();
        }
        document
    };
    let files = vec![file("a.geojson", part(json!({}))), file("b.geojson", part(json!({"name": "N", "site_id": "s"})))];
    let map = read(files).unwrap().maps.remove(0);
    assert_eq!((map.name.as_deref(), map.site), (Some("N"), Some(SiteId::from("s"))));
    let image = SourceFile { name: "known.png".into(), bytes: png() };
    let readme = SourceFile { name: "readme.txt".into(), bytes: b"hello".to_vec() };
    assert_eq!(read(vec![image, readme]).unwrap().images.len(), 1);
}

#[test]
fn more_json_than_can_be_held_is_refused_before_it_is_parsed() {
    let file = SourceFile { name: "a.json".into(), bytes: vec![b'['; 33 << 20] };
    assert!(read(vec![file]).unwrap_err().contains("bytes of JSON, more than the"));
}
