//! What readers may keep, and how they ask again.

use reqwest::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, ETAG, IF_NONE_MATCH, VARY};
use reqwest::{Method, Response, StatusCode};
use serde_json::json;

use crate::harness::{LOBBY, MAP, SITE, TestApp, delivery, fix};

async fn ask(app: &TestApp, path: &str, headers: &[(reqwest::header::HeaderName, &str)]) -> Response {
    let mut request = app.client.get(format!("{}{path}", app.base));
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    request.send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_changed_is_not_sent_again() {
    let app = TestApp::start().await;
    app.upload_map().await;
    let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\"><rect width=\"9\" height=\"9\"/></svg>";
    let image = format!("{}/v1/maps/{MAP}/image", app.base);
    assert_eq!(app.client.put(&image).body(svg).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    for path in [
        "/openapi.json",
        "/docs",
        "/v1/maps",
        &format!("/v1/maps/{MAP}"),
        &format!("/v1/maps/{MAP}?format=geojson"),
        &format!("/v1/maps/{MAP}/image"),
        "/v1/areas",
        "/v1/areas?format=geojson",
        &format!("/v1/areas/{LOBBY}"),
        "/v1/sites",
        &format!("/v1/sites/{SITE}"),
        "/v1/alert-rules",
        "/v1/sql/schema",
    ] {
        let first = ask(&app, path, &[]).await;
        assert_eq!(first.status(), StatusCode::OK, "{path}");
        let tag = first.headers()[ETAG].to_str().unwrap().to_owned();
        assert_eq!(first.headers()[CACHE_CONTROL], "no-cache");
        let again = ask(&app, path, &[(IF_NONE_MATCH, &format!("\"other\", {tag}"))]).await;
        assert_eq!((again.status(), again.headers()[ETAG].to_str().unwrap()), (StatusCode::NOT_MODIFIED, tag.as_str()));
        assert_eq!(again.headers()[CACHE_CONTROL], "no-cache");
        assert!(again.headers().get("content-type").is_none() && again.bytes().await.unwrap().is_empty());
        assert_eq!(ask(&app, path, &[(IF_NONE_MATCH, "\"other\"")]).await.status(), StatusCode::OK);
    }
    // A change is sent, and a fault is a fault whatever is known.
    let zone = format!("/v1/areas/{LOBBY}");
    let tag = ask(&app, &zone, &[]).await.headers()[ETAG].to_str().unwrap().to_owned();
    let change =
        json!({"map_id": MAP, "name": "Hall", "vertices_m": [{"x": 0, "y": 0}, {"x": 4, "y": 0}, {"x": 4, "y": 4}]});
    assert_eq!(app.call(Method::PUT, &zone, Some(change)).await.0, StatusCode::OK);
    assert_eq!(ask(&app, &zone, &[(IF_NONE_MATCH, &tag)]).await.status(), StatusCode::OK);
    let nowhere = ask(&app, "/v1/areas/none", &[(IF_NONE_MATCH, "*")]).await;
    assert_eq!((nowhere.status(), nowhere.headers().get(ETAG)), (StatusCode::NOT_FOUND, None));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_answer_has_the_tag_of_the_plain_one_and_says_what_it_varies_by() {
    let app = TestApp::start().await;
    let plain = ask(&app, "/openapi.json", &[]).await;
    let packed = ask(&app, "/openapi.json", &[(ACCEPT_ENCODING, "gzip")]).await;
    assert_eq!(packed.headers()[CONTENT_ENCODING], "gzip");
    // Weak: the same answer, not the same bytes.
    let tag = packed.headers()[ETAG].to_str().unwrap().to_owned();
    assert!(tag.starts_with("W/") && plain.headers()[ETAG] == tag.as_str());
    let known = ask(&app, "/openapi.json", &[(ACCEPT_ENCODING, "gzip"), (IF_NONE_MATCH, &tag)]).await;
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    for answer in [&packed, &known] {
        let varies = answer.headers().get_all(VARY).iter().any(|by| by.to_str().unwrap().contains("accept-encoding"));
        assert!(varies, "{answer:?}");
    }
    assert!(known.bytes().await.unwrap().is_empty());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_answers_are_asked_for_anew_and_kept_by_form() {
    let app = TestApp::start().await;
    app.upload_map().await;
    app.deliver(&delivery("location", vec![fix("00000000000a", 0.0, 5.0, 5.0)])).await;
    let endpoint = json!({"name": "Here", "url": "http://127.0.0.1:9/hook"});
    let made = app.client.post(format!("{}/v1/callbacks", app.base)).json(&endpoint).send().await.unwrap();
    assert_eq!(made.headers()[CACHE_CONTROL], "no-store");
    for path in ["/v1/occupancy", "/v1/visits", "/v1/occupancy?format=csv", "/v1/alerts", "/health/live", "/metrics"] {
        let answer = ask(&app, path, &[]).await;
        assert_eq!(answer.headers()[CACHE_CONTROL], "no-cache", "{path}");
        assert!(answer.headers().get(ETAG).is_none(), "{path}");
        if path.starts_with("/v1/occupancy") || path.starts_with("/v1/visits") {
            assert!(answer.headers().get_all(VARY).iter().any(|by| by == "accept"), "{path}");
        }
    }
    app.stop().await;
}
