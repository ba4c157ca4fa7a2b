//! Areas that questions are about, kept from one question to the next: to plan that takes as long as all the rest of a short
//! question.

use std::collections::HashMap;
use std::sync::Arc;

use duckdb::Connection;

use super::StoreError;
use super::kept::Kept;
use super::plans::{AreaAsked, areas_asked, ground};
use super::queries::{Scope, ask};
use super::restore::RuleSettings;
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

/// A map, as far as a heat map goes.
#[derive(Clone, Debug)]
pub struct Ground {
    pub map: i32,
    /// `None`: nobody knows yet.
    pub site: Option<i32>,
    pub width_m: Option<f64>,
    pub height_m: Option<f64>,
    /// Of its site.
    pub rules: RuleSettings,
}

/// The areas of scopes that were asked for, and what else questions need of places, as they are now.
#[derive(Default)]
pub struct KeptAreas {
    kept: Kept<Places>,
}

#[derive(Default)]
struct Places {
    by_choice: HashMap<Choice, Arc<[AreaAsked]>>,
    areas: usize,
    ids: Option<Arc<PlaceIds>>,
    grounds: HashMap<String, Ground>,
}

impl Places {
    fn keep(&mut self, choice: Choice, areas: &Arc<[AreaAsked]>) {
        // One more for itself: there may be many of nothing.
        let count = areas.len() + 1;
        if count > AREAS_MAX {
            return;
        }
        if self.areas + count > AREAS_MAX {
            self.by_choice.clear();
            self.areas = 0;
        }
        if self.by_choice.insert(choice, areas.clone()).is_none() {
            self.areas += count;
        }
    }
}

impl KeptAreas {
    /// The areas of a scope; as [`areas_asked`].
    pub fn of(&self, conn: &Connection, scope: &Scope) -> Result<Arc<[AreaAsked]>, StoreError> {
        let Scope { site, map, area, area_kind, tag, .. } = scope.clone();
        let choice = (site, map, area, area_kind, tag);
        self.kept.get(
            |places| places.by_choice.get(&choice).cloned(),
            || Ok(areas_asked(conn, scope)?.into()),
            |places, areas| places.keep(choice.clone(), areas),
        )
    }

    /// The ids of places, among them all that rows name which were read before.
    pub fn ids(
        &self,
        conn: &Connection,
        sites: impl IntoIterator<Item = i32>,
        maps: impl IntoIterator<Item = i32>,
    ) -> Result<Arc<PlaceIds>, StoreError> {
        // What is kept may be from just before the commit that made a place known.
        let has_all = |ids: &&Arc<PlaceIds>| {
            sites.into_iter().all(|site| ids.sites.contains_key(&site))
                && maps.into_iter().all(|map| ids.maps.contains_key(&map))
        };
        self.kept.get(
            |places| places.ids.as_ref().filter(has_all).cloned(),
            || Ok(Arc::new(PlaceIds::read(conn)?)),
            |places, ids| places.ids = Some(ids.clone()),
        )
    }

    /// The map of that id; `None` where nobody knows one.
    pub fn ground(&self, conn: &Connection, map: &str) -> Result<Option<Ground>, StoreError> {
        self.kept.get(
            |places| places.grounds.get(map).map(|ground| Some(ground.clone())),
            || ground(conn, map),
            |places, ground| places.grounds.extend(ground.iter().map(|ground| (map.to_owned(), ground.clone()))),
        )
    }

    /// To be called once something is committed that may concern sites, maps or areas, and before anybody is told so.
    pub fn forget(&self) {
        self.kept.change(|places| *places = Places::default());
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
