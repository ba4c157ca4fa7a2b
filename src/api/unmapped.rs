//! `GET /v1/unmapped`: what events named but nobody uploaded.

use axum::extract::State;
use axum::response::Response;

use super::dto::{Unmapped, UnmappedArea, UnmappedMap};
use super::params::{Query, UnmappedParams, settled};
use super::table::{self, Columns, Kind, Wanted};
use super::{Api, Fallible};
use crate::model::time::rfc3339;
use crate::problem::Problem;
use crate::store::queries;

pub const UNMAPPED: Columns = &[
    ("map_id", Kind::Text),
    ("area_id", Kind::Text),
    ("kind", Kind::Text),
    ("site_id", Kind::Text),
    ("events", Kind::Integer),
    ("fixes", Kind::Integer),
    ("clients", Kind::Integer),
    ("first_event_at", Kind::Time),
    ("last_event_at", Kind::Time),
];

/// Maps and areas that events named but nobody uploaded, the most named first: what to import next.
#[utoipa::path(get, path = "/v1/unmapped", tag = "places", params(UnmappedParams),
    responses((status = 200, body = Unmapped), (status = 400, body = Problem)))]
pub async fn list(
    State(api): State<Api>,
    Wanted(form): Wanted,
    Query(params): Query<UnmappedParams>,
) -> Fallible<Response> {
    let site = params.site.as_deref().map(settled);
    let rows = api.read(move |conn| queries::unmapped(conn, site.as_deref())).await?;
    let mut found = Unmapped { maps: Vec::new(), areas: Vec::new() };
    for row in rows {
        let (first_event_at, last_event_at) = (row.first_ms.map(rfc3339), row.last_ms.map(rfc3339));
        match row.area_kind {
            None => found.maps.push(UnmappedMap {
                map_id: row.id,
                site_id: row.site_id,
                events: row.events,
                fixes: row.fixes,
                clients: row.clients,
                first_event_at,
                last_event_at,
            }),
            Some(kind) => found.areas.push(UnmappedArea {
                area_id: row.id,
                kind: kind.name(),
                site_id: row.site_id,
                map_id: row.map_id,
                events: row.events,
                clients: row.clients,
                first_event_at,
                last_event_at,
            }),
        }
    }
    table::answer(form, "unmapped", &found, UNMAPPED, |found| {
        [table::rows(&found.maps), table::rows(&found.areas)].concat()
    })
}
