//! Who is told of alerts, and what they are still to be told: endpoints, silences, and the outbox.
//!
//! What an alert gives rise to is put into the outbox in the transaction in which the alert fires or resolves.

use std::collections::BTreeMap;

use duckdb::types::Value;
use duckdb::{Connection, Row, params};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::StoreError;
use super::alerts::{self, Alert, AlertFilter, KeyedAlert};
use super::queries::ask;
use super::row::{self, Instant, Json, column};
use super::writer::append;
use crate::model::ids::{AlertKey, CallbackKey, MessageKey, SilenceKey};
use crate::model::time::ReceivedAt;

/// Something to tell of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    pub alert: AlertKey,
    pub what: NoticeKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    Fired,
    /// It goes on, and so many clients are there now.
    Repeated {
        clients: u32,
    },
    /// Its silence is over, and it still fires.
    Unsilenced,
    Resolved,
}

/// What is told of an alert, whatever the endpoint's format.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AlertEvent {
    /// `alert.firing` or `alert.resolved`.
    #[serde(rename = "type")]
    #[schema(example = "alert.firing")]
    pub event_type: String,
    /// When it fired or was resolved, by the site's clock.
    pub timestamp: String,
    /// Whether it was told before, and still goes on.
    pub is_repeat: bool,
    /// Clients there now.
    pub clients: i64,
    pub data: Alert,
}

pub const FIRING: &str = "alert.firing";
pub const RESOLVED: &str = "alert.resolved";
pub const TEST: &str = "test";

/// Which events an endpoint is told of. An empty list lets everything through.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    pub site_ids: Vec<String>,
    pub area_ids: Vec<String>,
    pub rule_ids: Vec<u32>,
    /// `info`, `warning`, `critical`.
    pub severities: Vec<String>,
    /// `firing`, `resolved`.
    pub states: Vec<String>,
}

impl Filter {
    fn lets_through(&self, event: &AlertEvent) -> bool {
        let alert = &event.data;
        let has = |list: &[String], value: &str| list.is_empty() || list.iter().any(|entry| entry == value);
        has(&self.site_ids, &alert.site_id)
            && has(&self.severities, &alert.severity)
            && has(&self.states, &alert.state)
            && (self.area_ids.is_empty() || alert.area_id.as_ref().is_some_and(|id| self.area_ids.contains(id)))
            && (self.rule_ids.is_empty() || self.rule_ids.contains(&alert.rule_id))
    }
}

/// An endpoint as it is saved.
#[derive(Clone, Debug, PartialEq)]
pub struct CallbackRecord {
    pub name: String,
    pub url: String,
    pub format: String,
    /// The newest first; every one signs.
    pub secrets: Vec<String>,
    pub headers: BTreeMap<String, String>,
    pub filter: Filter,
    pub is_enabled: bool,
}

/// The format of endpoints that know the vendor's occupancy alerts.
pub const MIST: &str = "mist";

impl CallbackRecord {
    /// Whether it is told of an event. The vendor's alerts know only areas that are too full.
    fn wants(&self, event: &AlertEvent) -> bool {
        let alert = &event.data;
        let is_the_vendors = alert.condition == "above" && alert.area_id.is_some();
        (self.format != MIST || is_the_vendors) && self.filter.lets_through(event)
    }
}

/// An endpoint, and how it fares.
#[derive(Clone, Debug)]
pub struct CallbackRow {
    pub key: CallbackKey,
    pub record: CallbackRecord,
    pub disabled_reason: Option<String>,
    /// Attempts in a row that failed.
    pub failures: u32,
    pub retry_ms: Option<i64>,
    pub created_ms: i64,
}

/// Endpoints that are not deleted, all or one, in order of their keys.
pub fn callbacks(conn: &Connection, key: Option<CallbackKey>) -> Result<Vec<CallbackRow>, StoreError> {
    let sql = "SELECT callback_key, name, url, format, secrets, headers, filter, is_enabled, disabled_reason, failures,
                   epoch_ms(retry_at), epoch_ms(created_at)
               FROM store.callbacks WHERE deleted_at IS NULL AND ($1 IS NULL OR callback_key = $1) ORDER BY callback_key";
    let key = key.map_or(Value::Null, |key| Value::BigInt(i64::from(key.0)));
    let rows = ask(conn, sql, vec![key], |row| {
        let (secrets, headers, filter): (String, String, String) = (row.get(4)?, row.get(5)?, row.get(6)?);
        let record = CallbackRecord {
            name: row.get(1)?,
            url: row.get(2)?,
            format: row.get(3)?,
            secrets: Vec::new(),
            headers: BTreeMap::new(),
            filter: Filter::default(),
            is_enabled: row.get(7)?,
        };
        let found = CallbackRow {
            key: CallbackKey(row.get(0)?),
            record,
            disabled_reason: row.get(8)?,
            failures: row.get(9)?,
            retry_ms: row.get(10)?,
            created_ms: row.get(11)?,
        };
        Ok((found, secrets, headers, filter))
    })?;
    let read = |(mut row, secrets, headers, filter): (CallbackRow, String, String, String)| {
        row.record.secrets = serde_json::from_str(&secrets)?;
        row.record.headers = serde_json::from_str(&headers)?;
        row.record.filter = serde_json::from_str(&filter)?;
        Ok(row)
    };
    let corrupt =
        |error: serde_json::Error| StoreError::Corrupt { what: "callback endpoint", problem: error.to_string() };
    rows.into_iter().map(|row| read(row).map_err(corrupt)).collect()
}

/// Saves an endpoint: a new one, or in the place of the one of that key, whose next attempt is then due at once. Gives
/// its key, or `None` where there is no such endpoint.
pub fn put_callback(
    conn: &Connection,
    key: Option<CallbackKey>,
    record: &CallbackRecord,
    now: ReceivedAt,
) -> Result<Option<CallbackKey>, StoreError> {
    let (secrets, headers, filter) = (json(&record.secrets), json(&record.headers), json(&record.filter));
    if let Some(key) = key {
        let sql = "UPDATE store.callbacks SET name = ?, url = ?, format = ?, secrets = ?, headers = ?, filter = ?,
                       is_enabled = ?, disabled_reason = NULL, failures = 0, retry_at = NULL
                   WHERE callback_key = ? AND deleted_at IS NULL";
        let CallbackRecord { name, url, format, is_enabled, .. } = record;
        let changed =
            conn.execute(sql, params![name, url, format, secrets.0, headers.0, filter.0, is_enabled, key.0])?;
        return Ok((changed > 0).then_some(key));
    }
    let sql = "SELECT coalesce(max(callback_key), 0) + 1 FROM store.callbacks";
    let key = CallbackKey(conn.query_row(sql, [], |row| row.get(0))?);
    let callback = row::Callback {
        callback_key: column(key.0),
        name: record.name.clone(),
        url: record.url.clone(),
        format: record.format.clone(),
        secrets,
        headers,
        filter,
        is_enabled: record.is_enabled,
        disabled_reason: None,
        failures: 0,
        retry_at: None,
        created_at: Instant(now.0),
        deleted_at: None,
    };
    append(conn, &[callback])?;
    Ok(Some(key))
}

fn json(value: &impl Serialize) -> Json {
    Json(serde_json::to_string(value).expect("plain data becomes JSON"))
}

/// Deletes an endpoint, and gives up what it was still to be told; whether there was one.
pub fn end_callback(conn: &Connection, key: CallbackKey, now: ReceivedAt) -> Result<bool, StoreError> {
    let sql = "UPDATE store.callbacks SET deleted_at = epoch_ms(?::BIGINT)::TIMESTAMPTZ, secrets = '[]', headers = '{}'
               WHERE callback_key = ? AND deleted_at IS NULL";
    let was_there = conn.execute(sql, params![now.0, key.0])? > 0;
    give_up(conn, key, None, now)?;
    Ok(was_there)
}

/// Gives up what an endpoint is still to be told: all of it, or what expires by a time.
fn give_up(
    conn: &Connection,
    key: CallbackKey,
    expired_by: Option<ReceivedAt>,
    now: ReceivedAt,
) -> Result<(), StoreError> {
    let sql = "UPDATE store.callback_deliveries SET state = 2, ended_at = epoch_ms($1::BIGINT)::TIMESTAMPTZ
               WHERE callback_key = $2 AND state = 0
                   AND ($3 IS NULL OR expires_at <= epoch_ms($3::BIGINT)::TIMESTAMPTZ)";
    conn.execute(sql, params![now.0, key.0, expired_by.map(|by| by.0)])?;
    Ok(())
}

/// A time during which callbacks are not told of some alerts; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct SilenceRecord {
    pub rule: Option<u32>,
    pub site: Option<u32>,
    pub map: Option<u32>,
    pub area: Option<u32>,
    pub client: Option<u32>,
    pub until_ms: i64,
    pub reason: String,
    pub by: Option<String>,
}

/// A silence as people read it.
#[derive(Clone, Debug)]
pub struct SilenceRow {
    pub key: i64,
    pub rule: Option<u32>,
    pub site_id: Option<String>,
    pub map_id: Option<String>,
    pub area_id: Option<String>,
    pub client_id: Option<String>,
    pub from_ms: i64,
    pub until_ms: i64,
    pub reason: String,
    pub by: Option<String>,
}

pub fn put_silence(conn: &Connection, record: &SilenceRecord, now: ReceivedAt) -> Result<SilenceKey, StoreError> {
    let sql = "SELECT coalesce(max(silence_key), 0) + 1 FROM store.silences";
    let key = SilenceKey(conn.query_row(sql, [], |row| row.get(0))?);
    let silence = row::Silence {
        silence_key: key.0,
        rule_key: record.rule.map(column),
        site_key: record.site.map(column),
        map_key: record.map.map(column),
        area_key: record.area.map(column),
        client_key: record.client.map(column),
        from_at: Instant(now.0),
        until_at: Instant(record.until_ms),
        reason: record.reason.clone(),
        silenced_by: record.by.clone(),
    };
    append(conn, &[silence])?;
    Ok(key)
}

/// A silence of just what one alert is about; `None` where there is no such alert.
pub fn silence_of(conn: &Connection, alert: AlertKey) -> Result<Option<SilenceRecord>, StoreError> {
    let found = alerts::by_keys(conn, &[alert])?.pop();
    Ok(found.map(|keyed| SilenceRecord {
        rule: Some(keyed.alert.rule_id),
        site: Some(keyed.site_key),
        map: keyed.map_key,
        area: keyed.area_key,
        client: keyed.client_key,
        ..SilenceRecord::default()
    }))
}

/// Ends a silence; whether it was under way.
pub fn end_silence(conn: &Connection, key: SilenceKey, now: ReceivedAt) -> Result<bool, StoreError> {
    let sql = "UPDATE store.silences SET until_at = epoch_ms($1::BIGINT)::TIMESTAMPTZ
               WHERE silence_key = $2 AND until_at > epoch_ms($1::BIGINT)::TIMESTAMPTZ";
    Ok(conn.execute(sql, params![now.0, key.0])? > 0)
}

/// Silences that are not over, newest first.
pub fn silences(conn: &Connection, now: ReceivedAt) -> Result<Vec<SilenceRow>, StoreError> {
    let sql = "SELECT z.silence_key, z.rule_key, s.site_id, m.map_id, a.area_id, c.client_id, epoch_ms(z.from_at),
                   epoch_ms(z.until_at), z.reason, z.silenced_by
               FROM store.silences z
               LEFT JOIN store.sites s ON s.site_key = z.site_key
               LEFT JOIN store.maps m ON m.map_key = z.map_key
               LEFT JOIN store.areas a ON a.area_key = z.area_key
               LEFT JOIN store.clients c ON c.client_key = z.client_key
               WHERE z.until_at > epoch_ms($1::BIGINT)::TIMESTAMPTZ ORDER BY z.silence_key DESC";
    ask(conn, sql, vec![Value::BigInt(now.0)], |row| {
        Ok(SilenceRow {
            key: row.get(0)?,
            rule: row.get(1)?,
            site_id: row.get(2)?,
            map_id: row.get(3)?,
            area_id: row.get(4)?,
            client_id: row.get(5)?,
            from_ms: row.get(6)?,
            until_ms: row.get(7)?,
            reason: row.get(8)?,
            by: row.get(9)?,
        })
    })
}

/// When the next silence is over.
pub fn next_silence_end(conn: &Connection, now: ReceivedAt) -> Result<Option<ReceivedAt>, StoreError> {
    let sql = "SELECT epoch_ms(min(until_at)) FROM store.silences WHERE until_at > epoch_ms(?::BIGINT)::TIMESTAMPTZ";
    Ok(conn.query_row(sql, params![now.0], |row| row.get::<_, Option<i64>>(0))?.map(ReceivedAt))
}

/// Alerts that fire, and of which callbacks have not been told.
pub fn untold(conn: &Connection) -> Result<Vec<AlertKey>, StoreError> {
    let sql = "SELECT alert_key FROM store.alerts WHERE resolved_at IS NULL AND NOT is_told ORDER BY alert_key";
    ask(conn, sql, vec![], |row| Ok(AlertKey(row.get(0)?)))
}

/// Silences under way, as keys.
struct Silences(Vec<[Option<u32>; 5]>);

impl Silences {
    fn read(conn: &Connection, now: ReceivedAt) -> Result<Silences, StoreError> {
        let sql = "SELECT rule_key, site_key, map_key, area_key, client_key FROM store.silences
                   WHERE until_at > epoch_ms($1::BIGINT)::TIMESTAMPTZ";
        let rows = ask(conn, sql, vec![Value::BigInt(now.0)], |row| {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?])
        })?;
        Ok(Silences(rows))
    }

    fn covers(&self, keyed: &KeyedAlert) -> bool {
        let KeyedAlert { alert, site_key, map_key, area_key, client_key } = keyed;
        let keys = [Some(alert.rule_id), Some(*site_key), *map_key, *area_key, *client_key];
        self.0.iter().any(|silence| silence.iter().zip(keys).all(|(wanted, key)| wanted.is_none() || *wanted == key))
    }
}

/// What a commit makes known of alerts.
#[derive(Clone, Debug, Default)]
pub struct Notices {
    pub list: Vec<Notice>,
    /// The server's clock.
    pub now: ReceivedAt,
    /// How long a delivery is tried, milliseconds.
    pub give_up_ms: i64,
}

/// Puts what is to be told into the outbox; gives every event, silenced or not, with its alert as it is told.
///
/// Costs a few questions per call, none when there is nothing to tell.
pub fn enqueue(conn: &Connection, notices: &Notices) -> Result<Vec<AlertEvent>, StoreError> {
    if notices.list.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<AlertKey> = notices.list.iter().map(|notice| notice.alert).collect();
    let found = alerts::by_keys(conn, &keys)?;
    let mut alerts: FxHashMap<i64, KeyedAlert> = found.into_iter().map(|keyed| (keyed.alert.alert_id, keyed)).collect();
    let silences = Silences::read(conn, notices.now)?;
    let endpoints: Vec<_> = callbacks(conn, None)?.into_iter().filter(|row| row.record.is_enabled).collect();
    let sql = "SELECT coalesce(max(delivery_key), 0) + 1 FROM store.callback_deliveries";
    let mut next: i64 = conn.query_row(sql, [], |row| row.get(0))?;
    let (mut events, mut deliveries) = (Vec::new(), Vec::new());
    for Notice { alert, what } in &notices.list {
        let Some(keyed) = alerts.get_mut(&alert.0) else { continue };
        let is_silent = match what {
            NoticeKind::Fired | NoticeKind::Unsilenced => {
                let is_silent = silences.covers(keyed);
                set_is_told(conn, keyed, !is_silent)?;
                is_silent
            }
            NoticeKind::Repeated { .. } => {
                keyed.alert.is_silenced || keyed.alert.acknowledged_at.is_some() || silences.covers(keyed)
            }
            NoticeKind::Resolved => keyed.alert.is_silenced,
        };
        if is_silent && *what == NoticeKind::Unsilenced {
            continue;
        }
        let event = event(&keyed.alert, *what);
        if !is_silent {
            for endpoint in endpoints.iter().filter(|endpoint| endpoint.record.wants(&event)) {
                deliveries.push(row::CallbackDelivery {
                    delivery_key: next,
                    callback_key: column(endpoint.key.0),
                    webhook_id: webhook_id(),
                    alert_key: Some(alert.0),
                    event_type: event.event_type.clone(),
                    event: json(&event),
                    created_at: Instant(notices.now.0),
                    expires_at: Instant(notices.now.0.saturating_add(notices.give_up_ms)),
                    state: State::Pending as u8,
                    attempts: 0,
                    ended_at: None,
                });
                next += 1;
            }
        }
        events.push(event);
    }
    append(conn, &deliveries)?;
    Ok(events)
}

fn event(alert: &Alert, what: NoticeKind) -> AlertEvent {
    let (event_type, is_repeat, data) = match what {
        NoticeKind::Fired | NoticeKind::Unsilenced => (FIRING, false, alert.clone().as_fired()),
        NoticeKind::Repeated { .. } => (FIRING, true, alert.clone().as_fired()),
        NoticeKind::Resolved => (RESOLVED, false, alert.clone()),
    };
    let clients = match what {
        NoticeKind::Repeated { clients } => i64::from(clients),
        _ => data.resolved_clients.unwrap_or(data.clients),
    };
    let timestamp = data.resolved_at.clone().unwrap_or_else(|| data.fired_at.clone());
    AlertEvent { event_type: event_type.into(), timestamp, is_repeat, clients, data }
}

/// What was told of the alerts of a filter, and of alerts that fired before: which of these have been resolved. Oldest
/// first; repeats are over.
pub fn told(conn: &Connection, filter: &AlertFilter, firing: &[AlertKey]) -> Result<Vec<AlertEvent>, StoreError> {
    let mut events = Vec::new();
    let mut tell = |alert: &Alert, is_new: bool| {
        events.extend(is_new.then(|| event(alert, NoticeKind::Fired)));
        events.extend(alert.resolved_at.is_some().then(|| event(alert, NoticeKind::Resolved)));
    };
    alerts::by_keys(conn, firing)?.iter().for_each(|keyed| tell(&keyed.alert, false));
    alerts::list(conn, filter)?.iter().rev().for_each(|alert| tell(alert, true));
    events.sort_by(|a, b| a.timestamp.cmp(&b.timestamp));
    Ok(events)
}

fn set_is_told(conn: &Connection, keyed: &mut KeyedAlert, is_told: bool) -> Result<(), StoreError> {
    if keyed.alert.is_silenced == is_told {
        let sql = "UPDATE store.alerts SET is_told = ? WHERE alert_key = ?";
        conn.execute(sql, params![is_told, keyed.alert.alert_id])?;
        keyed.alert.is_silenced = !is_told;
    }
    Ok(())
}

/// Unlike any other, anywhere.
pub fn webhook_id() -> String {
    format!("msg_{:032x}", rand::random::<u128>())
}

/// Where a delivery stands. The numbers are what the store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    Pending = 0,
    Delivered = 1,
    Dead = 2,
}

impl State {
    pub fn from_name(name: &str) -> Option<State> {
        [State::Pending, State::Delivered, State::Dead].into_iter().find(|state| state.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Delivered => "delivered",
            State::Dead => "dead",
        }
    }

    fn of(code: u8) -> State {
        match code {
            0 => State::Pending,
            1 => State::Delivered,
            _ => State::Dead,
        }
    }
}

/// What an endpoint is to be told.
#[derive(Clone, Debug)]
pub struct Message {
    pub key: MessageKey,
    pub webhook_id: String,
    pub event_type: String,
    pub event_json: String,
    pub created_ms: i64,
    pub state: State,
    pub attempts: u32,
    pub ended_ms: Option<i64>,
    pub alert: Option<i64>,
    pub last_status: Option<u16>,
    pub last_problem: Option<String>,
}

/// An endpoint, and the oldest of what it is still to be told; `None` where there is no such endpoint.
pub fn head(conn: &Connection, key: CallbackKey) -> Result<Option<(CallbackRow, Option<Message>)>, StoreError> {
    let Some(callback) = callbacks(conn, Some(key))?.pop() else { return Ok(None) };
    let sql = format!(
        "SELECT {MESSAGE} FROM store.callback_deliveries d WHERE callback_key = $1 AND state = 0
         ORDER BY delivery_key LIMIT 1"
    );
    let message = ask(conn, &sql, vec![Value::BigInt(i64::from(key.0))], read_message)?.pop();
    Ok(Some((callback, message)))
}

const MESSAGE: &str =
    "d.delivery_key, d.webhook_id, d.event_type, d.event, epoch_ms(d.created_at), d.state, d.attempts,
    epoch_ms(d.ended_at), d.alert_key, NULL::INTEGER, NULL::VARCHAR";

fn read_message(row: &Row<'_>) -> Result<Message, duckdb::Error> {
    Ok(Message {
        key: MessageKey(row.get(0)?),
        webhook_id: row.get(1)?,
        event_type: row.get(2)?,
        event_json: row.get(3)?,
        created_ms: row.get(4)?,
        state: State::of(row.get(5)?),
        attempts: row.get(6)?,
        ended_ms: row.get(7)?,
        alert: row.get(8)?,
        last_status: row.get(9)?,
        last_problem: row.get(10)?,
    })
}

/// Which deliveries of an endpoint.
#[derive(Clone, Debug)]
pub struct MessageFilter {
    pub callback: CallbackKey,
    pub key: Option<MessageKey>,
    pub state: Option<State>,
    pub before: Option<i64>,
    pub limit: i64,
}

/// Deliveries, newest first, each with how its last attempt went.
pub fn messages(conn: &Connection, filter: &MessageFilter) -> Result<Vec<Message>, StoreError> {
    let sql = "WITH page AS (
                   FROM store.callback_deliveries
                   WHERE callback_key = $1 AND ($2 IS NULL OR delivery_key = $2) AND ($3 IS NULL OR state = $3)
                       AND ($4 IS NULL OR delivery_key < $4)
                   ORDER BY delivery_key DESC LIMIT $5),
               last AS (
                   SELECT delivery_key, arg_max({'status': status, 'problem': problem}, attempted_at) AS attempt
                   FROM store.callback_attempts SEMI JOIN page USING (delivery_key) GROUP BY delivery_key)
               SELECT d.delivery_key, d.webhook_id, d.event_type, d.event, epoch_ms(d.created_at), d.state, d.attempts,
                   epoch_ms(d.ended_at), d.alert_key, l.attempt.status, l.attempt.problem
               FROM page d LEFT JOIN last l USING (delivery_key) ORDER BY d.delivery_key DESC";
    let number = |number: Option<i64>| number.map_or(Value::Null, Value::BigInt);
    let params = vec![
        Value::BigInt(i64::from(filter.callback.0)),
        number(filter.key.map(|key| key.0)),
        number(filter.state.map(|state| state as i64)),
        number(filter.before),
        Value::BigInt(filter.limit),
    ];
    ask(conn, sql, params, read_message)
}

/// One try at telling an endpoint.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub at: ReceivedAt,
    pub status: Option<u16>,
    pub latency_ms: f64,
    /// The first bytes of the answer.
    pub answer: Option<String>,
    /// Why it failed.
    pub problem: Option<String>,
}

/// Attempts of a delivery, oldest first.
pub fn attempts(conn: &Connection, key: MessageKey) -> Result<Vec<Attempt>, StoreError> {
    let sql = "SELECT epoch_ms(attempted_at), status, latency_ms, answer, problem FROM store.callback_attempts
               WHERE delivery_key = $1 ORDER BY attempted_at, rowid";
    ask(conn, sql, vec![Value::BigInt(key.0)], |row| {
        Ok(Attempt {
            at: ReceivedAt(row.get(0)?),
            status: row.get(1)?,
            latency_ms: row.get(2)?,
            answer: row.get(3)?,
            problem: row.get(4)?,
        })
    })
}

/// What an attempt means for its delivery and the endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Delivered,
    /// To be tried again, not before then.
    Retry {
        at: ReceivedAt,
    },
    /// The endpoint is there and will never take this.
    Refused,
    /// The endpoint wants to be told no more.
    Gone,
}

/// Notes what an attempt at a pending delivery came to.
pub fn settle(
    conn: &Connection,
    callback: CallbackKey,
    message: MessageKey,
    attempt: &Attempt,
    verdict: &Verdict,
    now: ReceivedAt,
) -> Result<(), StoreError> {
    log_attempt(conn, message, attempt)?;
    let state = match verdict {
        Verdict::Delivered => State::Delivered,
        Verdict::Retry { .. } => State::Pending,
        Verdict::Refused | Verdict::Gone => State::Dead,
    };
    // What was given up meanwhile stays so, unless it has arrived.
    let sql = "UPDATE store.callback_deliveries SET attempts = attempts + 1,
                   state = if(state = 0 OR $1 = 1, $1, state),
                   ended_at = if($1 = 0, ended_at, epoch_ms($2::BIGINT)::TIMESTAMPTZ)
               WHERE delivery_key = $3";
    conn.execute(sql, params![state as u8, now.0, message.0])?;
    match verdict {
        Verdict::Delivered | Verdict::Refused => {
            let sql =
                "UPDATE store.callbacks SET failures = 0, retry_at = NULL WHERE callback_key = ? AND failures > 0";
            conn.execute(sql, params![callback.0])?;
        }
        Verdict::Retry { at } => {
            let sql = "UPDATE store.callbacks SET failures = failures + 1,
                           retry_at = epoch_ms(?::BIGINT)::TIMESTAMPTZ WHERE callback_key = ?";
            conn.execute(sql, params![at.0, callback.0])?;
            give_up(conn, callback, Some(now), now)?;
        }
        Verdict::Gone => {
            let sql = "UPDATE store.callbacks SET is_enabled = false,
                           disabled_reason = 'it answered 410 Gone: it wants no more callbacks' WHERE callback_key = ?";
            conn.execute(sql, params![callback.0])?;
            give_up(conn, callback, None, now)?;
        }
    }
    Ok(())
}

fn log_attempt(conn: &Connection, message: MessageKey, attempt: &Attempt) -> Result<(), StoreError> {
    append(
        conn,
        &[row::CallbackAttempt {
            delivery_key: message.0,
            attempted_at: Instant(attempt.at.0),
            status: attempt.status.map(i32::from),
            latency_ms: attempt.latency_ms,
            answer: attempt.answer.clone(),
            problem: attempt.problem.clone(),
        }],
    )
}

/// Notes a test that was made outside the outbox. One that arrived says that the endpoint is up again.
pub fn log_test(
    conn: &Connection,
    callback: CallbackKey,
    webhook_id: &str,
    event_json: &str,
    attempt: &Attempt,
    now: ReceivedAt,
) -> Result<MessageKey, StoreError> {
    let sql = "SELECT coalesce(max(delivery_key), 0) + 1 FROM store.callback_deliveries";
    let key = MessageKey(conn.query_row(sql, [], |row| row.get(0))?);
    let is_delivered = attempt.problem.is_none();
    let delivery = row::CallbackDelivery {
        delivery_key: key.0,
        callback_key: column(callback.0),
        webhook_id: webhook_id.into(),
        alert_key: None,
        event_type: TEST.into(),
        event: Json(event_json.into()),
        created_at: Instant(now.0),
        expires_at: Instant(now.0),
        state: if is_delivered { State::Delivered } else { State::Dead } as u8,
        attempts: 1,
        ended_at: Some(Instant(now.0)),
    };
    append(conn, &[delivery])?;
    log_attempt(conn, key, attempt)?;
    if is_delivered {
        let sql = "UPDATE store.callbacks SET failures = 0, retry_at = NULL WHERE callback_key = ? AND failures > 0";
        conn.execute(sql, params![callback.0])?;
    }
    Ok(key)
}

/// Puts one delivery of an endpoint, or all that are dead, into the outbox again, to be tried at once; says how many.
pub fn redeliver(
    conn: &Connection,
    callback: CallbackKey,
    message: Option<MessageKey>,
    expires: ReceivedAt,
) -> Result<usize, StoreError> {
    let sql = "UPDATE store.callback_deliveries
               SET state = 0, ended_at = NULL, expires_at = epoch_ms($1::BIGINT)::TIMESTAMPTZ
               WHERE callback_key = $2 AND state <> 0 AND event_type <> 'test'
                   AND if($3 IS NULL, state = 2, delivery_key = $3)";
    let changed = conn.execute(sql, params![expires.0, callback.0, message.map(|key| key.0)])?;
    conn.execute("UPDATE store.callbacks SET retry_at = NULL WHERE callback_key = ?", params![callback.0])?;
    Ok(changed)
}

/// How the outbox of one endpoint stands.
#[derive(Clone, Debug)]
pub struct OutboxRow {
    pub callback: CallbackKey,
    pub name: String,
    pub pending: i64,
    pub dead: i64,
    pub oldest_pending_ms: Option<i64>,
}

/// The outbox of each endpoint that is not deleted.
pub fn outboxes(conn: &Connection) -> Result<Vec<OutboxRow>, StoreError> {
    let sql = "SELECT c.callback_key, c.name, count(d.delivery_key) FILTER (d.state = 0),
                   count(d.delivery_key) FILTER (d.state = 2 AND d.event_type <> 'test'),
                   epoch_ms(min(d.created_at) FILTER (d.state = 0))
               FROM store.callbacks c LEFT JOIN store.callback_deliveries d USING (callback_key)
               WHERE c.deleted_at IS NULL GROUP BY c.callback_key, c.name ORDER BY c.callback_key";
    ask(conn, sql, vec![], |row| {
        Ok(OutboxRow {
            callback: CallbackKey(row.get(0)?),
            name: row.get(1)?,
            pending: row.get(2)?,
            dead: row.get(3)?,
            oldest_pending_ms: row.get(4)?,
        })
    })
}
