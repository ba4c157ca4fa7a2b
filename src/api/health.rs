//! Is it alive, is it taking deliveries, what does it count, who has sent what.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::dto::{Health, Sources, WebhookSource};
use super::params::{FormParams, Query};
use super::table::{self, Columns, Kind, Wanted};
use super::withheld::Withheld;
use super::{Api, Fallible};
use crate::model::time::rfc3339;
use crate::pipeline::Refused;
use crate::problem::Problem;
use crate::receiver::DEFAULT_SOURCE;
use crate::store::{alerts, outbox, queries};

/// The process runs.
#[utoipa::path(get, path = "/health/live", tag = "server", responses((status = 200, body = Health)))]
pub async fn live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// The file is open and deliveries are taken.
#[utoipa::path(get, path = "/health/ready", tag = "server",
    responses((status = 200, body = Health), (status = 503, body = Problem)))]
pub async fn ready(State(api): State<Api>) -> Response {
    match api.pipeline.readiness() {
        Ok(()) => Json(Health { status: "ok" }).into_response(),
        Err(Refused::NotStored) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the file is not ready to take deliveries").into_response()
        }
        Err(refused) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, refused.to_string()).into_response(),
    }
}

/// Prometheus text.
#[utoipa::path(get, path = "/metrics", tag = "server", responses((status = 200, content_type = "text/plain", body = String)))]
pub async fn metrics(State(api): State<Api>, withheld: Withheld) -> Fallible<Response> {
    let (firing, outboxes) = api.read(|conn| Ok((alerts::firing(conn)?, outbox::outboxes(conn)?))).await?;
    let metrics = &api.metrics;
    for severity in ["info", "warning", "critical"] {
        let count = firing.iter().find(|(of, _)| of == severity).map_or(0, |(_, count)| *count);
        metrics.alerts_firing.with_label_values(&[severity]).set(count);
    }
    // Endpoints may have been deleted since.
    metrics.callbacks_pending.reset();
    metrics.callbacks_dead.reset();
    metrics.callback_oldest_pending.reset();
    let (file_bytes, log_bytes) = api.store.file_bytes();
    metrics.file_bytes.set(file_bytes as i64);
    metrics.log_bytes.set(log_bytes as i64);
    metrics.disk_free_bytes.set(api.store.free_bytes().map_or(-1, |bytes| bytes as i64));
    let now_ms = api.clock.now().0;
    for row in outboxes {
        let key = row.callback.0.to_string();
        let labels = [key.as_str(), row.name.as_str()];
        metrics.callbacks_pending.with_label_values(&labels).set(row.pending);
        metrics.callbacks_dead.with_label_values(&labels).set(row.dead);
        let age_ms = row.oldest_pending_ms.map_or(0, |since_ms| now_ms - since_ms);
        metrics.callback_oldest_pending.with_label_values(&labels).set(age_ms as f64 / 1000.0);
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render(!withheld.is_any()))
        .into_response())
}

pub const SOURCES: Columns = &[
    ("name", Kind::Text),
    ("path", Kind::Text),
    ("is_configured", Kind::Flag),
    ("deliveries", Kind::Integer),
    ("last_received_at", Kind::Time),
    ("last_ping_at", Kind::Time),
    ("last_ping_webhook", Kind::Text),
    ("topics", Kind::Text),
];

/// What each webhook source has sent, and when its last ping came: the set-up check.
#[utoipa::path(get, path = "/v1/sources", tag = "server", params(FormParams),
    responses((status = 200, body = Sources)))]
pub async fn sources(
    State(api): State<Api>,
    Wanted(form): Wanted,
    Query(_form): Query<FormParams>,
) -> Fallible<Response> {
    let rows = api.read(queries::sources).await?;
    let source = |name: &str, is_configured| WebhookSource {
        path: match name {
            DEFAULT_SOURCE => "/v1/webhooks/mist".into(),
            name => format!("/v1/webhooks/mist/{name}"),
        },
        name: name.into(),
        is_configured,
        deliveries: 0,
        last_received_at: None,
        last_ping_at: None,
        last_ping_webhook: None,
        topics: Vec::new(),
    };
    let mut sources: BTreeMap<String, WebhookSource> =
        api.source_names.iter().map(|name| (name.clone(), source(name, true))).collect();
    for row in rows {
        let entry = sources.entry(row.name.clone()).or_insert_with(|| source(&row.name, false));
        entry.deliveries = row.deliveries;
        entry.last_received_at = Some(rfc3339(row.last_received_ms));
        entry.last_ping_at = row.last_ping_ms.map(rfc3339);
        entry.last_ping_webhook = row.last_ping_webhook;
        entry.topics = row.topics;
    }
    let answer = Sources { sources: sources.into_values().collect() };
    table::answer(form, "sources", &answer, SOURCES, |answer| table::rows(&answer.sources))
}
