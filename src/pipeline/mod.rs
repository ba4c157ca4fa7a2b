//! The one thread that owns the engine: take what waits, apply, have it committed, then answer.
//!
//! What is taken forms a drain, which goes to the writer as soon as it has time (`committer.rs`): the more comes meanwhile,
//! the more is one transaction. A delivery is acknowledged only after the commit that holds it. When a commit fails, nothing
//! of it is kept nor of what was taken since: these deliveries are refused, and engine and dictionaries are read back from
//! the file.

mod alarms;
mod change;
mod committer;
mod concerned;
mod directory;
mod handle;
mod intake;
mod ledger;
mod places;
mod reload;
mod veil;

#[cfg(test)]
mod concerned_properties;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

pub use alarms::{ScheduleTimes, alerting_of, windows};
pub use change::{AreaSettings, Change, ChangeError, Extent, Outcome};
pub use handle::{Handle, Lent, Refused};
pub use intake::Receipt;
pub use places::{Defaults, Places};

use crate::clock::{self, Clock};
use crate::model::ids::{DeliveryKey, SiteKey};
use crate::model::visit::VisitChange;
use crate::privacy::KeyFile;
use crate::store::outbox::AlertEvent;
use crate::store::restore::Whose;
use crate::store::writer::{Drain, Writer, append};
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;
use committer::{Answer, Batch, Committer, Done, Task};
use handle::{Exclusive, Job, Live, Waiting};
use intake::Intake;
use ledger::Ledger;
use reload::{Known, Loaded};
use veil::Veils;

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Deliveries that may wait until their commit begins.
    pub queue_deliveries: usize,
    /// Body bytes that may wait for their commit.
    pub queue_bytes: usize,
    /// Events after which a drain takes no further delivery.
    pub drain_events: usize,
    /// Bytes of the file's disk that deliveries leave free.
    pub free_bytes_min: u64,
    /// How long a callback is tried, milliseconds.
    pub give_up_ms: i64,
}

/// Loads the state of the file and starts the thread. Ticks come every second from a task of the current runtime.
pub fn start(
    store: Store,
    defaults: Defaults,
    limits: Limits,
    keys: KeyFile,
    clock: Clock,
    metrics: Metrics,
) -> Result<(Handle, JoinHandle<()>), StoreError> {
    let stopwatch = clock::stopwatch();
    let loaded = reload::load(&store, &defaults)?;
    store.settle()?;
    tracing::info!(duration_ms = stopwatch.elapsed().as_millis() as u64, "state restored");
    let mut writer = Writer::new(&store)?;
    writer.in_transaction(|conn| append(conn, &[defaults.run_row(clock.now())]))?;
    let (handle, waiting, live) = Handle::new(&limits, metrics.clone());
    let pipeline = Pipeline {
        committer: Committer::start(writer),
        store,
        defaults,
        limits,
        keys,
        clock,
        metrics,
        live,
        loaded,
        forming: Forming::default(),
        changes: Vec::new(),
        last_tick_ms: i64::MIN,
    };
    let thread = std::thread::Builder::new()
        .name("pipeline".into())
        .spawn(move || run_or_exit(pipeline, waiting))
        .expect("the system can start a thread");
    tokio::spawn(tick_every_second(handle.downgrade()));
    Ok((handle, thread))
}

async fn tick_every_second(jobs: mpsc::WeakSender<Job>) {
    let mut interval = tokio::time::interval(Duration::from_secs(1));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let Some(jobs) = jobs.upgrade() else { return };
        // A full queue needs no tick: its deliveries move the clocks.
        let _ = jobs.try_send(Job::Tick { done: None });
    }
}

/// A panic here is a bug, and leaves a state that is not the file's: the process ends, and a new start goes on from
/// what was committed.
fn run_or_exit(pipeline: Pipeline, queue: mpsc::Receiver<Job>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime of one thread needs nothing");
    let running = std::panic::AssertUnwindSafe(|| runtime.block_on(pipeline.run(queue)));
    if std::panic::catch_unwind(running).is_err() {
        tracing::error!("the pipeline panicked; stopping: start again to go on from what was committed");
        std::process::exit(EXIT_SOFTWARE);
    }
}

/// The exit status of sysexits.h for an internal software error.
const EXIT_SOFTWARE: i32 = 70;

struct Pipeline {
    store: Store,
    committer: Committer,
    defaults: Defaults,
    limits: Limits,
    keys: KeyFile,
    clock: Clock,
    metrics: Metrics,
    live: Arc<Live>,
    loaded: Loaded,
    forming: Forming,
    /// Reused between events.
    changes: Vec<VisitChange>,
    last_tick_ms: i64,
}

/// What was taken since the last drain was handed over.
#[derive(Default)]
struct Forming {
    drain: Drain,
    ledger: Ledger,
    answers: Vec<Answer>,
    /// Events of its deliveries.
    events: usize,
}

impl Forming {
    /// Whether no delivery was taken.
    fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }
}

/// The file's log is emptied when it is longer than this, sooner than DuckDB would do it in the midst of a commit. Short, so
/// that deliveries do not wait long for it; shorter ones cost more, since each time the last row groups are written anew.
const LOG_BYTES: u64 = 6 << 20;

/// What comes later than this, changes days that are kept in memory.
const LATE_MS: i64 = 3_600_000;

/// A second, in which the site clocks need not be looked at again.
const TICK_MS: i64 = 1000;

impl Pipeline {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        self.publish(self.clocks());
        self.live.is_ready.store(true, Ordering::Release);
        loop {
            let is_full = self.forming.events >= self.limits.drain_events;
            let job = if self.committer.is_idle() && !self.forming.is_empty() {
                let waiting = if is_full { None } else { queue.try_recv().ok() };
                let Some(job) = waiting else {
                    self.hand_over();
                    continue;
                };
                job
            } else {
                let is_busy = !self.committer.is_idle();
                tokio::select! {
                    biased;
                    done = self.committer.done(), if is_busy => {
                        self.settle(done);
                        continue;
                    }
                    job = queue.recv(), if !is_full => match job {
                        Some(job) => job,
                        None => break,
                    },
                }
            };
            match job {
                Job::Deliver(waiting) => {
                    self.take(*waiting);
                    if self.clock.now().0.saturating_sub(self.last_tick_ms) >= TICK_MS {
                        self.tick().await;
                    }
                }
                Job::Change { changes, is_rehearsal, done } => {
                    self.commit_all().await;
                    let _ = done.send(self.change(changes, is_rehearsal));
                }
                Job::Exclusive(work) => {
                    self.commit_all().await;
                    self.exclusively(work);
                }
                Job::Tick { done } => {
                    self.tick().await;
                    if let Some(done) = done {
                        self.commit_all().await;
                        let _ = done.send(());
                    }
                }
            }
        }
        self.commit_all().await;
        tracing::info!("pipeline stopped");
    }

    /// Takes a delivery through the engine, into the drain that forms.
    fn take(&mut self, waiting: Waiting) {
        let Waiting { mut delivery, room, done } = waiting;
        if self.forming.is_empty() && !self.has_room() {
            drop(room);
            // Whoever asked may be gone.
            let _ = done.send(Err(Refused::DiskFull));
            return;
        }
        let topic = delivery.topic.clone();
        self.forming.events += delivery.events.len();
        let receipt = self.fill(|intake, next_delivery, veils, keys| {
            veils.cover(intake.directory, keys, &mut delivery);
            let key = DeliveryKey(*next_delivery);
            *next_delivery += 1;
            intake.take(key, delivery)
        });
        self.forming.answers.push(Answer { topic, receipt, room, done });
    }

    /// Lends all that is in memory to `work`, which may add to the drain that forms.
    fn fill<T>(&mut self, work: impl FnOnce(&mut Intake<'_>, &mut i64, &Veils, &KeyFile) -> T) -> T {
        let Loaded { known: Known { engine, directory, unbound, veils }, next, .. } = &mut self.loaded;
        let Forming { drain, ledger, .. } = &mut self.forming;
        let changes = &mut self.changes;
        let mut intake = Intake { engine, directory, drain, ledger, next_scan: &mut next.scan, changes, unbound };
        work(&mut intake, &mut next.delivery, veils, &self.keys)
    }

    /// Completes the drain that formed and gives it to the writer, which must be idle. Where there is nothing to commit only
    /// the clocks are told.
    fn hand_over(&mut self) {
        let Forming { mut drain, ledger, mut answers, events } = std::mem::take(&mut self.forming);
        answers.iter_mut().for_each(|answer| answer.room.place = None);
        let Loaded { known: Known { engine, .. }, alarms, .. } = &mut self.loaded;
        let opened = ledger.opened_net();
        ledger.settle(&mut drain);
        alarms.settle(engine.take_alarm_changes(), &mut drain);
        drain.notices.now = self.clock.now();
        drain.notices.give_up_ms = self.limits.give_up_ms;
        let clocks = self.clocks();
        if drain.is_empty() {
            // A delivery is something to commit, whatever it holds.
            debug_assert!(answers.is_empty());
            return self.publish(clocks);
        }
        self.committer.begin(Task::Commit(Box::new(Batch { drain, answers, events, opened, clocks })));
    }

    /// Has all committed that was taken, and the writer back.
    async fn commit_all(&mut self) {
        loop {
            if !self.committer.is_idle() {
                let done = self.committer.done().await;
                self.settle(done);
            } else if !self.forming.is_empty() {
                self.hand_over();
            } else {
                return;
            }
        }
    }

    /// Says what came of the writer's work, and has the file's log emptied when it has grown long: after the answers, so that
    /// nobody who is in the drain waits for it.
    fn settle(&mut self, done: Done) {
        match done {
            Done::Committed { batch, committed, took } => {
                let is_stored = self.committed(batch, committed, took);
                if is_stored && self.store.file_bytes().1 >= LOG_BYTES {
                    self.committer.begin(Task::Checkpoint);
                }
            }
            Done::Checkpointed(Err(error)) => {
                // The log stays as it is; if the file is no longer any good the next commit says so.
                tracing::warn!(error = &error as &dyn std::error::Error, "checkpoint failed");
            }
            Done::Checkpointed(Ok(())) => {}
        }
    }

    /// Answers the deliveries of a drain. When it could not be committed, what was taken since is refused with it: it came
    /// about in an engine that knew what is not stored.
    fn committed(&mut self, batch: Box<Batch>, committed: Result<Vec<AlertEvent>, StoreError>, took: Duration) -> bool {
        let Batch { drain, answers, events, opened, clocks } = *batch;
        if !answers.is_empty() {
            self.metrics.commit_seconds.observe(took.as_secs_f64());
            self.metrics.commit_events.observe(events as f64);
        }
        match committed {
            Ok(alert_events) => {
                self.loaded.open_visits += opened;
                self.publish(clocks);
                self.live.commits.send_modify(|turn| *turn += 1);
                self.tell(alert_events);
                self.observe(&drain);
                for answer in answers {
                    self.count(&answer.topic, &answer.receipt);
                    answer.give(true);
                }
                true
            }
            Err(error) => {
                self.metrics.commit_failures.inc();
                tracing::error!(error = &error as &dyn std::error::Error, "commit failed; its deliveries are refused");
                let since = std::mem::take(&mut self.forming);
                self.reload();
                answers.into_iter().chain(since.answers).for_each(|answer| answer.give(false));
                false
            }
        }
    }

    fn exclusively(&mut self, work: Exclusive) {
        let Loaded { known: Known { engine, .. }, open_visits, .. } = &mut self.loaded;
        let now = self.clock.now();
        let (writer, past, fixes) = (self.committer.writer(), self.store.past(), self.store.fixes());
        let mut lent = Lent { writer, past, fixes, engine, open_visits, now, is_stale: false };
        work(&mut lent);
        if lent.is_stale {
            self.reload();
        }
        self.publish(self.clocks());
    }

    /// Whether the disk has room for more. A checkpoint that finds none leaves the database unusable until it is opened
    /// again, so it must not come to that.
    fn has_room(&self) -> bool {
        let has_room = self.store.free_bytes().is_none_or(|free| free >= self.limits.free_bytes_min);
        if self.live.has_room.swap(has_room, Ordering::AcqRel) != has_room {
            let free_bytes_min = self.limits.free_bytes_min;
            match has_room {
                true => tracing::info!("the disk has room again: deliveries are taken"),
                false => tracing::error!(
                    free_bytes_min,
                    "the disk is nearly full: deliveries are refused until there is room"
                ),
            }
        }
        has_room
    }

    /// Runs the site clocks on to the present, and hands over what that closed.
    async fn tick(&mut self) {
        // Silences are read as they are stored.
        self.commit_all().await;
        // Nothing is delivered that would notice while the disk is full.
        self.has_room();
        let now = self.clock.now();
        self.last_tick_ms = now.0;
        let Defaults { rules, .. } = self.defaults;
        let timeout_ms = rules.reported_timeout_ms.max(rules.presence_timeout_ms);
        self.store.past().settle(now.0.saturating_sub(timeout_ms).saturating_sub(LATE_MS));
        match self.committer.writer().read(|conn| self.loaded.alarms.unsilence(conn, now)) {
            Ok(notices) => self.forming.drain.notices.list = notices,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "silences cannot be read; asked again");
                self.loaded.alarms.look_again();
            }
        }
        self.fill(|intake, _, _, _| {
            intake.engine.tick(now, intake.changes);
            intake.note_changes();
        });
        self.hand_over();
    }

    /// Reads engine and dictionaries back. When even that fails the process must not go on: it would answer from a
    /// state that is not the file's.
    fn reload(&mut self) {
        self.live.is_ready.store(false, Ordering::Release);
        let loaded = reload::load(&self.store, &self.defaults).and_then(|loaded| {
            self.committer.replace(Writer::new(&self.store)?);
            Ok(loaded)
        });
        match loaded {
            Ok(loaded) => {
                self.loaded = loaded;
                self.changes.clear();
                self.publish(self.clocks());
                self.live.is_ready.store(true, Ordering::Release);
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the file cannot be read after a failed commit; stopping: start again once the cause is mended"
                );
                std::process::exit(EXIT_SOFTWARE);
            }
        }
    }

    /// Wakes those who tell callbacks, and tells the live stream.
    fn tell(&self, events: Vec<AlertEvent>) {
        if !events.is_empty() {
            self.live.outbox.send_modify(|turn| *turn += 1);
        }
        for event in events {
            // Nobody may be listening.
            let _ = self.live.alerts.send(Arc::new(event));
        }
    }

    fn change(&mut self, changes: Vec<Change>, is_rehearsal: bool) -> Result<Vec<Outcome>, ChangeError> {
        if changes.iter().any(Change::needs_key) && !is_rehearsal {
            self.keys.make()?;
        }
        let concerns_outbox = changes.iter().any(Change::concerns_outbox);
        let (writer, directory) = (self.committer.writer(), &mut self.loaded.known.directory);
        let (outcomes, whose) = change::apply(changes, is_rehearsal, writer, directory, self.clock.now())?;
        if !is_rehearsal {
            self.loaded.alarms.look_again();
            if let Some(whose) = whose {
                self.take_in(&whose);
            }
            if concerns_outbox {
                self.live.outbox.send_modify(|turn| *turn += 1);
            }
        }
        Ok(outcomes)
    }

    /// Gives the engine places and rules as they are stored now.
    fn take_in(&mut self, whose: &Whose) {
        let known = &mut self.loaded.known;
        if self.store.read(|conn| known.take_in(conn, whose, &self.defaults)).is_err() {
            // What was committed is taken in with all the rest.
            self.reload();
        }
    }

    /// How far behind what was stored is, and why some of it was set aside.
    fn observe(&self, drain: &Drain) {
        if let Some(newest) = drain.fixes.iter().map(|fix| fix.event_at.0).max() {
            let lag_ms = self.clock.now().0.saturating_sub(newest).max(0);
            self.metrics.ingest_lag_seconds.observe(lag_ms as f64 / 1000.0);
        }
        for event in &drain.quarantine {
            self.metrics.quarantined_events.with_label_values(&[fault_of(&event.reason)]).inc();
        }
    }

    fn count(&self, topic: &str, receipt: &Receipt) {
        let label = if crate::model::topic::KNOWN.contains(&topic) { topic } else { "other" };
        let count = |outcome, n: usize| {
            if n > 0 {
                self.metrics.events.with_label_values(&[label, outcome]).inc_by(n as u64);
            }
        };
        count("stored", receipt.events - receipt.duplicates);
        count("duplicate", receipt.duplicates);
        count("quarantined", receipt.quarantined);
        self.metrics.late_events.inc_by(receipt.late as u64);
        self.metrics.unmatched_exits.inc_by(receipt.unmatched_exits as u64);
    }

    /// The time each site has reached, Unix milliseconds.
    fn clocks(&self) -> Vec<(SiteKey, i64)> {
        self.loaded.known.engine.clocks().map(|(site, reached)| (site, reached.0)).collect()
    }

    fn publish(&self, clocks: Vec<(SiteKey, i64)>) {
        self.metrics.open_visits.set(self.loaded.open_visits);
        self.live.clocks.write().expect("no one panics with the clocks").extend(clocks);
    }
}

/// Members that events are set aside for, as labels: there are only so many.
const FAULTS: [&str; 9] = ["timestamp", "mac", "x", "y", "map_id", "site_id", "trigger", "zone_id", "type"];

/// The member that a reason names first.
fn fault_of(reason: &str) -> &'static str {
    let named = reason.split('`').nth(1).unwrap_or_default();
    FAULTS.into_iter().find(|fault| *fault == named).unwrap_or("other")
}
