//! `/v1/maps`: floorplans, with their zones, beacons, access points and image.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::areas;
use super::body::{JsonBody, upload};
use super::dto::{AccessPoint, Area, ControlPoint, Georeference, Map, Maps, RebuildRequest, Versions};
use super::error::ApiError;
use super::params::{AtParams, FormParams, MapParams, OneMapParams, Path, Query, at_ms, check_id, settled, units};
use super::table::{self, Columns, Kind, Wanted};
use super::{Api, Fallible, rebuilds};
use crate::floorplan::{self, image};
use crate::model::floorplan::{self as model, MapPlan};
use crate::model::ids::{AreaKind, MapId, SiteId, in_path};
use crate::model::time::rfc3339;
use crate::pipeline::{Change, Extent};
use crate::problem::Problem;
use crate::store::plans::{self, MapRow};
use crate::store::queries::Scope;

pub const MAPS: Columns = &[
    ("map_id", Kind::Text),
    ("site_id", Kind::Text),
    ("is_mapped", Kind::Flag),
    ("name", Kind::Text),
    ("width_m", Kind::Number),
    ("height_m", Kind::Number),
    ("ppm", Kind::Number),
    ("orientation_deg", Kind::Number),
    ("occupancy_limit", Kind::Integer),
    ("version", Kind::Integer),
    ("valid_from", Kind::Time),
    ("valid_to", Kind::Time),
    ("image", Kind::Text),
];

/// Maps that were uploaded or that events named.
#[utoipa::path(get, path = "/v1/maps", tag = "places", params(MapParams),
    responses((status = 200, body = Maps)))]
pub async fn list(State(api): State<Api>, Wanted(form): Wanted, Query(params): Query<MapParams>) -> Fallible<Response> {
    let site = params.site.as_deref().map(settled);
    let at_ms = at_ms(&params.at, api.clock.now().0)?;
    let mut rows = api.read(move |conn| plans::maps(conn, site.as_deref(), None, at_ms)).await?;
    rows.retain(|row| at_ms.is_none() || row.is_mapped);
    let answer = Maps { maps: rows.into_iter().map(map).collect::<Result<_, _>>()? };
    table::answer(form, "maps", &answer, MAPS, |answer| table::rows(&answer.maps))
}

/// One map, with its areas and access points.
#[utoipa::path(get, path = "/v1/maps/{id}", tag = "places", params(("id", description = "Map id"), OneMapParams),
    responses((status = 200, body = Map), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn get(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(params): Query<OneMapParams>,
) -> Fallible<Response> {
    let at_ms = at_ms(&params.at, api.clock.now().0)?;
    let units = units(&params.units)?;
    match params.format.as_deref() {
        None | Some("json") => Ok(Json(read(&api, settled(&id), at_ms).await?).into_response()),
        Some("geojson") => {
            let plan = plan(&api, settled(&id), at_ms).await?;
            let collection = floorplan::write_map(&plan, units);
            Ok(areas::geojson(collection.map_err(|error| ApiError::BadRequest(error.to_string()))?))
        }
        Some(other) => Err(ApiError::BadRequest(format!("`format` is {other:?}; it must be json or geojson"))),
    }
}

/// A map with its areas, as it was uploaded.
async fn plan(api: &Api, id: String, at_ms: Option<i64>) -> Fallible<MapPlan> {
    api.question(move |conn| {
        let row = plans::maps(conn, None, Some(&id), at_ms)?.into_iter().find(|row| row.is_mapped);
        let row = row.ok_or_else(|| ApiError::NotFound { what: "map", id: id.clone() })?;
        let areas = plans::areas(conn, &Scope { map: Some(id), ..Scope::default() }, at_ms)?;
        let areas: Vec<_> = areas.iter().map(|area| area.plan()).collect::<Result<_, _>>()?;
        Ok(MapPlan {
            georeference: row.georeference()?,
            id: MapId::from(row.id.as_str()),
            site: row.site_id.as_deref().map(SiteId::from),
            name: row.name,
            width_m: row.width_m,
            height_m: row.height_m,
            ppm: row.ppm,
            orientation_deg: row.orientation_deg,
            occupancy_limit: row.occupancy_limit,
            collection_json: row.collection_json,
            areas: areas.into_iter().flatten().collect(),
            access_points: Vec::new(),
        })
    })
    .await
}

/// Every version of a map, newest first.
#[utoipa::path(get, path = "/v1/maps/{id}/versions", tag = "places",
    params(("id", description = "Map id"), FormParams),
    responses((status = 200, body = Versions<Map>), (status = 404, body = Problem)))]
pub async fn versions(
    State(api): State<Api>,
    Path(id): Path<String>,
    Wanted(form): Wanted,
    Query(_form): Query<FormParams>,
) -> Fallible<Response> {
    let wanted = settled(&id);
    let is_wanted = wanted.clone();
    let (is_known, rows) = api
        .read(move |conn| {
            let is_known = !plans::maps(conn, None, Some(&is_wanted), None)?.is_empty();
            Ok((is_known, plans::map_versions(conn, &is_wanted)?))
        })
        .await?;
    if !is_known {
        return Err(ApiError::NotFound { what: "map", id: wanted });
    }
    let found = Versions { versions: rows.into_iter().map(map).collect::<Result<_, _>>()? };
    table::answer(form, "map-versions", &found, MAPS, |found| table::rows(&found.versions))
}

/// Uploads a map, with what lies on it.
///
/// The body is Footfall's own form (`zones` a GeoJSON FeatureCollection in metres), or a Mist `map` object, with Mist
/// `zones`, `vbeacons`, `rssizones` and `devices` in it if wanted. A list that is there is complete: areas of the map that
/// it leaves out are ended.
#[utoipa::path(put, path = "/v1/maps/{id}", tag = "places", params(("id", description = "Map id")),
    request_body(content = super::dto::MapUpload),
    responses((status = 200, body = Map), (status = 400, body = Problem), (status = 422, body = Problem)))]
pub async fn put(
    State(api): State<Api>,
    Path(id): Path<String>,
    JsonBody(document): JsonBody<Value>,
) -> Fallible<Json<Map>> {
    upload_map(&api, &id, document).await.map(Json)
}

/// Makes a map, with what lies on it; the body is as for `PUT /v1/maps/{id}`. Its `id` is the map's; one is made up where
/// there is none. A map that is there already is changed with PUT.
#[utoipa::path(post, path = "/v1/maps", tag = "places", request_body(content = super::dto::MapUpload),
    responses((status = 201, body = Map), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn post(State(api): State<Api>, JsonBody(document): JsonBody<Value>) -> Fallible<Response> {
    let id = areas::own_id(&document);
    let wanted = settled(&id);
    let rows = api.read(move |conn| plans::maps(conn, None, Some(&wanted), None)).await?;
    if rows.iter().any(|row| row.is_mapped) {
        return Err(ApiError::Conflict(format!("there is a map {id:?} already: PUT /v1/maps/{{id}} changes it")));
    }
    let map = upload_map(&api, &id, document).await?;
    let location = format!("/v1/maps/{}", in_path(&map.map_id));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(map)).into_response())
}

async fn upload_map(api: &Api, id: &str, document: Value) -> Fallible<Map> {
    check_id(id)?;
    // Checking outlines may take seconds.
    let check = || floorplan::read_map(&MapId::from(id), &document);
    let plan = tokio::task::block_in_place(check).map_err(areas::unprocessable)?;
    let lists = [("zones", AreaKind::Zone), ("vbeacons", AreaKind::Vbeacon)];
    let complete = lists.into_iter().filter(|(list, _)| document.get(list).is_some()).map(|(_, kind)| kind).collect();
    let is_aps_complete = document.get("access_points").is_some() || document.get("devices").is_some();
    let before_ms = api.clock.now().0;
    let extent = Extent { keeps_attributes: false, complete, is_aps_complete };
    api.pipeline.change(Change::Map { plan, extent }).await?;
    let mut answer = read(api, settled(id), None).await?;
    let before = rfc3339(before_ms);
    let is_new_zone = |area: &Area| area.kind == "zone" && area.valid_from.as_ref().is_some_and(|from| *from >= before);
    if answer.areas.iter().flatten().any(is_new_zone) {
        let request = RebuildRequest { map_id: Some(answer.map_id.clone()), ..Default::default() };
        answer.rebuild_offer = api.question(|conn| rebuilds::offer_after_upload(conn, request)).await?;
    }
    Ok(answer)
}

/// Ends a map and its areas; their history stays.
#[utoipa::path(delete, path = "/v1/maps/{id}", tag = "places", params(("id", description = "Map id")),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn delete(State(api): State<Api>, Path(id): Path<String>) -> Fallible<StatusCode> {
    api.pipeline.change(Change::EndMap(MapId::from(id.as_str()))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The floorplan image.
#[utoipa::path(get, path = "/v1/maps/{id}/image", tag = "places", params(("id", description = "Map id"), AtParams),
    responses((status = 200, content((Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/svg+xml"))),
        (status = 404, body = Problem)))]
pub async fn get_image(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(params): Query<AtParams>,
) -> Fallible<Response> {
    let map_id = settled(&id);
    let at_ms = at_ms(&params.at, api.clock.now().0)?;
    let found = api.read(move |conn| plans::map_image(conn, &map_id, at_ms)).await?;
    let (content_type, bytes) = found.ok_or(ApiError::NotFound { what: "image of map", id })?;
    let content_type =
        HeaderValue::from_str(&content_type).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    // An image is only ever drawn: whatever an SVG may hold, it runs nothing here.
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox"),
    );
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// Uploads the floorplan image: PNG, JPEG or SVG.
#[utoipa::path(put, path = "/v1/maps/{id}/image", tag = "places", params(("id", description = "Map id")),
    request_body(content = Vec<u8>, content_type = "image/*"),
    responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn put_image(State(api): State<Api>, Path(id): Path<String>, request: Request) -> Fallible<StatusCode> {
    let bytes = upload(request).await?;
    let found = image::check_image(&bytes)
        .map_err(|error| ApiError::Unprocessable { detail: error.to_string(), faults: Vec::new() })?;
    let change = Change::Image {
        map: MapId::from(id.as_str()),
        content_type: found.content_type,
        width_px: found.width_px,
        height_px: found.height_px,
        bytes: bytes.into(),
    };
    api.pipeline.change(change).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn read(api: &Api, id: String, at_ms: Option<i64>) -> Fallible<Map> {
    api.question(move |conn| {
        let row = plans::maps(conn, None, Some(&id), at_ms)?.into_iter().next();
        let row = row.ok_or_else(|| ApiError::NotFound { what: "map", id: id.clone() })?;
        let access_points = plans::access_points(conn, row.key)?;
        let scope = Scope { map: Some(id), ..Scope::default() };
        let rows = plans::areas(conn, &scope, at_ms)?;
        let mut found = map(row)?;
        found.areas = Some(rows.into_iter().filter(|area| area.is_mapped).map(areas::area).collect());
        found.access_points = Some(
            access_points
                .into_iter()
                .map(|ap| AccessPoint {
                    id: ap.id,
                    mac: ap.mac,
                    name: ap.name,
                    x_m: ap.x_m,
                    y_m: ap.y_m,
                    height_m: ap.height_m,
                    orientation_deg: ap.orientation_deg,
                })
                .collect(),
        );
        Ok(found)
    })
    .await
}

fn map(row: MapRow) -> Fallible<Map> {
    let georeference = row.georeference()?.map(|georeference| Georeference {
        control_points: georeference
            .control_points
            .into_iter()
            .map(|model::ControlPoint { lon_deg, lat_deg, x_m, y_m }| ControlPoint { lon_deg, lat_deg, x_m, y_m })
            .collect(),
    });
    let image = row.image_type.is_some().then(|| format!("/v1/maps/{}/image", in_path(&row.id)));
    Ok(Map {
        map_id: row.id,
        site_id: row.site_id,
        is_mapped: row.is_mapped,
        name: row.name,
        width_m: row.width_m,
        height_m: row.height_m,
        ppm: row.ppm,
        orientation_deg: row.orientation_deg,
        occupancy_limit: row.occupancy_limit,
        georeference,
        version: row.version,
        valid_from: row.valid_from_ms.map(rfc3339),
        valid_to: row.valid_to_ms.map(rfc3339),
        image,
        areas: None,
        access_points: None,
        rebuild_offer: None,
    })
}
