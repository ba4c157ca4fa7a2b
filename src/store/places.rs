//! Writes what people upload: sites, maps, areas, images. A change makes a new version and ends the old one.
//!
//! Each function runs inside the caller's transaction and does nothing when nothing changes.

use duckdb::{Connection, OptionalExt, params};

use super::StoreError;
use super::restore::RuleSettings;
use super::row::{self, Instant, Json, column};
use super::writer::append;
use crate::model::ids::{AreaKey, MapKey, SiteId, SiteKey};
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
}

pub fn put_site(conn: &Connection, key: SiteKey, record: &SiteRecord, now: ReceivedAt) -> Result<(), StoreError> {
    conn.execute(
        "UPDATE store.sites SET name = ?, time_zone = ?, dwell_bands = ? WHERE site_key = ?",
        params![record.name, record.time_zone, record.dwell_bands_json, key.0],
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

pub fn put_map(
    conn: &Connection,
    key: MapKey,
    site: Option<SiteKey>,
    record: &MapRecord,
    now: ReceivedAt,
) -> Result<(), StoreError> {
    if let Some(site) = site {
        conn.execute("UPDATE store.maps SET site_key = ? WHERE map_key = ?", params![site.0, key.0])?;
    }
    let current = conn
        .query_row(
            "SELECT name, width_m, height_m, ppm, orientation_deg, occupancy_limit, georeference, collection
             FROM store.map_versions WHERE map_key = ? AND valid_to IS NULL",
            params![key.0],
            |row| {
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
            },
        )
        .optional()?;
    if current.as_ref() == Some(record) {
        return Ok(());
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
    )
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

pub fn put_area(
    conn: &Connection,
    key: AreaKey,
    site: Option<SiteKey>,
    map: Option<MapKey>,
    record: &AreaRecord,
    now: ReceivedAt,
) -> Result<(), StoreError> {
    conn.execute(
        "UPDATE store.areas SET site_key = coalesce(?, site_key), map_key = coalesce(?, map_key) WHERE area_key = ?",
        params![site.map(|site| site.0), map.map(|map| map.0), key.0],
    )?;
    let current = conn
        .query_row(
            "SELECT name, shape, tags, occupancy_limit, properties, feature, feature_units, feature_ppm, map_key
             FROM store.area_versions WHERE area_key = ? AND valid_to IS NULL",
            params![key.0],
            |row| {
                let (json, units): (Option<String>, Option<String>) = (row.get(5)?, row.get(6)?);
                let ppm = row.get(7)?;
                let record = AreaRecord {
                    name: row.get(0)?,
                    shape_json: row.get(1)?,
                    tags_json: row.get(2)?,
                    occupancy_limit: row.get(3)?,
                    properties_json: row.get(4)?,
                    feature: json.zip(units).map(|(json, units)| FeatureRecord { json, units, ppm }),
                };
                Ok((record, row.get::<_, Option<u32>>(8)?.map(MapKey)))
            },
        )
        .optional()?;
    if current.is_some_and(|(current, on)| current == *record && (map.is_none() || map == on)) {
        return Ok(());
    }
    let version = next_version(conn, "area_versions", "area_key", key.0, now)?;
    append(
        conn,
        &[row::AreaVersion {
            area_key: column(key.0),
            version,
            valid_from: Instant(now.0),
            valid_to: None,
            name: record.name.clone(),
            shape: Json(record.shape_json.clone()),
            tags: Json(record.tags_json.clone()),
            occupancy_limit: record.occupancy_limit,
            properties: record.properties_json.clone().map(Json),
            map_key: map.map(|map| column(map.0)),
            feature: record.feature.as_ref().map(|feature| Json(feature.json.clone())),
            feature_units: record.feature.as_ref().map(|feature| feature.units.clone()),
            feature_ppm: record.feature.as_ref().and_then(|feature| feature.ppm),
        }],
    )
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

/// The keys of a map's uploaded areas of one kind.
pub fn areas_on_map(conn: &Connection, map: MapKey, kind: u8) -> Result<Vec<AreaKey>, StoreError> {
    let mut statement = conn.prepare(
        "SELECT a.area_key FROM store.areas a JOIN store.area_versions v ON v.area_key = a.area_key AND v.valid_to IS NULL
         WHERE a.map_key = ? AND a.kind = ? ORDER BY a.area_key",
    )?;
    let keys = statement.query_map(params![map.0, kind], |row| Ok(AreaKey(row.get(0)?)))?;
    Ok(keys.collect::<Result<_, _>>()?)
}

/// Ends an area's current version; its history stays.
pub fn end_area(conn: &Connection, key: AreaKey, now: ReceivedAt) -> Result<(), StoreError> {
    end_version(conn, "area_versions", "area_key", key.0, now)
}

/// Ends a map's current version and those of its zones and beacons; their history stays.
pub fn end_map(conn: &Connection, key: MapKey, now: ReceivedAt) -> Result<(), StoreError> {
    end_version(conn, "map_versions", "map_key", key.0, now)?;
    conn.execute(
        "UPDATE store.area_versions SET valid_to = epoch_ms(?::BIGINT)::TIMESTAMPTZ
         WHERE valid_to IS NULL AND area_key IN (SELECT area_key FROM store.areas WHERE map_key = ?)",
        params![now.0, key.0],
    )?;
    Ok(())
}

/// Puts an image in the place of the one that was valid until then; the same image again changes nothing.
pub fn put_image(conn: &Connection, image: row::MapImage) -> Result<(), StoreError> {
    let is_there: bool = conn.query_row(
        "SELECT count(*) > 0 FROM store.map_images WHERE map_key = ? AND valid_to IS NULL AND image = ?",
        params![image.map_key, image.image],
        |row| row.get(0),
    )?;
    if is_there {
        return Ok(());
    }
    end_version(conn, "map_images", "map_key", image.map_key as u32, ReceivedAt(image.uploaded_at.0))?;
    append(conn, &[image])
}

/// Replaces the access points of a map.
pub fn put_access_points(conn: &Connection, map: MapKey, rows: &[row::AccessPoint]) -> Result<(), StoreError> {
    conn.execute("DELETE FROM store.access_points WHERE map_key = ?", params![map.0])?;
    append(conn, rows)
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
