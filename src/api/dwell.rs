//! `GET /v1/dwell`: how long visits lasted.

use axum::extract::State;
use axum::response::Response;
use serde_json::Value;

use super::dto::{BandCount, DwellAnswer, DwellGroup, HistogramRange};
use super::error::ApiError;
use super::occupancy::{self, require_areas};
use super::params::{self, DwellParams, Query, Window};
use super::sites::bands_of;
use super::table::{self, Columns, Kind, Wanted};
use super::withheld::Withheld;
use super::{Api, Fallible};
use crate::model::metrics::{Dwell, Dwells, HISTOGRAM_EDGES_S, Span};
use crate::model::settings::DwellBand;
use crate::model::time::rfc3339;
use crate::problem::Problem;
use crate::store::plans::AreaAsked;
use crate::store::spans::VisitQuestion;

/// Dwell of the visits that touch a window: statistics, histogram, and the site's bands.
///
/// What goes on is counted up to the end of the window. Of several areas each visit counts by itself.
#[utoipa::path(get, path = "/v1/dwell", tag = "metrics", params(DwellParams),
    responses((status = 200, body = DwellAnswer), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn dwell(
    State(api): State<Api>,
    Wanted(form): Wanted,
    withheld: Withheld,
    Query(params): Query<DwellParams>,
) -> Fallible<Response> {
    let scope = params.scope()?;
    let window = Window::parse(&params.from, &params.to, api.clock.now().0)?;
    let compared = window.compared(&params.compare)?;
    let is_clipped = params::flag("clip", &params.clip)?.unwrap_or(true);
    let group = params::group(&params.group_by)?;
    let min_dwell = params.min_dwell;
    window.spans(&min_dwell)?;
    let store = api.store.clone();
    api.question(move |conn| {
        let areas = require_areas(&store, conn, &scope)?;
        let bands = site_bands(&areas);
        let ask = |window: Window| -> Result<DwellAnswer, ApiError> {
            let filter = window.spans(&min_dwell)?;
            let asked = VisitQuestion { conn, past: store.past(), areas: &areas, scope: &scope, filter };
            let dwells = asked.dwells(is_clipped, withheld.is_any())?;
            let mut found = answer(dwells, window, is_clipped, bands.clone(), withheld);
            if let Some(group) = group {
                let groups = asked.grouped_spans(group)?.into_iter();
                let groups = groups.map(|of| DwellGroup {
                    key: of.key,
                    name: of.name,
                    dwell: answer_of(&of.spans, window, is_clipped, bands.clone(), withheld),
                });
                found.groups = Some(groups.collect());
            }
            Ok(found)
        };
        let mut found = ask(window)?;
        found.comparison = compared.map(ask).transpose()?.map(Box::new);
        table::answer(form, "dwell", &found, DWELL, dwell_rows)
    })
    .await
}

pub const DWELL: Columns = &[
    ("group_key", Kind::Text),
    ("group_name", Kind::Text),
    ("is_comparison", Kind::Flag),
    ("from", Kind::Time),
    ("to", Kind::Time),
    ("count", Kind::Integer),
    ("mean_s", Kind::Number),
    ("median_s", Kind::Number),
    ("p90_s", Kind::Number),
    ("p95_s", Kind::Number),
    ("max_s", Kind::Number),
];

/// The rows of the period before come after, and say so.
fn dwell_rows(answer: &DwellAnswer) -> Vec<Value> {
    let before = answer.comparison.iter().flat_map(|before| period_rows(before, true));
    period_rows(answer, false).into_iter().chain(before).collect()
}

fn period_rows(answer: &DwellAnswer, is_comparison: bool) -> Vec<Value> {
    let of = |group: &DwellGroup| {
        let key = serde_json::json!({"group_key": group.key, "group_name": group.name, "is_comparison": is_comparison});
        occupancy::with(table::row(&group.dwell), key)
    };
    match &answer.groups {
        None => vec![occupancy::with(table::row(answer), serde_json::json!({ "is_comparison": is_comparison }))],
        Some(groups) => groups.iter().map(of).collect(),
    }
}

/// The statistics of the visits of a list that touch a window.
pub fn answer_of(
    spans: &[Span],
    window: Window,
    is_clipped: bool,
    bands: Vec<DwellBand>,
    withheld: Withheld,
) -> DwellAnswer {
    let mut dwells = Dwells::new(window.from_ms, window.to_ms, is_clipped, withheld.is_any(), spans.len());
    spans.iter().for_each(|span| dwells.take(span));
    answer(dwells, window, is_clipped, bands, withheld)
}

/// The statistics of some visits. Of visits of too few clients none are told, a quantile only where enough lasted longer
/// (the longest of all is somebody's own), and a histogram only with all of its ranges.
fn answer(dwells: Dwells, window: Window, is_clipped: bool, bands: Vec<DwellBand>, withheld: Withheld) -> DwellAnswer {
    let unique_clients = dwells.unique_clients();
    let found = dwells.dwell(&bands);
    let count = found.as_ref().map_or(0, |dwell| dwell.count);
    let is_told = withheld.allows(count) && unique_clients.is_none_or(|clients| withheld.allows(clients));
    let told = found.as_ref().filter(|_| is_told);
    let quantile = |percent: u64, value: fn(&Dwell) -> f64| {
        told.filter(|_| withheld.allows(count * (100 - percent) / 100)).map(value)
    };
    let visits = |part: fn(&Dwell) -> &[u64], place: usize| {
        let parts = found.as_ref().map_or(&[][..], part);
        let is_told = is_told && (!withheld.is_any() || parts.iter().all(|visits| withheld.allows(*visits)));
        is_told.then(|| parts.get(place).copied().unwrap_or(0))
    };
    let histogram = HISTOGRAM_EDGES_S.iter().enumerate().map(|(place, from_s)| HistogramRange {
        from_s: *from_s,
        to_s: HISTOGRAM_EDGES_S.get(place + 1).copied(),
        visits: visits(|dwell| &dwell.histogram, place),
    });
    let unbanded = found.as_ref().map_or(0, |dwell| dwell.unbanded);
    // What falls into no band is what is left of the count.
    let are_bands_told = unbanded == 0 || withheld.allows(unbanded);
    let bands = bands.into_iter().enumerate().map(|(place, band)| BandCount {
        name: band.name,
        from_s: band.from_s,
        to_s: band.to_s,
        visits: visits(|dwell| &dwell.bands, place).filter(|_| are_bands_told),
    });
    let bands: Vec<BandCount> = bands.collect();
    DwellAnswer {
        from: rfc3339(window.from_ms),
        to: rfc3339(window.to_ms),
        is_clipped,
        count: is_told.then_some(count),
        mean_s: told.map(|dwell| dwell.mean_s),
        median_s: quantile(50, |dwell| dwell.median_s),
        p90_s: quantile(90, |dwell| dwell.p90_s),
        p95_s: quantile(95, |dwell| dwell.p95_s),
        max_s: quantile(100, |dwell| dwell.max_s),
        histogram: histogram.collect(),
        unbanded: Some(unbanded).filter(|_| is_told && bands.iter().all(|band| band.visits.is_some())),
        bands,
        groups: None,
        comparison: None,
    }
}

/// The bands of the site the areas belong to; the default ones where they belong to none or to several.
fn site_bands(areas: &[AreaAsked]) -> Vec<DwellBand> {
    let mut of_sites = areas.iter().filter(|area| area.site_id.is_some());
    let first = of_sites.next();
    let is_one = of_sites.all(|area| first.is_some_and(|first| first.site_id == area.site_id));
    bands_of(first.filter(|_| is_one).and_then(|area| area.dwell_bands_json.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { from_ms: 1_000, to_ms: 100_000 };

    fn told(spans: &[Span], withheld: Withheld) -> DwellAnswer {
        answer_of(spans, WINDOW, true, Vec::new(), withheld)
    }

    #[test]
    fn who_left_as_the_window_begins_does_not_make_others_enough() {
        let mut spans: Vec<Span> =
            (1..=3).map(|visit| Span::new(1, visit * 2_000, Some(visit * 2_000 + 1_000))).collect();
        spans.extend([2, 3].map(|client| Span::new(client, 0, Some(WINDOW.from_ms))));
        assert_eq!(told(&spans, Withheld::default()).count, Some(3));
        assert_eq!(told(&spans, Withheld::below(3)).count, None);
    }

    #[test]
    fn how_long_one_of_few_stayed_is_not_told() {
        let spans: Vec<Span> =
            (0..59).map(|client| Span::new(client, 1_000, Some(2_000 + i64::from(client)))).collect();
        let quantiles = |withheld| {
            let found = told(&spans, withheld);
            [found.median_s, found.p90_s, found.p95_s, found.max_s].map(|found| found.is_some())
        };
        assert_eq!(quantiles(Withheld::default()), [true; 4]);
        assert_eq!(quantiles(Withheld::below(5)), [true, true, false, false]);
        assert_eq!(quantiles(Withheld::below(30)), [false; 4]);
    }
}
