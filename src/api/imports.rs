//! `POST /v1/maps/import`: floorplans as people have them.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Request, State};

use super::areas::unprocessable;
use super::body::whole_body;
use super::dto::{ImportAnswer, ImportNote, ImportedThing, RebuildOffer, RebuildRequest};
use super::error::ApiError;
use super::params::{ImportParams, Query};
use super::{Api, Fallible, rebuilds};
use crate::floorplan::{self, Import, KnownMap, PlacedAccessPoint, PlacedArea};
use crate::model::floorplan::MapPlan;
use crate::model::ids::{AreaKind, MapId, SiteId};
use crate::pipeline::{Change, Extent, Outcome};
use crate::problem::Problem;
use crate::store::places::Effect;
use crate::store::{ReadConnection, plans};

/// Longest body of an import, bytes.
const IMPORT_BYTES_MAX: usize = 128 << 20;

/// Imports floorplans: one JSON document, or a zip archive of documents and images.
///
/// A document is a Mist object or list of them (maps, zones, vbeacons, rssizones, devices), a Mist backup
/// (`org_conf_file.json`), a GeoJSON FeatureCollection (`map_id`, `units`, `ppm` or `georeference` beside its features),
/// or a map as `PUT /v1/maps/{id}` takes it; an archive may also be Apple IMDF. All of it is taken, or nothing, with every
/// fault told. What the upload leaves out stays as it is, unless `replace` says that it tells all of its maps.
#[utoipa::path(post, path = "/v1/maps/import", tag = "places", params(ImportParams),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = ImportAnswer), (status = 400, body = Problem), (status = 422, body = Problem)))]
pub async fn post(
    State(api): State<Api>,
    Query(params): Query<ImportParams>,
    request: Request,
) -> Fallible<Json<ImportAnswer>> {
    let options = params.options()?;
    let bytes = whole_body(request, IMPORT_BYTES_MAX).await?;
    let known = api.read(known_maps).await?;
    // Unpacking and checking outlines may take seconds, and much memory: one upload at a time.
    let _turn = api.import_turn.acquire().await.map_err(|_| ApiError::Stopped)?;
    let import = tokio::task::spawn_blocking(move || {
        let files = floorplan::unpack(None, bytes.into())?;
        floorplan::read_import(files, &options, &|id| known.get(id).cloned())
    });
    let mut import = import.await.map_err(|_| ApiError::Stopped)?.map_err(unprocessable)?;
    let notes = std::mem::take(&mut import.notes);
    let outcomes = api.pipeline.change_all(changes(import, params.replace), params.dry_run).await?;
    let rebuild_offer = if params.dry_run { None } else { offer(&api, &outcomes).await? };
    let count = |effect: Effect| outcomes.iter().filter(|outcome| outcome.effect == effect).count();
    Ok(Json(ImportAnswer {
        dry_run: params.dry_run,
        new: count(Effect::New),
        changed: count(Effect::Changed),
        unchanged: count(Effect::Unchanged),
        ended: count(Effect::Ended),
        things: outcomes.into_iter().map(thing).collect(),
        notes: notes.into_iter().map(|note| ImportNote { file: note.file, text: note.text }).collect(),
        rebuild_offer,
    }))
}

/// Maps of the server that an upload may refer to.
fn known_maps(conn: &ReadConnection) -> Result<HashMap<MapId, KnownMap>, crate::store::StoreError> {
    let rows = plans::maps(conn, None, None, None)?;
    rows.into_iter()
        .filter(|row| row.is_mapped)
        .map(|row| {
            let georeference = row.georeference()?;
            let site = row.site_id.as_deref().map(SiteId::from);
            Ok((MapId::from(row.id.as_str()), KnownMap { site, ppm: row.ppm, georeference }))
        })
        .collect()
}

/// Sites first, then maps, then what lies on them.
fn changes(import: Import, is_replacing: bool) -> Vec<Change> {
    let Import { sites, mut maps, mut areas, access_points, images, notes: _ } = import;
    if is_replacing {
        maps.extend(maps_of(&mut areas));
    }
    let sites =
        sites.into_iter().map(|site| Change::SiteName { id: site.id, name: site.name, time_zone: site.time_zone });
    let maps = maps.into_iter().map(|plan| Change::Map { extent: extent(&plan, is_replacing), plan });
    let areas =
        areas.into_iter().map(|PlacedArea { site, map, plan }| Change::Area { site, map, plan, settings: None });
    let access_points = access_points
        .into_iter()
        .map(|PlacedAccessPoint { map, access_point }| Change::AccessPoint { map, access_point });
    let images = images.into_iter().map(|image| Change::Image {
        map: image.map,
        content_type: image.content_type,
        width_px: image.width_px,
        height_px: image.height_px,
        bytes: image.bytes,
    });
    sites.chain(maps).chain(areas).chain(access_points).chain(images).collect()
}

/// Takes the areas of maps that are not in the upload, each map's as all that is on it.
fn maps_of(areas: &mut Vec<PlacedArea>) -> Vec<MapPlan> {
    let mut maps: Vec<MapPlan> = Vec::new();
    for PlacedArea { site, map, plan } in std::mem::take(areas) {
        match map {
            None => areas.push(PlacedArea { site, map, plan }),
            Some(id) => match maps.iter_mut().find(|known| known.id == id) {
                Some(known) => known.areas.push(plan),
                None => maps.push(MapPlan { areas: vec![plan], ..MapPlan::unsaid(id, site) }),
            },
        }
    }
    maps
}

/// A replacing upload tells all zones of its maps; beacons and access points only where it has any.
fn extent(plan: &MapPlan, is_replacing: bool) -> Extent {
    if !is_replacing {
        return Extent { keeps_attributes: true, ..Extent::default() };
    }
    let has_vbeacons = plan.areas.iter().any(|area| area.id.kind == AreaKind::Vbeacon);
    let complete = if has_vbeacons { vec![AreaKind::Zone, AreaKind::Vbeacon] } else { vec![AreaKind::Zone] };
    Extent { keeps_attributes: true, complete, is_aps_complete: !plan.access_points.is_empty() }
}

/// What rebuilding the zones that were drawn anew would take: those of one map, or all where there are more.
async fn offer(api: &Api, outcomes: &[Outcome]) -> Fallible<Option<RebuildOffer>> {
    let is_drawn = |outcome: &&Outcome| {
        outcome.what == AreaKind::Zone.name() && matches!(outcome.effect, Effect::New | Effect::Changed)
    };
    let mut maps: Vec<_> = outcomes.iter().filter(is_drawn).map(|outcome| outcome.map.as_ref()).collect();
    maps.dedup();
    let map_id = match maps.as_slice() {
        [] => return Ok(None),
        [map] => map.map(ToString::to_string),
        _ => None,
    };
    let request = RebuildRequest { map_id, ..RebuildRequest::default() };
    api.question(|conn| rebuilds::offer_after_upload(conn, request)).await
}

fn thing(outcome: Outcome) -> ImportedThing {
    ImportedThing {
        what: outcome.what,
        id: outcome.id,
        name: outcome.name,
        map_id: outcome.map.map(|map| map.to_string()),
        effect: outcome.effect.name(),
    }
}
