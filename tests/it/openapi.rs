//! The document describes every route that there is.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::harness::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_described_and_every_description_has_a_route() {
    let app = TestApp::start().await;
    let document = app.get("/openapi.json").await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let source = include_str!("../../src/api/mod.rs").to_owned() + include_str!("../../src/receiver/mod.rs");
    let mut routes: Vec<&str> = source.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    routes.retain(|route| *route != "/openapi.json");
    routes.sort_unstable();
    let mut described: Vec<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    described.sort_unstable();
    assert_eq!(described, routes);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_the_document_has_a_shape_that_is_there() {
    let document = TestApp::start().await.get("/openapi.json").await;
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 20);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_says_what_it_does_what_it_takes_and_what_can_go_wrong() {
    let document = TestApp::start().await.get("/openapi.json").await;
    let tags: Vec<&Value> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let (mut missing, mut ids) = (Vec::new(), HashSet::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let mut need = |is_there: bool, what: &str| {
                if !is_there {
                    missing.push(format!("{method} {path}: {what}"));
                }
            };
            let text = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
            let summary = operation["summary"].as_str().unwrap_or_default();
            need((1..=160).contains(&summary.len()) && !summary.contains('\n'), "a summary of one sentence");
            need(ids.insert(operation["operationId"].to_string()), "an id of its own");
            let own = operation["tags"].as_array().unwrap();
            need(!own.is_empty() && own.iter().all(|tag| tags.contains(&tag)), "a tag that is described");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = &parameter["name"];
                need(text(&parameter["description"]), &format!("a description of {name}"));
                need(parameter.get("example").is_some(), &format!("an example of {name}"));
                let validator = jsonschema::validator_for(&parameter["schema"]).unwrap();
                need(validator.is_valid(&parameter["example"]), &format!("an example of {name} that is valid"));
            }
            if let Some(body) = operation.get("requestBody") {
                for (content_type, media) in body["content"].as_object().unwrap() {
                    let is_bytes = media["schema"]["format"] == "binary";
                    need(
                        is_bytes || media.get("example").is_some(),
                        &format!("an example of a body of {content_type}"),
                    );
                    let schema = json!({"allOf": [media["schema"]], "components": document["components"]});
                    let is_valid = is_bytes || jsonschema::is_valid(&schema, &media["example"]);
                    need(is_valid, &format!("an example of a body of {content_type} that is valid"));
                }
                need(!operation["responses"]["413"].is_null(), "status 413, for a body that is too long");
            }
            let is_refusable = operation.get("requestBody").is_some() || operation.get("parameters").is_some();
            need(!is_refusable || !operation["responses"]["400"].is_null(), "status 400");
            need(!path.contains('{') || !operation["responses"]["404"].is_null() || method == "put", "status 404");
            for (status, response) in operation["responses"].as_object().unwrap() {
                need(text(&response["description"]), &format!("what {status} means"));
                if status.as_str() >= "400" {
                    let types: Vec<&String> = response["content"].as_object().unwrap().keys().collect();
                    need(types == ["application/problem+json"], &format!("{status} as problem details"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "missing:\n{}", missing.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_shows_an_example() {
    let document = TestApp::start().await.get("/openapi.json").await;
    let mut missing = Vec::new();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        for (field, property) in schema["properties"].as_object().unwrap() {
            let types = property["type"].to_string();
            let is_plain = ["string", "integer", "number", "boolean"].iter().any(|plain| types.contains(plain));
            let is_told = ["example", "examples", "enum", "default"].iter().any(|key| property.get(key).is_some());
            if is_plain && !is_told {
                missing.push(format!("{name}.{field}"));
            }
        }
    }
    assert!(missing.is_empty(), "say in src/api/examples.rs what these look like: {missing:?}");
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                references.push(reference.clone());
            }
            members.values().for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}

/// The page's types are generated from it.
#[test]
fn the_pages_copy_of_the_document_is_fresh() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboard/openapi.json");
    let copy = std::fs::read_to_string(path).unwrap();
    assert!(
        copy.trim() == footfall::api::openapi::json().trim(),
        "dashboard/openapi.json is stale: cargo run -- openapi > dashboard/openapi.json"
    );
}
