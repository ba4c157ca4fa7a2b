//! What the server answers is what its document says, whatever it is asked.

use std::collections::{HashMap, HashSet};

use jsonschema::Validator;
use reqwest::header::{AUTHORIZATION, ETAG, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::requests::{Asked, Inventor};
use crate::harness::{LOBBY, MAP, TestApp, delivery, fix};

/// Requests to each operation.
const ROUNDS: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_asked_the_answer_is_one_of_the_document() {
    let app = furnished().await;
    let mut contract = Contract::new(app.get("/openapi.json").await);
    let mut inventor = Inventor::new(7);
    let operations = contract.operations();
    assert!(operations.len() > 60);
    let (mut faults, mut answered) = (Vec::new(), HashSet::new());
    for round in 0..ROUNDS {
        for (path, method) in &operations {
            // What is deleted early has nothing more to answer.
            if method == "delete" && round < ROUNDS - 3 {
                continue;
            }
            let operation = &contract.document["paths"][path][method];
            let asked = inventor.request(path, method, operation);
            let answer = ask(&app, &asked).await;
            if answer.status < 400 {
                answered.insert((path, method));
            }
            if let Err(fault) = contract.check(path, method, &answer) {
                faults.push(format!("{fault}\n    {asked:?}\n    {answer:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{} answers are off the document:\n{}", faults.len(), faults.join("\n"));
    let unanswered: Vec<_> = operations.iter().filter(|(path, method)| !answered.contains(&(path, method))).collect();
    assert!(unanswered.len() < operations.len() / 5, "only refused: {unanswered:?}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_a_path_does_not_take_is_told_which_it_takes() {
    let app = TestApp::start().await;
    let contract = Contract::new(app.get("/openapi.json").await);
    for (path, item) in contract.document["paths"].as_object().unwrap() {
        for method in ["get", "put", "post", "delete", "patch", "options", "trace", "connectx"] {
            if item.get(method).is_some() {
                continue;
            }
            let asked = Asked { method: method.to_uppercase(), path: path.clone(), headers: Vec::new(), body: None };
            let answer = ask(&app, &asked).await;
            assert_eq!(answer.status, 405, "{asked:?}: {answer:?}");
            assert_eq!(answer.content_type, "application/problem+json");
            let allowed = answer.headers["allow"].to_str().unwrap().to_lowercase();
            let is_told = |method: &String| allowed.split(',').any(|one| one == method);
            assert!(item.as_object().unwrap().keys().all(is_told), "{path}: {allowed}");
        }
    }
    let nowhere = Asked { method: "GET".into(), path: "/v1/nowhere".into(), headers: Vec::new(), body: None };
    let answer = ask(&app, &nowhere).await;
    assert_eq!((answer.status, answer.content_type.as_str()), (404, "application/problem+json"));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_off_the_document_is_noticed() {
    let app = TestApp::start().await;
    let mut contract = Contract::new(app.get("/openapi.json").await);
    let json = "application/json";
    let good = json!({"sites": []});
    let tagged = HeaderMap::from_iter([(ETAG, HeaderValue::from_static("W/\"x\""))]);
    let untagged = Answer {
        status: 200,
        content_type: json.into(),
        headers: HeaderMap::new(),
        body: good.to_string().into_bytes(),
    };
    assert!(contract.check("/v1/sites", "get", &untagged).is_err_and(|told| told.contains("ETag")));
    for (status, content_type, body, fault) in [
        (200, json, good.clone(), None),
        (200, "application/json; charset=utf-8", good.clone(), None),
        (500, "application/problem+json", json!({"title": "", "status": 500, "detail": ""}), Some("server error")),
        (418, "application/problem+json", json!({"title": "", "status": 418, "detail": ""}), Some("status 418")),
        (200, "text/html", good, Some("text/html")),
        (200, json, json!({"sites": [{"site_id": 1}]}), Some("site_id")),
        (200, json, json!({}), Some("sites")),
    ] {
        let answer = Answer {
            status,
            content_type: content_type.into(),
            headers: tagged.clone(),
            body: body.to_string().into_bytes(),
        };
        let found = contract.check("/v1/sites", "get", &answer);
        match fault {
            None => assert_eq!(found, Ok(())),
            Some(part) => assert!(found.as_ref().is_err_and(|told| told.contains(part)), "{part}: {found:?}"),
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_tables_too() {
    let app = furnished().await;
    let mut stray = fix("00000000000c", 1.0, 1.0, 1.0);
    stray["map_id"] = json!("attic");
    app.deliver(&delivery("location", vec![stray])).await;
    for (method, path, body) in [
        (Method::POST, "/v1/tokens", json!({"name": "Grafana", "scopes": ["read", "sql"]})),
        (Method::PUT, "/v1/users/ann", json!({"password": "a long password", "scopes": ["read"]})),
        (Method::POST, "/v1/rebuilds", json!({"map_id": MAP})),
        (Method::POST, "/v1/silences", json!({"map_id": MAP, "for_s": 3600, "reason": "drill"})),
    ] {
        let (status, answer) = app.call(method, path, Some(body)).await;
        assert!(status.is_success(), "{path}: {answer}");
    }
    for (path, list, first) in [
        ("/v1/alerts", "alerts", "alert_id"),
        ("/v1/callbacks/1/deliveries", "deliveries", "delivery_id"),
        ("/v1/sites", "sites", "site_id"),
        ("/v1/maps", "maps", "map_id"),
        ("/v1/areas", "areas", "area_id"),
        ("/v1/alert-rules", "alert_rules", "rule_id"),
        ("/v1/alert-rules/1/versions", "versions", "rule_id"),
        (&format!("/v1/maps/{MAP}/versions"), "versions", "map_id"),
        (&format!("/v1/areas/{LOBBY}/versions"), "versions", "area_id"),
        ("/v1/callbacks", "callbacks", "callback_id"),
        ("/v1/silences", "silences", "silence_id"),
        ("/v1/acts", "acts", "act_id"),
        ("/v1/sources", "sources", "name"),
        ("/v1/tokens", "tokens", "token_id"),
        ("/v1/users", "users", "name"),
        ("/v1/rebuilds", "rebuilds", "rebuild_id"),
        ("/v1/unmapped", "maps", "map_id"),
    ] {
        let whole = app.get(path).await[list].as_array().unwrap().clone();
        let wanted: Vec<String> =
            whole.iter().map(|row| row[first].as_str().map_or(row[first].to_string(), str::to_owned)).collect();
        assert!(!wanted.is_empty(), "{path}");
        let form = async |format: &str| {
            let answer = app.client.get(format!("{}{path}?format={format}", app.base)).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{path} {format}");
            answer.bytes().await.unwrap()
        };
        // Read by an independent reader: the database itself.
        let conn = duckdb::Connection::open_in_memory().unwrap();
        for (format, reader) in [("csv", "read_csv"), ("parquet", "read_parquet")] {
            let file = app.dir.path().join(format!("list.{format}"));
            std::fs::write(&file, form(format).await).unwrap();
            let sql = format!("SELECT {first}::VARCHAR FROM {reader}('{}')", file.display());
            let mut statement = conn.prepare(&sql).unwrap();
            let rows: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
            assert_eq!(rows, wanted, "{path} {format}");
        }
    }
    app.stop().await;
}

/// A server that has something of everything.
pub async fn furnished() -> TestApp {
    let mut app = TestApp::start_with(|config| config.callbacks.deliver = false).await;
    // Tokens are made on the way, and then whoever asks must have one.
    let own = HeaderValue::try_from(format!("Bearer {}", app.access.own_token())).unwrap();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, own)]);
    app.client = reqwest::Client::builder().default_headers(headers).build().unwrap();
    app.upload_map().await;
    let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\"><rect width=\"9\" height=\"9\"/></svg>";
    app.client.put(format!("{}/v1/maps/{MAP}/image", app.base)).body(svg).send().await.unwrap();
    for (path, body) in [
        ("/v1/alert-rules", json!({"name": "Full", "area_id": LOBBY, "condition": "above", "limit_clients": 1})),
        ("/v1/callbacks", json!({"name": "Here", "url": "http://127.0.0.1:9/hook"})),
        ("/v1/silences", json!({"map_id": MAP, "for_s": 1, "reason": "drill"})),
    ] {
        let (status, answer) = app.call(Method::POST, path, Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
    }
    let crowd = |second: f64| ["00000000000a", "00000000000b"].map(|mac| fix(mac, second, 5.0, 5.0)).to_vec();
    app.deliver(&delivery("location", crowd(0.0))).await;
    app.deliver(&delivery("location", crowd(30.0))).await;
    app.run_on_to(60.0).await;
    app
}

/// One answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    content_type: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

async fn ask(app: &TestApp, asked: &Asked) -> Answer {
    let method = Method::from_bytes(asked.method.as_bytes()).unwrap();
    let mut request = app.client.request(method, format!("{}{}", app.base, asked.path));
    for (name, value) in &asked.headers {
        request = request.header(name, value);
    }
    let answer = request.body(asked.body.clone().unwrap_or_default()).send().await.unwrap();
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let content_type = header("content-type").unwrap_or_default();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    // A stream has no end.
    let body = if content_type == "text/event-stream" { Vec::new() } else { answer.bytes().await.unwrap().to_vec() };
    Answer { status, content_type, headers, body }
}

/// The document, and what it says of each answer.
struct Contract {
    document: Value,
    validators: HashMap<String, Validator>,
}

impl Contract {
    fn new(document: Value) -> Contract {
        Contract { document, validators: HashMap::new() }
    }

    fn operations(&self) -> Vec<(String, String)> {
        let paths = self.document["paths"].as_object().unwrap();
        let of = |(path, item): (&String, &Value)| {
            let methods: Vec<String> = item.as_object().unwrap().keys().cloned().collect();
            methods.into_iter().map(|method| (path.clone(), method)).collect::<Vec<_>>()
        };
        paths.iter().flat_map(of).collect()
    }

    /// What is wrong with an answer.
    fn check(&mut self, path: &str, method: &str, answer: &Answer) -> Result<(), String> {
        let place = format!("{method} {path} {}", answer.status);
        if answer.status >= 500 && answer.status != 503 && answer.status != 504 {
            return Err(format!("{place}: server error"));
        }
        let response = &self.document["paths"][path][method]["responses"][answer.status.to_string()];
        if response.is_null() {
            return Err(format!("{method} {path}: status {} is not in the document", answer.status));
        }
        let promised = response.get("headers").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name);
        if let Some(name) = promised.into_iter().find(|name| !answer.headers.contains_key(name.as_str())) {
            return Err(format!("{place}: header {name} is missing"));
        }
        let content_type = answer.content_type.split(';').next().unwrap_or_default();
        let Some(content) = response.get("content") else {
            let is_empty = answer.body.is_empty() && content_type.is_empty();
            return if is_empty { Ok(()) } else { Err(format!("{place}: has a body, and the document none")) };
        };
        let Some(media) = content.get(content_type) else {
            return Err(format!("{place}: content type {content_type:?} is not in the document"));
        };
        if !content_type.ends_with("json") {
            return Ok(());
        }
        let body: Value = serde_json::from_slice(&answer.body).map_err(|error| format!("{place}: {error}"))?;
        let schema = json!({"allOf": [media["schema"]], "components": self.document["components"]});
        let key = format!("{place} {content_type}");
        let validator = self.validators.entry(key).or_insert_with(|| jsonschema::validator_for(&schema).unwrap());
        let faults: Vec<String> =
            validator.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())).collect();
        if faults.is_empty() { Ok(()) } else { Err(format!("{place}: {}", faults.join("; "))) }
    }
}
