//! Whole examples, of each answer in each of its forms, put together from the examples of its fields.

use serde_json::{Map, Value, json};

use super::table::{Columns, Kind};
use super::{
    access, alert_dto, alerts, areas, callbacks, dwell, examples, health, maps, movement, occupancy, patterns,
    rebuilds, sites, sql, unmapped, visits,
};

type Parts = Map<String, Value>;

/// Gives every answer of an operation that is a success an example, and so every form of it that is text.
pub fn answers(path: &str, operation: &mut Value, parts: &Parts) {
    for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        let Some(content) = response.get_mut("content").and_then(Value::as_object_mut) else { continue };
        if !status.starts_with('2') {
            continue;
        }
        let json = content.get("application/json").and_then(|media| example(&media["schema"], parts));
        for (content_type, media) in content.iter_mut() {
            let found = match content_type.as_str() {
                "application/json" => json.clone(),
                "text/csv" => Some(Value::String(csv(path, json.as_ref().unwrap_or(&Value::Null)))),
                other => examples::text_answer(other),
            };
            if let (None, Some(found)) = (media.get("example"), found) {
                media["example"] = found;
            }
        }
    }
}

/// An example of a schema.
pub fn example(schema: &Value, parts: &Parts) -> Option<Value> {
    part(schema, parts, &mut Vec::new())
}

/// `inside`: the names of what it is a part of. What holds itself is shown in itself once.
fn part<'a>(schema: &'a Value, parts: &'a Parts, inside: &mut Vec<&'a str>) -> Option<Value> {
    if let Some(told) = schema.get("example").or_else(|| schema["examples"].get(0)) {
        return Some(told.clone());
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next()?;
        if inside.iter().filter(|one| **one == name).count() > 1 {
            return None;
        }
        inside.push(name);
        let found = part(parts.get(name)?, parts, inside);
        inside.pop();
        return found;
    }
    if let Some(choices) = ["oneOf", "anyOf"].iter().find_map(|key| schema[key].as_array()) {
        return choices.iter().filter(|choice| choice["type"] != "null").find_map(|choice| part(choice, parts, inside));
    }
    if let Some(first) = schema["enum"].get(0) {
        return Some(first.clone());
    }
    let is = |name: &str| {
        schema["type"] == name || schema["type"].as_array().is_some_and(|types| types.iter().any(|one| one == name))
    };
    if is("object") {
        let properties = schema["properties"].as_object().into_iter().flatten();
        let told = properties.filter_map(|(name, property)| Some((name.clone(), part(property, parts, inside)?)));
        let told: Map<String, Value> = told.collect();
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        return required.into_iter().all(|name| told.contains_key(name)).then_some(Value::Object(told));
    }
    if is("array") {
        return match part(&schema["items"], parts, inside) {
            None if !schema["items"]["$ref"].is_null() => None,
            item => Some(Value::Array(item.into_iter().collect())),
        };
    }
    is("null").then_some(Value::Null)
}

/// A table as CSV: its columns, and one row with what the example of the whole has under their names.
fn csv(path: &str, whole: &Value) -> String {
    let Some(columns) = columns(path) else {
        // What a statement selects.
        return "area_name,visits\nLobby,12\n".into();
    };
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let cell = |(name, kind): &(&str, Kind)| {
        let text = match find(whole, name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
                items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
            }
            Some(Value::Null) | None if matches!(kind, Kind::Flag) => "false".into(),
            Some(Value::Null) => String::new(),
            None => examples::text(name).unwrap_or_default().into(),
            Some(other) => other.to_string(),
        };
        if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
    };
    format!("{}\n{}\n", names.join(","), columns.iter().map(cell).collect::<Vec<_>>().join(","))
}

/// The member of that name that is nearest to the top.
fn find<'a>(whole: &'a Value, name: &str) -> Option<&'a Value> {
    let mut level = vec![whole];
    while !level.is_empty() {
        if let Some(found) = level.iter().find_map(|value| value.get(name)) {
            return Some(found);
        }
        level = level
            .into_iter()
            .flat_map(|value| match value {
                Value::Object(members) => members.values().collect::<Vec<_>>(),
                Value::Array(items) => items.iter().collect(),
                _ => Vec::new(),
            })
            .collect();
    }
    None
}

/// The columns of each table.
fn columns(path: &str) -> Option<Columns> {
    Some(match path {
        "/v1/occupancy" => occupancy::NOW,
        "/v1/occupancy/series" => occupancy::SERIES,
        "/v1/occupancy/profile" => patterns::PROFILE,
        "/v1/occupancy/peaks" => patterns::PEAKS,
        "/v1/occupancy/capacity" => patterns::CAPACITY,
        "/v1/visitors" => patterns::VISITORS,
        "/v1/flows" => movement::FLOWS,
        "/v1/heatmap" => movement::HEATMAP,
        "/v1/clients" => movement::CLIENTS,
        "/v1/clients/{id}/track" => movement::TRACK,
        "/v1/dwell" => dwell::DWELL,
        "/v1/visits" => visits::VISITS,
        "/v1/sites" => sites::SITES,
        "/v1/maps" | "/v1/maps/{id}/versions" => maps::MAPS,
        "/v1/areas" | "/v1/areas/{id}/versions" => areas::AREAS,
        "/v1/rebuilds" => rebuilds::REBUILDS,
        "/v1/unmapped" => unmapped::UNMAPPED,
        "/v1/alert-rules" | "/v1/alert-rules/{id}/versions" => alert_dto::RULES,
        "/v1/alerts" => alerts::ALERTS,
        "/v1/silences" => alerts::SILENCES,
        "/v1/callbacks" => callbacks::CALLBACKS,
        "/v1/callbacks/{id}/deliveries" => callbacks::DELIVERIES,
        "/v1/sql/schema" => sql::SCHEMA,
        "/v1/tokens" => access::TOKENS,
        "/v1/users" => access::USERS,
        "/v1/acts" => access::ACTS,
        "/v1/sources" => health::SOURCES,
        _ => return None,
    })
}

/// Of a request that has a whole example, the examples of its members are those there: put together in whatever way, they
/// are one that is taken. What the whole leaves out is null, where it may be.
pub fn align(schema: &mut Value) {
    let Some(whole) = schema.get("example").cloned() else { return };
    for (name, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        let types = property["type"].as_array().into_iter().flatten();
        let choices = property["oneOf"].as_array().into_iter().flatten().map(|choice| &choice["type"]);
        let is_anything = ["type", "oneOf", "$ref"].iter().all(|key| property.get(key).is_none());
        let is_nullable = is_anything || types.chain(choices).any(|one| one == "null");
        match whole.get(name) {
            Some(told) => property["example"] = told.clone(),
            None if is_nullable => property["example"] = json!(null),
            None => {}
        }
    }
}
