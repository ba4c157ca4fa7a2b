//! Alert rules of one site: who is counted, what holds, since when, and what fires.
//!
//! An alarm goes ok -> pending -> firing -> resolved, on the site clock. It is looked at after each event that touched
//! it, and at its own deadlines, in order of time: so the same events give the same alerts, however often the clock was
//! looked at in between.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::model::alert::{Alarm, AlarmChange, AlarmId, Condition, Resolution, Rule, Subject};
use crate::model::ids::{AreaKey, ClientKey, MapKey, RuleKey, VisitKey};
use crate::model::time::EventTime;
use crate::model::visit::{Source, Visit, VisitChange};

/// Which visits of an area count, and the map it lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    pub source: Source,
    pub map: Option<MapKey>,
}

/// The rules of a site, and what is counted for them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alerting {
    pub rules: Vec<Rule>,
    /// Areas that are not here count what was reported of them.
    pub areas: FxHashMap<AreaKey, Counted>,
}

#[derive(Debug, Default)]
pub struct Watch {
    alerting: Alerting,
    rule_at: FxHashMap<RuleKey, usize>,
    /// Rules about who is there.
    crowd_rules: FxHashMap<Subject, Vec<usize>>,
    /// Rules about hearing from there.
    data_rules: FxHashMap<Subject, Vec<usize>>,
    crowds: FxHashMap<Subject, Crowd>,
    /// When something new last came from the site and each map.
    heard: FxHashMap<Subject, EventTime>,
    /// What was heard last: many fixes tell the same.
    heard_last: Option<(Option<MapKey>, EventTime)>,
    /// Those that are not ok. In order, so that the same events give the same changes in the same order.
    alarms: BTreeMap<AlarmId, Alarm>,
    /// When to look at an alarm again: it fires then, is told again, or its schedule begins or ends. One too many does
    /// no harm.
    deadlines: BTreeSet<(EventTime, AlarmId)>,
    /// Whether rules or counts have come from elsewhere than events.
    is_to_review: bool,
    /// Rules that watch for something else than they did at the last review.
    replaced: FxHashSet<RuleKey>,
    /// The time of the last look; no other is earlier.
    looked_at: Option<EventTime>,
    changes: Vec<AlarmChange>,
}

/// Who is at a watched subject.
#[derive(Debug, Default)]
struct Crowd {
    visits: FxHashSet<VisitKey>,
    clients: FxHashMap<ClientKey, Presence>,
}

/// One client at a subject.
#[derive(Debug)]
struct Presence {
    visits: u32,
    /// Of the visit that came first to notice: an area's only one.
    entered_at: EventTime,
}

impl Crowd {
    fn add(&mut self, visit: &Visit) {
        if self.visits.insert(visit.key) {
            let entered_at = visit.entered_at;
            self.clients.entry(visit.client).or_insert(Presence { visits: 0, entered_at }).visits += 1;
        }
    }

    fn remove(&mut self, visit: &Visit) {
        if self.visits.remove(&visit.key)
            && let Some(presence) = self.clients.get_mut(&visit.client)
        {
            presence.visits -= 1;
            if presence.visits == 0 {
                self.clients.remove(&visit.client);
            }
        }
    }
}

/// Subjects whose crowd has changed, with the clients that came or went.
type Touched = BTreeMap<Subject, BTreeSet<ClientKey>>;

impl Watch {
    /// Takes other rules, to be looked at with the next event or tick.
    pub fn set(&mut self, alerting: Alerting, stays: impl Iterator<Item = Visit>) {
        for rule in &alerting.rules {
            if let Some(old) = self.rule_at.get(&rule.key).map(|place| &self.alerting.rules[*place])
                && !rule.watches_as(old)
            {
                self.replaced.insert(rule.key);
            }
        }
        self.rule_at = alerting.rules.iter().enumerate().map(|(place, rule)| (rule.key, place)).collect();
        self.crowd_rules.clear();
        self.data_rules.clear();
        for (place, rule) in alerting.rules.iter().enumerate() {
            let rules = if rule.condition == Condition::NoData { &mut self.data_rules } else { &mut self.crowd_rules };
            for subject in &rule.subjects {
                rules.entry(*subject).or_default().push(place);
            }
        }
        self.alerting = alerting;
        self.recount(stays);
    }

    /// Counts everyone anew.
    pub fn recount(&mut self, stays: impl Iterator<Item = Visit>) {
        self.is_to_review = true;
        self.crowds.clear();
        for visit in stays {
            for subject in self.subjects_of(&visit) {
                self.crowds.entry(subject).or_default().add(&visit);
            }
        }
    }

    /// An alarm as it was stored.
    pub fn restore(&mut self, id: AlarmId, alarm: Alarm) {
        self.alarms.insert(id, alarm);
    }

    /// When something new last came from the site or a map, as it was stored.
    pub fn restore_heard(&mut self, subject: Subject, at: EventTime) {
        self.heard.insert(subject, at);
    }

    /// Takes what one event, or the clock at one deadline, did to the visits.
    pub fn note(&mut self, changes: &[VisitChange], at: EventTime) {
        if self.crowd_rules.is_empty() {
            return;
        }
        let mut touched = Touched::new();
        for change in changes {
            match change {
                VisitChange::Opened(visit) | VisitChange::Reopened(visit, _) => self.count(visit, true, &mut touched),
                VisitChange::Closed(visit, _) => self.count(visit, false, &mut touched),
            }
        }
        self.look_at_touched(touched, at);
    }

    /// Takes that visits were over at that time, whatever their client did afterwards.
    pub fn note_gone(&mut self, visits: impl Iterator<Item = Visit>, at: EventTime) {
        if self.crowd_rules.is_empty() {
            return;
        }
        let mut touched = Touched::new();
        for visit in visits {
            self.count(&visit, false, &mut touched);
        }
        self.look_at_touched(touched, at);
    }

    /// Takes that something new came from the site, or from one of its maps.
    pub fn hear(&mut self, map: Option<MapKey>, at: EventTime) {
        if self.data_rules.is_empty() && self.heard_last.replace((map, at)) == Some((map, at)) {
            return;
        }
        for subject in [Some(Subject::Site), map.map(Subject::Map)].into_iter().flatten() {
            self.heard.insert(subject, at);
            for place in self.data_rules.get(&subject).cloned().unwrap_or_default() {
                let id = AlarmId { rule: self.alerting.rules[place].key, subject };
                // One that is ok is looked at when its deadline comes.
                if self.alarms.contains_key(&id) {
                    self.look(id, at);
                }
            }
        }
    }

    fn count(&mut self, visit: &Visit, comes: bool, touched: &mut Touched) {
        for subject in self.subjects_of(visit) {
            let crowd = self.crowds.entry(subject).or_default();
            if comes {
                crowd.add(visit);
            } else {
                crowd.remove(visit);
            }
            touched.entry(subject).or_default().insert(visit.client);
        }
    }

    fn look_at_touched(&mut self, touched: Touched, at: EventTime) {
        for (subject, clients) in touched {
            for place in self.crowd_rules.get(&subject).cloned().unwrap_or_default() {
                let rule = &self.alerting.rules[place];
                let key = rule.key;
                match (rule.condition, subject) {
                    (Condition::Dwell, Subject::Area(area)) => {
                        for client in &clients {
                            self.look(AlarmId { rule: key, subject: Subject::Stay(area, *client) }, at);
                        }
                    }
                    _ => self.look(AlarmId { rule: key, subject }, at),
                }
            }
        }
    }

    /// The first time at which an alarm is to be looked at again.
    pub fn deadline(&self) -> Option<EventTime> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Does what is due at the first deadline.
    pub fn run_deadline(&mut self) {
        if let Some((at, id)) = self.deadlines.pop_first() {
            self.look(id, at);
        }
    }

    /// Looks at everything, if rules or counts have changed: an alarm whose rule is another now is resolved.
    pub fn review(&mut self, at: EventTime) {
        if !std::mem::take(&mut self.is_to_review) {
            return;
        }
        let replaced = std::mem::take(&mut self.replaced);
        let is_of_rule = |id: &AlarmId| {
            let rule = self.rule_at.get(&id.rule).map(|place| &self.alerting.rules[*place]);
            rule.is_some_and(|rule| rule.subjects.contains(&id.subject.of_rule())) && !replaced.contains(&id.rule)
        };
        for id in self.alarms.keys().copied().filter(|id| !is_of_rule(id)).collect::<Vec<_>>() {
            self.calm(id, at, Resolution::RuleChanged);
        }
        let mut ids: BTreeSet<AlarmId> = self.alarms.keys().copied().collect();
        for rule in &self.alerting.rules {
            for subject in &rule.subjects {
                match (rule.condition, subject) {
                    (Condition::Dwell, Subject::Area(area)) => {
                        let clients = self.crowds.get(subject).into_iter().flat_map(|crowd| crowd.clients.keys());
                        ids.extend(
                            clients.map(|client| AlarmId { rule: rule.key, subject: Subject::Stay(*area, *client) }),
                        );
                    }
                    _ => _ = ids.insert(AlarmId { rule: rule.key, subject: *subject }),
                }
            }
        }
        for id in ids {
            self.look(id, at);
        }
    }

    pub fn take_changes(&mut self) -> Vec<AlarmChange> {
        std::mem::take(&mut self.changes)
    }

    /// The watched subjects that a visit counts for.
    fn subjects_of(&self, visit: &Visit) -> impl Iterator<Item = Subject> + use<> {
        let counted = self.alerting.areas.get(&visit.area).copied();
        let counted = counted.unwrap_or(Counted { source: Source::Reported, map: visit.map });
        let map = counted.map.or(visit.map).map(Subject::Map);
        let subjects = [Some(Subject::Area(visit.area)), map, Some(Subject::Site)].map(|subject| {
            subject.filter(|subject| counted.source == visit.source && self.crowd_rules.contains_key(subject))
        });
        subjects.into_iter().flatten()
    }

    fn look(&mut self, id: AlarmId, at: EventTime) {
        let Some(rule) = self.rule_at.get(&id.rule).map(|place| &self.alerting.rules[*place]) else { return };
        let at = self.looked_at.map_or(at, |looked_at| looked_at.max(at));
        self.looked_at = Some(at);
        let (version, for_ms, repeat_ms, condition) = (rule.version, rule.for_ms, rule.repeat_ms, rule.condition);
        let alarm = self.alarms.get(&id).copied();
        let is_on = rule.schedule.as_ref().is_none_or(|schedule| schedule.is_active(at));
        let edge = rule.schedule.as_ref().and_then(|schedule| schedule.next_edge(at));
        let Held { since, is_over } = self.held(id.subject, condition, alarm, at);
        if let Some(edge) = edge.filter(|_| since.is_some() || !matches!(id.subject, Subject::Stay(..))) {
            self.deadlines.insert((edge, id));
        }
        match (alarm, since.filter(|_| is_on)) {
            (Some(Alarm::Firing { .. }), _) if !is_on => self.calm(id, at, Resolution::OffSchedule),
            (Some(Alarm::Firing { .. }), _) if is_over => {
                self.calm(id, at, Resolution::Cleared);
                if condition == Condition::NoData {
                    self.look(id, at);
                }
            }
            (Some(Alarm::Firing { since, told }), _) => self.tell_again(id, since, told, repeat_ms, at),
            (None, None) => {}
            (Some(Alarm::Pending { .. }), None) => self.calm(id, at, Resolution::Cleared),
            (_, Some(since)) => {
                let due = EventTime(since.0 + for_ms);
                // Whoever is heard from just in time is not silent.
                let look_at = EventTime(due.0 + i64::from(condition == Condition::NoData));
                if at >= look_at {
                    let is_seen_late = alarm.is_none() && at > look_at;
                    self.fire(id, version, since, if is_seen_late { at } else { due }, repeat_ms);
                    return;
                }
                let is_counted = matches!(condition, Condition::Above { .. } | Condition::Below { .. });
                if is_counted && alarm.is_none() {
                    self.alarms.insert(id, Alarm::Pending { since });
                    self.changes.push(AlarmChange::Pending { id, since });
                }
                self.deadlines.insert((look_at, id));
            }
        }
    }

    /// How a condition stands at a time.
    fn held(&mut self, subject: Subject, condition: Condition, alarm: Option<Alarm>, at: EventTime) -> Held {
        let clients = self.clients(condition, subject);
        let counted = |holds: bool, is_over: bool| {
            let since = match alarm {
                Some(Alarm::Pending { since }) => since,
                _ => at,
            };
            Held { since: holds.then_some(since), is_over }
        };
        match condition {
            Condition::Above { limit, clear } => counted(clients > limit, clients <= clear),
            Condition::Below { limit, clear } => counted(clients < limit, clients >= clear),
            Condition::Dwell => {
                let since = match subject {
                    Subject::Stay(area, client) => self.entered_at(area, client),
                    _ => None,
                };
                Held { since, is_over: since.is_none() }
            }
            Condition::NoData => {
                let heard = *self.heard.entry(subject).or_insert(at);
                let is_over = matches!(alarm, Some(Alarm::Firing { since, .. }) if heard >= since);
                Held { since: Some(heard), is_over }
            }
        }
    }

    fn entered_at(&self, area: AreaKey, client: ClientKey) -> Option<EventTime> {
        Some(self.crowds.get(&Subject::Area(area))?.clients.get(&client)?.entered_at)
    }

    /// Clients there; none where nobody is counted.
    fn clients(&self, condition: Condition, subject: Subject) -> u32 {
        match subject {
            Subject::Stay(area, client) => u32::from(self.entered_at(area, client).is_some()),
            _ if condition == Condition::NoData => 0,
            _ => self.crowds.get(&subject).map_or(0, |crowd| crowd.clients.len() as u32),
        }
    }

    fn clients_of(&self, id: AlarmId) -> u32 {
        let rule = self.rule_at.get(&id.rule).map(|place| &self.alerting.rules[*place]);
        rule.map_or(0, |rule| self.clients(rule.condition, id.subject))
    }

    fn fire(&mut self, id: AlarmId, version: u32, since: EventTime, at: EventTime, repeat_ms: Option<i64>) {
        self.alarms.insert(id, Alarm::Firing { since: at, told: at });
        self.changes.push(AlarmChange::Fired { id, version, since, at, clients: self.clients_of(id) });
        if let Some(repeat_ms) = repeat_ms {
            self.deadlines.insert((EventTime(at.0 + repeat_ms), id));
        }
    }

    /// Tells of what goes on, once for all the times that have passed.
    fn tell_again(&mut self, id: AlarmId, since: EventTime, told: EventTime, repeat_ms: Option<i64>, at: EventTime) {
        let Some(repeat_ms) = repeat_ms else { return };
        let passed = (at.0 - told.0).div_euclid(repeat_ms);
        if passed > 0 {
            let told = EventTime(told.0 + passed * repeat_ms);
            self.alarms.insert(id, Alarm::Firing { since, told });
            self.changes.push(AlarmChange::Repeated { id, at: told, clients: self.clients_of(id) });
        }
        self.deadlines.insert((EventTime(told.0 + (passed.max(0) + 1) * repeat_ms), id));
    }

    /// Back to ok: what fired is resolved.
    fn calm(&mut self, id: AlarmId, at: EventTime, why: Resolution) {
        let clients = self.clients_of(id);
        self.changes.push(match self.alarms.remove(&id) {
            Some(Alarm::Firing { .. }) => AlarmChange::Resolved { id, at, clients, why },
            _ => AlarmChange::Calmed { id },
        });
    }
}

/// How a condition stands.
struct Held {
    /// Since when it holds, if it does.
    since: Option<EventTime>,
    /// Whether one that has fired is over.
    is_over: bool,
}
