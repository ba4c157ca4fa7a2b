//! `GET /v1/occupancy` and `/v1/occupancy/series`: clients now, and over time.

use axum::Json;
use axum::extract::State;
use chrono_tz::Tz;

use super::dto::{AreaOccupancy, ByKind, Occupancy, OccupancySeries, SeriesBucket};
use super::error::ApiError;
use super::params::{OccupancyParams, Query, SeriesParams, Window, time_zone};
use super::{Api, Fallible};
use crate::model::calendar::{self, Width};
use crate::model::metrics::{self, Bucket, Span};
use crate::model::time::rfc3339;
use crate::problem::Problem;
use crate::store::plans;
use crate::store::queries::{self, Scope};
use crate::store::{ReadConnection, StoreError};

/// Clients in each area now, by its authoritative source unless asked for the other.
#[utoipa::path(get, path = "/v1/occupancy", tag = "metrics", params(OccupancyParams),
    responses((status = 200, body = Occupancy), (status = 400, body = Problem)))]
pub async fn now(State(api): State<Api>, Query(params): Query<OccupancyParams>) -> Fallible<Json<Occupancy>> {
    let scope = params.scope()?;
    let rows = api.read(move |conn| queries::occupancy(conn, &scope)).await?;
    let areas = rows.into_iter().map(|row| {
        let [wifi, unconnected, sdk, asset] = row.by_kind;
        AreaOccupancy {
            area_id: row.area_id,
            area_kind: row.kind.name(),
            name: row.name,
            site_id: row.site_id,
            map_id: row.map_id,
            source: row.source.name(),
            current: row.by_kind.iter().sum(),
            by_kind: ByKind { wifi, unconnected, sdk, asset },
            occupancy_limit: row.occupancy_limit,
            as_of: row.site.and_then(|site| api.pipeline.site_clock_ms(site)).map(rfc3339),
        }
    });
    Ok(Json(Occupancy { areas: areas.collect() }))
}

/// Occupancy of an area, a map or a site over time.
///
/// Of several areas together, a client in two that overlap or touch is counted once.
#[utoipa::path(get, path = "/v1/occupancy/series", tag = "metrics", params(SeriesParams),
    responses((status = 200, body = OccupancySeries), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn series(State(api): State<Api>, Query(params): Query<SeriesParams>) -> Fallible<Json<OccupancySeries>> {
    let scope = params.scope()?;
    let window = Window::parse(&params.from, &params.to, api.clock.now().0)?;
    let width = Width::parse(params.bucket.as_deref().unwrap_or("1h"))?;
    let wanted_zone = params.tz.as_deref().map(time_zone).transpose()?;
    api.question(move |conn| {
        let areas = require_areas(conn, &scope)?;
        let zone = match wanted_zone {
            Some(zone) => zone,
            None => site_zone(conn, &areas)?,
        };
        let bounds = calendar::bounds(window.from_ms, window.to_ms, width, zone)?;
        let mut spans = queries::spans(conn, &scope, window.from_ms, window.to_ms)?;
        if areas.len() > 1 {
            spans = metrics::merge_by_client(spans);
        }
        Ok(Json(answer(&spans, window, &bounds, zone)))
    })
    .await
}

/// The series of some visits.
pub fn answer(spans: &[Span], window: Window, bounds: &[i64], zone: Tz) -> OccupancySeries {
    let total = metrics::series(spans, &[window.from_ms, window.to_ms]).remove(0);
    let current = spans
        .iter()
        .filter(|span| span.entered_ms < window.to_ms && span.exited_ms.is_none_or(|exit| exit >= window.to_ms))
        .filter(|span| span.exited_ms != Some(span.entered_ms))
        .count() as u64;
    OccupancySeries {
        from: rfc3339(window.from_ms),
        to: rfc3339(window.to_ms),
        time_zone: zone.name().to_owned(),
        total: bucket(total),
        buckets: metrics::series(spans, bounds).into_iter().map(bucket).collect(),
        current,
    }
}

fn bucket(bucket: Bucket) -> SeriesBucket {
    SeriesBucket {
        from: rfc3339(bucket.from_ms),
        to: rfc3339(bucket.to_ms),
        min: bucket.min,
        max: bucket.max,
        mean: bucket.mean,
        entries: bucket.entries,
        exits: bucket.exits,
        unique_clients: bucket.unique_clients,
    }
}

/// The areas a scope names. One that names a thing we do not know is a 404, not an empty answer.
pub fn require_areas(conn: &ReadConnection, scope: &Scope) -> Result<Vec<plans::AreaRow>, ApiError> {
    let areas = plans::areas(conn, scope, None)?;
    if areas.is_empty() {
        let named = [("area", &scope.area), ("map", &scope.map), ("site", &scope.site)];
        if let Some((what, Some(id))) = named.into_iter().find(|(_, id)| id.is_some()) {
            let is_known = match what {
                "site" => !queries::sites(conn, Some(id))?.is_empty(),
                "map" => !plans::maps(conn, None, Some(id), None)?.is_empty(),
                _ => false,
            };
            if !is_known {
                return Err(ApiError::NotFound { what, id: id.clone() });
            }
        }
    }
    Ok(areas)
}

/// The zone of the first area's site; UTC where that is not known.
fn site_zone(conn: &ReadConnection, areas: &[plans::AreaRow]) -> Result<Tz, StoreError> {
    let Some(site_id) = areas.iter().find_map(|area| area.site_id.as_deref()) else {
        return Ok(Tz::UTC);
    };
    let sites = queries::sites(conn, Some(site_id))?;
    Ok(sites.first().map_or(Tz::UTC, zone_of))
}

/// A site's time zone.
pub fn zone_of(site: &queries::SiteRow) -> Tz {
    site.time_zone.parse().unwrap_or(Tz::UTC)
}
