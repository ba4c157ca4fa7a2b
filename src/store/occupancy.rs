//! Who is in each area now: from memory while open visits are kept there, else from the file.

use duckdb::Connection;

use super::queries::{Scope, ask};
use super::restore::{area_kind, client_kind, source};
use super::spans::Chosen;
use super::{Store, StoreError};
use crate::model::ids::{AreaKind, SiteKey};
use crate::model::visit::Source;

/// Clients in one area now.
#[derive(Clone, Debug, PartialEq)]
pub struct OccupancyRow {
    pub kind: AreaKind,
    pub area_id: String,
    pub name: Option<String>,
    pub site: Option<SiteKey>,
    pub site_id: Option<String>,
    pub map_id: Option<String>,
    pub occupancy_limit: Option<i64>,
    pub source: Source,
    /// Whether it was uploaded.
    pub is_mapped: bool,
    /// In the order of [`ClientKind::ALL`](crate::model::ids::ClientKind::ALL).
    pub by_kind: [i64; 4],
}

/// The areas of a scope that were uploaded or have someone in them, in order of site, map and name.
pub fn occupancy(store: &Store, conn: &Connection, scope: &Scope) -> Result<Vec<OccupancyRow>, StoreError> {
    match kept(store, conn, scope)? {
        Some(rows) => Ok(rows),
        None => stored(conn, scope),
    }
}

/// From memory, if it is there.
pub(super) fn kept(store: &Store, conn: &Connection, scope: &Scope) -> Result<Option<Vec<OccupancyRow>>, StoreError> {
    if scope.is_randomised.is_some() {
        return Ok(None);
    }
    let areas = store.areas().of(conn, scope)?;
    let Some(chosen) = Chosen::of(&areas, scope.source) else { return Ok(Some(Vec::new())) };
    let (least, most) = chosen.range().into_inner();
    let mut counts = vec![[0; 4]; most.abs_diff(least) as usize + 1];
    let is_asked_for = |area, source| chosen.has(area, source);
    let is_wanted = |kind: u8| scope.client_kind.is_none_or(|wanted| kind == wanted as u8);
    let is_known = store.past().each_open(conn, chosen.range(), is_asked_for, |area, kind| {
        if is_wanted(kind) {
            counts[area.abs_diff(least) as usize][client_kind(kind) as usize] += 1;
        }
    })?;
    let rows = areas.iter().map(|area| OccupancyRow {
        kind: area.kind,
        area_id: area.id.clone(),
        name: area.name.clone(),
        site: area.site,
        site_id: area.site_id.clone(),
        map_id: area.map_id.clone(),
        occupancy_limit: area.occupancy_limit,
        source: scope.source.unwrap_or(area.source),
        is_mapped: area.is_mapped,
        by_kind: counts[area.key.abs_diff(least) as usize],
    });
    let rows = rows.filter(|row| row.is_mapped || row.by_kind != [0; 4]);
    Ok(is_known.then(|| rows.collect()))
}

pub(super) fn stored(conn: &Connection, scope: &Scope) -> Result<Vec<OccupancyRow>, StoreError> {
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
            is_mapped: row.get(8)?,
            by_kind: [row.get(9)?, row.get(10)?, row.get(11)?, row.get(12)?],
        })
    })
}
