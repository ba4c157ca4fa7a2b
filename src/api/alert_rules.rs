//! `/v1/alert-rules`: what to watch, and when it fires.

use std::collections::{BTreeMap, HashMap, HashSet};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::alert_dto::{AlertRule, AlertRules, Preview, PreviewAlert, PreviewRequest, RULES, RuleSettings};
use super::body::JsonBody;
use super::dto::Versions;
use super::error::ApiError;
use super::params::{FormParams, Path, Query, Window, settled};
use super::table::{self, Wanted};
use super::{Api, Fallible};
use crate::model::alert::{Condition, Subject};
use crate::model::ids::{AreaKey, AreaKind, ClientKey, Id, MapId, RuleKey, SiteId};
use crate::model::time::{EventTime, rfc3339};
use crate::pipeline::{Change, Places, windows};
use crate::problem::Problem;
use crate::rebuild::preview::{self, Firing, Question};
use crate::store::alerts::{self, RuleRecord, RuleRow, RuleTarget};
use crate::store::queries::{self, Scope};
use crate::store::{ReadConnection, plans, restore};

/// Rules that are valid now, and those that uploaded occupancy limits call for. A table has only the former.
#[utoipa::path(get, path = "/v1/alert-rules", tag = "alerts", params(FormParams),
    responses((status = 200, body = AlertRules)))]
pub async fn list(State(api): State<Api>, Wanted(form): Wanted, Query(_form): Query<FormParams>) -> Fallible<Response> {
    api.question(move |conn| {
        let (rules, places) = (alerts::rules(conn)?, Places::read(conn)?);
        let offers = offers(conn, &rules, &places)?;
        let found = AlertRules { alert_rules: rules.iter().map(|row| answer(row, &places)).collect(), offers };
        table::answer(form, "alert-rules", &found, RULES, |found| table::rows(&found.alert_rules))
    })
    .await
}

/// One rule.
#[utoipa::path(get, path = "/v1/alert-rules/{id}", tag = "alerts", params(("id", description = "Number of the rule")),
    responses((status = 200, body = AlertRule), (status = 404, body = Problem)))]
pub async fn get(State(api): State<Api>, Path(id): Path<String>) -> Fallible<Json<AlertRule>> {
    let key = key(&id)?;
    one(&api, key).await.map(Json)
}

/// Every version of a rule, newest first. Alerts name the version that fired.
#[utoipa::path(get, path = "/v1/alert-rules/{id}/versions", tag = "alerts",
    params(("id", description = "Number of the rule"), FormParams),
    responses((status = 200, body = Versions<AlertRule>), (status = 404, body = Problem)))]
pub async fn versions(
    State(api): State<Api>,
    Path(id): Path<String>,
    Wanted(form): Wanted,
    Query(_form): Query<FormParams>,
) -> Fallible<Response> {
    let key = key(&id)?;
    api.question(move |conn| {
        let (rows, places) = (alerts::rule_versions(conn, Some(key))?, Places::read(conn)?);
        if rows.is_empty() {
            return Err(unknown(key));
        }
        let found = Versions { versions: rows.iter().map(|row| answer(row, &places)).collect() };
        table::answer(form, "alert-rule-versions", &found, RULES, |found| table::rows(&found.versions))
    })
    .await
}

/// Makes a rule. It is watched from now on; see `preview` for what it would have done before.
#[utoipa::path(post, path = "/v1/alert-rules", tag = "alerts", request_body = RuleSettings,
    responses((status = 201, body = AlertRule), (status = 400, body = Problem), (status = 422, body = Problem)))]
pub async fn post(State(api): State<Api>, JsonBody(settings): JsonBody<RuleSettings>) -> Fallible<Response> {
    let record = api.question(move |conn| record(&settings, conn)).await?;
    let key = save(&api, None, record).await?;
    let place = [("location", format!("/v1/alert-rules/{}", key.0))];
    Ok((StatusCode::CREATED, place, Json(one(&api, key).await?)).into_response())
}

/// Changes a rule, which gives it another version. One that watches for the same as before goes on as it stood; else
/// what fires is resolved, and it begins anew.
#[utoipa::path(put, path = "/v1/alert-rules/{id}", tag = "alerts", params(("id", description = "Number of the rule")),
    request_body = RuleSettings,
    responses((status = 200, body = AlertRule), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn put(
    State(api): State<Api>,
    Path(id): Path<String>,
    JsonBody(settings): JsonBody<RuleSettings>,
) -> Fallible<Json<AlertRule>> {
    let key = key(&id)?;
    let record = api.question(move |conn| record(&settings, conn)).await?;
    let key = save(&api, Some(key), record).await?;
    one(&api, key).await.map(Json)
}

/// Ends a rule. What fires is resolved; what fired before stays.
#[utoipa::path(delete, path = "/v1/alert-rules/{id}", tag = "alerts",
    params(("id", description = "Number of the rule")),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn delete(State(api): State<Api>, Path(id): Path<String>) -> Fallible<StatusCode> {
    let key = key(&id)?;
    let outcomes = api.pipeline.change_all(vec![Change::EndRule(key)], false).await?;
    if outcomes.is_empty() {
        return Err(unknown(key));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Alerts that a preview shows.
const PREVIEW_ALERTS: usize = 1000;

/// When a rule would have fired over a past period, had it been there from its beginning.
///
/// The stored events go through the engine once more, late ones in their places, with the zones as they are drawn now.
/// Nothing is stored.
#[utoipa::path(post, path = "/v1/alert-rules/preview", tag = "alerts", request_body = PreviewRequest,
    responses((status = 200, body = Preview), (status = 400, body = Problem), (status = 422, body = Problem)))]
pub async fn preview(State(api): State<Api>, JsonBody(asked): JsonBody<PreviewRequest>) -> Fallible<Json<Preview>> {
    let window = Window::parse(&asked.from, &asked.to, api.clock.now().0)?;
    let (defaults, pipeline, store) = (api.defaults, api.pipeline.clone(), api.store.clone());
    let turn = api.import_turn.clone().acquire_owned().await.map_err(|_| ApiError::Stopped)?;
    let asking = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let places = store.read(Places::read)?;
        let reached = places
            .sites
            .iter()
            .filter_map(|site| Some((site.key, EventTime(pipeline.site_clock_ms(site.key)?))))
            .collect();
        let record = store.read(|conn| Ok(record(&asked.rule, conn)))??;
        let question = Question { record, from: EventTime(window.from_ms), to: EventTime(window.to_ms), reached };
        let firings = preview::firings(&store, &defaults, &question)?;
        let clients = firings.iter().take(PREVIEW_ALERTS).filter_map(|firing| match firing.subject {
            Subject::Stay(_, client) => Some(client),
            _ => None,
        });
        let clients: HashMap<ClientKey, String> =
            store.read(|conn| queries::client_ids(conn, &clients.collect::<Vec<_>>()))?.into_iter().collect();
        let alerts = firings.iter().take(PREVIEW_ALERTS).map(|firing| preview_alert(firing, &places, &clients));
        let length_ms = |firing: &Firing| firing.over.map_or(window.to_ms, |(at, _)| at.0) - firing.fired_at.0;
        Ok(Json(Preview {
            from: rfc3339(window.from_ms),
            to: rfc3339(window.to_ms),
            count: firings.len(),
            firing_s: firings.iter().map(length_ms).sum::<i64>() as f64 / 1000.0,
            alerts: alerts.collect(),
        }))
    });
    asking.await.map_err(|_| ApiError::Stopped)?
}

fn preview_alert(firing: &Firing, places: &Places, clients: &HashMap<ClientKey, String>) -> PreviewAlert {
    let (area, map, client) = match firing.subject {
        Subject::Area(area) => (Some(area), None, None),
        Subject::Stay(area, client) => (Some(area), None, Some(client)),
        Subject::Map(map) => (None, Some(map), None),
        Subject::Site => (None, None, None),
    };
    let area = area.and_then(|key| places.areas.iter().find(|area| area.key == key));
    let map = map.or(area.and_then(|area| area.map));
    let map = map.and_then(|key| places.maps.iter().find(|map| map.key == key));
    let site = places.sites.iter().find(|site| site.key == firing.site);
    PreviewAlert {
        site_id: site.map(|site| site.id.to_string()).unwrap_or_default(),
        map_id: map.map(|map| map.id.to_string()),
        area_id: area.map(|area| area.id.id.to_string()),
        client_id: client.and_then(|key| clients.get(&key).cloned()),
        since: rfc3339(firing.since.0),
        fired_at: rfc3339(firing.fired_at.0),
        clients: firing.clients,
        resolved_at: firing.over.map(|(at, _)| rfc3339(at.0)),
        resolved_clients: firing.over.map(|(_, clients)| clients),
    }
}

async fn save(api: &Api, key: Option<RuleKey>, record: RuleRecord) -> Result<RuleKey, ApiError> {
    let outcomes = api.pipeline.change_all(vec![Change::Rule { key, record }], false).await?;
    let saved = outcomes.first().and_then(|outcome| outcome.id.parse().ok()).map(RuleKey);
    saved.ok_or_else(|| key.map_or(ApiError::Stopped, unknown))
}

fn unknown(key: RuleKey) -> ApiError {
    ApiError::NotFound { what: "alert rule", id: key.0.to_string() }
}

fn key(id: &str) -> Result<RuleKey, ApiError> {
    id.parse().map(RuleKey).map_err(|_| ApiError::NotFound { what: "alert rule", id: id.to_owned() })
}

async fn one(api: &Api, key: RuleKey) -> Result<AlertRule, ApiError> {
    api.question(move |conn| {
        let rules = alerts::rules(conn)?;
        let row = rules.iter().find(|row| row.key == key).ok_or_else(|| unknown(key))?;
        Ok(answer(row, &Places::read(conn)?))
    })
    .await
}

fn answer(row: &RuleRow, places: &Places) -> AlertRule {
    let record = &row.record;
    let area = record.target.area.and_then(|key| places.areas.iter().find(|area| area.key == key));
    let map = record.target.map.and_then(|key| places.maps.iter().find(|map| map.key == key));
    let site = record.target.site.and_then(|key| places.sites.iter().find(|site| site.key == key));
    AlertRule {
        rule_id: row.key.0,
        version: row.version,
        valid_from: rfc3339(row.valid_from_ms),
        valid_to: row.valid_to_ms.map(rfc3339),
        settings: RuleSettings {
            name: record.name.clone(),
            site_id: site.map(|site| site.id.to_string()),
            map_id: map.map(|map| map.id.to_string()),
            area_id: area.map(|area| area.id.id.to_string()),
            area_kind: area.map(|area| area.id.kind.name().into()),
            tag: record.target.tag.clone(),
            condition: record.condition.name().into(),
            limit_clients: record.condition.limits().map(|(limit, _)| limit),
            clear_clients: record.condition.limits().map(|(_, clear)| clear),
            for_s: record.for_s,
            repeat_s: record.repeat_s,
            schedule: record.schedule_json.as_deref().and_then(|json| serde_json::from_str(json).ok()),
            severity: record.severity.clone(),
            message: record.message.clone(),
            is_enabled: record.is_enabled,
        },
    }
}

fn wrong(detail: impl Into<String>) -> ApiError {
    ApiError::Unprocessable { detail: detail.into(), faults: Vec::new() }
}

/// Longest name and message, bytes.
const TEXT_BYTES_MAX: usize = 2000;

/// A week and a bit: longer stays and silences than this are for a report, not an alert.
const LENGTH_MAX_S: f64 = 31.0 * 86_400.0;

/// The shortest time after which callbacks are told again, seconds.
const REPEAT_MIN_S: f64 = 10.0;

/// A rule as it is saved, if it makes sense.
fn record(settings: &RuleSettings, conn: &ReadConnection) -> Result<RuleRecord, ApiError> {
    let RuleSettings { name, for_s, repeat_s, schedule, severity, message, .. } = settings;
    if name.trim().is_empty() || name.len() > TEXT_BYTES_MAX {
        return Err(wrong("`name` must not be empty, nor longer than 2000 bytes"));
    }
    if message.as_ref().is_some_and(|message| message.len() > TEXT_BYTES_MAX) {
        return Err(wrong("`message` must not be longer than 2000 bytes"));
    }
    if !["info", "warning", "critical"].contains(&severity.as_str()) {
        return Err(wrong(format!("`severity` is {severity:?}; it must be info, warning or critical")));
    }
    if !(0.0..=LENGTH_MAX_S).contains(for_s) {
        return Err(wrong("`for_s` must be from 0 to 2678400 seconds (31 days)"));
    }
    if repeat_s.is_some_and(|repeat_s| !(REPEAT_MIN_S..=LENGTH_MAX_S).contains(&repeat_s)) {
        return Err(wrong("`repeat_s` must be from 10 to 2678400 seconds (31 days)"));
    }
    let schedule_json = match schedule {
        None => None,
        Some(times) => {
            windows(times).ok_or_else(|| {
                wrong(
                    "`schedule` must list times like {\"days\": [\"mon\"], \"from\": \"08:00\", \"to\": \"18:30\"}, each \
                     ending after it begins; for a night give two, up to 24:00 and from 00:00",
                )
            })?;
            Some(serde_json::to_string(times).expect("plain data becomes JSON"))
        }
    };
    let condition = condition(settings)?;
    let target = target(settings, conn)?;
    if condition == Condition::NoData && (target.area.is_some() || target.tag.is_some()) {
        return Err(wrong("`no_data` is about a whole site or map: give `site_id` or `map_id`, and no `tag`"));
    }
    Ok(RuleRecord {
        name: name.clone(),
        target,
        condition,
        for_s: *for_s,
        repeat_s: *repeat_s,
        schedule_json,
        severity: severity.clone(),
        message: message.clone(),
        is_enabled: settings.is_enabled,
    })
}

fn condition(settings: &RuleSettings) -> Result<Condition, ApiError> {
    let RuleSettings { condition, limit_clients, clear_clients, for_s, .. } = settings;
    let timed = |condition| match (limit_clients, clear_clients) {
        (None, None) if *for_s > 0.0 => Ok(condition),
        (None, None) => Err(wrong("`for_s` must say how long: dwell and no_data fire after that time")),
        _ => Err(wrong("`limit_clients` and `clear_clients` go with above and below only")),
    };
    let limits = || {
        let limit =
            limit_clients.ok_or_else(|| wrong("`limit_clients` is missing: how many clients are the limit?"))?;
        if limit > i32::MAX as u32 || clear_clients.is_some_and(|clear| clear > i32::MAX as u32) {
            return Err(wrong("`limit_clients` and `clear_clients` must be below 2147483648"));
        }
        Ok((limit, clear_clients.unwrap_or(limit)))
    };
    match condition.as_str() {
        "above" => match limits()? {
            (limit, clear) if clear > limit => Err(wrong("`clear_clients` must not be above `limit_clients`")),
            (limit, clear) => Ok(Condition::Above { limit, clear }),
        },
        "below" => match limits()? {
            (0, _) => Err(wrong("`limit_clients` must be at least 1: there are never fewer than 0 clients")),
            (limit, clear) if clear < limit => Err(wrong("`clear_clients` must not be below `limit_clients`")),
            (limit, clear) => Ok(Condition::Below { limit, clear }),
        },
        "dwell" => timed(Condition::Dwell),
        "no_data" => timed(Condition::NoData),
        other => Err(wrong(format!("`condition` is {other:?}; it must be above, below, dwell or no_data"))),
    }
}

fn target(settings: &RuleSettings, conn: &ReadConnection) -> Result<RuleTarget, ApiError> {
    let RuleSettings { site_id, map_id, area_id, area_kind, tag, .. } = settings;
    let given = [site_id.is_some() && tag.is_none(), map_id.is_some(), area_id.is_some(), tag.is_some()];
    if given.iter().filter(|is_given| **is_given).count() != 1 {
        return Err(wrong(
            "give one of `site_id`, `map_id`, `area_id` and `tag` (`tag` may have a `site_id` beside it)",
        ));
    }
    if area_kind.is_some() && area_id.is_none() {
        return Err(wrong("`area_kind` needs an `area_id`"));
    }
    if tag.as_ref().is_some_and(|tag| tag.is_empty() || tag.len() > TEXT_BYTES_MAX) {
        return Err(wrong("`tag` must not be empty, nor longer than 2000 bytes"));
    }
    let keys = PlaceKeys::find(conn, site_id, map_id, area_id, area_kind)?;
    Ok(RuleTarget { site: keys.site, map: keys.map, area: keys.area, tag: tag.clone() })
}

/// Keys of places that a body names.
pub struct PlaceKeys {
    pub site: Option<crate::model::ids::SiteKey>,
    pub map: Option<crate::model::ids::MapKey>,
    pub area: Option<AreaKey>,
}

impl PlaceKeys {
    pub fn find(
        conn: &ReadConnection,
        site_id: &Option<String>,
        map_id: &Option<String>,
        area_id: &Option<String>,
        area_kind: &Option<String>,
    ) -> Result<PlaceKeys, ApiError> {
        let none = |what: &str, id: &str| wrong(format!("there is no {what} {:?}", settled(id)));
        let site =
            site_id.as_deref().map(|id| restore::site_key(conn, &SiteId::from(id))?.ok_or_else(|| none("site", id)));
        let map = map_id.as_deref().map(|id| restore::map_key(conn, &MapId::from(id))?.ok_or_else(|| none("map", id)));
        let kind = area_kind.as_deref().map(|kind| {
            AreaKind::from_name(kind).ok_or_else(|| wrong("`area_kind` must be zone, vbeacon or rssizone"))
        });
        let kind = kind.transpose()?;
        let area = area_id.as_deref().map(|id| match restore::area_keys(conn, kind, &Id::object(id))?[..] {
            [] => Err(none("area", id)),
            [area] => Ok(area),
            _ => Err(wrong(format!("{id:?} names several areas: say which with `area_kind`"))),
        });
        Ok(PlaceKeys { site: site.transpose()?, map: map.transpose()?, area: area.transpose()? })
    }
}

/// How long an uploaded limit must be exceeded before the offered rule fires, seconds: the vendor's own default.
const OFFERED_FOR_S: f64 = 300.0;

/// A rule for each uploaded occupancy limit that no rule watches.
fn offers(conn: &ReadConnection, rules: &[RuleRow], places: &Places) -> Result<Vec<RuleSettings>, ApiError> {
    let is_above = |rule: &&RuleRow| matches!(rule.record.condition, Condition::Above { .. });
    let watched: HashSet<AreaKey> = rules.iter().filter(is_above).filter_map(|rule| rule.record.target.area).collect();
    let watched_maps: HashSet<_> = rules.iter().filter(is_above).filter_map(|rule| rule.record.target.map).collect();
    let keys: BTreeMap<(AreaKind, String), AreaKey> =
        places.areas.iter().map(|area| ((area.id.kind, area.id.id.to_string()), area.key)).collect();
    let offer = |name: String, limit: i64| RuleSettings {
        name,
        site_id: None,
        map_id: None,
        area_id: None,
        area_kind: None,
        tag: None,
        condition: "above".into(),
        limit_clients: u32::try_from(limit).ok(),
        clear_clients: None,
        for_s: OFFERED_FOR_S,
        repeat_s: None,
        schedule: None,
        severity: "warning".into(),
        message: None,
        is_enabled: true,
    };
    let mut offers = Vec::new();
    for row in plans::areas(conn, &Scope::default(), None)? {
        let key = keys.get(&(row.kind, row.id.clone()));
        // The vendor writes 0 where there is no limit.
        let limit = row.occupancy_limit.filter(|limit| *limit > 0 && row.is_mapped);
        if let (Some(limit), Some(key)) = (limit, key)
            && !watched.contains(key)
        {
            let name = format!("More than {limit} in {}", row.name.as_deref().unwrap_or(&row.id));
            let kind = row.kind.name().to_owned();
            offers.push(RuleSettings { area_id: Some(row.id), area_kind: Some(kind), ..offer(name, limit) });
        }
    }
    for row in plans::maps(conn, None, None, None)? {
        let map = places.maps.iter().find(|map| map.id == MapId::from(row.id.as_str()));
        let limit = row.occupancy_limit.filter(|limit| *limit > 0);
        if let (Some(limit), Some(map)) = (limit, map)
            && !watched_maps.contains(&map.key)
        {
            let name = format!("More than {limit} on {}", row.name.as_deref().unwrap_or(&row.id));
            offers.push(RuleSettings { map_id: Some(row.id), ..offer(name, limit) });
        }
    }
    Ok(offers)
}
