//! `GET /v1/stream`: what happens, as it happens, as server-sent events.
//!
//! A stream begins with the whole state, and so does a reader that comes back after a break or was too slow: nothing has
//! to be kept for anybody.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use serde::Serialize;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;

use super::error::ApiError;
use super::feed::{self, Changes};
use super::params::{Query, StreamParams, settled};
use super::{Api, Fallible};
use crate::problem::Problem;
use crate::store::alerts::{self, AlertFilter};
use crate::store::outbox::AlertEvent;
use crate::store::queries::{self, Scope};

/// Events that wait for a reader before it is taken to lag.
const WAITING: usize = 64;

/// How often a silent stream says that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A reader that takes nothing for so long is let go.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most firing alerts that a stream begins with.
const SNAPSHOT_ALERTS: i64 = 1000;

/// What a reader wants.
#[derive(Clone, Debug)]
struct Wish {
    site: Option<String>,
    map: Option<String>,
    occupancy: bool,
    positions: bool,
    alerts: bool,
}

impl Wish {
    fn of(params: StreamParams) -> Result<Wish, ApiError> {
        let topics = params.topics.as_deref().unwrap_or("occupancy,alerts");
        let mut wish = Wish {
            site: params.site.as_deref().map(settled),
            map: params.map.as_deref().map(settled),
            occupancy: false,
            positions: false,
            alerts: false,
        };
        for topic in topics.split(',') {
            match topic {
                "occupancy" => wish.occupancy = true,
                "positions" => wish.positions = true,
                "alerts" => wish.alerts = true,
                other => {
                    let detail = format!("`topics` has {other:?}; it may list occupancy, positions and alerts");
                    return Err(ApiError::BadRequest(detail));
                }
            }
        }
        Ok(wish)
    }

    fn is_of(&self, site: Option<&String>, map: Option<&String>) -> bool {
        self.site.as_ref().is_none_or(|wanted| Some(wanted) == site)
            && self.map.as_ref().is_none_or(|wanted| Some(wanted) == map)
    }

    fn wants_alert(&self, event: &AlertEvent) -> bool {
        self.alerts && self.is_of(Some(&event.data.site_id), event.data.map_id.as_ref())
    }
}

/// What happens, as it happens. It begins with the state: `occupancy` of every area, and `alerts` that fire. Then come
/// `occupancy` of areas where it has changed and `positions` of clients that have moved, each at most once a second, and
/// `alert.firing` and `alert.resolved`, as callbacks get them. A reader that was too slow gets the state again.
#[utoipa::path(get, path = "/v1/stream", tag = "metrics", params(StreamParams),
    responses((status = 200, content_type = "text/event-stream", body = AlertEvent), (status = 400, body = Problem)))]
pub async fn stream(
    State(api): State<Api>,
    Query(params): Query<StreamParams>,
) -> Fallible<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let wish = Wish::of(params)?;
    // Listened to before the state is read: nothing falls between them.
    let (alerts, changes) = (api.pipeline.alert_events(), api.feed.listen());
    let first = state(&api, &wish).await?;
    let (reader, receiver) = mpsc::channel(WAITING);
    tokio::spawn(forward(api, wish, first, alerts, changes, reader));
    Ok(Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// The whole state, as far as it is wished for.
async fn state(api: &Api, wish: &Wish) -> Fallible<Vec<Event>> {
    let wish = wish.clone();
    api.read(move |conn| {
        let mut events = Vec::new();
        if wish.occupancy {
            let scope = Scope { site: wish.site.clone(), map: wish.map.clone(), ..Scope::default() };
            let areas: Vec<_> = queries::occupancy(conn, &scope)?.into_iter().map(feed::occupancy).collect();
            events.push(event("occupancy", &json!({"is_whole": true, "areas": areas})));
        }
        if wish.alerts {
            let filter = AlertFilter {
                site: wish.site,
                map: wish.map,
                is_firing: Some(true),
                limit: SNAPSHOT_ALERTS,
                ..AlertFilter::default()
            };
            events.push(event("alerts", &json!({"alerts": alerts::list(conn, &filter)?})));
        }
        Ok(events)
    })
    .await
}

fn event(name: &str, data: &impl Serialize) -> Event {
    Event::default().event(name).data(serde_json::to_string(data).expect("plain data becomes JSON"))
}

/// What has changed, as far as it is wished for.
fn changed(wish: &Wish, changes: &Changes) -> Vec<Event> {
    let mut events = Vec::new();
    if wish.occupancy {
        let is_of = |area: &&feed::LiveOccupancy| wish.is_of(area.site_id.as_ref(), area.map_id.as_ref());
        let areas: Vec<_> = changes.occupancy.iter().filter(is_of).collect();
        if !areas.is_empty() {
            events.push(event("occupancy", &json!({"is_whole": false, "areas": areas})));
        }
    }
    if wish.positions {
        let is_of = |at: &&feed::LivePosition| wish.is_of(Some(&at.site_id), Some(&at.map_id));
        let positions: Vec<_> = changes.positions.iter().filter(is_of).collect();
        if !positions.is_empty() {
            events.push(event("positions", &json!({ "positions": positions })));
        }
    }
    events
}

/// Ends when the reader has gone, or takes nothing, or the server stops.
async fn forward(
    api: Api,
    wish: Wish,
    first: Vec<Event>,
    mut alerts: broadcast::Receiver<Arc<AlertEvent>>,
    mut changes: broadcast::Receiver<Arc<Changes>>,
    reader: mpsc::Sender<Result<Event, Infallible>>,
) {
    let mut next = first;
    let mut stopping = api.stopping.clone();
    loop {
        for event in next.drain(..) {
            tokio::select! {
                sent = reader.send_timeout(Ok(event), PATIENCE) => if sent.is_err() { return },
                _ = stopping.changed() => return,
            }
        }
        next = tokio::select! {
            received = alerts.recv() => match received {
                Ok(found) if wish.wants_alert(&found) => vec![event(&found.event_type, &*found)],
                Ok(_) => Vec::new(),
                Err(RecvError::Lagged(_)) => state(&api, &wish).await.unwrap_or_default(),
                Err(RecvError::Closed) => return,
            },
            received = changes.recv() => match received {
                Ok(found) => changed(&wish, &found),
                Err(RecvError::Lagged(_)) => state(&api, &wish).await.unwrap_or_default(),
                Err(RecvError::Closed) => return,
            },
            _ = stopping.changed() => return,
            () = reader.closed() => return,
        };
    }
}
