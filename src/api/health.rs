//! Is it alive, is it taking deliveries, what does it count, who has sent what.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::dto::{Health, Sources, WebhookSource};
use super::{Api, Fallible};
use crate::model::time::rfc3339;
use crate::problem::Problem;
use crate::receiver::DEFAULT_SOURCE;
use crate::store::queries;

/// The process runs.
#[utoipa::path(get, path = "/health/live", tag = "server", responses((status = 200, body = Health)))]
pub async fn live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// The file is open and deliveries are taken.
#[utoipa::path(get, path = "/health/ready", tag = "server",
    responses((status = 200, body = Health), (status = 503, body = Problem)))]
pub async fn ready(State(api): State<Api>) -> Response {
    match api.pipeline.is_ready() {
        true => Json(Health { status: "ok" }).into_response(),
        false => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the file is not ready to take deliveries").into_response()
        }
    }
}

/// Prometheus text.
#[utoipa::path(get, path = "/metrics", tag = "server", responses((status = 200, content_type = "text/plain", body = String)))]
pub async fn metrics(State(api): State<Api>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], api.metrics.render()).into_response()
}

/// What each webhook source has sent, and when its last ping came: the set-up check.
#[utoipa::path(get, path = "/v1/sources", tag = "server", responses((status = 200, body = Sources)))]
pub async fn sources(State(api): State<Api>) -> Fallible<Json<Sources>> {
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
    Ok(Json(Sources { sources: sources.into_values().collect() }))
}
