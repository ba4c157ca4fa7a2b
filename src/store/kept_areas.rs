//! Areas that questions are about, kept from one question to the next: to plan that takes as long as all the rest of a short
//! question.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use duckdb::Connection;

use super::StoreError;
use super::plans::{AreaAsked, areas_asked};
use super::queries::Scope;
use crate::model::ids::AreaKind;

/// Areas that are kept at most, those of several scopes counted several times.
const AREAS_MAX: usize = 100_000;

/// What of a scope areas are chosen by: site, map, area, kind and tag.
type Choice = (Option<String>, Option<String>, Option<String>, Option<AreaKind>, Option<String>);

/// The areas of scopes that were asked for, as they are now.
#[derive(Default)]
pub struct KeptAreas {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_choice: HashMap<Choice, Arc<[AreaAsked]>>,
    areas: usize,
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
                kept.forget();
            }
            if kept.by_choice.insert(choice, areas.clone()).is_none() {
                kept.areas += count;
            }
        }
        Ok(areas)
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
