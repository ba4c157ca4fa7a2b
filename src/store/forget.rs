//! What is deleted: a client, at once and everywhere; and what is old, a portion at a time.

use duckdb::{Connection, params};

use super::StoreError;
use super::ends::{clients_of_fixes, forget_erased};
use super::past::Changing;
use super::recent_fixes::Deleting;
use crate::model::ids::{Id, SiteKey};
use crate::model::time::{EventTime, ReceivedAt};

/// Rows that an erasure deleted, by table, as readers know these.
pub type Erased = Vec<(&'static str, usize)>;

/// Deletes a client everywhere, under each of its `ids` (its own, and its pseudonyms): by its key, and wherever a stored text names it in whatever spelling. What is left is a number
/// that stands for nobody. To be called in a transaction; the engine has to be read back afterwards.
///
/// Costs a scan of the tables that hold texts.
pub fn erase(conn: &Connection, _: &Changing<'_>, _: &Deleting<'_>, ids: &[Id]) -> Result<Erased, StoreError> {
    let ids: Vec<String> = ids.iter().map(Id::to_string).collect();
    let quoted: Vec<String> = ids.iter().map(|id| format!("'{}'", id.replace('\'', "''"))).collect();
    let quoted = quoted.join(",");
    let plain: Vec<String> = ids.iter().map(|id| plain(id)).collect();
    let plain = plain.join("|");
    conn.execute_batch(
        "CREATE OR REPLACE TEMP TABLE erased_clients (client_key INTEGER);
         CREATE OR REPLACE TEMP TABLE erased_events (delivery_key BIGINT, n BIGINT);
         CREATE OR REPLACE TEMP TABLE erased_bad (delivery_key BIGINT, n BIGINT);",
    )?;
    conn.execute_batch(&format!(
        "INSERT INTO erased_clients SELECT client_key FROM store.clients WHERE client_id IN ({quoted})"
    ))?;
    let of_client = "client_key IN (SELECT client_key FROM temp.erased_clients)".to_owned();
    // As it was sent: with or without separators, in either case.
    let names = |column: &str| format!("regexp_matches(translate(lower({column}::VARCHAR), ':-.', ''), '{plain}')");
    let in_scans = format!("scan_key IN (SELECT scan_key FROM store.scans WHERE {of_client})");
    let readings = format!("client_id IN ({quoted}) OR {}", names("coalesce(asset_id, '')"));
    let told = format!("alert_key IN (SELECT alert_key FROM store.alerts WHERE {of_client}) OR {}", names("event"));
    let attempts = format!("delivery_key IN (SELECT delivery_key FROM store.callback_deliveries WHERE {told})");
    let events = format!("{} OR {}", names("coalesce(client_mac, '')"), names("body"));
    let counted = [
        ("fixes", "count(*)", of_client.clone()),
        ("transitions", "count(*)", format!("{of_client} OR {}", names("coalesce(event::VARCHAR, '')"))),
        ("scans", "count(*)", of_client.clone()),
        ("rssi_readings", "count(DISTINCT fingerprint)", readings.clone()),
        ("events", "count(*)", events.clone()),
    ];
    for (table, count, condition) in &counted {
        conn.execute_batch(&format!(
            "INSERT INTO temp.erased_events SELECT delivery_key, {count} FROM store.{table} WHERE {condition} GROUP BY ALL"
        ))?;
    }
    let bad = format!("{} OR {}", names("event"), names("reason"));
    conn.execute_batch(&format!(
        "INSERT INTO temp.erased_bad SELECT delivery_key, count(*) FROM store.quarantine WHERE {bad} GROUP BY ALL"
    ))?;
    let mut erased = Erased::new();
    let steps = [
        ("positions", "fixes", counted[0].2.clone()),
        ("beacons", "beacons", of_client.clone()),
        ("transitions", "transitions", counted[1].2.clone()),
        ("scan_readings", "scan_readings", in_scans),
        ("scans", "scans", of_client.clone()),
        ("rssi_readings", "rssi_readings", readings),
        ("events", "events", events),
        ("quarantine", "quarantine", bad),
        ("visits", "visits", of_client.clone()),
        ("open_visits", "open_visits", of_client.clone()),
        ("callback_attempts", "callback_attempts", attempts),
        ("callback_deliveries", "callback_deliveries", told),
        ("alerts", "alerts", of_client.clone()),
        ("silences", "silences", of_client.clone()),
    ];
    for (name, table, condition) in steps {
        erased.push((name, conn.execute(&format!("DELETE FROM store.{table} WHERE {condition}"), [])?));
    }
    // Deliveries say how many events of theirs there are.
    for (column, from) in [("events", "erased_events"), ("quarantined", "erased_bad")] {
        conn.execute_batch(&format!(
            "UPDATE store.deliveries AS d SET {column} = d.{column} - e.n
             FROM (SELECT delivery_key, sum(n)::INTEGER AS n FROM temp.{from} GROUP BY ALL) e
             WHERE e.delivery_key = d.delivery_key"
        ))?;
    }
    // Its number stays taken: keys are counted.
    let clients = conn.execute(
        &format!("UPDATE store.clients SET client_id = 'erased-' || client_key, name = NULL WHERE {of_client}"),
        [],
    )?;
    erased.push(("clients", clients));
    forget_erased(conn)?;
    conn.execute_batch("DROP TABLE temp.erased_clients; DROP TABLE temp.erased_events; DROP TABLE temp.erased_bad;")?;
    Ok(erased)
}

/// An id without what spellings differ by, as a pattern in a statement.
fn plain(settled: &str) -> String {
    let kept = settled.to_lowercase();
    let kept = kept.chars().filter(|c| !matches!(c, ':' | '-' | '.'));
    let pattern = |c: char| if c.is_alphanumeric() { c.to_string() } else { format!("\\x{{{:x}}}", u32::from(c)) };
    kept.map(pattern).collect()
}

/// When the oldest row was that may be about a client, Unix milliseconds; `now_ms` where there is none.
pub fn oldest(conn: &Connection, now_ms: i64) -> Result<i64, StoreError> {
    let events = ["fixes", "transitions", "scans", "rssi_readings", "events"]
        .map(|table| format!("SELECT min(event_at) AS oldest_at FROM store.{table}"));
    let others = [
        "SELECT min(entered_at) FROM store.visits",
        "SELECT min(entered_at) FROM store.open_visits",
        "SELECT min(first_seen_at) FROM store.clients",
        "SELECT min(received_at) FROM store.quarantine",
    ];
    let all = events.into_iter().chain(others.map(str::to_owned)).collect::<Vec<_>>().join(" UNION ALL ");
    let oldest: Option<i64> =
        conn.query_row(&format!("SELECT epoch_ms(min(oldest_at)) FROM ({all})"), [], |row| row.get(0))?;
    Ok(oldest.unwrap_or(now_ms).min(now_ms))
}

/// Clients of which nothing is left are no longer known by their ids; how many that was. To be called before anything is read into
/// memory: a number stays taken, for keys are counted, and stands for nobody.
///
/// Costs a scan of the clients of visits and of all events but fixes, once something has been forgotten.
pub fn forget_clients(conn: &Connection) -> Result<usize, StoreError> {
    let has_forgotten: bool =
        conn.query_row("SELECT count(*) > 0 FROM store.forgotten WHERE site_key IS NOT NULL", [], |row| row.get(0))?;
    if !has_forgotten {
        return Ok(0);
    }
    let tables = ["beacons", "transitions", "scans", "visits", "open_visits", "alerts", "silences"];
    // Each of them once: what clients are looked for in is kept in memory.
    let others =
        tables.map(|table| format!("SELECT DISTINCT client_key FROM store.{table} WHERE client_key IS NOT NULL"));
    let left: Vec<String> = others.into_iter().chain([clients_of_fixes(conn)?]).collect();
    let clients = conn.execute(
        &format!(
            "UPDATE store.clients SET client_id = 'erased-' || client_key, name = NULL
             WHERE NOT starts_with(client_id, 'erased-')
                 AND client_key NOT IN (SELECT client_key FROM ({}))",
            left.join(" UNION ALL ")
        ),
        [],
    )?;
    forget_erased(conn)?;
    Ok(clients)
}

/// What of a site is old: everything that came with a delivery up to `through`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Old {
    pub site: SiteKey,
    pub through: i64,
}

/// The last delivery that was received before a time, but never the newest of all: keys are counted on from it.
pub fn last_delivery_before(conn: &Connection, before: ReceivedAt) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT max(delivery_key) FROM store.deliveries
               WHERE epoch_ms(received_at) < ? AND delivery_key < (SELECT max(delivery_key) FROM store.deliveries)";
    Ok(conn.query_row(sql, params![before.0], |row| row.get(0))?)
}

/// Tables of events, each row of a site and a delivery.
const EVENT_TABLES: [&str; 8] =
    ["fixes", "beacons", "transitions", "scans", "rssi_readings", "vendor_alerts", "pings", "events"];

/// Notes that the events of a site up to a delivery are going to be deleted; whether there are any. From then on no rebuild
/// touches visits of before.
pub fn begin_forgetting(conn: &Connection, old: Old) -> Result<bool, StoreError> {
    let of = format!("site_key = {} AND delivery_key <= {}", old.site.0, old.through);
    let newest: Vec<String> = EVENT_TABLES
        .iter()
        .map(|table| format!("SELECT max(event_at) AS newest_at FROM store.{table} WHERE {of}"))
        .collect();
    let newest: Option<i64> =
        conn.query_row(&format!("SELECT epoch_ms(max(newest_at)) FROM ({})", newest.join(" UNION ALL ")), [], |row| {
            row.get(0)
        })?;
    let Some(EventTime(newest_ms)) = newest.map(EventTime) else { return Ok(false) };
    conn.execute(
        "INSERT INTO store.forgotten SELECT $1, epoch_ms($2::BIGINT)::TIMESTAMPTZ, $3
         WHERE NOT EXISTS (FROM store.forgotten WHERE site_key = $1)",
        params![old.site.0, newest_ms + 1, old.through],
    )?;
    conn.execute(
        "UPDATE store.forgotten SET before_at = greatest(before_at, epoch_ms($2::BIGINT)::TIMESTAMPTZ),
             through_delivery = greatest(through_delivery, $3) WHERE site_key = $1",
        params![old.site.0, newest_ms + 1, old.through],
    )?;
    Ok(true)
}

/// Deletes up to `rows_max` of a site's old events; how many it were. The newest scan stays: keys are counted on from it.
pub fn forget_events(conn: &Connection, _: &Deleting<'_>, old: Old, rows_max: usize) -> Result<usize, StoreError> {
    let mut deleted = 0;
    for table in EVENT_TABLES {
        if deleted >= rows_max {
            break;
        }
        let newest = if table == "scans" { " AND scan_key < (SELECT max(scan_key) FROM store.scans)" } else { "" };
        let chosen = format!(
            "SELECT rowid FROM store.{table} WHERE site_key = {} AND delivery_key <= {}{newest} LIMIT {}",
            old.site.0,
            old.through,
            rows_max - deleted
        );
        if table == "scans" {
            deleted += conn.execute(
                &format!(
                    "DELETE FROM store.scan_readings WHERE scan_key IN (
                         SELECT scan_key FROM store.scans WHERE rowid IN ({chosen}))"
                ),
                [],
            )?;
        }
        deleted += conn.execute(&format!("DELETE FROM store.{table} WHERE rowid IN ({chosen})"), [])?;
    }
    Ok(deleted)
}

/// Deletes up to `rows_max` quarantined events and deliveries up to `through`; how many it were.
pub fn forget_deliveries(conn: &Connection, through: i64, rows_max: usize) -> Result<usize, StoreError> {
    conn.execute(
        "INSERT INTO store.forgotten SELECT NULL, epoch_ms(0)::TIMESTAMPTZ, $1
         WHERE NOT EXISTS (FROM store.forgotten WHERE site_key IS NULL)",
        params![through],
    )?;
    conn.execute(
        "UPDATE store.forgotten SET through_delivery = greatest(through_delivery, $1) WHERE site_key IS NULL",
        params![through],
    )?;
    let mut deleted = 0;
    for table in ["quarantine", "deliveries"] {
        deleted += conn.execute(
            &format!(
                "DELETE FROM store.{table} WHERE rowid IN (
                     SELECT rowid FROM store.{table} WHERE delivery_key <= {through} LIMIT {})",
                rows_max - deleted.min(rows_max)
            ),
            [],
        )?;
    }
    Ok(deleted)
}

/// Visits of a site that ended before a time, and whose events are gone. The newest visit of all is none of them: keys are
/// counted on from it.
fn old_visits(site: SiteKey, before: EventTime) -> String {
    format!(
        "FROM store.visits v JOIN store.forgotten f ON f.site_key = v.site_key
         WHERE v.site_key = {} AND v.exited_at < epoch_ms({})::TIMESTAMPTZ AND v.exited_at < f.before_at
             AND v.visit_key < (SELECT max(visit_key) FROM store.visits)",
        site.0, before.0
    )
}

/// Whether there are visits to forget: what is kept in memory of the past need not go for none.
pub fn has_old_visits(conn: &Connection, site: SiteKey, before: EventTime) -> Result<bool, StoreError> {
    Ok(conn.query_row(&format!("SELECT EXISTS (SELECT 1 {})", old_visits(site, before)), [], |row| row.get(0))?)
}

/// Deletes up to `rows_max` visits of a site that ended before a time, and whose events are gone; how many it were.
pub fn forget_visits(
    conn: &Connection,
    _: &Changing<'_>,
    site: SiteKey,
    before: EventTime,
    rows_max: usize,
) -> Result<usize, StoreError> {
    let old = old_visits(site, before);
    let sql = format!("DELETE FROM store.visits WHERE rowid IN (SELECT v.rowid {old} LIMIT {rows_max})");
    Ok(conn.execute(&sql, [])?)
}

/// Deletes what endpoints were told, or were given up on, before a time.
pub fn forget_told(conn: &Connection, before: ReceivedAt) -> Result<usize, StoreError> {
    let old = "SELECT delivery_key FROM store.callback_deliveries WHERE epoch_ms(ended_at) < ?";
    let attempts =
        conn.execute(&format!("DELETE FROM store.callback_attempts WHERE delivery_key IN ({old})"), params![before.0])?;
    let told = conn.execute(
        &format!(
            "DELETE FROM store.callback_deliveries WHERE delivery_key IN ({old})
                 AND delivery_key < (SELECT max(delivery_key) FROM store.callback_deliveries)"
        ),
        params![before.0],
    )?;
    Ok(attempts + told)
}
