//! What the annotations of single handlers leave to be said once, because it holds for many of them: what a parameter of a
//! name may be, the further forms of a table, the errors that can come anywhere, and examples of fields.

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::withheld::PARTS;
use super::{caching, examples, table, whole};
use crate::access::{Need, SESSION_COOKIE, need};

/// Completes the document that was made from the handlers.
pub fn complete(document: &mut Value) {
    members(&mut document["components"]["schemas"]).values_mut().for_each(describe_fields);
    let parts = document["components"]["schemas"].as_object().cloned().unwrap_or_default();
    let paths = members(&mut document["paths"]);
    for (path, item) in paths.iter_mut() {
        for (method, operation) in members(item).iter_mut() {
            name(path, method, operation);
            for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
                describe_parameter(path, parameter);
            }
            body(path, operation, &parts);
            bytes(operation);
            forms(operation);
            if method == "get" && caching::is_tagged(path) {
                tagged(operation);
            }
            access(path, method, operation);
            errors(path, operation);
            responses(path, method, operation);
        }
    }
    document["components"]["securitySchemes"] = json!({
        "token": {"type": "http", "scheme": "bearer", "description": "An API token; `footfall token create` makes one"},
        "session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE, "description": "Who logged in with `/v1/login`"},
    });
    let schemas = members(&mut document["components"]["schemas"]);
    schemas.values_mut().for_each(|schema| merge_parts(schema, &parts));
    // Those that were put together have more fields now.
    schemas.values_mut().for_each(describe_fields);
    let parts = schemas.clone();
    for (path, item) in members(&mut document["paths"]).iter_mut() {
        members(item).values_mut().for_each(|operation| whole::answers(path, operation, &parts));
    }
}

fn describe_fields(schema: &mut Value) {
    for (name, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        number(property);
        examples::describe_field(name, property);
        // What it is made of may be told in its place.
        describe_fields(property);
        if let Some(items) = property.get_mut("items") {
            describe_fields(items);
        }
    }
    whole::align(schema);
}

fn members(value: &mut Value) -> &mut Map<String, Value> {
    value.as_object_mut().expect("the document is made of objects here")
}

/// A short summary, what else there is to say, and an id that no other operation has.
fn name(path: &str, method: &str, operation: &mut Value) {
    let told = [&operation["summary"], &operation["description"]].map(|text| text.as_str().unwrap_or_default());
    let told = told.join("\n\n").trim().replace('\n', " ").replace("  ", "\n\n");
    let end = told.find(". ").into_iter().chain(told.find(".\n\n")).min();
    let (summary, rest) = end.map_or((told.as_str(), ""), |end| told.split_at(end + 1));
    operation["summary"] = json!(summary.trim_end_matches('.'));
    members(operation).remove("description");
    if !rest.is_empty() {
        operation["description"] = json!(rest.trim());
    }
    let steps = path.split('/').filter(|step| !["", "v1"].contains(step));
    let steps = steps.map(|step| match step.strip_prefix('{') {
        Some(parameter) => format!("by_{}", parameter.trim_end_matches('}')),
        None => step.replace(['-', '.'], "_"),
    });
    operation["operationId"] = json!(format!("{method}_{}", steps.collect::<Vec<_>>().join("_")));
}

/// What a parameter may be, and an example of it.
fn describe_parameter(path: &str, parameter: &mut Value) {
    let name = parameter["name"].as_str().unwrap_or_default().to_owned();
    if let Some((schema, example)) = parameter_schema(path, &name) {
        parameter["schema"] = schema;
        if parameter.get("example").is_none() {
            parameter["example"] = example;
        }
    }
    // Of an area `kind` is something else.
    let is_part = PARTS.contains(&name.as_str()) && !path.starts_with("/v1/areas");
    if is_part && need(&Method::GET, path) == Need::Read {
        let told = parameter["description"].as_str().unwrap_or_default();
        parameter["description"] = json!(format!("{told} Needs `sql` where counts of few clients are withheld."));
    }
    if parameter["in"] == "path" || REQUIRED.contains(&(path, name.as_str())) {
        parameter["required"] = json!(true);
    }
}

/// Parameters of a question without which there is no answer.
const REQUIRED: [(&str, &str); 3] =
    [("/v1/heatmap", "map"), ("/v1/export/{table}", "site"), ("/v1/export/{table}", "day")];

fn parameter_schema(path: &str, name: &str) -> Option<(Value, Value)> {
    let of = |choices: &[&str]| json!({"type": "string", "enum": choices});
    let text = json!({"type": "string"});
    let numbered = ["tokens", "rebuilds", "alert-rules", "alerts", "silences", "callbacks"];
    let resource = path.split('/').nth(2).unwrap_or_default();
    Some(match name {
        "id" if numbered.contains(&resource) => (json!({"type": "integer", "minimum": 0}), json!(1)),
        "name" => (id(), json!("ann")),
        "delivery" => (json!({"type": "integer", "minimum": 0}), json!(1)),
        "id" => {
            let example = match resource {
                "sites" => examples::SITE,
                "maps" => examples::MAP,
                "clients" => examples::CLIENT,
                _ => examples::AREA,
            };
            (id(), json!(example))
        }
        "table" => (of(&["positions", "visits"]), json!("visits")),
        "source" if path.contains("{source}") => (text, json!("building-2")),
        "site" => (if resource == "maps" && path.ends_with("import") { id() } else { text }, json!(examples::SITE)),
        "map" => (if resource == "maps" { id() } else { text }, json!(examples::MAP)),
        "area" => (text, json!(examples::AREA)),
        "client" => (text, json!(examples::CLIENT)),
        "tag" => (text, json!("waiting")),
        "search" => (text, json!("ann")),
        "tz" => (text, json!("Europe/Lisbon")),
        "from" | "at" => (instant(), json!("-24h")),
        "to" => (instant(), json!("now")),
        "day" => (json!({"type": "string", "format": "date"}), json!("2026-07-01")),
        "bucket" => (bucket(), json!("1h")),
        "min_dwell" | "flow_gap" => (duration(), json!("5m")),
        "compare" => (json!({"type": "string", "pattern": "^(previous|[1-9][0-9]{0,2}[smhdw])$"}), json!("previous")),
        "group_by" => (of(&["area", "map", "site", "tag", "kind"]), json!("area")),
        "area_kind" => (of(&["zone", "vbeacon", "rssizone"]), json!("zone")),
        "kind" if resource == "areas" => (of(&["zone", "vbeacon", "rssizone"]), json!("zone")),
        "kind" => (of(&["wifi", "unconnected", "sdk", "asset"]), json!("wifi")),
        "source" => (of(&["computed", "reported"]), json!("computed")),
        "severity" => (of(&["info", "warning", "critical"]), json!("critical")),
        "state" if resource == "alerts" => (of(&["firing", "resolved"]), json!("firing")),
        "state" => (of(&["pending", "delivered", "dead"]), json!("dead")),
        "units" => (of(&["metres", "pixels", "wgs84"]), json!("metres")),
        "format" if path == "/v1/maps/{id}" => (of(&["json", "geojson"]), json!("geojson")),
        "format" if path == "/v1/areas" => (of(&["json", "geojson", "csv", "arrow", "parquet"]), json!("geojson")),
        "format" => (of(&["json", "csv", "arrow", "parquet"]), json!("csv")),
        "randomised" | "secrets" | "acknowledged" | "dry_run" | "replace" | "clip" => {
            (json!({"type": "boolean"}), json!(name != "randomised" && name != "clip"))
        }
        "cursor" => (json!({"type": "string", "pattern": "^[0-9]{1,18}$"}), json!("1024")),
        "rule" => (json!({"type": "integer", "minimum": 0, "maximum": u32::MAX}), json!(1)),
        "limit" => {
            let (most, otherwise) = match path {
                "/v1/visits" => (10_000, 1_000),
                "/v1/clients/{id}/track" => (100_000, 10_000),
                "/v1/occupancy/peaks" => (1_000, 10),
                _ => (1_000, 100),
            };
            (json!({"type": "integer", "minimum": 1, "maximum": most, "default": otherwise}), json!(100))
        }
        "cell_m" => (json!({"type": "number", "minimum": 0.1, "maximum": 100, "default": 1}), json!(0.5)),
        "ppm" => (json!({"type": "number", "minimum": 0.001, "maximum": 1_000_000}), json!(40)),
        "onto" => {
            let pattern = "^[^=,]+=[^=,]+(,[^=,]+=[^=,]+)*$";
            (json!({"type": "string", "pattern": pattern}), json!(format!("level-1={}", examples::MAP)))
        }
        "last_event_id" | "Last-Event-ID" => (text, json!("17-12.15")),
        "topics" => {
            let topic = "(occupancy|positions|alerts)";
            let pattern = format!("^{topic}(,{topic})*$");
            (json!({"type": "string", "pattern": pattern}), json!("occupancy,positions"))
        }
        _ => return None,
    })
}

/// An id that somebody gives a thing.
fn id() -> Value {
    let visible = "^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\x00-\\x1f\\x7f-\\x9f\\s][^\\x00-\\x1f\\x7f-\\x9f]*$";
    json!({"type": "string", "pattern": visible, "minLength": 1, "maxLength": 200})
}

/// RFC 3339, or back from now.
pub fn instant() -> Value {
    json!({"type": "string", "anyOf": [{"pattern": "^(now|-[0-9]{1,5}[smhdw])$"}, {"format": "date-time"}]})
}

/// Seconds, or with a unit.
fn duration() -> Value {
    json!({"type": "string", "pattern": "^([0-9]{1,8}(\\.[0-9]{1,3})?|[0-9]{1,3}[smhdw])$"})
}

/// Minutes and hours that divide a day, and longer stretches of the calendar.
fn bucket() -> Value {
    let dividing = |whole: u32| (1..=whole / 2).filter(move |part| whole.is_multiple_of(*part));
    let listed = |whole| dividing(whole).map(|part| part.to_string()).collect::<Vec<_>>().join("|");
    let pattern = format!("^(({})m(in)?|({}|24)h|1d|1w|1mo)$", listed(1440), listed(24));
    json!({"type": "string", "pattern": pattern})
}

/// One that may be left out is not null either; what is no JSON are bytes.
fn body(path: &str, operation: &mut Value, schemas: &Map<String, Value>) {
    let Some(body) = operation.get_mut("requestBody") else { return };
    for (content_type, media) in members(&mut body["content"]).iter_mut() {
        if content_type != "application/json" {
            media["schema"] = binary();
            media["example"] = json!(examples::upload(path));
        } else if let Some(choices) = media["schema"].get("oneOf").and_then(Value::as_array) {
            let other = choices.iter().find(|choice| choice["type"] != "null").cloned();
            media["schema"] = other.unwrap_or_default();
        }
        let name = media["schema"]["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
        let example = name.and_then(|name| schemas.get(name)?.get("example")).cloned();
        if let (None, Some(example)) = (media.get("example"), example) {
            media["example"] = example;
        }
    }
}

/// Answers that are no JSON: text, or bytes.
fn bytes(operation: &mut Value) {
    let Some(content) = operation.pointer_mut("/responses/200/content").and_then(Value::as_object_mut) else { return };
    for (content_type, media) in content.iter_mut().filter(|(content_type, _)| !content_type.ends_with("json")) {
        let is_text = content_type.starts_with("text/") || content_type == "image/svg+xml";
        media["schema"] = if is_text { json!({"type": "string"}) } else { binary() };
    }
}

/// A table comes in further forms, as `format` says.
fn forms(operation: &mut Value) {
    let formats = operation["parameters"].as_array().into_iter().flatten().find(|one| one["name"] == "format");
    let formats = formats.map_or(Value::Null, |one| one["schema"]["enum"].clone());
    let formats: Vec<&str> = formats.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for format in formats {
        let (content_type, schema) = match format {
            "json" => continue,
            "geojson" => ("application/geo+json", json!({"type": "object", "required": ["type", "features"]})),
            other => {
                let form = table::Form::from_name(other).expect("the forms of a table are those listed");
                let content_type = form.content_type().split(';').next().unwrap_or_default();
                let is_text = form == table::Form::Csv;
                (content_type, if is_text { json!({"type": "string"}) } else { binary() })
            }
        };
        operation["responses"]["200"]["content"][content_type] = json!({ "schema": schema });
    }
}

fn binary() -> Value {
    json!({"type": "string", "format": "binary"})
}

/// Whoever has the answer already is told so in short.
fn tagged(operation: &mut Value) {
    let parameters = members(operation).entry("parameters").or_insert(json!([]));
    parameters.as_array_mut().expect("parameters are a list").push(json!({
        "name": "If-None-Match", "in": "header", "required": false, "schema": {"type": "string"},
        "description": "The `ETag` of the answer that there is already: while nothing has changed, 304 comes instead.",
        "example": "W/\"5f2d3c4b5a69788796a5b4c3d2e1f001\"",
    }));
    let responses = &mut operation["responses"];
    responses["200"]["headers"]["ETag"] = json!({"description": "Of this answer", "schema": {"type": "string"}});
    responses["304"] = json!({});
}

/// Who may ask. Where there is neither token nor user, nobody has to say who they are.
fn access(path: &str, method: &str, operation: &mut Value) {
    let method = method.to_uppercase().parse().expect("the document's methods are methods");
    let needed = match need(&method, path) {
        _ if path.starts_with("/v1/webhooks/") => return,
        Need::Nothing => return,
        Need::Read => "`read`",
        Need::Clients | Need::Metrics => "`read`, or `sql` where counts of few clients are withheld",
        Need::Sql => "`sql`",
        Need::Admin => "`admin`",
    };
    let told = operation["description"].as_str().map(|told| format!("{told}\n\n")).unwrap_or_default();
    operation["description"] = json!(format!("{told}Needs the scope {needed}."));
    operation["security"] = json!([{"token": []}, {"session": []}, {}]);
    let problem = json!({"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}});
    for status in ["401", "403", "429"] {
        members(&mut operation["responses"]).entry(status).or_insert(problem.clone());
    }
}

/// Errors that come from around the handlers.
fn errors(path: &str, operation: &mut Value) {
    let has_body = operation.get("requestBody").is_some();
    let mut statuses = Vec::new();
    // Parameters that are not known are refused everywhere.
    if has_body || operation.get("parameters").is_some() || path.starts_with("/v1/") {
        statuses.push("400");
    }
    if has_body {
        statuses.push("413");
    }
    if path.starts_with("/v1/") || path == "/metrics" {
        statuses.extend(["500", "503"]);
    }
    let problem = json!({"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}});
    for status in statuses {
        members(&mut operation["responses"]).entry(status).or_insert(problem.clone());
    }
}

/// What each status means; errors are problem details.
fn responses(path: &str, method: &str, operation: &mut Value) {
    for (status, response) in members(&mut operation["responses"]).iter_mut() {
        let told = response["description"].as_str().unwrap_or_default();
        if told.is_empty() {
            response["description"] = json!(meaning(status));
        }
        let code: u16 = status.parse().unwrap_or_default();
        if code >= 400
            && let Some(content) = response.get_mut("content").and_then(Value::as_object_mut)
            && let Some(mut problem) = content.remove("application/json")
        {
            problem["example"] = json!({
                "title": axum::http::StatusCode::from_u16(code).ok().and_then(|code| code.canonical_reason()),
                "status": code,
                "detail": detail(code),
            });
            content.insert("application/problem+json".into(), problem);
        }
        if code == 201 || code == 202 && (path, method) == ("/v1/rebuilds", "post") {
            let place = json!({"description": "Where it is", "schema": {"type": "string"}});
            response["headers"]["Location"] = place;
        }
    }
}

fn meaning(status: &str) -> &'static str {
    match status {
        "200" => "The answer",
        "201" => "Made",
        "202" => "Taken on; it is done in the background",
        "204" => "Done",
        "304" => "What `If-None-Match` names is what there is still",
        "400" => "The request cannot be understood; `detail` names the parameter or member",
        "401" => "Nobody is known by this: the token, the session or the signature is missing or wrong",
        "403" => "Whoever asks may not do this",
        "404" => "There is no such thing",
        "409" => "What is there stands against it",
        "413" => "The body is too long",
        "415" => "The body is encoded in a way that is not taken",
        "422" => "Understood, but it makes no sense; `errors` lists each fault where there may be several",
        "429" => "Too many attempts failed from this address: wait as long as `Retry-After` says",
        "500" => "Something went wrong inside; the log says what",
        "503" => "The server is stopping, or not ready yet: try again",
        "504" => "It took too long and was given up",
        _ => "",
    }
}

fn detail(status: u16) -> &'static str {
    match status {
        400 => "`from` must be before `to`",
        401 => "the token is not known, was revoked, or has expired",
        403 => "token Grafana lacks the scope `admin`",
        404 => "there is no area \"0d1f5a52-0001-4c00-8000-000000000001\"",
        409 => "rebuild 3 is done already",
        413 => "the body is longer than 33554432 bytes, or broke off",
        415 => "this content encoding is not taken: send plain JSON or gzip",
        422 => "`clear_clients` must not be above `limit_clients`",
        429 => "too many attempts failed from this address",
        500 => "the question could not be answered",
        503 => "the server is stopping",
        504 => "the statement took longer than 30 s: ask for less, or give it up to 60 s with `timeout_s`",
        _ => "",
    }
}

/// A schema that is put together from others becomes one: members that one part does not know are no longer a fault.
fn merge_parts(schema: &mut Value, parts: &Map<String, Value>) {
    if let Some(own) = schema.get("allOf").and_then(Value::as_array).cloned() {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for part in own {
            let other = part["$ref"].as_str().and_then(|reference| parts.get(reference.rsplit('/').next()?));
            let part = other.unwrap_or(&part);
            properties.extend(part["properties"].as_object().cloned().unwrap_or_default());
            required.extend(part["required"].as_array().cloned().unwrap_or_default());
        }
        members(schema).remove("allOf");
        schema["type"] = json!("object");
        (schema["properties"], schema["required"]) = (Value::Object(properties), Value::Array(required));
    }
    match schema {
        Value::Object(members) => members.values_mut().for_each(|part| merge_parts(part, parts)),
        Value::Array(items) => items.iter_mut().for_each(|part| merge_parts(part, parts)),
        _ => {}
    }
}

/// A number without a sign has the bound of its own.
fn number(property: &mut Value) {
    let items = if property.get("items").is_some() { &mut property["items"] } else { property };
    if items["minimum"] == 0 && items["format"] == "int32" {
        members(items).remove("format");
        if items["maximum"].is_null() {
            items["maximum"] = json!(u32::MAX);
        }
    }
}

/// Values for the parameters of a statement.
pub fn statement_values() -> utoipa::openapi::schema::ArrayBuilder {
    use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};
    let types = SchemaType::from_iter([Type::Null, Type::Boolean, Type::Number, Type::String]);
    ArrayBuilder::new()
        .items(ObjectBuilder::new().schema_type(types))
        .description(Some("Values for `?` or `$1`, in order: null, true or false, numbers, texts."))
        .examples([json!(["2026-07-01T00:00:00Z"])])
}
