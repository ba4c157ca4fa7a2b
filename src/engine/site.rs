//! One site: its maps, its clients, and its clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::{FxHashMap, FxHashSet};

use super::client::Client;
use super::presence::{Rules, Stay};
use super::watch::{Alerting, Watch};
use super::zone_index::ZoneIndex;
use super::{DedupeWindow, FixInput, Input, Plan, TransitionInput, Verdict};
use crate::model::alert::{Alarm, AlarmChange, AlarmId, Subject};
use crate::model::event::Trigger;
use crate::model::ids::{AreaKey, ClientKey, MapKey, VisitKey};
use crate::model::position::Position;
use crate::model::settings::PresenceRules;
use crate::model::time::{EventTime, ReceivedAt};
use crate::model::visit::{Source, Visit, VisitChange};

#[derive(Debug)]
pub struct Site {
    rules: Rules,
    /// Since the deadlines were last reckoned.
    has_new_rules: bool,
    maps: FxHashMap<MapKey, Map>,
    clock: SiteClock,
    clients: Clients,
    /// When to look at a client again. An entry that is not the client's current deadline is stale and skipped.
    deadlines: BinaryHeap<Reverse<(i64, ClientKey, Place)>>,
    watch: Watch,
    /// Reused between fixes.
    zones: Vec<(AreaKey, u32)>,
}

/// Where a client stands among its site's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place(u32);

/// The clients of a site. Looked up by key once an event; after that by their place.
#[derive(Debug, Default)]
struct Clients {
    places: FxHashMap<ClientKey, Place>,
    all: Vec<Client>,
}

impl Clients {
    /// The place of a client, which begins there if it is new.
    fn place(&mut self, key: ClientKey) -> Place {
        *self.places.entry(key).or_insert_with(|| {
            self.all.push(Client::default());
            Place(u32::try_from(self.all.len() - 1).expect("fewer than four billion clients"))
        })
    }

    fn at(&mut self, place: Place) -> &mut Client {
        &mut self.all[place.0 as usize]
    }

    fn get(&self, key: ClientKey) -> Option<&Client> {
        self.places.get(&key).map(|place| &self.all[place.0 as usize])
    }

    fn of(&mut self, key: ClientKey) -> &mut Client {
        let place = self.place(key);
        self.at(place)
    }

    /// Forgets clients. Places are others afterwards.
    fn retain(&mut self, is_kept: impl Fn(&Client) -> bool) {
        let mut kept = Vec::new();
        let all = &mut self.all;
        self.places.retain(|_, place| {
            let client = &mut all[place.0 as usize];
            is_kept(client) && {
                *place = Place(kept.len() as u32);
                kept.push(std::mem::take(client));
                true
            }
        });
        self.all = kept;
    }
}

#[derive(Debug)]
struct Map {
    size_m: Option<(f64, f64)>,
    index: ZoneIndex,
}

impl Default for Site {
    fn default() -> Site {
        Site {
            rules: Rules::new(PresenceRules::DEFAULT),
            has_new_rules: false,
            maps: FxHashMap::default(),
            clock: SiteClock::default(),
            clients: Clients::default(),
            deadlines: BinaryHeap::new(),
            watch: Watch::default(),
            zones: Vec::new(),
        }
    }
}

impl Site {
    pub fn set_rules(&mut self, rules: PresenceRules) {
        self.has_new_rules |= self.rules.of_site != rules;
        self.rules.of_site = rules;
    }

    pub fn set_area_rules(&mut self, area: AreaKey, rules: Option<PresenceRules>) {
        let old = match rules {
            Some(rules) => self.rules.of_areas.insert(area, rules),
            None => self.rules.of_areas.remove(&area),
        };
        self.has_new_rules |= old != rules;
    }

    pub fn set_map(&mut self, map: MapKey, plan: Option<Plan>) {
        match plan {
            Some(plan) => {
                self.maps.insert(map, Map { size_m: plan.size_m, index: ZoneIndex::new(plan.zones) });
            }
            None => {
                self.maps.remove(&map);
            }
        }
    }

    pub fn keep_only(&mut self, maps: &FxHashSet<MapKey>, areas: &FxHashSet<AreaKey>) {
        self.maps.retain(|map, _| maps.contains(map));
        let of_areas = &mut self.rules.of_areas;
        let before = of_areas.len();
        of_areas.retain(|area, _| areas.contains(area));
        self.has_new_rules |= of_areas.len() < before;
    }

    pub fn apply_fix(
        &mut self,
        fix: &FixInput,
        window: DedupeWindow,
        next_visit: &mut VisitKey,
        changes: &mut Vec<VisitChange>,
    ) -> Verdict {
        let place = self.clients.place(fix.client);
        if !self.clients.at(place).is_new_fix(fix.at, window) {
            return Verdict::Duplicate;
        }
        self.clock.observe(fix.at, fix.received_at);
        self.close_due_but(Some(fix.client), changes);
        let before = changes.len();
        let verdict = self.step(fix, place, next_visit, changes);
        self.watch_since(before, changes);
        self.hear(Some(fix.map));
        self.reschedule(fix.client, place);
        self.close_due(changes);
        verdict
    }

    pub fn client(&self, key: ClientKey) -> Option<&Client> {
        self.clients.get(key)
    }

    /// A fix that is no duplicate, as far as its client goes.
    fn step(
        &mut self,
        fix: &FixInput,
        place: Place,
        next_visit: &mut VisitKey,
        changes: &mut Vec<VisitChange>,
    ) -> Verdict {
        let client = self.clients.at(place);
        client.sign(fix.at, &self.rules, changes);
        if client.is_late(fix.at) {
            return Verdict::Late;
        }
        match self.maps.get(&fix.map) {
            Some(map) => map.index.zones_at(fix.position, &mut self.zones),
            None => self.zones.clear(),
        }
        let open = |area, area_version| Visit {
            key: take(next_visit),
            site: fix.site,
            map: Some(fix.map),
            area,
            area_version,
            client: fix.client,
            source: Source::Computed,
            entered_at: fix.at,
        };
        client.move_to(fix.at, &self.zones, &self.rules, open, changes);
        Verdict::Applied
    }

    pub fn apply_transition(
        &mut self,
        transition: &TransitionInput,
        window: DedupeWindow,
        next_visit: &mut VisitKey,
        changes: &mut Vec<VisitChange>,
    ) -> Verdict {
        let TransitionInput { area, trigger, at, client, .. } = *transition;
        let place = self.clients.place(client);
        if !self.clients.at(place).is_new_transition(area, trigger, at, window) {
            return Verdict::Duplicate;
        }
        self.clock.observe(at, transition.received_at);
        self.close_due_but(Some(client), changes);
        let before = changes.len();
        let verdict = self.cross(transition, place, next_visit, changes);
        self.watch_since(before, changes);
        self.hear(transition.map);
        self.reschedule(client, place);
        self.close_due(changes);
        verdict
    }

    /// A transition that is no duplicate, as far as its client goes.
    fn cross(
        &mut self,
        transition: &TransitionInput,
        place: Place,
        next_visit: &mut VisitKey,
        changes: &mut Vec<VisitChange>,
    ) -> Verdict {
        let TransitionInput { area, trigger, at, .. } = *transition;
        let client = self.clients.at(place);
        client.sign(at, &self.rules, changes);
        let open = || Visit {
            key: take(next_visit),
            site: transition.site,
            map: transition.map,
            area,
            area_version: transition.area_version,
            client: transition.client,
            source: Source::Reported,
            entered_at: at,
        };
        client.cross(area, trigger, at, open, changes)
    }

    /// Moves the clock to an event's time, if that is news, and closes what is due.
    pub fn observe(&mut self, at: EventTime, received_at: ReceivedAt, changes: &mut Vec<VisitChange>) {
        self.clock.observe(at, received_at);
        self.close_due(changes);
    }

    /// Runs the clock on to the wall time `now` and closes what is due.
    pub fn tick(&mut self, now: ReceivedAt, changes: &mut Vec<VisitChange>) {
        self.clock.run_on(now);
        self.close_due(changes);
    }

    pub fn reached(&self) -> Option<EventTime> {
        self.clock.reached()
    }

    pub fn is_off_map(&self, map: MapKey, at: Position) -> bool {
        let size_m = self.maps.get(&map).and_then(|map| map.size_m);
        size_m.is_some_and(|(width_m, height_m)| {
            !(0.0..=width_m).contains(&at.x_m()) || !(0.0..=height_m).contains(&at.y_m())
        })
    }

    pub fn restore_clock(&mut self, newest: EventTime, received_at: ReceivedAt) {
        self.clock.observe(newest, received_at);
    }

    pub fn restore_fix(&mut self, client: ClientKey, at: EventTime, is_late: bool, window: DedupeWindow) {
        self.clients.of(client).restore_fix(at, is_late, window);
    }

    pub fn restore_transition(
        &mut self,
        client: ClientKey,
        area: AreaKey,
        trigger: Trigger,
        at: EventTime,
        is_late: bool,
        window: DedupeWindow,
    ) {
        self.clients.of(client).restore_transition(area, trigger, at, is_late, window);
    }

    pub fn restore_stay(&mut self, stay: Stay) {
        let client = stay.visit.client;
        let place = self.clients.place(client);
        self.clients.at(place).restore_stay(stay);
        self.reschedule(client, place);
    }

    /// What happened to a client, told in its own order of time; other clients and the clock play no part.
    pub fn derive(&mut self, input: &Input, next_visit: &mut VisitKey, changes: &mut Vec<VisitChange>) {
        match input {
            Input::Fix(fix) => {
                let place = self.clients.place(fix.client);
                self.step(fix, place, next_visit, changes);
            }
            Input::Transition(transition) => {
                let place = self.clients.place(transition.client);
                self.cross(transition, place, next_visit, changes);
            }
            Input::Sign { client, at, .. } => self.clients.of(*client).sign(*at, &self.rules, changes),
        }
    }

    /// Closes what is due for every client when the site's clock stands at `reached`.
    pub fn derive_clock(&mut self, reached: EventTime, changes: &mut Vec<VisitChange>) {
        for client in &mut self.clients.all {
            client.close_due(reached, &self.rules, changes);
        }
    }

    pub fn forget_absent(&mut self) {
        debug_assert!(self.deadlines.is_empty(), "deadlines know places");
        self.clients.retain(|client| client.stays().next().is_some());
    }

    pub fn stays(&self) -> impl Iterator<Item = &Stay> {
        self.clients.all.iter().flat_map(Client::stays)
    }

    pub fn remove_stays(&mut self, is_gone: impl Fn(&Visit) -> bool) {
        for client in &mut self.clients.all {
            client.remove_stays(&is_gone);
        }
    }

    /// Counts for the alert rules anew, after stays were taken away and put in.
    pub fn recount(&mut self) {
        let stays = self.clients.all.iter().flat_map(Client::stays);
        self.watch.recount(stays.filter(|stay| stay.closed.is_none()).map(|stay| stay.visit));
    }

    fn close_due(&mut self, changes: &mut Vec<VisitChange>) {
        self.close_due_but(None, changes);
    }

    /// What is due of all clients but one: the one whose event moved the clock, since that event says more of its visits
    /// than the clock does. It is to be scheduled again afterwards. That it was gone for a while is shown to the watch.
    fn close_due_but(&mut self, spared: Option<ClientKey>, changes: &mut Vec<VisitChange>) {
        let Some(reached) = self.clock.reached() else { return };
        if std::mem::take(&mut self.has_new_rules) {
            self.reschedule_all();
        }
        while let Some(&Reverse((deadline_ms, key, place))) = self.deadlines.peek() {
            if deadline_ms > reached.0 {
                break;
            }
            // Whoever is gone at the instant at which an alarm would fire is gone.
            self.run_alarms_before(deadline_ms);
            self.deadlines.pop();
            let client = self.clients.at(place);
            if client.scheduled_ms != deadline_ms {
                continue;
            }
            client.scheduled_ms = i64::MAX;
            let deadline = EventTime(deadline_ms);
            if spared == Some(key) {
                let gone = client.deadlines(&self.rules).filter(|(due_ms, _)| *due_ms <= deadline_ms);
                self.watch.note_gone(gone.map(|(_, visit)| *visit), deadline);
                let later =
                    client.deadlines(&self.rules).map(|(due_ms, _)| due_ms).filter(|due_ms| *due_ms > deadline_ms);
                if let Some(next_ms) = later.min() {
                    client.scheduled_ms = next_ms;
                    self.deadlines.push(Reverse((next_ms, key, place)));
                }
            } else {
                let before = changes.len();
                client.close_due(deadline, &self.rules, changes);
                self.watch.note(&changes[before..], deadline);
                self.reschedule(key, place);
            }
        }
        self.run_alarms_before(reached.0 + 1);
        self.watch.review(reached);
    }

    fn run_alarms_before(&mut self, end_ms: i64) {
        while self.watch.deadline().is_some_and(|deadline| deadline.0 < end_ms) {
            self.watch.run_deadline();
        }
    }

    /// Shows the watch what an event did.
    fn watch_since(&mut self, before: usize, changes: &[VisitChange]) {
        if let Some(reached) = self.clock.reached() {
            self.watch.note(&changes[before..], reached);
        }
    }

    pub fn set_alerting(&mut self, alerting: Alerting) {
        let stays = self.clients.all.iter().flat_map(Client::stays);
        self.watch.set(alerting, stays.filter(|stay| stay.closed.is_none()).map(|stay| stay.visit));
    }

    pub fn restore_alarm(&mut self, id: AlarmId, alarm: Alarm) {
        self.watch.restore(id, alarm);
    }

    pub fn restore_heard(&mut self, map: MapKey, at: EventTime) {
        self.watch.restore_heard(Subject::Map(map), at);
    }

    pub fn resume_alarms(&mut self) {
        if let Some(reached) = self.clock.reached() {
            self.watch.restore_heard(Subject::Site, reached);
            self.watch.review(reached);
        }
    }

    /// Something new came, from a map or not.
    pub fn hear(&mut self, map: Option<MapKey>) {
        if let Some(reached) = self.clock.reached() {
            self.watch.hear(map, reached);
        }
    }

    pub fn take_alarm_changes(&mut self) -> Vec<AlarmChange> {
        self.watch.take_changes()
    }

    /// Shorter rules bring deadlines nearer.
    fn reschedule_all(&mut self) {
        let places: Vec<_> = self.clients.places.iter().map(|(key, place)| (*key, *place)).collect();
        places.into_iter().for_each(|(key, place)| self.reschedule(key, place));
    }

    /// Puts the client's deadline on the heap when it is nearer than the one there. One that has moved away is left:
    /// the client is looked at then, and scheduled again.
    fn reschedule(&mut self, key: ClientKey, place: Place) {
        let client = self.clients.at(place);
        let deadline_ms = client.deadline_ms(&self.rules);
        if deadline_ms < client.scheduled_ms {
            client.scheduled_ms = deadline_ms;
            self.deadlines.push(Reverse((deadline_ms, key, place)));
        }
    }
}

fn take(next_visit: &mut VisitKey) -> VisitKey {
    let key = *next_visit;
    next_visit.0 += 1;
    key
}

/// The time a site has reached: its newest event time, running on at wall speed since that event was received.
/// Never runs backwards.
#[derive(Debug, Default)]
struct SiteClock {
    newest: Option<(EventTime, ReceivedAt)>,
    reached: Option<EventTime>,
}

impl SiteClock {
    fn observe(&mut self, at: EventTime, received_at: ReceivedAt) {
        if self.newest.is_none_or(|(newest, _)| at > newest) {
            self.newest = Some((at, received_at));
            self.reached = self.reached.max(Some(at));
        }
    }

    fn run_on(&mut self, now: ReceivedAt) {
        if let Some((newest, received_at)) = self.newest {
            // A wall clock that was set back must not take the site with it.
            let elapsed_ms = (now.0 - received_at.0).max(0);
            self.reached = self.reached.max(Some(EventTime(newest.0 + elapsed_ms)));
        }
    }

    fn reached(&self) -> Option<EventTime> {
        self.reached
    }
}
