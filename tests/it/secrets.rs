//! Secrets stand in no log, however much of it is asked for and whatever goes wrong with them, and in no answer to others.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use footfall::receiver::signature::{HEADER_V1, HEADER_V2, Secret};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::NoTls;

use crate::harness::listener::{Behaviour, Listener};
use crate::harness::process::{Server, free_port};
use crate::harness::{LOBBY, MAP, SITE, delivery, fix};

const WEBHOOK: &str = "webhook-5f1d0c7b9e";
const POSTGRES: &str = "postgres-8ac42e6d10";
const LOGIN: &str = "login-73b9f0e2a4c1";
const ENDPOINT: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// In a header that an endpoint asks for, and in its address.
const BEARER: &str = "bearer-1e9d53c7f8";
const PATH: &str = "path-c04a6b2d97";

/// Runs the program with all of its log; gives back what it printed.
fn run(arguments: &[&str], input: &str, environment: &[(&str, &str)]) -> (String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_footfall"))
        .args(arguments)
        .env("FOOTFALL_LOG", "trace")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have ended before it read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

/// Sends what must fail and notes what is answered.
struct Asked {
    client: Client,
    base: String,
    answers: Vec<String>,
}

impl Asked {
    async fn fails(&mut self, method: &str, path: &str, adjust: impl FnOnce(RequestBuilder) -> RequestBuilder) {
        let request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.base));
        let answer = adjust(request).send().await.unwrap();
        let status = answer.status();
        assert!(!status.is_success(), "{method} {path}: {status}");
        self.answers.push(format!("{:?} {}", answer.headers().clone(), answer.text().await.unwrap()));
    }

    async fn made(&self, path: &str, token: &str, body: Value) -> Value {
        let answer = self.client.post(format!("{}{path}", self.base)).bearer_auth(token).json(&body).send().await;
        answer.unwrap().error_for_status().unwrap().json().await.unwrap()
    }
}

async fn webhooks(asked: &mut Asked) {
    let body = delivery("location", vec![fix("00000000000a", 0.0, 5.0, 5.0)]).to_string();
    let path = "/v1/webhooks/mist";
    let signed = |body: &str| Secret::new(WEBHOOK).sign_v2(body.as_bytes());
    asked.fails("POST", path, |r| r.body(body.clone())).await;
    asked.fails("POST", path, |r| r.header(HEADER_V2, "00").body(body.clone())).await;
    // The secret itself in place of a signature, and in place of much else.
    asked.fails("POST", path, |r| r.header(HEADER_V2, WEBHOOK).body(body.clone())).await;
    asked.fails("POST", path, |r| r.header(HEADER_V1, WEBHOOK).bearer_auth(WEBHOOK).body(body.clone())).await;
    asked.fails("POST", &format!("{path}/{WEBHOOK}"), |r| r.body(body.clone())).await;
    asked.fails("POST", &format!("{path}?secret={WEBHOOK}"), |r| r.body(body.clone())).await;
    asked.fails("POST", path, |r| r.header(HEADER_V2, signed("{")).body("{")).await;
    asked.fails("PUT", path, |r| r.header(HEADER_V2, signed(&body)).body(body.clone())).await;
    asked
        .fails("POST", path, |r| {
            r.header(HEADER_V2, signed(&body)).header("content-encoding", WEBHOOK).body(body.clone())
        })
        .await;
}

async fn logins(asked: &mut Asked, token: &str) {
    let login = |name: &str, password: &str| json!({"name": name, "password": password});
    asked.fails("POST", "/v1/login", |r| r.json(&login("nobody", LOGIN))).await;
    // Password and name in each other's field, one beside the right one, and no JSON.
    asked.fails("POST", "/v1/login", |r| r.json(&login(LOGIN, "ann"))).await;
    asked.fails("POST", "/v1/login", |r| r.json(&login("ann", &format!("{LOGIN}x")))).await;
    asked.fails("POST", "/v1/login", |r| r.body(format!("ann:{LOGIN}"))).await;
    asked
        .fails("PUT", "/v1/users/x", |r| r.bearer_auth(token).json(&json!({"password": LOGIN, "scopes": ["all"]})))
        .await;
    asked.fails("GET", "/v1/sites", |r| r.basic_auth("ann", Some(LOGIN))).await;
    asked.fails("GET", &format!("/v1/sites?token={token}"), |r| r).await;
    asked.fails("GET", "/v1/sites", |r| r.header("authorization", token)).await;
    asked.fails("GET", "/v1/sites", |r| r.bearer_auth(format!("{token}0"))).await;
    asked.fails("GET", &format!("/v1/maps/{token}"), |r| r.bearer_auth(token)).await;
    asked.fails("DELETE", "/v1/tokens/99", |r| r.bearer_auth(token)).await;
    let answer = asked.client.post(format!("{}/v1/login", asked.base)).json(&login("ann", LOGIN)).send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    asked
        .fails("PUT", "/v1/sites/s", |r| r.header("cookie", &cookie).header("sec-fetch-site", "cross-site").body("{}"))
        .await;
    asked.fails("PUT", "/v1/sites/s", |r| r.header("cookie", &cookie).body("{}")).await;
}

/// By a proof, and in clear, as a client does that does not know better.
async fn postgres_logins(port: u16) {
    for (user, password) in [("nobody", POSTGRES), (POSTGRES, POSTGRES), ("grafana", "wrong")] {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(port).user(user).password(password).dbname("footfall");
        assert!(config.connect(NoTls).await.is_err());
    }
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).user("grafana").password(POSTGRES).dbname("footfall");
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    assert!(client.simple_query("SELECT * FROM nowhere").await.is_err());
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let hello = b"\0\x03\0\0user\0grafana\0\0";
    let word = [POSTGRES.as_bytes(), b"\0"].concat();
    for (kind, body) in [(b"".as_slice(), hello.as_slice()), (b"p", &word)] {
        let length = (body.len() as u32 + 4).to_be_bytes();
        stream.write_all(&[kind, &length, body].concat()).await.unwrap();
    }
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(!answer.contains(POSTGRES), "{answer}");
}

/// One endpoint that fails, and one that is not there; both are told of an alert until they have failed some times.
async fn callbacks(asked: &mut Asked, token: &str) {
    let failing = Listener::start(std::iter::repeat_n(Behaviour::Answer(500), 1000)).await;
    let urls = [format!("{}/{PATH}", failing.url), format!("http://127.0.0.1:{}/{PATH}", free_port())];
    for (name, url) in ["failing", "gone"].into_iter().zip(&urls) {
        let headers = json!({"authorization": format!("Bearer {BEARER}")});
        let body = json!({"name": name, "url": url, "secret": ENDPOINT, "headers": headers});
        asked.made("/v1/callbacks", token, body).await;
    }
    for wrong in [
        json!({"name": "x", "url": format!("ftp://{PATH}"), "secret": ENDPOINT}),
        json!({"name": "x", "url": urls[0], "secret": format!("{ENDPOINT}!")}),
        json!({"name": "x", "url": urls[0], "secret": ENDPOINT, "headers": {"bad name": BEARER}}),
        json!({"name": "x", "url": format!("http://ann:{BEARER}@127.0.0.1/")}),
    ] {
        asked.fails("POST", "/v1/callbacks", |r| r.bearer_auth(token).json(&wrong)).await;
    }
    let rule = json!({"name": "Anyone", "area_id": LOBBY, "condition": "above", "limit_clients": 0});
    asked.made("/v1/alert-rules", token, rule).await;
    let body = delivery("location", vec![fix("00000000000a", 0.0, 5.0, 5.0)]).to_string();
    let signature = Secret::new(WEBHOOK).sign_v2(body.as_bytes());
    let sent = asked.client.post(format!("{}/v1/webhooks/mist", asked.base)).header(HEADER_V2, signature).body(body);
    assert!(sent.send().await.unwrap().status().is_success());
    let since = footfall::clock::stopwatch();
    loop {
        let list = asked.client.get(format!("{}/v1/callbacks", asked.base)).bearer_auth(token).send().await.unwrap();
        let list: Value = list.json().await.unwrap();
        let failures = |of: usize| list["callbacks"][of]["failures"].as_u64().unwrap();
        if failures(0) > 1 && failures(1) > 1 {
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(30), "{list}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The spellings in which a log could hold a secret.
fn spellings(secret: &str) -> Vec<String> {
    let bytes = format!("{:?}", secret.as_bytes());
    let base64 = STANDARD.encode(secret);
    // Its end depends on what comes after.
    let base64 = base64[..base64.len() - 4].to_owned();
    vec![secret.to_owned(), hex::encode(secret), bytes[1..bytes.len() - 1].to_owned(), base64]
}

fn assert_silent(log: &str, secrets: &[(&str, &str)], what: &str) {
    let mut found = Vec::new();
    for (name, secret) in secrets {
        for spelling in spellings(secret) {
            found.extend(log.lines().filter(|line| line.contains(&spelling)).map(|line| format!("{name}: {line}")));
        }
    }
    assert!(found.is_empty(), "{what} holds\n{}", found.join("\n"));
}

async fn upload_lobby(asked: &Asked, token: &str) {
    let square = json!([[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]]);
    let zone = json!({"type": "Feature", "id": LOBBY, "properties": {"name": "Lobby"},
        "geometry": {"type": "Polygon", "coordinates": square}});
    let map = json!({"site_id": SITE, "name": "Ground", "width_m": 20.0, "height_m": 20.0,
        "zones": {"type": "FeatureCollection", "features": [zone]}});
    let put = asked.client.put(format!("{}/v1/maps/{MAP}", asked.base)).bearer_auth(token).json(&map).send().await;
    assert!(put.unwrap().status().is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_log_of_all_that_fails_holds_no_secret() {
    let dir = TempDir::new().unwrap();
    let (store, log) = (dir.path().join("footfall.duckdb"), dir.path().join("log"));
    let file = store.to_str().unwrap();
    let (token, mut logs) = run(&["token", "create", "--store", file, "--scope", "admin", "t"], "", &[]);
    let token = token.trim();
    assert!(token.starts_with("ff_"), "{token}: {logs}");
    logs += &run(&["user", "set", "--store", file, "--scope", "read", "ann"], &format!("{LOGIN}\n"), &[]).1;
    logs += &run(&["user", "set", "--store", file, "--scope", "all", "bob"], &format!("{LOGIN}\n"), &[]).1;
    let port = free_port();
    let environment = [
        ("FOOTFALL_LOG", "trace"),
        ("FOOTFALL_SOURCES__DEFAULT__SECRETS", &format!("[\"{WEBHOOK}\"]")),
        ("FOOTFALL_POSTGRES__LISTEN", &format!("127.0.0.1:{port}")),
        ("FOOTFALL_POSTGRES__USERS", &format!("{{grafana=\"{POSTGRES}\"}}")),
    ];
    let server = Server::start_logging(dir.path(), &environment, &log);
    let mut asked = Asked { client: Client::new(), base: server.base.clone(), answers: Vec::new() };
    upload_lobby(&asked, token).await;
    webhooks(&mut asked).await;
    logins(&mut asked, token).await;
    postgres_logins(port).await;
    callbacks(&mut asked, token).await;
    logs += &run(&["sql", "--url", &server.base, "SELECT 1"], "", &[("FOOTFALL_TOKEN", &format!("{token}1"))]).1;
    server.stop();
    let told = fs::read_to_string(&log).unwrap();
    for line in ["TRACE", "delivery refused", "a login failed", "logged in", "a callback did not arrive"] {
        assert!(told.contains(line), "the log lacks {line:?}, so it proves nothing");
    }
    let secrets = [
        ("webhook's secret", WEBHOOK),
        ("PostgreSQL password", POSTGRES),
        ("token", token),
        ("login password", LOGIN),
        ("endpoint's secret", ENDPOINT),
        ("endpoint's key", ENDPOINT.trim_start_matches("whsec_")),
        ("endpoint's header", BEARER),
        ("endpoint's address", PATH),
    ];
    assert_silent(&told, &secrets, "the server's log");
    assert_silent(&logs, &secrets, "a command's log");
    // What one has sent oneself in the path may be repeated, as `instance` is meant to; secrets of the server never.
    assert_silent(&asked.answers.join("\n"), &secrets[4..7], "an answer");
}

#[test]
fn a_configuration_that_cannot_be_read_is_told_of_without_its_secrets() {
    let dir = TempDir::new().unwrap();
    let serve = |environment: &[(&str, &str)], file: Option<&Path>| {
        let mut arguments = vec!["serve", "--listen", "127.0.0.1:0"];
        if let Some(file) = file {
            arguments.extend(["--config", file.to_str().unwrap()]);
        }
        run(&arguments, "", environment).1
    };
    let file = dir.path().join("footfall.toml");
    fs::write(&file, format!("[sources.default]\nsecrets = [{WEBHOOK}]")).unwrap();
    for (told, place) in [
        (serve(&[("FOOTFALL_SOURCES__DEFAULT__SECRETS", WEBHOOK)], None), "sources.default.secrets"),
        (serve(&[("FOOTFALL_POSTGRES__USERS", POSTGRES)], None), "postgres.users"),
        (serve(&[], Some(&file)), "line 2"),
    ] {
        assert!(told.contains("error: ") && told.to_lowercase().contains(place), "{told}");
        assert_silent(&told, &[("webhook's secret", WEBHOOK), ("PostgreSQL password", POSTGRES)], "the log");
    }
}
