//! `/v1/callbacks`: endpoints that are told of alerts, and what became of each message.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::alert_dto::{
    Callback, CallbackAttempt, CallbackDelivery, CallbackSettings, Callbacks, Deliveries, Redelivered,
};
use super::body::JsonBody;
use super::error::ApiError;
use super::params::{DeliveryParams, FormParams, Path, Query, cursor, limit, named};
use super::table::{self, Columns, Kind, Wanted};
use super::{Api, Fallible};
use crate::callbacks::{Circuit, Format, signature};
use crate::model::ids::{CallbackKey, MessageKey};
use crate::model::time::{ReceivedAt, rfc3339};
use crate::pipeline::Change;
use crate::problem::Problem;
use crate::store::outbox::{
    self, CallbackRecord, CallbackRow, Message, MessageFilter, OutboxRow, State as MessageState,
};

pub const CALLBACKS: Columns = &[
    ("callback_id", Kind::Integer),
    ("name", Kind::Text),
    ("url", Kind::Text),
    ("format", Kind::Text),
    ("secrets", Kind::Integer),
    ("header_names", Kind::Text),
    ("filter", Kind::Text),
    ("is_enabled", Kind::Flag),
    ("disabled_reason", Kind::Text),
    ("circuit", Kind::Text),
    ("failures", Kind::Integer),
    ("retry_at", Kind::Time),
    ("created_at", Kind::Time),
    ("pending", Kind::Integer),
    ("dead", Kind::Integer),
    ("oldest_pending_at", Kind::Time),
];

/// Endpoints, and how they fare.
#[utoipa::path(get, path = "/v1/callbacks", tag = "callbacks", params(FormParams),
    responses((status = 200, body = Callbacks)))]
pub async fn list(State(api): State<Api>, Wanted(form): Wanted, Query(_form): Query<FormParams>) -> Fallible<Response> {
    let now = api.clock.now();
    let (rows, outboxes) = api.read(|conn| Ok((outbox::callbacks(conn, None)?, outbox::outboxes(conn)?))).await?;
    let callbacks = Callbacks { callbacks: rows.into_iter().map(|row| answer(row, &outboxes, now)).collect() };
    table::answer(form, "callbacks", &callbacks, CALLBACKS, |answer| table::rows(&answer.callbacks))
}

/// One endpoint.
#[utoipa::path(get, path = "/v1/callbacks/{id}", tag = "callbacks",
    params(("id", description = "Number of the endpoint")),
    responses((status = 200, body = Callback), (status = 404, body = Problem)))]
pub async fn get(State(api): State<Api>, Path(id): Path<String>) -> Fallible<Json<Callback>> {
    one(&api, key(&id)?).await.map(Json)
}

/// Makes an endpoint. It is told of what happens from now on; `test` says whether it hears.
#[utoipa::path(post, path = "/v1/callbacks", tag = "callbacks", request_body = CallbackSettings,
    responses((status = 201, body = Callback), (status = 400, body = Problem), (status = 422, body = Problem)))]
pub async fn post(State(api): State<Api>, JsonBody(settings): JsonBody<CallbackSettings>) -> Fallible<Response> {
    let record = record(&api, settings, None)?;
    let answer = save(&api, None, record).await?;
    let place = [("location", format!("/v1/callbacks/{}", answer.callback_id))];
    Ok((StatusCode::CREATED, place, Json(answer)).into_response())
}

/// Changes an endpoint; enabling it again ends what a 410 has begun. What is pending is tried at once.
#[utoipa::path(put, path = "/v1/callbacks/{id}", tag = "callbacks",
    params(("id", description = "Number of the endpoint")), request_body = CallbackSettings,
    responses((status = 200, body = Callback), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn put(
    State(api): State<Api>,
    Path(id): Path<String>,
    JsonBody(settings): JsonBody<CallbackSettings>,
) -> Fallible<Json<Callback>> {
    let key = key(&id)?;
    let old = row(&api, key).await?;
    let record = record(&api, settings, Some(old.record))?;
    save(&api, Some(key), record).await.map(Json)
}

/// Deletes an endpoint. What it was still to be told is given up.
#[utoipa::path(delete, path = "/v1/callbacks/{id}", tag = "callbacks",
    params(("id", description = "Number of the endpoint")),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn delete(State(api): State<Api>, Path(id): Path<String>) -> Fallible<StatusCode> {
    let key = key(&id)?;
    if api.pipeline.change_all(vec![Change::EndCallback(key)], false).await?.is_empty() {
        return Err(unknown(key));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a test now, past whatever is pending, and says how it went. One that arrives ends the pause of an endpoint that
/// was down.
#[utoipa::path(post, path = "/v1/callbacks/{id}/test", tag = "callbacks",
    params(("id", description = "Number of the endpoint")),
    responses((status = 200, body = CallbackDelivery), (status = 404, body = Problem)))]
pub async fn test(State(api): State<Api>, Path(id): Path<String>) -> Fallible<Json<CallbackDelivery>> {
    let key = key(&id)?;
    let row = row(&api, key).await?;
    let message = api.callbacks.test(&row).await?;
    whole(&api, key, message).await.map(Json)
}

pub const DELIVERIES: Columns = &[
    ("delivery_id", Kind::Integer),
    ("webhook_id", Kind::Text),
    ("type", Kind::Text),
    ("alert_id", Kind::Integer),
    ("state", Kind::Text),
    ("created_at", Kind::Time),
    ("ended_at", Kind::Time),
    ("attempts", Kind::Integer),
    ("last_status", Kind::Integer),
    ("last_problem", Kind::Text),
];

/// What an endpoint is to be told and what became of it, newest first.
#[utoipa::path(get, path = "/v1/callbacks/{id}/deliveries", tag = "callbacks",
    params(("id", description = "Number of the endpoint"), DeliveryParams),
    responses((status = 200, body = Deliveries), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn deliveries(
    State(api): State<Api>,
    Path(id): Path<String>,
    Wanted(form): Wanted,
    Query(params): Query<DeliveryParams>,
) -> Fallible<Response> {
    let key = key(&id)?;
    row(&api, key).await?;
    let limit = limit(&params.limit)?;
    let filter = MessageFilter {
        callback: key,
        key: None,
        state: named("state", &params.state, MessageState::from_name, "pending, delivered or dead")?,
        before: params.cursor.as_deref().map(cursor).transpose()?,
        limit: limit + 1,
    };
    let mut rows = api.read(move |conn| outbox::messages(conn, &filter)).await?;
    let has_more = rows.len() as i64 > limit;
    rows.truncate(limit as usize);
    let next_cursor = rows.last().filter(|_| has_more).map(|row| row.key.0.to_string());
    let answer = Deliveries { deliveries: rows.into_iter().map(delivery_of).collect(), next_cursor };
    let response = table::answer(form, "deliveries", &answer, DELIVERIES, |answer| table::rows(&answer.deliveries))?;
    Ok(table::with_next(response, answer.next_cursor.as_deref()))
}

/// One delivery, with every attempt.
#[utoipa::path(get, path = "/v1/callbacks/{id}/deliveries/{delivery}", tag = "callbacks",
    params(("id", description = "Number of the endpoint"), ("delivery", description = "Number of the delivery")),
    responses((status = 200, body = CallbackDelivery), (status = 404, body = Problem)))]
pub async fn delivery(
    State(api): State<Api>,
    Path((id, delivery)): Path<(String, String)>,
) -> Fallible<Json<CallbackDelivery>> {
    whole(&api, key(&id)?, message_key(&delivery)?).await.map(Json)
}

/// Tries one delivery again, whether it arrived or was given up.
#[utoipa::path(post, path = "/v1/callbacks/{id}/deliveries/{delivery}/redeliver", tag = "callbacks",
    params(("id", description = "Number of the endpoint"), ("delivery", description = "Number of the delivery")),
    responses((status = 202, body = Redelivered), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn redeliver(
    State(api): State<Api>,
    Path((id, delivery)): Path<(String, String)>,
) -> Fallible<(StatusCode, Json<Redelivered>)> {
    let (key, message) = (key(&id)?, message_key(&delivery)?);
    let found = whole(&api, key, message).await?;
    let again = again(&api, key, Some(message)).await?;
    if again == 0 {
        let detail =
            format!("delivery {delivery} is {} ({}): there is nothing to try again", found.state, found.event_type);
        return Err(ApiError::Conflict(detail));
    }
    Ok((StatusCode::ACCEPTED, Json(Redelivered { deliveries: again })))
}

/// Tries everything again that was given up, in its order.
#[utoipa::path(post, path = "/v1/callbacks/{id}/redeliver", tag = "callbacks",
    params(("id", description = "Number of the endpoint")),
    responses((status = 202, body = Redelivered), (status = 404, body = Problem)))]
pub async fn redeliver_dead(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Fallible<(StatusCode, Json<Redelivered>)> {
    let key = key(&id)?;
    row(&api, key).await?;
    Ok((StatusCode::ACCEPTED, Json(Redelivered { deliveries: again(&api, key, None).await? })))
}

async fn again(api: &Api, callback: CallbackKey, message: Option<MessageKey>) -> Result<usize, ApiError> {
    let give_up_ms = api.callbacks.policy().give_up.as_millis() as i64;
    let expires = ReceivedAt(api.clock.now().0 + give_up_ms);
    let change = Change::Redeliver { callback, message, expires };
    Ok(api.pipeline.change_all(vec![change], false).await?.len())
}

async fn save(api: &Api, key: Option<CallbackKey>, record: CallbackRecord) -> Result<Callback, ApiError> {
    let secret = record.secrets.first().cloned();
    let outcomes = api.pipeline.change_all(vec![Change::Callback { key, record }], false).await?;
    let saved = outcomes.first().and_then(|outcome| outcome.id.parse().ok()).map(CallbackKey);
    let saved = saved.ok_or_else(|| key.map_or(ApiError::Stopped, unknown))?;
    Ok(Callback { secret, ..one(api, saved).await? })
}

fn wrong(detail: impl Into<String>) -> ApiError {
    ApiError::Unprocessable { detail: detail.into(), faults: Vec::new() }
}

const TEXT_BYTES_MAX: usize = 2000;
const HEADERS_MAX: usize = 20;
const FILTER_ENTRIES_MAX: usize = 1000;

/// An endpoint as it is saved, if it makes sense.
fn record(api: &Api, settings: CallbackSettings, old: Option<CallbackRecord>) -> Result<CallbackRecord, ApiError> {
    let CallbackSettings { name, url, format, secret, keep_old_secret, headers, filter, is_enabled } = settings;
    if name.trim().is_empty() || name.len() > TEXT_BYTES_MAX || url.len() > TEXT_BYTES_MAX {
        return Err(wrong("`name` and `url` must not be empty, nor longer than 2000 bytes"));
    }
    let url = api.callbacks.policy().allowed_networks.check_url(&url).map_err(|why| wrong(format!("`url` {why}")))?;
    let format_name = format.unwrap_or_else(|| Format::Footfall.name().into());
    let format = Format::from_name(&format_name)
        .ok_or_else(|| wrong("`format` must be footfall, mist, slack or alertmanager"))?;
    let headers = headers.or_else(|| old.as_ref().map(|old| old.headers.clone())).unwrap_or_default();
    check_headers(&headers)?;
    for state in &filter.states {
        if !["firing", "resolved"].contains(&state.as_str()) {
            return Err(wrong("`filter.states` may hold firing and resolved"));
        }
    }
    for severity in &filter.severities {
        if !["info", "warning", "critical"].contains(&severity.as_str()) {
            return Err(wrong("`filter.severities` may hold info, warning and critical"));
        }
    }
    if filter.site_ids.len() + filter.area_ids.len() + filter.rule_ids.len() > FILTER_ENTRIES_MAX {
        return Err(wrong("`filter` must not hold more than 1000 ids"));
    }
    let mut filter = filter;
    for ids in [&mut filter.site_ids, &mut filter.area_ids] {
        ids.iter_mut().for_each(|id| *id = super::params::settled(id));
    }
    let old_secrets = old.filter(|old| old.format == format_name).map(|old| old.secrets).unwrap_or_default();
    let secrets = secrets(format, secret, old_secrets, keep_old_secret)?;
    Ok(CallbackRecord { name, url: url.into(), format: format_name, secrets, headers, filter, is_enabled })
}

fn secrets(format: Format, given: Option<String>, old: Vec<String>, keep_old: bool) -> Result<Vec<String>, ApiError> {
    if !format.is_signed() {
        return match given {
            Some(_) => Err(wrong(format!("`secret`: format {} is not signed", format.name()))),
            None => Ok(Vec::new()),
        };
    }
    match given {
        Some(secret) if format == Format::Footfall && !signature::is_secret(&secret) => {
            Err(wrong("`secret` must be `whsec_` and base64 of 24 to 64 bytes; leave it out, and one is made"))
        }
        Some(secret) if secret.is_empty() || secret.len() > TEXT_BYTES_MAX => {
            Err(wrong("`secret` must not be empty, nor longer than 2000 bytes"))
        }
        Some(secret) => {
            let kept = old.into_iter().filter(|old| *old != secret).take(usize::from(keep_old));
            Ok(std::iter::once(secret.clone()).chain(kept).collect())
        }
        None if old.is_empty() => Ok(vec![signature::new_secret()]),
        None => Ok(old),
    }
}

/// Headers that are ours to set, or the connection's.
const RESERVED_HEADERS: [&str; 9] = [
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "host",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "upgrade",
];

fn check_headers(headers: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if headers.len() > HEADERS_MAX {
        return Err(wrong("`headers` must not hold more than 20"));
    }
    for (name, value) in headers {
        let is_sound = HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok();
        if !is_sound || value.len() > TEXT_BYTES_MAX {
            return Err(wrong(format!("`headers`: {name:?} or its value is not valid")));
        }
        if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(wrong(format!("`headers`: {name} is set by the server")));
        }
    }
    Ok(())
}

fn unknown(key: CallbackKey) -> ApiError {
    ApiError::NotFound { what: "callback", id: key.0.to_string() }
}

fn key(id: &str) -> Result<CallbackKey, ApiError> {
    id.parse().map(CallbackKey).map_err(|_| ApiError::NotFound { what: "callback", id: id.to_owned() })
}

fn message_key(id: &str) -> Result<MessageKey, ApiError> {
    id.parse().map(MessageKey).map_err(|_| ApiError::NotFound { what: "delivery", id: id.to_owned() })
}

async fn row(api: &Api, key: CallbackKey) -> Result<CallbackRow, ApiError> {
    api.read(move |conn| outbox::callbacks(conn, Some(key))).await?.pop().ok_or_else(|| unknown(key))
}

async fn one(api: &Api, key: CallbackKey) -> Result<Callback, ApiError> {
    let now = api.clock.now();
    let row = row(api, key).await?;
    let outboxes = api.read(outbox::outboxes).await?;
    Ok(answer(row, &outboxes, now))
}

fn answer(row: CallbackRow, outboxes: &[OutboxRow], now: ReceivedAt) -> Callback {
    let circuit = Circuit::of(&row, now).name().to_owned();
    let outbox = outboxes.iter().find(|outbox| outbox.callback == row.key);
    let CallbackRecord { name, url, format, secrets, headers, filter, is_enabled } = row.record;
    Callback {
        callback_id: row.key.0,
        name,
        url,
        format,
        secret: None,
        secrets: secrets.len(),
        header_names: headers.into_keys().collect(),
        filter,
        is_enabled,
        disabled_reason: row.disabled_reason,
        circuit,
        failures: row.failures,
        retry_at: row.retry_ms.map(rfc3339),
        created_at: rfc3339(row.created_ms),
        pending: outbox.map_or(0, |outbox| outbox.pending),
        dead: outbox.map_or(0, |outbox| outbox.dead),
        oldest_pending_at: outbox.and_then(|outbox| outbox.oldest_pending_ms).map(rfc3339),
    }
}

async fn whole(api: &Api, callback: CallbackKey, key: MessageKey) -> Result<CallbackDelivery, ApiError> {
    let filter = MessageFilter { callback, key: Some(key), state: None, before: None, limit: 1 };
    let (found, attempts) =
        api.read(move |conn| Ok((outbox::messages(conn, &filter)?.pop(), outbox::attempts(conn, key)?))).await?;
    let message = found.ok_or(ApiError::NotFound { what: "delivery", id: key.0.to_string() })?;
    let event = serde_json::from_str(&message.event_json).ok();
    let attempt_log = attempts.into_iter().map(|attempt| CallbackAttempt {
        attempted_at: rfc3339(attempt.at.0),
        status: attempt.status,
        latency_ms: attempt.latency_ms,
        answer: attempt.answer,
        problem: attempt.problem,
    });
    Ok(CallbackDelivery { event, attempt_log: Some(attempt_log.collect()), ..delivery_of(message) })
}

fn delivery_of(message: Message) -> CallbackDelivery {
    CallbackDelivery {
        delivery_id: message.key.0,
        webhook_id: message.webhook_id,
        event_type: message.event_type,
        alert_id: message.alert,
        state: message.state.name().into(),
        created_at: rfc3339(message.created_ms),
        ended_at: message.ended_ms.map(rfc3339),
        attempts: message.attempts,
        last_status: message.last_status,
        last_problem: message.last_problem,
        event: None,
        attempt_log: None,
    }
}
