//! One function per question, returning typed rows. Every one reads what was committed.

use duckdb::types::Value;
use duckdb::{Connection, Row, ToSql, params_from_iter};

use super::StoreError;
use super::restore::{RuleSettings, area_kind, client_kind, ended, source};
use crate::model::ids::{AreaKind, ClientKey, ClientKind, SiteKey};
use crate::model::metrics::Span;
use crate::model::visit::{Ended, Source};

/// Which areas and whose visits a question is about; `None` leaves a thing open.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub site: Option<String>,
    pub map: Option<String>,
    pub area: Option<String>,
    pub area_kind: Option<AreaKind>,
    /// `None`: each area's authoritative source.
    pub source: Option<Source>,
    pub client_kind: Option<ClientKind>,
}

impl Scope {
    /// The first six parameters of every question that has a scope.
    fn params(&self) -> Vec<Value> {
        vec![
            text(&self.site),
            text(&self.map),
            text(&self.area),
            code(self.area_kind.map(|kind| kind as u8)),
            code(self.source.map(|source| source as u8)),
            code(self.client_kind.map(|kind| kind as u8)),
        ]
    }
}

/// Clients in one area now.
#[derive(Clone, Debug)]
pub struct OccupancyRow {
    pub kind: AreaKind,
    pub area_id: String,
    pub name: Option<String>,
    pub site: Option<SiteKey>,
    pub site_id: Option<String>,
    pub map_id: Option<String>,
    pub occupancy_limit: Option<i64>,
    pub source: Source,
    /// In the order of [`ClientKind::ALL`].
    pub by_kind: [i64; 4],
}

pub fn occupancy(conn: &Connection, scope: &Scope) -> Result<Vec<OccupancyRow>, StoreError> {
    ask(conn, include_str!("sql/occupancy.sql"), scope.params(), |row| {
        let site: Option<u32> = row.get(3)?;
        Ok(OccupancyRow {
            kind: area_kind(row.get(0)?),
            area_id: row.get(1)?,
            name: row.get(2)?,
            site: site.map(SiteKey),
            site_id: row.get(4)?,
            map_id: row.get(5)?,
            occupancy_limit: row.get(6)?,
            source: source(row.get(7)?),
            by_kind: [row.get(8)?, row.get(9)?, row.get(10)?, row.get(11)?],
        })
    })
}

/// The visits of a scope that touch [from, to), by entry.
pub fn spans(conn: &Connection, scope: &Scope, from_ms: i64, to_ms: i64) -> Result<Vec<Span>, StoreError> {
    let mut params = scope.params();
    params.extend([Value::BigInt(from_ms), Value::BigInt(to_ms)]);
    ask(conn, include_str!("sql/spans.sql"), params, |row| {
        Ok(Span { client: row.get(0)?, entered_ms: row.get(1)?, exited_ms: row.get(2)? })
    })
}

/// Which visits, beside their scope and window.
#[derive(Clone, Debug)]
pub struct VisitFilter {
    pub from_ms: i64,
    pub to_ms: i64,
    pub client: Option<String>,
    pub min_dwell_s: Option<f64>,
    /// The key of the last visit already read; 0 from the beginning.
    pub after: i64,
    pub limit: i64,
}

/// One visit as people read it.
#[derive(Clone, Debug)]
pub struct VisitRow {
    pub key: i64,
    pub site_id: String,
    pub map_id: Option<String>,
    pub area_kind: AreaKind,
    pub area_id: String,
    pub area_name: Option<String>,
    pub client_kind: ClientKind,
    pub client_id: String,
    pub client_name: Option<String>,
    pub source: Source,
    pub entered_ms: i64,
    /// `None` while it goes on, and then so is `ended`.
    pub exited_ms: Option<i64>,
    pub ended: Option<Ended>,
    pub area_version: i64,
}

pub fn visits(conn: &Connection, scope: &Scope, filter: &VisitFilter) -> Result<Vec<VisitRow>, StoreError> {
    let mut params = scope.params();
    params.extend([
        Value::BigInt(filter.from_ms),
        Value::BigInt(filter.to_ms),
        text(&filter.client),
        filter.min_dwell_s.map_or(Value::Null, Value::Double),
        Value::BigInt(filter.after),
        Value::BigInt(filter.limit),
    ]);
    ask(conn, include_str!("sql/visits.sql"), params, |row| {
        Ok(VisitRow {
            key: row.get(0)?,
            site_id: row.get(1)?,
            map_id: row.get(2)?,
            area_kind: area_kind(row.get(3)?),
            area_id: row.get(4)?,
            area_name: row.get(5)?,
            client_kind: client_kind(row.get(6)?),
            client_id: row.get(7)?,
            client_name: row.get(8)?,
            source: source(row.get(9)?),
            entered_ms: row.get(10)?,
            exited_ms: row.get(11)?,
            ended: row.get::<_, Option<u8>>(12)?.map(ended),
            area_version: row.get(13)?,
        })
    })
}

/// A site and its settings.
#[derive(Clone, Debug)]
pub struct SiteRow {
    pub key: SiteKey,
    pub id: String,
    pub name: Option<String>,
    pub time_zone: String,
    pub rules: RuleSettings,
    pub dwell_bands_json: Option<String>,
    pub first_seen_ms: i64,
}

/// Sites, all or the one of that id.
pub fn sites(conn: &Connection, id: Option<&str>) -> Result<Vec<SiteRow>, StoreError> {
    let sql = "SELECT site_key, site_id, name, time_zone, exit_grace_s, presence_timeout_s, reported_timeout_s,
                   dwell_bands, epoch_ms(first_seen_at)
               FROM store.sites WHERE $1 IS NULL OR site_id = $1 ORDER BY name, site_id";
    ask(conn, sql, vec![text(&id.map(str::to_owned))], |row| {
        Ok(SiteRow {
            key: SiteKey(row.get(0)?),
            id: row.get(1)?,
            name: row.get(2)?,
            time_zone: row.get(3)?,
            rules: RuleSettings {
                exit_grace_s: row.get(4)?,
                presence_timeout_s: row.get(5)?,
                reported_timeout_s: row.get(6)?,
            },
            dwell_bands_json: row.get(7)?,
            first_seen_ms: row.get(8)?,
        })
    })
}

/// A map or area that events named but nobody ever uploaded.
#[derive(Clone, Debug)]
pub struct UnmappedRow {
    /// `None`: it is a map.
    pub area_kind: Option<AreaKind>,
    pub id: String,
    pub site_id: Option<String>,
    pub map_id: Option<String>,
    pub events: i64,
    pub fixes: i64,
    pub clients: i64,
    pub first_ms: Option<i64>,
    pub last_ms: Option<i64>,
}

/// What is missing, the most named first. Costs a scan of the fixes on unmapped maps, and of every other event.
pub fn unmapped(conn: &Connection, site: Option<&str>) -> Result<Vec<UnmappedRow>, StoreError> {
    ask(conn, include_str!("sql/unmapped.sql"), vec![text(&site.map(str::to_owned))], |row| {
        let kind: Option<u8> = row.get(0)?;
        Ok(UnmappedRow {
            area_kind: kind.map(area_kind),
            id: row.get(1)?,
            site_id: row.get(2)?,
            map_id: row.get(3)?,
            events: row.get(4)?,
            fixes: row.get(5)?,
            clients: row.get(6)?,
            first_ms: row.get(7)?,
            last_ms: row.get(8)?,
        })
    })
}

/// Outside ids of clients, in no order.
pub fn client_ids(conn: &Connection, keys: &[ClientKey]) -> Result<Vec<(ClientKey, String)>, StoreError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<String> = keys.iter().map(|key| key.0.to_string()).collect();
    let sql = format!("SELECT client_key, client_id FROM store.clients WHERE client_key IN ({})", keys.join(","));
    let mut statement = conn.prepare(&sql)?;
    let found = statement.query_map([], |row| Ok((ClientKey(row.get(0)?), row.get(1)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// What one source has sent.
#[derive(Clone, Debug)]
pub struct SourceRow {
    pub name: String,
    pub deliveries: i64,
    pub last_received_ms: i64,
    pub last_ping_ms: Option<i64>,
    pub last_ping_webhook: Option<String>,
    pub topics: Vec<String>,
}

/// Every source that ever sent anything, by name.
pub fn sources(conn: &Connection) -> Result<Vec<SourceRow>, StoreError> {
    let sql = "SELECT d.source, count(DISTINCT d.delivery_key), epoch_ms(max(d.received_at)),
                   epoch_ms(max(d.received_at) FILTER (p.delivery_key IS NOT NULL)),
                   arg_max(p.webhook_name, d.received_at) FILTER (p.delivery_key IS NOT NULL),
                   array_to_string(list_sort(list(DISTINCT d.topic)), ',')
               FROM store.deliveries d LEFT JOIN store.pings p USING (delivery_key)
               GROUP BY d.source ORDER BY d.source";
    ask(conn, sql, vec![], |row| {
        let topics: String = row.get(5)?;
        Ok(SourceRow {
            name: row.get(0)?,
            deliveries: row.get(1)?,
            last_received_ms: row.get(2)?,
            last_ping_ms: row.get(3)?,
            last_ping_webhook: row.get(4)?,
            topics: topics.split(',').map(str::to_owned).collect(),
        })
    })
}

/// Every question is planned anew: DuckDB up to 1.5.6 builds what a table's statistics say into a prepared plan, and such
/// a plan, run again, does not see rows that came since (duckdb#23704, duckdb#24182).
pub(super) fn ask<T>(
    conn: &Connection,
    sql: &str,
    params: Vec<Value>,
    read: impl FnMut(&Row<'_>) -> Result<T, duckdb::Error>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = conn.prepare(sql)?;
    let found = statement.query_map(params_from_iter(params.iter().map(|param| param as &dyn ToSql)), read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn text(text: &Option<String>) -> Value {
    text.clone().map_or(Value::Null, Value::Text)
}

pub(super) fn code(code: Option<u8>) -> Value {
    code.map_or(Value::Null, Value::UTinyInt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_asked_before_there_was_anything_sees_what_came_since() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE t (a INTEGER, ended_at TIMESTAMPTZ)").unwrap();
        let count =
            || ask(&conn, "SELECT a FROM t WHERE ended_at IS NULL", vec![], |row| row.get::<_, i32>(0)).unwrap();
        assert!(count().is_empty());
        conn.execute_batch("INSERT INTO t VALUES (1, NULL)").unwrap();
        assert_eq!(count(), [1]);
    }
}
