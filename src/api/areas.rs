//! `/v1/areas`: zones, virtual beacons and RSSI zones.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::body::JsonBody;
use super::dto::{Area, Areas, RebuildRequest, Versions};
use super::error::ApiError;
use super::params::{
    AreaAtParams, AreaVersionParams, KindParams, Path, PlaceParams, Query, area_kind, at_ms, check_id, settled, units,
};
use super::table::{self, Columns, Kind, Wanted};
use super::{Api, Fallible, rebuilds};
use crate::config;
use crate::floorplan::{self, Coordinates, UnitsName};
use crate::model::ids::{AreaId, AreaKind, Id, SiteId, in_path};
use crate::model::time::rfc3339;
use crate::model::visit::Source;
use crate::pipeline::{AreaSettings, Change};
use crate::problem::{Fault, Problem};
use crate::store::ReadConnection;
use crate::store::plans::{self, AreaRow};
use crate::store::queries::Scope;
use crate::store::restore::RuleSettings;

pub const AREAS: Columns = &[
    ("area_id", Kind::Text),
    ("kind", Kind::Text),
    ("name", Kind::Text),
    ("site_id", Kind::Text),
    ("map_id", Kind::Text),
    ("tags", Kind::Text),
    ("occupancy_limit", Kind::Integer),
    ("version", Kind::Integer),
    ("valid_from", Kind::Time),
    ("valid_to", Kind::Time),
    ("is_mapped", Kind::Flag),
    ("authoritative_source", Kind::Text),
    ("exit_grace_s", Kind::Number),
    ("presence_timeout_s", Kind::Number),
    ("reported_timeout_s", Kind::Number),
];

/// Areas that were uploaded or that events named; with `format=geojson` the zones and beacons of maps in metres.
#[utoipa::path(get, path = "/v1/areas", tag = "places", params(PlaceParams),
    responses((status = 200, body = Areas), (status = 400, body = Problem)))]
pub async fn list(
    State(api): State<Api>,
    wanted: Result<Wanted, ApiError>,
    Query(params): Query<PlaceParams>,
) -> Fallible<Response> {
    // GeoJSON is no form of a table.
    let form = if params.format.as_deref() == Some("geojson") { None } else { Some(wanted?.0) };
    let scope = params.scope()?;
    let at_ms = at_ms(&params.at, api.clock.now().0)?;
    let units = units(&params.units)?.unwrap_or(UnitsName::Metres);
    let mut rows = api.read(move |conn| plans::areas(conn, &scope, at_ms)).await?;
    rows.retain(|row| at_ms.is_none() || row.is_mapped);
    match form {
        Some(form) => {
            let answer = Areas { areas: rows.into_iter().map(area).collect() };
            table::answer(form, "areas", &answer, AREAS, |answer| table::rows(&answer.areas))
        }
        None => {
            let collection = api.question(move |conn| collection(conn, &rows, units, at_ms)).await?;
            Ok(geojson(collection))
        }
    }
}

/// One area.
#[utoipa::path(get, path = "/v1/areas/{id}", tag = "places",
    params(("id", description = "Area id"), AreaAtParams),
    responses((status = 200, body = Area), (status = 404, body = Problem)))]
pub async fn get(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(params): Query<AreaAtParams>,
) -> Fallible<Json<Area>> {
    let at_ms = at_ms(&params.at, api.clock.now().0)?;
    find(&api, settled(&id), area_kind(&params.kind)?, at_ms).await.map(|row| Json(area(row)))
}

/// Every version of an area, newest first. Visits name the version they were computed with.
#[utoipa::path(get, path = "/v1/areas/{id}/versions", tag = "places",
    params(("id", description = "Area id"), AreaVersionParams),
    responses((status = 200, body = Versions<Area>), (status = 404, body = Problem)))]
pub async fn versions(
    State(api): State<Api>,
    Path(id): Path<String>,
    Wanted(form): Wanted,
    Query(params): Query<AreaVersionParams>,
) -> Fallible<Response> {
    let found = find(&api, settled(&id), area_kind(&params.kind)?, None).await?;
    let rows = api.read(move |conn| plans::area_versions(conn, found.kind, &found.id)).await?;
    let found = Versions { versions: rows.into_iter().map(area).collect() };
    table::answer(form, "area-versions", &found, AREAS, |found| table::rows(&found.versions))
}

/// Uploads one area: a Mist `zone`, `vbeacon` or `rssizone` object (`kind` says which; `zone` if left out). Beside the
/// vendor's fields it may set `exit_grace_s`, `presence_timeout_s`, `reported_timeout_s`, `authoritative_source`.
#[utoipa::path(put, path = "/v1/areas/{id}", tag = "places",
    params(("id", description = "Area id"), KindParams),
    request_body(content = super::dto::AreaUpload),
    responses((status = 200, body = Area), (status = 400, body = Problem), (status = 422, body = Problem)))]
pub async fn put(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(params): Query<KindParams>,
    JsonBody(document): JsonBody<Value>,
) -> Fallible<Json<Area>> {
    upload_area(&api, &id, &params, document).await.map(Json)
}

/// Makes an area; the body is as for `PUT /v1/areas/{id}`. Its `id` is the area's; one is made up where there is none. An
/// area that is there already is changed with PUT.
#[utoipa::path(post, path = "/v1/areas", tag = "places", params(KindParams),
    request_body(content = super::dto::AreaUpload),
    responses((status = 201, body = Area), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn post(
    State(api): State<Api>,
    Query(params): Query<KindParams>,
    JsonBody(document): JsonBody<Value>,
) -> Fallible<Response> {
    let id = own_id(&document);
    let kind = params.area_kind()?.unwrap_or(AreaKind::Zone);
    let scope = Scope { area: Some(settled(&id)), area_kind: Some(kind), ..Scope::default() };
    if api.read(move |conn| plans::areas(conn, &scope, None)).await?.iter().any(|row| row.is_mapped) {
        let detail = format!("there is a {} {id:?} already: PUT /v1/areas/{{id}} changes it", kind.name());
        return Err(ApiError::Conflict(detail));
    }
    let area = upload_area(&api, &id, &params, document).await?;
    let location = format!("/v1/areas/{}", in_path(&area.area_id));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(area)).into_response())
}

/// The id that a document has, or a random UUID (RFC 9562, version 4).
pub fn own_id(document: &Value) -> String {
    match document.get("id") {
        None | Some(Value::Null) => {
            let bits = rand::random::<u128>() & !(0xf << 76) & !(0b11 << 62) | (0x4 << 76) | (0b10 << 62);
            Id::Uuid(bits).to_string()
        }
        Some(Value::String(id)) => id.clone(),
        Some(other) => other.to_string(),
    }
}

async fn upload_area(api: &Api, id: &str, params: &KindParams, document: Value) -> Fallible<Area> {
    check_id(id)?;
    let kind = params.area_kind()?.unwrap_or(AreaKind::Zone);
    let text = |key: &str| document.get(key).and_then(Value::as_str);
    let known_map = text("map_id").map(settled);
    let ppm = match known_map {
        Some(map) => {
            api.read(move |conn| plans::maps(conn, None, Some(&map), None)).await?.first().and_then(|map| map.ppm)
        }
        None => None,
    };
    let (map, plan) = floorplan::read_area(kind, &Id::object(id), &document, ppm).map_err(unprocessable)?;
    if map.is_none() && kind != AreaKind::Rssizone {
        return Err(wrong("`map_id` is missing: say which map the area lies on"));
    }
    let change =
        Change::Area { site: text("site_id").map(SiteId::from), map, plan, settings: Some(settings(&document)?) };
    let before_ms = api.clock.now().0;
    api.pipeline.change(change).await?;
    let row = find(api, settled(id), Some(kind), None).await?;
    let is_new_zone = kind == AreaKind::Zone && row.valid_from_ms.is_some_and(|from_ms| from_ms >= before_ms);
    let mut answer = area(row);
    if is_new_zone {
        let request = RebuildRequest {
            area_id: Some(answer.area_id.clone()),
            area_kind: Some("zone".into()),
            ..Default::default()
        };
        answer.rebuild_offer = api.question(|conn| rebuilds::offer_after_upload(conn, request)).await?;
    }
    Ok(answer)
}

/// Ends an area; its history stays.
#[utoipa::path(delete, path = "/v1/areas/{id}", tag = "places",
    params(("id", description = "Area id"), KindParams),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn delete(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(params): Query<KindParams>,
) -> Fallible<StatusCode> {
    let row = find(&api, settled(&id), params.area_kind()?, None).await?;
    api.pipeline.change(Change::EndArea(AreaId { kind: row.kind, id: Id::object(&row.id) })).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn find(api: &Api, id: String, kind: Option<AreaKind>, at_ms: Option<i64>) -> Result<AreaRow, ApiError> {
    let scope = Scope { area: Some(id.clone()), area_kind: kind, ..Scope::default() };
    let mut rows = api.read(move |conn| plans::areas(conn, &scope, at_ms)).await?;
    if rows.len() > 1 {
        return Err(ApiError::BadRequest(format!("{id:?} names {} areas: say which with `kind`", rows.len())));
    }
    rows.pop().ok_or(ApiError::NotFound { what: "area", id })
}

fn settings(document: &Value) -> Result<AreaSettings, ApiError> {
    let number = |key: &str| match document.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or_else(|| wrong(&format!("`{key}` is not a number"))),
    };
    let rules = RuleSettings {
        exit_grace_s: number("exit_grace_s")?,
        presence_timeout_s: number("presence_timeout_s")?,
        reported_timeout_s: number("reported_timeout_s")?,
    };
    config::check_presence(rules.exit_grace_s, rules.presence_timeout_s, rules.reported_timeout_s).map_err(wrong)?;
    let source = match document.get("authoritative_source") {
        None | Some(Value::Null) => None,
        Some(value) => Some(
            value
                .as_str()
                .and_then(Source::from_name)
                .ok_or_else(|| wrong("`authoritative_source` must be computed or reported"))?,
        ),
    };
    Ok(AreaSettings { rules, source })
}

fn wrong(detail: &str) -> ApiError {
    ApiError::Unprocessable { detail: detail.into(), faults: Vec::new() }
}

/// All faults of a floorplan at once.
pub fn unprocessable(problems: Vec<floorplan::Problem>) -> ApiError {
    let detail = format!("{} thing(s) to mend; nothing was changed", problems.len());
    let faults = problems
        .into_iter()
        .map(|problem| Fault { file: problem.file, place: problem.feature, reason: problem.reason })
        .collect();
    ApiError::Unprocessable { detail, faults }
}

pub fn area(row: AreaRow) -> Area {
    let json = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null);
    Area {
        area_id: row.id,
        kind: row.kind.name(),
        name: row.name,
        site_id: row.site_id,
        map_id: row.map_id,
        tags: json(row.tags_json),
        occupancy_limit: row.occupancy_limit,
        shape: json(row.shape_json),
        version: row.version,
        valid_from: row.valid_from_ms.map(rfc3339),
        valid_to: row.valid_to_ms.map(rfc3339),
        is_mapped: row.is_mapped,
        authoritative_source: row.source.name(),
        exit_grace_s: row.rules.exit_grace_s,
        presence_timeout_s: row.rules.presence_timeout_s,
        reported_timeout_s: row.rules.reported_timeout_s,
        rebuild_offer: None,
    }
}

/// Zones and beacons of any maps as a FeatureCollection, each with its `map_id`.
fn collection(
    conn: &ReadConnection,
    rows: &[AreaRow],
    units: UnitsName,
    at_ms: Option<i64>,
) -> Result<Value, ApiError> {
    let mut frames = HashMap::new();
    for map in plans::maps(conn, None, None, at_ms)? {
        frames.insert(map.id.clone(), floorplan::coordinates(units, map.ppm, map.georeference()?.as_ref()));
    }
    let mut features = Vec::new();
    for row in rows {
        let (Some(plan), Some(map_id)) = (row.plan()?, &row.map_id) else { continue };
        let frame = frames.get(map_id).copied().unwrap_or(Ok(Coordinates::Metres));
        let frame = frame.map_err(|error| ApiError::BadRequest(format!("area {}: {error}", row.id)))?;
        if let Some(mut feature) = floorplan::write_feature(&plan, frame) {
            feature["map_id"] = serde_json::json!(map_id);
            features.push(feature);
        }
    }
    Ok(serde_json::json!({ "type": "FeatureCollection", "units": units.name(), "features": features }))
}

pub fn geojson(collection: Value) -> Response {
    ([(header::CONTENT_TYPE, "application/geo+json")], Json(collection)).into_response()
}
