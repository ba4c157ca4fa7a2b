//! What questions are asked with: windows, scopes, widths. Every fault names its parameter.

use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::DateTime;
use chrono_tz::Tz;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::error::ApiError;
use crate::floorplan::{ImportOptions, UnitsName};
use crate::model::ids::{AreaKind, ClientKind, ID_BYTES_MAX, Id, MapId, SiteId};
use crate::model::time::LATEST_MS;
use crate::model::visit::Source;
use crate::store::queries::Scope;
use crate::store::spans::{Group, SpanFilter};

/// A query string; a parameter that is unknown or of the wrong type is a 400 that names it.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Query<T>, ApiError> {
        match axum::extract::Query::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(params)) => Ok(Query(params)),
            Err(rejection) => Err(ApiError::BadRequest(rejection.body_text())),
        }
    }
}

/// What stands in the path; what is no text is a 400.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Path<T>, ApiError> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(found)) => Ok(Path(found)),
            Err(rejection) => Err(ApiError::BadRequest(rejection.body_text())),
        }
    }
}

/// Declares the parameters of a question about some areas: its own, and those that say which areas and whose visits.
macro_rules! scoped_params {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Deserialize, IntoParams)]
        #[serde(default, deny_unknown_fields)]
        #[into_params(parameter_in = Query)]
        pub struct $name {
            /// Site id.
            pub site: Option<String>,
            /// Map id.
            pub map: Option<String>,
            /// Area id.
            pub area: Option<String>,
            /// Only areas of this kind: `zone`, `vbeacon` or `rssizone`.
            pub area_kind: Option<String>,
            /// Only clients of this kind: `wifi`, `unconnected`, `sdk` or `asset`.
            pub kind: Option<String>,
            /// `computed` or `reported`; each area's authoritative source when left out.
            pub source: Option<String>,
            /// Only areas with this tag.
            pub tag: Option<String>,
            /// `false`: without clients whose address is locally administered, so probably made up by the phone;
            /// `true`: only those.
            pub randomised: Option<String>,
            /// `json`, `csv`, `arrow` (a stream) or `parquet`; by the `Accept` header when left out.
            pub format: Option<String>,
            $($(#[$field_doc])* pub $field: Option<String>,)*
        }

        impl $name {
            pub fn scope(&self) -> Result<Scope, ApiError> {
                Ok(Scope {
                    // Ids are stored in their settled form, so they are asked for in it.
                    site: self.site.as_deref().map(settled),
                    map: self.map.as_deref().map(settled),
                    area: self.area.as_deref().map(settled),
                    area_kind: named("area_kind", &self.area_kind, AreaKind::from_name, "zone, vbeacon or rssizone")?,
                    source: named("source", &self.source, Source::from_name, "computed or reported")?,
                    client_kind: client_kind(&self.kind)?,
                    tag: self.tag.clone(),
                    is_randomised: flag("randomised", &self.randomised)?,
                })
            }
        }
    )*};
}

scoped_params! {
    OccupancyParams {}
    SeriesParams {
        /// Start of the window: RFC 3339, or a duration back from now. By default `-24h`.
        #[param(example = "-24h")]
        from,
        /// End of the window, not included. By default `now`.
        to,
        /// `15m`, `1h` (whatever divides a day), `1d`, `1w` or `1mo`. By default `1h`. Minutes and hours are counted from
        /// the zone's midnight, as time goes by: on a day on which clocks change they are as long as on any other, begin
        /// at another hour of the clock after the change, and the last one ends at midnight, an hour short or alone
        /// (`6h` on a day of 25 hours: four of 6 h, one of 1 h). Days, weeks and months are as long as the calendar has
        /// them: 23, 24 or 25 hours a day.
        #[param(example = "15m")]
        bucket,
        /// Zone whose days and hours the buckets follow; the site's when left out.
        #[param(example = "Europe/Lisbon")]
        tz,
        /// Only visits of at least this: seconds, or `5m`.
        min_dwell,
        /// A series each: `area`, `map`, `site`, `tag` or `kind` (of client).
        group_by,
        /// Beside it the same of a period before: `previous` (the one that ends where this begins), or so long before,
        /// such as `7d`.
        compare,
    }
    ProfileParams {
        /// Start of the window: RFC 3339, or a duration back from now. By default `-24h`.
        #[param(example = "-24h")]
        from,
        /// End of the window, not included. By default `now`.
        to,
        /// Zone whose days and hours it follows; the site's when left out.
        tz,
        /// Only visits of at least this: seconds, or `5m`.
        min_dwell,
    }
    PeakParams {
        /// Start of the window: RFC 3339, or a duration back from now. By default `-24h`.
        #[param(example = "-24h")]
        from,
        /// End of the window, not included. By default `now`.
        to,
        /// One peak for each: `15m`, `1h`, `1d`. By default `1d`.
        bucket,
        /// Zone whose days and hours the buckets follow; the site's when left out.
        tz,
        /// Only visits of at least this: seconds, or `5m`.
        min_dwell,
        /// The highest so many, up to 1,000. By default 10.
        limit,
    }
    CapacityParams {
        /// Start of the window: RFC 3339, or a duration back from now. By default `-24h`.
        #[param(example = "-24h")]
        from,
        /// End of the window, not included. By default `now`.
        to,
        /// Only visits of at least this: seconds, or `5m`.
        min_dwell,
    }
    VisitorParams {
        /// Start of the window: RFC 3339, or a duration back from now. By default `-24h`.
        #[param(example = "-24h")]
        from,
        /// End of the window, not included. By default `now`.
        to,
        /// `1h`, `1d` (the default), `1w` or `1mo`.
        bucket,
        /// Zone whose days the buckets follow; the site's when left out.
        tz,
        /// Only visits of at least this: seconds, or `5m`. Whoever only ever passed by is new at the first longer one.
        min_dwell,
    }
    FlowParams {
        /// Start of the window: RFC 3339, or a duration back from now. By default `-24h`.
        #[param(example = "-24h")]
        from,
        /// End of the window, not included. By default `now`.
        to,
        /// Only visits of at least this: seconds, or `5m`.
        min_dwell,
        /// The longest time between leaving one area and entering the next: seconds, or `10m` (the default).
        flow_gap,
    }
    DwellParams {
        /// Start of the window: RFC 3339, or a duration back from now. By default `-24h`.
        #[param(example = "-24h")]
        from,
        /// End of the window, not included. By default `now`.
        to,
        /// `false` counts each visit that touches the window whole; by default only its part inside.
        clip,
        /// Only visits of at least this: seconds, or `5m`.
        min_dwell,
        /// Statistics each: `area`, `map`, `site`, `tag` or `kind` (of client).
        group_by,
        /// Beside it the same of a period before: `previous`, or so long before, such as `7d`.
        compare,
    }
    VisitParams {
        /// Start of the window: RFC 3339, or a duration back from now. By default `-24h`.
        #[param(example = "-24h")]
        from,
        /// End of the window, not included. By default `now`.
        to,
        /// Client id.
        client,
        /// Only ended visits of at least this: seconds, or `5m`.
        min_dwell,
        /// `next_cursor` of the page before.
        cursor,
        /// Visits on a page, up to 10,000. By default 1,000.
        limit,
    }
}

/// Where on a map people are.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HeatmapParams {
    /// Map id.
    pub map: Option<String>,
    /// Start of the window: RFC 3339, or a duration back from now. By default `-24h`.
    pub from: Option<String>,
    /// End of the window, not included. By default `now`.
    pub to: Option<String>,
    /// Width of a cell, metres, from 0.1 to 100. By default 1.
    pub cell_m: Option<f64>,
    /// Only clients of this kind: `wifi`, `unconnected`, `sdk` or `asset`.
    pub kind: Option<String>,
    /// `false`: without clients whose address is locally administered; `true`: only those.
    pub randomised: Option<String>,
    /// `json`, `csv`, `arrow` or `parquet`.
    pub format: Option<String>,
}

/// Clients to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ClientParams {
    /// Site id.
    pub site: Option<String>,
    /// Map id.
    pub map: Option<String>,
    /// `wifi`, `unconnected`, `sdk` or `asset`.
    pub kind: Option<String>,
    /// `false`: without clients whose address is locally administered; `true`: only those.
    pub randomised: Option<String>,
    /// Only those located from then on: RFC 3339, or a duration back from now. By default `-24h`.
    pub from: Option<String>,
    /// And before then. By default `now`.
    pub to: Option<String>,
    /// Only who visited this area in the window: its id.
    pub area: Option<String>,
    /// Only who visited an area with this tag.
    pub tag: Option<String>,
    /// Only who visited an area for at least this: seconds, or `5m`.
    pub min_dwell: Option<String>,
    /// Part of an id or a name.
    pub search: Option<String>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Clients on a page, up to 1,000. By default 100.
    pub limit: Option<String>,
    /// `json`, `csv`, `arrow` or `parquet`.
    pub format: Option<String>,
}

/// A stretch of a client's way.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TrackParams {
    /// `wifi`, `unconnected`, `sdk` or `asset`, where an id is that of several.
    pub kind: Option<String>,
    /// Start of the window: RFC 3339, or a duration back from now. By default `-24h`.
    pub from: Option<String>,
    /// End of the window, not included. By default `now`.
    pub to: Option<String>,
    /// Fixes, up to 100,000. By default 10,000.
    pub limit: Option<String>,
    /// `json`, `csv`, `arrow` or `parquet`.
    pub format: Option<String>,
}

pub fn client_kind(kind: &Option<String>) -> Result<Option<ClientKind>, ApiError> {
    named("kind", kind, ClientKind::from_name, "wifi, unconnected, sdk or asset")
}

pub fn flag(name: &str, given: &Option<String>) -> Result<Option<bool>, ApiError> {
    named(name, given, |text| text.parse().ok(), "true or false")
}

pub fn group(given: &Option<String>) -> Result<Option<Group>, ApiError> {
    named("group_by", given, Group::from_name, "area, map, site, tag or kind")
}

/// Areas to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PlaceParams {
    /// Site id.
    pub site: Option<String>,
    /// Map id.
    pub map: Option<String>,
    /// `zone`, `vbeacon` or `rssizone`.
    pub kind: Option<String>,
    /// As they were drawn at this time: RFC 3339, or a duration back from now. By default now.
    pub at: Option<String>,
    /// `json`, `csv`, `arrow` (a stream) or `parquet`, by the `Accept` header when left out; or `geojson`, a
    /// FeatureCollection.
    pub format: Option<String>,
    /// Of the coordinates in GeoJSON: `metres` (the default), `pixels` or `wgs84`.
    pub units: Option<String>,
}

impl PlaceParams {
    pub fn scope(&self) -> Result<Scope, ApiError> {
        Ok(Scope {
            site: self.site.as_deref().map(settled),
            map: self.map.as_deref().map(settled),
            area_kind: named("kind", &self.kind, AreaKind::from_name, "zone, vbeacon or rssizone")?,
            ..Scope::default()
        })
    }
}

/// Maps to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MapParams {
    /// Site id.
    pub site: Option<String>,
    /// As they were at this time: RFC 3339, or a duration back from now. By default now.
    pub at: Option<String>,
    /// `json`, `csv`, `arrow` (a stream) or `parquet`; by the `Accept` header when left out.
    pub format: Option<String>,
}

/// Which alerts.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AlertParams {
    /// Site id.
    pub site: Option<String>,
    /// Map id.
    pub map: Option<String>,
    /// Area id.
    pub area: Option<String>,
    /// Number of the rule.
    pub rule: Option<String>,
    /// `info`, `warning` or `critical`.
    pub severity: Option<String>,
    /// `firing` or `resolved`.
    pub state: Option<String>,
    /// `true` or `false`: whether somebody has taken it on.
    pub acknowledged: Option<String>,
    /// Only those that fired then or later: RFC 3339, or a duration back from now.
    pub from: Option<String>,
    /// Only those that fired before.
    pub to: Option<String>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Alerts on a page, up to 1,000. By default 100.
    pub limit: Option<String>,
    /// `json`, `csv`, `arrow` (a stream) or `parquet`; by the `Accept` header when left out.
    pub format: Option<String>,
}

/// Which deliveries of an endpoint.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeliveryParams {
    /// `pending`, `delivered` or `dead`.
    pub state: Option<String>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Deliveries on a page, up to 1,000. By default 100.
    pub limit: Option<String>,
    /// `json`, `csv`, `arrow` (a stream) or `parquet`; by the `Accept` header when left out.
    pub format: Option<String>,
}

/// Whose events to stream.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StreamParams {
    /// Site id.
    pub site: Option<String>,
    /// Map id.
    pub map: Option<String>,
    /// `occupancy`, `positions`, `alerts`, with commas between. By default occupancy and alerts.
    #[param(example = "occupancy,positions")]
    pub topics: Option<String>,
    /// The id of the last event that was read, for readers who cannot send the header `Last-Event-ID`.
    pub last_event_id: Option<String>,
}

/// Rows on a page of a list that is read newest first: up to 1,000, by default 100.
pub fn limit(given: &Option<String>) -> Result<i64, ApiError> {
    let limit = named("limit", given, |text| text.parse().ok(), "a whole number from 1 to 1000")?.unwrap_or(100);
    match limit {
        1..=1000 => Ok(limit),
        _ => Err(ApiError::BadRequest(format!("`limit` is {limit}; it must be a whole number from 1 to 1000"))),
    }
}

/// Where a page of such a list begins: before this key.
pub fn cursor(text: &str) -> Result<i64, ApiError> {
    let key = text.parse().ok().filter(|key| *key >= 0);
    key.ok_or_else(|| ApiError::BadRequest(format!("`cursor` is {text:?}; use the `next_cursor` of an answer")))
}

/// What is in a snapshot.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SnapshotParams {
    /// `true`: with the secrets of callback endpoints, as a backup needs them; by default without, and the endpoints
    /// disabled.
    pub secrets: Option<String>,
}

/// What to export.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportParams {
    /// Site id.
    pub site: Option<String>,
    /// A day of UTC.
    #[param(example = "2026-07-01")]
    pub day: Option<String>,
}

/// The form of an answer.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FormParams {
    /// `json`, `csv`, `arrow` (a stream) or `parquet`; by the `Accept` header when left out.
    pub format: Option<String>,
}

/// What is missing, and where.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UnmappedParams {
    /// Site id.
    pub site: Option<String>,
    /// `json`, `csv`, `arrow` (a stream) or `parquet`; by the `Accept` header when left out.
    pub format: Option<String>,
}

/// How to show a map.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OneMapParams {
    /// As it was at this time: RFC 3339, or a duration back from now. By default now. Access points are always those
    /// of now.
    pub at: Option<String>,
    /// `geojson`: its zones and virtual beacons as a FeatureCollection, as it was imported where it was.
    pub format: Option<String>,
    /// Of the coordinates in GeoJSON: `metres`, `pixels` or `wgs84`. By default those it was drawn in.
    pub units: Option<String>,
}

/// When a thing was to be as it is shown.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AtParams {
    /// As it was at this time: RFC 3339, or a duration back from now. By default now.
    pub at: Option<String>,
}

/// The time of a parameter `at`, if it is given.
pub fn at_ms(at: &Option<String>, now_ms: i64) -> Result<Option<i64>, ApiError> {
    at.as_deref().map(|text| instant_ms("at", text, now_ms)).transpose()
}

/// How to read an upload that does not say all itself.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ImportParams {
    /// `true`: only say what would change.
    pub dry_run: bool,
    /// `true`: the upload tells all zones of its maps (and, where it has any, all virtual beacons and access points):
    /// those that it leaves out are ended.
    pub replace: bool,
    /// Site of what names none.
    pub site: Option<String>,
    /// Map of a map object or GeoJSON collection that names none.
    pub map: Option<String>,
    /// Units of GeoJSON that does not say: `metres`, `pixels` or `wgs84`.
    pub units: Option<String>,
    /// Pixels per metre of maps that do not say.
    pub ppm: Option<f64>,
    /// IMDF: levels to place on maps that are there, `<level id>=<map id>`, several with commas between.
    pub onto: Option<String>,
}

impl ImportParams {
    pub fn options(&self) -> Result<ImportOptions, ApiError> {
        let onto = self.onto.iter().flat_map(|list| list.split(',')).map(|pair| match pair.split_once('=') {
            Some((level, map)) => Ok((settled(level), MapId::from(map))),
            None => Err(ApiError::BadRequest(format!("`onto` is {pair:?}; it must be <level id>=<map id>"))),
        });
        if self.ppm.is_some_and(|ppm| !(1.0e-3..=1.0e6).contains(&ppm)) {
            return Err(ApiError::BadRequest("`ppm` must be from 0.001 to 1,000,000 pixels per metre".into()));
        }
        for (name, id) in [("site", &self.site), ("map", &self.map)] {
            if id.as_ref().is_some_and(|id| id.trim().is_empty() || id.len() > ID_BYTES_MAX) {
                return Err(ApiError::BadRequest(format!("`{name}` must be an id of 1 to {ID_BYTES_MAX} bytes")));
            }
        }
        Ok(ImportOptions {
            site: self.site.as_deref().map(SiteId::from),
            map: self.map.as_deref().map(MapId::from),
            units: units(&self.units)?,
            ppm: self.ppm,
            onto: onto.collect::<Result<_, _>>()?,
        })
    }
}

/// Units by their name.
pub fn units(name: &Option<String>) -> Result<Option<UnitsName>, ApiError> {
    named("units", name, UnitsName::from_name, "metres, pixels or wgs84")
}

/// Whether to do something or only say what it would do.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DryRunParams {
    /// `true`: only say what would be done.
    pub dry_run: bool,
}

/// What sort of area an id names.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct KindParams {
    /// `zone`, `vbeacon` or `rssizone`; needed where two areas share an id.
    pub kind: Option<String>,
}

/// Which area's versions.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AreaVersionParams {
    /// `zone`, `vbeacon` or `rssizone`; needed where two areas share an id.
    pub kind: Option<String>,
    /// `json`, `csv`, `arrow` (a stream) or `parquet`; by the `Accept` header when left out.
    pub format: Option<String>,
}

/// Which area, and when.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AreaAtParams {
    /// `zone`, `vbeacon` or `rssizone`; needed where two areas share an id.
    pub kind: Option<String>,
    /// As it was at this time: RFC 3339, or a duration back from now. By default now.
    pub at: Option<String>,
}

impl KindParams {
    pub fn area_kind(&self) -> Result<Option<AreaKind>, ApiError> {
        area_kind(&self.kind)
    }
}

pub fn area_kind(kind: &Option<String>) -> Result<Option<AreaKind>, ApiError> {
    named("kind", kind, AreaKind::from_name, "zone, vbeacon or rssizone")
}

/// Seconds, or a duration such as `5m`.
pub fn seconds(name: &str, text: &str) -> Result<f64, ApiError> {
    let found = text.parse::<f64>().ok().or_else(|| Some(duration_ms(text)? as f64 / 1000.0));
    found
        .filter(|s| s.is_finite() && *s >= 0.0)
        .ok_or_else(|| ApiError::BadRequest(format!("`{name}` is {text:?}; it must be seconds or a duration like 5m")))
}

/// Whether a thing may be given this id.
pub fn check_id(id: &str) -> Result<(), ApiError> {
    if id.trim().is_empty() || id.len() > ID_BYTES_MAX || id.contains(char::is_control) {
        return Err(ApiError::BadRequest(format!(
            "an id must have 1 to {ID_BYTES_MAX} bytes, not all of them blanks, and no control characters"
        )));
    }
    Ok(())
}

/// The settled form of an object's id.
pub fn settled(id: &str) -> String {
    Id::object(id).to_string()
}

pub fn named<T>(
    name: &str,
    given: &Option<String>,
    parse: impl Fn(&str) -> Option<T>,
    choices: &str,
) -> Result<Option<T>, ApiError> {
    let Some(text) = given else { return Ok(None) };
    parse(text).map(Some).ok_or_else(|| ApiError::BadRequest(format!("`{name}` is {text:?}; it must be {choices}")))
}

/// A half-open window of event time, Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub from_ms: i64,
    pub to_ms: i64,
}

impl Window {
    /// `from` and `to` as given: RFC 3339, or a duration back from now. By default the last 24 hours; what lies ahead
    /// of now is left out.
    pub fn parse(from: &Option<String>, to: &Option<String>, now_ms: i64) -> Result<Window, ApiError> {
        let from_ms = from.as_deref().map_or(Ok(now_ms - 86_400_000), |text| instant_ms("from", text, now_ms))?;
        let to_ms = to.as_deref().map_or(Ok(now_ms), |text| instant_ms("to", text, now_ms))?;
        if from_ms >= to_ms {
            return Err(ApiError::BadRequest("`from` must be before `to`".into()));
        }
        if from_ms >= now_ms {
            return Err(ApiError::BadRequest("`from` lies ahead of now".into()));
        }
        Ok(Window { from_ms, to_ms: to_ms.min(now_ms) })
    }

    /// The window with which to compare this one, if any.
    pub fn compared(self, compare: &Option<String>) -> Result<Option<Window>, ApiError> {
        let back_ms = match compare.as_deref() {
            None => return Ok(None),
            Some("previous") => Some(self.to_ms - self.from_ms),
            Some(text) => duration_ms(text).filter(|back_ms| *back_ms > 0),
        };
        let back_ms = back_ms
            .ok_or_else(|| ApiError::BadRequest("`compare` must be previous, or a duration such as 7d".into()))?;
        let earlier = |ms: i64| ms.checked_sub(back_ms).filter(|ms| *ms >= 0);
        match (earlier(self.from_ms), earlier(self.to_ms)) {
            (Some(from_ms), Some(to_ms)) => Ok(Some(Window { from_ms, to_ms })),
            _ => Err(ApiError::BadRequest("`compare` goes back before 1970".into())),
        }
    }

    pub fn spans(self, min_dwell: &Option<String>) -> Result<SpanFilter, ApiError> {
        let min_dwell_s = min_dwell.as_deref().map(|text| seconds("min_dwell", text)).transpose()?;
        Ok(SpanFilter { from_ms: self.from_ms, to_ms: self.to_ms, min_dwell_s })
    }
}

/// RFC 3339, or a duration back from now, in Unix milliseconds.
pub fn instant_ms(name: &str, text: &str, now_ms: i64) -> Result<i64, ApiError> {
    let wrong = || {
        let example = "RFC 3339 (2026-07-01T08:00:00Z) or a duration back from now (-24h)";
        ApiError::BadRequest(format!("`{name}` is {text:?}; it must be {example}"))
    };
    if text == "now" {
        return Ok(now_ms);
    }
    if let Some(back) = text.strip_prefix('-') {
        return Ok(now_ms.saturating_sub(duration_ms(back).ok_or_else(wrong)?).max(0));
    }
    // A `+` in a query string that nobody escaped arrives as a space.
    let parsed = DateTime::parse_from_rfc3339(&text.replace(' ', "+")).map_err(|_| wrong())?;
    Ok(parsed.timestamp_millis().clamp(0, LATEST_MS))
}

/// `90s`, `15m`, `24h`, `7d`, `4w` in milliseconds.
pub fn duration_ms(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(unit_ms)
}

pub fn time_zone(name: &str) -> Result<Tz, ApiError> {
    Tz::from_str(name)
        .map_err(|_| ApiError::BadRequest(format!("{name:?} is no time zone; use an IANA name such as Europe/Lisbon")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn window(from: &str, to: &str) -> Result<Window, ApiError> {
        Window::parse(&Some(from.into()), &Some(to.into()), NOW)
    }

    #[test]
    fn a_window_is_given_in_instants_or_back_from_now() {
        assert_eq!(window("-2h", "-1h").unwrap(), Window { from_ms: NOW - 7_200_000, to_ms: NOW - 3_600_000 });
        let found = window("2026-07-01T10:00:00+02:00", "2026-07-01T09:00:00Z").unwrap();
        assert_eq!(found.to_ms - found.from_ms, 3_600_000);
        assert_eq!(window("2026-07-01T10:00:00 02:00", "now").unwrap().from_ms, found.from_ms);
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for (from, to) in
            [("yesterday", "now"), ("-1h", "-2h"), ("-5", "now"), ("-1y", "now"), ("now", "now"), ("", "")]
        {
            assert!(window(from, to).is_err(), "{from} {to}");
        }
        assert!(window("-99999999999999999999h", "now").is_err());
    }
}
