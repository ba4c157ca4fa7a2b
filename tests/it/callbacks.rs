//! Callbacks that arrive: at endpoints that dawdle, break off, refuse, move or are not there, in order, at least once.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;

use crate::harness::listener::{Behaviour, Listener, Received};
use crate::harness::process::Server;
use crate::harness::{LOBBY, MAP, SECRET, SITE, START_S, TestApp, ask, delivery, fix};

/// The verifier of an endpoint, as the specification of Standard Webhooks tells it.
fn verify(secret: &str, request: &Received) {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&key).unwrap();
    let (id, timestamp) = (request.header("webhook-id"), request.header("webhook-timestamp"));
    mac.update(format!("{id}.{timestamp}.{}", String::from_utf8(request.body.clone()).unwrap()).as_bytes());
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let signatures: Vec<&str> = request.header("webhook-signature").split(' ').collect();
    assert!(signatures.contains(&expected.as_str()), "{signatures:?} has no {expected}");
    let now_s = footfall::clock::Clock::System.now().0 / 1000;
    assert!((now_s - timestamp.parse::<i64>().unwrap()).abs() < 300, "{timestamp}");
}

/// "firing 1", "resolved 1", ...: what was told, in order.
fn told(taken: &[Received]) -> Vec<String> {
    let line = |request: &Received| {
        let event = request.json();
        let state = event["type"].as_str().unwrap().trim_start_matches("alert.").to_owned();
        format!("{state} {}", event["data"]["alert_id"])
    };
    taken.iter().map(line).collect()
}

async fn make(app: &TestApp, path: &str, body: Value) -> Value {
    let (status, made) = app.call(Method::POST, path, Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made
}

async fn endpoint(app: &TestApp, listener: &Listener) -> Value {
    make(app, "/v1/callbacks", json!({"name": "endpoint", "url": listener.url})).await
}

/// A server with a map and a rule that fires when anybody is in the lobby.
async fn watched() -> TestApp {
    watched_with(|_| {}).await
}

async fn watched_with(adjust: impl FnOnce(&mut footfall::config::Config)) -> TestApp {
    let app = TestApp::start_live(adjust).await;
    app.upload_map().await;
    make(&app, "/v1/alert-rules", rule()).await;
    app
}

fn rule() -> Value {
    json!({"name": "Anyone", "area_id": LOBBY, "condition": "above", "limit_clients": 0})
}

fn enter(round: u32) -> Value {
    delivery("location", vec![fix("00000000000a", f64::from(round) * 100.0, 5.0, 5.0)])
}

fn leave(round: u32) -> Value {
    let at_s = f64::from(round) * 100.0;
    let outside = [50.0, 60.0].map(|later_s| fix("00000000000a", at_s + later_s, 15.0, 15.0));
    delivery("location", outside.to_vec())
}

/// So many alerts that fire and are over.
async fn rounds(app: &TestApp, rounds: std::ops::Range<u32>) {
    for round in rounds {
        app.deliver(&enter(round)).await;
        app.deliver(&leave(round)).await;
    }
}

fn expected(alerts: std::ops::RangeInclusive<u32>) -> Vec<String> {
    alerts.flat_map(|alert| [format!("firing {alert}"), format!("resolved {alert}")]).collect()
}

/// Waits until the endpoint's state is as it should be.
async fn until(app: &TestApp, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let since = footfall::clock::stopwatch();
    loop {
        let answer = app.get(path).await;
        if is_so(&answer) {
            return answer;
        }
        assert!(since.elapsed() < Duration::from_secs(20), "{answer:#}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_in_order_and_signed_however_the_endpoint_behaves() {
    use Behaviour::{Answer, AnswerWith, Break, Hang, Reset, Slow};
    let hostile = Listener::start([
        Answer(500),
        Reset,
        AnswerWith(429, "retry-after: 1".into()),
        Answer(200),
        Slow(Duration::from_millis(300)),
        Break,
        Answer(404),
        AnswerWith(302, "location: http://127.0.0.1:1/".into()),
        Hang,
        Answer(204),
        Reset,
    ])
    .await;
    let good = Listener::start([]).await;
    let app = watched_with(|config| config.callbacks.timeout_s = 1.0).await;
    let (made, _) = (endpoint(&app, &hostile).await, endpoint(&app, &good).await);
    rounds(&app, 0..5).await;
    assert_eq!(told(&good.wait_for(10).await), expected(1..=5), "the other is not delayed");
    assert!(hostile.taken().len() < 10);
    let taken = hostile.wait_for(10).await;
    assert_eq!(told(&taken), expected(1..=5));
    // Every try at one event has one id and one body.
    let mut bodies: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for request in hostile.received() {
        verify(made["secret"].as_str().unwrap(), &request);
        let known = bodies.entry(request.header("webhook-id").into()).or_insert_with(|| request.body.clone());
        assert_eq!(*known, request.body);
    }
    assert_eq!(bodies.len(), 10);
    // The log knows every attempt.
    let path = "/v1/callbacks/1/deliveries";
    until(&app, &format!("{path}?state=delivered"), |page| page["deliveries"].as_array().unwrap().len() == 10).await;
    let first = app.get(&format!("{path}/1")).await;
    let log = first["attempt_log"].as_array().unwrap();
    let statuses: Vec<&Value> = log.iter().map(|attempt| &attempt["status"]).collect();
    assert_eq!(json!(statuses), json!([500, null, 429, 200]), "{log:#?}");
    assert_eq!(
        (&log[0]["answer"], &log[0]["problem"]),
        (&json!("heard"), &json!("answered 500 Internal Server Error"))
    );
    assert_eq!(log[3]["problem"], Value::Null);
    let pause = |from: usize, to: usize| {
        let at = |n: usize| chrono::DateTime::parse_from_rfc3339(log[n]["attempted_at"].as_str().unwrap()).unwrap();
        (at(to) - at(from)).num_milliseconds()
    };
    assert!(pause(2, 3) >= 1000, "Retry-After is honoured: {}", pause(2, 3));
    let metrics = reqwest::get(format!("{}/metrics", app.base)).await.unwrap().text().await.unwrap();
    for line in [
        "footfall_callback_attempts_total{callback=\"1\",name=\"endpoint\",outcome=\"delivered\"} 10",
        "footfall_callbacks_pending{callback=\"1\",name=\"endpoint\"} 0",
        "footfall_callback_oldest_pending_seconds{callback=\"1\",name=\"endpoint\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_down_gets_everything_once_it_is_back() {
    let listener = Listener::start([]).await;
    let app = watched().await;
    endpoint(&app, &listener).await;
    listener.go_away().await;
    rounds(&app, 0..3).await;
    let down = until(&app, "/v1/callbacks/1", |callback| callback["failures"].as_u64().unwrap() >= 5).await;
    assert_eq!(down["pending"], 6, "{down:#}");
    assert_ne!(down["circuit"], "closed");
    let pending = app.get("/v1/callbacks/1/deliveries?state=pending").await;
    let tried: Vec<bool> =
        pending["deliveries"].as_array().unwrap().iter().map(|message| message["attempts"] != 0).collect();
    assert_eq!(tried, [false, false, false, false, false, true], "only the oldest is tried");
    listener.come_back().await;
    assert_eq!(told(&listener.wait_for(6).await), expected(1..=3));
    let up = until(&app, "/v1/callbacks/1", |callback| callback["pending"] == 0).await;
    assert_eq!((&up["circuit"], &up["failures"], &up["retry_at"]), (&json!("closed"), &json!(0), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_is_kept_and_can_be_sent_again() {
    let listener = Listener::start([]).await;
    let app = watched_with(|config| config.callbacks.give_up_h = 0.5 / 3600.0).await;
    endpoint(&app, &listener).await;
    listener.go_away().await;
    rounds(&app, 0..2).await;
    let dead = until(&app, "/v1/callbacks/1", |callback| callback["dead"] == 4).await;
    assert_eq!(dead["pending"], 0);
    let metrics = reqwest::get(format!("{}/metrics", app.base)).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("footfall_callbacks_dead{callback=\"1\",name=\"endpoint\"} 4"), "{metrics}");
    let letters = app.get("/v1/callbacks/1/deliveries?state=dead").await;
    let problem = &letters["deliveries"].as_array().unwrap().last().unwrap()["last_problem"];
    assert!(problem.as_str().unwrap().contains("refused"), "{problem}");
    listener.come_back().await;
    let (status, one) = app.call(Method::POST, "/v1/callbacks/1/deliveries/2/redeliver", None).await;
    assert_eq!((status, &one["deliveries"]), (StatusCode::ACCEPTED, &json!(1)));
    assert_eq!(told(&listener.wait_for(1).await), ["resolved 1"]);
    let (_, rest) = app.call(Method::POST, "/v1/callbacks/1/redeliver", None).await;
    assert_eq!(rest["deliveries"], 3);
    assert_eq!(told(&listener.wait_for(4).await), ["resolved 1", "firing 1", "firing 2", "resolved 2"]);
    assert_eq!(app.call(Method::POST, "/v1/callbacks/1/deliveries/9/redeliver", None).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn gone_disables_an_endpoint_and_one_that_refuses_bodies_holds_nothing_up() {
    let refusing = Listener::start(vec![Behaviour::Answer(422); 5]).await;
    let gone = Listener::start([Behaviour::Answer(410)]).await;
    let app = watched().await;
    endpoint(&app, &refusing).await;
    endpoint(&app, &gone).await;
    rounds(&app, 0..1).await;
    assert_eq!(told(&refusing.wait_for(1).await), ["resolved 1"], "the first was refused five times");
    assert_eq!(app.get("/v1/callbacks/1/deliveries?state=dead").await["deliveries"][0]["attempts"], 5);
    let disabled = until(&app, "/v1/callbacks/2", |callback| callback["is_enabled"] == false).await;
    assert!(disabled["disabled_reason"].as_str().unwrap().contains("410"), "{disabled}");
    rounds(&app, 1..2).await;
    assert_eq!(gone.received().len(), 1, "it is told no more");
    let again = json!({"name": "endpoint", "url": gone.url});
    assert_eq!(app.call(Method::PUT, "/v1/callbacks/2", Some(again)).await.1["disabled_reason"], Value::Null);
    rounds(&app, 2..3).await;
    assert_eq!(told(&gone.wait_for(2).await), expected(3..=3));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vendors_own_consumers_take_our_alerts() {
    let consumer = TestApp::start().await;
    let app = watched().await;
    let url = format!("{}/v1/webhooks/mist", consumer.base);
    let made = json!({"name": "as before", "url": url, "format": "mist", "secret": SECRET});
    make(&app, "/v1/callbacks", made).await;
    make(&app, "/v1/alert-rules", json!({"name": "site", "site_id": SITE, "condition": "above", "limit_clients": 0}))
        .await;
    let (_, tested) = app.call(Method::POST, "/v1/callbacks/1/test", None).await;
    assert_eq!((&tested["state"], &tested["last_status"]), (&json!("delivered"), &json!(200)), "{tested:#}");
    rounds(&app, 0..1).await;
    until(&app, "/v1/callbacks/1/deliveries?state=delivered", |page| page["deliveries"].as_array().unwrap().len() == 3)
        .await;
    let sql =
        "SELECT alert_type, zone_name, current_occupancy, occupancy_limit, count(*) OVER () FROM store.vendor_alerts
               ORDER BY event_at";
    let stored = consumer.stop_and_ask(sql).await;
    assert_eq!(stored, ["COMPLIANCE-VIOLATION Lobby 1 0 2", "COMPLIANCE-OK Lobby 0 0 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn silences_hold_back_and_tell_afterwards_and_repeats_end_with_acknowledgement() {
    let listener = Listener::start([]).await;
    let app = watched().await;
    endpoint(&app, &listener).await;
    let asked = json!({"area_id": LOBBY, "for_s": 3600, "reason": "Fire drill", "by": "Desk"});
    let silence = make(&app, "/v1/silences", asked).await;
    rounds(&app, 0..1).await;
    app.deliver(&enter(1)).await;
    assert_eq!(app.get("/v1/alerts").await["alerts"][0]["is_silenced"], true);
    assert_eq!(app.get("/v1/silences").await["silences"][0]["reason"], "Fire drill");
    let path = format!("/v1/silences/{}", silence["silence_id"]);
    assert_eq!(app.call(Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(told(&listener.wait_for(1).await), ["firing 2"], "what came and went unheard stays so");
    app.deliver(&leave(1)).await;
    listener.wait_for(2).await;
    // Another rule, told every ten seconds until someone takes it on.
    make(
        &app,
        "/v1/alert-rules",
        json!({"name": "Again", "area_id": LOBBY, "condition": "above", "limit_clients": 1,
        "repeat_s": 10}),
    )
    .await;
    let both = |at_s: f64| {
        let fixes = ["00000000000a", "00000000000b"].map(|mac| fix(mac, at_s, 5.0, 5.0));
        delivery("location", fixes.to_vec())
    };
    app.deliver(&both(300.0)).await;
    app.deliver(&both(325.0)).await;
    let taken = listener.wait_for(6).await;
    let repeats: Vec<bool> = taken.iter().map(|request| request.json()["is_repeat"] == true).collect();
    assert_eq!(told(&taken[2..]), ["firing 3", "firing 4", "firing 4", "firing 4"]);
    assert_eq!(repeats, [false, false, false, false, true, true]);
    app.call(Method::POST, "/v1/alerts/4/acknowledge", Some(json!({"by": "Desk"}))).await;
    app.deliver(&both(355.0)).await;
    app.deliver(&delivery(
        "location",
        vec![fix("00000000000b", 360.0, 15.0, 15.0), fix("00000000000b", 370.0, 15.0, 15.0)],
    ))
    .await;
    assert_eq!(told(&listener.wait_for(7).await[6..]), ["resolved 4"]);
    assert_eq!(
        app.call(Method::POST, "/v1/alerts/3/silence", Some(json!({"for_s": 60, "reason": "known"}))).await.0,
        StatusCode::CREATED
    );
    for wrong in [
        json!({"for_s": 60, "reason": "x"}),
        json!({"area_id": LOBBY, "for_s": 0, "reason": "x"}),
        json!({"area_id": LOBBY, "for_s": 60, "reason": " "}),
        json!({"rule_id": 99, "for_s": 60, "reason": "x"}),
    ] {
        let (status, answer) = app.call(Method::POST, "/v1/silences", Some(wrong)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_are_filtered_and_secrets_turned_over_and_never_shown_again() {
    let listener = Listener::start([]).await;
    let app = watched().await;
    let filter = json!({"states": ["resolved"], "severities": ["warning"], "site_ids": [SITE.to_uppercase()]});
    let settings = |more: Value| {
        let mut settings = json!({"name": "picky", "url": listener.url, "filter": filter,
            "headers": {"Authorization": "Bearer x"}});
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        settings
    };
    let first = make(&app, "/v1/callbacks", settings(json!({}))).await;
    let other = json!({"name": "other", "url": listener.url, "filter": {"area_ids": ["elsewhere"]}});
    make(&app, "/v1/callbacks", other).await;
    rounds(&app, 0..1).await;
    let taken = listener.wait_for(1).await;
    assert_eq!(told(&taken), ["resolved 1"]);
    assert_eq!(taken[0].header("authorization"), "Bearer x");
    let shown = app.get("/v1/callbacks").await.to_string();
    assert!(!shown.contains("whsec_") && !shown.contains("Bearer"), "{shown}");
    let new = footfall::callbacks::signature::new_secret();
    let change = settings(json!({"secret": new, "keep_old_secret": true, "headers": null}));
    let (status, changed) = app.call(Method::PUT, "/v1/callbacks/1", Some(change)).await;
    assert_eq!((status, &changed["secrets"]), (StatusCode::OK, &json!(2)), "{changed}");
    rounds(&app, 1..2).await;
    let taken = listener.wait_for(2).await;
    verify(first["secret"].as_str().unwrap(), &taken[1]);
    verify(&new, &taken[1]);
    assert_eq!(taken[1].header("authorization"), "Bearer x", "kept when left out");
    assert_eq!(app.call(Method::DELETE, "/v1/callbacks/1", None).await.0, StatusCode::NO_CONTENT);
    rounds(&app, 2..3).await;
    assert_eq!(app.call(Method::GET, "/v1/callbacks/1", None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(listener.taken().len(), 2);
    let asked =
        "SELECT count(*) FROM store.callbacks WHERE deleted_at IS NOT NULL AND contains(secrets::VARCHAR, 'whsec')";
    assert_eq!(app.stop_and_ask(asked).await, ["0"], "a deleted endpoint's secrets are gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_the_server_call_what_only_it_can_reach() {
    let inside = Listener::start([]).await;
    let app = watched_with(|config| config.callbacks.allowed_networks = Vec::new()).await;
    for url in [
        inside.url.as_str(),
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fd00:ec2::254]/",
        "http://2130706433/",
        "http://10.0.0.1/",
        "file:///etc/passwd",
        "https://user:password@example.org/",
    ] {
        let (status, answer) = app.call(Method::POST, "/v1/callbacks", Some(json!({"name": "x", "url": url}))).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{url}: {answer}");
    }
    // A name says nothing before it is resolved; then it does.
    let url = inside.url.replace("127.0.0.1", "localhost");
    make(&app, "/v1/callbacks", json!({"name": "x", "url": url})).await;
    let (_, tested) = app.call(Method::POST, "/v1/callbacks/1/test", None).await;
    assert_eq!(tested["state"], "dead", "{tested:#}");
    assert!(tested["last_problem"].as_str().unwrap().contains("allowed_networks"), "{tested:#}");
    assert!(inside.received().is_empty());
    // A redirect to where it may not go is not followed either.
    let outside = Listener::start([Behaviour::AnswerWith(307, format!("location: {}", inside.url))]).await;
    let app = watched().await;
    endpoint(&app, &outside).await;
    let (_, tested) = app.call(Method::POST, "/v1/callbacks/1/test", None).await;
    assert!(tested["last_problem"].as_str().unwrap().contains("redirects are not followed"), "{tested:#}");
    assert!(inside.received().is_empty());
    for (wrong, told) in [
        (json!({"name": " "}), "name"),
        (json!({"format": "telex"}), "format"),
        (json!({"secret": "short"}), "whsec_"),
        (json!({"format": "slack", "secret": "x"}), "not signed"),
        (json!({"headers": {"webhook-id": "x"}}), "webhook-id"),
        (json!({"headers": {"a b": "x"}}), "not valid"),
        (json!({"headers": {"a": "x\r\ny: z"}}), "not valid"),
        (json!({"filter": {"states": ["odd"]}}), "states"),
        (json!({"filter": {"severities": ["odd"]}}), "severities"),
    ] {
        let mut settings = json!({"name": "x", "url": outside.url});
        settings.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        let (status, answer) = app.call(Method::POST, "/v1/callbacks", Some(settings)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert!(answer["detail"].as_str().unwrap().contains(told), "{wrong}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_point_nothing_is_lost_and_nothing_fires_twice() {
    let dir = TempDir::new().unwrap();
    let mut behaviours = Vec::new();
    let mut rng = StdRng::seed_from_u64(11);
    for _ in 0..30 {
        behaviours.push(match rng.random_range(0..5) {
            0 => Behaviour::Answer(503),
            1 => Behaviour::Reset,
            2 => Behaviour::Slow(Duration::from_millis(rng.random_range(1..80))),
            _ => Behaviour::Answer(200),
        });
    }
    let listener = Listener::start(behaviours).await;
    let mut server = Server::start(dir.path());
    let client = reqwest::Client::new();
    let secret = footfall::receiver::signature::Secret::new(SECRET);
    let square = json!([{"x": 0, "y": 0}, {"x": 10, "y": 0}, {"x": 10, "y": 10}, {"x": 0, "y": 10}]);
    let map = json!({"site_id": SITE, "name": "Ground", "width_m": 20.0, "height_m": 20.0,
        "zones": [{"id": LOBBY, "name": "Lobby", "vertices_m": square}]});
    let put = client.put(format!("{}/v1/maps/{MAP}", server.base)).json(&map).send().await.unwrap();
    assert!(put.status().is_success());
    for (path, body) in [("alert-rules", rule()), ("callbacks", json!({"name": "endpoint", "url": listener.url}))] {
        let made = client.post(format!("{}/v1/{path}", server.base)).json(&body).send().await.unwrap();
        assert_eq!(made.status(), StatusCode::CREATED);
    }
    let sender = footfall::replay::Sender::new(&format!("{}/v1/webhooks/mist", server.base), Some(secret)).unwrap();
    let mut tally = footfall::replay::Tally::default();
    const ROUNDS: u32 = 20;
    for round in 0..ROUNDS {
        for body in [enter(round), leave(round)] {
            // A kill while it is under way: it is sent again, as the network would.
            let sending = sender.send(body.to_string(), &mut tally);
            if rng.random_bool(0.4) {
                let pause = Duration::from_micros(rng.random_range(0..8000));
                let kill = async {
                    tokio::time::sleep(pause).await;
                    tokio::task::block_in_place(|| server.kill_and_restart(dir.path()));
                };
                let (sent, ()) = tokio::join!(sending, kill);
                sent.unwrap();
            } else {
                sending.await.unwrap();
            }
        }
    }
    let taken = listener.wait_for(2 * ROUNDS as usize).await;
    assert_eq!(told(&taken), expected(1..=ROUNDS), "each once, in order");
    // Time for what should not come.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(listener.taken().len(), taken.len());
    server.stop();
    let alerts = ask(&dir.path().join("footfall.duckdb"), "SELECT count(*), count(resolved_at) FROM alerts");
    assert_eq!(alerts, [format!("{ROUNDS} {ROUNDS}")]);
    let fired_s =
        ask(&dir.path().join("footfall.duckdb"), "SELECT epoch(fired_at)::BIGINT FROM alerts ORDER BY alert_key");
    let expected_s: Vec<String> = (0..ROUNDS).map(|round| (START_S + 100 * i64::from(round)).to_string()).collect();
    assert_eq!(fired_s, expected_s);
}
