//! Where the stored fixes end, which is what a start goes on from: as it was noted, with one scan of all fixes since, and then
//! only what lies near the ends.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use duckdb::{Connection, Row};

use super::StoreError;
use super::columns::ask_columns;
use super::restore::rows;
use super::row::{self, Instant};
use super::writer::append;
use crate::model::ids::{ClientKey, DeliveryKey, MapKey, SiteKey};
use crate::model::position::Position;
use crate::model::time::{EventTime, ReceivedAt};

/// A client's newest fix, however old, and when the latest of its fixes was received.
#[derive(Clone, Copy, Debug)]
pub struct NewestFix {
    pub site: SiteKey,
    pub client: ClientKey,
    pub at: EventTime,
    pub received_at: ReceivedAt,
}

/// The newest fix of each client of each site: never a late one. Costs a scan of all fixes since they were noted, the only one
/// of a start.
pub fn newest_fixes(conn: &Connection) -> Result<Vec<NewestFix>, StoreError> {
    let fixes = match noted_through(conn)? {
        DeliveryKey(0) => "store.fixes".to_owned(),
        DeliveryKey(through) => format!(
            "(SELECT site_key, client_key, event_at, received_at FROM store.newest_fixes
              UNION ALL
              SELECT site_key, client_key, event_at, received_at FROM store.fixes WHERE delivery_key > {through})"
        ),
    };
    let sql = format!(
        "SELECT site_key, client_key, max(event_at), max(received_at) FROM {fixes} GROUP BY site_key, client_key"
    );
    let mut found = Vec::new();
    ask_columns(conn, &sql, Vec::new(), |batch| {
        let (sites, clients, at, received) = (batch.integers(0)?, batch.integers(1)?, batch.times(2)?, batch.times(3)?);
        found.extend((0..batch.rows()).map(|row| NewestFix {
            site: SiteKey(sites[row].cast_unsigned()),
            client: ClientKey(clients[row].cast_unsigned()),
            at: EventTime(at.ms(row)),
            received_at: ReceivedAt(received.ms(row)),
        }));
        Ok(())
    })?;
    Ok(found)
}

/// The last delivery whose fixes were looked at when the newest were noted; 0 where they never were.
fn noted_through(conn: &Connection) -> Result<DeliveryKey, StoreError> {
    let sql = "SELECT coalesce(max(through_delivery), 0) FROM store.newest_fixes";
    Ok(DeliveryKey(conn.query_row(sql, [], |row| row.get(0))?))
}

/// How many fixes came since the newest were noted.
pub fn fixes_since_noted(conn: &Connection) -> Result<i64, StoreError> {
    let sql = format!("SELECT count(*) FROM store.fixes WHERE delivery_key > {}", noted_through(conn)?.0);
    Ok(conn.query_row(&sql, [], |row| row.get(0))?)
}

/// The delivery that was stored last; 0 before the first.
pub fn last_delivery(conn: &Connection) -> Result<DeliveryKey, StoreError> {
    let sql = "SELECT coalesce(max(delivery_key), 0) FROM store.deliveries";
    Ok(DeliveryKey(conn.query_row(sql, [], |row| row.get(0))?))
}

/// Notes the newest fixes, of all deliveries up to one at least; of how many clients. To be called in a transaction.
pub fn note_newest_fixes(conn: &Connection, newest: &[NewestFix], through: DeliveryKey) -> Result<usize, StoreError> {
    let rows: Vec<row::NewestFix> = newest
        .iter()
        .map(|fix| row::NewestFix {
            site_key: row::column(fix.site.0),
            client_key: row::column(fix.client.0),
            event_at: Instant(fix.at.0),
            received_at: Instant(fix.received_at.0),
            through_delivery: through.0,
        })
        .collect();
    conn.execute_batch("DELETE FROM store.newest_fixes")?;
    append(conn, &rows)?;
    // Some may have been erased since they were read.
    forget_erased(conn)?;
    Ok(rows.len())
}

/// Takes out what is noted of clients that were erased. To be called wherever clients are.
pub(super) fn forget_erased(conn: &Connection) -> Result<(), StoreError> {
    let sql = "DELETE FROM store.newest_fixes
               WHERE client_key IN (SELECT client_key FROM store.clients WHERE starts_with(client_id, 'erased-'))";
    Ok(conn.execute_batch(sql)?)
}

/// A statement for the clients of all fixes that are left: where a client's newest is younger than whatever was forgotten, that
/// one is. Costs a scan of the fixes since the newest were noted, and of those as old as what was forgotten.
pub(super) fn clients_of_fixes(conn: &Connection) -> Result<String, StoreError> {
    let through = match noted_through(conn)? {
        DeliveryKey(0) => return Ok("SELECT DISTINCT client_key FROM store.fixes".to_owned()),
        DeliveryKey(through) => through,
    };
    // Told as a number, so that only row groups with such are read.
    let sql = "SELECT coalesce(epoch_ms(max(before_at)), 0) FROM store.forgotten WHERE site_key IS NOT NULL";
    let before_ms: i64 = conn.query_row(sql, [], |row| row.get(0))?;
    Ok(format!(
        "SELECT client_key FROM store.newest_fixes LEFT JOIN store.forgotten USING (site_key)
         WHERE before_at IS NULL OR event_at >= before_at
         UNION ALL
         SELECT DISTINCT client_key FROM store.fixes WHERE delivery_key > {through}
         UNION ALL
         SELECT DISTINCT client_key FROM store.fixes JOIN store.forgotten USING (site_key)
         WHERE event_at < epoch_ms({before_ms}::BIGINT)::TIMESTAMPTZ AND event_at < before_at"
    ))
}

/// Where the fixes of each site end: its newest, and the latest that was received.
#[derive(Debug, Default)]
pub struct Ends {
    sites: BTreeMap<SiteKey, (EventTime, ReceivedAt)>,
}

impl Ends {
    pub fn of(newest: &[NewestFix]) -> Ends {
        let mut sites = BTreeMap::new();
        for fix in newest {
            let (at, received_at) = sites.entry(fix.site).or_insert((fix.at, fix.received_at));
            *at = fix.at.max(*at);
            *received_at = fix.received_at.max(*received_at);
        }
        Ends { sites }
    }

    /// A common table expression `ends` with `site_key`, `newest_at` and `latest_receipt`; there may be none.
    pub(super) fn sql(&self) -> String {
        let rows =
            self.sites.iter().map(|(site, (at, received_at))| format!(", ({}, {}, {})", site.0, at.0, received_at.0));
        format!(
            "ends AS (
                 SELECT site_key, epoch_ms(at_ms)::TIMESTAMPTZ AS newest_at, epoch_ms(received_ms)::TIMESTAMPTZ AS latest_receipt
                 FROM (VALUES (NULL::INTEGER, NULL::BIGINT, NULL::BIGINT){}) ends(site_key, at_ms, received_ms)
                 WHERE site_key IS NOT NULL
             )",
            rows.collect::<String>()
        )
    }

    /// The times of the events within `window_ms` before the newest of their site.
    fn recent(&self, window_ms: i64) -> Vec<RangeInclusive<i64>> {
        joined(self.sites.values().map(|(at, _)| at.0 - window_ms..=at.0))
    }

    /// The times of the receipts within `window_ms` before the latest of their site.
    fn received_lately(&self, window_ms: i64) -> Vec<RangeInclusive<i64>> {
        joined(self.sites.values().map(|(_, received_at)| received_at.0 - window_ms..=received_at.0))
    }
}

/// Ranges that are nearer than an hour become one. What is asked for by such ranges is read off the row groups that have
/// it: a site that fell silent a year ago does not make a start read the year.
fn joined(ranges: impl Iterator<Item = RangeInclusive<i64>>) -> Vec<RangeInclusive<i64>> {
    const NEAR_MS: i64 = 3_600_000;
    let mut ranges: Vec<_> = ranges.collect();
    ranges.sort_by_key(|range| *range.start());
    let mut joined: Vec<RangeInclusive<i64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if *range.start() <= last.end().saturating_add(NEAR_MS) => {
                *last = *last.start()..=*last.end().max(range.end());
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// The condition that a column of instants lies in a range of Unix milliseconds.
fn within(column: &str, range: &RangeInclusive<i64>) -> String {
    let (from_ms, to_ms) = (range.start(), range.end());
    format!("{column} BETWEEN epoch_ms({from_ms}::BIGINT)::TIMESTAMPTZ AND epoch_ms({to_ms}::BIGINT)::TIMESTAMPTZ")
}

/// Each site's newest event that moved its clock, and when the first delivery with it was received: every fix and
/// transition does, of the others those that named their time.
pub fn clocks(conn: &Connection, ends: &Ends) -> Result<Vec<(SiteKey, EventTime, ReceivedAt)>, StoreError> {
    let clock = |row: &Row<'_>| Ok((SiteKey(row.get(0)?), EventTime(row.get(1)?), ReceivedAt(row.get(2)?)));
    let others = "WITH seen AS NOT MATERIALIZED (
            SELECT site_key, event_at, received_at FROM store.transitions
            UNION ALL SELECT site_key, event_at, received_at FROM (
                SELECT site_key, event_at, delivery_key FROM store.scans WHERE NOT is_received_time
                UNION ALL SELECT site_key, event_at, delivery_key FROM store.rssi_readings WHERE NOT is_received_time
                UNION ALL SELECT site_key, event_at, delivery_key FROM store.vendor_alerts WHERE NOT is_received_time
                UNION ALL SELECT site_key, event_at, delivery_key FROM store.pings WHERE NOT is_received_time
                UNION ALL SELECT site_key, event_at, delivery_key FROM store.events WHERE NOT is_received_time
            ) JOIN store.deliveries USING (delivery_key)
        ),
        newest AS (SELECT site_key, max(event_at) AS event_at FROM seen GROUP BY site_key)
        SELECT site_key, epoch_ms(event_at), epoch_ms(min(received_at))
        FROM seen JOIN newest USING (site_key, event_at) GROUP BY ALL";
    let mut found = rows(conn, others, clock)?;
    for range in ends.recent(0) {
        let sql = format!(
            "WITH {}
             SELECT site_key, epoch_ms(event_at), epoch_ms(min(f.received_at))
             FROM store.fixes f JOIN ends USING (site_key)
             WHERE {} AND event_at = newest_at GROUP BY ALL",
            ends.sql(),
            within("event_at", &range)
        );
        found.extend(rows(conn, &sql, clock)?);
    }
    // Of two of the same time the earlier receipt counts.
    found.sort_by_key(|(site, at, received_at)| (*site, Reverse(*at), *received_at));
    found.dedup_by_key(|(site, ..)| *site);
    Ok(found)
}

/// Each fix within `window_ms` before its site's newest, or received within as long before its site's latest (a history
/// that was being replayed), nearly in order of time. The flag says it was late.
pub fn each_recent_fix(
    conn: &Connection,
    ends: &Ends,
    window_ms: i64,
    mut take: impl FnMut(SiteKey, ClientKey, EventTime, bool),
) -> Result<(), StoreError> {
    let window = format!("INTERVAL {window_ms} MILLISECOND");
    let is_recent = format!("f.event_at >= newest_at - {window}");
    let was_received_lately = format!("f.received_at >= latest_receipt - {window} AND NOT ({is_recent})");
    let of_receipt = ends
        .received_lately(window_ms)
        .into_iter()
        .map(|range| (within("f.received_at", &range), &was_received_lately));
    let of_event = ends.recent(window_ms).into_iter().map(|range| (within("f.event_at", &range), &is_recent));
    for (range, condition) in of_receipt.chain(of_event) {
        let sql = format!(
            "WITH {}
             SELECT f.site_key, f.client_key, f.event_at, f.is_late
             FROM store.fixes f JOIN ends USING (site_key) WHERE {range} AND {condition}",
            ends.sql()
        );
        ask_columns(conn, &sql, Vec::new(), |batch| {
            let (sites, clients, at, is_late) =
                (batch.integers(0)?, batch.integers(1)?, batch.times(2)?, batch.flags(3)?);
            for row in 0..batch.rows() {
                let (site, client) = (SiteKey(sites[row].cast_unsigned()), ClientKey(clients[row].cast_unsigned()));
                take(site, client, EventTime(at.ms(row)), is_late.value(row));
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Where a client was in the last moments before its newest fix. One that was late counts for areas that were rebuilt
/// with it.
pub struct TailFix {
    pub delivery: DeliveryKey,
    pub is_late: bool,
    pub site: SiteKey,
    pub client: ClientKey,
    pub map: MapKey,
    pub at: EventTime,
    pub position: Position,
}

/// The fixes of the clients whose newest are given, from `tail_ms` before those on; per client the newest first.
pub fn tail_fixes(conn: &Connection, newest: &[NewestFix], tail_ms: i64) -> Result<Vec<TailFix>, StoreError> {
    let list =
        |value: fn(&NewestFix) -> i64| newest.iter().map(|fix| value(fix).to_string()).collect::<Vec<_>>().join(",");
    // Keys and times are integers of our own, so they may stand in the text.
    let live = format!(
        "SELECT unnest([{}]::INTEGER[]) AS site_key, unnest([{}]::INTEGER[]) AS client_key,
             unnest([{}]::BIGINT[]) AS newest_ms",
        list(|fix| fix.site.0.into()),
        list(|fix| fix.client.0.into()),
        list(|fix| fix.at.0)
    );
    let mut found = Vec::new();
    for range in joined(newest.iter().map(|fix| fix.at.0 - tail_ms..=fix.at.0)) {
        let sql = format!(
            "WITH live AS ({live})
             SELECT f.site_key, f.client_key, f.map_key, epoch_ms(f.event_at), f.x_mm, f.y_mm, f.delivery_key, f.is_late
             FROM store.fixes f JOIN live n USING (site_key, client_key)
             WHERE {} AND epoch_ms(f.event_at) >= n.newest_ms - {tail_ms}
             ORDER BY f.site_key, f.client_key, f.event_at DESC",
            within("f.event_at", &range)
        );
        found.extend(rows(conn, &sql, |row| {
            Ok(TailFix {
                site: SiteKey(row.get(0)?),
                client: ClientKey(row.get(1)?),
                map: MapKey(row.get(2)?),
                at: EventTime(row.get(3)?),
                position: Position { x_mm: row.get(4)?, y_mm: row.get(5)? },
                delivery: DeliveryKey(row.get(6)?),
                is_late: row.get(7)?,
            })
        })?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::forget::{Old, begin_forgetting, forget_events};
    use crate::store::writer::Writer;
    use crate::store::{Store, StoreOptions};

    fn store(dir: &tempfile::TempDir) -> Store {
        let path = dir.path().join("ends.duckdb");
        Store::open(&StoreOptions { path, memory_limit: None, threads: None }).unwrap()
    }

    /// Fixes of two sites and some clients, some older than what came before.
    fn add(conn: &Connection, first: i64, deliveries: i64, clients: i32) {
        let sql = format!(
            "INSERT INTO store.deliveries BY NAME
                 SELECT range AS delivery_key, epoch_ms(range * 1000)::TIMESTAMPTZ AS received_at, 'a' AS source, 'location' AS topic,
                     0 AS body_bytes, 1 AS events, 0 AS duplicates, 0 AS late, 0 AS quarantined
                 FROM range({first}, {first} + {deliveries});
             INSERT INTO store.fixes BY NAME
                 SELECT range AS delivery_key, epoch_ms(range * 1000)::TIMESTAMPTZ AS received_at, (range % 2)::INTEGER AS site_key,
                     (range * 7 % {clients})::INTEGER AS client_key, 1 AS map_key, 0 AS x_mm, 0 AS y_mm,
                     epoch_ms(range * 7919 % 1000 * 1000)::TIMESTAMPTZ AS event_at, false AS is_late, false AS is_off_map,
                     false AS is_received_time
                 FROM range({first}, {first} + {deliveries})"
        );
        conn.execute_batch(&sql).unwrap();
    }

    #[test]
    fn the_clients_of_what_is_left_are_those_of_all_fixes() {
        let dir = tempfile::TempDir::new().unwrap();
        let store = store(&dir);
        let mut writer = Writer::new(&store).unwrap();
        let conn = store.connection().unwrap();
        let clients = |sql: &str| -> Vec<i32> {
            let sql = format!("SELECT DISTINCT client_key FROM ({sql}) ORDER BY client_key");
            rows(&conn, &sql, |row| row.get(0)).unwrap()
        };
        let all = || clients("FROM store.fixes");
        let (mut first, mut gone) = (1, 0);
        for (number, deliveries) in [60, 3, 1, 40, 0, 12, 80, 30].into_iter().enumerate() {
            add(&conn, first, deliveries, 97);
            first += deliveries;
            if number != 2 {
                let (through, found) = (last_delivery(&conn).unwrap(), newest_fixes(&conn).unwrap());
                writer.in_transaction(|conn| note_newest_fixes(conn, &found, through)).unwrap();
            }
            add(&conn, first, 2, 97);
            first += 2;
            assert_eq!(clients(&clients_of_fixes(&conn).unwrap()), all());
            // Of one site the older ones go, a part now and a part later; those of the other are kept for twice as long.
            for (site, through) in [(0, first - 30), (1, first - 60)] {
                let old = Old { site: SiteKey(site), through };
                writer.in_transaction(|conn| begin_forgetting(conn, old)).unwrap();
                for rows_max in [5, 1000] {
                    let deleting = store.fixes().delete(old.through);
                    gone += writer.in_transaction(|conn| forget_events(conn, &deleting, old, rows_max)).unwrap();
                    assert_eq!(clients(&clients_of_fixes(&conn).unwrap()), all());
                }
            }
        }
        assert!(gone > 100 && all().len() > 20);
    }

    #[test]
    fn what_was_noted_and_what_came_since_are_all_there_is() {
        let dir = tempfile::TempDir::new().unwrap();
        let store = store(&dir);
        let mut writer = Writer::new(&store).unwrap();
        let conn = store.connection().unwrap();
        let add = |first, deliveries| add(&conn, first, deliveries, 5);
        let newest = || {
            let mut newest = newest_fixes(&conn).unwrap();
            newest.sort_by_key(|fix| (fix.site, fix.client));
            newest.iter().map(|fix| (fix.site.0, fix.client.0, fix.at.0, fix.received_at.0)).collect::<Vec<_>>()
        };
        let mut first = 1;
        for deliveries in [3, 40, 1, 100, 0, 12] {
            add(first, deliveries);
            first += deliveries;
            let through = last_delivery(&conn).unwrap();
            assert_eq!(through, DeliveryKey(first - 1));
            let found = newest_fixes(&conn).unwrap();
            // More comes between the reading and the noting.
            add(first, 2);
            first += 2;
            let note = |conn: &Connection| note_newest_fixes(conn, &found, through);
            assert_eq!(writer.in_transaction(note).unwrap(), found.len());
            assert_eq!(fixes_since_noted(&conn).unwrap(), 2);
            let noted = newest();
            conn.execute_batch("BEGIN TRANSACTION; DELETE FROM store.newest_fixes").unwrap();
            assert_eq!(noted, newest());
            conn.execute_batch("ROLLBACK").unwrap();
        }
        assert_eq!(newest().len(), 10);
    }
}
