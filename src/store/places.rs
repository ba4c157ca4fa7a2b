//! Writes what people upload: sites, maps, areas, images. A change makes a new version and ends the old one.
//!
//! Each function runs inside the caller's transaction and does nothing when nothing changes.

use std::collections::BTreeMap;

use duckdb::{Connection, OptionalExt, params};
use rustc_hash::FxHashMap;

use super::StoreError;
use super::restore::RuleSettings;
use super::row::{self, Instant, Json, column};
use super::writer::append;
use crate::model::floorplan::{ControlPoint, Georeference};
use crate::model::ids::{AreaKey, AreaKind, MapKey, SiteId, SiteKey};
use crate::model::settings::Pseudonyms;
use crate::model::time::ReceivedAt;
use crate::model::visit::Source;

/// A site's settings, whole.
#[derive(Clone, Debug)]
pub struct SiteRecord {
    pub id: SiteId,
    pub name: Option<String>,
    pub time_zone: String,
    pub rules: RuleSettings,
    pub dwell_bands_json: Option<String>,
    pub pseudonyms: Pseudonyms,
}

/// What an upload did to one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    New,
    Changed,
    Unchanged,
    /// It is no longer valid; its history stays.
    Ended,
}

impl Effect {
    pub fn name(self) -> &'static str {
        match self {
            Effect::New => "new",
            Effect::Changed => "changed",
            Effect::Unchanged => "unchanged",
            Effect::Ended => "ended",
        }
    }

    fn of<T: PartialEq>(before: Option<T>, after: &T) -> Effect {
        match before {
            None => Effect::New,
            Some(before) if before == *after => Effect::Unchanged,
            Some(_) => Effect::Changed,
        }
    }
}

/// Names a site and sets its time zone; what is not given stays. A site is new when it had neither name nor zone.
pub fn name_site(
    conn: &Connection,
    key: SiteKey,
    name: Option<&str>,
    time_zone: Option<&str>,
) -> Result<Effect, StoreError> {
    let sql = "SELECT name, time_zone FROM store.sites WHERE site_key = ?";
    let before: (Option<String>, String) = conn.query_row(sql, params![key.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let is_new = before.0.is_none() && before.1 == "UTC";
    let after = (name.map(str::to_owned).or(before.0.clone()), time_zone.unwrap_or(&before.1).to_owned());
    let effect = Effect::of((!is_new).then_some(before), &after);
    if effect != Effect::Unchanged {
        let sql = "UPDATE store.sites SET name = ?, time_zone = ? WHERE site_key = ?";
        conn.execute(sql, params![after.0, after.1, key.0])?;
    }
    Ok(effect)
}

/// Sets all of a site.
pub fn put_site(conn: &Connection, key: SiteKey, record: &SiteRecord, now: ReceivedAt) -> Result<(), StoreError> {
    conn.execute(
        "UPDATE store.sites SET name = ?, time_zone = ?, dwell_bands = ?, pseudonymise = nullif(?, 'off')
         WHERE site_key = ?",
        params![record.name, record.time_zone, record.dwell_bands_json, record.pseudonyms.name(), key.0],
    )?;
    put_rules(conn, "sites", "site_key", key.0, record.rules, now)
}

/// Sets presence rules and notes when; the same rules again change nothing. Tables and columns are our own words.
fn put_rules(
    conn: &Connection,
    table: &str,
    key_column: &str,
    key: u32,
    rules: RuleSettings,
    now: ReceivedAt,
) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE store.{table} SET exit_grace_s = $1, presence_timeout_s = $2, reported_timeout_s = $3,
             rules_changed_at = epoch_ms($4::BIGINT)::TIMESTAMPTZ
         WHERE {key_column} = $5 AND (exit_grace_s IS DISTINCT FROM $1 OR presence_timeout_s IS DISTINCT FROM $2
             OR reported_timeout_s IS DISTINCT FROM $3)"
    );
    let RuleSettings { exit_grace_s, presence_timeout_s, reported_timeout_s } = rules;
    conn.execute(&sql, params![exit_grace_s, presence_timeout_s, reported_timeout_s, now.0, key])?;
    Ok(())
}

/// A map's own attributes; lengths in metres.
#[derive(Clone, Debug, PartialEq)]
pub struct MapRecord {
    pub name: Option<String>,
    pub width_m: Option<f64>,
    pub height_m: Option<f64>,
    pub ppm: Option<f64>,
    pub orientation_deg: Option<f64>,
    pub occupancy_limit: Option<i64>,
    /// A list of control points.
    pub georeference_json: Option<String>,
    /// The members of its GeoJSON collection, without the features.
    pub collection_json: Option<String>,
}

impl MapRecord {
    /// What is not said here is taken from `other`.
    pub fn or(self, other: MapRecord) -> MapRecord {
        MapRecord {
            name: self.name.or(other.name),
            width_m: self.width_m.or(other.width_m),
            height_m: self.height_m.or(other.height_m),
            ppm: self.ppm.or(other.ppm),
            orientation_deg: self.orientation_deg.or(other.orientation_deg),
            occupancy_limit: self.occupancy_limit.or(other.occupancy_limit),
            georeference_json: self.georeference_json.or(other.georeference_json),
            collection_json: self.collection_json.or(other.collection_json),
        }
    }
}

/// A control point as its column holds it.
#[derive(serde::Serialize, serde::Deserialize)]
struct StoredPoint {
    lon_deg: f64,
    lat_deg: f64,
    x_m: f64,
    y_m: f64,
}

pub fn georeference_json(georeference: &Georeference) -> String {
    let points = georeference.control_points.iter();
    let stored: Vec<_> =
        points.map(|&ControlPoint { lon_deg, lat_deg, x_m, y_m }| StoredPoint { lon_deg, lat_deg, x_m, y_m }).collect();
    serde_json::json!(stored).to_string()
}

pub fn georeference(json: &str) -> Result<Georeference, StoreError> {
    let stored: Vec<StoredPoint> = serde_json::from_str(json)
        .map_err(|error| StoreError::Corrupt { what: "georeference", problem: error.to_string() })?;
    let points = stored.into_iter();
    let control_points =
        points.map(|StoredPoint { lon_deg, lat_deg, x_m, y_m }| ControlPoint { lon_deg, lat_deg, x_m, y_m }).collect();
    Ok(Georeference { control_points })
}

/// A map as it is valid now.
pub fn map_now(conn: &Connection, key: MapKey) -> Result<Option<MapRecord>, StoreError> {
    let sql = "SELECT name, width_m, height_m, ppm, orientation_deg, occupancy_limit, georeference, collection
               FROM store.map_versions WHERE map_key = ? AND valid_to IS NULL";
    let found = conn.query_row(sql, params![key.0], |row| {
        Ok(MapRecord {
            name: row.get(0)?,
            width_m: row.get(1)?,
            height_m: row.get(2)?,
            ppm: row.get(3)?,
            orientation_deg: row.get(4)?,
            occupancy_limit: row.get(5)?,
            georeference_json: row.get(6)?,
            collection_json: row.get(7)?,
        })
    });
    Ok(found.optional()?)
}

pub fn put_map(
    conn: &Connection,
    key: MapKey,
    site: Option<SiteKey>,
    record: &MapRecord,
    now: ReceivedAt,
) -> Result<Effect, StoreError> {
    let mut has_moved = false;
    if let Some(site) = site {
        let sql = "UPDATE store.maps SET site_key = $1 WHERE map_key = $2 AND site_key IS DISTINCT FROM $1";
        has_moved = conn.execute(sql, params![site.0, key.0])? > 0;
        // What lies on a map is where the map is.
        let sql = "UPDATE store.areas SET site_key = $1 WHERE map_key = $2 AND site_key IS DISTINCT FROM $1";
        conn.execute(sql, params![site.0, key.0])?;
    }
    let effect = Effect::of(map_now(conn, key)?, record);
    if effect == Effect::Unchanged {
        return Ok(if has_moved { Effect::Changed } else { Effect::Unchanged });
    }
    let version = next_version(conn, "map_versions", "map_key", key.0, now)?;
    append(
        conn,
        &[row::MapVersion {
            map_key: column(key.0),
            version,
            valid_from: Instant(now.0),
            valid_to: None,
            name: record.name.clone(),
            width_m: record.width_m,
            height_m: record.height_m,
            ppm: record.ppm,
            orientation_deg: record.orientation_deg,
            occupancy_limit: record.occupancy_limit,
            georeference: record.georeference_json.clone().map(Json),
            collection: record.collection_json.clone().map(Json),
        }],
    )?;
    Ok(effect)
}

/// An area as it is stored: its shape, tags, properties and feature are JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct AreaRecord {
    pub name: Option<String>,
    pub shape_json: String,
    pub tags_json: String,
    pub occupancy_limit: Option<i64>,
    pub properties_json: Option<String>,
    pub feature: Option<FeatureRecord>,
}

/// The GeoJSON feature an area came from, and what its coordinates are.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureRecord {
    pub json: String,
    pub units: String,
    pub ppm: Option<f64>,
}

/// An area on its way into the file.
#[derive(Clone, Debug)]
pub struct AreaPut {
    pub key: AreaKey,
    /// `None` here and in `map` leaves what is known.
    pub site: Option<SiteKey>,
    pub map: Option<MapKey>,
    pub record: AreaRecord,
}

/// What is stored of an area that is to be put.
struct AreaNow {
    site: Option<u32>,
    map: Option<u32>,
    /// Its versions so far, valid or not.
    versions: i32,
    /// What is valid, and the map that it says.
    valid: Option<(AreaRecord, Option<u32>)>,
}

/// Puts areas in the place of what was valid of them; what is the same stays. The effects stand in the order of `areas`.
///
/// Costs a few statements, however many areas.
pub fn put_areas(conn: &Connection, areas: &[AreaPut], now: ReceivedAt) -> Result<Vec<Effect>, StoreError> {
    let before = areas_now(conn, areas.iter().map(|area| area.key))?;
    let (mut effects, mut ended, mut rows) = (Vec::with_capacity(areas.len()), Vec::new(), Vec::new());
    let mut moved: BTreeMap<(Option<u32>, Option<u32>), Vec<AreaKey>> = BTreeMap::new();
    for AreaPut { key, site, map, record } in areas {
        let before = before.get(key).ok_or_else(|| StoreError::Corrupt {
            what: "areas",
            problem: format!("area {} has a key but no row", key.0),
        })?;
        let (site, map) = (site.map(|site| site.0), map.map(|map| map.0));
        let has_moved = (site.is_some() && site != before.site) || (map.is_some() && map != before.map);
        if has_moved {
            moved.entry((site, map)).or_default().push(*key);
        }
        let is_same = |(valid, on): &(AreaRecord, Option<u32>)| valid == record && (map.is_none() || map == *on);
        let effect = match &before.valid {
            Some(valid) if is_same(valid) && has_moved => Effect::Changed,
            Some(valid) if is_same(valid) => Effect::Unchanged,
            valid => {
                ended.extend(valid.is_some().then_some(*key));
                rows.push(area_version(*key, before.versions + 1, map, record, now));
                if valid.is_some() { Effect::Changed } else { Effect::New }
            }
        };
        effects.push(effect);
    }
    for ((site, map), keys) in moved {
        let sql = format!(
            "UPDATE store.areas SET site_key = coalesce(?, site_key), map_key = coalesce(?, map_key)
             WHERE area_key IN ({})",
            listed(keys.into_iter())
        );
        conn.execute(&sql, params![site, map])?;
    }
    end_areas(conn, &ended, now)?;
    append(conn, &rows)?;
    Ok(effects)
}

fn area_version(
    key: AreaKey,
    version: i32,
    map: Option<u32>,
    record: &AreaRecord,
    now: ReceivedAt,
) -> row::AreaVersion {
    row::AreaVersion {
        area_key: column(key.0),
        version,
        valid_from: Instant(now.0),
        valid_to: None,
        name: record.name.clone(),
        shape: Json(record.shape_json.clone()),
        tags: Json(record.tags_json.clone()),
        occupancy_limit: record.occupancy_limit,
        properties: record.properties_json.clone().map(Json),
        map_key: map.map(column),
        feature: record.feature.as_ref().map(|feature| Json(feature.json.clone())),
        feature_units: record.feature.as_ref().map(|feature| feature.units.clone()),
        feature_ppm: record.feature.as_ref().and_then(|feature| feature.ppm),
    }
}

fn areas_now(
    conn: &Connection,
    keys: impl Iterator<Item = AreaKey>,
) -> Result<FxHashMap<AreaKey, AreaNow>, StoreError> {
    let sql = format!(
        "SELECT a.area_key, a.site_key, a.map_key,
             (SELECT coalesce(max(version), 0) FROM store.area_versions o WHERE o.area_key = a.area_key),
             v.area_key IS NOT NULL, v.name, v.shape, v.tags, v.occupancy_limit, v.properties, v.feature, v.feature_units,
             v.feature_ppm, v.map_key
         FROM store.areas a
         LEFT JOIN store.area_versions v ON v.area_key = a.area_key AND v.valid_to IS NULL
         WHERE a.area_key IN ({})",
        listed(keys)
    );
    let mut statement = conn.prepare(&sql)?;
    let found = statement.query_map([], |row| {
        let valid = if row.get(4)? {
            let (json, units): (Option<String>, Option<String>) = (row.get(10)?, row.get(11)?);
            let ppm = row.get(12)?;
            let record = AreaRecord {
                name: row.get(5)?,
                shape_json: row.get(6)?,
                tags_json: row.get(7)?,
                occupancy_limit: row.get(8)?,
                properties_json: row.get(9)?,
                feature: json.zip(units).map(|(json, units)| FeatureRecord { json, units, ppm }),
            };
            Some((record, row.get(13)?))
        } else {
            None
        };
        Ok((AreaKey(row.get(0)?), AreaNow { site: row.get(1)?, map: row.get(2)?, versions: row.get(3)?, valid }))
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Keys as a list in SQL: they are integers of our own, and a list of thousands binds slowly.
fn listed(keys: impl Iterator<Item = AreaKey>) -> String {
    let keys: Vec<String> = keys.map(|key| key.0.to_string()).collect();
    if keys.is_empty() { "NULL".into() } else { keys.join(",") }
}

/// An area's own settings; a `None` among them means the site's.
pub fn put_area_settings(
    conn: &Connection,
    key: AreaKey,
    rules: RuleSettings,
    source: Option<Source>,
    now: ReceivedAt,
) -> Result<(), StoreError> {
    conn.execute(
        "UPDATE store.areas SET authoritative_source = ? WHERE area_key = ?",
        params![source.map(|source| source as u8), key.0],
    )?;
    put_rules(conn, "areas", "area_key", key.0, rules, now)
}

/// A map's uploaded areas of one kind: keys, ids and names.
pub fn areas_on_map(
    conn: &Connection,
    map: MapKey,
    kind: AreaKind,
) -> Result<Vec<(AreaKey, String, Option<String>)>, StoreError> {
    let mut statement = conn.prepare(
        "SELECT a.area_key, a.area_id, v.name
         FROM store.areas a JOIN store.area_versions v ON v.area_key = a.area_key AND v.valid_to IS NULL
         WHERE a.map_key = ? AND a.kind = ? ORDER BY a.area_key",
    )?;
    let areas =
        statement.query_map(params![map.0, kind as u8], |row| Ok((AreaKey(row.get(0)?), row.get(1)?, row.get(2)?)))?;
    Ok(areas.collect::<Result<_, _>>()?)
}

/// Ends the current versions of areas; their history stays.
pub fn end_areas(conn: &Connection, keys: &[AreaKey], now: ReceivedAt) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE store.area_versions SET valid_to = epoch_ms(?::BIGINT)::TIMESTAMPTZ
         WHERE valid_to IS NULL AND area_key IN ({})",
        listed(keys.iter().copied())
    );
    conn.execute(&sql, params![now.0])?;
    Ok(())
}

/// Ends a map's current version and those of its zones and beacons; their history stays.
pub fn end_map(conn: &Connection, key: MapKey, now: ReceivedAt) -> Result<(), StoreError> {
    end_version(conn, "map_versions", "map_key", key.0, now)?;
    end_version(conn, "map_images", "map_key", key.0, now)?;
    conn.execute(
        "UPDATE store.area_versions SET valid_to = epoch_ms(?::BIGINT)::TIMESTAMPTZ
         WHERE valid_to IS NULL AND area_key IN (SELECT area_key FROM store.areas WHERE map_key = ?)",
        params![now.0, key.0],
    )?;
    Ok(())
}

/// Puts an image in the place of the one that was valid until then; the same image again changes nothing.
pub fn put_image(conn: &Connection, image: row::MapImage) -> Result<Effect, StoreError> {
    let sql = "SELECT image = ? FROM store.map_images WHERE map_key = ? AND valid_to IS NULL";
    let is_same: Option<bool> =
        conn.query_row(sql, params![image.image, image.map_key], |row| row.get(0)).optional()?;
    let effect = Effect::of(is_same, &true);
    if effect != Effect::Unchanged {
        end_version(conn, "map_images", "map_key", image.map_key as u32, ReceivedAt(image.uploaded_at.0))?;
        append(conn, &[image])?;
    }
    Ok(effect)
}

/// Places access points: each stands in one place only. If the list is all of the map, others on it are taken away, and
/// told after the effects.
pub fn put_access_points(
    conn: &Connection,
    map: MapKey,
    rows: &[row::AccessPoint],
    is_complete: bool,
) -> Result<(Vec<Effect>, Vec<row::AccessPoint>), StoreError> {
    let ids: Vec<&str> = rows.iter().map(|ap| ap.ap_id.as_str()).collect();
    let mut statement = conn.prepare(
        "SELECT ap_id, mac, name, map_key, x_m, y_m, height_m, orientation_deg FROM store.access_points
         WHERE map_key = ? OR ap_id IN (SELECT unnest(from_json(?, '[\"VARCHAR\"]')))",
    )?;
    let before: FxHashMap<String, row::AccessPoint> = statement
        .query_map(params![map.0, serde_json::json!(ids).to_string()], |row| {
            let ap = row::AccessPoint {
                ap_id: row.get(0)?,
                mac: row.get(1)?,
                name: row.get(2)?,
                map_key: row.get(3)?,
                x_m: row.get(4)?,
                y_m: row.get(5)?,
                height_m: row.get(6)?,
                orientation_deg: row.get(7)?,
            };
            Ok((ap.ap_id.clone(), ap))
        })?
        .collect::<Result<_, _>>()?;
    if is_complete {
        conn.execute("DELETE FROM store.access_points WHERE map_key = ?", params![map.0])?;
    }
    let effects: Vec<Effect> = rows.iter().map(|ap| Effect::of(before.get(&ap.ap_id), &ap)).collect();
    let is_to_write = |effect: &Effect| is_complete || *effect != Effect::Unchanged;
    let (mut written, mut delete) = (Vec::new(), conn.prepare("DELETE FROM store.access_points WHERE ap_id = ?")?);
    for (ap, effect) in rows.iter().zip(&effects).filter(|(_, effect)| is_to_write(effect)) {
        if *effect == Effect::Changed {
            delete.execute(params![ap.ap_id])?;
        }
        written.push(ap.clone());
    }
    append(conn, &written)?;
    let is_kept = |ap: &row::AccessPoint| rows.iter().any(|row| row.ap_id == ap.ap_id);
    let mut gone: Vec<_> = before.into_values().filter(|ap| ap.map_key == column(map.0) && !is_kept(ap)).collect();
    gone.retain(|_| is_complete);
    gone.sort_by(|a, b| a.ap_id.cmp(&b.ap_id));
    Ok((effects, gone))
}

/// Ends the current version, if there is one, and gives the number of the next. Tables and columns are our own words.
fn next_version(
    conn: &Connection,
    table: &str,
    key_column: &str,
    key: u32,
    now: ReceivedAt,
) -> Result<i32, StoreError> {
    end_version(conn, table, key_column, key, now)?;
    let sql = format!("SELECT coalesce(max(version), 0) + 1 FROM store.{table} WHERE {key_column} = ?");
    Ok(conn.query_row(&sql, params![key], |row| row.get(0))?)
}

fn end_version(conn: &Connection, table: &str, key_column: &str, key: u32, now: ReceivedAt) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE store.{table} SET valid_to = epoch_ms(?::BIGINT)::TIMESTAMPTZ
         WHERE {key_column} = ? AND valid_to IS NULL"
    );
    conn.execute(&sql, params![now.0, key])?;
    Ok(())
}
