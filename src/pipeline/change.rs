//! Changes of sites, maps and areas: one transaction each, through the one writer.

use super::directory::Directory;
use crate::model::floorplan::{AccessPoint, AreaPlan, MapPlan, Shape};
use crate::model::ids::{AreaId, AreaKind, MapId, MapKey, SiteId, SiteKey};
use crate::model::time::ReceivedAt;
use crate::model::visit::Source;
use crate::store::places::{self, AreaRecord, MapRecord, SiteRecord};
use crate::store::restore::RuleSettings;
use crate::store::row::{self, Instant, column};
use crate::store::writer::{Drain, Writer, append};
use crate::store::{ReadConnection, StoreError};

/// What an upload asks for.
#[derive(Debug)]
pub enum Change {
    Site(SiteRecord),
    Map {
        plan: MapPlan,
        /// Kinds of area of which the plan tells all: those of the map that it leaves out are ended.
        complete: Vec<AreaKind>,
        /// Whether the plan tells all access points of the map.
        is_aps_complete: bool,
    },
    Area {
        site: Option<SiteId>,
        map: Option<MapId>,
        plan: AreaPlan,
        settings: Option<AreaSettings>,
    },
    Image {
        map: MapId,
        content_type: &'static str,
        width_px: Option<u32>,
        height_px: Option<u32>,
        bytes: Vec<u8>,
    },
    EndMap(MapId),
    EndArea(AreaId),
}

/// An area's own settings, whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct AreaSettings {
    pub rules: RuleSettings,
    pub source: Option<Source>,
}

#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("there is no {what} {id:?}")]
    Unknown { what: &'static str, id: String },
    #[error("{0}")]
    Conflict(String),
    #[error("the server is stopping")]
    Stopped,
    #[error("the change could not be stored")]
    Store(#[from] StoreError),
}

/// Commits a change. On an error nothing of it is kept in the file; the directory may hold keys given in vain.
pub fn apply(
    change: Change,
    writer: &mut Writer,
    directory: &mut Directory,
    now: ReceivedAt,
) -> Result<(), ChangeError> {
    let mut maker = Maker { directory, drain: Drain::default(), now };
    match &change {
        Change::EndMap(id) if !maker.directory.is_known_map(id) => return Err(unknown("map", id)),
        Change::Image { map, .. } if !maker.directory.is_known_map(map) => return Err(unknown("map", map)),
        Change::EndArea(id) if !maker.directory.is_known_area(id) => return Err(unknown(id.kind.name(), &id.id)),
        _ => {}
    }
    writer.in_transaction(|conn| maker.make(conn, change))?;
    Ok(())
}

fn unknown(what: &'static str, id: &dyn std::fmt::Display) -> ChangeError {
    ChangeError::Unknown { what, id: id.to_string() }
}

struct Maker<'a> {
    directory: &'a mut Directory,
    drain: Drain,
    now: ReceivedAt,
}

impl Maker<'_> {
    fn make(&mut self, conn: &ReadConnection, change: Change) -> Result<(), StoreError> {
        match change {
            Change::Site(record) => {
                let key = self.directory.site(&record.id, self.now, &mut self.drain);
                self.write_new_keys(conn)?;
                places::put_site(conn, key, &record, self.now)
            }
            Change::Map { plan, complete, is_aps_complete } => self.map(conn, plan, &complete, is_aps_complete),
            Change::Area { site, map, plan, settings } => {
                let site = site.map(|id| self.directory.site(&id, self.now, &mut self.drain));
                let map = map.map(|id| self.directory.map(&id, site, self.now, &mut self.drain).0);
                let key = self.directory.area(&plan.id, site, map, self.now, &mut self.drain).key;
                self.write_new_keys(conn)?;
                places::put_area(conn, key, site, map, &area_record(&plan), self.now)?;
                match settings {
                    Some(settings) => places::put_area_settings(conn, key, settings.rules, settings.source, self.now),
                    None => Ok(()),
                }
            }
            Change::Image { map, content_type, width_px, height_px, bytes } => {
                let key = self.directory.map(&map, None, self.now, &mut self.drain).0;
                let pixels = |px: Option<u32>| px.and_then(|px| i32::try_from(px).ok());
                places::put_image(
                    conn,
                    row::MapImage {
                        map_key: column(key.0),
                        content_type: content_type.into(),
                        width_px: pixels(width_px),
                        height_px: pixels(height_px),
                        uploaded_at: Instant(self.now.0),
                        image: bytes,
                        valid_to: None,
                    },
                )
            }
            Change::EndMap(id) => {
                let key = self.directory.map(&id, None, self.now, &mut self.drain).0;
                places::end_map(conn, key, self.now)
            }
            Change::EndArea(id) => {
                let key = self.directory.area(&id, None, None, self.now, &mut self.drain).key;
                places::end_area(conn, key, self.now)
            }
        }
    }

    fn map(
        &mut self,
        conn: &ReadConnection,
        plan: MapPlan,
        complete: &[AreaKind],
        is_aps_complete: bool,
    ) -> Result<(), StoreError> {
        let site = plan.site.as_ref().map(|id| self.directory.site(id, self.now, &mut self.drain));
        let map = self.directory.map(&plan.id, site, self.now, &mut self.drain).0;
        let areas: Vec<_> = plan.areas.iter().map(|area| (self.area_key(area, site, map), area)).collect();
        self.write_new_keys(conn)?;
        let record = MapRecord {
            name: plan.name.clone(),
            width_m: plan.width_m,
            height_m: plan.height_m,
            ppm: plan.ppm,
            orientation_deg: plan.orientation_deg,
            occupancy_limit: plan.occupancy_limit,
            georeference_json: None,
            collection_json: None,
        };
        places::put_map(conn, map, site, &record, self.now)?;
        for (key, area) in &areas {
            places::put_area(conn, *key, site, map_of(area, map), &area_record(area), self.now)?;
        }
        for kind in complete {
            for key in places::areas_on_map(conn, map, *kind as u8)? {
                if !areas.iter().any(|(kept, _)| *kept == key) {
                    places::end_area(conn, key, self.now)?;
                }
            }
        }
        if is_aps_complete {
            let rows: Vec<_> = plan.access_points.iter().map(|ap| access_point_row(ap, map)).collect();
            places::put_access_points(conn, map, &rows)?;
        }
        Ok(())
    }

    fn area_key(&mut self, area: &AreaPlan, site: Option<SiteKey>, map: MapKey) -> crate::model::ids::AreaKey {
        self.directory.area(&area.id, site, map_of(area, map), self.now, &mut self.drain).key
    }

    /// Rows of ids met for the first time, before what refers to them.
    fn write_new_keys(&mut self, conn: &ReadConnection) -> Result<(), StoreError> {
        append(conn, &std::mem::take(&mut self.drain.sites))?;
        append(conn, &std::mem::take(&mut self.drain.maps))?;
        append(conn, &std::mem::take(&mut self.drain.areas))
    }
}

/// An rssizone belongs to its site, not to the map it was uploaded with.
fn map_of(area: &AreaPlan, map: MapKey) -> Option<MapKey> {
    (area.id.kind != AreaKind::Rssizone).then_some(map)
}

fn area_record(plan: &AreaPlan) -> AreaRecord {
    let shape = match &plan.shape {
        Shape::Zone(outline) => serde_json::json!({ "rings": outline.rings().collect::<Vec<_>>() }),
        Shape::Vbeacon { x_m, y_m, details_json } => {
            let details: serde_json::Value =
                details_json.as_deref().and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
            serde_json::json!({ "x_m": x_m, "y_m": y_m, "details": details })
        }
        Shape::Rssizone { devices } => {
            let devices: Vec<_> = devices
                .iter()
                .map(|(device_id, rssi_dbm)| serde_json::json!({ "device_id": device_id, "rssi_dbm": rssi_dbm }))
                .collect();
            serde_json::json!({ "devices": devices })
        }
    };
    AreaRecord {
        name: plan.name.clone(),
        shape_json: shape.to_string(),
        tags_json: serde_json::json!(plan.tags).to_string(),
        occupancy_limit: plan.occupancy_limit,
        properties_json: plan.properties_json.clone(),
        feature: None,
    }
}

fn access_point_row(ap: &AccessPoint, map: MapKey) -> row::AccessPoint {
    row::AccessPoint {
        ap_id: ap.id.clone(),
        mac: ap.mac.clone(),
        name: ap.name.clone(),
        map_key: column(map.0),
        x_m: ap.x_m,
        y_m: ap.y_m,
        height_m: ap.height_m,
        orientation_deg: ap.orientation_deg,
    }
}
