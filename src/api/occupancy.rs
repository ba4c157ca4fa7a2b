//! `GET /v1/occupancy` and `/v1/occupancy/series`: clients now, and over time.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chrono_tz::Tz;
use serde_json::Value;

use super::dto::{AreaOccupancy, ByKind, Occupancy, OccupancySeries, SeriesBucket, SeriesGroup};
use super::error::ApiError;
use super::params::{self, OccupancyParams, Query, SeriesParams, Window, time_zone};
use super::table::{self, Columns, Kind, Wanted};
use super::withheld::Withheld;
use super::{Api, Fallible};
use crate::model::calendar::{self, Width};
use crate::model::metrics::{self, Bucket, Series};
use crate::model::time::rfc3339;
use crate::problem::Problem;
use crate::store::occupancy;
use crate::store::plans::{self, AreaAsked};
use crate::store::queries::{self, Scope};
use crate::store::spans::{Group, SpanGroup, VisitQuestion};
use crate::store::{ReadConnection, Store};

pub const NOW: Columns = &[
    ("site_id", Kind::Text),
    ("map_id", Kind::Text),
    ("area_id", Kind::Text),
    ("area_kind", Kind::Text),
    ("name", Kind::Text),
    ("source", Kind::Text),
    ("current", Kind::Integer),
    ("wifi", Kind::Integer),
    ("unconnected", Kind::Integer),
    ("sdk", Kind::Integer),
    ("asset", Kind::Integer),
    ("occupancy_limit", Kind::Integer),
    ("as_of", Kind::Time),
];

/// Clients in each area now, by its authoritative source unless asked for the other.
#[utoipa::path(get, path = "/v1/occupancy", tag = "metrics", params(OccupancyParams),
    responses((status = 200, body = Occupancy), (status = 400, body = Problem)))]
pub async fn now(
    State(api): State<Api>,
    Wanted(form): Wanted,
    withheld: Withheld,
    Query(params): Query<OccupancyParams>,
) -> Fallible<Response> {
    let scope = params.scope()?;
    let store = api.store.clone();
    let rows = api.read(move |conn| occupancy::occupancy(&store, conn, &scope)).await?;
    let areas = rows.into_iter().filter_map(|row| {
        let by_kind = row.by_kind.map(i64::unsigned_abs);
        let [wifi, unconnected, sdk, asset] = by_kind;
        let current = withheld.count(by_kind.into_iter().sum());
        let is_told = by_kind.into_iter().all(|count| withheld.allows(count));
        // One that is on no map is there while somebody is in it.
        (row.is_mapped || current.is_some()).then(|| AreaOccupancy {
            area_id: row.area_id,
            area_kind: row.kind.name(),
            name: row.name,
            site_id: row.site_id,
            map_id: row.map_id,
            source: row.source.name(),
            current,
            by_kind: is_told.then_some(ByKind { wifi, unconnected, sdk, asset }),
            occupancy_limit: row.occupancy_limit,
            as_of: row.site.and_then(|site| api.pipeline.site_clock_ms(site)).map(rfc3339),
        })
    });
    table::answer(form, "occupancy", &Occupancy { areas: areas.collect() }, NOW, |answer| {
        answer.areas.iter().map(|area| with(table::row(area), table::row(&area.by_kind))).collect::<Vec<_>>()
    })
}

pub const SERIES: Columns = &[
    ("group_key", Kind::Text),
    ("group_name", Kind::Text),
    ("is_comparison", Kind::Flag),
    ("from", Kind::Time),
    ("to", Kind::Time),
    ("min", Kind::Integer),
    ("max", Kind::Integer),
    ("mean", Kind::Number),
    ("entries", Kind::Integer),
    ("exits", Kind::Integer),
    ("unique_clients", Kind::Integer),
];

/// Occupancy of an area, a map or a site over time.
///
/// Of several areas together, a client in two that overlap or touch is counted once.
#[utoipa::path(get, path = "/v1/occupancy/series", tag = "metrics", params(SeriesParams),
    responses((status = 200, body = OccupancySeries), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn series(
    State(api): State<Api>,
    Wanted(form): Wanted,
    withheld: Withheld,
    Query(params): Query<SeriesParams>,
) -> Fallible<Response> {
    let scope = params.scope()?;
    let window = Window::parse(&params.from, &params.to, api.clock.now().0)?;
    let compared = window.compared(&params.compare)?;
    let width = Width::parse(params.bucket.as_deref().unwrap_or("1h"))?;
    let wanted_zone = params.tz.as_deref().map(time_zone).transpose()?;
    let group = params::group(&params.group_by)?;
    let min_dwell = params.min_dwell;
    window.spans(&min_dwell)?;
    let store = api.store.clone();
    api.question(move |conn| {
        let areas = require_areas(&store, conn, &scope)?;
        let zone = wanted_zone.unwrap_or_else(|| site_zone(&areas));
        let ask = |window: Window| -> Result<OccupancySeries, ApiError> {
            let bounds = calendar::bounds(window.from_ms, window.to_ms, width, zone)?;
            let filter = window.spans(&min_dwell)?;
            let asked = VisitQuestion { conn, past: store.past(), areas: &areas, scope: &scope, filter };
            let series = asked.series(&bounds)?;
            let mut found = answer(series, window, zone, withheld);
            if let Some(group) = group {
                let groups = asked.grouped_spans(group)?;
                if groups.len().saturating_mul(bounds.len()) > CELLS_MAX {
                    let detail = format!(
                        "{} groups of {} buckets are more than {CELLS_MAX}: narrow the window, or widen `bucket`",
                        groups.len(),
                        bounds.len() - 1
                    );
                    return Err(ApiError::BadRequest(detail));
                }
                found.groups = Some(groups.into_iter().map(|of| series_group(of, group, &bounds, withheld)).collect());
            }
            Ok(found)
        };
        let mut found = ask(window)?;
        found.comparison = compared.map(ask).transpose()?.map(Box::new);
        table::answer(form, "occupancy-series", &found, SERIES, series_rows)
    })
    .await
}

/// Buckets of all groups of an answer.
const CELLS_MAX: usize = 200_000;

fn series_group(of: SpanGroup, group: Group, bounds: &[i64], withheld: Withheld) -> SeriesGroup {
    let spans = if group == Group::Area { of.spans } else { metrics::merge_by_client(of.spans) };
    let (buckets, total) = metrics::series_and_total(&spans, bounds);
    let told = |found| bucket(found, withheld);
    SeriesGroup { key: of.key, name: of.name, total: told(total), buckets: buckets.into_iter().map(told).collect() }
}

/// The rows of the period before come after, and say so.
fn series_rows(answer: &OccupancySeries) -> Vec<Value> {
    let before = answer.comparison.iter().flat_map(|before| period_rows(before, true));
    period_rows(answer, false).into_iter().chain(before).collect()
}

fn period_rows(answer: &OccupancySeries, is_comparison: bool) -> Vec<Value> {
    let period = serde_json::json!({ "is_comparison": is_comparison });
    match &answer.groups {
        None => answer.buckets.iter().map(|bucket| with(table::row(bucket), period.clone())).collect(),
        Some(groups) => groups
            .iter()
            .flat_map(|group| {
                let of = serde_json::json!({"group_key": group.key, "group_name": group.name});
                let of = with(of, period.clone());
                group.buckets.iter().map(move |bucket| with(table::row(bucket), of.clone()))
            })
            .collect(),
    }
}

/// An object with the members of another.
pub fn with(mut row: Value, more: Value) -> Value {
    if let (Value::Object(row), Value::Object(more)) = (&mut row, more) {
        row.extend(more);
    }
    row
}

/// The series as it is told.
pub fn answer(series: Series, window: Window, zone: Tz, withheld: Withheld) -> OccupancySeries {
    let Series { buckets, total, current } = series;
    let buckets: Vec<_> = buckets.into_iter().map(|found| bucket(found, withheld)).collect();
    let mut total = bucket(total, withheld);
    total.mean = withheld.sum(total.mean, buckets.iter().map(|bucket| bucket.mean));
    total.entries = withheld.sum(total.entries, buckets.iter().map(|bucket| bucket.entries));
    total.exits = withheld.sum(total.exits, buckets.iter().map(|bucket| bucket.exits));
    OccupancySeries {
        from: rfc3339(window.from_ms),
        to: rfc3339(window.to_ms),
        time_zone: zone.name().to_owned(),
        total,
        buckets,
        current: withheld.count(current),
        groups: None,
        comparison: None,
    }
}

fn bucket(bucket: Bucket, withheld: Withheld) -> SeriesBucket {
    // Of few clients, visits are not told either, however many.
    let count = |count: u64| withheld.count(count).filter(|_| withheld.allows(bucket.unique_clients));
    SeriesBucket {
        from: rfc3339(bucket.from_ms),
        to: rfc3339(bucket.to_ms),
        min: count(bucket.min),
        max: count(bucket.max),
        mean: withheld.mean(bucket.mean),
        entries: count(bucket.entries),
        exits: count(bucket.exits),
        unique_clients: count(bucket.unique_clients),
    }
}

/// The areas a scope names. One that names a thing we do not know is a 404, not an empty answer.
pub fn require_areas(store: &Store, conn: &ReadConnection, scope: &Scope) -> Result<Arc<[AreaAsked]>, ApiError> {
    let areas = store.areas().of(conn, scope)?;
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
pub fn site_zone(areas: &[AreaAsked]) -> Tz {
    let name = areas.iter().find_map(|area| area.time_zone.as_deref());
    name.and_then(|name| name.parse().ok()).unwrap_or(Tz::UTC)
}

/// A site's time zone.
pub fn zone_of(site: &queries::SiteRow) -> Tz {
    site.time_zone.parse().unwrap_or(Tz::UTC)
}
