//! Who gets in: what every route of the document answers to strangers and to tokens of each scope, logging in, and that nobody
//! is told a secret.

use footfall::app::App;
use footfall::clock::Clock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{MAP, SITE, START_S, TestApp, ask, config, delivery, fix};

/// Who asks, in the order in which routes are tried.
const CALLERS: [&str; 6] = ["stranger", "wrong", "read", "sql", "admin", "site"];

async fn token(app: &TestApp, admin: Option<&str>, body: Value) -> String {
    let mut request = app.client.post(format!("{}/v1/tokens", app.base)).json(&body);
    if let Some(admin) = admin {
        request = request.bearer_auth(admin);
    }
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    answer.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned()
}

/// What a route has to demand, told apart from the program: by what it does.
fn needed(method: &str, path: &str) -> Option<&'static str> {
    let open = ["/health/live", "/health/ready", "/docs", "/v1/session", "/v1/login", "/v1/logout"];
    if open.contains(&path) || path.starts_with("/v1/webhooks/") {
        return None;
    }
    let reckons = ["/v1/alert-rules/preview", "/v1/what-if/zones"];
    Some(match path {
        "/v1/sql" | "/v1/sql/schema" | "/v1/export/{table}" => "sql",
        "/v1/snapshot" | "/v1/tokens" | "/v1/users" | "/v1/acts" => "admin",
        path if path.starts_with("/v1/callbacks") => "admin",
        path if method == "get" || reckons.contains(&path) => "read",
        _ => "admin",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_who_may_and_nobody_else() {
    let app = TestApp::start().await;
    app.upload_map().await;
    let admin = token(&app, None, json!({"name": "admin", "scopes": ["admin"]})).await;
    let made = |body| token(&app, Some(&admin), body);
    let read = made(json!({"name": "read", "scopes": ["read"]})).await;
    let sql = made(json!({"name": "sql", "scopes": ["sql"]})).await;
    let site = made(json!({"name": "site", "scopes": ["read"], "site_ids": [SITE]})).await;
    let document = app.get("/openapi.json").await;
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let needed = needed(method, path);
            let told = document["paths"][path][method]["description"].as_str().unwrap_or_default();
            if let Some(needed) = needed {
                assert!(told.contains(&format!("`{needed}`")), "{method} {path} tells what it needs: {told}");
            }
            for caller in CALLERS {
                // Its peer would have to wait after so many.
                if caller == "wrong" && tried % 40 != 0 {
                    continue;
                }
                let address = path.replace("{id}", "7").replace("{table}", "visits").replace("{delivery}", "7");
                let address = address.replace("{source}", "open").replace("{name}", "nobody");
                let method: Method = method.to_uppercase().parse().unwrap();
                let mut request = app.client.request(method.clone(), format!("{}{address}", app.base)).body("nothing");
                request = match caller {
                    "stranger" => request,
                    "wrong" => request.bearer_auth("ff_wrong"),
                    "read" => request.bearer_auth(&read),
                    "sql" => request.bearer_auth(&sql),
                    "admin" => request.bearer_auth(&admin),
                    _ => request.bearer_auth(&site),
                };
                let answer = request.send().await.unwrap();
                let status = answer.status();
                let what = format!("{caller}: {method} {path}: {status}");
                match (needed, caller) {
                    (None, _) => assert_ne!(status, StatusCode::FORBIDDEN, "{what}"),
                    (Some(_), "stranger" | "wrong") => {
                        assert_eq!(status, StatusCode::UNAUTHORIZED, "{what}");
                        assert!(answer.headers().contains_key("www-authenticate"), "{what}");
                    }
                    (Some(_), "admin") => assert!(status != 401 && status != 403, "{what}"),
                    (Some(needed), "site") => {
                        let takes_site = document["paths"][path]["get"]["parameters"]
                            .as_array()
                            .is_some_and(|list| list.iter().any(|one| one["name"] == "site"));
                        let is_his = needed == "read" && method == Method::GET && takes_site;
                        // Those that tell of one thing, and those without a site, are not for it.
                        assert!(is_his || path == "/v1/sites" || status == 403, "{what}");
                    }
                    (Some(needed), caller) => assert_eq!(status == 403, needed != caller, "{what}"),
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 300, "only {tried}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_one_site_sees_nothing_of_another() {
    let app = TestApp::start().await;
    app.upload_map().await;
    let mut elsewhere = fix("00000000000b", 0.0, 1.0, 1.0);
    (elsewhere["site_id"], elsewhere["map_id"]) = ("other-site".into(), "other-map".into());
    app.deliver(&delivery("location", vec![fix("00000000000a", 0.0, 1.0, 1.0)])).await;
    app.deliver(&delivery("location", vec![elsewhere])).await;
    let site = token(&app, None, json!({"name": "site", "scopes": ["read"], "site_ids": [SITE]})).await;
    let document = app.get("/openapi.json").await;
    for (path, item) in document["paths"].as_object().unwrap() {
        let query = if path == "/v1/stream" { continue } else { "" };
        if item.get("get").is_none() || path.contains('{') {
            continue;
        }
        for query in
            [query, "?site=other-site", "?map=other-map", "?site=4ac1dcf4-9d8b-7211-65c4-057819f0862b&map=other-map"]
        {
            let request = app.client.get(format!("{}{path}{query}", app.base)).bearer_auth(&site);
            let answer = request.send().await.unwrap();
            let is_answered = answer.status().is_success();
            let text = answer.text().await.unwrap();
            if is_answered && !["/openapi.json", "/docs", "/v1/session"].contains(&path.as_str()) {
                assert!(!text.contains("other-site") && !text.contains("other-map"), "{path}{query}: {text}");
                assert!(!text.contains("00000000000b"), "{path}{query}: {text}");
            }
        }
    }
    let sites = app.client.get(format!("{}/v1/sites", app.base)).bearer_auth(&site).send().await.unwrap();
    assert_eq!(sites.json::<Value>().await.unwrap()["sites"].as_array().unwrap().len(), 1);
    // Which site, goes without saying.
    app.clock.set((START_S + 10) * 1000);
    let clients = app.client.get(format!("{}/v1/clients", app.base)).bearer_auth(&site).send().await.unwrap();
    let clients = clients.text().await.unwrap();
    assert!(clients.contains("00000000000a"), "{clients}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_log_in_with_a_cookie_that_only_the_own_page_uses() {
    let app = TestApp::start().await;
    let url = |path: &str| format!("{}{path}", app.base);
    let set = json!({"password": "correct horse", "scopes": ["admin"]});
    assert_eq!(app.call(Method::PUT, "/v1/users/ann", Some(set)).await.0, StatusCode::OK);
    assert_eq!(app.call(Method::GET, "/v1/sites", None).await.0, StatusCode::UNAUTHORIZED);
    let info = app.get("/v1/session").await;
    assert_eq!((&info["is_required"], &info["can_log_in"], &info["name"]), (&json!(true), &json!(true), &Value::Null));
    let wrong = json!({"name": "ann", "password": "wrong horse"});
    assert_eq!(app.call(Method::POST, "/v1/login", Some(wrong)).await.0, StatusCode::UNAUTHORIZED);
    let right = json!({"name": "ann", "password": "correct horse"});
    let answer = app.client.post(url("/v1/login")).json(&right).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let pair = cookie.split(';').next().unwrap().to_owned();
    let with = |request: reqwest::RequestBuilder| request.header("cookie", &pair);
    assert_eq!(with(app.client.get(url("/v1/sites"))).send().await.unwrap().status(), StatusCode::OK);
    let name = json!({"name": "Clinic"});
    let change =
        |site: &str| with(app.client.put(url("/v1/sites/s1"))).header("sec-fetch-site", site).json(&name).send();
    assert_eq!(change("cross-site").await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(change("same-origin").await.unwrap().status(), StatusCode::OK);
    // What was done stands in the audit log, and no password does.
    let acts = with(app.client.get(url("/v1/acts"))).send().await.unwrap().json::<Value>().await.unwrap();
    let told: Vec<String> = acts["acts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|act| {
            format!(
                "{} {} {}",
                act["caller"].as_str().unwrap(),
                act["method"].as_str().unwrap(),
                act["path"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(told, ["user ann PUT /v1/sites/s1", "open PUT /v1/users/ann"]);
    assert!(!acts.to_string().contains("horse"));
    assert_eq!(with(app.client.post(url("/v1/logout"))).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(with(app.client.get(url("/v1/sites"))).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let stored = app.stop_and_ask("SELECT password FROM store.users").await;
    assert!(stored[0].starts_with("$argon2id$"), "{stored:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_can_neither_change_nor_read_an_open_server() {
    let app = TestApp::start().await;
    let post = app.client.post(format!("{}/v1/maps", app.base)).header("origin", "https://evil.example").body("{}");
    assert_eq!(post.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let read = app.client.get(format!("{}/v1/sites", app.base)).header("host", "evil.example").send().await.unwrap();
    assert_eq!(read.status(), StatusCode::FORBIDDEN);
    assert!(read.text().await.unwrap().contains("allow_open_access"));
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_this_machine_it_starts_only_when_somebody_can_be_told_from_anybody() {
    let dir = TempDir::new().unwrap();
    let mut config = config(dir.path());
    config.server.listen = "0.0.0.0:0".parse().unwrap();
    let refused = App::start(&config, Clock::manual(START_S * 1000)).await.err().expect("it must not start");
    assert!(refused.to_string().contains("footfall token create"), "{refused}");
    let app = TestApp::open(
        dir,
        {
            config.server.listen = "127.0.0.1:0".parse().unwrap();
            config.clone()
        },
        Clock::manual(0),
    )
    .await;
    let admin = token(&app, None, json!({"name": "admin", "scopes": ["admin"]})).await;
    let dir = app.stop().await;
    config.server.listen = "0.0.0.0:0".parse().unwrap();
    let app = App::start(&config, Clock::manual(START_S * 1000)).await.unwrap();
    assert!(app.access.by_token(&admin, None).is_ok());
    app.run(async {}).await.unwrap();
    let file = dir.path().join("footfall.duckdb");
    assert_eq!(ask(&file, "SELECT length(hash) FROM store.tokens"), ["64"]);
    assert!(!std::fs::read(&file).unwrap().windows(admin.len()).any(|part| part == admin.as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_end_by_time_and_by_hand() {
    let app = TestApp::start().await;
    let admin = token(&app, None, json!({"name": "admin", "scopes": ["admin"]})).await;
    let short = token(&app, Some(&admin), json!({"name": "short", "scopes": ["read"], "expires_in_days": 1})).await;
    let asked = |token: &str| app.client.get(format!("{}/v1/sites", app.base)).bearer_auth(token).send();
    assert_eq!(asked(&short).await.unwrap().status(), StatusCode::OK);
    app.clock.set((START_S + 86_400) * 1000);
    assert_eq!(asked(&short).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let end = app.client.delete(format!("{}/v1/tokens/2", app.base)).bearer_auth(&admin).send().await.unwrap();
    assert_eq!(end.status(), StatusCode::NO_CONTENT);
    let list = app.client.get(format!("{}/v1/tokens", app.base)).bearer_auth(&admin).send().await.unwrap();
    let list = list.text().await.unwrap();
    assert!(list.contains("\"short\"") && !list.contains(&short) && !list.contains(&admin), "{list}");
    let too_much = json!({"name": "x", "scopes": ["read", "admin"], "site_ids": [MAP]});
    let refused = app.client.post(format!("{}/v1/tokens", app.base)).bearer_auth(&admin).json(&too_much).send().await;
    assert_eq!(refused.unwrap().status(), StatusCode::UNPROCESSABLE_ENTITY);
}
