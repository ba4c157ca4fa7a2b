//! Writes what one drain of the queue brought, in one transaction.

use std::fmt::Write as _;

use duckdb::{Appender, Connection};

use super::alerts::{self, Resolved};
use super::outbox::{self, AlertEvent, Notices};
use super::row::{self, Row};
use super::{Store, StoreError, allocation};
use crate::model::alert::AlarmId;
use crate::model::ids::{AlertKey, SiteKey, VisitKey};
use crate::model::time::EventTime;

/// Everything one drain adds and takes away.
#[derive(Debug, Default)]
pub struct Drain {
    pub sites: Vec<row::Site>,
    pub maps: Vec<row::Map>,
    pub areas: Vec<row::Area>,
    pub clients: Vec<row::Client>,
    /// Display names that changed, by client key.
    pub client_names: Vec<(i32, String)>,
    /// Sites that a map or area learned to belong to, and the map an area lies on.
    pub map_sites: Vec<(i32, SiteKey)>,
    pub deliveries: Vec<row::Delivery>,
    pub fixes: Vec<row::Fix>,
    pub beacons: Vec<row::Beacon>,
    pub transitions: Vec<row::Transition>,
    pub scans: Vec<row::Scan>,
    pub scan_readings: Vec<row::ScanReading>,
    pub rssi_readings: Vec<row::RssiReading>,
    pub vendor_alerts: Vec<row::VendorAlert>,
    pub pings: Vec<row::Ping>,
    pub events: Vec<row::Event>,
    pub quarantine: Vec<row::Quarantined>,
    /// Visits that ended.
    pub visits: Vec<row::Visit>,
    /// Visits that began, or go on after all.
    pub open_visits: Vec<row::OpenVisit>,
    /// Visits that stood open before this drain and have ended.
    pub no_longer_open: Vec<VisitKey>,
    /// Visits that had ended before this drain and go on after all.
    pub no_longer_ended: Vec<VisitKey>,
    /// Alerts that fired.
    pub alerts: Vec<row::Alert>,
    /// Alerts that are over, of this drain or an earlier one.
    pub resolved_alerts: Vec<Resolved>,
    /// Alerts that were due to be told again, and when.
    pub told_alerts: Vec<(AlertKey, EventTime)>,
    /// What callbacks are to be told of alerts.
    pub notices: Notices,
    /// What is pending of the alarms that changed.
    pub pending_alarms: Vec<((SiteKey, AlarmId), Option<row::PendingAlarm>)>,
}

impl Drain {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
            && self.visits.is_empty()
            && self.open_visits.is_empty()
            && self.no_longer_open.is_empty()
            && self.no_longer_ended.is_empty()
            && self.alerts.is_empty()
            && self.resolved_alerts.is_empty()
            && self.told_alerts.is_empty()
            && self.notices.list.is_empty()
            && self.pending_alarms.is_empty()
    }
}

/// The one connection that writes.
pub struct Writer {
    conn: Connection,
}

impl Writer {
    pub fn new(store: &Store) -> Result<Writer, StoreError> {
        Ok(Writer { conn: store.connection()? })
    }

    /// Commits a drain; when it returns, the rows are on disk. On an error nothing of it is. Gives what it made known of
    /// alerts.
    pub fn commit(&mut self, drain: &Drain) -> Result<Vec<AlertEvent>, StoreError> {
        self.in_transaction(|conn| {
            append(conn, &drain.sites)?;
            append(conn, &drain.maps)?;
            append(conn, &drain.areas)?;
            append(conn, &drain.clients)?;
            append(conn, &drain.deliveries)?;
            append(conn, &drain.fixes)?;
            append(conn, &drain.beacons)?;
            append(conn, &drain.transitions)?;
            append(conn, &drain.scans)?;
            append(conn, &drain.scan_readings)?;
            append(conn, &drain.rssi_readings)?;
            append(conn, &drain.vendor_alerts)?;
            append(conn, &drain.pings)?;
            append(conn, &drain.events)?;
            append(conn, &drain.quarantine)?;
            delete_visits(conn, "open_visits", &drain.no_longer_open)?;
            delete_visits(conn, "visits", &drain.no_longer_ended)?;
            append(conn, &drain.visits)?;
            append(conn, &drain.open_visits)?;
            append(conn, &drain.alerts)?;
            alerts::resolve(conn, &drain.resolved_alerts)?;
            alerts::set_told(conn, &drain.told_alerts)?;
            alerts::set_pending(conn, &drain.pending_alarms)?;
            for (client_key, name) in &drain.client_names {
                conn.execute(
                    "UPDATE store.clients SET name = ? WHERE client_key = ?",
                    duckdb::params![name, client_key],
                )?;
            }
            for (map_key, site) in &drain.map_sites {
                conn.execute("UPDATE store.maps SET site_key = ? WHERE map_key = ?", duckdb::params![site.0, map_key])?;
            }
            outbox::enqueue(conn, &drain.notices)
        })
    }

    /// Asks what is committed.
    pub fn read<T>(&self, question: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        question(&self.conn)
    }

    /// Runs `work` in one transaction: all of it is committed, or on an error none.
    pub fn in_transaction<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.conn.execute_batch("BEGIN TRANSACTION")?;
        let done = work(&self.conn).and_then(|value| {
            let _commit = allocation::commit();
            self.conn.execute_batch("COMMIT")?;
            Ok(value)
        });
        if done.is_err() {
            // A commit that failed has already ended the transaction; then there is nothing left to roll back.
            let _ = self.conn.execute_batch("ROLLBACK");
        }
        done
    }

    /// Runs `work` in a transaction that is never committed: what it would do, without doing it.
    pub fn rehearse<T>(&mut self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.conn.execute_batch("BEGIN TRANSACTION")?;
        let done = work(&self.conn);
        // An error may have ended the transaction already.
        let ended = self.conn.execute_batch("ROLLBACK");
        done.and_then(|value| {
            ended?;
            Ok(value)
        })
    }
}

/// Appends rows to their table, within the connection's transaction.
pub fn append<R: Row>(conn: &Connection, rows: &[R]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let failed = |source| StoreError::Append { table: R::TABLE, rows: rows.len(), source };
    let appender = conn.appender_to_db(R::TABLE, "store").map_err(failed)?;
    fill(appender, R::TABLE, rows)
}

/// Appends rows to a temporary table of the connection that has the columns of theirs.
pub fn append_temporary<R: Row>(conn: &Connection, table: &'static str, rows: &[R]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let failed = |source| StoreError::Append { table, rows: rows.len(), source };
    let appender = conn.appender_to_catalog_and_db(table, "temp", "main").map_err(failed)?;
    fill(appender, table, rows)
}

fn fill<R: Row>(mut appender: Appender<'_>, table: &'static str, rows: &[R]) -> Result<(), StoreError> {
    let failed = |source| StoreError::Append { table, rows: rows.len(), source };
    appender.append_record_batch(R::batch(rows)).map_err(failed)?;
    appender.flush().map_err(failed)
}

/// The keys are integers of our own, so they may stand in the text: a list of thousands binds slowly.
fn delete_visits(conn: &Connection, table: &str, keys: &[VisitKey]) -> Result<(), StoreError> {
    for keys in keys.chunks(10_000) {
        let mut sql = format!("DELETE FROM store.{table} WHERE visit_key IN (");
        for (place, key) in keys.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(sql, "{comma}{}", key.0).expect("writing to a string cannot fail");
        }
        sql.push(')');
        let deleted = conn.execute(&sql, [])?;
        if deleted != keys.len() {
            let problem = format!("{} of {} visits to move were not in {table}", keys.len() - deleted, keys.len());
            return Err(StoreError::Corrupt { what: "visits", problem });
        }
    }
    Ok(())
}
