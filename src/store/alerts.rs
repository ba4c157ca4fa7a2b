//! Alert rules in their versions, what fired, and what is about to.

use duckdb::types::Value;
use duckdb::{Connection, OptionalExt, params};

use super::StoreError;
use super::queries::{ask, code, text};
use super::row::{self, Instant, Json, column};
use super::writer::append;
use crate::model::alert::{Alarm, AlarmId, Resolution, Subject};
use crate::model::ids::{AlertKey, AreaKey, MapKey, RuleKey, SiteKey};
use crate::model::time::{EventTime, ReceivedAt};

/// What a rule watches. Tag and site may stand together: the areas of that site with that tag.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleTarget {
    pub site: Option<SiteKey>,
    pub map: Option<MapKey>,
    pub area: Option<AreaKey>,
    pub tag: Option<String>,
}

/// A rule as it is saved.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleRecord {
    pub name: String,
    pub target: RuleTarget,
    pub is_above: bool,
    pub limit: u32,
    pub clear: u32,
    pub for_s: f64,
    /// A list of `{"days", "from", "to"}`.
    pub schedule_json: Option<String>,
    pub severity: String,
    pub message: Option<String>,
    pub is_enabled: bool,
}

/// A version of a rule that is valid now.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleRow {
    pub key: RuleKey,
    pub version: u32,
    pub valid_from_ms: i64,
    pub record: RuleRecord,
}

/// Rules that are valid now, in order of their keys.
pub fn rules(conn: &Connection) -> Result<Vec<RuleRow>, StoreError> {
    let sql = "SELECT rule_key, version, epoch_ms(valid_from), name, site_key, map_key, area_key, tag, direction,
                   limit_clients, clear_clients, for_s, schedule, severity, message, is_enabled
               FROM store.alert_rules WHERE valid_to IS NULL ORDER BY rule_key";
    ask(conn, sql, vec![], |row| {
        let (site, map, area): (Option<u32>, Option<u32>, Option<u32>) = (row.get(4)?, row.get(5)?, row.get(6)?);
        let direction: String = row.get(8)?;
        Ok(RuleRow {
            key: RuleKey(row.get(0)?),
            version: row.get(1)?,
            valid_from_ms: row.get(2)?,
            record: RuleRecord {
                name: row.get(3)?,
                target: RuleTarget {
                    site: site.map(SiteKey),
                    map: map.map(MapKey),
                    area: area.map(AreaKey),
                    tag: row.get(7)?,
                },
                is_above: direction == "above",
                limit: row.get(9)?,
                clear: row.get(10)?,
                for_s: row.get(11)?,
                schedule_json: row.get(12)?,
                severity: row.get(13)?,
                message: row.get(14)?,
                is_enabled: row.get(15)?,
            },
        })
    })
}

/// Saves a rule: a new one, or another version of the one of that key. The same again changes nothing. Gives its key, or
/// `None` where there is no such rule.
pub fn put_rule(
    conn: &Connection,
    key: Option<RuleKey>,
    record: &RuleRecord,
    now: ReceivedAt,
) -> Result<Option<RuleKey>, StoreError> {
    let version = match key {
        None => 1,
        Some(key) => {
            let Some(current) = rules(conn)?.into_iter().find(|rule| rule.key == key) else { return Ok(None) };
            if current.record == *record {
                return Ok(Some(key));
            }
            end_rule(conn, key, now)?;
            current.version + 1
        }
    };
    let new_key = || -> Result<RuleKey, StoreError> {
        let sql = "SELECT coalesce(max(rule_key), 0) + 1 FROM store.alert_rules";
        Ok(RuleKey(conn.query_row(sql, [], |row| row.get(0))?))
    };
    let key = key.map_or_else(new_key, Ok)?;
    let RuleTarget { site, map, area, tag } = record.target.clone();
    append(
        conn,
        &[row::AlertRule {
            rule_key: column(key.0),
            version: column(version),
            valid_from: Instant(now.0),
            valid_to: None,
            name: record.name.clone(),
            site_key: site.map(|site| column(site.0)),
            map_key: map.map(|map| column(map.0)),
            area_key: area.map(|area| column(area.0)),
            tag,
            direction: if record.is_above { "above" } else { "below" }.into(),
            limit_clients: i64::from(record.limit),
            clear_clients: i64::from(record.clear),
            for_s: record.for_s,
            schedule: record.schedule_json.clone().map(Json),
            severity: record.severity.clone(),
            message: record.message.clone(),
            is_enabled: record.is_enabled,
        }],
    )?;
    Ok(Some(key))
}

/// Ends a rule; whether there was one. What fired stays.
pub fn end_rule(conn: &Connection, key: RuleKey, now: ReceivedAt) -> Result<bool, StoreError> {
    let sql = "UPDATE store.alert_rules SET valid_to = epoch_ms(?::BIGINT)::TIMESTAMPTZ
               WHERE rule_key = ? AND valid_to IS NULL";
    Ok(conn.execute(sql, params![now.0, key.0])? > 0)
}

/// The site's time zones, and each area's tags and authoritative source where they are not the default.
pub struct Labels {
    pub time_zones: Vec<(SiteKey, String)>,
    /// Areas that are uploaded.
    pub areas: Vec<(AreaKey, Vec<String>, Option<u8>)>,
}

pub fn labels(conn: &Connection) -> Result<Labels, StoreError> {
    let time_zones = ask(conn, "SELECT site_key, time_zone FROM store.sites ORDER BY site_key", vec![], |row| {
        Ok((SiteKey(row.get(0)?), row.get(1)?))
    })?;
    let sql = "SELECT a.area_key, v.tags, a.authoritative_source FROM store.areas a
               JOIN store.area_versions v ON v.area_key = a.area_key AND v.valid_to IS NULL ORDER BY a.area_key";
    let areas = ask(conn, sql, vec![], |row| {
        let tags: String = row.get(1)?;
        Ok((AreaKey(row.get(0)?), serde_json::from_str(&tags).unwrap_or_default(), row.get(2)?))
    })?;
    Ok(Labels { time_zones, areas })
}

/// An alert to be ended.
#[derive(Clone, Copy, Debug)]
pub struct Resolved {
    pub alert: AlertKey,
    pub at: EventTime,
    pub clients: u32,
    pub why: Resolution,
}

pub fn resolve(conn: &Connection, resolved: &[Resolved]) -> Result<(), StoreError> {
    let sql =
        "UPDATE store.alerts SET resolved_at = epoch_ms(?::BIGINT)::TIMESTAMPTZ, resolved_clients = ?, resolution = ?
               WHERE alert_key = ?";
    for Resolved { alert, at, clients, why } in resolved {
        conn.execute(sql, params![at.0, i64::from(*clients), *why as u8, alert.0])?;
    }
    Ok(())
}

/// Puts what is pending of some alarms in the place of what was.
pub fn set_pending(
    conn: &Connection,
    pending: &[((SiteKey, AlarmId), Option<row::PendingAlarm>)],
) -> Result<(), StoreError> {
    let sql = "DELETE FROM store.pending_alarms WHERE rule_key = ? AND site_key = ?
               AND map_key IS NOT DISTINCT FROM ? AND area_key IS NOT DISTINCT FROM ?";
    for ((site, id), _) in pending {
        let (map, area) = columns(id.subject);
        conn.execute(sql, params![id.rule.0, site.0, map, area])?;
    }
    let rows: Vec<_> = pending.iter().filter_map(|(_, row)| row.clone()).collect();
    append(conn, &rows)
}

/// Map and area of a subject, as columns.
pub fn columns(subject: Subject) -> (Option<i32>, Option<i32>) {
    match subject {
        Subject::Area(area) => (None, Some(column(area.0))),
        Subject::Map(map) => (Some(column(map.0)), None),
        Subject::Site => (None, None),
    }
}

/// Every alarm that is not ok, with the alert of one that fires.
pub fn alarms(conn: &Connection) -> Result<Vec<(SiteKey, AlarmId, Alarm, Option<AlertKey>)>, StoreError> {
    let sql = "SELECT rule_key, rule_version, site_key, map_key, area_key, epoch_ms(since_at), NULL::BIGINT
               FROM store.pending_alarms
               UNION ALL
               SELECT rule_key, rule_version, site_key, map_key, area_key, epoch_ms(fired_at), alert_key
               FROM store.alerts WHERE resolved_at IS NULL";
    ask(conn, sql, vec![], |row| {
        let (map, area): (Option<u32>, Option<u32>) = (row.get(3)?, row.get(4)?);
        let subject = area.map(|area| Subject::Area(AreaKey(area)));
        let subject = subject.or(map.map(|map| Subject::Map(MapKey(map)))).unwrap_or(Subject::Site);
        let alert: Option<i64> = row.get(6)?;
        let alarm = Alarm { version: row.get(1)?, since: EventTime(row.get(5)?), is_firing: alert.is_some() };
        Ok((SiteKey(row.get(2)?), AlarmId { rule: RuleKey(row.get(0)?), subject }, alarm, alert.map(AlertKey)))
    })
}

/// The number of the next alert.
pub fn next_alert(conn: &Connection) -> Result<AlertKey, StoreError> {
    let sql = "SELECT coalesce(max(alert_key), 0) + 1 FROM store.alerts";
    Ok(AlertKey(conn.query_row(sql, [], |row| row.get(0)).optional()?.unwrap_or(1)))
}

/// Which alerts.
#[derive(Clone, Debug, Default)]
pub struct AlertFilter {
    pub site: Option<String>,
    pub area: Option<String>,
    pub rule: Option<i64>,
    /// Firing or not.
    pub is_firing: Option<bool>,
    pub from_ms: i64,
    pub to_ms: i64,
    pub limit: i64,
}

/// One alert as people read it.
#[derive(Clone, Debug)]
pub struct AlertRow {
    pub key: i64,
    pub rule: i64,
    pub rule_version: i64,
    pub rule_name: String,
    pub severity: String,
    pub message: Option<String>,
    pub site_id: String,
    pub map_id: Option<String>,
    pub area_id: Option<String>,
    pub area_name: Option<String>,
    pub since_ms: i64,
    pub fired_ms: i64,
    pub clients: i64,
    pub resolved_ms: Option<i64>,
    pub resolved_clients: Option<i64>,
    pub resolution: Option<String>,
}

/// Alerts that fired in [from, to), newest first.
pub fn list(conn: &Connection, filter: &AlertFilter) -> Result<Vec<AlertRow>, StoreError> {
    let sql =
        "SELECT alert_key, rule_key, rule_version, rule_name, severity, message, site_id, map_id, area_id, area_name,
                   epoch_ms(since_at), epoch_ms(fired_at), clients, epoch_ms(resolved_at), resolved_clients, resolution
               FROM alerts
               WHERE ($1 IS NULL OR site_id = $1) AND ($2 IS NULL OR area_id = $2) AND ($3 IS NULL OR rule_key = $3)
                   AND ($4 IS NULL OR ($4 = 1) = (resolved_at IS NULL))
                   AND fired_at >= epoch_ms($5::BIGINT)::TIMESTAMPTZ AND fired_at < epoch_ms($6::BIGINT)::TIMESTAMPTZ
               ORDER BY alert_key DESC LIMIT $7";
    let params = vec![
        text(&filter.site),
        text(&filter.area),
        filter.rule.map_or(Value::Null, Value::BigInt),
        code(filter.is_firing.map(u8::from)),
        Value::BigInt(filter.from_ms),
        Value::BigInt(filter.to_ms),
        Value::BigInt(filter.limit),
    ];
    ask(conn, sql, params, |row| {
        Ok(AlertRow {
            key: row.get(0)?,
            rule: row.get(1)?,
            rule_version: row.get(2)?,
            rule_name: row.get(3)?,
            severity: row.get(4)?,
            message: row.get(5)?,
            site_id: row.get(6)?,
            map_id: row.get(7)?,
            area_id: row.get(8)?,
            area_name: row.get(9)?,
            since_ms: row.get(10)?,
            fired_ms: row.get(11)?,
            clients: row.get(12)?,
            resolved_ms: row.get(13)?,
            resolved_clients: row.get(14)?,
            resolution: row.get(15)?,
        })
    })
}
