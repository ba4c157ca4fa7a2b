//! `GET /v1/visits`: the visits themselves, a page at a time.

use axum::extract::State;
use axum::response::Response;

use super::dto::{Visit, Visits};
use super::error::ApiError;
use super::occupancy::require_areas;
use super::params::{Query, VisitParams, Window, cursor, seconds};
use super::table::{self, Columns, Kind, Wanted};
use super::{Api, Fallible};
use crate::model::ids::Id;
use crate::model::time::rfc3339;
use crate::model::visit::Ended;
use crate::problem::Problem;
use crate::store::visits::{self, VisitFilter, VisitRow};

const LIMIT_DEFAULT: i64 = 1_000;
const LIMIT_MAX: i64 = 10_000;

/// Visits that touch a window, in the order in which they were opened.
#[utoipa::path(get, path = "/v1/visits", tag = "metrics", params(VisitParams),
    responses((status = 200, body = Visits), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn list(
    State(api): State<Api>,
    Wanted(form): Wanted,
    Query(params): Query<VisitParams>,
) -> Fallible<Response> {
    let scope = params.scope()?;
    let window = Window::parse(&params.from, &params.to, api.clock.now().0)?;
    let limit = params.limit.as_deref().map_or(Ok(LIMIT_DEFAULT), limit)?;
    let filter = VisitFilter {
        from_ms: window.from_ms,
        to_ms: window.to_ms,
        client: params.client.as_deref().map(|id| Id::client(id).to_string()),
        min_dwell_s: params.min_dwell.as_deref().map(|text| seconds("min_dwell", text)).transpose()?,
        after: params.cursor.as_deref().map_or(Ok(0), cursor)?,
        // One more tells whether there is a next page.
        limit: limit + 1,
    };
    let store = api.store.clone();
    api.question(move |conn| {
        let mut rows = visits::visits(&store, conn, &scope, &filter)?;
        if rows.is_empty() {
            // Of nothing there is nothing, but of what is unknown that is said.
            require_areas(&store, conn, &scope)?;
        }
        let has_more = rows.len() as i64 > limit;
        if has_more {
            rows.pop();
        }
        let next_cursor = rows.last().filter(|_| has_more).map(|row| row.key.to_string());
        let answer = Visits { visits: rows.into_iter().map(visit).collect(), next_cursor };
        let response = table::answer(form, "visits", &answer, VISITS, |answer| &answer.visits[..])?;
        Ok(table::with_next(response, answer.next_cursor.as_deref()))
    })
    .await
}

pub const VISITS: Columns = &[
    ("visit_id", Kind::Integer),
    ("site_id", Kind::Text),
    ("map_id", Kind::Text),
    ("area_id", Kind::Text),
    ("area_kind", Kind::Text),
    ("area_name", Kind::Text),
    ("client_id", Kind::Text),
    ("kind", Kind::Text),
    ("client_name", Kind::Text),
    ("source", Kind::Text),
    ("entered_at", Kind::Time),
    ("exited_at", Kind::Time),
    ("dwell_s", Kind::Number),
    ("ended", Kind::Text),
    ("area_version", Kind::Integer),
];

fn limit(text: &str) -> Result<i64, ApiError> {
    text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit)).ok_or_else(|| {
        ApiError::BadRequest(format!("`limit` is {text:?}; it must be a whole number from 1 to {LIMIT_MAX}"))
    })
}

fn visit(row: VisitRow) -> Visit {
    Visit {
        visit_id: row.key,
        site_id: row.site_id,
        map_id: row.map_id,
        area_id: row.area_id,
        area_kind: row.area_kind.name(),
        area_name: row.area_name,
        client_id: row.client_id,
        kind: row.client_kind.name(),
        client_name: row.client_name,
        source: row.source.name(),
        entered_at: rfc3339(row.entered_ms),
        exited_at: row.exited_ms.map(rfc3339),
        dwell_s: row.exited_ms.map(|exited_ms| (exited_ms - row.entered_ms) as f64 / 1000.0),
        ended: row.ended.map(|ended| match ended {
            Ended::Left => "left",
            Ended::Timeout => "timeout",
        }),
        area_version: row.area_version,
    }
}
