//! `POST /v1/what-if/zones`: what a zone that nobody has drawn would have counted.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::areas::unprocessable;
use super::body::JsonBody;
use super::dto::{WhatIfAnswer, WhatIfZone};
use super::error::ApiError;
use super::params::{Window, settled, time_zone};
use super::sites::bands_of;
use super::withheld::Withheld;
use super::{Api, Fallible, dwell, occupancy};
use crate::config;
use crate::floorplan;
use crate::model::calendar::{self, Width};
use crate::model::floorplan::{Outline, Shape};
use crate::model::ids::{AreaKind, Id, MapId};
use crate::model::metrics::Series;
use crate::model::settings::PresenceRules;
use crate::model::time::EventTime;
use crate::pipeline::Places;
use crate::problem::Problem;
use crate::rebuild::what_if::{self, WhatIf};
use crate::store::queries::{self, SiteRow};
use crate::store::restore::RuleSettings;

/// Occupancy and dwell that a polygon would have had over a period, from the stored fixes. Nothing is stored.
#[utoipa::path(post, path = "/v1/what-if/zones", tag = "past", request_body = WhatIfZone,
    responses((status = 200, body = WhatIfAnswer), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub async fn zone(State(api): State<Api>, JsonBody(asked): JsonBody<WhatIfZone>) -> Fallible<Json<WhatIfAnswer>> {
    let window = Window::parse(&asked.from, &asked.to, api.clock.now().0)?;
    let width = Width::parse(asked.bucket.as_deref().unwrap_or("1h"))?;
    let wanted_zone = asked.tz.as_deref().map(time_zone).transpose()?;
    let outline = tokio::task::block_in_place(|| outline(&asked.polygon))?;
    let settings = RuleSettings {
        exit_grace_s: asked.exit_grace_s,
        presence_timeout_s: asked.presence_timeout_s,
        reported_timeout_s: None,
    };
    if let Err(detail) = config::check_presence(settings.exit_grace_s, settings.presence_timeout_s, None) {
        return Err(ApiError::Unprocessable { detail: detail.into(), faults: Vec::new() });
    }
    let map_id = settled(&asked.map_id);
    let (question, site) = locate(&api, map_id.clone(), outline, settings, window).await?;
    let zone = wanted_zone.unwrap_or_else(|| occupancy::zone_of(&site));
    let bounds = calendar::bounds(window.from_ms, window.to_ms, width, zone)?;
    let store = api.store.clone();
    let spans = tokio::task::spawn_blocking(move || what_if::spans(&store, &question));
    let spans = spans.await.map_err(|_| ApiError::Stopped)??;
    Ok(Json(WhatIfAnswer {
        map_id,
        occupancy: occupancy::answer(Series::of(&spans, &bounds), window, zone, Withheld::default()),
        dwell: dwell::answer_of(&spans, window, true, bands_of(site.dwell_bands_json.as_deref()), Withheld::default()),
    }))
}

/// Finds the map, and what holds on its site.
async fn locate(
    api: &Api,
    map_id: String,
    outline: Outline,
    settings: RuleSettings,
    window: Window,
) -> Result<(WhatIf, SiteRow), ApiError> {
    let (defaults, pipeline) = (api.defaults, api.pipeline.clone());
    api.question(move |conn| {
        let places = Places::read(conn)?;
        let id = MapId::from(map_id.as_str());
        let map = places.maps.iter().find(|map| map.id == id);
        let map = map.ok_or_else(|| ApiError::NotFound { what: "map", id: map_id.clone() })?;
        let site = places.sites.iter().find(|site| Some(site.key) == map.site);
        let site = site.ok_or_else(|| {
            ApiError::BadRequest(format!("map {map_id} belongs to no site yet: no event has named it, nor its upload"))
        })?;
        let of_site: PresenceRules = site.rules.within(defaults.rules);
        let question = WhatIf {
            site: site.key,
            map: map.key,
            outline,
            rules: settings.within(of_site),
            from: EventTime(window.from_ms),
            to: EventTime(window.to_ms),
            reached: EventTime(pipeline.site_clock_ms(site.key).unwrap_or(window.to_ms)),
        };
        let row = queries::sites(conn, Some(&site.id.to_string()))?.pop();
        Ok((question, row.ok_or(ApiError::Stopped)?))
    })
    .await
}

/// A polygon in metres, given as GeoJSON geometry or as its coordinates.
fn outline(polygon: &Value) -> Result<Outline, ApiError> {
    let geometry = match polygon {
        Value::Array(_) => json!({"type": "Polygon", "coordinates": polygon}),
        other => other.clone(),
    };
    let feature = json!({"type": "Feature", "geometry": geometry});
    let (_, plan) =
        floorplan::read_area(AreaKind::Zone, &Id::object("polygon"), &feature, None).map_err(unprocessable)?;
    match plan.shape {
        Shape::Zone(outline) => Ok(outline),
        _ => Err(ApiError::BadRequest("`polygon` must be a GeoJSON Polygon".into())),
    }
}
