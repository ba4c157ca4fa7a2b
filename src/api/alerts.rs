//! `/v1/alerts` and `/v1/silences`: what fired, who takes it on, and when nobody wants to hear of it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::alert_dto::{Acknowledgement, AlertSilence, Alerts, Silence, SilenceRequest, Silences};
use super::alert_rules::PlaceKeys;
use super::body::{JsonBody, OptionalJsonBody};
use super::error::ApiError;
use super::params::{AlertParams, FormParams, Path, Query, cursor, instant_ms, limit, named, settled};
use super::table::{self, Columns, Kind, Wanted};
use super::{Api, Fallible};
use crate::model::ids::{AlertKey, SilenceKey};
use crate::model::time::rfc3339;
use crate::pipeline::Change;
use crate::problem::Problem;
use crate::store::alerts::{self, Alert, AlertFilter};
use crate::store::outbox::{self, SilenceRecord, SilenceRow};

pub const ALERTS: Columns = &[
    ("alert_id", Kind::Integer),
    ("rule_id", Kind::Integer),
    ("rule_version", Kind::Integer),
    ("rule_name", Kind::Text),
    ("severity", Kind::Text),
    ("message", Kind::Text),
    ("summary", Kind::Text),
    ("state", Kind::Text),
    ("condition", Kind::Text),
    ("limit_clients", Kind::Integer),
    ("for_s", Kind::Number),
    ("site_id", Kind::Text),
    ("site_name", Kind::Text),
    ("time_zone", Kind::Text),
    ("map_id", Kind::Text),
    ("map_name", Kind::Text),
    ("area_id", Kind::Text),
    ("area_kind", Kind::Text),
    ("area_name", Kind::Text),
    ("client_id", Kind::Text),
    ("client_kind", Kind::Text),
    ("client_name", Kind::Text),
    ("since", Kind::Time),
    ("fired_at", Kind::Time),
    ("clients", Kind::Integer),
    ("resolved_at", Kind::Time),
    ("resolved_clients", Kind::Integer),
    ("resolution", Kind::Text),
    ("acknowledged_at", Kind::Time),
    ("acknowledged_by", Kind::Text),
    ("acknowledged_note", Kind::Text),
    ("is_silenced", Kind::Flag),
];

/// Alerts that fired, newest first.
#[utoipa::path(get, path = "/v1/alerts", tag = "alerts", params(AlertParams),
    responses((status = 200, body = Alerts), (status = 400, body = Problem)))]
pub async fn list(
    State(api): State<Api>,
    Wanted(form): Wanted,
    Query(params): Query<AlertParams>,
) -> Fallible<Response> {
    let now_ms = api.clock.now().0;
    let instant =
        |name: &str, text: &Option<String>| text.as_deref().map(|text| instant_ms(name, text, now_ms)).transpose();
    let flag = |name: &str, given: &Option<String>, yes: &'static str, no: &'static str| {
        let read = |text: &str| if text == yes { Some(true) } else { (text == no).then_some(false) };
        named(name, given, read, &format!("{yes} or {no}"))
    };
    let limit = limit(&params.limit)?;
    let rule = named("rule", &params.rule, |text| text.parse::<u32>().ok(), "the number of a rule")?.map(i64::from);
    let severity = |text: &str| ["info", "warning", "critical"].contains(&text).then(|| text.to_owned());
    let filter = AlertFilter {
        key: None,
        site: params.site.as_deref().map(settled),
        map: params.map.as_deref().map(settled),
        area: params.area.as_deref().map(settled),
        rule,
        severity: named("severity", &params.severity, severity, "info, warning or critical")?,
        is_firing: flag("state", &params.state, "firing", "resolved")?,
        is_acknowledged: flag("acknowledged", &params.acknowledged, "true", "false")?,
        from_ms: instant("from", &params.from)?,
        to_ms: instant("to", &params.to)?,
        before: params.cursor.as_deref().map(cursor).transpose()?,
        after: None,
        limit: limit + 1,
    };
    let mut alerts = api.read(move |conn| alerts::list(conn, &filter)).await?;
    let has_more = alerts.len() as i64 > limit;
    alerts.truncate(limit as usize);
    let next_cursor = alerts.last().filter(|_| has_more).map(|alert| alert.alert_id.to_string());
    let answer = Alerts { alerts, next_cursor };
    let response = table::answer(form, "alerts", &answer, ALERTS, |answer| table::rows(&answer.alerts))?;
    Ok(table::with_next(response, answer.next_cursor.as_deref()))
}

/// One alert.
#[utoipa::path(get, path = "/v1/alerts/{id}", tag = "alerts", params(("id", description = "Number of the alert")),
    responses((status = 200, body = Alert), (status = 404, body = Problem)))]
pub async fn get(State(api): State<Api>, Path(id): Path<String>) -> Fallible<Json<Alert>> {
    one(&api, key(&id)?).await.map(Json)
}

/// Takes an alert on: callbacks are not told of it again while it goes on. They are told when it is over.
#[utoipa::path(post, path = "/v1/alerts/{id}/acknowledge", tag = "alerts",
    params(("id", description = "Number of the alert")), request_body = Option<Acknowledgement>,
    responses((status = 200, body = Alert), (status = 404, body = Problem)))]
pub async fn acknowledge(
    State(api): State<Api>,
    Path(id): Path<String>,
    OptionalJsonBody(asked): OptionalJsonBody<Acknowledgement>,
) -> Fallible<Json<Alert>> {
    let key = key(&id)?;
    check_text("by", &asked.by)?;
    check_text("note", &asked.note)?;
    let change = Change::Acknowledge { alert: key, by: asked.by, note: asked.note };
    if api.pipeline.change_all(vec![change], false).await?.is_empty() {
        return Err(unknown(key));
    }
    one(&api, key).await.map(Json)
}

/// Tells callbacks nothing of what this alert is about, by its rule, for a time. Once that is over they are told, if it
/// still fires.
#[utoipa::path(post, path = "/v1/alerts/{id}/silence", tag = "alerts",
    params(("id", description = "Number of the alert")), request_body = AlertSilence,
    responses((status = 201, body = Silence), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn silence(
    State(api): State<Api>,
    Path(id): Path<String>,
    JsonBody(asked): JsonBody<AlertSilence>,
) -> Fallible<Response> {
    let key = key(&id)?;
    let record = api.read(move |conn| outbox::silence_of(conn, key)).await?.ok_or_else(|| unknown(key))?;
    make_silence(&api, record, asked.for_s, asked.reason, asked.by).await
}

pub const SILENCES: Columns = &[
    ("silence_id", Kind::Integer),
    ("rule_id", Kind::Integer),
    ("site_id", Kind::Text),
    ("map_id", Kind::Text),
    ("area_id", Kind::Text),
    ("client_id", Kind::Text),
    ("from", Kind::Time),
    ("until", Kind::Time),
    ("reason", Kind::Text),
    ("by", Kind::Text),
];

/// Silences that are not over, newest first.
#[utoipa::path(get, path = "/v1/silences", tag = "alerts", params(FormParams),
    responses((status = 200, body = Silences)))]
pub async fn silences(
    State(api): State<Api>,
    Wanted(form): Wanted,
    Query(_form): Query<FormParams>,
) -> Fallible<Response> {
    let now = api.clock.now();
    let rows = api.read(move |conn| outbox::silences(conn, now)).await?;
    let silences = Silences { silences: rows.into_iter().map(answer).collect() };
    table::answer(form, "silences", &silences, SILENCES, |answer| table::rows(&answer.silences))
}

/// Tells callbacks nothing of some alerts for a time. Alerts fire and are listed all the same; those that still fire
/// when it is over are told then.
#[utoipa::path(post, path = "/v1/silences", tag = "alerts", request_body = SilenceRequest,
    responses((status = 201, body = Silence), (status = 422, body = Problem)))]
pub async fn post_silence(State(api): State<Api>, JsonBody(asked): JsonBody<SilenceRequest>) -> Fallible<Response> {
    let SilenceRequest { rule_id, site_id, map_id, area_id, area_kind, for_s, reason, by } = asked;
    if rule_id.is_none() && site_id.is_none() && map_id.is_none() && area_id.is_none() {
        return Err(wrong("say what to be silent about: `rule_id`, `site_id`, `map_id` or `area_id`"));
    }
    let record = api
        .question(move |conn| {
            let keys = PlaceKeys::find(conn, &site_id, &map_id, &area_id, &area_kind)?;
            if let Some(rule) = rule_id
                && !alerts::rules(conn)?.iter().any(|row| row.key.0 == rule)
            {
                return Err(wrong(format!("there is no alert rule {rule}")));
            }
            Ok(SilenceRecord {
                rule: rule_id,
                site: keys.site.map(|key| key.0),
                map: keys.map.map(|key| key.0),
                area: keys.area.map(|key| key.0),
                ..SilenceRecord::default()
            })
        })
        .await?;
    make_silence(&api, record, for_s, reason, by).await
}

/// Ends a silence now.
#[utoipa::path(delete, path = "/v1/silences/{id}", tag = "alerts", params(("id", description = "Number of the silence")),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn end_silence(State(api): State<Api>, Path(id): Path<String>) -> Fallible<StatusCode> {
    let unknown = || ApiError::NotFound { what: "silence", id: id.clone() };
    let key = id.parse().map(SilenceKey).map_err(|_| unknown())?;
    if api.pipeline.change_all(vec![Change::EndSilence(key)], false).await?.is_empty() {
        return Err(unknown());
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The longest silence, seconds: a year.
const SILENCE_MAX_S: f64 = 366.0 * 86_400.0;

async fn make_silence(
    api: &Api,
    record: SilenceRecord,
    for_s: f64,
    reason: String,
    by: Option<String>,
) -> Fallible<Response> {
    if !(1.0..=SILENCE_MAX_S).contains(&for_s) {
        return Err(wrong("`for_s` must be from 1 second to a year"));
    }
    if reason.trim().is_empty() {
        return Err(wrong("`reason` must say why"));
    }
    let by = by.filter(|by| !by.is_empty());
    check_text("by", &by)?;
    check_text("reason", &Some(reason.clone()))?;
    let now = api.clock.now();
    let until_ms = now.0 + (for_s * 1000.0) as i64;
    let record = SilenceRecord { until_ms, reason, by, ..record };
    let outcomes = api.pipeline.change_all(vec![Change::Silence(record)], false).await?;
    let key: i64 = outcomes.first().and_then(|outcome| outcome.id.parse().ok()).ok_or(ApiError::Stopped)?;
    let rows = api.read(move |conn| outbox::silences(conn, now)).await?;
    let row = rows.into_iter().find(|row| row.key == key).ok_or(ApiError::Stopped)?;
    let place = [("location", format!("/v1/silences/{key}"))];
    Ok((StatusCode::CREATED, place, Json(answer(row))).into_response())
}

fn answer(row: SilenceRow) -> Silence {
    Silence {
        silence_id: row.key,
        rule_id: row.rule,
        site_id: row.site_id,
        map_id: row.map_id,
        area_id: row.area_id,
        client_id: row.client_id,
        from: rfc3339(row.from_ms),
        until: rfc3339(row.until_ms),
        reason: row.reason,
        by: row.by,
    }
}

/// Longest text that people may leave, bytes.
const TEXT_BYTES_MAX: usize = 2000;

fn check_text(name: &str, text: &Option<String>) -> Result<(), ApiError> {
    match text {
        Some(text) if text.len() > TEXT_BYTES_MAX => {
            Err(wrong(format!("`{name}` must not be longer than {TEXT_BYTES_MAX} bytes")))
        }
        _ => Ok(()),
    }
}

fn wrong(detail: impl Into<String>) -> ApiError {
    ApiError::Unprocessable { detail: detail.into(), faults: Vec::new() }
}

fn unknown(key: AlertKey) -> ApiError {
    ApiError::NotFound { what: "alert", id: key.0.to_string() }
}

fn key(id: &str) -> Result<AlertKey, ApiError> {
    id.parse().map(AlertKey).map_err(|_| ApiError::NotFound { what: "alert", id: id.to_owned() })
}

async fn one(api: &Api, key: AlertKey) -> Result<Alert, ApiError> {
    let filter = AlertFilter { key: Some(key.0), limit: 1, ..AlertFilter::default() };
    api.read(move |conn| alerts::list(conn, &filter)).await?.pop().ok_or_else(|| unknown(key))
}
