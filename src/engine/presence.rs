//! Which areas a client is in: the presence rules of the design, for one client at a time.
//!
//! A client that steps out for less than `exit_grace` has not left, so a fix that jitters across an edge is one visit.
//! Silence beyond `presence_timeout` closes the visit at the last fix inside, not at the moment it was noticed.
//! What the site clock closes stays here, marked, until the client's next fix confirms or revokes it: the clock may
//! have run ahead of a fix that was still under way, and must make no difference to the visit.

use rustc_hash::FxHashMap;

use crate::model::ids::AreaKey;
use crate::model::settings::PresenceRules;
use crate::model::time::EventTime;
use crate::model::visit::{Ended, Exit, Visit, VisitChange};

/// The presence rules of a site and of those of its areas that have their own.
#[derive(Debug)]
pub struct Rules {
    pub of_site: PresenceRules,
    pub of_areas: FxHashMap<AreaKey, PresenceRules>,
}

impl Rules {
    pub fn new(of_site: PresenceRules) -> Rules {
        Rules { of_site, of_areas: FxHashMap::default() }
    }

    pub fn of(&self, area: AreaKey) -> &PresenceRules {
        if self.of_areas.is_empty() {
            return &self.of_site;
        }
        self.of_areas.get(&area).unwrap_or(&self.of_site)
    }
}

/// A visit that is open, or that only the clock has closed.
#[derive(Clone, Copy, Debug)]
pub struct Stay {
    pub visit: Visit,
    /// When the client was first seen outside, if its newest fix is outside.
    pub outside_since: Option<EventTime>,
    /// How the clock ended it, if it has.
    pub closed: Option<Exit>,
}

impl Stay {
    pub fn open(visit: Visit, changes: &mut Vec<VisitChange>) -> Stay {
        changes.push(VisitChange::Opened(visit));
        Stay { visit, outside_since: None, closed: None }
    }

    /// The client left at `at`. Does nothing to what is closed already: the clock came to the same end.
    pub fn close_left(&mut self, at: EventTime, clock_after: Option<EventTime>, changes: &mut Vec<VisitChange>) {
        self.close(Exit { exited_at: at, ended: Ended::Left, clock_after }, changes);
    }

    /// Nothing was heard after `newest`: it left when it went outside if it had, else its last sign was its last.
    pub fn close_silent(&mut self, newest: EventTime, clock_after: Option<EventTime>, changes: &mut Vec<VisitChange>) {
        match self.outside_since {
            Some(out) => self.close_left(out, clock_after, changes),
            None => self.close(Exit { exited_at: newest, ended: Ended::Timeout, clock_after }, changes),
        }
    }

    /// Takes back what the clock did.
    pub fn reopen(&mut self, changes: &mut Vec<VisitChange>) {
        if let Some(exit) = self.closed.take() {
            changes.push(VisitChange::Reopened(self.visit, exit));
        }
    }

    fn close(&mut self, exit: Exit, changes: &mut Vec<VisitChange>) {
        if self.closed.is_none() {
            self.closed = Some(exit);
            changes.push(VisitChange::Closed(self.visit, exit));
        }
    }
}

/// A fix, as far as presence goes: when, and the zones that contain it in ascending order.
#[derive(Clone, Copy, Debug)]
pub struct Crossing<'a> {
    pub at: EventTime,
    pub zones: &'a [(AreaKey, u32)],
}

/// Rules 1 and 4: a gap longer than the timeout ends every stay before the new fix is looked at.
pub fn close_after_gap(
    stays: &mut Vec<Stay>,
    previous: EventTime,
    at: EventTime,
    rules: &Rules,
    changes: &mut Vec<VisitChange>,
) {
    stays.retain_mut(|stay| {
        let is_gap = at.since_ms(previous) > rules.of(stay.visit.area).presence_timeout_ms;
        if is_gap {
            stay.close_silent(previous, None, changes);
        }
        !is_gap
    });
}

/// Rules 2 and 3, for every stay and every zone of the fix. `stays` are and stay in ascending order of area.
pub fn step(
    stays: &mut Vec<Stay>,
    fix: Crossing<'_>,
    rules: &Rules,
    mut open: impl FnMut(AreaKey, u32) -> Visit,
    changes: &mut Vec<VisitChange>,
) {
    let has_left = |stay: &Stay| {
        let grace_ms = rules.of(stay.visit.area).exit_grace_ms;
        stay.outside_since.filter(|out| fix.at.since_ms(*out) >= grace_ms)
    };
    stays.retain_mut(|stay| {
        let is_inside = fix.zones.iter().any(|(area, _)| *area == stay.visit.area);
        if !is_inside && stay.outside_since.is_none() {
            // The clock may have ended this stay at its last fix inside, but the client was still to be seen going.
            stay.reopen(changes);
            stay.outside_since = Some(fix.at);
        }
        if let Some(out) = has_left(stay) {
            stay.close_left(out, None, changes);
            return false;
        }
        stay.reopen(changes);
        if is_inside {
            stay.outside_since = None;
        }
        true
    });
    for &(area, version) in fix.zones {
        let place = stays.partition_point(|stay| stay.visit.area < area);
        if stays.get(place).is_none_or(|stay| stay.visit.area != area) {
            stays.insert(place, Stay::open(open(area, version), changes));
        }
    }
}
