//! When a rule that nobody has saved would have fired: the engine itself over the stored events, kept nowhere.

use std::collections::BTreeMap;

use crate::engine::{Alerting, Engine, FixInput, TransitionInput};
use crate::model::alert::{AlarmChange, AlarmId, Condition, Subject};
use crate::model::event::Fingerprint;
use crate::model::ids::{SiteKey, VisitKey};
use crate::model::time::{EventTime, ReceivedAt};
use crate::model::visit::Source;
use crate::pipeline::{Defaults, Places, alerting_of};
use crate::store::alerts::RuleRecord;
use crate::store::history::{self, StoredEvent, What};
use crate::store::{ReadConnection, Store, StoreError};

/// A rule, and the period in which it would have been there.
#[derive(Clone, Debug)]
pub struct Question {
    pub record: RuleRecord,
    pub from: EventTime,
    pub to: EventTime,
    /// The time each site has reached.
    pub reached: BTreeMap<SiteKey, EventTime>,
}

/// An alert that would have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firing {
    pub site: SiteKey,
    pub subject: Subject,
    pub since: EventTime,
    pub fired_at: EventTime,
    pub clients: u32,
    /// When it would have been over, and how many were there then; `None`: after the period.
    pub over: Option<(EventTime, u32)>,
}

/// What would have fired, by time. Places are as they are now; late events are in their places.
///
/// Costs a pass of the engine over the period's events of every site in question, and those of some time before, so
/// that it knows who was there when the period began.
pub fn firings(store: &Store, defaults: &Defaults, question: &Question) -> Result<Vec<Firing>, StoreError> {
    store.read(|conn| {
        let places = Places::read(conn)?;
        let mut firings = Vec::new();
        for (site, alerting) in alerting_of(&places, question.record.clone()) {
            firings.extend(of_site(conn, &places, defaults, question, site, alerting)?);
        }
        firings.sort_by_key(|firing| (firing.fired_at, firing.site, firing.subject));
        Ok(firings)
    })
}

fn of_site(
    conn: &ReadConnection,
    places: &Places,
    defaults: &Defaults,
    question: &Question,
    site: SiteKey,
    alerting: Alerting,
) -> Result<Vec<Firing>, StoreError> {
    let mut run = Run::new(site, places, defaults);
    let longest = places.rules_max(defaults);
    let stay_ms = match question.record.condition {
        Condition::Dwell => (question.record.for_s * 1000.0) as i64,
        _ => 0,
    };
    let counts_reported = alerting.areas.values().any(|counted| counted.source == Source::Reported);
    let fixes_from = question.from.0 - longest.presence_timeout_ms - longest.exit_grace_ms - stay_ms;
    let reported_from = question.from.0 - longest.reported_timeout_ms - stay_ms;
    let transitions_from = if counts_reported { fixes_from.min(reported_from) } else { fixes_from };
    let to = question.to.min(question.reached.get(&site).copied().unwrap_or(question.to));
    let mut waiting = Some(alerting);
    history::each_in_time(conn, site, EventTime(transitions_from), EventTime(fixes_from), to, |event| {
        if event.at >= question.from
            && let Some(alerting) = waiting.take()
        {
            run.begin(alerting, question.from);
        }
        run.take(event);
    })?;
    if let Some(alerting) = waiting {
        run.begin(alerting, question.from);
    }
    run.tick(to);
    Ok(run.firings)
}

struct Run {
    site: SiteKey,
    engine: Engine,
    /// What fires now, by place in the list.
    firing: BTreeMap<AlarmId, usize>,
    firings: Vec<Firing>,
    events: u64,
}

impl Run {
    fn new(site: SiteKey, places: &Places, defaults: &Defaults) -> Run {
        let mut engine = Engine::new(defaults.dedupe_window, VisitKey(1));
        places.give_to(&mut engine, defaults);
        Run { site, engine, firing: BTreeMap::new(), firings: Vec::new(), events: 0 }
    }

    /// The rule is there from now on.
    fn begin(&mut self, alerting: Alerting, from: EventTime) {
        self.tick(from);
        self.engine.set_alerting(self.site, alerting);
        self.tick(from);
    }

    fn tick(&mut self, to: EventTime) {
        self.engine.tick(ReceivedAt(to.0), &mut Vec::new());
        self.note();
    }

    /// An event that came when it happened.
    fn take(&mut self, event: &StoredEvent) {
        let StoredEvent { site, client, at, what } = *event;
        let (received_at, mut changes) = (ReceivedAt(at.0), Vec::new());
        match what {
            What::Fix { map, position } => {
                let fix = FixInput { site, map, client, at, received_at, position };
                self.engine.apply_fix(&fix, &mut changes);
            }
            What::Transition { map, area, trigger } => {
                let transition = TransitionInput { site, map, area, area_version: 0, client, trigger, at, received_at };
                self.engine.apply_transition(&transition, &mut changes);
            }
            What::Other => {
                self.events += 1;
                self.engine.apply_other(site, Fingerprint(self.events), at, false, received_at, &mut changes);
            }
        }
        self.note();
    }

    fn note(&mut self) {
        for (site, change) in self.engine.take_alarm_changes() {
            match change {
                AlarmChange::Fired { id, since, at, clients, .. } => {
                    self.firing.insert(id, self.firings.len());
                    let subject = id.subject;
                    self.firings.push(Firing { site, subject, since, fired_at: at, clients, over: None });
                }
                AlarmChange::Resolved { id, at, clients, .. } => {
                    if let Some(place) = self.firing.remove(&id) {
                        self.firings[place].over = Some((at, clients));
                    }
                }
                AlarmChange::Pending { .. } | AlarmChange::Calmed { .. } | AlarmChange::Repeated { .. } => {}
            }
        }
    }
}
