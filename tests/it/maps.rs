//! Floorplans: uploaded, changed, drawn, deleted; and maps that only events know.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{DESK, LOBBY, MAP, SITE, TestApp, delivery, fix};

const ANN: &str = "00000000000a";

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_map_with_pixels_counts_in_metres() {
    let app = TestApp::start().await;
    let map = json!({"site_id": SITE, "name": "Office", "type": "image", "ppm": 40.0, "width": 800, "height": 400,
        "zones": [{"id": LOBBY, "name": "Lobby", "vertices":
            [{"x": 0, "y": 0}, {"x": 400, "y": 0}, {"x": 400, "y": 400}, {"x": 0, "y": 400}]}],
        "vbeacons": [{"id": "b1", "name": "Info", "x": 40, "y": 80, "power": 4}],
        "rssizones": [{"id": "r1", "name": "Dock", "devices": [{"device_id": "d", "rssi": -70}]}],
        "devices": [{"id": "ap1", "mac": "5c5b35000001", "x": 400, "y": 200, "height": 2.75, "orientation": 90}]});
    let (status, answer) = app.call(Method::PUT, &format!("/v1/maps/{MAP}"), Some(map)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!((&answer["width_m"], &answer["height_m"], &answer["version"]), (&json!(20.0), &json!(10.0), &json!(1)));
    assert_eq!(answer["access_points"][0]["x_m"], 10.0);
    app.deliver(&delivery("location", vec![fix(ANN, 0.0, 10.0, 5.0), fix("00000000000b", 0.0, 10.001, 5.0)])).await;
    let areas = app.get("/v1/occupancy").await;
    let told: Vec<String> = areas["areas"]
        .as_array()
        .unwrap()
        .iter()
        .map(|area| format!("{} {} {}", area["area_kind"], area["name"], area["current"]))
        .collect();
    assert_eq!(told, [r#""zone" "Lobby" 1"#, r#""vbeacon" "Info" 0"#, r#""rssizone" "Dock" 0"#]);
    let geojson = app.get(&format!("/v1/areas?map={MAP}&format=geojson")).await;
    assert_eq!(geojson["features"][0]["geometry"]["coordinates"][0][1], json!([10.0, 0.0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_map_is_made_with_its_own_id_or_a_new_one() {
    let app = TestApp::start().await;
    let make = async |body: Value| {
        let answer = app.client.post(format!("{}/v1/maps", app.base)).json(&body).send().await.unwrap();
        let place = answer.headers().get("location").map(|place| place.to_str().unwrap().to_owned());
        (answer.status(), place, answer.json::<Value>().await.unwrap())
    };
    let (status, place, made) = make(json!({"name": "Attic", "width_m": 5, "height_m": 4})).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let id = made["map_id"].as_str().unwrap();
    assert_eq!((id.len(), &id[14..15], place.unwrap()), (36, "4", format!("/v1/maps/{id}")));
    assert_eq!(app.get(&format!("/v1/maps/{id}")).await["name"], "Attic");
    let (status, place, made) = make(json!({"id": "cellar 2/ä", "name": "Cellar", "site_id": SITE})).await;
    assert_eq!((status, place.as_deref()), (StatusCode::CREATED, Some("/v1/maps/cellar%202%2F%C3%A4")), "{made}");
    assert_eq!(app.get(&place.unwrap()).await["map_id"], "cellar 2/ä");
    let (status, _, problem) = make(json!({"id": "cellar 2/ä"})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(problem["detail"].as_str().unwrap().contains("PUT"), "{problem}");
    assert_eq!(make(json!({"id": "", "name": "Nameless"})).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(make(json!({"width_m": "wide"})).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(app.get("/v1/maps").await["maps"].as_array().unwrap().len(), 2);
    // So is an area.
    let corners = json!([{"x": 0, "y": 0}, {"x": 4, "y": 0}, {"x": 4, "y": 4}]);
    let zone = json!({"map_id": id, "name": "Trunk", "vertices_m": corners});
    let (status, made) = app.call(Method::POST, "/v1/areas", Some(zone.clone())).await;
    assert_eq!((status, &made["name"]), (StatusCode::CREATED, &json!("Trunk")), "{made}");
    let mut again = zone;
    again["id"] = made["area_id"].clone();
    assert_eq!(app.call(Method::POST, "/v1/areas", Some(again)).await.0, StatusCode::CONFLICT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_site_is_listed_again_once_something_names_it() {
    let app = TestApp::start().await;
    let site = format!("/v1/sites/{SITE}");
    let listed = async || app.get("/v1/sites").await["sites"].as_array().unwrap().len();
    app.upload_map().await;
    app.deliver(&delivery("location", vec![fix(ANN, 0.0, 5.0, 5.0)])).await;
    let settings = json!({"name": "Clinic", "time_zone": "Europe/Lisbon", "exit_grace_s": 3});
    app.call(Method::PUT, &site, Some(settings)).await;
    let (status, problem) = app.call(Method::DELETE, &site, None).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(problem["detail"].as_str().unwrap().contains("1 map, 2 areas"), "{problem}");
    app.call(Method::DELETE, &format!("/v1/maps/{MAP}"), None).await;
    assert_eq!(app.call(Method::DELETE, &site, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!((listed().await, app.call(Method::GET, &site, None).await.0), (0, StatusCode::NOT_FOUND));
    assert_eq!(app.call(Method::DELETE, &site, None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(app.call(Method::PATCH, &site, Some(json!({}))).await.0, StatusCode::NOT_FOUND);
    // Its history is there still; a repeated delivery is no news of it.
    assert_eq!(app.get(&format!("/v1/visits?site={SITE}&to=2026-07-02T00:00:00Z")).await["visits"], json!([]));
    app.deliver(&delivery("location", vec![fix(ANN, 0.0, 5.0, 5.0)])).await;
    let app = app.restart().await;
    let listed = async || app.get("/v1/sites").await["sites"].as_array().unwrap().len();
    assert_eq!(listed().await, 0);
    app.deliver(&delivery("location", vec![fix(ANN, 9.0, 5.0, 5.0)])).await;
    let found = app.get(&site).await;
    assert_eq!(
        (&found["name"], &found["time_zone"], &found["exit_grace_s"]),
        (&Value::Null, &json!("UTC"), &Value::Null)
    );
    // So does an upload, and whoever sets it.
    assert_eq!(app.call(Method::DELETE, &site, None).await.0, StatusCode::NO_CONTENT);
    app.upload_map().await;
    assert_eq!(listed().await, 1);
    app.call(Method::DELETE, &format!("/v1/maps/{MAP}"), None).await;
    assert_eq!(listed().await, 0);
    app.call(Method::PUT, &site, Some(json!({}))).await;
    assert_eq!(listed().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_a_new_version_and_the_same_again_is_none() {
    let app = TestApp::start().await;
    app.upload_map().await;
    app.upload_map().await;
    let area = app.get(&format!("/v1/areas/{LOBBY}")).await;
    assert_eq!(area["version"], 1);
    app.deliver(&delivery("location", vec![fix(ANN, 0.0, 5.0, 5.0)])).await;
    // The desk is left out, so it is ended; the lobby shrinks.
    let small = json!({"site_id": SITE, "name": "Ground", "width_m": 20.0, "height_m": 20.0, "zones": [
        {"id": LOBBY, "name": "Lobby", "vertices_m": [{"x": 0, "y": 0}, {"x": 4, "y": 0}, {"x": 4, "y": 4}]}]});
    let (status, answer) = app.call(Method::PUT, &format!("/v1/maps/{MAP}"), Some(small)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!((&answer["version"], &answer["areas"][0]["version"]), (&json!(1), &json!(2)));
    assert_eq!(app.get(&format!("/v1/areas/{DESK}")).await["is_mapped"], false);
    let events = vec![fix(ANN, 5.0, 5.0, 5.0), fix(ANN, 15.0, 3.0, 1.0)];
    app.deliver(&delivery("location", events)).await;
    app.clock.set((crate::harness::START_S + 60) * 1000);
    let visits = app.get("/v1/visits?from=2026-07-01T07:00:00Z").await;
    let told: Vec<_> =
        visits["visits"].as_array().unwrap().iter().map(|v| (&v["dwell_s"], &v["area_version"])).collect();
    assert_eq!(told, [(&json!(5.0), &json!(1)), (&Value::Null, &json!(2))]);
    let (status, _) = app.call(Method::DELETE, &format!("/v1/maps/{MAP}"), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(app.get(&format!("/v1/maps/{MAP}")).await["is_mapped"], false);
    assert_eq!(app.call(Method::DELETE, "/v1/maps/none", None).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_map_is_told_all_its_faults_and_changes_nothing() {
    let app = TestApp::start().await;
    app.upload_map().await;
    let bow_tie = json!([{"x": 0, "y": 0}, {"x": 2, "y": 2}, {"x": 2, "y": 0}, {"x": 0, "y": 3}]);
    let wrong = json!({"site_id": SITE, "width_m": -3, "zones": [
        {"id": "a", "name": "Knot", "vertices_m": bow_tie},
        {"id": "b", "name": "Pixels", "vertices": bow_tie}]});
    let (status, problem) = app.call(Method::PUT, &format!("/v1/maps/{MAP}"), Some(wrong)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let places: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|e| e["place"].as_str().unwrap()).collect();
    assert_eq!(places, ["width_m", "zones[0] \"Knot\"", "zones[1] \"Pixels\""]);
    assert_eq!(app.get(&format!("/v1/maps/{MAP}")).await["areas"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_map_uploaded_without_a_site_works_once_an_event_names_it() {
    let app = TestApp::start().await;
    let map = json!({"name": "Ground", "width_m": 20.0, "height_m": 20.0, "zones": [{"id": LOBBY, "name": "Lobby",
        "vertices_m": [{"x": 0, "y": 0}, {"x": 10, "y": 0}, {"x": 10, "y": 10}, {"x": 0, "y": 10}]}]});
    app.call(Method::PUT, &format!("/v1/maps/{MAP}"), Some(map)).await;
    let app = app.restart().await;
    app.deliver(&delivery("location", vec![fix(ANN, 0.0, 5.0, 5.0)])).await;
    let area = &app.get("/v1/occupancy").await["areas"][0];
    assert_eq!((&area["current"], &area["site_id"]), (&json!(1), &json!(SITE)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_uploaded_is_listed_as_unmapped() {
    let app = TestApp::start().await;
    app.deliver(&delivery("location", vec![fix(ANN, 0.0, 5.0, 5.0)])).await;
    let enter = json!({"site_id": SITE, "vbeacon_id": "vb", "mac": ANN, "trigger": "enter", "timestamp": crate::harness::START_S});
    app.deliver(&delivery("vbeacon", vec![enter])).await;
    assert_eq!(app.get("/v1/maps").await["maps"][0]["is_mapped"], false);
    let area = &app.get("/v1/areas").await["areas"][0];
    assert_eq!((&area["is_mapped"], &area["kind"]), (&json!(false), &json!("vbeacon")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_given_back_as_it_came_and_an_active_one_is_refused() {
    let app = TestApp::start().await;
    app.upload_map().await;
    let url = format!("{}/v1/maps/{MAP}/image", app.base);
    let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\"><rect width=\"9\" height=\"9\"/></svg>";
    assert_eq!(app.client.get(&url).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(app.client.put(&url).body(svg).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    let answer = app.client.get(&url).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "image/svg+xml");
    assert_eq!(answer.text().await.unwrap(), svg);
    let active = svg.replace("<rect", "<script>1</script><rect");
    assert_eq!(app.client.put(&url).body(active).send().await.unwrap().status(), StatusCode::UNPROCESSABLE_ENTITY);
    let nowhere = app.client.put(url.replace(MAP, "none")).body(svg).send().await.unwrap();
    assert_eq!(nowhere.status(), StatusCode::NOT_FOUND);
    assert_eq!(app.get(&format!("/v1/maps/{MAP}")).await["image"], format!("/v1/maps/{MAP}/image"));
}
