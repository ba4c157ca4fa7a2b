//! Questions in SQL are given up: when their time is over, when the server is to stop, when nobody waits for the answer any
//! more. What they hold is free then, also where they only wait for a reader who takes nothing.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::store::sql::Interrupt;

/// Why a question was given up, though somebody waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    Late,
    Stopping,
}

/// What a question may take to hear that it is given up. Then it is answered for: some functions of single values hear
/// nothing.
const HEARING: Duration = Duration::from_secs(2);

/// Gives a question up when its time is over, and when this is dropped. After an answer there is nothing left to give up.
pub struct GiveUp {
    interrupt: Arc<Interrupt>,
    timer: AbortHandle,
    over: watch::Receiver<Option<Over>>,
}

impl GiveUp {
    /// Also gives it up once `stop` is done.
    pub fn after(time: Duration, stop: impl Future<Output = ()> + Send + 'static, asked: &Arc<Interrupt>) -> GiveUp {
        let (say, over) = watch::channel(None);
        let interrupt = asked.clone();
        let timer = tokio::spawn(async move {
            let why = tokio::select! {
                () = tokio::time::sleep(time) => Over::Late,
                () = stop => Over::Stopping,
            };
            say.send_replace(Some(why));
            interrupt.interrupt();
        });
        GiveUp { interrupt: asked.clone(), timer: timer.abort_handle(), over }
    }

    /// Tells why it was given up, now or later.
    pub fn over(&self) -> impl Fn() -> Option<Over> + Clone + Send + 'static {
        let over = self.over.clone();
        move || *over.borrow()
    }

    /// What comes of it, unless it does not even hear that it is given up.
    pub async fn heard<T>(&self, coming: impl Future<Output = T>) -> Option<T> {
        let mut over = self.over.clone();
        let deaf = async {
            if over.wait_for(Option::is_some).await.is_err() {
                // Nobody gives it up any more.
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(HEARING).await;
        };
        tokio::select! {
            biased;
            come = coming => Some(come),
            () = deaf => {
                tracing::warn!("a statement does not hear that it is given up, and runs on");
                None
            }
        }
    }

    /// A line from the thread that asks to whoever reads the answer, with room for so many parts.
    pub fn line<T>(&self, room: usize) -> (Line<T>, mpsc::Receiver<T>) {
        let (parts, reader) = mpsc::channel(room);
        (Line { parts, over: self.over.clone() }, reader)
    }
}

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.timer.abort();
        self.interrupt.interrupt();
    }
}

/// The end at which parts of an answer are put in.
pub struct Line<T> {
    parts: mpsc::Sender<T>,
    over: watch::Receiver<Option<Over>>,
}

impl<T> Line<T> {
    /// Waits for room; false: nobody reads any more, or the question is given up. For threads that may block.
    pub fn send(&mut self, part: T) -> bool {
        Handle::current().block_on(async {
            tokio::select! {
                biased;
                _ = self.over.wait_for(Option::is_some) => false,
                sent = self.parts.send(part) => sent.is_ok(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_hears_nothing_is_not_waited_for() {
        let time = Duration::from_millis(10);
        let give_up = GiveUp::after(time, std::future::pending(), &Arc::default());
        assert_eq!(give_up.heard(async { 1 }).await, Some(1));
        let since = tokio::time::Instant::now();
        assert_eq!(give_up.heard(std::future::pending::<()>()).await, None);
        assert!(since.elapsed() >= HEARING, "{:?}", since.elapsed());
        assert_eq!(give_up.over()(), Some(Over::Late));
    }
}
