//! Floorplans as people have them: imported whole or not at all, given back as they came, and kept in every version.

use std::fs;

use footfall::floorplan::SourceFile;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{LOBBY, MAP, SITE, START_S, TestApp, ask, shared};

fn file(name: &str, document: &Value) -> SourceFile {
    SourceFile { name: name.into(), bytes: document.to_string().into_bytes() }
}

/// What an import did: "new zone Cafe", sorted.
fn told(answer: &Value) -> Vec<String> {
    let things = answer["things"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let mut lines: Vec<String> = things
        .iter()
        .map(|thing| {
            let [effect, what, id] = ["effect", "what", "id"].map(|key| thing[key].as_str().unwrap());
            format!("{effect} {what} {}", thing["name"].as_str().unwrap_or(id))
        })
        .collect();
    lines.sort();
    lines
}

fn square(id: &str, name: &str, from: f64, to: f64) -> Value {
    json!({"type": "Feature", "id": id, "properties": {"name": name}, "geometry": {"type": "Polygon",
        "coordinates": [[[from, from], [to, from], [to, to], [from, to], [from, from]]]}})
}

fn floor(features: Vec<Value>) -> Value {
    json!({"type": "FeatureCollection", "map_id": MAP, "site_id": SITE, "name": "Ground", "width_m": 20, "height_m": 20,
        "features": features})
}

#[tokio::test(flavor = "multi_thread")]
async fn every_map_and_zone_the_vendor_documents_is_imported() {
    let Some(folder) = shared("reference/mist-examples") else { return };
    let read = |name: &str| SourceFile { name: name.into(), bytes: fs::read(folder.join(name)).unwrap() };
    let app = TestApp::start().await;
    let names = [
        "map.json",
        "map-2.json",
        "zone.json",
        "zone-stats.json",
        "zone-stats-2.json",
        "rssizone.json",
        "rssizone-stats.json",
        "vbeacon.json",
        "beacon.json",
        "device.json",
        "device-2.json",
    ];
    let (status, answer) = app.import("site=hq", &names.map(read)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let things = [
        "new access_point conference room",
        "new access_point conference room",
        "new map Mist Office",
        "new map Oakridge Mall",
        "new rssizone Board Room",
        "new rssizone proximity openspace",
        "new vbeacon conference room",
        "new zone Board Room",
        "new zone Zone A",
    ];
    assert_eq!(told(&answer), things);
    let office = app.get("/v1/maps/63eda950-c6da-11e4-a628-60f81dd250cc").await;
    assert_eq!((office["areas"].as_array().unwrap().len(), &office["site_id"]), (2, &json!("hq")));
    assert_eq!(office["access_points"].as_array().unwrap().len(), 2);
    let notes = answer["notes"].to_string();
    assert!(notes.contains("1 x beacon (not a virtual one)") && notes.contains("statistic without corners"), "{notes}");
    // Each alone says what it lacks, or is taken.
    for name in names {
        let (status, answer) = TestApp::start().await.import("", &[read(name)]).await;
        match name {
            "map.json" | "map-2.json" | "zone-stats.json" | "rssizone.json" | "rssizone-stats.json" => {
                assert_eq!(status, StatusCode::OK, "{name}: {answer}");
            }
            _ => {
                assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{name}: {answer}");
                assert_eq!(answer["errors"][0]["file"], name, "{answer}");
            }
        }
    }
    // All that is documented, deliveries and settings among it: what is no floorplan is left out with a note.
    let mut all: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    all.sort();
    let files: Vec<_> = all.iter().map(|name| read(name.to_str().unwrap())).collect();
    let (status, answer) = app.import("site=hq", &files).await;
    assert_eq!((status, &answer["unchanged"]), (StatusCode::OK, &json!(things.len())), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn geojson_is_given_back_as_it_came_in_any_units() {
    let app = TestApp::start().await;
    let geometry = |corners: Value| json!({"type": "Polygon", "coordinates": [corners]});
    let zone = |id: Value, corners: Value| {
        json!({"type": "Feature", "id": id, "bbox": [0, 0, 1, 1], "x-layer": {"colour": "#fff"},
            "properties": {"name": "Cafe", "tags": ["food"], "seats": 12.5, "open": null}, "geometry": geometry(corners)})
    };
    let metres = json!({"type": "FeatureCollection", "map_id": "m1", "name": "Ground", "x-source": [1, 2.25],
        "features": [zone(json!(7), json!([[0, 0, 3.1], [4.1, 0, 3.1], [4.1, 3.3, 3.1], [0, 0, 3.1]])),
            {"type": "Feature", "id": "desk", "properties": {"kind": "vbeacon"}, "geometry":
                {"type": "Point", "coordinates": [1.1, 2.2]}}]});
    let pixels = json!({"type": "FeatureCollection", "id": "m2", "ppm": 30.25, "crs": null,
        "features": [zone(json!("A1"), json!([[732, 1821], [732.5, 1731], [837.5, 1731.5], [732, 1821]]))]});
    let control_points = json!({"control_points": [{"lon": 8.5, "lat": 47.5, "x_m": 0, "y_m": 0},
        {"lon": 8.501, "lat": 47.4995, "x_m": 75.33, "y_m": 55.59}, {"lon": 8.5, "lat": 47.4995, "x_m": 0, "y_m": 55.6}]});
    let wgs84 = json!({"type": "FeatureCollection", "map_id": "m3", "georeference": control_points,
        "features": [zone(json!("B"), json!([[8.5, 47.5], [8.5005, 47.5], [8.5005, 47.4999], [8.5, 47.5]]))]});
    let files = [file("a.geojson", &metres), file("b.geojson", &pixels), file("c.geojson", &wgs84)];
    let (status, answer) = app.import("", &files).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let app = app.restart().await;
    for (id, sent) in [("m1", &metres), ("m2", &pixels), ("m3", &wgs84)] {
        assert_eq!(app.get(&format!("/v1/maps/{id}?format=geojson")).await, *sent);
    }
    let in_metres = app.get("/v1/maps/m3?format=geojson&units=metres").await;
    let corner = &in_metres["features"][0]["geometry"]["coordinates"][0][1];
    assert!((corner[0].as_f64().unwrap() - 37.66).abs() < 0.02 && corner[1].as_f64().unwrap().abs() < 0.02, "{corner}");
    assert_eq!(in_metres["features"][0]["properties"]["seats"], 12.5);
    let (status, problem) = app.call(Method::GET, "/v1/maps/m1?format=geojson&units=wgs84", None).await;
    assert_eq!((status, problem["detail"].to_string().contains("no georeference")), (StatusCode::BAD_REQUEST, true));
    // The same again changes nothing, and what was given back is the same.
    let back = [file("a.geojson", &app.get("/v1/maps/m1?format=geojson").await), file("c.geojson", &in_metres)];
    let (_, again) = app.import("", &files).await;
    assert_eq!((&again["unchanged"], &again["changed"]), (&json!(7), &json!(0)), "{again}");
    assert_eq!(app.import("dry_run=true", &back[..1]).await.1["unchanged"], 3);
    let (_, moved) = app.import("", &back[1..]).await;
    assert_eq!(told(&moved), ["changed map m3", "changed zone Cafe"]);
    assert_eq!(app.get("/v1/areas?map=m3").await["areas"][0]["version"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_all_or_nothing_and_a_dry_run_says_what_it_would_be() {
    let app = TestApp::start().await;
    app.upload_map().await;
    let before = app.get(&format!("/v1/maps/{MAP}")).await;
    let good = floor(vec![square(LOBBY, "Lobby", 0.0, 5.0), square("cafe", "Cafe", 6.0, 9.0)]);
    let bad = json!({"type": "FeatureCollection", "map_id": "other", "features": [
        {"type": "Feature", "id": "knot", "properties": {"name": "Knot"}, "geometry": {"type": "Polygon",
            "coordinates": [[[0, 0], [4, 4], [4, 0], [0, 3], [0, 0]]]}}]});
    let picture = SourceFile { name: format!("{MAP}.png"), bytes: b"not a picture".to_vec() };
    let files = [file("good.geojson", &good), file("bad.geojson", &bad), picture];
    let (status, problem) = app.import("", &files).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    let faults: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|e| (&e["file"], &e["place"])).collect();
    let image = json!(format!("{MAP}.png"));
    assert_eq!(faults, [(&json!("bad.geojson"), &json!("features[0] \"Knot\"")), (&image, &json!("image"))]);
    assert_eq!(app.get(&format!("/v1/maps/{MAP}")).await, before);

    for (query, things) in [
        ("", vec!["changed map Ground", "changed zone Lobby", "new zone Cafe"]),
        ("replace=true", vec!["changed map Ground", "changed zone Lobby", "ended zone Desk", "new zone Cafe"]),
    ] {
        let (status, would) = app.import(&format!("dry_run=true&{query}"), &files[..1]).await;
        assert_eq!((status, told(&would)), (StatusCode::OK, things.iter().map(ToString::to_string).collect()));
        assert_eq!(app.get(&format!("/v1/maps/{MAP}")).await, before, "a dry run changed something");
        assert_eq!(app.get("/v1/areas?kind=zone").await["areas"].as_array().unwrap().len(), 2);
    }
    let (_, would) = app.import("dry_run=true&replace=true", &files[..1]).await;
    let (_, did) = app.import("replace=true", &files[..1]).await;
    assert_eq!(did["things"], would["things"]);
    let names = app.get("/v1/areas").await;
    let mapped = names["areas"].as_array().unwrap().iter().filter(|area| area["is_mapped"] == true);
    assert_eq!(mapped.map(|area| &area["name"]).collect::<Vec<_>>(), [&json!("Cafe"), &json!("Lobby")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_offers_the_past_of_what_it_draws() {
    let app = TestApp::start().await;
    app.deliver(&crate::harness::delivery("location", vec![crate::harness::fix("00000000000a", 0.0, 1.0, 1.0)])).await;
    let (_, answer) = app.import("", &[file("f.geojson", &floor(vec![square("cafe", "Cafe", 0.0, 9.0)]))]).await;
    assert_eq!(answer["rebuild_offer"]["fixes"], 1, "{answer}");
    assert_eq!(answer["rebuild_offer"]["request"], json!({"map_id": MAP}));
    assert_eq!(
        answer["things"][0],
        json!({"what": "map", "id": MAP, "name": "Ground", "map_id": null, "effect": "new"})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_of_a_map_its_zones_and_its_image_is_there_at_its_time() {
    let app = TestApp::start().await;
    let png = |width: u8| {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend([0, 0, 0, width, 0, 0, 0, 9, 8, 2, 0, 0, 0, 0, 0, 0, 0]);
        SourceFile { name: format!("{MAP}.png"), bytes }
    };
    let small = floor(vec![square("cafe", "Cafe", 0.0, 5.0), square("shop", "Shop", 6.0, 9.0)]);
    let mut large = floor(vec![square("cafe", "Café", 0.0, 8.0)]);
    large["width_m"] = json!(25);
    let at = |hours: i64| (START_S + hours * 3600) * 1000;
    app.clock.set(at(1));
    let (status, answer) = app.import("", &[file("f.geojson", &small), png(10)]).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    app.clock.set(at(3));
    app.import("replace=true", &[file("f.geojson", &large), png(20)]).await;
    app.clock.set(at(5));
    assert_eq!(app.call(Method::DELETE, "/v1/areas/cafe", None).await.0, StatusCode::NO_CONTENT);
    app.clock.set(at(7));
    let app = app.restart().await;
    let names = |areas: &Value| -> Vec<String> {
        areas.as_array().unwrap().iter().map(|area| area["name"].as_str().unwrap().to_owned()).collect()
    };
    // Hours back from now: before anything, then each version, then now.
    for (back, areas, width_m) in [
        ("-6.5h", vec![], json!(null)),
        ("-6h", vec!["Cafe", "Shop"], json!(20.0)),
        ("-5h", vec!["Cafe", "Shop"], json!(20.0)),
        ("-4h", vec!["Café"], json!(25.0)),
        ("-2h", vec![], json!(25.0)),
    ] {
        let instant = format!("at={}", back.replace("6.5h", "390m"));
        assert_eq!(names(&app.get(&format!("/v1/areas?{instant}")).await["areas"]), areas, "{back}");
        let map = app.get(&format!("/v1/maps/{MAP}?{instant}")).await;
        assert_eq!(
            (names(&map["areas"]), &map["width_m"]),
            (areas.iter().map(ToString::to_string).collect(), &width_m)
        );
    }
    assert_eq!(app.get(&format!("/v1/maps/{MAP}?at=-5h&format=geojson")).await, small);
    let versions = app.get("/v1/areas/cafe/versions").await;
    let told: Vec<_> = versions["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| (&v["version"], v["valid_from"].as_str().unwrap(), v["valid_to"].as_str().unwrap()))
        .collect();
    let instant = |hours: i64| footfall::model::time::rfc3339(at(hours));
    assert_eq!(
        told,
        [(&json!(2), instant(3).as_str(), instant(5).as_str()), (&json!(1), instant(1).as_str(), instant(3).as_str())]
    );
    let maps = app.get(&format!("/v1/maps/{MAP}/versions")).await;
    assert_eq!((&maps["versions"][0]["width_m"], &maps["versions"][0]["valid_to"]), (&json!(25.0), &Value::Null));
    for (query, width) in [("", 20), ("?at=-5h", 10)] {
        let image = app.client.get(format!("{}/v1/maps/{MAP}/image{query}", app.base)).send().await.unwrap();
        assert_eq!(image.bytes().await.unwrap()[19], width);
    }
    for path in ["/v1/maps/none/versions", "/v1/areas/none/versions"] {
        assert_eq!(app.call(Method::GET, path, None).await.0, StatusCode::NOT_FOUND);
    }
    let dir = app.stop().await;
    let kept = "SELECT count(*), count(DISTINCT area_key) FROM store.area_versions";
    assert_eq!(ask(&dir.path().join("footfall.duckdb"), kept), ["3 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_would_fill_the_memory_is_refused_and_the_server_goes_on() {
    let app = TestApp::start().await;
    let zeros = SourceFile { name: "a.json".into(), bytes: vec![b' '; 90 << 20] };
    let files = ["a.json", "b.json", "c.json"].map(|name| SourceFile { name: name.into(), bytes: zeros.bytes.clone() });
    let (status, problem) = app.import("", &files).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(problem["errors"][0]["reason"].as_str().unwrap().contains("unpacks to more than"), "{problem}");
    for (query, detail) in [("units=feet", "`units`"), ("onto=x", "`onto`"), ("ppm=0", "`ppm`"), ("mapp=x", "mapp")] {
        let (status, problem) = app.import(query, &[]).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{problem}");
    }
    let (status, problem) = app.import("", &[]).await;
    assert_eq!(
        (status, problem["errors"].as_array().unwrap().len()),
        (StatusCode::UNPROCESSABLE_ENTITY, 1),
        "{problem}"
    );
}

/// Fixes of some clients in the corner of a map, a minute apart.
fn crowd(map: &str, site: &str) -> Value {
    let fixes = (0..5).flat_map(|client| (0..3).map(move |minute| (client, minute)));
    let events: Vec<Value> = fixes
        .map(|(client, minute)| {
            let mut event = crate::harness::fix(&format!("00000000000{client}"), f64::from(minute) * 60.0, 1.0, 1.0);
            event["map_id"] = map.into();
            event["site_id"] = site.into();
            event
        })
        .collect();
    crate::harness::delivery("location", events)
}

async fn rebuilt_visits(app: &TestApp, request: Value) -> Value {
    let (status, asked) = app.call(Method::POST, "/v1/rebuilds", Some(request)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{asked}");
    for _ in 0..500 {
        let found = app.get(&format!("/v1/rebuilds/{}", asked["rebuild_id"])).await;
        if found["state"] == "done" {
            return found["visits"].clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the rebuild does not end")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_map_that_moves_to_another_site_takes_its_zones_along() {
    let app = TestApp::start().await;
    let map = |site: &str, features: Vec<Value>| json!({"type": "FeatureCollection", "map_id": "w", "site_id": site, "features": features});
    app.import("", &[file("w.geojson", &map("wrong", vec![square("wz", "Zone", 0.0, 5.0)]))]).await;
    app.import("", &[file("w.geojson", &map("right", vec![]))]).await;
    app.deliver(&crowd("w", "right")).await;
    assert_eq!(app.get("/v1/areas?site=right").await["areas"][0]["area_id"], "wz");
    assert_eq!(app.get("/v1/occupancy?site=right").await["areas"][0]["current"], 5);
    for request in [json!({"map_id": "w"}), json!({"area_id": "wz"}), json!({})] {
        assert_eq!(rebuilt_visits(&app, request).await, 5);
    }
    // A zone that says another site than its map lies where the map is.
    let zone = json!([{"id": "late", "map_id": "w", "site_id": "wrong", "vertices_m":
        [{"x": 0, "y": 0}, {"x": 5, "y": 0}, {"x": 5, "y": 5}]}]);
    app.import("", &[file("zones.json", &zone)]).await;
    assert_eq!(app.get("/v1/areas/late").await["site_id"], "right");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_on_a_map_that_only_events_know_counts() {
    let app = TestApp::start().await;
    app.deliver(&crowd("u1", SITE)).await;
    let zone = json!([{"id": "z", "map_id": "u1", "vertices_m":
        [{"x": 0, "y": 0}, {"x": 5, "y": 0}, {"x": 5, "y": 5}, {"x": 0, "y": 5}]}]);
    let (_, answer) = app.import("", &[file("zones.json", &zone)]).await;
    assert_eq!(answer["rebuild_offer"]["fixes"], 15);
    assert_eq!(rebuilt_visits(&app, json!({"map_id": "u1"})).await, 5);
    app.deliver(&crate::harness::delivery(
        "location",
        vec![{
            let mut event = crate::harness::fix("0000000000aa", 200.0, 1.0, 1.0);
            event["map_id"] = "u1".into();
            event
        }],
    ))
    .await;
    let app = app.restart().await;
    assert_eq!(app.get("/v1/occupancy?area=z").await["areas"][0]["current"], 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_exports_of_several_maps_goes_back_where_it_was() {
    let app = TestApp::start().await;
    let map = |id: &str, zone: &str| json!({"type": "FeatureCollection", "map_id": id, "ppm": 10, "units": "metres", "features": [square(zone, zone, 0.0, 4.0)]});
    app.import("", &[file("a.geojson", &map("ma", "za")), file("b.geojson", &map("mb", "zb"))]).await;
    let exported = app.get("/v1/areas?format=geojson&units=pixels").await;
    assert_eq!(exported["features"][0]["geometry"]["coordinates"][0][1], json!([40.0, 0.0]));
    let (status, answer) = app.import("", &[file("all.geojson", &exported)]).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let areas = app.get("/v1/areas").await;
    let lying: Vec<_> = areas["areas"]
        .as_array()
        .unwrap()
        .iter()
        .map(|area| (&area["map_id"], &area["area_id"], &area["shape"]["rings"][0][1]))
        .collect();
    let corner = json!([4.0, 0.0]);
    assert_eq!(lying, [(&json!("ma"), &json!("za"), &corner), (&json!("mb"), &json!("zb"), &corner)]);
    let feature = json!([{"type": "Feature", "id": "px", "map_id": "ma", "geometry": {"type": "Polygon",
        "coordinates": [[[400, 400], [800, 400], [800, 800], [400, 400]]]}}]);
    app.import("units=pixels", &[file("f.json", &feature)]).await;
    assert_eq!(app.get("/v1/areas/px").await["shape"]["rings"][0][0], json!([40.0, 40.0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacing_list_of_zones_and_devices_tells_all_that_it_ends() {
    let app = TestApp::start().await;
    app.import("", &[file("f.geojson", &floor(vec![square("r1", "R1", 0.0, 4.0), square("r2", "R2", 5.0, 9.0)]))])
        .await;
    let devices = |ids: &[&str]| {
        let device = |id: &&str| json!({"id": id, "type": "ap", "map_id": MAP, "x_m": 1, "y_m": 1});
        json!(ids.iter().map(device).collect::<Vec<_>>())
    };
    app.import("", &[file("d.json", &devices(&["ap1", "ap2"]))]).await;
    let zones = json!([{"id": "r1", "name": "R1", "map_id": MAP, "vertices_m":
        [{"x": 0, "y": 0}, {"x": 4, "y": 0}, {"x": 4, "y": 4}, {"x": 0, "y": 4}]}]);
    let (_, answer) = app.import("replace=true", &[file("z.json", &zones)]).await;
    assert!(told(&answer).contains(&"ended zone R2".to_owned()), "{answer}");
    let map = json!({"id": MAP, "width_m": 20, "devices": devices(&["ap1"])});
    for dry_run in ["true", "false"] {
        let query = format!("replace=true&dry_run={dry_run}");
        let (_, answer) = app.import(&query, &[file("m.json", &map)]).await;
        assert!(told(&answer).contains(&"ended access_point ap2".to_owned()), "{answer}");
    }
}
