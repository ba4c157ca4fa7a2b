//! Writes what one drain of the queue brought, in one transaction.

use std::sync::Arc;

use duckdb::{Appender, Connection};

use super::alerts::{self, Resolved};
use super::handover::Tray;
use super::kept_areas::KeptAreas;
use super::kept_clients::KeptClients;
use super::outbox::{self, AlertEvent, Notices};
use super::past::Past;
use super::recent_fixes::RecentFixes;
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
    /// From when on there are other visits than before, Unix milliseconds; none where all stay as they are.
    pub visits_since_ms: Option<i64>,
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
    /// Whether it concerns sites, maps or areas.
    fn concerns_places(&self) -> bool {
        !(self.sites.is_empty() && self.maps.is_empty() && self.areas.is_empty() && self.map_sites.is_empty())
    }

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
    tray: Tray,
    past: Arc<Past>,
    fixes: Arc<RecentFixes>,
    areas: Arc<KeptAreas>,
    clients: Arc<KeptClients>,
    /// Made since the start.
    checkpoints: u32,
}

/// One checkpoint of so many merges row groups. It takes several times as long, but so seldom that it delays less than one
/// acknowledgement of a hundred.
const MERGED_EVERY: u32 = 32;

impl Writer {
    pub fn new(store: &Store) -> Result<Writer, StoreError> {
        let conn = store.connection()?;
        // One for each table of a drain, and some.
        conn.set_prepared_statement_cache_capacity(64);
        Ok(Writer {
            conn,
            tray: Tray::new(),
            past: store.past().clone(),
            fixes: store.fixes().clone(),
            areas: store.areas().clone(),
            clients: store.clients().clone(),
            checkpoints: 0,
        })
    }

    /// Commits a drain; when it returns, the rows are on disk. On an error nothing of it is. Gives what it made known of
    /// alerts.
    pub fn commit(&mut self, drain: &Drain) -> Result<Vec<AlertEvent>, StoreError> {
        let Writer { conn, tray, past, fixes, areas, clients, .. } = self;
        let _change = drain.visits_since_ms.map(|since_ms| past.change(since_ms));
        let done = in_transaction(conn, |conn| {
            tray.append(conn, &drain.sites)?;
            tray.append(conn, &drain.maps)?;
            tray.append(conn, &drain.areas)?;
            tray.append(conn, &drain.clients)?;
            tray.append(conn, &drain.deliveries)?;
            tray.append(conn, &drain.fixes)?;
            tray.append(conn, &drain.beacons)?;
            tray.append(conn, &drain.transitions)?;
            tray.append(conn, &drain.scans)?;
            tray.append(conn, &drain.scan_readings)?;
            tray.append(conn, &drain.rssi_readings)?;
            tray.append(conn, &drain.vendor_alerts)?;
            tray.append(conn, &drain.pings)?;
            tray.append(conn, &drain.events)?;
            tray.append(conn, &drain.quarantine)?;
            tray.delete_visits(conn, "open_visits", &drain.no_longer_open)?;
            tray.delete_visits(conn, "visits", &drain.no_longer_ended)?;
            tray.append(conn, &drain.visits)?;
            tray.append(conn, &drain.open_visits)?;
            tray.append(conn, &drain.alerts)?;
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
        });
        past.came(drain, done.is_ok());
        fixes.came(&drain.fixes, done.is_ok());
        if drain.concerns_places() {
            areas.forget();
        }
        clients.came(drain);
        done
    }

    /// Moves what the log holds into the file. Only every so often are row groups merged that are small, or whose rows were
    /// deleted: DuckDB would each time, and write much anew that is in the file already.
    pub fn checkpoint(&mut self) -> Result<(), StoreError> {
        let _commit = allocation::commit();
        self.checkpoints += 1;
        if self.checkpoints.is_multiple_of(MERGED_EVERY) {
            return Ok(self.conn.execute_batch("CHECKPOINT")?);
        }
        self.conn.execute_batch("SET GLOBAL max_vacuum_tasks = 0")?;
        let done = self.conn.execute_batch("CHECKPOINT");
        // The one with which the file is closed merges them.
        self.conn.execute_batch("RESET GLOBAL max_vacuum_tasks")?;
        Ok(done?)
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
        let done = in_transaction(&self.conn, work);
        // Whatever it was about.
        self.areas.forget();
        self.clients.forget();
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

fn in_transaction<T>(
    conn: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    conn.execute_batch("BEGIN TRANSACTION")?;
    let done = work(conn).and_then(|value| {
        let _commit = allocation::commit();
        conn.execute_batch("COMMIT")?;
        Ok(value)
    });
    if done.is_err() {
        // A commit that failed has already ended the transaction; then there is nothing left to roll back.
        let _ = conn.execute_batch("ROLLBACK");
    }
    done
}

/// Appends a few rows to their table, within the connection's transaction. Those of a drain go over the writer's tray.
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
