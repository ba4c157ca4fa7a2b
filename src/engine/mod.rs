//! Who is where, by event time: pure and deterministic.
//!
//! State + input -> state + changes. No I/O, no wall clock, no randomness: time comes in with each input.
//! A client's visits are a function of its own fixes and transitions in event-time order, whatever else arrives
//! between them: what the site clock closes, the client's next sign may open again (see `presence`). So the same
//! visits can be derived from a history, a client at a time (see [`Derivation`]).

mod client;
mod dedupe;
mod derivation;
mod presence;
mod site;
mod watch;
mod zone_index;

#[cfg(test)]
mod presence_properties;
#[cfg(test)]
mod timeline_tests;
#[cfg(test)]
mod watch_tests;
#[cfg(test)]
mod zone_index_properties;

use std::collections::BTreeMap;
use std::hint::black_box;

use rustc_hash::{FxHashMap, FxHashSet};

pub use dedupe::SeenHashes;
pub use derivation::{Derivation, Input, Setup};
pub use presence::Stay;
pub use watch::{Alerting, Counted};
pub use zone_index::{Zone, ZoneIndex};

use crate::model::alert::{Alarm, AlarmChange, AlarmId};
use crate::model::event::{Fingerprint, Trigger};
use crate::model::ids::{AreaKey, ClientKey, MapKey, SiteKey, VisitKey};
use crate::model::position::Position;
use crate::model::settings::PresenceRules;
use crate::model::time::{EventTime, ReceivedAt};
use crate::model::visit::{Visit, VisitChange};
use client::Client;
use site::Site;

/// A fix with keys in place of outside ids.
#[derive(Clone, Copy, Debug)]
pub struct FixInput {
    pub site: SiteKey,
    pub map: MapKey,
    pub client: ClientKey,
    pub at: EventTime,
    pub received_at: ReceivedAt,
    pub position: Position,
}

/// A transition with keys in place of outside ids.
#[derive(Clone, Copy, Debug)]
pub struct TransitionInput {
    pub site: SiteKey,
    pub map: Option<MapKey>,
    pub area: AreaKey,
    pub area_version: u32,
    pub client: ClientKey,
    pub trigger: Trigger,
    pub at: EventTime,
    pub received_at: ReceivedAt,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// New, and it moved the live state on.
    Applied,
    /// New, and an exit of a client that was not in the area: to be stored and counted.
    Unmatched,
    /// New, but not newer than what the client had shown already: to be stored and counted; moves nothing live.
    Late,
    /// Seen before: not to be stored.
    Duplicate,
}

/// What the engine needs to know of a map.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Image size in metres, where known.
    pub size_m: Option<(f64, f64)>,
    pub zones: Vec<Zone>,
}

/// How far back an event is recognised as a duplicate, in milliseconds of event time.
#[derive(Clone, Copy, Debug)]
pub struct DedupeWindow(pub i64);

/// All sites of one organisation.
#[derive(Debug)]
pub struct Engine {
    window: DedupeWindow,
    /// In key order, so that ticks give their changes in the same order every time.
    sites: BTreeMap<SiteKey, Site>,
    hashes: FxHashMap<SiteKey, SeenHashes>,
    next_visit: VisitKey,
}

impl Engine {
    /// An engine that knows nothing yet and numbers visits from `next_visit`.
    pub fn new(window: DedupeWindow, next_visit: VisitKey) -> Engine {
        Engine { window, sites: BTreeMap::new(), hashes: FxHashMap::default(), next_visit }
    }

    /// Takes one fix. Costs O(log z + k) in the map's zones plus O(log n) when it is late.
    pub fn apply_fix(&mut self, fix: &FixInput, changes: &mut Vec<VisitChange>) -> Verdict {
        let site = self.sites.entry(fix.site).or_default();
        site.apply_fix(fix, self.window, &mut self.next_visit, changes)
    }

    /// Reads what fixes of these clients will need, and does nothing with it: the processor's caches have it then. What many
    /// clients need is waited for together, since no look depends on the one before; taking fixes waits for each by itself.
    pub fn look_at(&self, clients: &[(SiteKey, ClientKey)]) {
        let found: Vec<&Client> = clients.iter().filter_map(|(site, client)| self.client(*site, *client)).collect();
        black_box(found.into_iter().map(Client::look).fold(0, i64::wrapping_add));
    }

    /// Takes one reported transition.
    pub fn apply_transition(&mut self, transition: &TransitionInput, changes: &mut Vec<VisitChange>) -> Verdict {
        let site = self.sites.entry(transition.site).or_default();
        site.apply_transition(transition, self.window, &mut self.next_visit, changes)
    }

    /// Takes an event that moves nobody: it still moves the site's clock, and comes only once.
    ///
    /// An event without a time of its own is a duplicate only shortly after its twin, since a second measurement
    /// may say the same.
    pub fn apply_other(
        &mut self,
        site: SiteKey,
        fingerprint: Fingerprint,
        at: EventTime,
        is_received_time: bool,
        received_at: ReceivedAt,
        changes: &mut Vec<VisitChange>,
    ) -> Verdict {
        let window = self.window;
        if !self.hashes.entry(site).or_default().insert(fingerprint, at, is_received_time, window) {
            return Verdict::Duplicate;
        }
        if !is_received_time {
            self.site(site).observe(at, received_at, changes);
        }
        self.site(site).hear(None);
        Verdict::Applied
    }

    /// Runs every site's clock on to the wall time `now` and closes what is due.
    pub fn tick(&mut self, now: ReceivedAt, changes: &mut Vec<VisitChange>) {
        for site in self.sites.values_mut() {
            site.tick(now, changes);
        }
    }

    /// Whether a fix lies off its map's image; `false` where the map's size is not known.
    pub fn is_off_map(&self, site: SiteKey, map: MapKey, position: Position) -> bool {
        self.sites.get(&site).is_some_and(|site| site.is_off_map(map, position))
    }

    /// The time each site has reached, in key order; sites without events are left out.
    pub fn clocks(&self) -> impl Iterator<Item = (SiteKey, EventTime)> + '_ {
        self.sites.iter().filter_map(|(key, site)| Some((*key, site.reached()?)))
    }

    /// Takes the alert rules of a site; they are looked at with its next event or tick.
    pub fn set_alerting(&mut self, site: SiteKey, alerting: Alerting) {
        self.site(site).set_alerting(alerting);
    }

    /// What became of alarms since the last call, in order.
    pub fn take_alarm_changes(&mut self) -> Vec<(SiteKey, AlarmChange)> {
        let sites = self.sites.iter_mut();
        sites.flat_map(|(key, site)| site.take_alarm_changes().into_iter().map(|change| (*key, change))).collect()
    }

    fn client(&self, site: SiteKey, client: ClientKey) -> Option<&Client> {
        self.sites.get(&site)?.client(client)
    }

    fn site(&mut self, key: SiteKey) -> &mut Site {
        self.sites.entry(key).or_default()
    }
}

impl Setup for Engine {
    fn set_site(&mut self, site: SiteKey, rules: PresenceRules) {
        self.site(site).set_rules(rules);
    }

    fn set_area_rules(&mut self, site: SiteKey, area: AreaKey, rules: Option<PresenceRules>) {
        self.site(site).set_area_rules(area, rules);
    }

    fn set_map(&mut self, site: SiteKey, map: MapKey, plan: Option<Plan>) {
        self.site(site).set_map(map, plan);
    }

    fn keep_only(&mut self, site: SiteKey, maps: &FxHashSet<MapKey>, areas: &FxHashSet<AreaKey>) {
        self.site(site).keep_only(maps, areas);
    }
}

/// What brings an engine back to where it was, read from what was committed.
impl Engine {
    /// A site's newest event and when it was received.
    pub fn restore_clock(&mut self, site: SiteKey, newest: EventTime, received_at: ReceivedAt) {
        self.site(site).restore_clock(newest, received_at);
    }

    /// A fix of the dedupe window, or a client's newest. Each client's in ascending order of time.
    pub fn restore_fix(&mut self, site: SiteKey, client: ClientKey, at: EventTime, is_late: bool) {
        let window = self.window;
        self.site(site).restore_fix(client, at, is_late, window);
    }

    /// A transition of the dedupe window, or a client's newest of an area; in any order.
    pub fn restore_transition(
        &mut self,
        site: SiteKey,
        client: ClientKey,
        area: AreaKey,
        trigger: Trigger,
        at: EventTime,
        is_late: bool,
    ) {
        let window = self.window;
        self.site(site).restore_transition(client, area, trigger, at, is_late, window);
    }

    /// Any other event of the dedupe window.
    pub fn restore_other(&mut self, site: SiteKey, fingerprint: Fingerprint, at: EventTime, is_received_time: bool) {
        let window = self.window;
        self.hashes.entry(site).or_default().insert(fingerprint, at, is_received_time, window);
    }

    /// A client's newest sign of any sort, as far as restored.
    pub fn newest_sign(&self, site: SiteKey, client: ClientKey) -> Option<EventTime> {
        self.client(site, client)?.newest_sign()
    }

    /// An alarm that is not ok.
    pub fn restore_alarm(&mut self, site: SiteKey, id: AlarmId, alarm: Alarm) {
        self.site(site).restore_alarm(id, alarm);
    }

    /// When something new last came from a map that a rule watches for that.
    pub fn restore_heard(&mut self, site: SiteKey, map: MapKey, at: EventTime) {
        self.site(site).restore_heard(map, at);
    }

    /// Last of all: looks at every alarm where the site clocks stand, so that each has its deadline.
    pub fn resume_alarms(&mut self) {
        self.sites.values_mut().for_each(Site::resume_alarms);
    }

    /// An open visit, or one that the clock closed and the client's next sign may still open again. After the
    /// client's fixes and transitions.
    pub fn restore_stay(&mut self, stay: Stay) {
        self.site(stay.visit.site).restore_stay(stay);
    }
}

/// What lets visits that were derived anew take the place of those that the engine holds.
impl Engine {
    /// The first of `count` visit keys that it will not give to others.
    pub fn reserve_visit_keys(&mut self, count: i64) -> VisitKey {
        let first = self.next_visit;
        self.next_visit.0 += count;
        first
    }

    /// The time a site has reached; `None` before its first event.
    pub fn reached(&self, site: SiteKey) -> Option<EventTime> {
        self.sites.get(&site)?.reached()
    }

    /// Counts for alert rules anew, after stays were taken away and put in.
    pub fn recount(&mut self) {
        self.sites.values_mut().for_each(Site::recount);
    }

    /// Forgets the stays of which `is_gone` says so.
    pub fn remove_stays(&mut self, is_gone: impl Fn(&Visit) -> bool) {
        for site in self.sites.values_mut() {
            site.remove_stays(&is_gone);
        }
    }
}
