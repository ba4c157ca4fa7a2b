//! The way of a client: its fixes, by time.

use duckdb::Connection;
use duckdb::types::Value;

use super::queries::listed;
use super::recent_fixes::{StoredFix, ask_fixes};
use super::{Store, StoreError};
use crate::model::ids::ClientKey;

/// One fix of a client.
#[derive(Clone, Debug)]
pub struct TrackRow {
    pub at_ms: i64,
    pub site_id: String,
    pub map_id: String,
    pub x_m: f64,
    pub y_m: f64,
    pub rssi_dbm: Option<f64>,
    pub is_late: bool,
    pub is_off_map: bool,
}

/// Fixes of clients in [from, to), by time, up to `limit`; what came at one instant in the order in which it was stored. Costs
/// a look at the newest fixes of all clients, and a scan of the older ones in the window.
pub fn track(
    conn: &Connection,
    store: &Store,
    clients: &[ClientKey],
    from_ms: i64,
    to_ms: i64,
    limit: usize,
) -> Result<Vec<TrackRow>, StoreError> {
    let keys: Vec<i32> = clients.iter().map(|client| client.0.cast_signed()).collect();
    let view = store.fixes().view();
    let mut fixes: Vec<StoredFix> = Vec::new();
    if let Some((from_ms, to_ms)) = view.stored(from_ms, to_ms) {
        let which = format!(
            "WHERE event_at >= epoch_ms($1::BIGINT)::TIMESTAMPTZ AND event_at < epoch_ms($2::BIGINT)::TIMESTAMPTZ
                 AND delivery_key <= $3 AND {}
             ORDER BY event_at, delivery_key LIMIT $4",
            listed(clients.iter().copied())
        );
        let params = [from_ms, to_ms, view.through, limit as i64].map(Value::BigInt);
        ask_fixes(conn, &which, params.into(), |_, fix| fixes.push(fix))?;
    }
    view.of_clients(from_ms, to_ms, &keys, |fix| fixes.push(fix));
    // Stable: of what came at one instant, what is in the file only was stored before.
    fixes.sort_by_key(|fix| fix.at_ms);
    fixes.truncate(limit);
    let ids = store.areas().ids(conn, fixes.iter().map(|fix| fix.site), fixes.iter().map(|fix| fix.map))?;
    let metres = |mm: i32| f64::from(mm) / 1000.0;
    let named = fixes.into_iter().map(|fix| TrackRow {
        at_ms: fix.at_ms,
        site_id: ids.site(fix.site).unwrap_or_default(),
        map_id: ids.map(fix.map).unwrap_or_default(),
        x_m: metres(fix.x_mm),
        y_m: metres(fix.y_mm),
        rssi_dbm: fix.rssi_dbm.map(f64::from),
        is_late: fix.is_late,
        is_off_map: fix.is_off_map,
    });
    Ok(named.collect())
}
