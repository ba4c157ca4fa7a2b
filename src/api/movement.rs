//! `/v1/flows`, `/v1/heatmap`, `/v1/clients` and their tracks: who goes where.

use axum::extract::State;
use axum::response::Response;

use super::error::ApiError;
use super::insight_dto::{Client, Clients, Flow, Flows, Heatmap, HeatmapCell, Track, TrackFix};
use super::occupancy::require_areas;
use super::params::{
    ClientParams, FlowParams, HeatmapParams, Path, Query, TrackParams, Window, client_kind, cursor, flag, limit, named,
    seconds, settled,
};
use super::table::{self, Columns, Kind, Wanted};
use super::withheld::Withheld;
use super::{Api, Fallible};
use crate::model::ids::{ClientKey, Id};
use crate::model::time::rfc3339;
use crate::problem::Problem;
use crate::store::heatmap::{self, HeatmapFilter};
use crate::store::kept_areas::Ground;
use crate::store::queries::{self, ClientFilter};
use crate::store::spans::VisitQuestion;
use crate::store::track;

pub const FLOWS: Columns = &[
    ("from_area_id", Kind::Text),
    ("from_name", Kind::Text),
    ("to_area_id", Kind::Text),
    ("to_name", Kind::Text),
    ("count", Kind::Integer),
    ("unique_clients", Kind::Integer),
    ("median_gap_s", Kind::Number),
];

const FLOW_GAP_S: f64 = 600.0;

/// From which area to which clients went: their visits one after the other, no more than `flow_gap` apart, where the
/// second began in the window. Somebody who leaves and comes back flows from an area to itself.
#[utoipa::path(get, path = "/v1/flows", tag = "metrics", params(FlowParams),
    responses((status = 200, body = Flows), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn flows(
    State(api): State<Api>,
    Wanted(form): Wanted,
    withheld: Withheld,
    Query(params): Query<FlowParams>,
) -> Fallible<Response> {
    let scope = params.scope()?;
    let window = Window::parse(&params.from, &params.to, api.clock.now().0)?;
    let filter = window.spans(&params.min_dwell)?;
    let flow_gap_s = params.flow_gap.as_deref().map_or(Ok(FLOW_GAP_S), |text| seconds("flow_gap", text))?;
    if flow_gap_s > 1e9 {
        return Err(ApiError::BadRequest("`flow_gap` must be below 1000000000 seconds".into()));
    }
    let store = api.store.clone();
    api.question(move |conn| {
        let areas = require_areas(&store, conn, &scope)?;
        let asked = VisitQuestion { conn, past: store.past(), areas: &areas, scope: &scope, filter };
        let mut rows = asked.flows(flow_gap_s)?;
        rows.retain(|row| withheld.allows(row.unique_clients.unsigned_abs()));
        let flows = rows.into_iter().map(|row| Flow {
            from_area_id: row.from_id,
            from_name: row.from_name,
            to_area_id: row.to_id,
            to_name: row.to_name,
            count: row.count,
            unique_clients: row.unique_clients,
            median_gap_s: row.median_gap_s,
        });
        let answer =
            Flows { from: rfc3339(window.from_ms), to: rfc3339(window.to_ms), flow_gap_s, flows: flows.collect() };
        table::answer(form, "flows", &answer, FLOWS, |answer| &answer.flows[..])
    })
    .await
}

pub const HEATMAP: Columns = &[
    ("x_m", Kind::Number),
    ("y_m", Kind::Number),
    ("fixes", Kind::Integer),
    ("seconds", Kind::Number),
    ("unique_clients", Kind::Integer),
];

/// Where on a map clients were: fixes and seconds of presence per square cell.
#[utoipa::path(get, path = "/v1/heatmap", tag = "metrics", params(HeatmapParams),
    responses((status = 200, body = Heatmap), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn heatmap(
    State(api): State<Api>,
    Wanted(form): Wanted,
    withheld: Withheld,
    Query(params): Query<HeatmapParams>,
) -> Fallible<Response> {
    let window = Window::parse(&params.from, &params.to, api.clock.now().0)?;
    let map = params.map.as_deref().map(settled);
    let map = map.ok_or_else(|| ApiError::BadRequest("`map` is missing: which map?".into()))?;
    let cell_m = params.cell_m.unwrap_or(1.0);
    if !(0.1..=100.0).contains(&cell_m) {
        return Err(ApiError::BadRequest("`cell_m` must be from 0.1 to 100 metres".into()));
    }
    let (kind, is_randomised) = (client_kind(&params.kind)?, flag("randomised", &params.randomised)?);
    let (defaults, store) = (api.defaults, api.store.clone());
    api.question(move |conn| {
        let ground = store.areas().ground(conn, &map)?;
        let ground = ground.ok_or_else(|| ApiError::NotFound { what: "map", id: map.clone() })?;
        check_cells(&ground, cell_m)?;
        let cell_mm = (cell_m * 1000.0).round() as i32;
        let filter = HeatmapFilter {
            from_ms: window.from_ms,
            to_ms: window.to_ms,
            client_kind: kind,
            is_randomised,
            cell_mm,
            stay_max_ms: ground.rules.within(defaults.rules).presence_timeout_ms,
        };
        let corner_m = |cell: i64| (cell * i64::from(cell_mm)) as f64 / 1000.0;
        let mut rows = heatmap::heatmap(conn, &store, &ground, &filter)?;
        rows.retain(|row| withheld.allows(row.unique_clients.unsigned_abs()));
        let cells = rows.into_iter().map(|row| HeatmapCell {
            x_m: corner_m(row.column),
            y_m: corner_m(row.row),
            fixes: row.fixes,
            seconds: row.seconds,
            unique_clients: row.unique_clients,
        });
        let answer = Heatmap {
            map_id: map,
            from: rfc3339(window.from_ms),
            to: rfc3339(window.to_ms),
            cell_m: f64::from(cell_mm) / 1000.0,
            cells: cells.collect(),
        };
        table::answer(form, "heatmap", &answer, HEATMAP, |answer| &answer.cells[..])
    })
    .await
}

/// Cells that a heat map may have.
const CELLS_MAX: f64 = 1e6;

/// Refuses cells so small that the whole map has too many.
fn check_cells(ground: &Ground, cell_m: f64) -> Result<(), ApiError> {
    let (Some(width_m), Some(height_m)) = (ground.width_m, ground.height_m) else { return Ok(()) };
    let cells = (width_m / cell_m).ceil() * (height_m / cell_m).ceil();
    if cells > CELLS_MAX {
        let least_m = ((width_m * height_m / CELLS_MAX).sqrt() * 10.0).ceil() / 10.0;
        let detail = format!("`cell_m` is too small: this map would have {cells} cells; give {least_m} or more");
        return Err(ApiError::BadRequest(detail));
    }
    Ok(())
}

pub const CLIENTS: Columns = &[
    ("client_id", Kind::Text),
    ("kind", Kind::Text),
    ("name", Kind::Text),
    ("is_randomised", Kind::Flag),
    ("first_seen_at", Kind::Time),
    ("fixes", Kind::Integer),
    ("first_fix_at", Kind::Time),
    ("last_fix_at", Kind::Time),
    ("site_id", Kind::Text),
    ("map_id", Kind::Text),
    ("x_m", Kind::Number),
    ("y_m", Kind::Number),
];

/// Clients that were located in a window, and where last. With `area`, `tag` or `min_dwell`: of these, who visited such
/// an area then.
#[utoipa::path(get, path = "/v1/clients", tag = "metrics", params(ClientParams),
    responses((status = 200, body = Clients), (status = 400, body = Problem)))]
pub async fn clients(
    State(api): State<Api>,
    Wanted(form): Wanted,
    Query(params): Query<ClientParams>,
) -> Fallible<Response> {
    let window = Window::parse(&params.from, &params.to, api.clock.now().0)?;
    let limit = limit(&params.limit)?;
    let filter = ClientFilter {
        site: params.site.as_deref().map(settled),
        map: params.map.as_deref().map(settled),
        kind: client_kind(&params.kind)?,
        is_randomised: flag("randomised", &params.randomised)?,
        from_ms: window.from_ms,
        to_ms: window.to_ms,
        search: params.search,
        area: params.area.as_deref().map(settled),
        tag: params.tag,
        min_dwell_s: params.min_dwell.as_deref().map(|text| seconds("min_dwell", text)).transpose()?,
        after: params.cursor.as_deref().map_or(Ok(-1), cursor)?,
        limit: limit + 1,
    };
    let mut rows = api.read(move |conn| queries::clients(conn, &filter)).await?;
    let has_more = rows.len() as i64 > limit;
    rows.truncate(limit as usize);
    let next_cursor = rows.last().filter(|_| has_more).map(|row| row.key.to_string());
    let clients = rows.into_iter().map(|row| Client {
        client_id: row.id,
        kind: row.kind.name(),
        name: row.name,
        is_randomised: row.is_randomised,
        first_seen_at: rfc3339(row.first_seen_ms),
        fixes: row.fixes,
        first_fix_at: rfc3339(row.first_fix_ms),
        last_fix_at: rfc3339(row.last_fix_ms),
        site_id: row.site_id,
        map_id: row.map_id,
        x_m: row.x_m,
        y_m: row.y_m,
    });
    let answer = Clients { clients: clients.collect(), next_cursor };
    let response = table::answer(form, "clients", &answer, CLIENTS, |answer| &answer.clients[..])?;
    Ok(table::with_next(response, answer.next_cursor.as_deref()))
}

pub const TRACK: Columns = &[
    ("at", Kind::Time),
    ("site_id", Kind::Text),
    ("map_id", Kind::Text),
    ("x_m", Kind::Number),
    ("y_m", Kind::Number),
    ("rssi_dbm", Kind::Number),
    ("is_late", Kind::Flag),
    ("is_off_map", Kind::Flag),
];

const TRACK_FIXES: usize = 10_000;
const TRACK_FIXES_MAX: usize = 100_000;

/// The way of a client: its fixes, by time, late ones in their places.
#[utoipa::path(get, path = "/v1/clients/{id}/track", tag = "metrics",
    params(("id", description = "Client id, such as a MAC address"), TrackParams),
    responses((status = 200, body = Track), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn track(
    State(api): State<Api>,
    Path(id): Path<String>,
    Wanted(form): Wanted,
    Query(params): Query<TrackParams>,
) -> Fallible<Response> {
    let window = Window::parse(&params.from, &params.to, api.clock.now().0)?;
    let kind = client_kind(&params.kind)?;
    let read = |text: &str| text.parse().ok().filter(|limit| (1..=TRACK_FIXES_MAX).contains(limit));
    let limit = named("limit", &params.limit, read, "a whole number from 1 to 100000")?.unwrap_or(TRACK_FIXES);
    let client_id = Id::client(&id).to_string();
    let store = api.store.clone();
    api.question(move |conn| {
        let known = store.clients().of(conn, &client_id)?;
        if known.is_empty() {
            return Err(ApiError::NotFound { what: "client", id: client_id });
        }
        let wanted = known.iter().filter(|client| kind.is_none_or(|kind| kind == client.kind));
        let wanted: Vec<ClientKey> = wanted.map(|client| client.key).collect();
        let mut rows = track::track(conn, &store, &wanted, window.from_ms, window.to_ms, limit + 1)?;
        let next_from = (rows.len() > limit).then(|| rows.pop()).flatten().map(|row| rfc3339(row.at_ms));
        let fixes = rows.into_iter().map(|row| TrackFix {
            at: rfc3339(row.at_ms),
            site_id: row.site_id,
            map_id: row.map_id,
            x_m: row.x_m,
            y_m: row.y_m,
            rssi_dbm: row.rssi_dbm,
            is_late: row.is_late,
            is_off_map: row.is_off_map,
        });
        let answer = Track {
            client_id,
            from: rfc3339(window.from_ms),
            to: rfc3339(window.to_ms),
            fixes: fixes.collect(),
            next_from,
        };
        let response = table::answer(form, "track", &answer, TRACK, |answer| &answer.fixes[..])?;
        Ok(table::with_next(response, answer.next_from.as_deref()))
    })
    .await
}
