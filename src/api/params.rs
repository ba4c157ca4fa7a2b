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
                    client_kind: named("kind", &self.kind, ClientKind::from_name, "wifi, unconnected, sdk or asset")?,
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
        /// `15m`, `1h` (whatever divides a day), `1d`, `1w` or `1mo`. By default `1h`.
        #[param(example = "15m")]
        bucket,
        /// Zone whose days and hours the buckets follow; the site's when left out.
        #[param(example = "Europe/Lisbon")]
        tz,
    }
    DwellParams {
        /// Start of the window: RFC 3339, or a duration back from now. By default `-24h`.
        #[param(example = "-24h")]
        from,
        /// End of the window, not included. By default `now`.
        to,
        /// `false` counts each visit that touches the window whole; by default only its part inside.
        clip,
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
    /// `geojson`: a FeatureCollection.
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
}

/// Whose events to stream.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StreamParams {
    /// Site id.
    pub site: Option<String>,
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
    text.parse().map_err(|_| ApiError::BadRequest(format!("`cursor` is {text:?}; use the `next_cursor` of an answer")))
}

/// What is missing, and where.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UnmappedParams {
    /// Site id.
    pub site: Option<String>,
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
