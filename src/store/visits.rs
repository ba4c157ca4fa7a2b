//! Lists of visits, a page at a time: those of a client from memory where the days are kept, all else from the file.

use duckdb::Connection;
use duckdb::types::Value;

use super::kept_areas::PlaceIds;
use super::kept_clients::Client;
use super::past::{NO_MAP, OPEN_MS, PastVisit};
use super::plans::{AreaAsked, areas_asked, areas_by_key, of_areas};
use super::queries::{Scope, also, ask, listed};
use super::restore::{client_kind, ended, source};
use super::spans::Chosen;
use super::{Store, StoreError};
use crate::model::ids::{AreaKind, ClientKey, ClientKind};
use crate::model::visit::{Ended, Source};

/// Which visits, beside their scope and window.
#[derive(Clone, Debug)]
pub struct VisitFilter {
    pub from_ms: i64,
    pub to_ms: i64,
    pub client: Option<String>,
    /// What goes on has not lasted as long yet.
    pub min_dwell_s: Option<f64>,
    /// The key of the last visit already read; 0 from the beginning.
    pub after: i64,
    pub limit: i64,
}

impl VisitFilter {
    /// As `visits.sql` has it.
    fn has(&self, visit: &PastVisit) -> bool {
        let PastVisit { entered_ms, exited_ms, .. } = *visit;
        let is_long_enough = |min_s| !visit.is_open() && exited_ms.saturating_sub(entered_ms) as f64 >= 1000.0 * min_s;
        entered_ms < self.to_ms
            && (exited_ms > self.from_ms || exited_ms == self.from_ms && entered_ms == exited_ms)
            && visit.visit > self.after
            && self.min_dwell_s.is_none_or(is_long_enough)
    }
}

/// One visit as people read it.
#[derive(Clone, Debug, PartialEq)]
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

impl VisitRow {
    fn new(visit: &PastVisit, client: Client, area: &AreaAsked, ids: &PlaceIds) -> VisitRow {
        VisitRow {
            key: visit.visit,
            site_id: ids.site(visit.site).unwrap_or_default(),
            map_id: visit.map().and_then(|map| ids.map(map)),
            area_kind: area.kind,
            area_id: area.id.clone(),
            area_name: area.name.clone(),
            client_kind: client.kind,
            client_id: client.id,
            client_name: client.name,
            source: source(visit.source),
            entered_ms: visit.entered_ms,
            exited_ms: (!visit.is_open()).then_some(visit.exited_ms),
            ended: (!visit.is_open()).then(|| ended(visit.ended)),
            area_version: visit.area_version.into(),
        }
    }
}

/// The visits of the areas that a scope names, by key, up to the filter's limit.
pub fn visits(
    store: &Store,
    conn: &Connection,
    scope: &Scope,
    filter: &VisitFilter,
) -> Result<Vec<VisitRow>, StoreError> {
    let areas = store.areas().of(conn, scope)?;
    let found = match &filter.client {
        Some(id) => {
            let clients = store.clients().of(conn, id)?;
            let clients: Vec<&Client> = clients.iter().filter(|client| scope.has(client)).collect();
            match kept(store, conn, &areas, scope, filter, &clients)? {
                Some(found) => found,
                None => stored(conn, &areas, scope, filter, Some(&clients))?,
            }
        }
        None => stored(conn, &areas, scope, filter, None)?,
    };
    let (sites, maps) = (found.iter().map(|(visit, _)| visit.site), found.iter().filter_map(|(visit, _)| visit.map()));
    let ids = store.areas().ids(conn, sites, maps)?;
    let met_since;
    let mut by_key = areas_by_key(&areas);
    if !found.iter().all(|(visit, _)| by_key.contains_key(&visit.area)) {
        met_since = areas_asked(conn, scope)?;
        by_key = areas_by_key(&met_since);
    }
    let row =
        |(visit, client): (PastVisit, Client)| Some(VisitRow::new(&visit, client, by_key.get(&visit.area)?, &ids));
    Ok(found.into_iter().filter_map(row).collect())
}

/// The visits of clients, from memory; `None` where the file is to be asked.
fn kept(
    store: &Store,
    conn: &Connection,
    areas: &[AreaAsked],
    scope: &Scope,
    filter: &VisitFilter,
    clients: &[&Client],
) -> Result<Option<Vec<(PastVisit, Client)>>, StoreError> {
    let past = store.past();
    let Some(chosen) = Chosen::of(areas, scope.source) else { return Ok(None) };
    let Some(view) = past.view_if_kept(filter.from_ms, filter.to_ms) else { return Ok(None) };
    let mut found = Vec::new();
    for client in clients {
        let key = client.key.0.cast_signed();
        let mut take = |visit: PastVisit| {
            if filter.has(&visit) && chosen.has(visit.area, visit.source) {
                found.push((visit, (*client).clone()));
            }
        };
        view.days.iter().for_each(|day| day.each_of_client(key, &mut take));
        if !past.each_recent_of_client(conn, view.end_ms(), key, &mut take)? {
            return Ok(None);
        }
    }
    found.sort_unstable_by_key(|(visit, _)| visit.visit);
    found.truncate(filter.limit as usize);
    Ok(past.holds(&view).then_some(found))
}

/// Visits, those of clients or all, as the file has them.
fn stored(
    conn: &Connection,
    areas: &[AreaAsked],
    scope: &Scope,
    filter: &VisitFilter,
    clients: Option<&[&Client]>,
) -> Result<Vec<(PastVisit, Client)>, StoreError> {
    let mut params: Vec<Value> =
        [filter.from_ms, filter.to_ms, filter.after, filter.limit].into_iter().map(Value::BigInt).collect();
    let of_areas = format!("AND {}", of_areas(areas, scope, &mut params));
    let of_clients = clients.map(|clients| format!("AND {}", listed(clients.iter().map(|client| client.key))));
    let mut of_visits = String::new();
    let mut also = |condition: &str, value| also(&mut of_visits, &mut params, condition, value);
    also("k.kind = ?", scope.client_kind.map(|kind| Value::UTinyInt(kind as u8)));
    also("k.is_randomised = ?", scope.is_randomised.map(Value::Boolean));
    let min_dwell_s = filter.min_dwell_s.map(Value::Double);
    also("epoch_ms(e.exited_at) - epoch_ms(e.entered_at) >= 1000 * ?", min_dwell_s);
    let sql = include_str!("sql/visits.sql")
        .replace("/*of areas*/", &of_areas)
        .replace("/*of clients*/", &of_clients.unwrap_or_default())
        .replace("/*of visits*/", &of_visits);
    ask(conn, &sql, params, |row| {
        let exited_ms: Option<i64> = row.get(8)?;
        let visit = PastVisit {
            visit: row.get(0)?,
            site: row.get(1)?,
            map: row.get::<_, Option<i32>>(2)?.unwrap_or(NO_MAP),
            area: row.get(3)?,
            area_version: row.get(4)?,
            source: row.get(5)?,
            client: row.get(6)?,
            entered_ms: row.get(7)?,
            exited_ms: exited_ms.unwrap_or(OPEN_MS),
            ended: row.get::<_, Option<u8>>(9)?.unwrap_or_default(),
        };
        let client = Client {
            key: ClientKey(visit.client.cast_unsigned()),
            kind: client_kind(row.get(10)?),
            id: row.get(11)?,
            name: row.get(12)?,
            is_randomised: row.get(13)?,
        };
        Ok((visit, client))
    })
}
