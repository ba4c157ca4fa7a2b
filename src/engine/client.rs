//! One client at one site: what it has shown, and the areas it is in.

use super::dedupe::SeenTimes;
use super::presence::{self, Crossing, Rules, Stay};
use super::{DedupeWindow, Verdict};
use crate::model::event::Trigger;
use crate::model::ids::AreaKey;
use crate::model::time::EventTime;
use crate::model::visit::{Source, Visit, VisitChange};

#[derive(Debug)]
pub struct Client {
    /// Its newest fix: what is not newer moves nothing.
    newest_fix: Option<EventTime>,
    /// Its newest sign of any sort, for the silence of reported visits.
    newest_sign: Option<EventTime>,
    seen: SeenTimes,
    /// Computed visits, open or still to be confirmed as closed; in order of area.
    stays: Vec<Stay>,
    /// What was reported of it, by area.
    reported: Vec<Reported>,
    /// The deadline that stands on the site's heap; `i64::MAX` when none does.
    pub scheduled_ms: i64,
}

/// What the network has said of one client and one area.
#[derive(Debug)]
struct Reported {
    area: AreaKey,
    /// The newest transition that moved anything.
    newest: Option<EventTime>,
    /// By trigger.
    seen: [SeenTimes; 2],
    stay: Option<Stay>,
}

impl Default for Client {
    fn default() -> Client {
        Client {
            newest_fix: None,
            newest_sign: None,
            seen: SeenTimes::default(),
            stays: Vec::new(),
            reported: Vec::new(),
            scheduled_ms: i64::MAX,
        }
    }
}

impl Client {
    pub fn is_new_fix(&mut self, at: EventTime, window: DedupeWindow) -> bool {
        // The newest is known for ever, however long ago it was.
        self.seen.insert(at, window) && self.newest_fix != Some(at)
    }

    /// Reads what a fix will need: of each piece of memory a little, and makes a number of it.
    pub fn look(&self) -> i64 {
        let newest = self.newest_fix.map_or(0, |at| at.0);
        let stay = self.stays.first().map_or(0, |stay| stay.visit.key.0);
        newest.wrapping_add(stay).wrapping_add(self.scheduled_ms).wrapping_add(self.seen.look())
    }

    pub fn is_late(&self, at: EventTime) -> bool {
        self.newest_fix.is_some_and(|newest| at <= newest)
    }

    /// A fix that is not late: presence rules 1 to 3.
    pub fn move_to(
        &mut self,
        at: EventTime,
        zones: &[(AreaKey, u32)],
        rules: &Rules,
        open: impl FnMut(AreaKey, u32) -> Visit,
        changes: &mut Vec<VisitChange>,
    ) {
        if let Some(previous) = self.newest_fix {
            presence::close_after_gap(&mut self.stays, previous, at, rules, changes);
        }
        presence::step(&mut self.stays, Crossing { at, zones }, rules, open, changes);
        self.newest_fix = Some(at);
    }

    /// Any sign of the client: reported visits go on, unless the silence before it was too long.
    pub fn sign(&mut self, at: EventTime, rules: &Rules, changes: &mut Vec<VisitChange>) {
        let previous = self.newest_sign.replace(self.newest_sign.map_or(at, |newest| newest.max(at)));
        let Some(previous) = previous.filter(|previous| at > *previous) else {
            return;
        };
        for reported in &mut self.reported {
            let Some(stay) = &mut reported.stay else { continue };
            if at.since_ms(previous) > rules.of(reported.area).reported_timeout_ms {
                stay.close_silent(previous, None, changes);
                reported.stay = None;
            } else {
                stay.reopen(changes);
            }
        }
    }

    pub fn is_new_transition(&mut self, area: AreaKey, trigger: Trigger, at: EventTime, window: DedupeWindow) -> bool {
        self.reported(area).seen[trigger as usize].insert(at, window)
    }

    /// A transition that is not a duplicate. An older one than the area's newest moves nothing.
    pub fn cross(
        &mut self,
        area: AreaKey,
        trigger: Trigger,
        at: EventTime,
        open: impl FnOnce() -> Visit,
        changes: &mut Vec<VisitChange>,
    ) -> Verdict {
        let reported = self.reported(area);
        if reported.newest.is_some_and(|newest| at < newest) {
            return Verdict::Late;
        }
        reported.newest = Some(at);
        match (trigger, reported.stay.take()) {
            (Trigger::Enter, None) => {
                let stay = Stay::open(open(), changes);
                reported.stay = Some(stay);
            }
            (Trigger::Enter, Some(mut stay)) => {
                stay.reopen(changes);
                reported.stay = Some(stay);
            }
            (Trigger::Exit, None) => return Verdict::Unmatched,
            (Trigger::Exit, Some(mut stay)) => {
                stay.reopen(changes);
                stay.close_left(at, None, changes);
            }
        }
        Verdict::Applied
    }

    /// Closes what is due when the site clock stands at `reached`: presence rule 5.
    pub fn close_due(&mut self, reached: EventTime, rules: &Rules, changes: &mut Vec<VisitChange>) {
        if let Some(newest) = self.newest_fix {
            for stay in self.stays.iter_mut().filter(|stay| stay.closed.is_none()) {
                let rules = rules.of(stay.visit.area);
                let is_silent = reached.since_ms(newest) > rules.presence_timeout_ms;
                let is_out = stay.outside_since.is_some_and(|out| reached.since_ms(out) >= rules.exit_grace_ms);
                if is_silent || is_out {
                    stay.close_silent(newest, Some(newest), changes);
                }
            }
        }
        if let Some(newest) = self.newest_sign {
            for stay in self.reported.iter_mut().filter_map(|reported| reported.stay.as_mut()) {
                let timeout_ms = rules.of(stay.visit.area).reported_timeout_ms;
                if stay.closed.is_none() && reached.since_ms(newest) > timeout_ms {
                    stay.close_silent(newest, Some(newest), changes);
                }
            }
        }
    }

    /// The first site time at which [`Client::close_due`] would close something; `i64::MAX` when nothing is open.
    pub fn deadline_ms(&self, rules: &Rules) -> i64 {
        if self.stays.is_empty() && self.reported.is_empty() {
            return i64::MAX;
        }
        self.deadlines(rules).map(|(deadline_ms, _)| deadline_ms).min().unwrap_or(i64::MAX)
    }

    /// The site time at which [`Client::close_due`] would close each open visit.
    pub fn deadlines<'a>(&'a self, rules: &'a Rules) -> impl Iterator<Item = (i64, &'a Visit)> + 'a {
        let computed = self.newest_fix.into_iter().flat_map(move |newest| {
            self.stays.iter().filter(|stay| stay.closed.is_none()).map(move |stay| {
                let rules = rules.of(stay.visit.area);
                let silent_ms = newest.0 + rules.presence_timeout_ms + 1;
                let out_ms = stay.outside_since.map_or(i64::MAX, |out| out.0 + rules.exit_grace_ms);
                (silent_ms.min(out_ms), &stay.visit)
            })
        });
        let reported = self.newest_sign.into_iter().flat_map(move |newest| {
            let stays = self.reported.iter().filter_map(|reported| reported.stay.as_ref());
            stays
                .filter(|stay| stay.closed.is_none())
                .map(move |stay| (newest.0 + rules.of(stay.visit.area).reported_timeout_ms + 1, &stay.visit))
        });
        computed.chain(reported)
    }

    pub fn restore_fix(&mut self, at: EventTime, is_late: bool, window: DedupeWindow) {
        self.seen.insert(at, window);
        if !is_late {
            self.newest_fix = self.newest_fix.max(Some(at));
        }
        self.newest_sign = self.newest_sign.max(Some(at));
    }

    pub fn restore_transition(
        &mut self,
        area: AreaKey,
        trigger: Trigger,
        at: EventTime,
        is_late: bool,
        window: DedupeWindow,
    ) {
        let reported = self.reported(area);
        reported.seen[trigger as usize].insert(at, window);
        if !is_late {
            reported.newest = reported.newest.max(Some(at));
        }
        self.newest_sign = self.newest_sign.max(Some(at));
    }

    pub fn newest_sign(&self) -> Option<EventTime> {
        self.newest_sign
    }

    /// What it is in, as far as its next sign may change it.
    pub fn stays(&self) -> impl Iterator<Item = &Stay> {
        self.stays.iter().chain(self.reported.iter().filter_map(|reported| reported.stay.as_ref()))
    }

    /// Forgets stays, as if they had never been.
    pub fn remove_stays(&mut self, is_gone: impl Fn(&Visit) -> bool) {
        self.stays.retain(|stay| !is_gone(&stay.visit));
        for reported in &mut self.reported {
            reported.stay.take_if(|stay| is_gone(&stay.visit));
        }
    }

    pub fn restore_stay(&mut self, stay: Stay) {
        let area = stay.visit.area;
        match stay.visit.source {
            Source::Computed => {
                let place = self.stays.partition_point(|other| other.visit.area < area);
                self.stays.insert(place, stay);
            }
            Source::Reported => self.reported(area).stay = Some(stay),
        }
    }

    fn reported(&mut self, area: AreaKey) -> &mut Reported {
        let place = match self.reported.binary_search_by_key(&area, |reported| reported.area) {
            Ok(place) => place,
            Err(place) => {
                self.reported.insert(place, Reported { area, newest: None, seen: Default::default(), stay: None });
                place
            }
        };
        &mut self.reported[place]
    }
}
