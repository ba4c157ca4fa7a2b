//! Areas that questions are about, kept from one question to the next: to plan that takes as long as all the rest of a short
//! question.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use duckdb::Connection;

use super::StoreError;
use super::plans::{AreaAsked, areas_asked};
use super::queries::{Scope, ask};
use crate::model::ids::AreaKind;

/// Areas that are kept at most, those of several scopes counted several times.
const AREAS_MAX: usize = 100_000;

/// What of a scope areas are chosen by: site, map, area, kind and tag.
type Choice = (Option<String>, Option<String>, Option<String>, Option<AreaKind>, Option<String>);

/// Ids of sites and maps by their keys.
#[derive(Debug, Default)]
pub struct PlaceIds {
    sites: HashMap<i32, String>,
    maps: HashMap<i32, String>,
}

impl PlaceIds {
    fn read(conn: &Connection) -> Result<PlaceIds, StoreError> {
        let by_key = |sql| -> Result<HashMap<i32, String>, StoreError> {
            Ok(ask(conn, sql, Vec::new(), |row| Ok((row.get(0)?, row.get(1)?)))?.into_iter().collect())
        };
        Ok(PlaceIds {
            sites: by_key("SELECT site_key, site_id FROM store.sites")?,
            maps: by_key("SELECT map_key, map_id FROM store.maps")?,
        })
    }

    pub fn site(&self, key: i32) -> Option<String> {
        self.sites.get(&key).cloned()
    }

    pub fn map(&self, key: i32) -> Option<String> {
        self.maps.get(&key).cloned()
    }
}

/// The areas of scopes that were asked for, as they are now.
#[derive(Default)]
pub struct KeptAreas {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_choice: HashMap<Choice, Arc<[AreaAsked]>>,
    areas: usize,
    ids: Option<Arc<PlaceIds>>,
    /// Counts changes.
    changes: u64,
}

impl KeptAreas {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no one panics with the areas")
    }

    /// The areas of a scope; as [`areas_asked`].
    pub fn of(&self, conn: &Connection, scope: &Scope) -> Result<Arc<[AreaAsked]>, StoreError> {
        let Scope { site, map, area, area_kind, tag, .. } = scope.clone();
        let choice = (site, map, area, area_kind, tag);
        let before = {
            let kept = self.kept();
            if let Some(areas) = kept.by_choice.get(&choice) {
                return Ok(areas.clone());
            }
            kept.changes
        };
        let areas: Arc<[AreaAsked]> = areas_asked(conn, scope)?.into();
        let mut kept = self.kept();
        // One more for itself: there may be many of nothing.
        let count = areas.len() + 1;
        if kept.changes == before && count <= AREAS_MAX {
            if kept.areas + count > AREAS_MAX {
                kept.by_choice.clear();
                kept.areas = 0;
            }
            if kept.by_choice.insert(choice, areas.clone()).is_none() {
                kept.areas += count;
            }
        }
        Ok(areas)
    }

    /// The ids of places, among them all that rows name which were read before.
    pub fn ids(
        &self,
        conn: &Connection,
        sites: impl IntoIterator<Item = i32>,
        maps: impl IntoIterator<Item = i32>,
    ) -> Result<Arc<PlaceIds>, StoreError> {
        let (before, kept) = {
            let kept = self.kept();
            (kept.changes, kept.ids.clone())
        };
        // What is kept may be from just before the commit that made a place known.
        if let Some(ids) = kept
            && sites.into_iter().all(|site| ids.sites.contains_key(&site))
            && maps.into_iter().all(|map| ids.maps.contains_key(&map))
        {
            return Ok(ids);
        }
        let ids = Arc::new(PlaceIds::read(conn)?);
        let mut kept = self.kept();
        if kept.changes == before {
            kept.ids = Some(ids.clone());
        }
        Ok(ids)
    }

    /// To be called once something is committed that may concern sites, maps or areas, and before anybody is told so.
    pub fn forget(&self) {
        let mut kept = self.kept();
        kept.changes += 1;
        kept.forget();
    }
}

impl Kept {
    fn forget(&mut self) {
        self.by_choice.clear();
        self.areas = 0;
        self.ids = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::writer::Writer;
    use crate::store::{Store, StoreOptions};

    #[test]
    fn areas_are_as_they_are_after_any_change() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("areas.duckdb");
        let store = Store::open(&StoreOptions { path, memory_limit: None, threads: None }).unwrap();
        let mut writer = Writer::new(&store).unwrap();
        let conn = store.connection().unwrap();
        let names = |area: &str| -> Vec<String> {
            let scope = Scope { area: Some(area.into()), ..Scope::default() };
            store.areas().of(&conn, &scope).unwrap().iter().map(|area| area.id.clone()).collect()
        };
        assert!(names("a1").is_empty());
        let add = |number: i32| {
            format!(
                "INSERT INTO store.areas BY NAME SELECT {number} AS area_key, 0 AS kind, 'a{number}' AS area_id,
                     0 AS authoritative_source, now() AS first_seen_at"
            )
        };
        writer.in_transaction(|conn| Ok(conn.execute_batch(&add(1))?)).unwrap();
        assert_eq!(names("a1"), ["a1"]);
        // Behind the writer's back: what is kept stays.
        conn.execute_batch("UPDATE store.areas SET area_id = 'a9'").unwrap();
        assert_eq!(names("a1"), ["a1"]);
        writer.in_transaction(|conn| Ok(conn.execute_batch(&add(2))?)).unwrap();
        assert!(names("a1").is_empty());
        assert_eq!((names("a2"), names("a9")), (vec!["a2".into()], vec!["a9".into()]));
    }
}
