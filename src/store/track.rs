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

/// So much of a window is looked through first.
const FIRST_PART_MS: i64 = 25 * 3_600_000;

/// How much of a window to look through next, where `found` fixes, fewer than `limit`, were in `looked_ms` of it: a little more
/// than has the rest, if it goes on so. Of a long window no more is read than a page takes, and who is seldom there costs few
/// questions.
fn part_ms(looked_ms: i64, found: usize, limit: usize) -> i64 {
    match (looked_ms, found) {
        (0, _) => FIRST_PART_MS,
        (_, 0) => looked_ms.saturating_mul(4),
        _ => looked_ms.saturating_mul((limit - found) as i64) / found as i64 / 8 * 9 + FIRST_PART_MS / 8,
    }
}

/// Fixes of clients in [from, to), by time, up to `limit`; what came at one instant in the order in which it was stored. Costs
/// a scan of the fixes of all clients in what is looked through.
pub fn track(
    conn: &Connection,
    store: &Store,
    clients: &[ClientKey],
    from_ms: i64,
    to_ms: i64,
    limit: usize,
) -> Result<Vec<TrackRow>, StoreError> {
    let sql = include_str!("sql/track.sql").replace("/*of clients*/", &listed(clients.iter().copied()));
    let keys: Vec<i32> = clients.iter().map(|client| client.0.cast_signed()).collect();
    let view = store.fixes().view(conn)?;
    let mut fixes: Vec<StoredFix> = Vec::new();
    let mut begin_ms = from_ms;
    while begin_ms < to_ms && fixes.len() < limit {
        let part_ms = part_ms(begin_ms - from_ms, fixes.len(), limit);
        let end_ms = to_ms.min(begin_ms.saturating_add(part_ms));
        let before = fixes.len();
        if let Some((from_ms, to_ms)) = view.stored(begin_ms, end_ms) {
            let params = [from_ms, to_ms, view.through].map(Value::BigInt);
            ask_fixes(conn, &sql, params.into(), |_, fix| fixes.push(fix))?;
        }
        view.of_clients(begin_ms, end_ms, &keys, |fix| fixes.push(fix));
        // DuckDB would sort the two or three fixes that each 2,048 rows have of a client one such lot after another, which takes
        // as long as to find them. Stable: what came at one instant stays in order.
        fixes[before..].sort_by_key(|fix| fix.at_ms);
        begin_ms = end_ms;
    }
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
