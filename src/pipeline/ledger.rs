//! What one drain did to the visits, folded: where each stood before, where it stands now.

use std::collections::BTreeMap;

use crate::model::ids::VisitKey;
use crate::model::visit::{Exit, Visit, VisitChange};
use crate::store::row;
use crate::store::writer::Drain;

/// Folds changes in the order the engine made them.
#[derive(Debug, Default)]
pub struct Ledger {
    /// In key order, so that the same changes write the same rows in the same order.
    visits: BTreeMap<VisitKey, Entry>,
    /// From when on there are other visits than before, Unix milliseconds.
    since_ms: Option<i64>,
}

#[derive(Debug)]
struct Entry {
    before: Before,
    visit: Visit,
    exit: Option<Exit>,
}

/// Where the visit stood when the drain began.
#[derive(Clone, Copy, Debug)]
enum Before {
    Nowhere,
    Open,
    Ended(Exit),
}

impl Ledger {
    pub fn note(&mut self, change: &VisitChange) {
        let (visit, exit, before, since) = match change {
            VisitChange::Opened(visit) => (visit, None, Before::Nowhere, visit.entered_at),
            VisitChange::Closed(visit, exit) => (visit, Some(*exit), Before::Open, exit.exited_at),
            VisitChange::Reopened(visit, exit) => (visit, None, Before::Ended(*exit), exit.exited_at),
        };
        self.since_ms = Some(self.since_ms.map_or(since.0, |other_ms| other_ms.min(since.0)));
        self.visits.entry(visit.key).or_insert(Entry { before, visit: *visit, exit }).exit = exit;
    }

    /// How many more visits stand open after the drain than before it.
    pub fn opened_net(&self) -> i64 {
        let is_open = |entry: &Entry| i64::from(entry.exit.is_none());
        let was_open = |entry: &Entry| i64::from(matches!(entry.before, Before::Open));
        self.visits.values().map(|entry| is_open(entry) - was_open(entry)).sum()
    }

    /// Puts the rows to write and the visits to move into the drain.
    pub fn settle(self, drain: &mut Drain) {
        drain.visits_since_ms = self.since_ms;
        for (key, Entry { before, visit, exit }) in self.visits {
            match (before, exit) {
                (Before::Open, None) => continue,
                (Before::Open, Some(_)) => drain.no_longer_open.push(key),
                // Moving a row costs far more than leaving it.
                (Before::Ended(stored), Some(exit)) if stored.stands_for(&exit) => continue,
                (Before::Ended(_), _) => drain.no_longer_ended.push(key),
                (Before::Nowhere, _) => {}
            }
            match exit {
                Some(exit) => drain.visits.push(row::Visit::ended(&visit, &exit)),
                None => drain.open_visits.push(row::OpenVisit::of(&visit)),
            }
        }
    }
}
