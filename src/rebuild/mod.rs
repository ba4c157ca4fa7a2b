//! Visits derived anew from the stored events: for zones that were drawn after the fact, and for events that came late.
//!
//! Rebuilds are done one after another by a thread of their own, while deliveries go on: `scope` says what one is about,
//! `deriving` does it. What was asked for stands in the file, so a restart goes on with it (from its beginning).
//! `what_if` asks the same of a zone that nobody has drawn; `recount` compares what is stored with what is derived.

mod deriving;
pub mod preview;
pub mod recount;
mod scope;
pub mod what_if;

use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

use deriving::{Deriving, Outcome, Progress};
use scope::Scope;

use crate::clock::Clock;
use crate::pipeline::{Defaults, Handle, Lent, Places};
use crate::store::rebuilds::{self, Request, State};
use crate::store::{ReadConnection, Store, StoreError};

/// Why a rebuild could not be taken on or given up.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    #[error("the server is stopping")]
    Stopping,
    #[error("the rebuild could not be stored")]
    Store(#[from] StoreError),
}

/// The rebuilds of a server. Cheap to clone.
#[derive(Clone)]
pub struct Rebuilds {
    shared: Arc<Shared>,
    pipeline: Handle,
}

#[derive(Default)]
struct Shared {
    line: Mutex<Line>,
    changed: Condvar,
}

/// What is to be done.
#[derive(Default)]
struct Line {
    waiting: VecDeque<Job>,
    current: Option<(i64, Arc<Progress>)>,
    is_stopping: bool,
}

#[derive(Clone, Copy)]
struct Job {
    key: i64,
    request: Request,
}

impl Shared {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().expect("no one panics with the line of rebuilds")
    }
}

impl Rebuilds {
    /// Starts the thread and goes on with what a former run left.
    pub fn start(
        store: Store,
        defaults: Defaults,
        pipeline: Handle,
        clock: Clock,
    ) -> Result<(Rebuilds, JoinHandle<()>), StoreError> {
        let left = store.read(rebuilds::unfinished)?;
        let waiting = left.iter().map(|record| Job { key: record.key, request: record.request }).collect();
        let shared = Arc::new(Shared { line: Mutex::new(Line { waiting, ..Line::default() }), ..Shared::default() });
        let worker = Worker {
            store,
            defaults,
            pipeline: pipeline.clone(),
            clock,
            shared: shared.clone(),
            runtime: tokio::runtime::Handle::current(),
        };
        let thread = std::thread::Builder::new()
            .name("rebuild".into())
            .spawn(move || worker.run())
            .expect("the system can start a thread");
        Ok((Rebuilds { shared, pipeline }, thread))
    }

    /// Stores a request; gives its number.
    pub async fn request(&self, request: Request) -> Result<i64, RebuildError> {
        let shared = self.shared.clone();
        let insert = move |lent: &mut Lent<'_>| {
            let now = lent.now;
            let key = lent.writer.in_transaction(|conn| rebuilds::insert(conn, &request, now))?;
            shared.line().waiting.push_back(Job { key, request });
            shared.changed.notify_all();
            Ok(key)
        };
        self.pipeline.exclusively(insert).await.ok_or(RebuildError::Stopping)?
    }

    /// Events read and to be read of the one that is being done.
    pub fn progress(&self, key: i64) -> Option<(u64, u64)> {
        let line = self.shared.line();
        let (_, progress) = line.current.as_ref().filter(|(current, _)| *current == key)?;
        Some((progress.events.load(Ordering::Relaxed), progress.total.load(Ordering::Relaxed)))
    }

    /// Gives one up, if it is not over; what it did so far is forgotten.
    pub async fn cancel(&self, key: i64) -> Result<(), RebuildError> {
        let was_waiting = {
            let mut line = self.shared.line();
            if let Some((_, progress)) = line.current.as_ref().filter(|(current, _)| *current == key) {
                progress.is_cancelled.store(true, Ordering::Relaxed);
            }
            let place = line.waiting.iter().position(|job| job.key == key);
            place.and_then(|place| line.waiting.remove(place)).is_some()
        };
        if was_waiting {
            return end(&self.pipeline, key, State::Cancelled, None).await;
        }
        Ok(())
    }

    /// Makes the thread end soon; what it was doing is begun again after the next start.
    pub fn stop(&self) {
        let mut line = self.shared.line();
        line.is_stopping = true;
        if let Some((_, progress)) = &line.current {
            progress.is_cancelled.store(true, Ordering::Relaxed);
        }
        self.shared.changed.notify_all();
    }
}

async fn end(pipeline: &Handle, key: i64, state: State, problem: Option<String>) -> Result<(), RebuildError> {
    let write = move |lent: &mut Lent<'_>| {
        let now = lent.now;
        lent.writer.in_transaction(|conn| rebuilds::set_ended(conn, key, state, problem.as_deref(), now))
    };
    Ok(pipeline.exclusively(write).await.ok_or(RebuildError::Stopping)??)
}

struct Worker {
    store: Store,
    defaults: Defaults,
    pipeline: Handle,
    clock: Clock,
    shared: Arc<Shared>,
    runtime: tokio::runtime::Handle,
}

impl Worker {
    fn run(self) {
        while let Some((job, progress)) = self.next() {
            let stopwatch = crate::clock::stopwatch();
            let done = catch_unwind(AssertUnwindSafe(|| self.do_job(job, &progress)));
            let is_stopping = {
                let mut line = self.shared.line();
                line.current = None;
                line.is_stopping
            };
            let ended = match done {
                Ok(Ok(Outcome::Cancelled)) if is_stopping => return,
                Ok(Ok(Outcome::Cancelled)) => Some((State::Cancelled, None)),
                Ok(Ok(_)) => {
                    let duration_ms = stopwatch.elapsed().as_millis() as u64;
                    let events = progress.events.load(Ordering::Relaxed);
                    tracing::info!(rebuild = job.key, events, duration_ms, "rebuild done");
                    None
                }
                Ok(Err(RebuildError::Stopping)) => return,
                Ok(Err(RebuildError::Store(error))) => {
                    tracing::error!(rebuild = job.key, error = &error as &dyn std::error::Error, "rebuild failed");
                    Some((State::Failed, Some(in_full(&error))))
                }
                Err(_) => Some((State::Failed, Some("an error of the program; the log says more".to_owned()))),
            };
            if let Some((state, problem)) = ended
                && let Err(error) = self.runtime.block_on(end(&self.pipeline, job.key, state, problem))
            {
                tracing::error!(rebuild = job.key, error = &error as &dyn std::error::Error, "rebuild not ended");
            }
        }
    }

    /// Waits for something to do; `None` when the server stops.
    fn next(&self) -> Option<(Job, Arc<Progress>)> {
        let mut line = self.shared.line();
        loop {
            if line.is_stopping {
                return None;
            }
            if let Some(job) = line.waiting.pop_front() {
                let progress = Arc::new(Progress::default());
                line.current = Some((job.key, progress.clone()));
                return Some((job, progress));
            }
            line = self.shared.changed.wait(line).expect("no one panics with the line of rebuilds");
        }
    }

    fn do_job(&self, job: Job, progress: &Progress) -> Result<Outcome, RebuildError> {
        let now = self.clock.now();
        let begin =
            move |lent: &mut Lent<'_>| lent.writer.in_transaction(|conn| rebuilds::set_running(conn, job.key, now));
        self.exclusively(begin)??;
        loop {
            let scope = self.store.read(|conn| Scope::read(conn, &job.request, &self.defaults))?;
            let mut deriving = Deriving::begin(&self.store, job.request, scope, &self.defaults)?;
            if deriving.run(progress)? == Outcome::Cancelled {
                return Ok(Outcome::Cancelled);
            }
            let outcome = self.exclusively(move |lent| deriving.exchange(job.key, lent))??;
            if outcome != Outcome::PlacesChanged {
                return Ok(outcome);
            }
            tracing::info!(rebuild = job.key, "places were changed meanwhile; rebuild begins again");
        }
    }

    fn exclusively<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Lent<'_>) -> T + Send + 'static,
    ) -> Result<T, RebuildError> {
        self.runtime.block_on(self.pipeline.exclusively(work)).ok_or(RebuildError::Stopping)
    }
}

/// An error with all that caused it.
fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// What a rebuild would cost.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    /// Fixes on the maps in question.
    pub fixes: i64,
    /// The oldest of them, Unix milliseconds.
    pub since_ms: Option<i64>,
    pub duration_s: f64,
}

/// Events a second, before a rebuild of this file has shown better.
const SPEED: f64 = 1_000_000.0;

/// Counts the fixes that a rebuild would be about. Costs a scan of one or two columns.
pub fn estimate(conn: &ReadConnection, request: &Request) -> Result<Estimate, StoreError> {
    let places = Places::read_of(conn, &request.target.whose())?.only(request.target);
    let maps: BTreeSet<_> = places.areas.iter().filter_map(|area| area.map).collect();
    let maps: Vec<_> = maps.into_iter().collect();
    let (fixes, since_ms) = rebuilds::fixes_on(conn, &maps, request)?;
    let speed = rebuilds::speed(conn)?.unwrap_or(SPEED);
    Ok(Estimate { fixes, since_ms, duration_s: fixes as f64 / speed })
}
