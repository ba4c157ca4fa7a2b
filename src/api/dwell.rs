//! `GET /v1/dwell`: how long visits lasted.

use axum::Json;
use axum::extract::State;

use super::dto::{BandCount, DwellAnswer, HistogramRange};
use super::error::ApiError;
use super::occupancy::require_areas;
use super::params::{DwellParams, Query, Window};
use super::sites::bands_of;
use super::{Api, Fallible};
use crate::model::metrics::{self, HISTOGRAM_EDGES_S, Span};
use crate::model::settings::{self, DwellBand};
use crate::model::time::rfc3339;
use crate::problem::Problem;
use crate::store::{ReadConnection, plans, queries};

/// Dwell of the visits that touch a window: statistics, histogram, and the site's bands.
///
/// What goes on is counted up to the end of the window. Of several areas each visit counts by itself.
#[utoipa::path(get, path = "/v1/dwell", tag = "metrics", params(DwellParams),
    responses((status = 200, body = DwellAnswer), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn dwell(State(api): State<Api>, Query(params): Query<DwellParams>) -> Fallible<Json<DwellAnswer>> {
    let scope = params.scope()?;
    let window = Window::parse(&params.from, &params.to, api.clock.now().0)?;
    let is_clipped = match params.clip.as_deref() {
        None | Some("true") => true,
        Some("false") => false,
        Some(other) => {
            return Err(ApiError::BadRequest(format!("`clip` is {other:?}; it must be true or false")));
        }
    };
    api.question(move |conn| {
        let areas = require_areas(conn, &scope)?;
        let bands = site_bands(conn, &areas)?;
        let spans = queries::spans(conn, &scope, window.from_ms, window.to_ms)?;
        Ok(Json(answer(&spans, window, is_clipped, bands)))
    })
    .await
}

/// The statistics of some visits.
pub fn answer(spans: &[Span], window: Window, is_clipped: bool, bands: Vec<DwellBand>) -> DwellAnswer {
    let found = metrics::dwell(spans, window.from_ms, window.to_ms, is_clipped, &bands);
    let histogram = |place: usize| found.as_ref().map_or(0, |dwell| dwell.histogram[place]);
    let in_band = |place: usize| found.as_ref().map_or(0, |dwell| dwell.bands[place]);
    let histogram = HISTOGRAM_EDGES_S.iter().enumerate().map(|(place, from_s)| HistogramRange {
        from_s: *from_s,
        to_s: HISTOGRAM_EDGES_S.get(place + 1).copied(),
        visits: histogram(place),
    });
    let bands = bands.into_iter().enumerate().map(|(place, band)| BandCount {
        name: band.name,
        from_s: band.from_s,
        to_s: band.to_s,
        visits: in_band(place),
    });
    DwellAnswer {
        from: rfc3339(window.from_ms),
        to: rfc3339(window.to_ms),
        is_clipped,
        count: found.as_ref().map_or(0, |dwell| dwell.count),
        mean_s: found.as_ref().map(|dwell| dwell.mean_s),
        median_s: found.as_ref().map(|dwell| dwell.median_s),
        p90_s: found.as_ref().map(|dwell| dwell.p90_s),
        p95_s: found.as_ref().map(|dwell| dwell.p95_s),
        max_s: found.as_ref().map(|dwell| dwell.max_s),
        histogram: histogram.collect(),
        bands: bands.collect(),
        unbanded: found.as_ref().map_or(0, |dwell| dwell.unbanded),
    }
}

/// The bands of the site the areas belong to; the default ones where they belong to none or to several.
fn site_bands(conn: &ReadConnection, areas: &[plans::AreaRow]) -> Result<Vec<DwellBand>, ApiError> {
    let mut sites: Vec<&str> = areas.iter().filter_map(|area| area.site_id.as_deref()).collect();
    sites.dedup();
    match sites[..] {
        [site] => Ok(queries::sites(conn, Some(site))?.first().map_or_else(settings::default_dwell_bands, bands_of)),
        _ => Ok(settings::default_dwell_bands()),
    }
}
