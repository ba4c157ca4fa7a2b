//! The document describes every route that there is.

use serde_json::Value;

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
