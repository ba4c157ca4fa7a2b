//! The line to one reader of a live stream: events wait in it, up to a number; a reader that takes nothing for too long is
//! let go, and told so should it read on.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::response::sse::Event;
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;

/// Events that wait for a reader before it is taken to lag.
const WAITING: usize = 64;

/// When a reader that was let go should come back.
const COME_BACK: Duration = Duration::from_secs(2);

/// The end at which events are put in.
pub struct Line {
    events: mpsc::Sender<Event>,
    is_let_go: Arc<AtomicBool>,
}

/// The reader's end.
pub struct Reader {
    events: ReceiverStream<Event>,
    is_let_go: Arc<AtomicBool>,
}

/// Nobody reads any more.
#[derive(Debug)]
pub struct Gone;

pub fn line() -> (Line, Reader) {
    let (events, receiver) = mpsc::channel(WAITING);
    let is_let_go = Arc::new(AtomicBool::new(false));
    let reader = Reader { events: ReceiverStream::new(receiver), is_let_go: is_let_go.clone() };
    (Line { events, is_let_go }, reader)
}

impl Line {
    /// Puts an event in, waiting for room as long as `patience` lasts.
    pub async fn send(&self, event: Event, patience: Duration) -> Result<(), Gone> {
        self.events.send_timeout(event, patience).await.map_err(|error| {
            self.is_let_go.store(matches!(error, SendTimeoutError::Timeout(_)), Ordering::Relaxed);
            Gone
        })
    }

    /// Until the reader has gone.
    pub async fn closed(&self) {
        self.events.closed().await;
    }
}

impl Stream for Reader {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(Pin::new(&mut self.events).poll_next(context));
        let goodbye = || {
            let detail = "what waited was not read for too long: come back with the last event's id as Last-Event-ID";
            event("dropped", &json!({ "detail": detail })).retry(COME_BACK)
        };
        let is_let_go = next.is_none() && self.is_let_go.swap(false, Ordering::Relaxed);
        Poll::Ready(next.or_else(|| is_let_go.then(goodbye)).map(Ok))
    }
}

pub fn event(name: &str, data: &impl Serialize) -> Event {
    Event::default().event(name).data(serde_json::to_string(data).expect("plain data becomes JSON"))
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use axum::response::sse::Sse;

    use super::*;

    async fn text(reader: Reader) -> String {
        let body = Sse::new(reader).into_response().into_body();
        String::from_utf8(axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn who_takes_nothing_is_let_go_and_told_so() {
        let (line, reader) = line();
        let patience = Duration::from_millis(20);
        for number in 0..WAITING {
            line.send(event("positions", &number), patience).await.unwrap();
        }
        line.send(event("positions", &"too many"), patience).await.unwrap_err();
        drop(line);
        let text = text(reader).await;
        assert_eq!(text.matches("event: positions").count(), WAITING);
        let (_, last) = text.trim_end().rsplit_once("\n\n").unwrap();
        assert!(last.contains("event: dropped") && last.contains("Last-Event-ID") && last.contains("retry: 2000"));
    }

    #[tokio::test]
    async fn a_stream_that_ends_for_another_reason_just_ends() {
        let (line, reader) = line();
        line.send(event("alerts", &1), Duration::ZERO).await.unwrap();
        drop(line);
        assert_eq!(text(reader).await, "event: alerts\ndata: 1\n\n");
    }
}
