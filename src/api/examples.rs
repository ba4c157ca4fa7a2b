//! Examples of the fields of requests and answers, by name: one name means one thing everywhere.

use serde_json::{Value, json};

use super::description::instant;

pub const SITE: &str = "4ac1dcf4-9d8b-7211-65c4-057819f0862b";
pub const MAP: &str = "63eda950-c6da-11e4-a628-60f81dd250cc";
pub const AREA: &str = "0d1f5a52-0001-4c00-8000-000000000001";
pub const CLIENT: &str = "5684dae9ac8b";
const TIME: &str = "2026-07-01T08:00:00.000Z";
const LATER: &str = "2026-07-01T09:00:00.000Z";

/// Gives a field an example, unless it has one or is made of others; one that holds an instant says so.
pub fn describe_field(name: &str, field: &mut Value) {
    let types = match &field["type"] {
        Value::Array(types) => types.clone(),
        other => vec![other.clone()],
    };
    let is = |name: &str| types.iter().any(|one| one == name);
    let is_told = field.get("example").is_some() || field.get("examples").is_some();
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
    } else if field["type"].is_null() && field.get("$ref").is_none() && field.get("oneOf").is_none() {
        anything(name)
    } else {
        None
    };
    let Some(example) = example.filter(|_| !is_told) else { return };
    let is_instant = example == TIME || example == LATER;
    if is_instant && ["from", "to"].contains(&name) && is("null") {
        // Given by people, who may count back from now.
        field["anyOf"] = json!([instant(), {"type": "null"}]);
    } else if is_instant {
        field["format"] = json!("date-time");
    }
    field["example"] = example;
}

pub fn text(name: &str) -> Option<&'static str> {
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
        "view" => "visits",
        "view_comment" => "Every visit of both sources",
        "bucket" => "1h",
        "title" => "Bad Request",
        "kind" => "zone",
        "to" | "until" | "valid_to" | "next_from" => LATER,
        _ if is_time(name) && ENDS.contains(&name) => LATER,
        _ if is_time(name) => TIME,
        _ => return None,
    })
}

/// Times at which something was over.
const ENDS: [&str; 7] =
    ["ended_at", "exited_at", "expires_at", "last_event_at", "last_fix_at", "resolved_at", "revoked_at"];

/// Of a field that may hold whatever it likes.
fn anything(name: &str) -> Option<Value> {
    Some(match name {
        "tags" => json!(["waiting"]),
        "shape" => json!({"rings": [[[0.0, 0.0], [10.0, 0.0], [10.0, 8.0], [0.0, 8.0], [0.0, 0.0]]]}),
        "event" => json!({"type": "test", "timestamp": TIME, "data": {}}),
        _ => return None,
    })
}

/// Of a body that is no JSON of ours.
pub fn upload(path: &str) -> &'static str {
    match path {
        "/v1/maps/import" => UPLOADED,
        _ => IMAGE,
    }
}

const IMAGE: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 120"><rect width="200" height="120" fill="#eee"/></svg>"##;

const UPLOADED: &str = r#"{"type": "FeatureCollection", "map_id": "63eda950-c6da-11e4-a628-60f81dd250cc",
 "site_id": "4ac1dcf4-9d8b-7211-65c4-057819f0862b", "name": "Ground floor", "width_m": 20, "height_m": 12, "units": "metres",
 "features": [{"type": "Feature", "id": "0d1f5a52-0001-4c00-8000-000000000001", "properties": {"name": "Lobby"},
   "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [10, 8], [0, 8], [0, 0]]]}}]}"#;

/// Of an answer that is text of another sort; none of bytes.
pub fn text_answer(content_type: &str) -> Option<Value> {
    Some(match content_type {
        "application/geo+json" => serde_json::from_str(UPLOADED).expect("the example is JSON"),
        "image/svg+xml" => json!(IMAGE),
        "text/html" => json!("<!doctype html>\n<title>Footfall API</title>\n"),
        "text/plain" => json!(
            "# HELP footfall_deliveries_total Webhook deliveries by source, topic and HTTP status\n\
             # TYPE footfall_deliveries_total counter\n\
             footfall_deliveries_total{source=\"default\",status=\"200\",topic=\"location\"} 1024\n"
        ),
        "text/event-stream" => {
            let areas = json!({"is_whole": false, "areas": [{"site_id": SITE, "map_id": MAP, "area_id": AREA,
                "area_kind": "zone", "name": "Lobby", "current": 12, "occupancy_limit": 25}]});
            let positions = json!({"positions": [{"site_id": SITE, "map_id": MAP, "client_id": CLIENT, "kind": "wifi",
                "name": null, "at": TIME, "x_m": 13.5, "y_m": 3.3}]});
            json!(format!("event: occupancy\ndata: {areas}\n\nevent: positions\ndata: {positions}\n\n"))
        }
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
