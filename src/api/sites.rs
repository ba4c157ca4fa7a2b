//! `/v1/sites`: the sites events came from, and their settings.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};

use super::body::JsonBody;
use super::dto::{self, SiteSettings, Sites};
use super::error::ApiError;
use super::params::{FormParams, Path, Query, check_id, named, settled, time_zone};
use super::table::{self, Columns, Kind, Wanted};
use super::{Api, Fallible};
use crate::access::Caller;
use crate::config;
use crate::model::ids::SiteId;
use crate::model::settings::{DwellBand, Pseudonyms, default_dwell_bands};
use crate::model::time::rfc3339;
use crate::pipeline::Change;
use crate::problem::Problem;
use crate::store::places::SiteRecord;
use crate::store::queries::{self, SiteRow};
use crate::store::restore::RuleSettings;
use crate::store::sites::ended_sites;

pub const SITES: Columns = &[
    ("site_id", Kind::Text),
    ("name", Kind::Text),
    ("time_zone", Kind::Text),
    ("exit_grace_s", Kind::Number),
    ("presence_timeout_s", Kind::Number),
    ("reported_timeout_s", Kind::Number),
    ("pseudonymise", Kind::Text),
    ("first_seen_at", Kind::Time),
    ("clock_at", Kind::Time),
];

/// Every site that an event or an upload named.
#[utoipa::path(get, path = "/v1/sites", tag = "places", params(FormParams), responses((status = 200, body = Sites)))]
pub async fn list(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Wanted(form): Wanted,
    Query(_form): Query<FormParams>,
) -> Fallible<Response> {
    let (mut rows, ended) = api.read(|conn| Ok((queries::sites(conn, None)?, ended_sites(conn)?))).await?;
    rows.retain(|row| !ended.contains(&row.key) && caller.may_see(&row.id));
    let answer = Sites { sites: rows.into_iter().map(|row| site(&api, row)).collect() };
    table::answer(form, "sites", &answer, SITES, |answer| table::rows(&answer.sites))
}

/// One site.
#[utoipa::path(get, path = "/v1/sites/{id}", tag = "places", params(("id", description = "Site id")),
    responses((status = 200, body = dto::Site), (status = 404, body = Problem)))]
pub async fn get(State(api): State<Api>, Path(id): Path<String>) -> Fallible<Json<dto::Site>> {
    let row = find(&api, settled(&id)).await?;
    Ok(Json(site(&api, row)))
}

/// Sets a site's settings; those left out go back to their defaults. Makes the site if no event has named it yet.
#[utoipa::path(put, path = "/v1/sites/{id}", tag = "places", params(("id", description = "Site id")),
    request_body = SiteSettings,
    responses((status = 200, body = dto::Site), (status = 422, body = Problem)))]
pub async fn put(
    State(api): State<Api>,
    Path(id): Path<String>,
    JsonBody(settings): JsonBody<SiteSettings>,
) -> Fallible<Json<dto::Site>> {
    check_id(&id)?;
    store(&api, id, settings, None).await
}

/// Sets some of a site's settings; those left out stay.
#[utoipa::path(patch, path = "/v1/sites/{id}", tag = "places", params(("id", description = "Site id")),
    request_body = SiteSettings,
    responses((status = 200, body = dto::Site), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn patch(
    State(api): State<Api>,
    Path(id): Path<String>,
    JsonBody(settings): JsonBody<SiteSettings>,
) -> Fallible<Json<dto::Site>> {
    let old = find(&api, settled(&id)).await?;
    store(&api, id, settings, Some(old)).await
}

/// Deletes a site: its settings go back to their defaults, and it is listed no more until an event names it again, or
/// somebody sets it. Its history stays. A site that has maps, areas or alert rules is kept: delete these first.
#[utoipa::path(delete, path = "/v1/sites/{id}", tag = "places", params(("id", description = "Site id")),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn delete(State(api): State<Api>, Path(id): Path<String>) -> Fallible<StatusCode> {
    let row = find(&api, settled(&id)).await?;
    api.pipeline.change(Change::EndSite(SiteId::from(row.id.as_str()))).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn store(api: &Api, id: String, new: SiteSettings, old: Option<SiteRow>) -> Fallible<Json<dto::Site>> {
    check(&new)?;
    let wanted = named("pseudonymise", &new.pseudonymise, Pseudonyms::from_name, "off, keyed or daily");
    let pseudonyms =
        wanted.map_err(|error| ApiError::Unprocessable { detail: error.to_string(), faults: Vec::new() })?;
    let pseudonyms = pseudonyms.or(old.as_ref().map(|old| old.pseudonyms)).unwrap_or_default();
    let (old_name, old_zone, old_rules, old_bands) = match old {
        Some(old) => (old.name, Some(old.time_zone), old.rules, old.dwell_bands_json),
        None => (None, None, RuleSettings::default(), None),
    };
    let bands = new.dwell_bands.map(|bands| serde_json::to_string(&bands).expect("bands are plain data"));
    let record = SiteRecord {
        id: SiteId::from(id.as_str()),
        name: new.name.or(old_name),
        time_zone: new.time_zone.or(old_zone).unwrap_or_else(|| "UTC".into()),
        rules: RuleSettings {
            exit_grace_s: new.exit_grace_s.or(old_rules.exit_grace_s),
            presence_timeout_s: new.presence_timeout_s.or(old_rules.presence_timeout_s),
            reported_timeout_s: new.reported_timeout_s.or(old_rules.reported_timeout_s),
        },
        dwell_bands_json: bands.or(old_bands),
        pseudonyms,
    };
    api.pipeline.change(Change::Site(record)).await?;
    let row = find(api, settled(&id)).await?;
    Ok(Json(site(api, row)))
}

fn check(settings: &SiteSettings) -> Result<(), ApiError> {
    let wrong = |detail: String| Err(ApiError::Unprocessable { detail, faults: Vec::new() });
    if let Some(zone) = &settings.time_zone
        && let Err(error) = time_zone(zone)
    {
        return wrong(error.to_string());
    }
    let SiteSettings { exit_grace_s, presence_timeout_s, reported_timeout_s, .. } = *settings;
    if let Err(problem) = config::check_presence(exit_grace_s, presence_timeout_s, reported_timeout_s) {
        return wrong(problem.into());
    }
    for band in settings.dwell_bands.iter().flatten() {
        if band.name.is_empty() || band.from_s < 0 || band.to_s.is_some_and(|to_s| to_s < band.from_s) {
            return wrong(format!(
                "dwell band {:?}: needs a name, from_s of at least 0, and to_s not below it",
                band.name
            ));
        }
    }
    Ok(())
}

async fn find(api: &Api, id: String) -> Result<SiteRow, ApiError> {
    let wanted = id.clone();
    let (rows, ended) = api.read(move |conn| Ok((queries::sites(conn, Some(&wanted))?, ended_sites(conn)?))).await?;
    rows.into_iter().find(|row| !ended.contains(&row.key)).ok_or(ApiError::NotFound { what: "site", id })
}

fn site(api: &Api, row: SiteRow) -> dto::Site {
    let dwell_bands = bands_of(row.dwell_bands_json.as_deref()).into_iter();
    dto::Site {
        clock_at: api.pipeline.site_clock_ms(row.key).map(rfc3339),
        dwell_bands: dwell_bands
            .map(|DwellBand { name, from_s, to_s }| dto::DwellBand { name, from_s, to_s })
            .collect(),
        site_id: row.id,
        name: row.name,
        time_zone: row.time_zone,
        exit_grace_s: row.rules.exit_grace_s,
        presence_timeout_s: row.rules.presence_timeout_s,
        reported_timeout_s: row.rules.reported_timeout_s,
        pseudonymise: row.pseudonyms.name(),
        first_seen_at: rfc3339(row.first_seen_ms),
    }
}

/// A site's dwell bands: its own, else the default ones.
pub fn bands_of(own_json: Option<&str>) -> Vec<DwellBand> {
    let own = own_json.and_then(|json| serde_json::from_str::<Vec<dto::DwellBand>>(json).ok());
    match own {
        Some(bands) => {
            bands.into_iter().map(|dto::DwellBand { name, from_s, to_s }| DwellBand { name, from_s, to_s }).collect()
        }
        None => default_dwell_bands(),
    }
}
