//! Visits from a history: the presence rules of the live engine, without its clock and its window of duplicates.
//!
//! Events come in each client's own order of time; what clients do between one another plays no part, so they may come
//! one client after another. A second event of a client at one instant moves nothing, as a duplicate does live.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use super::presence::Stay;
use super::site::Site;
use super::{FixInput, Plan, TransitionInput};
use crate::model::ids::{AreaKey, ClientKey, MapKey, SiteKey, VisitKey};
use crate::model::settings::PresenceRules;
use crate::model::time::EventTime;
use crate::model::visit::VisitChange;

/// Something that happened to a client.
#[derive(Clone, Copy, Debug)]
pub enum Input {
    Fix(FixInput),
    Transition(TransitionInput),
    /// A transition of an area that is not derived: it only shows that the client was there.
    Sign {
        site: SiteKey,
        client: ClientKey,
        at: EventTime,
    },
}

impl Input {
    fn site(&self) -> SiteKey {
        match self {
            Input::Fix(fix) => fix.site,
            Input::Transition(transition) => transition.site,
            Input::Sign { site, .. } => *site,
        }
    }
}

/// Where to put a site's rules and maps: the live engine, or a derivation.
pub trait Setup {
    /// Sets a site's presence rules, from the next event on.
    fn set_site(&mut self, site: SiteKey, rules: PresenceRules);
    /// Sets an area's own presence rules, or with `None` the site's again.
    fn set_area_rules(&mut self, site: SiteKey, area: AreaKey, rules: Option<PresenceRules>);
    /// Replaces a map's geometry, from the next fix on; `None` forgets the map. Who was in a zone that is gone has
    /// left it with its next fix.
    fn set_map(&mut self, site: SiteKey, map: MapKey, plan: Option<Plan>);
    /// Forgets every map of a site, and every area's own rules, but these.
    fn keep_only(&mut self, site: SiteKey, maps: &FxHashSet<MapKey>, areas: &FxHashSet<AreaKey>);
}

/// A history under way. Holds the clients that are in some area, so its memory does not grow with the history.
#[derive(Debug)]
pub struct Derivation {
    sites: BTreeMap<SiteKey, Site>,
    next_visit: VisitKey,
}

impl Default for Derivation {
    /// Numbers visits from 1.
    fn default() -> Derivation {
        Derivation { sites: BTreeMap::new(), next_visit: VisitKey(1) }
    }
}

impl Setup for Derivation {
    fn set_site(&mut self, site: SiteKey, rules: PresenceRules) {
        self.sites.entry(site).or_default().set_rules(rules);
    }

    fn set_area_rules(&mut self, site: SiteKey, area: AreaKey, rules: Option<PresenceRules>) {
        self.sites.entry(site).or_default().set_area_rules(area, rules);
    }

    fn set_map(&mut self, site: SiteKey, map: MapKey, plan: Option<Plan>) {
        self.sites.entry(site).or_default().set_map(map, plan);
    }

    fn keep_only(&mut self, site: SiteKey, maps: &FxHashSet<MapKey>, areas: &FxHashSet<AreaKey>) {
        self.sites.entry(site).or_default().keep_only(maps, areas);
    }
}

impl Derivation {
    /// Takes what happened next to its client. Costs O(log z + k) in the zones of a fix's map.
    pub fn take(&mut self, input: &Input, changes: &mut Vec<VisitChange>) {
        let site = self.sites.entry(input.site()).or_default();
        site.derive(input, &mut self.next_visit, changes);
    }

    /// Closes what a site's clock at `reached` would have closed; to be called once, after all events.
    pub fn run_clock_to(&mut self, site: SiteKey, reached: EventTime, changes: &mut Vec<VisitChange>) {
        if let Some(site) = self.sites.get_mut(&site) {
            site.derive_clock(reached, changes);
        }
    }

    pub fn sites(&self) -> impl Iterator<Item = SiteKey> + '_ {
        self.sites.keys().copied()
    }

    /// Forgets clients that are in no area: nothing of them is needed again.
    pub fn forget_absent(&mut self) {
        self.sites.values_mut().for_each(Site::forget_absent);
    }

    /// The visits that are open, or that only the clock has closed.
    pub fn stays(&self) -> impl Iterator<Item = &Stay> {
        self.sites.values().flat_map(Site::stays)
    }
}
