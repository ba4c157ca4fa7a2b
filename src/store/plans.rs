//! Maps and areas as they are, or as they were at a time: every version is kept.
//!
//! `at_ms` in a question: Unix milliseconds of the server's clock; `None` asks for what is valid now.

use std::collections::HashMap;

use duckdb::Connection;
use duckdb::types::Value;

use super::StoreError;
use super::kept_areas::Ground;
use super::places::georeference;
use super::queries::{Scope, also, ask, text};
use super::restore::{RuleSettings, area_kind, outline_of_shape, source};
use crate::model::floorplan::{AreaPlan, Drawn, Georeference, Shape, Units};
use crate::model::ids::{AreaId, AreaKind, Id, SiteKey};
use crate::model::visit::Source;

/// Of the versions `v` those that are valid at the time of parameter `$at`, or now.
macro_rules! valid {
    ($at:literal) => {
        concat!(
            "(CASE WHEN ",
            $at,
            " IS NULL THEN v.valid_to IS NULL
              ELSE v.valid_from <= epoch_ms(",
            $at,
            "::BIGINT)::TIMESTAMPTZ AND (v.valid_to IS NULL OR v.valid_to > epoch_ms(",
            $at,
            "::BIGINT)::TIMESTAMPTZ) END)"
        )
    };
}

/// The code of the authoritative source of an area a with its version v.
macro_rules! authoritative {
    () => {
        "coalesce(a.authoritative_source, CASE WHEN a.kind = 0 AND v.area_key IS NOT NULL THEN 0 ELSE 1 END)"
    };
}

fn instant(at_ms: Option<i64>) -> Value {
    at_ms.map_or(Value::Null, Value::BigInt)
}

/// A map with one of its versions.
#[derive(Clone, Debug)]
pub struct MapRow {
    pub key: i32,
    pub id: String,
    pub site_id: Option<String>,
    /// Whether it has a version at the time in question.
    pub is_mapped: bool,
    pub name: Option<String>,
    pub width_m: Option<f64>,
    pub height_m: Option<f64>,
    pub ppm: Option<f64>,
    pub orientation_deg: Option<f64>,
    pub occupancy_limit: Option<i64>,
    pub georeference_json: Option<String>,
    pub collection_json: Option<String>,
    pub version: i64,
    pub valid_from_ms: Option<i64>,
    /// `None`: it is valid still.
    pub valid_to_ms: Option<i64>,
    pub image_type: Option<String>,
}

impl MapRow {
    pub fn georeference(&self) -> Result<Option<Georeference>, StoreError> {
        self.georeference_json.as_deref().map(georeference).transpose()
    }
}

const MAP_COLUMNS: &str = "m.map_key, m.map_id, s.site_id, v.map_key IS NOT NULL, v.name, v.width_m, v.height_m, v.ppm,
    v.orientation_deg, v.occupancy_limit, v.georeference, v.collection, coalesce(v.version, 0), epoch_ms(v.valid_from),
    epoch_ms(v.valid_to)";

fn map_row(row: &duckdb::Row<'_>) -> Result<MapRow, duckdb::Error> {
    Ok(MapRow {
        key: row.get(0)?,
        id: row.get(1)?,
        site_id: row.get(2)?,
        is_mapped: row.get(3)?,
        name: row.get(4)?,
        width_m: row.get(5)?,
        height_m: row.get(6)?,
        ppm: row.get(7)?,
        orientation_deg: row.get(8)?,
        occupancy_limit: row.get(9)?,
        georeference_json: row.get(10)?,
        collection_json: row.get(11)?,
        version: row.get(12)?,
        valid_from_ms: row.get(13)?,
        valid_to_ms: row.get(14)?,
        image_type: row.get(15)?,
    })
}

/// Maps: all, those of a site, or the one of that id. One that was not valid is there without a version.
pub fn maps(
    conn: &Connection,
    site: Option<&str>,
    id: Option<&str>,
    at_ms: Option<i64>,
) -> Result<Vec<MapRow>, StoreError> {
    let sql = format!(
        "SELECT {MAP_COLUMNS}, i.content_type
         FROM store.maps m
         LEFT JOIN (FROM store.map_versions v WHERE {}) v ON v.map_key = m.map_key
         LEFT JOIN store.sites s ON s.site_key = m.site_key
         LEFT JOIN (SELECT v.map_key, v.content_type
                    FROM (SELECT *, uploaded_at AS valid_from FROM store.map_images) v WHERE {}) i
             ON i.map_key = m.map_key
         WHERE ($1 IS NULL OR s.site_id = $1) AND ($2 IS NULL OR m.map_id = $2)
         ORDER BY s.site_id, v.name, m.map_id",
        valid!("$3"),
        valid!("$3")
    );
    let own = |text: Option<&str>| text.map(str::to_owned);
    ask(conn, &sql, vec![text(&own(site)), text(&own(id)), instant(at_ms)], map_row)
}

/// What a heat map needs of the map of that id, as it is now.
pub(super) fn ground(conn: &Connection, id: &str) -> Result<Option<Ground>, StoreError> {
    let sql = "SELECT m.map_key, m.site_key, v.width_m, v.height_m, s.exit_grace_s, s.presence_timeout_s, s.reported_timeout_s
               FROM store.maps m
               LEFT JOIN store.map_versions v ON v.map_key = m.map_key AND v.valid_to IS NULL
               LEFT JOIN store.sites s ON s.site_key = m.site_key
               WHERE m.map_id = ?";
    let found = ask(conn, sql, vec![Value::Text(id.into())], |row| {
        Ok(Ground {
            map: row.get(0)?,
            site: row.get(1)?,
            width_m: row.get(2)?,
            height_m: row.get(3)?,
            rules: RuleSettings::read(row, 4)?,
        })
    })?;
    Ok(found.into_iter().next())
}

/// All versions of a map, newest first.
pub fn map_versions(conn: &Connection, id: &str) -> Result<Vec<MapRow>, StoreError> {
    let sql = format!(
        "SELECT {MAP_COLUMNS}, NULL
         FROM store.maps m
         JOIN store.map_versions v ON v.map_key = m.map_key
         LEFT JOIN store.sites s ON s.site_key = m.site_key
         WHERE m.map_id = ? ORDER BY v.version DESC"
    );
    ask(conn, &sql, vec![Value::Text(id.into())], map_row)
}

/// A map's image: its content type and its bytes.
pub fn map_image(conn: &Connection, map_id: &str, at_ms: Option<i64>) -> Result<Option<(String, Vec<u8>)>, StoreError> {
    let sql = concat!(
        "SELECT v.content_type, v.image
         FROM (SELECT *, uploaded_at AS valid_from FROM store.map_images) v JOIN store.maps m USING (map_key)
         WHERE m.map_id = $1 AND ",
        valid!("$2")
    );
    let found = ask(conn, sql, vec![Value::Text(map_id.into()), instant(at_ms)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.into_iter().next())
}

/// An access point on a map.
#[derive(Clone, Debug)]
pub struct AccessPointRow {
    pub id: String,
    pub mac: Option<String>,
    pub name: Option<String>,
    pub x_m: f64,
    pub y_m: f64,
    pub height_m: Option<f64>,
    pub orientation_deg: Option<f64>,
}

pub fn access_points(conn: &Connection, map_key: i32) -> Result<Vec<AccessPointRow>, StoreError> {
    let sql = "SELECT ap_id, mac, name, x_m, y_m, height_m, orientation_deg FROM store.access_points
               WHERE map_key = ? ORDER BY name, ap_id";
    ask(conn, sql, vec![Value::Int(map_key)], |row| {
        Ok(AccessPointRow {
            id: row.get(0)?,
            mac: row.get(1)?,
            name: row.get(2)?,
            x_m: row.get(3)?,
            y_m: row.get(4)?,
            height_m: row.get(5)?,
            orientation_deg: row.get(6)?,
        })
    })
}

/// An area with one of its versions.
#[derive(Clone, Debug)]
pub struct AreaRow {
    pub kind: AreaKind,
    pub id: String,
    pub name: Option<String>,
    pub site_id: Option<String>,
    pub map_id: Option<String>,
    pub tags_json: Option<String>,
    pub occupancy_limit: Option<i64>,
    pub shape_json: Option<String>,
    pub properties_json: Option<String>,
    pub feature_json: Option<String>,
    pub feature_units: Option<String>,
    pub feature_ppm: Option<f64>,
    pub version: i64,
    pub valid_from_ms: Option<i64>,
    /// `None`: it is valid still.
    pub valid_to_ms: Option<i64>,
    /// Whether it has a version at the time in question.
    pub is_mapped: bool,
    pub source: Source,
    pub rules: RuleSettings,
}

const AREA_COLUMNS: &str = concat!(
    "a.kind, a.area_id, v.name, s.site_id, m.map_id, v.tags, v.occupancy_limit, v.shape, v.properties,
    v.feature, v.feature_units, v.feature_ppm, coalesce(v.version, 0), epoch_ms(v.valid_from), epoch_ms(v.valid_to),
    v.area_key IS NOT NULL, ",
    authoritative!(),
    ",
    a.exit_grace_s, a.presence_timeout_s, a.reported_timeout_s"
);

fn area_row(row: &duckdb::Row<'_>) -> Result<AreaRow, duckdb::Error> {
    Ok(AreaRow {
        kind: area_kind(row.get(0)?),
        id: row.get(1)?,
        name: row.get(2)?,
        site_id: row.get(3)?,
        map_id: row.get(4)?,
        tags_json: row.get(5)?,
        occupancy_limit: row.get(6)?,
        shape_json: row.get(7)?,
        properties_json: row.get(8)?,
        feature_json: row.get(9)?,
        feature_units: row.get(10)?,
        feature_ppm: row.get(11)?,
        version: row.get(12)?,
        valid_from_ms: row.get(13)?,
        valid_to_ms: row.get(14)?,
        is_mapped: row.get(15)?,
        source: source(row.get(16)?),
        rules: RuleSettings {
            exit_grace_s: row.get(17)?,
            presence_timeout_s: row.get(18)?,
            reported_timeout_s: row.get(19)?,
        },
    })
}

/// The areas of a scope; only its site, map, area, area kind and tag count. One that was not valid is there without a version.
pub fn areas(conn: &Connection, scope: &Scope, at_ms: Option<i64>) -> Result<Vec<AreaRow>, StoreError> {
    let mut params = vec![instant(at_ms)];
    let sql = format!(
        "SELECT {AREA_COLUMNS}
         FROM store.areas a
         LEFT JOIN (FROM store.area_versions v WHERE {}) v ON v.area_key = a.area_key
         LEFT JOIN store.maps m ON m.map_key = coalesce(v.map_key, a.map_key)
         LEFT JOIN store.sites s ON s.site_key = coalesce(a.site_key, m.site_key)
         WHERE {}
         ORDER BY s.site_id, m.map_id, a.kind, v.name, a.area_id",
        valid!("$1"),
        conditions(scope, &mut params)
    );
    ask(conn, &sql, params, area_row)
}

/// An area that a question is about.
#[derive(Clone, Debug)]
pub struct AreaAsked {
    pub key: i32,
    pub kind: AreaKind,
    pub id: String,
    pub name: Option<String>,
    /// Whether it was uploaded.
    pub is_mapped: bool,
    pub site: Option<SiteKey>,
    pub site_id: Option<String>,
    /// Of its site.
    pub dwell_bands_json: Option<String>,
    /// Of its site.
    pub time_zone: Option<String>,
    pub map_id: Option<String>,
    pub occupancy_limit: Option<i64>,
    /// The authoritative one.
    pub source: Source,
}

/// The same areas as they are now, as far as questions about visits go: what [`AreaRow`] has beside takes as long to plan as the
/// rest.
pub fn areas_asked(conn: &Connection, scope: &Scope) -> Result<Vec<AreaAsked>, StoreError> {
    let mut params = Vec::new();
    let columns = "a.area_key, a.kind, a.area_id, v.name, v.area_key IS NOT NULL, s.site_key, s.site_id, s.dwell_bands, \
                   s.time_zone, m.map_id, v.occupancy_limit";
    let source_counted = authoritative!();
    let sql = format!(
        "SELECT {columns}, {source_counted} {AREAS_NOW} {PLACES_OF_AREAS} WHERE {}
         ORDER BY s.site_id, m.map_id, a.kind, v.name, a.area_id",
        conditions(scope, &mut params)
    );
    ask(conn, &sql, params, |row| {
        Ok(AreaAsked {
            key: row.get(0)?,
            kind: area_kind(row.get(1)?),
            id: row.get(2)?,
            name: row.get(3)?,
            is_mapped: row.get(4)?,
            site: row.get::<_, Option<u32>>(5)?.map(SiteKey),
            site_id: row.get(6)?,
            dwell_bands_json: row.get(7)?,
            time_zone: row.get(8)?,
            map_id: row.get(9)?,
            occupancy_limit: row.get(10)?,
            source: source(row.get(11)?),
        })
    })
}

/// To look areas up by the keys that rows have.
pub(super) fn areas_by_key(areas: &[AreaAsked]) -> HashMap<i32, &AreaAsked> {
    areas.iter().map(|area| (area.key, area)).collect()
}

/// Areas a with their versions v as they are now.
const AREAS_NOW: &str =
    "FROM store.areas a LEFT JOIN store.area_versions v ON v.area_key = a.area_key AND v.valid_to IS NULL";

/// Their maps m and sites s.
const PLACES_OF_AREAS: &str = "LEFT JOIN store.maps m ON m.map_key = coalesce(v.map_key, a.map_key) \
     LEFT JOIN store.sites s ON s.site_key = coalesce(a.site_key, m.site_key)";

/// More areas are asked for together with the visits: to read so many keys takes longer. Tests have both ways.
const LISTED_MAX: usize = if cfg!(test) { 2 } else { 500 };

/// A condition on visits, that they are of the areas of a scope, which are given, each with the source that counts. Keys that
/// are known when a question is planned are looked for as rows are read. Its parameters come after those there are.
pub(super) fn of_areas(areas: &[AreaAsked], scope: &Scope, params: &mut Vec<Value>) -> String {
    if areas.len() > LISTED_MAX {
        let places = if scope.site.is_some() || scope.map.is_some() { PLACES_OF_AREAS } else { "" };
        let source = scope.source.map_or(authoritative!().to_owned(), |source| format!("{}::UTINYINT", source as u8));
        let conditions = conditions(scope, params);
        return format!("(area_key, source) IN (SELECT a.area_key, {source} {AREAS_NOW} {places} WHERE {conditions})");
    }
    let of_source = |source: Source| {
        let areas = areas.iter().filter(|area| scope.source.unwrap_or(area.source) == source);
        let keys: Vec<String> = areas.map(|area| area.key.to_string()).collect();
        (!keys.is_empty()).then(|| format!("source = {} AND area_key IN ({})", source as u8, keys.join(", ")))
    };
    let conditions: Vec<String> = [Source::Computed, Source::Reported].into_iter().filter_map(of_source).collect();
    if conditions.is_empty() { "false".to_owned() } else { format!("({})", conditions.join(" OR ")) }
}

/// What a scope asks of areas a, their versions v, maps m and sites s; its parameters come after those there are.
fn conditions(scope: &Scope, params: &mut Vec<Value>) -> String {
    let mut sql = "true".to_owned();
    let mut also = |condition: &str, value| also(&mut sql, params, condition, value);
    let text = |text: &Option<String>| text.clone().map(Value::Text);
    also("s.site_id = ?", text(&scope.site));
    also("m.map_id = ?", text(&scope.map));
    also("a.area_id = ?", text(&scope.area));
    also("a.kind = ?", scope.area_kind.map(|kind| Value::UTinyInt(kind as u8)));
    also("json_contains(v.tags, to_json(?::VARCHAR))", text(&scope.tag));
    sql
}

/// All versions of an area, newest first.
pub fn area_versions(conn: &Connection, kind: AreaKind, id: &str) -> Result<Vec<AreaRow>, StoreError> {
    let sql = format!(
        "SELECT {AREA_COLUMNS}
         FROM store.areas a
         JOIN store.area_versions v ON v.area_key = a.area_key
         LEFT JOIN store.maps m ON m.map_key = coalesce(v.map_key, a.map_key)
         LEFT JOIN store.sites s ON s.site_key = coalesce(a.site_key, m.site_key)
         WHERE a.kind = ? AND a.area_id = ? ORDER BY v.version DESC"
    );
    ask(conn, &sql, vec![Value::UTinyInt(kind as u8), Value::Text(id.into())], area_row)
}

impl AreaRow {
    /// The area as it was uploaded; `None` where it has no version.
    pub fn plan(&self) -> Result<Option<AreaPlan>, StoreError> {
        let Some(shape_json) = &self.shape_json else { return Ok(None) };
        let tags = self.tags_json.as_deref().map(|json| parsed("area tags", json)).transpose()?;
        let units = match (self.feature_units.as_deref(), self.feature_ppm) {
            (Some("metres"), _) => Some(Units::Metres),
            (Some("pixels"), Some(ppm)) => Some(Units::Pixels { ppm }),
            (Some("wgs84"), _) => Some(Units::Wgs84),
            _ => None,
        };
        Ok(Some(AreaPlan {
            id: AreaId { kind: self.kind, id: Id::object(&self.id) },
            name: self.name.clone(),
            shape: shape(self.kind, shape_json)?,
            tags: tags.unwrap_or_default(),
            occupancy_limit: self.occupancy_limit,
            properties_json: self.properties_json.clone(),
            drawn: self.feature_json.clone().zip(units).map(|(feature_json, units)| Drawn { units, feature_json }),
        }))
    }
}

/// A shape from its column.
fn shape(kind: AreaKind, json: &str) -> Result<Shape, StoreError> {
    #[derive(serde::Deserialize)]
    struct Vbeacon {
        x_m: f64,
        y_m: f64,
        details: serde_json::Value,
    }
    #[derive(serde::Deserialize)]
    struct Rssizone {
        devices: Vec<Device>,
    }
    #[derive(serde::Deserialize)]
    struct Device {
        device_id: String,
        rssi_dbm: f64,
    }
    Ok(match kind {
        AreaKind::Zone => Shape::Zone(outline_of_shape(json)?),
        AreaKind::Vbeacon => {
            let Vbeacon { x_m, y_m, details } = parsed("vbeacon shape", json)?;
            Shape::Vbeacon { x_m, y_m, details_json: (!details.is_null()).then(|| details.to_string()) }
        }
        AreaKind::Rssizone => {
            let Rssizone { devices } = parsed("rssizone shape", json)?;
            Shape::Rssizone { devices: devices.into_iter().map(|it| (it.device_id, it.rssi_dbm)).collect() }
        }
    })
}

fn parsed<T: serde::de::DeserializeOwned>(what: &'static str, json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|error| StoreError::Corrupt { what, problem: error.to_string() })
}
