//! How many fixes there were in each cell of a map, and how long clients stood there.

use duckdb::Connection;
use duckdb::types::Value;

use super::columns::ask_columns;
use super::kept_areas::Ground;
use super::queries::{about_clients, code};
use super::recent_fixes::View;
use super::{Store, StoreError};
use crate::model::grouping;
use crate::model::ids::ClientKind;
use crate::model::movement::{ELSEWHERE, Heat, Stand, Stands};

/// Which fixes of a map.
#[derive(Clone, Debug)]
pub struct HeatmapFilter {
    pub from_ms: i64,
    pub to_ms: i64,
    pub client_kind: Option<ClientKind>,
    pub is_randomised: Option<bool>,
    pub cell_mm: i32,
    /// A fix stands for no longer than this.
    pub stay_max_ms: i64,
}

/// One square cell: its place in cells from the map's origin.
#[derive(Clone, Copy, Debug)]
pub struct CellRow {
    pub column: i64,
    pub row: i64,
    pub fixes: i64,
    pub seconds: f64,
    pub unique_clients: i64,
}

/// No more is in memory at a time than the fixes of a site in so long: a day, and the while after it.
const PART_MS: i64 = 25 * 3_600_000;

/// Cells with fixes, row by row. Half of the fixes are read over another connection at the same time. Costs a scan of the
/// window's fixes.
pub fn heatmap(
    conn: &Connection,
    store: &Store,
    ground: &Ground,
    filter: &HeatmapFilter,
) -> Result<Vec<CellRow>, StoreError> {
    // Keys that are known when it is planned are looked for as the rows are read, not joined to them.
    let Ground { map, site: Some(site), .. } = *ground else { return Ok(Vec::new()) };
    let of_clients = filter.client_kind.is_some() || filter.is_randomised.is_some();
    let sql = about_clients(include_str!("sql/heatmap.sql"), "f", of_clients, ["$4", "$5"]);
    // What is kept does not say what clients are.
    let view = if of_clients { View::of_file() } else { store.fixes().view() };
    let cell = |mm: i32| mm.div_euclid(filter.cell_mm);
    let place = |on: i32, is_off_map: bool, x_mm: i32, y_mm: i32| match on == map && !is_off_map {
        true => (cell(x_mm), cell(y_mm)),
        false => ELSEWHERE,
    };
    let stored = |conn: &Connection, from_ms: i64, to_ms: i64, stands: &mut Vec<Stand>| {
        let params = vec![
            Value::BigInt(from_ms),
            Value::BigInt(to_ms),
            Value::Int(site),
            code(filter.client_kind.map(|kind| kind as u8)),
            code(filter.is_randomised.map(u8::from)),
            Value::BigInt(view.through),
        ];
        ask_columns(conn, &sql, params, |batch| {
            let (clients, at) = (batch.integers(0)?, batch.times(1)?);
            let (maps, is_off) = (batch.integers(2)?, batch.bytes(3)?);
            let (x_mm, y_mm) = (batch.integers(4)?, batch.integers(5)?);
            stands.extend((0..batch.rows()).map(|row| Stand {
                client: clients[row],
                at_ms: at.ms(row),
                place: place(maps[row], is_off[row] != 0, x_mm[row], y_mm[row]),
            }));
            Ok(())
        })
    };
    let stands = |conn: &Connection, from_ms: i64, to_ms: i64| -> Result<Stands, StoreError> {
        let mut stands = Vec::new();
        if let Some((from_ms, to_ms)) = view.stored(from_ms, to_ms) {
            stored(conn, from_ms, to_ms, &mut stands)?;
        }
        view.of_site(from_ms, to_ms, site, |fix| {
            let place = place(fix.map, fix.is_off_map, fix.x_mm, fix.y_mm);
            stands.push(Stand { client: fix.client, at_ms: fix.at_ms, place });
        });
        Ok(Stands::of(stands))
    };
    // A fix may end what stood before for so long after the window.
    let (begin_ms, end_ms) = (filter.from_ms, filter.to_ms.saturating_add(filter.stay_max_ms));
    let (begin_ms, end_ms) = match end_ms.saturating_sub(begin_ms) {
        ..=PART_MS => (begin_ms, end_ms),
        _ => with_fixes(conn, begin_ms, end_ms)?,
    };
    let mut other = store.connection()?;
    let parts = (end_ms - begin_ms) / PART_MS + 1;
    let mut heat = Heat::new(filter.to_ms, filter.stay_max_ms, parts);
    for part in 0..parts {
        let bound_ms = |part: i64| begin_ms + (end_ms - begin_ms) / parts * part;
        let (from_ms, to_ms) = (bound_ms(part), if part + 1 == parts { end_ms } else { bound_ms(part + 1) });
        let middle_ms = from_ms.midpoint(to_ms);
        // Two threads read a half each: DuckDB has few when small statements are its work.
        let (stands, lent) = (&stands, other);
        let later = move || (stands(&lent, middle_ms, to_ms), lent);
        let (earlier, (later, lent)) = grouping::both(|| stands(conn, from_ms, middle_ms), later);
        other = lent;
        heat.take(&earlier?, &later?);
    }
    let rows = heat.counted().into_iter().map(|((column, row), cell)| CellRow {
        column: column.into(),
        row: row.into(),
        fixes: cell.fixes as i64,
        seconds: cell.stayed_ms as f64 / 1000.0,
        unique_clients: cell.unique_clients as i64,
    });
    Ok(rows.collect())
}

/// The part of a window in which there are fixes of any site: nobody says when a history began who asks for all of it.
fn with_fixes(conn: &Connection, from_ms: i64, to_ms: i64) -> Result<(i64, i64), StoreError> {
    let sql = "SELECT coalesce(epoch_ms(min(event_at)), 0), coalesce(epoch_ms(max(event_at)) + 1, 0) FROM store.fixes
               WHERE event_at >= epoch_ms($1::BIGINT)::TIMESTAMPTZ AND event_at < epoch_ms($2::BIGINT)::TIMESTAMPTZ";
    Ok(conn.query_row(sql, [from_ms, to_ms], |row| Ok((row.get(0)?, row.get(1)?)))?)
}
