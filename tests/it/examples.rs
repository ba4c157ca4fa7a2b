//! What the document shows is so: each request is taken, each answer is one that may come.

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::contract::furnished;
use crate::harness::{LOBBY, MAP, TestApp, delivery, fix};

/// Every operation: path, method, and what is said of it.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
        .collect()
}

/// Bytes have no text to show.
fn is_bytes(media: &Value) -> bool {
    media["schema"]["format"] == "binary"
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_that_is_a_success_has_an_example_that_fits() {
    let document = TestApp::start().await.get("/openapi.json").await;
    let (mut faults, mut shown) = (Vec::new(), 0);
    for (path, method, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let content = response.get("content").and_then(Value::as_object).into_iter().flatten();
            for (content_type, media) in content.filter(|(_, media)| status.starts_with('2') && !is_bytes(media)) {
                let place = format!("{method} {path} {status} {content_type}");
                let schema = json!({"allOf": [media["schema"]], "components": document["components"]});
                let validator = jsonschema::validator_for(&schema).unwrap();
                match media.get("example") {
                    None => faults.push(format!("{place}: none")),
                    Some(example) => {
                        let of =
                            |error: jsonschema::ValidationError| format!("{place}: {}: {error}", error.instance_path());
                        faults.extend(validator.iter_errors(example).map(of));
                        shown += 1;
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(shown > 100, "{shown}");
}

/// A server of which everything is known that examples name, a day after it came to be.
async fn as_in_the_examples() -> TestApp {
    let app = furnished().await;
    let zone = json!({"map_id": MAP, "name": "Lobby", "tags": ["waiting"],
        "vertices_m": [{"x": 0, "y": 0}, {"x": 10, "y": 0}, {"x": 10, "y": 10}, {"x": 0, "y": 10}]});
    for (path, body) in [
        (format!("/v1/areas/{LOBBY}"), zone),
        ("/v1/users/ann".into(), json!({"password": "a long password", "scopes": ["read"]})),
    ] {
        let (status, answer) = app.call(Method::PUT, &path, Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    app.run_on_to(26.0 * 3600.0).await;
    // Here still.
    let here = |mac: &str| fix(mac, 26.0 * 3600.0, 5.0, 5.0);
    app.deliver(&delivery("location", vec![here("5684dae9ac8b"), here("5684dae9ac8c")])).await;
    app
}

/// A path with the examples of its parameters in their places.
fn in_place(path: &str, operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    parameters.filter(|parameter| parameter["in"] == "path").fold(path.to_owned(), |path, parameter| {
        let name = parameter["name"].as_str().unwrap();
        let example = if name == "source" { json!("open") } else { parameter["example"].clone() };
        path.replace(&format!("{{{name}}}"), &text(&example))
    })
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn pair(parameter: &Value) -> String {
    format!("{}={}", text(&parameter["name"]), text(&parameter["example"]))
}

/// The examples of the members of a body, put together.
fn together(document: &Value, schema: &Value) -> Option<Value> {
    let name = schema["$ref"].as_str()?.rsplit('/').next()?;
    let properties = document["components"]["schemas"][name]["properties"].as_object()?;
    let shown = properties.iter().filter_map(|(name, property)| Some((name.clone(), property.get("example")?.clone())));
    Some(Value::Object(shown.collect::<Map<_, _>>()))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_that_is_shown_is_taken() {
    let app = as_in_the_examples().await;
    let document = app.get("/openapi.json").await;
    let mut refused = Vec::new();
    for (path, method, operation) in operations(&document) {
        let bodies = operation["requestBody"]["content"].as_object().into_iter().flatten();
        for (_, media) in bodies {
            for body in [media.get("example").cloned(), together(&document, &media["schema"])].into_iter().flatten() {
                let place = in_place(path, operation);
                let bytes = text(&body).into_bytes();
                let (status, answer) = if place == "/v1/webhooks/mist" {
                    app.post("", bytes, |request| request).await
                } else {
                    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                    let request = app.client.request(method, format!("{}{place}", app.base)).body(bytes);
                    let answer = request.send().await.unwrap();
                    (answer.status(), answer.json().await.unwrap_or_default())
                };
                if !status.is_success() {
                    refused.push(format!("{method} {place}: {answer}\n    {body}"));
                }
            }
        }
    }
    for (path, _, operation) in operations(&document).into_iter().filter(|(_, method, _)| *method == "get") {
        let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
        let is_asked = |parameter: &&&Value| parameter["in"] == "query";
        let required: Vec<String> =
            parameters.iter().filter(is_asked).filter(|one| one["required"] == true).map(|one| pair(one)).collect();
        let one_by_one = parameters.iter().filter(|parameter| parameter["in"] != "path").map(Some);
        for parameter in [None].into_iter().chain(one_by_one) {
            let mut query = required.clone();
            query.extend(parameter.filter(|one| is_asked(one) && one["required"] != true).map(|one| pair(one)));
            let mut headers = HeaderMap::new();
            if let Some(header) = parameter.filter(|one| one["in"] == "header") {
                let value = HeaderValue::try_from(text(&header["example"])).unwrap();
                headers.insert(reqwest::header::HeaderName::try_from(text(&header["name"])).unwrap(), value);
            }
            let url = format!("{}{}?{}", app.base, in_place(path, operation), query.join("&"));
            let answer = app.client.get(&url).headers(headers).send().await.unwrap();
            if !answer.status().is_success() {
                refused.push(format!("get {url}: {}", answer.text().await.unwrap()));
            }
        }
    }
    assert!(refused.is_empty(), "{} are refused:\n{}", refused.len(), refused.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_metrics_look_as_they_are_shown() {
    let app = as_in_the_examples().await;
    app.call(Method::POST, "/v1/rebuilds", Some(json!({}))).await;
    let document = app.get("/openapi.json").await;
    let mut tables = 0;
    for (path, _, operation) in operations(&document).into_iter().filter(|(_, method, _)| *method == "get") {
        let Some(shown) = operation["responses"]["200"]["content"]["text/csv"]["example"].as_str() else { continue };
        let parameters = operation["parameters"].as_array().unwrap().iter();
        let required: String = parameters
            .filter(|one| one["required"] == true && one["in"] == "query")
            .map(|one| format!("&{}", pair(one)))
            .collect();
        let url = format!("{}{}?format=csv{required}", app.base, in_place(path, operation));
        let answer = app.client.get(&url).send().await.unwrap().text().await.unwrap();
        let columns = |csv: &str| csv.trim_start_matches('\u{feff}').lines().next().map(str::to_owned);
        assert_eq!(columns(&answer), columns(shown), "{path}");
        tables += 1;
    }
    assert!(tables > 25, "{tables}");
    let metrics = app.client.get(format!("{}/metrics", app.base)).send().await.unwrap().text().await.unwrap();
    let shown = &document["paths"]["/metrics"]["get"]["responses"]["200"]["content"]["text/plain"]["example"];
    for line in shown.as_str().unwrap().lines() {
        // Whatever the count.
        let line = line.rsplit_once('}').map_or(line, |(labels, _)| labels);
        assert!(metrics.contains(line), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_or_parameter_that_there_is_not_is_refused() {
    let app = furnished().await;
    for (path, told) in [
        ("/v1/tokens?format=xlsx", "`format` is \"xlsx\"; it must be json, csv, arrow or parquet"),
        ("/v1/session?format=csv", "`format`: this is no table, and comes as JSON only"),
        ("/v1/alerts/1?verbose=1", "`verbose` is not known: there are no parameters here"),
        ("/v1/acts?sort=caller", "`sort` is not known; there are cursor, format, limit"),
    ] {
        let (status, answer) = app.call(Method::GET, path, None).await;
        assert_eq!((status, answer["detail"].as_str()), (StatusCode::BAD_REQUEST, Some(told)), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_number_may_be_written_with_a_point() {
    let app = furnished().await;
    let rule = |limit: f64| json!({"name": "Full", "area_id": LOBBY, "condition": "above", "limit_clients": limit});
    let silence = |rule: f64| json!({"rule_id": rule, "for_s": 1, "reason": "drill"});
    let bands = |to: f64| json!({"dwell_bands": [{"name": "short", "from_s": 1.0, "to_s": to}]});
    let site = format!("/v1/sites/{}", crate::harness::SITE);
    for (method, path, whole, part) in [
        (Method::POST, "/v1/alert-rules", rule(20.0), rule(20.5)),
        (Method::POST, "/v1/silences", silence(1.0), silence(1.5)),
        (Method::PATCH, &site, bands(60.0), bands(60.5)),
        (Method::POST, "/v1/sql", json!({"sql": "SELECT 1", "limit": 5.0}), json!({"sql": "SELECT 1", "limit": -5.0})),
        (
            Method::POST,
            "/v1/tokens",
            json!({"name": "t", "scopes": ["read"], "expires_in_days": 3e1}),
            json!({"name": "t", "scopes": ["read"], "expires_in_days": 1e300}),
        ),
    ] {
        let (status, answer) = app.call(method.clone(), path, Some(whole)).await;
        assert!(status.is_success(), "{path}: {answer}");
        assert_eq!(app.call(method, path, Some(part)).await.0, StatusCode::BAD_REQUEST, "{path}");
    }
}
