//! Derives the computed visits anew from the stored fixes and compares them with the stored ones.
//!
//! Fixes that came late count only where a rebuild has put them in their places. Only areas whose geometry and rules
//! were the same all along, or since they were rebuilt, are compared.

use std::collections::BTreeMap;

use super::deriving::{Deriving, Progress};
use super::scope::Scope;
use crate::engine::DedupeWindow;
use crate::model::ids::{AreaKey, DeliveryKey};
use crate::model::time::rfc3339;
use crate::model::visit::Ended;
use crate::pipeline::{Defaults, Places};
use crate::store::rebuilds::{self, Difference, Request, Target};
use crate::store::{Store, StoreError, restore};

/// What the comparison found.
#[derive(Debug, Default)]
pub struct Recount {
    pub areas: usize,
    pub skipped_areas: usize,
    pub visits: u64,
    pub differences: u64,
    /// The first few, in words.
    pub examples: Vec<String>,
}

const EXAMPLES_MAX: i64 = 5;

/// Costs a rebuild of everything, but changes nothing.
pub fn recount(store: &Store) -> Result<Recount, StoreError> {
    let (places, rules, constant) =
        store.read(|conn| Ok((Places::read(conn)?, restore::constant_rules(conn)?, restore::constant_areas(conn)?)))?;
    let mut found = Recount { skipped_areas: places.zone_count(), ..Recount::default() };
    let Some(rules) = rules else { return Ok(found) };
    let defaults = Defaults { rules, dedupe_window: DedupeWindow(0) };
    let mut alike: BTreeMap<DeliveryKey, Vec<AreaKey>> = BTreeMap::new();
    for (area, through) in constant {
        alike.entry(through).or_default().push(area);
    }
    for (through, areas) in alike {
        found.areas += areas.len();
        found.skipped_areas -= areas.len();
        let mut places = places.clone();
        places.areas.retain(|area| areas.binary_search(&area.key).is_ok());
        let request = Request { target: Target::All, from: None, to: None };
        let scope = Scope::computed(places, &request, through, &defaults);
        let mut deriving = Deriving::begin(store, request, scope, &defaults)?;
        deriving.run(&Progress::default())?;
        let history = deriving.finish()?;
        let (visits, differences, examples) = rebuilds::differences(&history, EXAMPLES_MAX)?;
        found.visits += visits;
        found.differences += differences;
        found.examples.extend(examples.iter().map(told));
    }
    Ok(found)
}

fn told(difference: &Difference) -> String {
    let Difference { client, area, entered_at, stored, derived } = difference;
    let exit = |exit: &Option<(i64, Ended)>, none: &str| match exit {
        Some((at_ms, ended)) => format!("to {} ({ended:?})", rfc3339(*at_ms)),
        None => none.to_owned(),
    };
    format!(
        "client {} in area {} from {}: stored {}, but the fixes give {}",
        client.0,
        area.0,
        rfc3339(entered_at.0),
        exit(stored, "nothing or open"),
        exit(derived, "no such visit")
    )
}
