//! Examples of the fields of requests and answers, by name: one name means one thing everywhere.

use serde_json::{Value, json};

use super::description::instant;

pub const SITE: &str = "4ac1dcf4-9d8b-7211-65c4-057819f0862b";
pub const MAP: &str = "63eda950-c6da-11e4-a628-60f81dd250cc";
pub const AREA: &str = "0d1f5a52-0001-4c00-8000-000000000001";
pub const CLIENT: &str = "5684dae9ac8b";
const TIME: &str = "2026-07-01T08:00:00.000Z";

/// Gives a field an example, unless it has one or is made of others; one that holds an instant says so.
pub fn describe_field(name: &str, field: &mut Value) {
    let types = match &field["type"] {
        Value::Array(types) => types.clone(),
        other => vec![other.clone()],
    };
    let is = |name: &str| types.iter().any(|one| one == name);
    let is_told = !field["example"].is_null() || !field["examples"].is_null();
    let example = if is("string") {
        text(name).map(Value::from)
    } else if is("integer") {
        Some(json!(3))
    } else if is("number") {
        Some(json!(12.5))
    } else if is("boolean") {
        Some(json!(name == "is_enabled" || name == "is_mapped"))
    } else if is("array") && field["items"]["type"] == "string" {
        texts(name)
    } else if is("array") && field["items"]["type"] == "integer" {
        Some(json!([1]))
    } else {
        None
    };
    let Some(example) = example.filter(|_| !is_told) else { return };
    if example == TIME && ["from", "to"].contains(&name) && is("null") {
        // Given by people, who may count back from now.
        field["anyOf"] = json!([instant(), {"type": "null"}]);
    } else if example == TIME {
        field["format"] = json!("date-time");
    }
    field["example"] = example;
}

fn text(name: &str) -> Option<&'static str> {
    Some(match name {
        "site_id" => SITE,
        "map_id" => MAP,
        "area_id" | "from_area_id" | "id" => AREA,
        "to_area_id" => "0d1f5a52-0002-4c00-8000-000000000002",
        "client_id" => CLIENT,
        "key" => AREA,
        "name" | "area_name" | "from_name" => "Lobby",
        "to_name" => "Cafe",
        "site_name" => "Clinic",
        "map_name" => "Ground floor",
        "client_name" => "Ann's phone",
        "rule_name" => "Lobby too full",
        "area_kind" => "zone",
        "client_kind" => "wifi",
        "source" | "authoritative_source" => "computed",
        "ended" => "left",
        "time_zone" | "tz" => "Europe/Lisbon",
        "mac" => "5c5b35000001",
        "image" => "/v1/maps/63eda950-c6da-11e4-a628-60f81dd250cc/image",
        "file" => "ground-floor.geojson",
        "text" => "left out: 2 x wlan",
        "what" => "zone",
        "effect" => "new",
        "next_cursor" => "1024",
        "tag" => "waiting",
        "severity" => "warning",
        "condition" => "above",
        "message" => "Open the second desk",
        "resolution" => "cleared",
        "by" | "acknowledged_by" => "Night shift",
        "note" | "acknowledged_note" => "Being looked after",
        "reason" => "Fire drill",
        "url" => "https://alerts.example.org/footfall",
        "format" => "footfall",
        "secret" => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "disabled_reason" => "the endpoint answered 410 Gone",
        "circuit" => "closed",
        "webhook_id" => "msg_2026070108000000000001",
        "type" => "alert.firing",
        "state" => "delivered",
        "answer" => "ok",
        "problem" | "last_problem" => "connection refused",
        "last_ping_webhook" => "b5c2a4a0-9a3e-4c8e-9a3e-1f2d3c4b5a69",
        "comment" => "Every visit, one row each",
        "bucket" => "1h",
        "title" => "Bad Request",
        "kind" => "zone",
        _ if is_time(name) => TIME,
        _ => return None,
    })
}

fn texts(name: &str) -> Option<Value> {
    Some(match name {
        "site_ids" => json!([SITE]),
        "area_ids" => json!([AREA]),
        "severities" => json!(["critical"]),
        "states" => json!(["firing"]),
        "tags" => json!(["waiting"]),
        "header_names" => json!(["Authorization"]),
        "topics" => json!(["location", "zone"]),
        _ => return None,
    })
}

fn is_time(name: &str) -> bool {
    let names = ["from", "to", "at", "since", "until", "valid_from", "valid_to", "timestamp", "as_of", "next_from"];
    names.contains(&name) || name.ends_with("_at")
}
