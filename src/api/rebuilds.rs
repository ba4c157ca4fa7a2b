//! `/v1/rebuilds`: visits derived anew from the stored events.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::body::JsonBody;
use super::dto::{Rebuild, RebuildList, RebuildOffer, RebuildRequest};
use super::error::ApiError;
use super::params::{DryRunParams, FormParams, Path, Query, instant_ms, named, settled};
use super::table::{self, Columns, Kind, Wanted};
use super::{Api, Fallible};
use crate::model::ids::{AreaKind, Id, MapId, SiteId};
use crate::model::time::{EventTime, rfc3339};
use crate::problem::Problem;
use crate::rebuild::{self, Estimate};
use crate::store::rebuilds::{self, Record, Request, State as RebuildState, Target};
use crate::store::{ReadConnection, restore};

/// Rebuilds that a list shows.
const LIST_MAX: i64 = 100;

pub const REBUILDS: Columns = &[
    ("rebuild_id", Kind::Integer),
    ("site_id", Kind::Text),
    ("map_id", Kind::Text),
    ("area_id", Kind::Text),
    ("from", Kind::Time),
    ("to", Kind::Time),
    ("state", Kind::Text),
    ("requested_at", Kind::Time),
    ("started_at", Kind::Time),
    ("ended_at", Kind::Time),
    ("events", Kind::Integer),
    ("events_total", Kind::Integer),
    ("replaced_visits", Kind::Integer),
    ("visits", Kind::Integer),
    ("problem", Kind::Text),
];

/// The latest rebuilds, newest first.
#[utoipa::path(get, path = "/v1/rebuilds", tag = "past", params(FormParams),
    responses((status = 200, body = RebuildList)))]
pub async fn list(State(api): State<Api>, Wanted(form): Wanted, Query(_form): Query<FormParams>) -> Fallible<Response> {
    let records = api.read(|conn| rebuilds::list(conn, LIST_MAX)).await?;
    let found = RebuildList { rebuilds: records.into_iter().map(|record| answer(&api, record)).collect() };
    table::answer(form, "rebuilds", &found, REBUILDS, |found| table::rows(&found.rebuilds))
}

/// Asks for a rebuild: visits are derived anew from the stored events.
///
/// Late events are in their places, and the zones are those drawn now. It is done in the background; deliveries go on, and readers see the old
/// visits until all of the new ones take their place at once. No visit is cut at the ends of a period.
#[utoipa::path(post, path = "/v1/rebuilds", tag = "past", params(DryRunParams), request_body = RebuildRequest,
    responses((status = 202, body = Rebuild), (status = 200, description = "With dry_run", body = RebuildOffer),
        (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn post(
    State(api): State<Api>,
    Query(params): Query<DryRunParams>,
    JsonBody(asked): JsonBody<RebuildRequest>,
) -> Fallible<Response> {
    let now_ms = api.clock.now().0;
    let wanted = asked.clone();
    let request = api.question(move |conn| request(conn, &wanted, now_ms)).await?;
    if params.dry_run {
        let estimate = api.read(move |conn| rebuild::estimate(conn, &request)).await?;
        return Ok(Json(offer(estimate, asked)).into_response());
    }
    let key = api.rebuilds.request(request).await?;
    let record = find(&api, key).await?;
    let place = [("location", format!("/v1/rebuilds/{key}"))];
    Ok((StatusCode::ACCEPTED, place, Json(answer(&api, record))).into_response())
}

/// One rebuild, and how far it has come.
#[utoipa::path(get, path = "/v1/rebuilds/{id}", tag = "past", params(("id", description = "Number of the rebuild")),
    responses((status = 200, body = Rebuild), (status = 404, body = Problem)))]
pub async fn get(State(api): State<Api>, Path(id): Path<String>) -> Fallible<Json<Rebuild>> {
    let record = find(&api, key(&id)?).await?;
    Ok(Json(answer(&api, record)))
}

/// Gives a rebuild up, unless it is over; the visits stay as they were.
#[utoipa::path(delete, path = "/v1/rebuilds/{id}", tag = "past", params(("id", description = "Number of the rebuild")),
    responses((status = 202, body = Rebuild), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn cancel(State(api): State<Api>, Path(id): Path<String>) -> Fallible<Response> {
    let key = key(&id)?;
    let record = find(&api, key).await?;
    if record.state.is_over() {
        return Err(ApiError::Conflict(format!("rebuild {key} is {} already", record.state.name())));
    }
    api.rebuilds.cancel(key).await?;
    let record = find(&api, key).await?;
    Ok((StatusCode::ACCEPTED, Json(answer(&api, record))).into_response())
}

fn key(id: &str) -> Result<i64, ApiError> {
    id.parse().map_err(|_| ApiError::NotFound { what: "rebuild", id: id.to_owned() })
}

async fn find(api: &Api, key: i64) -> Result<Record, ApiError> {
    let record = api.read(move |conn| rebuilds::get(conn, key)).await?;
    record.ok_or(ApiError::NotFound { what: "rebuild", id: key.to_string() })
}

/// What is asked for, its ids looked up.
fn request(conn: &ReadConnection, asked: &RebuildRequest, now_ms: i64) -> Result<Request, ApiError> {
    let instant = |name: &str, text: &Option<String>| {
        text.as_deref().map(|text| instant_ms(name, text, now_ms).map(EventTime)).transpose()
    };
    let (from, to) = (instant("from", &asked.from)?, instant("to", &asked.to)?);
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        return Err(ApiError::BadRequest("`from` must be before `to`".into()));
    }
    Ok(Request { target: target(conn, asked)?, from, to })
}

fn target(conn: &ReadConnection, asked: &RebuildRequest) -> Result<Target, ApiError> {
    let kind = named("area_kind", &asked.area_kind, AreaKind::from_name, "zone, vbeacon or rssizone")?;
    let unknown = |what, id: &str| ApiError::NotFound { what, id: settled(id) };
    if kind.is_some() && asked.area_id.is_none() {
        return Err(ApiError::BadRequest("`area_kind` needs an `area_id`".into()));
    }
    match (&asked.site_id, &asked.map_id, &asked.area_id) {
        (None, None, None) => Ok(Target::All),
        (Some(id), None, None) => {
            let site = restore::site_key(conn, &SiteId::from(id.as_str()))?;
            Ok(Target::Site(site.ok_or_else(|| unknown("site", id))?))
        }
        (None, Some(id), None) => {
            let map = restore::map_key(conn, &MapId::from(id.as_str()))?;
            Ok(Target::Map(map.ok_or_else(|| unknown("map", id))?))
        }
        (None, None, Some(id)) => match restore::area_keys(conn, kind, &Id::object(id))?[..] {
            [] => Err(unknown("area", id)),
            [area] => Ok(Target::Area(area)),
            _ => Err(ApiError::BadRequest(format!("{id:?} names several areas: say which with `area_kind`"))),
        },
        _ => Err(ApiError::BadRequest("give one of `site_id`, `map_id` and `area_id`, or none for everything".into())),
    }
}

fn answer(api: &Api, record: Record) -> Rebuild {
    let running = if record.state == RebuildState::Running { api.rebuilds.progress(record.key) } else { None };
    Rebuild {
        rebuild_id: record.key,
        site_id: record.site_id,
        map_id: record.map_id,
        area_id: record.area_id,
        from: record.request.from.map(|at| rfc3339(at.0)),
        to: record.request.to.map(|at| rfc3339(at.0)),
        state: record.state.name(),
        requested_at: rfc3339(record.requested_ms),
        started_at: record.started_ms.map(rfc3339),
        ended_at: record.ended_ms.map(rfc3339),
        events: running.map(|(events, _)| events as i64).or(record.events),
        events_total: running.map(|(_, total)| total as i64),
        replaced_visits: record.replaced_visits,
        visits: record.visits,
        problem: record.problem,
    }
}

/// What uploading zones of a map brings up: their past. `None` where there is none.
pub fn offer_after_upload(conn: &ReadConnection, request: RebuildRequest) -> Result<Option<RebuildOffer>, ApiError> {
    let target = target(conn, &request)?;
    let estimate = rebuild::estimate(conn, &Request { target, from: None, to: None })?;
    Ok((estimate.fixes > 0).then(|| offer(estimate, request)))
}

fn offer(estimate: Estimate, request: RebuildRequest) -> RebuildOffer {
    let Estimate { fixes, since_ms, duration_s } = estimate;
    let since = since_ms.map(rfc3339);
    let place = match (&request.site_id, &request.map_id, &request.area_id) {
        (Some(_), _, _) => "this site's maps",
        (_, None, None) => "any map",
        _ => "this map",
    };
    let message = match &since {
        Some(since) => format!("{} fixes on {place} since {since}: rebuild?", grouped(fixes)),
        None => format!("no fixes on {place}: nothing to rebuild"),
    };
    RebuildOffer { fixes, since, estimated_s: (duration_s * 10.0).ceil() / 10.0, message, request }
}

/// A number with commas between its thousands.
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let texts = [0, 12, 999, 1000, 3_214_000].map(grouped);
        assert_eq!(texts, ["0", "12", "999", "1,000", "3,214,000"]);
    }
}
