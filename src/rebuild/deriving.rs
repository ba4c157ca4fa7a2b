//! A rebuild under way: slab after slab of the history through the derivation, visits kept aside as they end.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustc_hash::FxHashMap;

use super::scope::Scope;
use crate::engine::{Derivation, Stay};
use crate::model::ids::{ClientKey, SiteKey, VisitKey};
use crate::model::time::{EventTime, LATEST_MS};
use crate::model::visit::{Visit, VisitChange};
use crate::pipeline::{Defaults, Lent, Places};
use crate::store::history::{History, Slab, StoredEvent};
use crate::store::rebuilds::{self, Prepared, Request};
use crate::store::{Store, StoreError, row};

/// How far it has come, and whether it should go on.
#[derive(Debug, Default)]
pub struct Progress {
    pub events: AtomicU64,
    /// Events to read; 0 before that is known.
    pub total: AtomicU64,
    pub is_cancelled: AtomicBool,
}

/// Ended visits kept in memory before they are put aside.
const PENDING_MAX: usize = 50_000;

/// Events after which it tells how far it has come, and looks whether to go on.
const LOOK_EVENTS: usize = 4096;

/// Events committed meanwhile that the last step may take while everybody waits.
const CATCH_UP_EVENTS: u64 = 20_000;

pub struct Deriving {
    request: Request,
    scope: Scope,
    history: History,
    derivation: Derivation,
    changes: Vec<VisitChange>,
    pending: Vec<row::Visit>,
    events: u64,
}

/// How it came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Cancelled,
    /// A map, area or rule was changed meanwhile: to be begun again.
    PlacesChanged,
}

impl Deriving {
    pub fn begin(store: &Store, request: Request, scope: Scope, defaults: &Defaults) -> Result<Deriving, StoreError> {
        let history = History::open(store, scope.question.clone())?;
        let derivation = scope.derivation(defaults);
        Ok(Deriving { request, scope, history, derivation, changes: Vec::new(), pending: Vec::new(), events: 0 })
    }

    /// Reads the whole period, and of what goes on at its end as much as shows how it ended; then what was committed
    /// meanwhile, up to a little.
    pub fn run(&mut self, progress: &Progress) -> Result<Outcome, StoreError> {
        let slabs = self.history.slabs()?;
        progress.events.store(0, Ordering::Relaxed);
        progress.total.store(slabs.iter().map(|slab| slab.events).sum(), Ordering::Relaxed);
        if self.read(&slabs, progress)?.is_break() {
            return Ok(Outcome::Cancelled);
        }
        if let Some(to) = self.request.to
            && self.history.keep_only(&self.present(), to)? > 0
        {
            let slabs = self.history.slabs_beyond()?;
            progress.total.fetch_add(slabs.iter().map(|slab| slab.events).sum(), Ordering::Relaxed);
            for slab in slabs {
                if self.read(&[slab], progress)?.is_break() {
                    return Ok(Outcome::Cancelled);
                }
                if self.history.keep_only(&self.present(), slab.to)? == 0 {
                    break;
                }
            }
        }
        while self.catch_up()? > CATCH_UP_EVENTS {
            if progress.is_cancelled.load(Ordering::Relaxed) {
                return Ok(Outcome::Cancelled);
            }
        }
        Ok(Outcome::Done)
    }

    fn read(&mut self, slabs: &[Slab], progress: &Progress) -> Result<ControlFlow<()>, StoreError> {
        let Deriving { scope, history, derivation, changes, pending, events: read, .. } = self;
        let mut flow = ControlFlow::Continue(());
        history.each_slab(slabs, |events| {
            for some in events.chunks(LOOK_EVENTS) {
                if progress.is_cancelled.load(Ordering::Relaxed) {
                    flow = ControlFlow::Break(());
                    return Ok(flow);
                }
                for event in some {
                    derivation.take(&scope.input(event), changes);
                    keep_ended(changes, pending);
                }
                progress.events.fetch_add(some.len() as u64, Ordering::Relaxed);
                if pending.len() >= PENDING_MAX {
                    rebuilds::stage_ended(history, &std::mem::take(pending))?;
                }
            }
            *read += events.len() as u64;
            derivation.forget_absent();
            Ok(flow)
        })?;
        Ok(flow)
    }

    /// Who is in some area.
    fn present(&self) -> Vec<(SiteKey, ClientKey)> {
        let mut present: Vec<_> = self.derivation.stays().map(|stay| (stay.visit.site, stay.visit.client)).collect();
        present.sort_unstable();
        present.dedup();
        present
    }

    /// Takes some of what was committed since; says how many events.
    fn catch_up(&mut self) -> Result<u64, StoreError> {
        let Deriving { scope, history, derivation, changes, pending, .. } = self;
        let events = history.each_newer_event(|event: &StoredEvent| {
            derivation.take(&scope.input(event), changes);
            keep_ended(changes, pending);
        })?;
        self.events += events;
        rebuilds::stage_ended(&self.history, &std::mem::take(&mut self.pending))?;
        self.derivation.forget_absent();
        Ok(events)
    }

    /// The last step, with the pipeline to itself: takes what is left, lets the visits change places in the file, and
    /// then in the live engine. Readers see all of it or nothing.
    pub fn exchange(mut self, rebuild: i64, lent: &mut Lent<'_>) -> Result<Outcome, StoreError> {
        let places = lent.writer.read(Places::read)?.only(self.request.target);
        if places != self.scope.places {
            return Ok(Outcome::PlacesChanged);
        }
        while self.history.is_behind()? {
            self.catch_up()?;
        }
        self.close_due(|site| lent.engine.reached(site));
        rebuilds::stage_ended(&self.history, &self.pending)?;
        let open: Vec<_> = self.open_stays().map(|stay| row::OpenVisit::of(&stay.visit)).collect();
        rebuilds::stage_open(&self.history, &open)?;
        let prepared = rebuilds::prepare(&self.history)?;
        let first = lent.engine.reserve_visit_keys(prepared.visits);
        rebuilds::swap(&self.history, &lent.past.change_any(), rebuild, &prepared, self.events, first, lent.now)?;
        self.adopt(prepared, first, lent);
        Ok(Outcome::Done)
    }

    /// All there is, with clocks that have run so far ahead that nothing goes on: to be compared with what is stored.
    pub fn finish(mut self) -> Result<History, StoreError> {
        while self.history.is_behind()? {
            self.catch_up()?;
        }
        self.close_due(|_| Some(EventTime(LATEST_MS)));
        rebuilds::stage_ended(&self.history, &self.pending)?;
        Ok(self.history)
    }

    fn close_due(&mut self, reached: impl Fn(SiteKey) -> Option<EventTime>) {
        let sites: Vec<SiteKey> = self.derivation.sites().collect();
        for site in sites {
            if let Some(reached) = reached(site) {
                self.derivation.run_clock_to(site, reached, &mut self.changes);
            }
        }
        keep_ended(&mut self.changes, &mut self.pending);
    }

    fn open_stays(&self) -> impl Iterator<Item = &Stay> {
        self.derivation.stays().filter(|stay| stay.closed.is_none())
    }

    /// What is committed goes into the live engine, under the keys it has in the file.
    fn adopt(&self, prepared: Prepared, first: VisitKey, lent: &mut Lent<'_>) {
        let Prepared { gone, come, opened_net, .. } = prepared;
        lent.engine.remove_stays(|visit| gone.binary_search(&visit.key).is_ok());
        let places: FxHashMap<VisitKey, i64> = come.into_iter().collect();
        for stay in self.derivation.stays() {
            if let Some(place) = places.get(&stay.visit.key) {
                let visit = Visit { key: VisitKey(first.0 + place), ..stay.visit };
                lent.engine.restore_stay(Stay { visit, ..*stay });
            }
        }
        lent.engine.recount();
        *lent.open_visits += opened_net;
    }
}

/// Puts aside what ended; what opened is known to the derivation until it ends.
fn keep_ended(changes: &mut Vec<VisitChange>, pending: &mut Vec<row::Visit>) {
    for change in changes.drain(..) {
        if let VisitChange::Closed(visit, exit) = change {
            pending.push(row::Visit::ended(&visit, &exit));
        }
    }
}
