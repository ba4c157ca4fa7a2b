//! Tells endpoints of alerts: out of the outbox, in order, until they have taken it.
//!
//! Each endpoint has a task of its own, so that one that is slow or dead delays nobody. It takes the oldest message of
//! its endpoint, tries it, and has the pipeline note what came of it; only then does it go on. What was under way when
//! the process ended is tried again with the same id: endpoints are told at least once.

mod address;
mod format;
mod sender;
pub mod signature;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

pub use address::{AllowedNetworks, read_network};
pub use format::Format;
use sender::{Outgoing, Sender};

use crate::clock::Clock;
use crate::model::ids::{CallbackKey, MessageKey};
use crate::model::time::{ReceivedAt, rfc3339};
use crate::pipeline::{Change, ChangeError, Handle};
use crate::store::outbox::{self, AlertEvent, CallbackRecord, CallbackRow, Message, Verdict};
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;

/// How callbacks are delivered.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Else everything waits in the outbox.
    pub is_delivering: bool,
    pub allowed_networks: AllowedNetworks,
    pub timeout: Duration,
    pub retry_first: Duration,
    pub retry_max: Duration,
    pub give_up: Duration,
}

/// Failures in a row after which an endpoint is taken to be down: from then on only the oldest message is tried, at
/// longer and longer intervals.
const DOWN_FAILURES: u32 = 5;

/// How long to wait when the store does not answer, before asking again.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// How long an attempt under way is waited for at the end.
const STOP_WAIT: Duration = Duration::from_secs(2);

/// Whether endpoints can be reached, as operators speak of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circuit {
    /// Messages go out.
    Closed,
    /// It is down: nothing is sent before the next attempt is due.
    Open,
    /// It was down, and one message is being tried.
    HalfOpen,
}

impl Circuit {
    pub fn of(row: &CallbackRow, now: ReceivedAt) -> Circuit {
        match row.retry_ms {
            _ if row.failures < DOWN_FAILURES => Circuit::Closed,
            Some(retry_ms) if now.0 < retry_ms => Circuit::Open,
            _ => Circuit::HalfOpen,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Circuit::Closed => "closed",
            Circuit::Open => "open",
            Circuit::HalfOpen => "half_open",
        }
    }
}

/// The deliverers. Cheap to clone.
#[derive(Clone)]
pub struct Callbacks {
    inner: Arc<Inner>,
    stop: Arc<watch::Sender<bool>>,
}

struct Inner {
    store: Store,
    pipeline: Handle,
    sender: Sender,
    policy: Policy,
    clock: Clock,
    metrics: Metrics,
}

impl Callbacks {
    /// Starts delivering on the current runtime. The task ends after [`Callbacks::stop`].
    pub fn start(
        store: Store,
        pipeline: Handle,
        policy: Policy,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<(Callbacks, tokio::task::JoinHandle<()>), reqwest::Error> {
        let sender = Sender::new(&policy, clock.clone())?;
        let inner = Arc::new(Inner { store, pipeline, sender, policy, clock, metrics });
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(supervise(inner.clone(), stopped));
        Ok((Callbacks { inner, stop: Arc::new(stop) }, task))
    }

    /// Lets nothing new go out.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub fn policy(&self) -> &Policy {
        &self.inner.policy
    }

    /// Sends a test past the outbox, and notes what came of it; gives the delivery that it stands as.
    pub async fn test(&self, row: &CallbackRow) -> Result<MessageKey, ChangeError> {
        let inner = &self.inner;
        let format = Format::from_name(&row.record.format).unwrap_or(Format::Footfall);
        let body = format.test_body(&row.record.name, &rfc3339(inner.clock.now().0));
        let webhook_id = outbox::webhook_id();
        let outgoing = Outgoing { webhook_id: webhook_id.clone(), body: body.to_string().into_bytes() };
        let attempt = inner.sender.send(&row.record, outgoing).await.attempt;
        inner.count(row, attempt.problem.is_none());
        let change = Change::Tested { callback: row.key, webhook_id, event_json: body.to_string(), attempt };
        let outcomes = inner.pipeline.change_all(vec![change], false).await?;
        let key = outcomes.first().and_then(|outcome| outcome.id.parse().ok());
        key.map(MessageKey).ok_or(ChangeError::Stopped)
    }
}

/// Gives every endpoint its task.
async fn supervise(inner: Arc<Inner>, mut stopped: watch::Receiver<bool>) {
    let mut turn = inner.pipeline.outbox();
    let mut tasks = JoinSet::new();
    let mut served = HashSet::new();
    while inner.policy.is_delivering && !*stopped.borrow() {
        turn.mark_unchanged();
        match inner.ask(|conn| outbox::callbacks(conn, None)).await {
            Ok(rows) => {
                for row in rows {
                    if served.insert(row.key) {
                        tasks.spawn(deliver(inner.clone(), row.key, stopped.clone()));
                    }
                }
            }
            Err(Trouble) => {
                tokio::time::sleep(STORE_PAUSE).await;
                continue;
            }
        }
        tokio::select! {
            _ = turn.changed() => {}
            _ = stopped.changed() => {}
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Delivers what one endpoint is to be told, until it is deleted or everything stops.
async fn deliver(inner: Arc<Inner>, key: CallbackKey, mut stopped: watch::Receiver<bool>) {
    let mut turn = inner.pipeline.outbox();
    while !*stopped.borrow() {
        turn.mark_unchanged();
        let wait = match inner.ask(move |conn| outbox::head(conn, key)).await {
            Ok(None) => return,
            Ok(Some((row, Some(message)))) if row.record.is_enabled => match row.retry_ms {
                Some(retry_ms) if inner.clock.now().0 < retry_ms => Wait::Until(ReceivedAt(retry_ms)),
                _ => {
                    let mut stopped = stopped.clone();
                    let given_up = async move {
                        let _ = stopped.changed().await;
                        tokio::time::sleep(STOP_WAIT).await;
                    };
                    tokio::select! {
                        tried = inner.attempt(row, message) => match tried {
                            Ok(()) => continue,
                            Err(Trouble) => Wait::Pause,
                        },
                        () = given_up => return,
                    }
                }
            },
            Ok(Some(_)) => Wait::News,
            Err(Trouble) => Wait::Pause,
        };
        tokio::select! {
            () = inner.wait(wait, &mut turn) => {}
            _ = stopped.changed() => {}
        }
    }
}

/// What a deliverer waits for.
enum Wait {
    /// Something new, or other settings.
    News,
    /// A time, or other settings.
    Until(ReceivedAt),
    /// The store.
    Pause,
}

/// The store or the pipeline did not do what was asked; it is in the log.
struct Trouble;

/// A clock that is moved, by hand or by its keeper, is noticed within this.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(1);

impl Inner {
    async fn wait(&self, wait: Wait, turn: &mut watch::Receiver<u64>) {
        match wait {
            Wait::News => _ = turn.changed().await,
            Wait::Pause => tokio::time::sleep(STORE_PAUSE).await,
            Wait::Until(at) => {
                while let Ok(left_ms @ 1..) = u64::try_from(at.0 - self.clock.now().0) {
                    tokio::select! {
                        _ = turn.changed() => return,
                        () = tokio::time::sleep(LOOK_AT_CLOCK.min(Duration::from_millis(left_ms))) => {}
                    }
                }
            }
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&crate::store::ReadConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Trouble> {
        let store = self.store.clone();
        let asked: Result<_, JoinError> = tokio::task::spawn_blocking(move || store.read(question)).await;
        match asked {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the outbox cannot be read; asked again");
                Err(Trouble)
            }
            Err(_) => Err(Trouble),
        }
    }

    /// Tries a message once, and notes what came of it.
    async fn attempt(&self, row: CallbackRow, message: Message) -> Result<(), Trouble> {
        let body = body(&row.record, &message);
        let outgoing = Outgoing { webhook_id: message.webhook_id, body };
        let outcome = self.sender.send(&row.record, outgoing).await;
        let verdict = self.policy.verdict(&outcome, message.attempts, row.failures, rand::random());
        let attempt = outcome.attempt;
        self.count(&row, verdict == Verdict::Delivered);
        if let Some(problem) = &attempt.problem {
            tracing::warn!(callback = row.key.0, name = row.record.name, problem, "a callback did not arrive");
        }
        let change = Change::Attempted { callback: row.key, message: message.key, attempt, verdict };
        self.pipeline.change(change).await.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a callback's attempt could not be noted");
            Trouble
        })
    }

    fn count(&self, row: &CallbackRow, is_delivered: bool) {
        let outcome = if is_delivered { "delivered" } else { "failed" };
        self.metrics.callback_attempts.with_label_values(&[&row.key.0.to_string(), &row.record.name, outcome]).inc();
    }
}

/// A message in its endpoint's format.
fn body(endpoint: &CallbackRecord, message: &Message) -> Vec<u8> {
    let event = serde_json::from_str::<AlertEvent>(&message.event_json);
    match (Format::from_name(&endpoint.format), event) {
        (Some(format), Ok(event)) if format != Format::Footfall => format.body(&event).to_string().into_bytes(),
        // Ours is sent as it was written, to the byte.
        _ => message.event_json.clone().into_bytes(),
    }
}
