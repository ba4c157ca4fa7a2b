//! Derives the computed visits anew from the stored fixes and compares them with the stored ones.
//!
//! A site's fixes go through a fresh engine in the order they were committed, late ones left out; at the end its clock
//! runs far ahead. Only areas whose geometry and rules were the same all along are compared.

use rustc_hash::FxHashMap;

use super::reload::{Defaults, Places};
use crate::engine::{DedupeWindow, Engine, FixInput};
use crate::model::ids::{AreaKey, ClientKey, SiteKey, VisitKey};
use crate::model::time::{LATEST_MS, ReceivedAt, rfc3339};
use crate::model::visit::{Ended, VisitChange};
use crate::store::{Store, StoreError, restore};

/// What the comparison found.
#[derive(Debug, Default)]
pub struct Recount {
    pub areas: usize,
    pub skipped_areas: usize,
    pub visits: usize,
    pub differences: u64,
    /// The first few, in words.
    pub examples: Vec<String>,
}

/// A visit told by who, where and since when.
type Stay = (SiteKey, ClientKey, AreaKey, i64);

const EXAMPLES_MAX: usize = 5;

/// Costs one pass over all fixes; memory for the visits of the compared areas.
pub fn recount(store: &Store) -> Result<Recount, StoreError> {
    store.read(|conn| {
        let mut found = Recount::default();
        let Some(rules) = restore::constant_rules(conn)? else {
            found.skipped_areas = restore::areas(conn)?.iter().filter(|area| area.outline.is_some()).count();
            return Ok(found);
        };
        let constant = restore::constant_areas(conn)?;
        let defaults = Defaults { rules, dedupe_window: DedupeWindow(0) };
        let places = Places::read(conn)?;
        let zones = places.zone_count();
        found.areas = constant.len();
        found.skipped_areas = zones.saturating_sub(constant.len());
        let derived = derive(conn, &places, &defaults, &constant)?;
        let stored = restore::computed_visits(conn, &constant)?;
        found.visits = stored.len();
        compare(derived, stored, &mut found);
        Ok(found)
    })
}

fn derive(
    conn: &crate::store::ReadConnection,
    places: &Places,
    defaults: &Defaults,
    areas: &[AreaKey],
) -> Result<FxHashMap<Stay, (i64, Ended)>, StoreError> {
    let mut engine = Engine::new(defaults.dedupe_window, VisitKey(1));
    places.give_to(&mut engine, defaults);
    let mut changes = Vec::new();
    let mut visits = FxHashMap::default();
    let mut fold = |changes: &mut Vec<VisitChange>| {
        for change in changes.drain(..) {
            if let VisitChange::Closed(visit, exit) = change {
                let stay = (visit.site, visit.client, visit.area, visit.entered_at.0);
                visits.insert(stay, (exit.exited_at.0, exit.ended));
            }
        }
    };
    restore::each_fix_in_order(conn, |site, client, map, at, position| {
        let input = FixInput { site, map, client, at, received_at: ReceivedAt(at.0), position };
        engine.apply_fix(&input, &mut changes);
        fold(&mut changes);
    })?;
    // Far enough ahead that nothing stays open; a later Closed of the same stay replaces an earlier one.
    engine.tick(ReceivedAt(LATEST_MS), &mut changes);
    fold(&mut changes);
    visits.retain(|(_, _, area, _), _| areas.binary_search(area).is_ok());
    Ok(visits)
}

fn compare(mut derived: FxHashMap<Stay, (i64, Ended)>, stored: Vec<restore::ComputedVisit>, found: &mut Recount) {
    let mut differ = |what: String| {
        found.differences += 1;
        if found.examples.len() < EXAMPLES_MAX {
            found.examples.push(what);
        }
    };
    for visit in stored {
        let stay = (visit.site, visit.client, visit.area, visit.entered_at.0);
        let whose = format!("client {} in area {} from {}", visit.client.0, visit.area.0, rfc3339(visit.entered_at.0));
        match (derived.remove(&stay), visit.exit) {
            (None, _) => differ(format!("{whose}: stored, but the fixes give no such visit")),
            (Some((exited_ms, ended)), Some((stored_at, stored_ended)))
                if (exited_ms, ended) != (stored_at.0, stored_ended) =>
            {
                differ(format!(
                    "{whose}: stored to {} ({stored_ended:?}), but the fixes give {} ({ended:?})",
                    rfc3339(stored_at.0),
                    rfc3339(exited_ms)
                ));
            }
            _ => {}
        }
    }
    let mut missing: Vec<_> = derived.into_keys().collect();
    missing.sort_unstable();
    for (_, client, area, entered_ms) in missing {
        differ(format!("client {} in area {} from {}: not stored", client.0, area.0, rfc3339(entered_ms)));
    }
}
