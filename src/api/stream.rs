//! `GET /v1/stream`: what happens, as it happens, as server-sent events.
//!
//! A stream begins with the whole state. A reader that comes back after a break, with the id of the last event it has read,
//! or that was too slow, is told of the alerts it missed, and the rest as it stands now: nothing is kept for anybody.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use serde_json::json;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::bookmark::{Bookmark, UNTOLD};
use super::error::ApiError;
use super::feed::{self, AreaName, Changes, LiveOccupancy};
use super::line::{self, Line, Reader, event};
use super::params::{Query, StreamParams, settled};
use super::withheld::Withheld;
use super::{Api, Fallible};
use crate::model::ids::AlertKey;
use crate::problem::Problem;
use crate::store::alerts::{self, AlertFilter};
use crate::store::occupancy;
use crate::store::outbox::{self, AlertEvent};
use crate::store::queries::Scope;
use crate::store::{ReadConnection, StoreError};

/// How often a silent stream says that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A reader that takes nothing for so long is let go.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most firing alerts that a stream begins with.
const SNAPSHOT_ALERTS: i64 = 1000;

/// The most alerts that a reader who comes back is told of one by one.
const MISSED_ALERTS: usize = 1000;

/// What a reader wants.
#[derive(Clone, Debug)]
struct Wish {
    site: Option<String>,
    map: Option<String>,
    occupancy: bool,
    positions: bool,
    alerts: bool,
    withheld: Withheld,
}

impl Wish {
    fn of(params: StreamParams, withheld: Withheld) -> Result<Wish, ApiError> {
        let usual = if withheld.is_any() { "occupancy" } else { "occupancy,alerts" };
        let topics = params.topics.as_deref().unwrap_or(usual);
        let mut wish = Wish {
            site: params.site.as_deref().map(settled),
            map: params.map.as_deref().map(settled),
            occupancy: false,
            positions: false,
            alerts: false,
            withheld,
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
        if withheld.is_any() && (wish.positions || wish.alerts) {
            let detail = "counts of few clients are withheld from you: `topics` may only be occupancy; positions and alerts \
                          tell of single clients and need the scope `sql`";
            return Err(ApiError::BadRequest(detail.into()));
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

    fn alert_filter(&self) -> AlertFilter {
        AlertFilter { site: self.site.clone(), map: self.map.clone(), ..AlertFilter::default() }
    }
}

/// What happens, as it happens. It begins with the state: `occupancy` of every area, and `alerts` that fire. Then come
/// `occupancy` of areas where it has changed and `positions` of clients that have moved, each at most once a second, and
/// `alert.firing` and `alert.resolved`, as callbacks get them.
///
/// Every event has an id. Who comes back with the last one is told first, in `resumed`, whether that can be followed: if
/// so, `alert.firing` and `alert.resolved` that were missed come one by one, also across a restart of the server, and else
/// the whole state. Occupancy is always told whole, and positions as of now. A reader that was too slow is resumed in the
/// same way; one that takes nothing for half a minute is let go, with an event `dropped`.
#[utoipa::path(get, path = "/v1/stream", tag = "metrics",
    params(StreamParams, ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was read")),
    responses((status = 200, content_type = "text/event-stream", body = AlertEvent), (status = 400, body = Problem)))]
pub async fn stream(
    State(api): State<Api>,
    headers: HeaderMap,
    withheld: Withheld,
    Query(params): Query<StreamParams>,
) -> Fallible<Sse<impl tokio_stream::Stream<Item = <Reader as tokio_stream::Stream>::Item>>> {
    let header = headers.get("last-event-id").map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
    let last = [header, params.last_event_id.clone()].into_iter().flatten().find(|id| !id.is_empty());
    let wish = Wish::of(params, withheld)?;
    // Listened to before the state is read: nothing falls between them.
    let (alerts, changes) = (api.pipeline.alert_events(), api.feed.listen());
    let from = last.map_or(From::Beginning, |id| From::Event(Bookmark::read(&id)));
    let begun = begin(&api, &wish, from).await?;
    let (line, reader) = line::line();
    tokio::spawn(forward(api, wish, begun, alerts, changes, line));
    Ok(Sse::new(reader).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// What a reader knows already.
enum From {
    Beginning,
    /// All up to an event, if its id says which.
    Event(Option<Bookmark>),
}

/// What a reader is told first.
struct Begun {
    events: Vec<Event>,
    /// How far it has been told then.
    bookmark: Bookmark,
    /// Areas whose occupancy the reader was told last. Of others that are withheld, not even that they change is told.
    shown: HashSet<AreaName>,
}

async fn begin(api: &Api, wish: &Wish, from: From) -> Fallible<Begun> {
    let (wish, store) = (wish.clone(), api.store.clone());
    api.read(move |conn| {
        // Before what is told, so that an alert in between is told twice rather than never.
        let newest = alerts::next_alert(conn)?.0 - 1;
        let missed = match &from {
            // All else is told whole.
            From::Event(_) if !wish.alerts => Some(Vec::new()),
            From::Event(Some(bookmark)) => missed(conn, &wish, bookmark)?,
            From::Event(None) | From::Beginning => None,
        };
        let mut events = Vec::new();
        let mut shown = HashSet::new();
        if let From::Event(bookmark) = &from {
            let detail = match (bookmark, &missed) {
                (_, Some(_)) => "what was missed comes next",
                (None, None) => "the id does not say what was told: the whole state comes next",
                (Some(_), None) => "too much was missed: the whole state comes next",
            };
            let count = missed.as_ref().map_or(0, Vec::len);
            let told = json!({"is_resumed": missed.is_some(), "missed_alerts": count, "detail": detail});
            events.push(event("resumed", &told));
        }
        if wish.occupancy {
            let scope = Scope { site: wish.site.clone(), map: wish.map.clone(), ..Scope::default() };
            let areas = occupancy::occupancy(&store, conn, &scope)?.into_iter().map(feed::occupancy);
            let areas = areas.map(|area| told(&area, wish.withheld));
            // One that is on no map is there while somebody is in it.
            let areas: Vec<_> = areas.filter(|area| area.is_mapped || area.current.is_some()).collect();
            shown = areas.iter().filter(|area| area.current.is_some()).map(LiveOccupancy::area_name).collect();
            events.push(event("occupancy", &json!({"is_whole": true, "areas": areas})));
        }
        if !wish.alerts {
            // The newest alert is nothing to tell of.
            let (events, bookmark) = (marked(events, UNTOLD), Bookmark::default());
            return Ok(Begun { events, bookmark, shown });
        }
        if let (From::Event(Some(before)), Some(missed)) = (from, missed) {
            let mut bookmark = before;
            let mut events = marked(events, &bookmark.to_string());
            for found in missed {
                bookmark.note(&found);
                events.push(event(&found.event_type, &found).id(bookmark.to_string()));
            }
            return Ok(Begun { events, bookmark, shown });
        }
        let filter = AlertFilter { is_firing: Some(true), limit: SNAPSHOT_ALERTS, ..wish.alert_filter() };
        let firing = alerts::list(conn, &filter)?;
        let bookmark = Bookmark { newest, firing: firing.iter().map(|alert| alert.alert_id).collect() };
        // Who reads only what came before does not know them yet.
        events = marked(events, UNTOLD);
        events.push(event("alerts", &json!({ "alerts": firing })).id(bookmark.to_string()));
        Ok(Begun { events, bookmark, shown })
    })
    .await
}

/// Gives events an id.
fn marked(events: Vec<Event>, id: &str) -> Vec<Event> {
    events.into_iter().map(|event| event.id(id)).collect()
}

/// The alerts that fired or were resolved since; `None`: too many to tell one by one.
fn missed(conn: &ReadConnection, wish: &Wish, since: &Bookmark) -> Result<Option<Vec<AlertEvent>>, StoreError> {
    let firing: Vec<AlertKey> = since.firing.iter().map(|key| AlertKey(*key)).collect();
    let filter = AlertFilter { after: Some(since.newest), limit: MISSED_ALERTS as i64 + 1, ..wish.alert_filter() };
    let mut found = outbox::told(conn, &filter, &firing)?;
    // An id that names alerts of other places tells nothing of them.
    found.retain(|event| wish.wants_alert(event));
    Ok((found.len() <= MISSED_ALERTS).then_some(found))
}

/// An area as the reader may see it.
fn told(area: &LiveOccupancy, withheld: Withheld) -> LiveOccupancy {
    LiveOccupancy { current: area.current.and_then(|current| withheld.count(current)), ..area.clone() }
}

/// What has changed, as far as it is wished for and may be told.
fn changed(wish: &Wish, changes: &Changes, shown: &mut HashSet<AreaName>) -> Vec<Event> {
    let mut events = Vec::new();
    if wish.occupancy {
        let is_of = |area: &&LiveOccupancy| wish.is_of(area.site_id.as_ref(), area.map_id.as_ref());
        let areas = changes.occupancy.iter().filter(is_of).map(|area| told(area, wish.withheld));
        let areas = areas.filter(|area| match area.current {
            None => shown.remove(&area.area_name()),
            Some(_) => {
                shown.insert(area.area_name());
                true
            }
        });
        let areas: Vec<_> = areas.collect();
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
    begun: Begun,
    mut alerts: broadcast::Receiver<Arc<AlertEvent>>,
    mut changes: broadcast::Receiver<Arc<Changes>>,
    line: Line,
) {
    let Begun { events: mut next, mut bookmark, mut shown } = begun;
    let mut stopping = api.stopping.clone();
    loop {
        for event in next.drain(..) {
            tokio::select! {
                sent = line.send(event, PATIENCE) => if sent.is_err() { return },
                _ = stopping.changed() => return,
            }
        }
        let told = tokio::select! {
            received = alerts.recv() => received.map(|found| {
                if !wish.wants_alert(&found) {
                    return Vec::new();
                }
                bookmark.note(&found);
                vec![event(&found.event_type, &*found)]
            }),
            received = changes.recv() => received.map(|found| changed(&wish, &found, &mut shown)),
            _ = stopping.changed() => return,
            () = line.closed() => return,
        };
        next = match told {
            Ok(events) if !wish.alerts => marked(events, UNTOLD),
            Ok(events) => marked(events, &bookmark.to_string()),
            Err(RecvError::Closed) => return,
            Err(RecvError::Lagged(_)) => match begin(&api, &wish, From::Event(Some(bookmark.clone()))).await {
                Ok(begun) => {
                    (bookmark, shown) = (begun.bookmark, begun.shown);
                    begun.events
                }
                Err(_) => return,
            },
        };
    }
}
