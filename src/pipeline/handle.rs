//! The way to the thread that owns the engine, for whoever has deliveries, changes or work between two commits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc, oneshot, watch};

use super::Limits;
use super::change::{Change, ChangeError, Outcome};
use super::intake::Receipt;
use crate::engine::Engine;
use crate::model::event::Delivery;
use crate::model::ids::SiteKey;
use crate::model::time::ReceivedAt;
use crate::store::outbox::AlertEvent;
use crate::store::past::Past;
use crate::store::recent_fixes::RecentFixes;
use crate::store::writer::Writer;
use crate::store::{ReadConnection, StoreError};
use crate::telemetry::Metrics;

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

pub(super) enum Job {
    Deliver(Box<Waiting>),
    Change { changes: Vec<Change>, is_rehearsal: bool, done: oneshot::Sender<Result<Vec<Outcome>, ChangeError>> },
    Tick { done: Option<oneshot::Sender<()>> },
    Exclusive(Exclusive),
}

/// Work that has the pipeline to itself.
pub(super) type Exclusive = Box<dyn FnOnce(&mut Lent<'_>) + Send>;

/// What the pipeline lends between two commits: nothing is under way, and the file holds all that the engine knows.
pub struct Lent<'a> {
    pub writer: &'a mut Writer,
    pub past: &'a Past,
    pub fixes: &'a RecentFixes,
    pub engine: &'a mut Engine,
    /// Visits that stand open.
    pub open_visits: &'a mut i64,
    pub now: ReceivedAt,
    /// Set by work after which everything in memory has to be read back from the file.
    pub is_stale: bool,
}

/// A delivery in the queue, and who waits for its commit.
pub(super) struct Waiting {
    pub(super) delivery: Delivery,
    pub(super) room: Room,
    pub(super) done: oneshot::Sender<Result<Receipt, Refused>>,
}

/// A delivery's share of the queue, given back when it is dropped: with the answer, or unread when it was refused.
pub(super) struct Room {
    bytes: i64,
    queue_deliveries: IntGauge,
    queue_bytes: IntGauge,
    _permit: OwnedSemaphorePermit,
    /// Until the writer has it.
    pub(super) place: Option<OwnedSemaphorePermit>,
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
pub(super) struct Live {
    pub(super) is_ready: AtomicBool,
    /// Whether the disk has room for more.
    pub(super) has_room: AtomicBool,
    pub(super) clocks: RwLock<BTreeMap<SiteKey, i64>>,
    /// Raised whenever there is something new in the outbox, or someone new to tell.
    pub(super) outbox: watch::Sender<u64>,
    /// Raised with every commit of events, or of what the clock closed.
    pub(super) commits: watch::Sender<u64>,
    pub(super) alerts: broadcast::Sender<Arc<AlertEvent>>,
}

/// Alert events that a slow reader of the live stream may lag behind.
const STREAM_EVENTS: usize = 1024;

impl Queue {
    fn new(limits: &Limits) -> Queue {
        let permits = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Queue { places: permits(limits.queue_deliveries), bytes: permits(limits.queue_bytes) }
    }
}

impl Live {
    fn new() -> Live {
        Live {
            is_ready: AtomicBool::default(),
            has_room: AtomicBool::new(true),
            clocks: RwLock::default(),
            outbox: watch::channel(0).0,
            commits: watch::channel(0).0,
            alerts: broadcast::channel(STREAM_EVENTS).0,
        }
    }
}

impl Handle {
    /// With the other end of the way: what comes in, and where is told how it goes.
    pub(super) fn new(limits: &Limits, metrics: Metrics) -> (Handle, mpsc::Receiver<Job>, Arc<Live>) {
        let (jobs, waiting) = mpsc::channel(limits.queue_deliveries);
        let live = Arc::new(Live::new());
        (Handle { jobs, queue: Queue::new(limits), live: live.clone(), metrics }, waiting, live)
    }

    /// For whoever must not keep the thread from ending.
    pub(super) fn downgrade(&self) -> mpsc::WeakSender<Job> {
        self.jobs.downgrade()
    }

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

    /// Does work in a transaction between two commits, and waits for it. Nothing is done by a server that is stopping.
    pub async fn in_transaction<T: Default + Send + 'static>(
        &self,
        work: impl FnOnce(&ReadConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.exclusively(move |lent| lent.writer.in_transaction(work)).await.unwrap_or(Ok(T::default()))
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
