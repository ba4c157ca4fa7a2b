//! Changes of sites, maps and areas: one transaction for all of an upload, through the one writer.

use rustc_hash::FxHashSet;

use super::concerned::{Concerned, Named};
use super::directory::Directory;
use crate::model::floorplan::{AccessPoint, AreaPlan, MapPlan, Shape, Units};
use crate::model::ids::{
    AlertKey, AreaId, AreaKey, AreaKind, CallbackKey, MapId, MapKey, MessageKey, RuleKey, SilenceKey, SiteId, SiteKey,
};
use crate::model::settings::Pseudonyms;
use crate::model::time::ReceivedAt;
use crate::model::visit::Source;
use crate::privacy::KeyError;
use crate::store::alerts::{self, RuleRecord};
use crate::store::outbox::{self, Attempt, CallbackRecord, SilenceRecord, Verdict};
use crate::store::places::{self, AreaPut, AreaRecord, Effect, FeatureRecord, MapRecord, SiteRecord};
use crate::store::restore::{RuleSettings, Whose};
use crate::store::row::{self, Instant, column};
use crate::store::sites;
use crate::store::writer::{Drain, Writer, append};
use crate::store::{ReadConnection, StoreError};

/// What an upload asks for.
#[derive(Debug)]
pub enum Change {
    Site(SiteRecord),
    /// What an import knows of a site; the rest stays.
    SiteName {
        id: SiteId,
        name: Option<String>,
        time_zone: Option<String>,
    },
    Map {
        plan: MapPlan,
        extent: Extent,
    },
    Area {
        site: Option<SiteId>,
        map: Option<MapId>,
        plan: AreaPlan,
        settings: Option<AreaSettings>,
    },
    AccessPoint {
        map: MapId,
        access_point: AccessPoint,
    },
    Image {
        map: MapId,
        content_type: &'static str,
        width_px: Option<u32>,
        height_px: Option<u32>,
        bytes: Vec<u8>,
    },
    EndSite(SiteId),
    EndMap(MapId),
    EndArea(AreaId),
    /// A new alert rule, or another version of one.
    Rule {
        key: Option<RuleKey>,
        record: RuleRecord,
    },
    EndRule(RuleKey),
    Acknowledge {
        alert: AlertKey,
        by: Option<String>,
        note: Option<String>,
    },
    Silence(SilenceRecord),
    EndSilence(SilenceKey),
    /// A new callback endpoint, or other settings of one.
    Callback {
        key: Option<CallbackKey>,
        record: CallbackRecord,
    },
    EndCallback(CallbackKey),
    /// What an attempt to deliver from the outbox came to.
    Attempted {
        callback: CallbackKey,
        message: MessageKey,
        attempt: Attempt,
        verdict: Verdict,
    },
    /// A test of an endpoint.
    Tested {
        callback: CallbackKey,
        webhook_id: String,
        event_json: String,
        attempt: Attempt,
    },
    /// One delivery, or all that were given up, once more.
    Redeliver {
        callback: CallbackKey,
        message: Option<MessageKey>,
        expires: ReceivedAt,
    },
}

impl Change {
    /// Whether what it asks for cannot be without the key of pseudonyms.
    pub fn needs_key(&self) -> bool {
        matches!(self, Change::Site(record) if record.pseudonyms != Pseudonyms::Off)
    }

    /// Whether it changes whom to tell, or what they are still to be told.
    pub fn concerns_outbox(&self) -> bool {
        matches!(
            self,
            Change::Callback { .. } | Change::EndCallback(_) | Change::Tested { .. } | Change::Redeliver { .. }
        )
    }
}

/// Of how much of a map a plan tells all.
#[derive(Clone, Debug, Default)]
pub struct Extent {
    /// Whether an attribute that the plan leaves out stays as it is.
    pub keeps_attributes: bool,
    /// Kinds of area: those of the map that the plan leaves out are ended.
    pub complete: Vec<AreaKind>,
    /// Whether access points that the plan leaves out are taken away.
    pub is_aps_complete: bool,
}

/// What a change did to one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub what: &'static str,
    pub id: String,
    pub name: Option<String>,
    pub map: Option<MapId>,
    pub effect: Effect,
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
    #[error("there is no key for pseudonyms")]
    Key(#[from] KeyError),
    #[error("the change could not be stored")]
    Store(#[from] StoreError),
}

/// Commits changes, all or none, in their order; says what they did, and what they concern. A rehearsal says what they
/// would do, and does nothing.
pub fn apply(
    changes: Vec<Change>,
    is_rehearsal: bool,
    writer: &mut Writer,
    directory: &mut Directory,
    now: ReceivedAt,
) -> Result<(Vec<Outcome>, Option<Whose>), ChangeError> {
    check(&changes, directory)?;
    for change in &changes {
        if let Change::EndSite(id) = change {
            let left = writer.read(|conn| sites::left_on_site(conn, id))?;
            if !left.is_empty() {
                let detail = format!("site {id} has {} still: delete these first", left.join(", "));
                return Err(ChangeError::Conflict(detail));
            }
        }
    }
    let (named, mark) = (Named::by(&changes), directory.mark());
    let mut concerned = Concerned::default();
    let mut maker = Maker { directory, drain: Drain::default(), now, outcomes: Vec::new() };
    // What was moved is gone from one site and has come to another.
    let work = |conn: &ReadConnection| {
        concerned.add(conn, &named, maker.directory)?;
        changes.into_iter().try_for_each(|change| maker.make(conn, change))?;
        concerned.add(conn, &named, maker.directory)
    };
    let done = if is_rehearsal { writer.rehearse(work) } else { writer.in_transaction(work) };
    if is_rehearsal || done.is_err() {
        // Ids that were given in vain must not stay in the dictionary that deliveries use.
        maker.directory.go_back(mark, &maker.drain.map_sites);
    }
    done?;
    Ok((maker.outcomes, concerned.whose()))
}

/// What is ended, or given an image, must be there, or be a map of the same upload.
fn check(changes: &[Change], directory: &Directory) -> Result<(), ChangeError> {
    let comes = |id: &MapId| changes.iter().any(|change| matches!(change, Change::Map { plan, .. } if plan.id == *id));
    for change in changes {
        match change {
            Change::EndSite(id) if directory.known_site(id).is_none() => return Err(unknown("site", id)),
            Change::EndMap(id) | Change::Image { map: id, .. } if directory.known_map(id).is_none() && !comes(id) => {
                return Err(unknown("map", id));
            }
            Change::EndArea(id) if directory.known_area(id).is_none() => return Err(unknown(id.kind.name(), &id.id)),
            _ => {}
        }
    }
    Ok(())
}

fn unknown(what: &'static str, id: &dyn std::fmt::Display) -> ChangeError {
    ChangeError::Unknown { what, id: id.to_string() }
}

/// What an alert rule is called among outcomes.
const RULE: &str = "alert_rule";

struct Maker<'a> {
    directory: &'a mut Directory,
    drain: Drain,
    now: ReceivedAt,
    outcomes: Vec<Outcome>,
}

impl Maker<'_> {
    fn make(&mut self, conn: &ReadConnection, change: Change) -> Result<(), StoreError> {
        match change {
            Change::Site(record) => {
                let key = self.site_key(&record.id);
                self.write_new_keys(conn)?;
                sites::begin_site(conn, key)?;
                places::put_site(conn, key, &record, self.now)
            }
            Change::SiteName { id, name, time_zone } => {
                let key = self.site_key(&id);
                self.write_new_keys(conn)?;
                sites::begin_site(conn, key)?;
                let effect = places::name_site(conn, key, name.as_deref(), time_zone.as_deref())?;
                self.tell("site", id.to_string(), name, None, effect);
                Ok(())
            }
            Change::Map { plan, extent } => self.map(conn, plan, &extent),
            Change::Area { site, map, plan, settings } => {
                let site = site.map(|id| self.site_key(&id));
                let map_key = map.as_ref().map(|id| self.map_key(id, site));
                // What lies on a map is where the map is.
                let site = map.as_ref().and_then(|id| self.directory.site_of_map(id)).or(site);
                let put = self.area_put(&plan, site, map_key);
                self.write_new_keys(conn)?;
                let key = put.key;
                for effect in places::put_areas(conn, &[put], self.now)? {
                    self.tell_of_area(&plan, map.as_ref(), effect);
                }
                match settings {
                    Some(settings) => places::put_area_settings(conn, key, settings.rules, settings.source, self.now),
                    None => Ok(()),
                }
            }
            Change::AccessPoint { map, access_point } => {
                let key = self.map_key(&map, None);
                self.write_new_keys(conn)?;
                self.access_points(conn, &map, key, &[access_point], false)
            }
            Change::Image { map, content_type, width_px, height_px, bytes } => {
                let key = self.map_key(&map, None);
                let pixels = |px: Option<u32>| px.and_then(|px| i32::try_from(px).ok());
                let image = row::MapImage {
                    map_key: column(key.0),
                    content_type: content_type.into(),
                    width_px: pixels(width_px),
                    height_px: pixels(height_px),
                    uploaded_at: Instant(self.now.0),
                    image: bytes,
                    valid_to: None,
                };
                let effect = places::put_image(conn, image)?;
                self.tell("image", map.to_string(), None, Some(&map), effect);
                Ok(())
            }
            Change::Rule { key, record } => {
                let found = alerts::put_rule(conn, key, &record, self.now)?;
                if let Some(found) = found {
                    let effect = if key.is_some() { Effect::Changed } else { Effect::New };
                    self.tell(RULE, found.0.to_string(), Some(record.name), None, effect);
                }
                Ok(())
            }
            Change::EndRule(key) => {
                if alerts::end_rule(conn, key, self.now)? {
                    self.tell(RULE, key.0.to_string(), None, None, Effect::Ended);
                }
                Ok(())
            }
            Change::Acknowledge { alert, by, note } => {
                if alerts::acknowledge(conn, alert, by.as_deref(), note.as_deref(), self.now)? {
                    self.tell("alert", alert.0.to_string(), None, None, Effect::Changed);
                }
                Ok(())
            }
            Change::Silence(record) => {
                let key = outbox::put_silence(conn, &record, self.now)?;
                self.tell("silence", key.0.to_string(), None, None, Effect::New);
                Ok(())
            }
            Change::EndSilence(key) => {
                if outbox::end_silence(conn, key, self.now)? {
                    self.tell("silence", key.0.to_string(), None, None, Effect::Ended);
                }
                Ok(())
            }
            Change::Callback { key, record } => {
                if let Some(found) = outbox::put_callback(conn, key, &record, self.now)? {
                    let effect = if key.is_some() { Effect::Changed } else { Effect::New };
                    self.tell("callback", found.0.to_string(), Some(record.name), None, effect);
                }
                Ok(())
            }
            Change::EndCallback(key) => {
                if outbox::end_callback(conn, key, self.now)? {
                    self.tell("callback", key.0.to_string(), None, None, Effect::Ended);
                }
                Ok(())
            }
            Change::Attempted { callback, message, attempt, verdict } => {
                outbox::settle(conn, callback, message, &attempt, &verdict, self.now)
            }
            Change::Tested { callback, webhook_id, event_json, attempt } => {
                let key = outbox::log_test(conn, callback, &webhook_id, &event_json, &attempt, self.now)?;
                self.tell("delivery", key.0.to_string(), None, None, Effect::New);
                Ok(())
            }
            Change::Redeliver { callback, message, expires } => {
                let count = outbox::redeliver(conn, callback, message, expires)?;
                for _ in 0..count {
                    self.tell("delivery", String::new(), None, None, Effect::Changed);
                }
                Ok(())
            }
            Change::EndSite(id) => {
                let key = self.site_key(&id);
                sites::end_site(conn, key, id, self.now)
            }
            Change::EndMap(id) => {
                let key = self.map_key(&id, None);
                places::end_map(conn, key, self.now)
            }
            Change::EndArea(id) => {
                let key = self.directory.area(&id, None, None, self.now, &mut self.drain).key;
                places::end_areas(conn, &[key], self.now)
            }
        }
    }

    fn map(&mut self, conn: &ReadConnection, plan: MapPlan, extent: &Extent) -> Result<(), StoreError> {
        let site = plan.site.as_ref().map(|id| self.site_key(id));
        let key = self.map_key(&plan.id, site);
        let puts: Vec<_> = plan.areas.iter().map(|area| self.area_put(area, site, map_of(area, key))).collect();
        self.write_new_keys(conn)?;
        let mut record = map_record(&plan);
        if extent.keeps_attributes
            && let Some(now) = places::map_now(conn, key)?
        {
            record = record.or(now);
        }
        let effect = places::put_map(conn, key, site, &record, self.now)?;
        self.tell("map", plan.id.to_string(), record.name, None, effect);
        for (effect, area) in places::put_areas(conn, &puts, self.now)?.into_iter().zip(&plan.areas) {
            self.tell_of_area(area, Some(&plan.id), effect);
        }
        let kept: FxHashSet<AreaKey> = puts.iter().map(|put| put.key).collect();
        for kind in &extent.complete {
            let mut left = places::areas_on_map(conn, key, *kind)?;
            left.retain(|(key, ..)| !kept.contains(key));
            let keys: Vec<AreaKey> = left.iter().map(|(key, ..)| *key).collect();
            places::end_areas(conn, &keys, self.now)?;
            for (_, id, name) in left {
                self.tell(kind.name(), id, name, Some(&plan.id), Effect::Ended);
            }
        }
        self.access_points(conn, &plan.id, key, &plan.access_points, extent.is_aps_complete)
    }

    fn access_points(
        &mut self,
        conn: &ReadConnection,
        map: &MapId,
        key: MapKey,
        access_points: &[AccessPoint],
        is_complete: bool,
    ) -> Result<(), StoreError> {
        if access_points.is_empty() && !is_complete {
            return Ok(());
        }
        let rows: Vec<_> = access_points.iter().map(|ap| access_point_row(ap, key)).collect();
        let (effects, gone) = places::put_access_points(conn, key, &rows, is_complete)?;
        for (ap, effect) in rows.into_iter().zip(effects) {
            self.tell("access_point", ap.ap_id, ap.name, Some(map), effect);
        }
        for ap in gone {
            self.tell("access_point", ap.ap_id, ap.name, Some(map), Effect::Ended);
        }
        Ok(())
    }

    fn site_key(&mut self, id: &SiteId) -> SiteKey {
        self.directory.site(id, self.now, &mut self.drain)
    }

    fn map_key(&mut self, id: &MapId, site: Option<SiteKey>) -> MapKey {
        self.directory.map(id, site, self.now, &mut self.drain).0
    }

    fn area_put(&mut self, plan: &AreaPlan, site: Option<SiteKey>, map: Option<MapKey>) -> AreaPut {
        let key = self.directory.area(&plan.id, site, map, self.now, &mut self.drain).key;
        AreaPut { key, site, map, record: area_record(plan) }
    }

    fn tell_of_area(&mut self, plan: &AreaPlan, map: Option<&MapId>, effect: Effect) {
        self.tell(plan.id.kind.name(), plan.id.id.to_string(), plan.name.clone(), map, effect);
    }

    fn tell(&mut self, what: &'static str, id: String, name: Option<String>, map: Option<&MapId>, effect: Effect) {
        self.outcomes.push(Outcome { what, id, name, map: map.cloned(), effect });
    }

    /// Rows of ids met for the first time, before what refers to them.
    fn write_new_keys(&mut self, conn: &ReadConnection) -> Result<(), StoreError> {
        append(conn, &std::mem::take(&mut self.drain.sites))?;
        append(conn, &std::mem::take(&mut self.drain.maps))?;
        append(conn, &std::mem::take(&mut self.drain.areas))
    }
}

fn map_record(plan: &MapPlan) -> MapRecord {
    MapRecord {
        name: plan.name.clone(),
        width_m: plan.width_m,
        height_m: plan.height_m,
        ppm: plan.ppm,
        orientation_deg: plan.orientation_deg,
        occupancy_limit: plan.occupancy_limit,
        georeference_json: plan.georeference.as_ref().map(places::georeference_json),
        collection_json: plan.collection_json.clone(),
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
        feature: plan.drawn.as_ref().map(|drawn| FeatureRecord {
            json: drawn.feature_json.clone(),
            units: drawn.units.name().into(),
            ppm: match drawn.units {
                Units::Pixels { ppm } => Some(ppm),
                Units::Metres | Units::Wgs84 => None,
            },
        }),
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
