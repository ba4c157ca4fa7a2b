//! `GET /v1/stream`: what happens, as it happens, as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use serde_json::json;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::params::{Query, StreamParams, settled};
use super::{Api, Fallible};
use crate::problem::Problem;
use crate::store::alerts::{self, AlertFilter};
use crate::store::outbox::AlertEvent;

/// Events that wait for a reader before it is taken to lag.
const WAITING: usize = 64;

/// How often a silent stream says that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The most firing alerts that a stream begins with.
const SNAPSHOT_ALERTS: i64 = 1000;

/// What happens from now on. It begins with `alerts`: all that fire now; then come `alert.firing` and `alert.resolved`,
/// as callbacks get them. A reader that was too slow gets `alerts` again.
#[utoipa::path(get, path = "/v1/stream", tag = "alerts", params(StreamParams),
    responses((status = 200, content_type = "text/event-stream", body = AlertEvent), (status = 400, body = Problem)))]
pub async fn stream(
    State(api): State<Api>,
    Query(params): Query<StreamParams>,
) -> Fallible<Sse<impl tokio_stream::Stream<Item = Result<Event, Infallible>>>> {
    let site = params.site.as_deref().map(settled);
    // Subscribed before the snapshot is taken: nothing falls between them.
    let events = api.pipeline.alert_events();
    let first = snapshot(&api, &site).await?;
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(forward(api, site, first, events, sender));
    Ok(Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

async fn snapshot(api: &Api, site: &Option<String>) -> Fallible<Event> {
    let filter =
        AlertFilter { site: site.clone(), is_firing: Some(true), limit: SNAPSHOT_ALERTS, ..AlertFilter::default() };
    let alerts = api.read(move |conn| alerts::list(conn, &filter)).await?;
    Ok(Event::default().event("alerts").data(json!({ "alerts": alerts }).to_string()))
}

/// Ends when the reader has gone or the server stops.
async fn forward(
    api: Api,
    site: Option<String>,
    first: Event,
    mut events: broadcast::Receiver<std::sync::Arc<AlertEvent>>,
    reader: mpsc::Sender<Result<Event, Infallible>>,
) {
    let mut next = Some(first);
    let mut stopping = api.stopping.clone();
    loop {
        if let Some(event) = next.take() {
            tokio::select! {
                sent = reader.send(Ok(event)) => if sent.is_err() { return },
                _ = stopping.changed() => return,
            }
        }
        let received = tokio::select! {
            received = events.recv() => received,
            _ = stopping.changed() => return,
            () = reader.closed() => return,
        };
        next = match received {
            Ok(event) if site.as_ref().is_none_or(|site| *site == event.data.site_id) => {
                let data = serde_json::to_string(&*event).expect("plain data becomes JSON");
                Some(Event::default().event(&event.event_type).data(data))
            }
            Ok(_) => None,
            Err(broadcast::error::RecvError::Lagged(_)) => snapshot(&api, &site).await.ok(),
            Err(broadcast::error::RecvError::Closed) => return,
        };
    }
}
