//! `/v1/occupancy/profile`, `/peaks` and `/capacity`, and `/v1/visitors`: what comes back every week, when it was
//! fullest, how full that was, and who came for the first time.

use std::cmp::Ordering;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Datelike, Timelike, Utc};

use super::insight_dto::{AreaCapacity, Capacity, Peak, Peaks, Profile, ProfileHour, VisitorBucket, VisitorsAnswer};
use super::occupancy::{require_areas, site_zone};
use super::params::{CapacityParams, PeakParams, ProfileParams, Query, VisitorParams, Window, limit, time_zone};
use super::table::{self, Columns, Kind, Wanted};
use super::withheld::Withheld;
use super::{Api, Fallible};
use crate::model::calendar::{self, Width};
use crate::model::metrics;
use crate::model::time::rfc3339;
use crate::problem::Problem;
use crate::store::plans::AreaAsked;
use crate::store::spans::VisitQuestion;

pub const PROFILE: Columns = &[
    ("weekday", Kind::Integer),
    ("hour", Kind::Integer),
    ("mean", Kind::Number),
    ("max", Kind::Integer),
    ("entries", Kind::Number),
];

/// Occupancy by hour of the week, in the site's time zone: what is usual.
#[utoipa::path(get, path = "/v1/occupancy/profile", tag = "metrics", params(ProfileParams),
    responses((status = 200, body = Profile), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn profile(
    State(api): State<Api>,
    Wanted(form): Wanted,
    withheld: Withheld,
    Query(params): Query<ProfileParams>,
) -> Fallible<Response> {
    let scope = params.scope()?;
    let window = Window::parse(&params.from, &params.to, api.clock.now().0)?;
    let filter = window.spans(&params.min_dwell)?;
    let wanted_zone = params.tz.as_deref().map(time_zone).transpose()?;
    let store = api.store.clone();
    api.question(move |conn| {
        let areas = require_areas(&store, conn, &scope)?;
        let zone = wanted_zone.unwrap_or_else(|| site_zone(&areas));
        let bounds = calendar::bounds(window.from_ms, window.to_ms, Width::Minutes(60), zone)?;
        let series =
            VisitQuestion { conn, past: store.past(), areas: &areas, scope: &scope, filter }.series(&bounds)?;
        // Seconds, client seconds, most at once, entries, most unique clients: of each hour of the week.
        let mut hours = [(0.0, 0.0, 0u64, 0u64, 0u64); 168];
        for bucket in series.buckets {
            let Some(at) = DateTime::<Utc>::from_timestamp_millis(bucket.from_ms) else { continue };
            let local = at.with_timezone(&zone);
            let place = local.weekday().num_days_from_monday() * 24 + local.hour();
            let (length_s, client_s, max, entries, clients) = &mut hours[place as usize];
            let bucket_s = (bucket.to_ms - bucket.from_ms) as f64 / 1000.0;
            *length_s += bucket_s;
            *client_s += bucket.mean * bucket_s;
            *max = bucket.max.max(*max);
            *entries += bucket.entries;
            *clients = bucket.unique_clients.max(*clients);
        }
        let hours = hours.into_iter().enumerate().map(|(place, (length_s, client_s, max, entries, clients))| {
            let is_there = length_s > 0.0;
            // Of few clients, visits are not told either, however many.
            let are_visits_told = is_there && withheld.allows(clients);
            ProfileHour {
                weekday: place as u32 / 24 + 1,
                hour: place as u32 % 24,
                mean: withheld.mean(client_s / length_s).filter(|_| is_there),
                max: withheld.count(max).filter(|_| is_there),
                entries: withheld.mean(entries as f64 / (length_s / 3600.0)).filter(|_| are_visits_told),
            }
        });
        let answer = Profile {
            from: rfc3339(window.from_ms),
            to: rfc3339(window.to_ms),
            time_zone: zone.name().into(),
            hours: hours.collect(),
        };
        table::answer(form, "profile", &answer, PROFILE, |answer| &answer.hours[..])
    })
    .await
}

pub const PEAKS: Columns =
    &[("from", Kind::Time), ("to", Kind::Time), ("max", Kind::Integer), ("at", Kind::Time), ("lasted_s", Kind::Number)];

/// When there were the most clients: the peak of each day, or of other buckets, the highest first.
#[utoipa::path(get, path = "/v1/occupancy/peaks", tag = "metrics", params(PeakParams),
    responses((status = 200, body = Peaks), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn peaks(
    State(api): State<Api>,
    Wanted(form): Wanted,
    withheld: Withheld,
    Query(params): Query<PeakParams>,
) -> Fallible<Response> {
    let scope = params.scope()?;
    let window = Window::parse(&params.from, &params.to, api.clock.now().0)?;
    let filter = window.spans(&params.min_dwell)?;
    let width = Width::parse(params.bucket.as_deref().unwrap_or("1d"))?;
    let wanted_zone = params.tz.as_deref().map(time_zone).transpose()?;
    let limit = limit(&params.limit.or(Some("10".into())))?;
    let store = api.store.clone();
    api.question(move |conn| {
        let areas = require_areas(&store, conn, &scope)?;
        let zone = wanted_zone.unwrap_or_else(|| site_zone(&areas));
        let bounds = calendar::bounds(window.from_ms, window.to_ms, width, zone)?;
        let spans = VisitQuestion { conn, past: store.past(), areas: &areas, scope: &scope, filter }.stays()?;
        let found = metrics::peaks(&spans, &bounds).into_iter().filter(|peak| withheld.allows(peak.max));
        let found = found.take(limit as usize);
        let peaks = found.map(|peak| Peak {
            from: rfc3339(peak.from_ms),
            to: rfc3339(peak.to_ms),
            max: peak.max,
            at: rfc3339(peak.at_ms),
            lasted_s: (peak.until_ms - peak.at_ms) as f64 / 1000.0,
        });
        let answer = Peaks {
            from: rfc3339(window.from_ms),
            to: rfc3339(window.to_ms),
            time_zone: zone.name().into(),
            peaks: peaks.collect(),
        };
        table::answer(form, "peaks", &answer, PEAKS, |answer| &answer.peaks[..])
    })
    .await
}

pub const CAPACITY: Columns = &[
    ("site_id", Kind::Text),
    ("map_id", Kind::Text),
    ("area_id", Kind::Text),
    ("name", Kind::Text),
    ("occupancy_limit", Kind::Integer),
    ("mean", Kind::Number),
    ("max", Kind::Integer),
    ("mean_share", Kind::Number),
    ("max_share", Kind::Number),
    ("over_limit_s", Kind::Number),
];

/// How full each area was whose limit is known, the fullest first.
#[utoipa::path(get, path = "/v1/occupancy/capacity", tag = "metrics", params(CapacityParams),
    responses((status = 200, body = Capacity), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn capacity(
    State(api): State<Api>,
    Wanted(form): Wanted,
    withheld: Withheld,
    Query(params): Query<CapacityParams>,
) -> Fallible<Response> {
    let scope = params.scope()?;
    let window = Window::parse(&params.from, &params.to, api.clock.now().0)?;
    let filter = window.spans(&params.min_dwell)?;
    let store = api.store.clone();
    api.question(move |conn| {
        let areas = require_areas(&store, conn, &scope)?;
        let is_limited = |area: &&AreaAsked| area.occupancy_limit.is_some_and(|limit| limit > 0);
        let areas: Vec<AreaAsked> = areas.iter().filter(is_limited).cloned().collect();
        let mut by_area = VisitQuestion { conn, past: store.past(), areas: &areas, scope: &scope, filter }.by_area()?;
        let mut found = Vec::new();
        for area in areas {
            let Some(limit) = area.occupancy_limit else { continue };
            let spans = by_area.remove(&area.key).unwrap_or_default();
            let total = metrics::series(&spans, &[window.from_ms, window.to_ms]).remove(0);
            let over_ms = metrics::over_limit_ms(&spans, window.from_ms, window.to_ms, limit);
            let (mean, max) = (withheld.mean(total.mean), withheld.count(total.max));
            // Time over a limit that is small itself tells of as few.
            let is_told = withheld.allows(total.max) && withheld.allows(limit as u64 + 1);
            found.push(AreaCapacity {
                area_id: area.id,
                name: area.name,
                site_id: area.site_id,
                map_id: area.map_id,
                occupancy_limit: limit,
                mean,
                max,
                mean_share: mean.map(|mean| mean / limit as f64),
                max_share: max.map(|max| max as f64 / limit as f64),
                over_limit_s: is_told.then_some(over_ms as f64 / 1000.0),
            });
        }
        found.sort_by(|a, b| b.max_share.partial_cmp(&a.max_share).unwrap_or(Ordering::Equal));
        let answer = Capacity { from: rfc3339(window.from_ms), to: rfc3339(window.to_ms), areas: found };
        table::answer(form, "capacity", &answer, CAPACITY, |answer| &answer.areas[..])
    })
    .await
}

pub const VISITORS: Columns = &[
    ("from", Kind::Time),
    ("to", Kind::Time),
    ("unique_clients", Kind::Integer),
    ("new_clients", Kind::Integer),
    ("returning_clients", Kind::Integer),
];

/// Clients of each day, or of other buckets: those who were never there before, and those who came back.
#[utoipa::path(get, path = "/v1/visitors", tag = "metrics", params(VisitorParams),
    responses((status = 200, body = VisitorsAnswer), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn visitors(
    State(api): State<Api>,
    Wanted(form): Wanted,
    withheld: Withheld,
    Query(params): Query<VisitorParams>,
) -> Fallible<Response> {
    let scope = params.scope()?;
    let window = Window::parse(&params.from, &params.to, api.clock.now().0)?;
    let filter = window.spans(&params.min_dwell)?;
    let width = Width::parse(params.bucket.as_deref().unwrap_or("1d"))?;
    let wanted_zone = params.tz.as_deref().map(time_zone).transpose()?;
    let store = api.store.clone();
    api.question(move |conn| {
        let areas = require_areas(&store, conn, &scope)?;
        let zone = wanted_zone.unwrap_or_else(|| site_zone(&areas));
        let bounds = calendar::bounds(window.from_ms, window.to_ms, width, zone)?;
        let asked = VisitQuestion { conn, past: store.past(), areas: &areas, scope: &scope, filter };
        let found = metrics::visitors(&asked.spans()?, &asked.first_visits()?, &bounds);
        let buckets = found.into_iter().map(|bucket| {
            let returning = bucket.unique_clients - bucket.new_clients;
            let is_told = withheld.allows(bucket.new_clients) && withheld.allows(returning);
            VisitorBucket {
                from: rfc3339(bucket.from_ms),
                to: rfc3339(bucket.to_ms),
                unique_clients: withheld.count(bucket.unique_clients),
                new_clients: is_told.then_some(bucket.new_clients),
                returning_clients: is_told.then_some(returning),
            }
        });
        let answer = VisitorsAnswer {
            from: rfc3339(window.from_ms),
            to: rfc3339(window.to_ms),
            time_zone: zone.name().into(),
            buckets: buckets.collect(),
        };
        table::answer(form, "visitors", &answer, VISITORS, |answer| &answer.buckets[..])
    })
    .await
}
