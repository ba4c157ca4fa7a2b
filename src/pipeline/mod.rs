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
mod intake;
mod ledger;
mod places;
mod reload;
mod veil;

#[cfg(test)]
mod concerned_properties;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc, oneshot, watch};

pub use alarms::{ScheduleTimes, alerting_of, windows};
pub use change::{AreaSettings, Change, ChangeError, Extent, Outcome};
pub use intake::Receipt;
pub use places::{Defaults, Places};

use crate::clock::{self, Clock};
use crate::engine::Engine;
use crate::model::event::Delivery;
use crate::model::ids::{DeliveryKey, SiteKey};
use crate::model::time::ReceivedAt;
use crate::model::visit::VisitChange;
use crate::privacy::KeyFile;
use crate::store::outbox::AlertEvent;
use crate::store::past::Past;
use crate::store::restore::Whose;
use crate::store::writer::{Drain, Writer, append};
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;
use committer::{Answer, Batch, Committer, Done, Task};
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

/// Why a delivery was not taken. Either way nothing of it is kept, and it may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the queue is full")]
    QueueFull,
    #[error("the disk that holds the file is nearly full (store.free_bytes_min)")]
    DiskFull,
    #[error("the store could not commit")]
    NotStored,
}

enum Job {
    Deliver(Box<Waiting>),
    Change { changes: Vec<Change>, is_rehearsal: bool, done: oneshot::Sender<Result<Vec<Outcome>, ChangeError>> },
    Tick { done: Option<oneshot::Sender<()>> },
    Exclusive(Exclusive),
}

/// Work that has the pipeline to itself.
type Exclusive = Box<dyn FnOnce(&mut Lent<'_>) + Send>;

/// What the pipeline lends between two commits: nothing is under way, and the file holds all that the engine knows.
pub struct Lent<'a> {
    pub writer: &'a mut Writer,
    pub past: &'a Past,
    pub engine: &'a mut Engine,
    /// Visits that stand open.
    pub open_visits: &'a mut i64,
    pub now: ReceivedAt,
    /// Set by work after which everything in memory has to be read back from the file.
    pub is_stale: bool,
}

/// A delivery in the queue, and who waits for its commit.
struct Waiting {
    delivery: Delivery,
    room: Room,
    done: oneshot::Sender<Result<Receipt, Refused>>,
}

/// A delivery's share of the queue, given back when it is dropped: with the answer, or unread when it was refused.
struct Room {
    bytes: i64,
    queue_deliveries: IntGauge,
    queue_bytes: IntGauge,
    _permit: OwnedSemaphorePermit,
    /// Until the writer has it.
    place: Option<OwnedSemaphorePermit>,
}

impl Room {
    fn take(bytes: usize, queue: &Queue, metrics: &Metrics) -> Result<Room, Refused> {
        let place = queue.places.clone().try_acquire_owned().map_err(|_| Refused::QueueFull)?;
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
        let permit = queue.bytes.clone().try_acquire_many_owned(bytes).map_err(|_| Refused::QueueFull)?;
        let (queue_deliveries, queue_bytes) = (metrics.queue_deliveries.clone(), metrics.queue_bytes.clone());
        let bytes = i64::from(bytes);
        queue_deliveries.inc();
        queue_bytes.add(bytes);
        Ok(Room { bytes, queue_deliveries, queue_bytes, _permit: permit, place: Some(place) })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.queue_deliveries.dec();
        self.queue_bytes.sub(self.bytes);
    }
}

/// What may wait: deliveries that the writer does not have yet, and bytes of all that are not answered.
#[derive(Clone)]
struct Queue {
    places: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

/// The way in, for whoever has deliveries or changes. Cheap to clone; the thread ends when the last one is gone.
#[derive(Clone)]
pub struct Handle {
    jobs: mpsc::Sender<Job>,
    queue: Queue,
    live: Arc<Live>,
    metrics: Metrics,
}

/// What the pipeline tells of itself between commits.
#[derive(Debug)]
struct Live {
    is_ready: AtomicBool,
    /// Whether the disk has room for more.
    has_room: AtomicBool,
    clocks: RwLock<BTreeMap<SiteKey, i64>>,
    /// Raised whenever there is something new in the outbox, or someone new to tell.
    outbox: watch::Sender<u64>,
    /// Raised with every commit of events, or of what the clock closed.
    commits: watch::Sender<u64>,
    alerts: broadcast::Sender<Arc<AlertEvent>>,
}

/// Alert events that a slow reader of the live stream may lag behind.
const STREAM_EVENTS: usize = 1024;

impl Handle {
    /// Hands a delivery on and waits for its commit. A full queue is refused at once.
    pub async fn deliver(&self, delivery: Delivery) -> Result<Receipt, Refused> {
        if !self.live.has_room.load(Ordering::Acquire) {
            return Err(Refused::DiskFull);
        }
        let room = Room::take(delivery.body_bytes, &self.queue, &self.metrics)?;
        let (done, answer) = oneshot::channel();
        match self.jobs.try_send(Job::Deliver(Box::new(Waiting { delivery, room, done }))) {
            Ok(()) => answer.await.unwrap_or(Err(Refused::NotStored)),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Refused::QueueFull),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Refused::NotStored),
        }
    }

    /// Makes a change of sites, maps or areas, and waits for its commit.
    pub async fn change(&self, change: Change) -> Result<(), ChangeError> {
        self.change_all(vec![change], false).await.map(|_| ())
    }

    /// Makes changes, all or none, and says what each did; a rehearsal only says what they would do.
    pub async fn change_all(&self, changes: Vec<Change>, is_rehearsal: bool) -> Result<Vec<Outcome>, ChangeError> {
        let (done, answer) = oneshot::channel();
        let job = Job::Change { changes, is_rehearsal, done };
        self.jobs.send(job).await.map_err(|_| ChangeError::Stopped)?;
        answer.await.unwrap_or(Err(ChangeError::Stopped))
    }

    /// Runs the site clocks on to the present and waits for the commit of what that closed.
    pub async fn tick(&self) {
        let (done, answer) = oneshot::channel();
        if self.jobs.send(Job::Tick { done: Some(done) }).await.is_ok() {
            let _ = answer.await;
        }
    }

    /// Does work between two commits, and waits for it. What is delivered meanwhile waits, too. `None`: the server is
    /// stopping.
    ///
    /// Work that changes the engine must have committed the same to the file.
    pub async fn exclusively<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Lent<'_>) -> T + Send + 'static,
    ) -> Option<T> {
        let (done, answer) = oneshot::channel();
        let work: Exclusive = Box::new(move |lent| {
            let _ = done.send(work(lent));
        });
        self.jobs.send(Job::Exclusive(work)).await.ok()?;
        answer.await.ok()
    }

    /// The time a site has reached, Unix milliseconds; `None` before its first event.
    pub fn site_clock_ms(&self, site: SiteKey) -> Option<i64> {
        self.live.clocks.read().expect("no one panics with the clocks").get(&site).copied()
    }

    /// Changes whenever there is something new in the outbox, or someone new to tell.
    pub fn outbox(&self) -> watch::Receiver<u64> {
        self.live.outbox.subscribe()
    }

    /// Changes with every commit of events, or of what the clock closed.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.live.commits.subscribe()
    }

    /// What happens to alerts from now on, once it is committed.
    pub fn alert_events(&self) -> broadcast::Receiver<Arc<AlertEvent>> {
        self.live.alerts.subscribe()
    }

    /// Whether deliveries are taken, or why not.
    pub fn readiness(&self) -> Result<(), Refused> {
        if !self.live.is_ready.load(Ordering::Acquire) || self.jobs.is_closed() {
            return Err(Refused::NotStored);
        }
        if !self.live.has_room.load(Ordering::Acquire) {
            return Err(Refused::DiskFull);
        }
        Ok(())
    }
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
    let (jobs, waiting) = mpsc::channel(limits.queue_deliveries);
    let live = Arc::new(Live {
        is_ready: AtomicBool::default(),
        has_room: AtomicBool::new(true),
        clocks: RwLock::default(),
        outbox: watch::channel(0).0,
        commits: watch::channel(0).0,
        alerts: broadcast::channel(STREAM_EVENTS).0,
    });
    let pipeline = Pipeline {
        committer: Committer::start(writer),
        store,
        defaults,
        limits,
        keys,
        clock,
        metrics: metrics.clone(),
        live: live.clone(),
        loaded,
        forming: Forming::default(),
        changes: Vec::new(),
        last_tick_ms: i64::MIN,
    };
    let permits = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
    let queue = Queue { places: permits(limits.queue_deliveries), bytes: permits(limits.queue_bytes) };
    let thread = std::thread::Builder::new()
        .name("pipeline".into())
        .spawn(move || run_or_exit(pipeline, waiting))
        .expect("the system can start a thread");
    tokio::spawn(tick_every_second(jobs.downgrade()));
    Ok((Handle { jobs, queue, live, metrics }, thread))
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
        let (writer, past) = (self.committer.writer(), self.store.past());
        let mut lent = Lent { writer, past, engine, open_visits, now, is_stale: false };
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
