//! One function per question, returning typed rows. Every one reads what was committed.

use duckdb::types::Value;
use duckdb::{Connection, Row, ToSql, params_from_iter};

use super::StoreError;
use super::kept_clients::Client;
use super::restore::{RuleSettings, area_kind, client_kind, pseudonyms};
use crate::model::ids::{AreaKind, ClientKey, ClientKind, SiteKey};
use crate::model::settings::Pseudonyms;
use crate::model::visit::Source;

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
    /// Only areas with this tag.
    pub tag: Option<String>,
    /// Only clients whose address is, or is not, a locally administered one.
    pub is_randomised: Option<bool>,
}

impl Scope {
    /// The first eight parameters of every question that has a scope.
    pub(super) fn params(&self) -> Vec<Value> {
        vec![
            text(&self.site),
            text(&self.map),
            text(&self.area),
            code(self.area_kind.map(|kind| kind as u8)),
            code(self.source.map(|source| source as u8)),
            code(self.client_kind.map(|kind| kind as u8)),
            text(&self.tag),
            code(self.is_randomised.map(u8::from)),
        ]
    }

    /// Whether it is about a client.
    pub(super) fn has(&self, client: &Client) -> bool {
        self.client_kind.is_none_or(|kind| kind == client.kind)
            && self.is_randomised.is_none_or(|is_randomised| is_randomised == client.is_randomised)
    }
}

/// Puts clients k into a question about `table`; the parameters are the wanted kind, and whether addresses are randomised.
pub(super) fn about_clients(sql: &str, table: &str, is_wanted: bool, [kind, randomised]: [&str; 2]) -> String {
    let (join, filter) = if is_wanted {
        (
            format!("JOIN store.clients_now k ON k.client_key = {table}.client_key"),
            format!(
                "({kind} IS NULL OR k.kind = {kind}) AND ({randomised} IS NULL OR ({randomised} = 1) = k.is_randomised)"
            ),
        )
    } else {
        // Parameters must be there to be given.
        (String::new(), format!("{kind} IS NULL AND {randomised} IS NULL"))
    };
    sql.replace("/*clients*/", &join).replace("/*of clients*/", &filter)
}

/// Which clients.
#[derive(Clone, Debug)]
pub struct ClientFilter {
    pub site: Option<String>,
    pub map: Option<String>,
    pub kind: Option<ClientKind>,
    pub is_randomised: Option<bool>,
    pub from_ms: i64,
    pub to_ms: i64,
    /// Part of an id or a name.
    pub search: Option<String>,
    /// Only who visited this area, one with this tag, one for as long.
    pub area: Option<String>,
    pub tag: Option<String>,
    pub min_dwell_s: Option<f64>,
    /// The key of the last client already read; -1 from the beginning.
    pub after: i64,
    pub limit: i64,
}

/// A client that was seen, and where last.
#[derive(Clone, Debug)]
pub struct ClientRow {
    pub key: i64,
    pub id: String,
    pub kind: ClientKind,
    pub name: Option<String>,
    pub is_randomised: bool,
    pub first_seen_ms: i64,
    pub fixes: i64,
    pub first_fix_ms: i64,
    pub last_fix_ms: i64,
    pub site_id: String,
    pub map_id: Option<String>,
    pub x_m: f64,
    pub y_m: f64,
}

/// Clients with fixes in the window, in the order in which they were first met.
pub fn clients(conn: &Connection, filter: &ClientFilter) -> Result<Vec<ClientRow>, StoreError> {
    let mut params = vec![
        text(&filter.site),
        text(&filter.map),
        code(filter.kind.map(|kind| kind as u8)),
        code(filter.is_randomised.map(u8::from)),
        Value::BigInt(filter.from_ms),
        Value::BigInt(filter.to_ms),
        text(&filter.search),
        Value::BigInt(filter.after),
        Value::BigInt(filter.limit),
    ];
    let mut of_visits = "";
    if filter.area.is_some() || filter.tag.is_some() || filter.min_dwell_s.is_some() {
        of_visits = include_str!("sql/client_visits.sql");
        let min_dwell = filter.min_dwell_s.map_or(Value::Null, Value::Double);
        params.extend([text(&filter.area), text(&filter.tag), min_dwell]);
    }
    let sql = include_str!("sql/clients.sql").replace("        /*of visits*/\n", of_visits);
    ask(conn, &sql, params, |row| {
        Ok(ClientRow {
            key: row.get(0)?,
            id: row.get(1)?,
            kind: client_kind(row.get(2)?),
            name: row.get(3)?,
            is_randomised: row.get(4)?,
            first_seen_ms: row.get(5)?,
            fixes: row.get(6)?,
            first_fix_ms: row.get(7)?,
            last_fix_ms: row.get(8)?,
            site_id: row.get(9)?,
            map_id: row.get(10)?,
            x_m: row.get(11)?,
            y_m: row.get(12)?,
        })
    })
}

/// The condition that rows are of these clients. Keys that are known when a question is planned are looked for as rows are
/// read, not joined to them.
pub(super) fn listed(clients: impl Iterator<Item = ClientKey>) -> String {
    let keys: Vec<String> = clients.map(|key| key.0.to_string()).collect();
    if keys.is_empty() { "false".to_owned() } else { format!("client_key IN ({})", keys.join(", ")) }
}

/// Asks one thing more, if there is a value for it, whose parameter comes after those there are and stands where the condition
/// has a question mark. What nobody asked takes as long to plan as what somebody did.
pub(super) fn also(sql: &mut String, params: &mut Vec<Value>, condition: &str, value: Option<Value>) {
    if let Some(value) = value {
        params.push(value);
        *sql += &format!(" AND {}", condition.replace('?', &format!("${}", params.len())));
    }
}

/// Where a client is, as far as the newest deliveries tell.
#[derive(Clone, Debug)]
pub struct NewestRow {
    pub site_id: String,
    pub map_id: String,
    pub client_id: String,
    pub client_kind: ClientKind,
    pub client_name: Option<String>,
    pub at_ms: i64,
    pub x_m: f64,
    pub y_m: f64,
}

/// The newest fix of each client among deliveries after one, up to `limit` clients.
pub fn newest_since(conn: &Connection, after: i64, limit: i64) -> Result<Vec<NewestRow>, StoreError> {
    let sql =
        "SELECT s.site_id, m.map_id, k.client_id, k.kind, k.name, epoch_ms(f.event_at), f.x_mm / 1000, f.y_mm / 1000
               FROM (FROM store.fixes WHERE delivery_key > $1
                     QUALIFY row_number() OVER (PARTITION BY site_key, client_key ORDER BY event_at DESC) = 1
                     LIMIT $2) f
               JOIN store.sites s USING (site_key)
               JOIN store.maps m ON m.map_key = f.map_key
               JOIN store.clients k USING (client_key)";
    ask(conn, sql, vec![Value::BigInt(after), Value::BigInt(limit)], |row| {
        Ok(NewestRow {
            site_id: row.get(0)?,
            map_id: row.get(1)?,
            client_id: row.get(2)?,
            client_kind: client_kind(row.get(3)?),
            client_name: row.get(4)?,
            at_ms: row.get(5)?,
            x_m: row.get(6)?,
            y_m: row.get(7)?,
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
    pub pseudonyms: Pseudonyms,
}

/// Sites, all or the one of that id.
pub fn sites(conn: &Connection, id: Option<&str>) -> Result<Vec<SiteRow>, StoreError> {
    let sql = "SELECT site_key, site_id, name, time_zone, exit_grace_s, presence_timeout_s, reported_timeout_s,
                   dwell_bands, epoch_ms(first_seen_at), pseudonymise
               FROM store.sites WHERE $1 IS NULL OR site_id = $1 ORDER BY name, site_id";
    ask(conn, sql, vec![text(&id.map(str::to_owned))], |row| {
        Ok(SiteRow {
            key: SiteKey(row.get(0)?),
            id: row.get(1)?,
            name: row.get(2)?,
            time_zone: row.get(3)?,
            rules: RuleSettings::read(row, 4)?,
            dwell_bands_json: row.get(7)?,
            first_seen_ms: row.get(8)?,
            pseudonyms: pseudonyms(row.get(9)?),
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
    let of_clients = listed(keys.iter().copied());
    let sql = format!("SELECT client_key, client_id FROM store.clients WHERE {of_clients}");
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
