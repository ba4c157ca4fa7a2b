//! Counts below the threshold reach nobody who may not see single clients: by no question, in no form, on no stream.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{DESK, LOBBY, MAP, SITE, TestApp, delivery, fix};

const LEAST: f64 = 3.0;

/// Numbers that count nobody.
const DIMENSIONS: [&str; 11] = [
    "cell_m",
    "x_m",
    "y_m",
    "weekday",
    "hour",
    "from_s",
    "to_s",
    "occupancy_limit",
    "flow_gap_s",
    "lasted_s",
    "group_key",
];

async fn token(app: &TestApp, scopes: Value) -> String {
    let request = app.client.post(format!("{}/v1/tokens", app.base)).json(&json!({"name": "t", "scopes": scopes}));
    request.send().await.unwrap().json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned()
}

/// Four in the lobby, one of whom goes to the desk and leaves; a fifth all the time at the desk, which lies in the lobby.
async fn crowd() -> (TestApp, String) {
    let mut app = TestApp::start_with(|config| {
        config.access.required = true;
        config.postgres.users.insert("ann".into(), "a password".into());
        config.privacy.counts_withheld_below = LEAST as u64;
    })
    .await;
    let admin = app.access.own_token();
    // What says nothing else comes from the admin.
    let headers = HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {admin}").parse().unwrap())]);
    app.client = reqwest::Client::builder().default_headers(headers).build().unwrap();
    app.upload_map().await;
    let mut fixes = Vec::new();
    for second in (0..=600).step_by(30) {
        for client in 0..4 {
            fixes.push(fix(&format!("5684dae9ac0{client}"), f64::from(second), 8.0, 8.0 + f64::from(client) / 10.0));
        }
        let (x_m, y_m) = if second == 300 { (15.0, 15.0) } else { (2.0, 2.0) };
        fixes.push(fix("5684dae9ac09", f64::from(second), x_m, y_m));
    }
    fixes.push(fix("5684dae9ac00", 610.0, 2.0, 2.0));
    fixes.push(fix("5684dae9ac00", 640.0, 15.0, 15.0));
    // By this one it is over.
    fixes.push(fix("5684dae9ac00", 670.0, 15.0, 15.0));
    app.run_on_to(700.0).await;
    app.deliver(&delivery("location", fixes)).await;
    (app, admin)
}

async fn told(app: &TestApp, token: &str, path: &str) -> (StatusCode, String) {
    let answer = app.client.get(format!("{}{path}", app.base)).bearer_auth(token).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

/// Numbers of an answer that tell of fewer clients than may be told of.
fn small(name: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Number(number) if !DIMENSIONS.contains(&name) && number.as_f64().unwrap() < LEAST => {
            found.push(format!("{name}: {number}"));
        }
        Value::Array(values) => values.iter().for_each(|value| small(name, value, found)),
        Value::Object(members) => members.iter().for_each(|(name, value)| small(name, value, found)),
        _ => {}
    }
}

fn small_in_csv(text: &str) -> Vec<String> {
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let cells = lines.flat_map(|line| header.iter().zip(line.split(',')));
    let is_small = |name: &str, cell: &str| !DIMENSIONS.contains(&name) && cell.parse::<f64>().is_ok_and(|n| n < LEAST);
    cells.filter(|(name, cell)| is_small(name, cell)).map(|(name, cell)| format!("{name}: {cell}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_question_tells_a_count_below_the_threshold() {
    let (app, _) = crowd().await;
    let read = token(&app, json!(["read"])).await;
    let both = token(&app, json!(["read", "sql"])).await;
    let document = app.client.get(format!("{}/openapi.json", app.base)).send().await.unwrap();
    let document: Value = document.json().await.unwrap();
    let window = "from=2026-07-01T07:00:00Z&to=2026-07-01T10:00:00Z&bucket=5m&cell_m=5";
    // (Answers looked through, those in which others are told what this one is not.)
    let (mut tried, mut withheld) = (0, 0);
    for (path, item) in document["paths"].as_object().unwrap() {
        let operation = &item["get"];
        let is_metric = operation["tags"][0] == "metrics" && path != "/v1/stream";
        let needs = operation["description"].as_str().unwrap_or_default();
        if !is_metric || !needs.ends_with("Needs the scope `read`.") {
            continue;
        }
        let takes = |wanted: &str| operation["parameters"].as_array().unwrap().iter().any(|one| one["name"] == wanted);
        for scope in [format!("area={DESK}"), format!("area={LOBBY}"), format!("site={SITE}"), format!("map={MAP}")] {
            for more in ["", "&group_by=area", "&group_by=kind", "&compare=previous", "&client_kind=wifi"] {
                let given = format!("{window}&{scope}{more}");
                let query = given.split('&').filter(|pair| takes(pair.split('=').next().unwrap()));
                let query = query.collect::<Vec<_>>().join("&");
                let address = format!("{path}?{query}");
                let (status, text) = told(&app, &read, &address).await;
                if path == "/v1/heatmap" && !scope.starts_with("map") {
                    continue;
                }
                assert_eq!(status, StatusCode::OK, "{address}: {text}");
                let mut found = Vec::new();
                small("", &serde_json::from_str(&text).unwrap(), &mut found);
                assert!(found.is_empty(), "{address} tells {found:?}");
                let (_, text_of_all) = told(&app, &both, &address).await;
                withheld += u32::from(text_of_all != text);
                let (_, csv) = told(&app, &read, &format!("{address}&format=csv")).await;
                assert_eq!(small_in_csv(&csv), Vec::<String>::new(), "{address} as CSV");
                tried += 1;
            }
        }
    }
    assert!(tried > 100 && withheld > 60, "{tried} answers, {withheld} with less than there is");
}

#[tokio::test(flavor = "multi_thread")]
async fn enough_are_counted_and_too_few_are_null() {
    let (app, admin) = crowd().await;
    let read = token(&app, json!(["read"])).await;
    let seen = async |token: &str| {
        let (_, text) = told(&app, token, "/v1/occupancy?area_kind=zone").await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        let areas = answer["areas"].as_array().unwrap().iter();
        areas.map(|area| (area["name"].clone(), area["current"].clone(), area["by_kind"].clone())).collect::<Vec<_>>()
    };
    let by_kind = |wifi: u64| json!({"wifi": wifi, "unconnected": 0, "sdk": 0, "asset": 0});
    let mut all = vec![(json!("Lobby"), json!(4), by_kind(4)), (json!("Desk"), json!(1), by_kind(1))];
    let mut some = vec![(json!("Lobby"), json!(4), json!(null)), (json!("Desk"), json!(null), json!(null))];
    let order = |one: &(Value, Value, Value)| one.0.to_string();
    all.sort_by_key(order);
    some.sort_by_key(order);
    let mut of_admin = seen(&admin).await;
    let mut of_read = seen(&read).await;
    of_admin.sort_by_key(order);
    of_read.sort_by_key(order);
    assert_eq!(of_admin, all);
    assert_eq!(of_read, some);
}

#[tokio::test(flavor = "multi_thread")]
async fn single_clients_are_for_those_who_may_see_them() {
    let (app, _) = crowd().await;
    let read = token(&app, json!(["read"])).await;
    let sql = token(&app, json!(["sql"])).await;
    for path in ["/v1/clients", "/v1/clients/5684dae9ac09/track", "/v1/visits", "/v1/alerts", "/v1/alerts/1"] {
        let (status, text) = told(&app, &read, path).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}: {text}");
        assert!(text.contains("`sql`"), "{text}");
        assert_ne!(told(&app, &sql, path).await.0, StatusCode::FORBIDDEN, "{path}");
    }
    for path in ["/v1/what-if/zones", "/v1/alert-rules/preview"] {
        let request = app.client.request(Method::POST, format!("{}{path}", app.base)).bearer_auth(&read);
        assert_eq!(request.json(&json!({})).send().await.unwrap().status(), StatusCode::FORBIDDEN, "{path}");
    }
    for topics in ["positions", "occupancy,alerts"] {
        let (status, text) = told(&app, &read, &format!("/v1/stream?topics={topics}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
    }
    let (_, session) = told(&app, &read, "/v1/session").await;
    assert!(session.contains("\"counts_withheld_below\":3"), "{session}");
    let (_, session) = told(&app, &sql, "/v1/session").await;
    assert!(session.contains("\"counts_withheld_below\":null"), "{session}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_neither_few_nor_that_they_change() {
    let (app, _) = crowd().await;
    let read = token(&app, json!(["read"])).await;
    let mut stream = app.client.get(format!("{}/v1/stream", app.base)).bearer_auth(&read).send().await.unwrap();
    let mut text = String::new();
    let mut piece = async || {
        let piece =
            tokio::time::timeout(Duration::from_secs(20), stream.chunk()).await.expect("the stream says something");
        String::from_utf8(piece.unwrap().unwrap().to_vec()).unwrap()
    };
    while !text.contains("\"is_whole\":true") {
        text.push_str(&piece().await);
    }
    // One more at the desk, so in the lobby, too.
    let before = text.len();
    app.deliver(&delivery("location", vec![fix("5684dae9ac10", 690.0, 2.0, 2.0)])).await;
    while !text[before..].contains("\"is_whole\":false") || !text.ends_with("\n\n") {
        text.push_str(&piece().await);
    }
    let told: Vec<(String, Value)> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
        .flat_map(|told| told["areas"].as_array().cloned().unwrap_or_default())
        .map(|area| (area["name"].as_str().unwrap().to_owned(), area["current"].clone()))
        .collect();
    let of = |name: &str| told.iter().filter(|one| one.0 == name).map(|one| one.1.clone()).collect::<Vec<_>>();
    assert_eq!(of("Lobby"), [json!(4), json!(5)]);
    assert_eq!(of("Desk"), [json!(null)]);
}
