//! Alert rules of one site: who is counted, what holds, since when, and what fires.
//!
//! An alarm goes ok -> pending -> firing -> resolved, on the site clock. It is evaluated after each event that changed a
//! count, and at its own deadlines, in order of time: so the same events give the same alerts, however often the clock
//! was looked at in between.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::model::alert::{Alarm, AlarmChange, AlarmId, Resolution, Rule, Subject};
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
    rules_of: FxHashMap<Subject, Vec<usize>>,
    crowds: FxHashMap<Subject, Crowd>,
    /// Those that are not ok. In order, so that the same events give the same changes in the same order.
    alarms: BTreeMap<AlarmId, Alarm>,
    /// When to look at an alarm again: it fires then, or its schedule begins or ends. One too many does no harm.
    deadlines: BTreeSet<(EventTime, AlarmId)>,
    /// Whether rules or counts have come from elsewhere than events.
    is_to_review: bool,
    /// The time of the last look; no other is earlier.
    looked_at: Option<EventTime>,
    changes: Vec<AlarmChange>,
}

/// Who is at a watched subject.
#[derive(Debug, Default)]
struct Crowd {
    visits: FxHashSet<VisitKey>,
    /// Clients, with the number of their visits.
    clients: FxHashMap<ClientKey, u32>,
}

impl Crowd {
    fn add(&mut self, visit: &Visit) {
        if self.visits.insert(visit.key) {
            *self.clients.entry(visit.client).or_default() += 1;
        }
    }

    fn remove(&mut self, visit: &Visit) {
        if self.visits.remove(&visit.key)
            && let Some(visits) = self.clients.get_mut(&visit.client)
        {
            *visits -= 1;
            if *visits == 0 {
                self.clients.remove(&visit.client);
            }
        }
    }
}

impl Watch {
    /// Takes other rules, to be looked at with the next event or tick.
    pub fn set(&mut self, alerting: Alerting, stays: impl Iterator<Item = Visit>) {
        self.rule_at = alerting.rules.iter().enumerate().map(|(place, rule)| (rule.key, place)).collect();
        self.rules_of.clear();
        for (place, rule) in alerting.rules.iter().enumerate() {
            for subject in &rule.subjects {
                self.rules_of.entry(*subject).or_default().push(place);
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

    /// Takes what one event, or the clock at one deadline, did to the visits.
    pub fn note(&mut self, changes: &[VisitChange], at: EventTime) {
        if self.rules_of.is_empty() {
            return;
        }
        let mut touched = BTreeSet::new();
        for change in changes {
            let (visit, comes) = match change {
                VisitChange::Opened(visit) | VisitChange::Reopened(visit) => (visit, true),
                VisitChange::Closed(visit, _) => (visit, false),
            };
            for subject in self.subjects_of(visit) {
                let crowd = self.crowds.entry(subject).or_default();
                if comes {
                    crowd.add(visit)
                } else {
                    crowd.remove(visit)
                }
                touched.insert(subject);
            }
        }
        self.look_at(touched, at);
    }

    /// Takes that visits were over at that time, whatever their client did afterwards.
    pub fn note_gone(&mut self, visits: impl Iterator<Item = Visit>, at: EventTime) {
        if self.rules_of.is_empty() {
            return;
        }
        let mut touched = BTreeSet::new();
        for visit in visits {
            for subject in self.subjects_of(&visit) {
                self.crowds.entry(subject).or_default().remove(&visit);
                touched.insert(subject);
            }
        }
        self.look_at(touched, at);
    }

    fn look_at(&mut self, subjects: BTreeSet<Subject>, at: EventTime) {
        for subject in subjects {
            for place in self.rules_of.get(&subject).cloned().unwrap_or_default() {
                self.look(AlarmId { rule: self.alerting.rules[place].key, subject }, at);
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
        let is_of_rule = |id: &AlarmId, alarm: &Alarm| {
            let rule = self.rule_at.get(&id.rule).map(|place| &self.alerting.rules[*place]);
            rule.is_some_and(|rule| rule.version == alarm.version && rule.subjects.contains(&id.subject))
        };
        let others = self.alarms.iter().filter(|(id, alarm)| !is_of_rule(id, alarm));
        for id in others.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.calm(id, at, Resolution::RuleChanged);
        }
        let rules = self.alerting.rules.iter();
        let ids =
            rules.flat_map(|rule| rule.subjects.iter().map(|subject| AlarmId { rule: rule.key, subject: *subject }));
        for id in ids.collect::<Vec<_>>() {
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
            subject.filter(|subject| counted.source == visit.source && self.rules_of.contains_key(subject))
        });
        subjects.into_iter().flatten()
    }

    fn look(&mut self, id: AlarmId, at: EventTime) {
        let Some(rule) = self.rule_at.get(&id.rule).map(|place| &self.alerting.rules[*place]) else { return };
        let at = self.looked_at.map_or(at, |looked_at| looked_at.max(at));
        self.looked_at = Some(at);
        let (version, for_ms, condition) = (rule.version, rule.for_ms, rule.condition);
        let is_on = rule.schedule.as_ref().is_none_or(|schedule| schedule.is_active(at));
        let clients = self.clients(id.subject);
        if let Some(edge) = rule.schedule.as_ref().and_then(|schedule| schedule.next_edge(at)) {
            self.deadlines.insert((edge, id));
        }
        match self.alarms.get(&id).copied() {
            None if is_on && condition.holds(clients) && for_ms == 0 => self.fire(id, version, at, at),
            None if is_on && condition.holds(clients) => {
                self.alarms.insert(id, Alarm { version, since: at, is_firing: false });
                self.changes.push(AlarmChange::Pending { id, version, since: at });
                self.deadlines.insert((EventTime(at.0 + for_ms), id));
            }
            None => {}
            Some(Alarm { is_firing: false, since, .. }) => {
                let due = EventTime(since.0 + for_ms);
                if !is_on || !condition.holds(clients) {
                    self.calm(id, at, Resolution::Cleared);
                } else if at >= due {
                    self.fire(id, version, since, due);
                } else {
                    self.deadlines.insert((due, id));
                }
            }
            Some(_) if !is_on => self.calm(id, at, Resolution::OffSchedule),
            Some(_) if condition.is_cleared(clients) => self.calm(id, at, Resolution::Cleared),
            Some(_) => {}
        }
    }

    fn clients(&self, subject: Subject) -> u32 {
        self.crowds.get(&subject).map_or(0, |crowd| crowd.clients.len() as u32)
    }

    fn fire(&mut self, id: AlarmId, version: u32, since: EventTime, at: EventTime) {
        self.alarms.insert(id, Alarm { version, since: at, is_firing: true });
        self.changes.push(AlarmChange::Fired { id, version, since, at, clients: self.clients(id.subject) });
    }

    /// Back to ok: what fired is resolved.
    fn calm(&mut self, id: AlarmId, at: EventTime, why: Resolution) {
        let clients = self.clients(id.subject);
        self.changes.push(match self.alarms.remove(&id) {
            Some(Alarm { is_firing: true, .. }) => AlarmChange::Resolved { id, at, clients, why },
            _ => AlarmChange::Calmed { id },
        });
    }
}
