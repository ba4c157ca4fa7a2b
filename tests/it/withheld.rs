//! Counts below the threshold reach nobody who may not see single clients: by no question, in no form, on no stream.

use std::collections::HashSet;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{DESK, LOBBY, MAP, SITE, START_S, TestApp, delivery, fix};

const LEAST: f64 = 3.0;

/// What holds only numbers that count nobody.
const DIMENSIONS: [&str; 22] = [
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
    "version",
    "shape",
    "width_m",
    "height_m",
    "ppm",
    "deliveries",
    "dwell_bands",
    "rule_id",
    "limit_clients",
    "clear_clients",
    "for_s",
    "repeat_s",
];

async fn token(app: &TestApp, scopes: Value) -> String {
    let request = app.client.post(format!("{}/v1/tokens", app.base)).json(&json!({"name": "t", "scopes": scopes}));
    request.send().await.unwrap().json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned()
}

/// Rooms that are on no map.
const ROOMS: [&str; 2] = ["room-1", "room-2"];

/// Four in the lobby, one of whom goes to the desk and leaves; a fifth who goes to and fro at the desk, which lies in the
/// lobby, and is in a room that is on no map.
async fn crowd() -> (TestApp, String) {
    crowd_and(true).await
}

/// The fifth is there, or somewhere else; all else is the same.
async fn crowd_and(is_there: bool) -> (TestApp, String) {
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
    let rule = json!({"name": "Somebody", "area_id": DESK, "condition": "above", "limit_clients": 0});
    assert_eq!(app.call(Method::POST, "/v1/alert-rules", Some(rule)).await.0, StatusCode::CREATED);
    let fifth = "5684dae9ac09";
    let mut fixes = Vec::new();
    for second in (0..=600).step_by(30) {
        for client in 0..4 {
            fixes.push(fix(&format!("5684dae9ac0{client}"), f64::from(second), 8.0, 8.0 + f64::from(client) / 10.0));
        }
        let at = if second % 90 == 30 {
            15.0
        } else if is_there {
            2.0
        } else {
            18.0
        };
        fixes.push(fix(fifth, f64::from(second), at, at));
    }
    fixes.push(fix("5684dae9ac00", 610.0, 2.0, 2.0));
    fixes.push(fix("5684dae9ac00", 640.0, 15.0, 15.0));
    // By this one it is over.
    fixes.push(fix("5684dae9ac00", 670.0, 15.0, 15.0));
    app.run_on_to(700.0).await;
    app.deliver(&delivery("location", fixes)).await;
    let room = |room: &str, trigger: &str, second: i64| {
        json!({"site_id": SITE, "rssizone_id": room, "mac": fifth, "type": "wifi", "trigger": trigger,
            "timestamp": START_S + second})
    };
    let [first, second] = ROOMS;
    let then = [room(first, "enter", 10), room(first, "exit", 20), room(second, "enter", 30), room(second, "exit", 40)];
    app.deliver(&delivery("rssizone", then.into())).await;
    app.deliver(&delivery("rssizone", vec![room(ROOMS[usize::from(!is_there)], "enter", 600)])).await;
    (app, admin)
}

/// A route and its parameters, of those that `read` may ask; ids of what there is are filled in.
struct Route {
    path: String,
    address: String,
    params: Vec<String>,
}

impl Route {
    /// All but the stream, which does not end.
    async fn all(app: &TestApp) -> Vec<Route> {
        let document = app.client.get(format!("{}/openapi.json", app.base)).send().await.unwrap();
        let document: Value = document.json().await.unwrap();
        let mut routes = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            let needs = item["get"]["description"].as_str().unwrap_or_default();
            if path == "/v1/stream" || !needs.ends_with("Needs the scope `read`.") {
                continue;
            }
            let id = match path.split('/').nth(2).unwrap() {
                "sites" => SITE,
                "maps" => MAP,
                "areas" => DESK,
                _ => "1",
            };
            let params = item["get"]["parameters"].as_array().into_iter().flatten();
            let params = params.map(|one| one["name"].as_str().unwrap().to_owned()).collect();
            routes.push(Route { path: path.clone(), address: path.replace("{id}", id), params });
        }
        routes
    }

    /// With those of the parameters that it takes.
    fn with(&self, query: &str) -> String {
        let takes = |pair: &&str| self.params.iter().any(|name| Some(name.as_str()) == pair.split('=').next());
        format!("{}?{}", self.address, query.split('&').filter(takes).collect::<Vec<_>>().join("&"))
    }
}

async fn told(app: &TestApp, token: &str, path: &str) -> (StatusCode, String) {
    let answer = app.client.get(format!("{}{path}", app.base)).bearer_auth(token).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

/// Numbers of an answer that tell of fewer clients than may be told of.
fn small(name: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Number(number) if number.as_f64().unwrap() < LEAST => {
            found.push(format!("{name}: {number}"));
        }
        Value::Array(values) => values.iter().for_each(|value| small(name, value, found)),
        Value::Object(members) => {
            let told = members.iter().filter(|(name, _)| !DIMENSIONS.contains(&name.as_str()));
            told.for_each(|(name, value)| small(name, value, found));
        }
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
    let window = "from=2026-07-01T07:00:00Z&to=2026-07-01T10:00:00Z&bucket=5m&cell_m=5";
    // (Answers looked through, those in which others are told what this one is not.)
    let (mut tried, mut withheld) = (0, 0);
    for route in Route::all(&app).await {
        for scope in [format!("area={DESK}"), format!("area={LOBBY}"), format!("site={SITE}"), format!("map={MAP}")] {
            for more in ["", "&compare=previous", "&clip=false", "&source=reported"] {
                let address = route.with(&format!("{window}&{scope}{more}"));
                let (status, text) = told(&app, &read, &address).await;
                // There is no image, and no heat map of more than a map.
                if route.path.ends_with("/image") || route.path == "/v1/heatmap" && !scope.starts_with("map") {
                    continue;
                }
                assert_eq!(status, StatusCode::OK, "{address}: {text}");
                let mut found = Vec::new();
                small("", &serde_json::from_str(&text).unwrap(), &mut found);
                assert!(found.is_empty(), "{address} tells {found:?}");
                assert!(!text.contains("5684dae9ac0"), "{address} tells a client: {text}");
                let (_, text_of_all) = told(&app, &both, &address).await;
                withheld += u32::from(text_of_all != text);
                if route.params.iter().any(|name| name == "format") && route.path != "/v1/maps/{id}" {
                    let (_, csv) = told(&app, &read, &format!("{address}&format=csv")).await;
                    assert_eq!(small_in_csv(&csv), Vec::<String>::new(), "{address} as CSV");
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 200 && withheld > 60, "{tried} answers, {withheld} with less than there is");
}

/// The heart of it: whatever is asked, one client here and none are told alike.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_and_somebody_are_told_alike() {
    let (with, _) = crowd_and(true).await;
    let (without, _) = crowd_and(false).await;
    let tokens = [token(&with, json!(["read"])).await, token(&without, json!(["read"])).await];
    let scopes = [format!("area={DESK}"), format!("area={}", ROOMS[0]), "area_kind=rssizone".into(), String::new()];
    let mut tried = 0;
    for route in Route::all(&with).await {
        // Where there are enough, one more is told.
        let is_of_all = |scope: &str| scope.is_empty() && route.params.iter().any(|name| name == "area");
        for scope in scopes.iter().filter(|scope| !is_of_all(scope)) {
            for until in ["2026-07-01T08:10:00Z", "now"] {
                let query = format!("from=2026-07-01T07:00:00Z&to={until}&bucket=5m&map={MAP}&{scope}");
                // What is on no map is not on this one.
                let query = if scope.is_empty() { query } else { query.replace(&format!("&map={MAP}"), "") };
                let address = route.with(&query);
                let (_, one) = told(&with, &tokens[0], &address).await;
                let (_, none) = told(&without, &tokens[1], &address).await;
                assert_eq!(one, none, "{address}");
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "only {tried}");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_what_is_told_are_for_those_who_may_see_clients() {
    let (app, _) = crowd().await;
    let read = token(&app, json!(["read"])).await;
    let both = token(&app, json!(["read", "sql"])).await;
    let mut refused = 0;
    for route in Route::all(&app).await.iter().filter(|route| !route.path.starts_with("/v1/areas")) {
        for part in ["group_by=area", "kind=wifi", "randomised=false", "min_dwell=1m", "flow_gap=1m"] {
            let name = part.split('=').next().unwrap();
            if route.with(part).ends_with('?') {
                continue;
            }
            let address = route.with(&format!("map={MAP}&{part}"));
            for address in [&address, &address.replace(name, &format!("%{:02x}{}", name.as_bytes()[0], &name[1..]))] {
                let (status, text) = told(&app, &read, address).await;
                assert_eq!(status, StatusCode::FORBIDDEN, "{address}: {text}");
                assert!(text.contains(name) && text.contains("`sql`"), "{text}");
                assert_eq!(told(&app, &both, address).await.0, StatusCode::OK, "{address}");
            }
            refused += 1;
        }
    }
    assert!(refused > 20, "only {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sum_leaves_is_not_a_single_part() {
    let (app, _) = crowd().await;
    let read = token(&app, json!(["read"])).await;
    let entries = async |bucket: &str| {
        let window = format!("area={LOBBY}&from=2026-07-01T08:00:00Z&to=2026-07-01T09:00:00Z&bucket={bucket}");
        let (_, text) = told(&app, &read, &format!("/v1/occupancy/series?{window}")).await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        let buckets = answer["buckets"].as_array().unwrap().iter();
        (buckets.map(|bucket| bucket["entries"].is_null()).collect::<Vec<_>>(), answer["total"]["entries"].is_null())
    };
    assert_eq!(entries("10m").await, (vec![false, true], true));
    assert_eq!(entries("1m").await.0[1..3], [true, true]);
    assert!(!entries("1m").await.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_of_clients_are_for_those_who_may_see_them() {
    let of_clients = ["footfall_open_visits", "footfall_alerts_firing", "footfall_callbacks_pending"];
    let (app, _) = crowd().await;
    let read = token(&app, json!(["read"])).await;
    let sql = token(&app, json!(["sql"])).await;
    assert_eq!(told(&app, &read, "/metrics").await.0, StatusCode::FORBIDDEN);
    let (_, all) = told(&app, &sql, "/metrics").await;
    assert!(of_clients[..2].iter().all(|name| all.contains(name)), "{all}");
    let app = TestApp::start_with(|config| {
        (config.access.required, config.access.metrics_open) = (true, true);
        config.privacy.counts_withheld_below = LEAST as u64;
    })
    .await;
    let text = app.client.get(format!("{}/metrics", app.base)).send().await.unwrap().text().await.unwrap();
    assert!(text.contains("footfall_connections"), "{text}");
    assert!(!of_clients.iter().any(|name| text.contains(name)), "{text}");
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
    for path in [
        "/v1/clients",
        "/v1/clients/5684dae9ac09/track",
        "/v1/visits",
        "/v1/alerts",
        "/v1/alerts/1",
        "/v1/silences",
        "/v1/unmapped",
        "/v1/rebuilds",
        "/v1/rebuilds/1",
    ] {
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
    assert!(!text.contains(ROOMS[0]), "{text}");
    // One more at the desk, so in the lobby, too; and in a room, which comes before them.
    let before = text.len();
    let room = json!({"site_id": SITE, "rssizone_id": ROOMS[0], "mac": "5684dae9ac10", "type": "wifi", "trigger": "enter",
        "timestamp": START_S + 690});
    app.deliver(&delivery("rssizone", vec![room])).await;
    app.deliver(&delivery("location", vec![fix("5684dae9ac10", 690.0, 2.0, 2.0)])).await;
    while !text[before..].contains("\"current\":5") || !text.ends_with("\n\n") {
        text.push_str(&piece().await);
    }
    let told: Vec<(String, Value)> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
        .flat_map(|told| told["areas"].as_array().cloned().unwrap_or_default())
        .map(|area| (area["name"].as_str().unwrap().to_owned(), area["current"].clone()))
        .collect();
    let of = |name: &str| {
        let mut counts: Vec<_> = told.iter().filter(|one| one.0 == name).map(|one| one.1.clone()).collect();
        // The feed may look in between.
        counts.dedup();
        counts
    };
    assert_eq!(of("Lobby"), [json!(4), json!(5)]);
    assert_eq!(of("Desk"), [json!(null)]);
    assert!(!text.contains(ROOMS[0]), "{text}");
    // Alerts have fired, and no id says how many.
    let ids: HashSet<&str> = text.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    assert_eq!(ids, HashSet::from(["0-many"]));
}
