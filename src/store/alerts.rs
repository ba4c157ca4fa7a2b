//! Alert rules in their versions, what fired, and what is about to.

use std::collections::BTreeMap;

use duckdb::types::Value;
use duckdb::{Connection, OptionalExt, Row, params};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::StoreError;
use super::queries::{ask, code, text};
use super::restore::{area_kind, client_kind};
use super::row::{self, Instant, Json, column};
use super::writer::append;
use crate::model::alert::{Alarm, AlarmId, Condition, Resolution, Subject};
use crate::model::ids::{AlertKey, AreaKey, ClientKey, MapKey, RuleKey, SiteKey};
use crate::model::time::{EventTime, ReceivedAt, rfc3339};

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
    pub condition: Condition,
    pub for_s: f64,
    pub repeat_s: Option<f64>,
    /// A list of `{"days", "from", "to"}`.
    pub schedule_json: Option<String>,
    pub severity: String,
    pub message: Option<String>,
    pub is_enabled: bool,
}

/// One version of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleRow {
    pub key: RuleKey,
    pub version: u32,
    pub valid_from_ms: i64,
    pub valid_to_ms: Option<i64>,
    pub record: RuleRecord,
}

/// Rules that are valid now, in order of their keys.
pub fn rules(conn: &Connection) -> Result<Vec<RuleRow>, StoreError> {
    rule_versions(conn, None)
}

/// Rules that are valid now, or every version of one, newest first.
pub fn rule_versions(conn: &Connection, key: Option<RuleKey>) -> Result<Vec<RuleRow>, StoreError> {
    let sql = "SELECT rule_key, version, epoch_ms(valid_from), epoch_ms(valid_to), name, site_key, map_key, area_key, tag,
                   condition, coalesce(limit_clients, 0), coalesce(clear_clients, 0), for_s, repeat_s, schedule, severity,
                   message, is_enabled
               FROM store.alert_rules WHERE if($1 IS NULL, valid_to IS NULL, rule_key = $1) ORDER BY rule_key, version DESC";
    let key = key.map_or(Value::Null, |key| Value::BigInt(i64::from(key.0)));
    ask(conn, sql, vec![key], |row| {
        let (site, map, area): (Option<u32>, Option<u32>, Option<u32>) = (row.get(5)?, row.get(6)?, row.get(7)?);
        let condition: String = row.get(9)?;
        let (limit, clear) = (row.get(10)?, row.get(11)?);
        Ok(RuleRow {
            key: RuleKey(row.get(0)?),
            version: row.get(1)?,
            valid_from_ms: row.get(2)?,
            valid_to_ms: row.get(3)?,
            record: RuleRecord {
                name: row.get(4)?,
                target: RuleTarget {
                    site: site.map(SiteKey),
                    map: map.map(MapKey),
                    area: area.map(AreaKey),
                    tag: row.get(8)?,
                },
                condition: match condition.as_str() {
                    "above" => Condition::Above { limit, clear },
                    "below" => Condition::Below { limit, clear },
                    "dwell" => Condition::Dwell,
                    _ => Condition::NoData,
                },
                for_s: row.get(12)?,
                repeat_s: row.get(13)?,
                schedule_json: row.get(14)?,
                severity: row.get(15)?,
                message: row.get(16)?,
                is_enabled: row.get(17)?,
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
    let limits = record.condition.limits();
    let rule = row::AlertRule {
        rule_key: column(key.0),
        version: column(version),
        valid_from: Instant(now.0),
        valid_to: None,
        name: record.name.clone(),
        site_key: site.map(|site| column(site.0)),
        map_key: map.map(|map| column(map.0)),
        area_key: area.map(|area| column(area.0)),
        tag,
        condition: record.condition.name().into(),
        limit_clients: limits.map(|(limit, _)| i64::from(limit)),
        clear_clients: limits.map(|(_, clear)| i64::from(clear)),
        for_s: record.for_s,
        repeat_s: record.repeat_s,
        schedule: record.schedule_json.clone().map(Json),
        severity: record.severity.clone(),
        message: record.message.clone(),
        is_enabled: record.is_enabled,
    };
    append(conn, &[rule])?;
    Ok(Some(key))
}

/// Ends a rule; whether there was one. What fired stays.
pub fn end_rule(conn: &Connection, key: RuleKey, now: ReceivedAt) -> Result<bool, StoreError> {
    let sql = "UPDATE store.alert_rules SET valid_to = epoch_ms(?::BIGINT)::TIMESTAMPTZ
               WHERE rule_key = ? AND valid_to IS NULL";
    Ok(conn.execute(sql, params![now.0, key.0])? > 0)
}

/// What rules are for that are valid now.
pub fn targets(conn: &Connection, rules: &[RuleKey]) -> Result<Vec<RuleTarget>, StoreError> {
    let mut targets = Vec::with_capacity(rules.len());
    for key in rules {
        let valid = rule_versions(conn, Some(*key))?.into_iter().filter(|rule| rule.valid_to_ms.is_none());
        targets.extend(valid.map(|rule| rule.record.target));
    }
    Ok(targets)
}

/// When something last came from each of the maps that rules watch for that. Costs a scan of their fixes.
pub fn maps_heard(conn: &Connection) -> Result<Vec<(SiteKey, MapKey, EventTime)>, StoreError> {
    let watched = "SELECT map_key FROM store.alert_rules
                   WHERE valid_to IS NULL AND condition = 'no_data' AND map_key IS NOT NULL";
    if ask(conn, watched, vec![], |row| row.get::<_, i32>(0))?.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT site_key, map_key, epoch_ms(max(event_at)) FROM (
             SELECT site_key, map_key, event_at FROM store.fixes
             UNION ALL SELECT site_key, map_key, event_at FROM store.transitions)
         WHERE map_key IN ({watched}) GROUP BY site_key, map_key"
    );
    ask(conn, &sql, vec![], |row| Ok((SiteKey(row.get(0)?), MapKey(row.get(1)?), EventTime(row.get(2)?))))
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
    let row = |one: &Resolved| format!("({}, {}, {}, {})", one.alert.0, one.at.0, one.clients, one.why as u8);
    for values in lists(resolved, row) {
        conn.execute_batch(&format!(
            "UPDATE store.alerts a SET resolved_at = epoch_ms(v.at_ms::BIGINT)::TIMESTAMPTZ,
                 resolved_clients = v.clients, resolution = v.why
             FROM (VALUES {values}) v(alert_key, at_ms, clients, why) WHERE a.alert_key = v.alert_key"
        ))?;
    }
    Ok(())
}

/// Notes when alerts were last due to be told.
pub fn set_told(conn: &Connection, told: &[(AlertKey, EventTime)]) -> Result<(), StoreError> {
    // Of several times of one alert the last holds.
    let newest: BTreeMap<AlertKey, EventTime> = told.iter().copied().collect();
    let newest: Vec<_> = newest.into_iter().collect();
    for values in lists(&newest, |(alert, at)| format!("({}, {})", alert.0, at.0)) {
        conn.execute_batch(&format!(
            "UPDATE store.alerts a SET told_at = epoch_ms(v.at_ms::BIGINT)::TIMESTAMPTZ
             FROM (VALUES {values}) v(alert_key, at_ms) WHERE a.alert_key = v.alert_key"
        ))?;
    }
    Ok(())
}

/// Puts what is pending of some alarms in the place of what was.
pub fn set_pending(
    conn: &Connection,
    pending: &[((SiteKey, AlarmId), Option<row::PendingAlarm>)],
) -> Result<(), StoreError> {
    let key = |key: Option<i32>| key.map_or("NULL::INTEGER".to_owned(), |key| key.to_string());
    let row = |((site, id), _): &((SiteKey, AlarmId), Option<row::PendingAlarm>)| {
        let subject = Columns::of(id.subject);
        format!("({}, {}, {}, {})", id.rule.0, site.0, key(subject.map), key(subject.area))
    };
    for values in lists(pending, row) {
        conn.execute_batch(&format!(
            "DELETE FROM store.pending_alarms p USING (VALUES {values}) v(rule_key, site_key, map_key, area_key)
             WHERE p.rule_key = v.rule_key AND p.site_key = v.site_key AND p.map_key IS NOT DISTINCT FROM v.map_key
                 AND p.area_key IS NOT DISTINCT FROM v.area_key"
        ))?;
    }
    let rows: Vec<_> = pending.iter().filter_map(|(_, row)| row.clone()).collect();
    append(conn, &rows)
}

/// Rows of numbers of our own as lists for VALUES, a thousand each: one statement costs as much as a row.
fn lists<T>(rows: &[T], write: impl Fn(&T) -> String) -> impl Iterator<Item = String> {
    rows.chunks(1000).map(move |rows| rows.iter().map(&write).collect::<Vec<_>>().join(","))
}

/// A subject, as columns.
pub struct Columns {
    pub map: Option<i32>,
    pub area: Option<i32>,
    pub client: Option<i32>,
}

impl Columns {
    pub fn of(subject: Subject) -> Columns {
        let (map, area, client) = match subject {
            Subject::Area(area) => (None, Some(area), None),
            Subject::Map(map) => (Some(map), None, None),
            Subject::Site => (None, None, None),
            Subject::Stay(area, client) => (None, Some(area), Some(client)),
        };
        Columns {
            map: map.map(|map| column(map.0)),
            area: area.map(|area| column(area.0)),
            client: client.map(|client| column(client.0)),
        }
    }
}

/// An alarm that is not ok, with the alert of one that fires.
#[derive(Clone, Copy, Debug)]
pub struct AlarmRow {
    pub site: SiteKey,
    pub id: AlarmId,
    pub alarm: Alarm,
    pub alert: Option<AlertKey>,
}

/// Every alarm that is not ok.
pub fn alarms(conn: &Connection) -> Result<Vec<AlarmRow>, StoreError> {
    let sql = "SELECT rule_key, site_key, map_key, area_key, NULL::INTEGER, epoch_ms(since_at), 0::BIGINT, NULL::BIGINT
               FROM store.pending_alarms
               UNION ALL
               SELECT rule_key, site_key, map_key, area_key, client_key, epoch_ms(fired_at), epoch_ms(told_at), alert_key
               FROM store.alerts WHERE resolved_at IS NULL";
    ask(conn, sql, vec![], |row| {
        let (map, area, client): (Option<u32>, Option<u32>, Option<u32>) = (row.get(2)?, row.get(3)?, row.get(4)?);
        let subject = match (map, area, client) {
            (_, Some(area), Some(client)) => Subject::Stay(AreaKey(area), ClientKey(client)),
            (_, Some(area), None) => Subject::Area(AreaKey(area)),
            (Some(map), None, _) => Subject::Map(MapKey(map)),
            (None, None, _) => Subject::Site,
        };
        let (since, told) = (EventTime(row.get(5)?), EventTime(row.get(6)?));
        let alert: Option<i64> = row.get(7)?;
        let alarm = if alert.is_some() { Alarm::Firing { since, told } } else { Alarm::Pending { since } };
        let id = AlarmId { rule: RuleKey(row.get(0)?), subject };
        Ok(AlarmRow { site: SiteKey(row.get(1)?), id, alarm, alert: alert.map(AlertKey) })
    })
}

/// The number of the next alert.
pub fn next_alert(conn: &Connection) -> Result<AlertKey, StoreError> {
    let sql = "SELECT coalesce(max(alert_key), 0) + 1 FROM store.alerts";
    Ok(AlertKey(conn.query_row(sql, [], |row| row.get(0)).optional()?.unwrap_or(1)))
}

/// One alert, as it is shown, streamed and sent to callbacks.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Alert {
    pub alert_id: i64,
    pub rule_id: u32,
    pub rule_version: u32,
    pub rule_name: String,
    /// `info`, `warning` or `critical`.
    #[schema(example = "warning")]
    pub severity: String,
    /// What the rule's author wants people to be told.
    pub message: Option<String>,
    /// What has happened, in a sentence.
    #[schema(example = "More than 20 clients in Lobby: 21")]
    pub summary: String,
    /// `firing` or `resolved`.
    #[schema(example = "firing")]
    pub state: String,
    /// `above`, `below`, `dwell` or `no_data`.
    pub condition: String,
    pub limit_clients: Option<i64>,
    /// How long it had to hold before it fired.
    pub for_s: f64,
    pub site_id: String,
    pub site_name: Option<String>,
    /// The site's, for showing times.
    pub time_zone: String,
    /// Null: it is about the whole site.
    pub map_id: Option<String>,
    pub map_name: Option<String>,
    /// Null: it is about a whole map or site.
    pub area_id: Option<String>,
    pub area_kind: Option<String>,
    pub area_name: Option<String>,
    /// The client that stayed too long.
    pub client_id: Option<String>,
    pub client_kind: Option<String>,
    pub client_name: Option<String>,
    /// Since when the condition held, by the site's clock.
    pub since: String,
    pub fired_at: String,
    /// Clients there when it fired.
    pub clients: i64,
    pub resolved_at: Option<String>,
    pub resolved_clients: Option<i64>,
    /// `cleared`, `off_schedule` or `rule_changed`.
    pub resolution: Option<String>,
    /// By the server's clock.
    pub acknowledged_at: Option<String>,
    pub acknowledged_by: Option<String>,
    pub acknowledged_note: Option<String>,
    /// Whether callbacks have not been told of it, since it was silenced.
    pub is_silenced: bool,
}

/// An alert with the keys of what it is about.
#[derive(Clone, Debug)]
pub(super) struct KeyedAlert {
    pub alert: Alert,
    pub site_key: u32,
    pub map_key: Option<u32>,
    pub area_key: Option<u32>,
    pub client_key: Option<u32>,
}

impl Alert {
    /// As it was when it fired.
    pub fn as_fired(mut self) -> Alert {
        self.state = "firing".into();
        (self.resolved_at, self.resolved_clients, self.resolution) = (None, None, None);
        self.summary = self.sentence();
        self
    }

    fn sentence(&self) -> String {
        let place = self.area_name.as_ref().or(self.area_id.as_ref());
        let place = place.or(self.map_name.as_ref()).or(self.map_id.as_ref());
        let place = place.or(self.site_name.as_ref()).unwrap_or(&self.site_id);
        let limit = self.limit_clients.unwrap_or_default();
        let client = self.client_name.as_ref().or(self.client_id.as_ref()).map_or("a client", String::as_str);
        let length = length(self.for_s);
        let clients = self.resolved_clients.unwrap_or(self.clients);
        match (self.condition.as_str(), self.state.as_str()) {
            (_, "resolved") if self.resolution.as_deref() != Some("cleared") => {
                format!("{} in {place}: no longer watched", self.rule_name)
            }
            ("above", "firing") => format!("More than {limit} clients in {place}: {clients}"),
            ("above", _) => format!("No longer more than {limit} clients in {place}: {clients}"),
            ("below", "firing") => format!("Fewer than {limit} clients in {place}: {clients}"),
            ("below", _) => format!("No longer fewer than {limit} clients in {place}: {clients}"),
            ("dwell", "firing") => format!("{client} has been in {place} for more than {length}"),
            ("dwell", _) => format!("{client} has left {place}"),
            (_, "firing") => format!("Nothing from {place} for more than {length}"),
            _ => format!("{place} is heard from again"),
        }
    }
}

/// A length of time in the largest unit that fits whole.
fn length(seconds: f64) -> String {
    match seconds {
        s if s >= 3600.0 && s % 3600.0 == 0.0 => format!("{} h", s / 3600.0),
        s if s >= 60.0 && s % 60.0 == 0.0 => format!("{} min", s / 60.0),
        s => format!("{s} s"),
    }
}

const ALERT: &str = "SELECT a.alert_key, a.rule_key, a.rule_version, r.name, r.severity, r.message, r.condition,
        r.limit_clients, r.for_s, s.site_id, s.name, s.time_zone, m.map_id, mv.name, e.area_id, e.kind, v.name,
        c.client_id, c.kind, c.name, epoch_ms(a.since_at), epoch_ms(a.fired_at), a.clients, epoch_ms(a.resolved_at),
        a.resolved_clients, ['cleared', 'off_schedule', 'rule_changed'][a.resolution + 1],
        epoch_ms(a.acknowledged_at), a.acknowledged_by, a.acknowledged_note, a.is_told,
        a.site_key, m.map_key, a.area_key, a.client_key
    FROM store.alerts a
    JOIN store.sites s USING (site_key)
    JOIN store.alert_rules r ON r.rule_key = a.rule_key AND r.version = a.rule_version
    LEFT JOIN store.areas e ON e.area_key = a.area_key
    LEFT JOIN store.area_versions v ON v.area_key = a.area_key AND v.valid_to IS NULL
    LEFT JOIN store.maps m ON m.map_key = coalesce(a.map_key, e.map_key)
    LEFT JOIN store.map_versions mv ON mv.map_key = m.map_key AND mv.valid_to IS NULL
    LEFT JOIN store.clients c ON c.client_key = a.client_key";

fn read_alert(row: &Row<'_>) -> Result<KeyedAlert, duckdb::Error> {
    let (area, client): (Option<u8>, Option<u8>) = (row.get(15)?, row.get(18)?);
    let time =
        |place: usize| -> Result<Option<String>, duckdb::Error> { Ok(row.get::<_, Option<i64>>(place)?.map(rfc3339)) };
    let resolved_at = time(23)?;
    let is_told: bool = row.get(29)?;
    let mut alert = Alert {
        alert_id: row.get(0)?,
        rule_id: row.get(1)?,
        rule_version: row.get(2)?,
        rule_name: row.get(3)?,
        severity: row.get(4)?,
        message: row.get(5)?,
        summary: String::new(),
        state: if resolved_at.is_some() { "resolved" } else { "firing" }.into(),
        condition: row.get(6)?,
        limit_clients: row.get(7)?,
        for_s: row.get(8)?,
        site_id: row.get(9)?,
        site_name: row.get(10)?,
        time_zone: row.get(11)?,
        map_id: row.get(12)?,
        map_name: row.get(13)?,
        area_id: row.get(14)?,
        area_kind: area.map(|kind| area_kind(kind).name().into()),
        area_name: row.get(16)?,
        client_id: row.get(17)?,
        client_kind: client.map(|kind| client_kind(kind).name().into()),
        client_name: row.get(19)?,
        since: time(20)?.unwrap_or_default(),
        fired_at: time(21)?.unwrap_or_default(),
        clients: row.get(22)?,
        resolved_at,
        resolved_clients: row.get(24)?,
        resolution: row.get(25)?,
        acknowledged_at: time(26)?,
        acknowledged_by: row.get(27)?,
        acknowledged_note: row.get(28)?,
        is_silenced: !is_told,
    };
    alert.summary = alert.sentence();
    Ok(KeyedAlert {
        alert,
        site_key: row.get(30)?,
        map_key: row.get(31)?,
        area_key: row.get(32)?,
        client_key: row.get(33)?,
    })
}

/// Alerts of these keys, in no order.
pub(super) fn by_keys(conn: &Connection, keys: &[AlertKey]) -> Result<Vec<KeyedAlert>, StoreError> {
    let mut found = Vec::with_capacity(keys.len());
    for chunk in keys.chunks(1000) {
        let keys: Vec<String> = chunk.iter().map(|key| key.0.to_string()).collect();
        let sql = format!("{ALERT} WHERE a.alert_key IN ({})", keys.join(","));
        let mut statement = conn.prepare(&sql)?;
        for alert in statement.query_map([], read_alert)? {
            found.push(alert?);
        }
    }
    Ok(found)
}

/// Which alerts.
#[derive(Clone, Debug, Default)]
pub struct AlertFilter {
    pub key: Option<i64>,
    pub site: Option<String>,
    pub map: Option<String>,
    pub area: Option<String>,
    pub rule: Option<i64>,
    pub severity: Option<String>,
    pub is_firing: Option<bool>,
    pub is_acknowledged: Option<bool>,
    /// Fired in [from, to).
    pub from_ms: Option<i64>,
    pub to_ms: Option<i64>,
    /// Only alerts of smaller keys.
    pub before: Option<i64>,
    /// Only alerts of larger keys.
    pub after: Option<i64>,
    pub limit: i64,
}

/// Alerts, newest first.
pub fn list(conn: &Connection, filter: &AlertFilter) -> Result<Vec<Alert>, StoreError> {
    let sql = format!(
        "{ALERT}
         WHERE ($1 IS NULL OR a.alert_key = $1) AND ($2 IS NULL OR s.site_id = $2) AND ($3 IS NULL OR m.map_id = $3)
             AND ($4 IS NULL OR e.area_id = $4) AND ($5 IS NULL OR a.rule_key = $5)
             AND ($6 IS NULL OR r.severity = $6) AND ($7 IS NULL OR ($7 = 1) = (a.resolved_at IS NULL))
             AND ($8 IS NULL OR ($8 = 1) = (a.acknowledged_at IS NOT NULL))
             AND ($9 IS NULL OR a.fired_at >= epoch_ms($9::BIGINT)::TIMESTAMPTZ)
             AND ($10 IS NULL OR a.fired_at < epoch_ms($10::BIGINT)::TIMESTAMPTZ)
             AND ($11 IS NULL OR a.alert_key < $11) AND ($13 IS NULL OR a.alert_key > $13)
         ORDER BY a.alert_key DESC LIMIT $12"
    );
    let number = |number: Option<i64>| number.map_or(Value::Null, Value::BigInt);
    let params = vec![
        number(filter.key),
        text(&filter.site),
        text(&filter.map),
        text(&filter.area),
        number(filter.rule),
        text(&filter.severity),
        code(filter.is_firing.map(u8::from)),
        code(filter.is_acknowledged.map(u8::from)),
        number(filter.from_ms),
        number(filter.to_ms),
        number(filter.before),
        Value::BigInt(filter.limit),
        number(filter.after),
    ];
    Ok(ask(conn, &sql, params, read_alert)?.into_iter().map(|keyed| keyed.alert).collect())
}

/// Notes who took an alert on; whether there is such an alert.
pub fn acknowledge(
    conn: &Connection,
    key: AlertKey,
    by: Option<&str>,
    note: Option<&str>,
    now: ReceivedAt,
) -> Result<bool, StoreError> {
    let sql = "UPDATE store.alerts SET acknowledged_at = epoch_ms(?::BIGINT)::TIMESTAMPTZ, acknowledged_by = ?,
                   acknowledged_note = ?
               WHERE alert_key = ?";
    Ok(conn.execute(sql, params![now.0, by, note, key.0])? > 0)
}

/// How many alerts fire, by severity.
pub fn firing(conn: &Connection) -> Result<Vec<(String, i64)>, StoreError> {
    let sql = "SELECT r.severity, count(*) FROM store.alerts a
               JOIN store.alert_rules r ON r.rule_key = a.rule_key AND r.version = a.rule_version
               WHERE a.resolved_at IS NULL GROUP BY r.severity";
    ask(conn, sql, vec![], |row| Ok((row.get(0)?, row.get(1)?)))
}
