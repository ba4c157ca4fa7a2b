//! The thread that writes, beside the one that owns the engine: while a drain is committed the next one forms.
//!
//! The writer goes to the thread with its work and comes back with what came of it. So there is one thing under way at most,
//! and whoever has the writer knows that there is nothing.

use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::handle::{Refused, Room};
use super::intake::Receipt;
use crate::clock;
use crate::model::ids::SiteKey;
use crate::store::StoreError;
use crate::store::outbox::AlertEvent;
use crate::store::writer::{Drain, Writer};

/// Work for the writer.
pub enum Task {
    Commit(Box<Batch>),
    Checkpoint,
}

/// What came of it.
pub enum Done {
    Committed { batch: Box<Batch>, committed: Result<Vec<AlertEvent>, StoreError>, took: Duration },
    Checkpointed(Result<(), StoreError>),
}

/// A drain, and what there is to say once it is committed.
pub struct Batch {
    pub drain: Drain,
    pub answers: Vec<Answer>,
    /// Events of its deliveries.
    pub events: usize,
    /// How many more visits stand open after it than before.
    pub opened: i64,
    /// The time each site has reached with it, Unix milliseconds.
    pub clocks: Vec<(SiteKey, i64)>,
}

/// Whoever waits for the commit of a delivery, and what it will be told.
pub struct Answer {
    pub topic: String,
    pub receipt: Receipt,
    pub room: Room,
    pub done: oneshot::Sender<Result<Receipt, Refused>>,
}

impl Answer {
    pub fn give(self, is_stored: bool) {
        let Answer { receipt, room, done, .. } = self;
        drop(room);
        // Whoever asked may be gone; the delivery is stored all the same.
        let _ = done.send(if is_stored { Ok(receipt) } else { Err(Refused::NotStored) });
    }
}

pub struct Committer {
    /// Here while nothing is under way.
    writer: Option<Writer>,
    tasks: std::sync::mpsc::Sender<(Writer, Task)>,
    done: mpsc::UnboundedReceiver<(Writer, Done)>,
}

impl Committer {
    /// Starts the thread, which ends when the committer is dropped.
    pub fn start(writer: Writer) -> Committer {
        let (tasks, waiting) = std::sync::mpsc::channel();
        let (ready, done) = mpsc::unbounded_channel();
        let work = move || {
            for (mut writer, task) in waiting {
                let came = run(&mut writer, task);
                if ready.send((writer, came)).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("writer".into()).spawn(work).expect("the system can start a thread");
        Committer { writer: Some(writer), tasks, done }
    }

    pub fn is_idle(&self) -> bool {
        self.writer.is_some()
    }

    /// The writer, which must be idle.
    pub fn writer(&mut self) -> &mut Writer {
        self.writer.as_mut().expect("the writer is idle")
    }

    /// Goes on with another writer; the one there was must be idle.
    pub fn replace(&mut self, writer: Writer) {
        *self.writer() = writer;
    }

    /// Gives the writer, which must be idle, something to do.
    pub fn begin(&mut self, task: Task) {
        let writer = self.writer.take().expect("the writer is idle");
        self.tasks.send((writer, task)).unwrap_or_else(|_| panic!("the writer's thread panicked"));
    }

    /// Waits for what is under way, and has the writer back. There must be something.
    pub async fn done(&mut self) -> Done {
        let (writer, done) = self.done.recv().await.expect("the writer's thread goes on");
        self.writer = Some(writer);
        done
    }
}

fn run(writer: &mut Writer, task: Task) -> Done {
    match task {
        Task::Commit(batch) => {
            let stopwatch = clock::stopwatch();
            let committed = writer.commit(&batch.drain);
            Done::Committed { batch, committed, took: stopwatch.elapsed() }
        }
        Task::Checkpoint => Done::Checkpointed(writer.checkpoint()),
    }
}
