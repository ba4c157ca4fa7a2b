//! What all live streams share: once a second, if anything was committed, what has changed since.
//!
//! It reads what was committed, and does so only while somebody listens: no stream holds ingest up, and a hundred of
//! them cost no more questions than one.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{broadcast, watch};
use utoipa::ToSchema;

use crate::model::time::rfc3339;
use crate::pipeline::Handle;
use crate::store::occupancy::{self, OccupancyRow};
use crate::store::queries::{self, NewestRow, Scope};
use crate::store::{ReadConnection, Store, StoreError, history};

/// The shortest time between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Clients that are told of at a time; the others are, a second later, if they have moved on.
const POSITIONS_MAX: i64 = 20_000;

/// Looks that a slow reader may lag behind before it gets the whole state instead.
const WAITING: usize = 16;

/// Clients in one area now.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct LiveOccupancy {
    pub site_id: Option<String>,
    pub map_id: Option<String>,
    pub area_id: String,
    pub area_kind: &'static str,
    pub name: Option<String>,
    /// Null where it is too small to be told to the reader.
    pub current: Option<u64>,
    pub occupancy_limit: Option<i64>,
    #[serde(skip)]
    pub is_mapped: bool,
}

/// Kind and id.
pub type AreaName = (&'static str, String);

impl LiveOccupancy {
    pub fn area_name(&self) -> AreaName {
        (self.area_kind, self.area_id.clone())
    }
}

/// Where a client is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LivePosition {
    pub site_id: String,
    pub map_id: String,
    pub client_id: String,
    pub kind: &'static str,
    pub name: Option<String>,
    pub at: String,
    pub x_m: f64,
    pub y_m: f64,
}

/// What has changed.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    pub occupancy: Vec<LiveOccupancy>,
    pub positions: Vec<LivePosition>,
}

/// The shared feed. Cheap to clone; its task ends with the pipeline.
#[derive(Clone)]
pub struct Feed {
    changes: broadcast::Sender<Arc<Changes>>,
}

impl Feed {
    pub fn start(store: Store, pipeline: &Handle, stopping: watch::Receiver<bool>) -> Feed {
        let changes = broadcast::channel(WAITING).0;
        tokio::spawn(run(store, pipeline.commits(), stopping, changes.clone()));
        Feed { changes }
    }

    pub fn listen(&self) -> broadcast::Receiver<Arc<Changes>> {
        self.changes.subscribe()
    }
}

/// What was told last.
#[derive(Default)]
struct Told {
    /// The newest delivery whose positions were told; `None` while nobody listens.
    delivery: Option<i64>,
    areas: HashMap<AreaName, LiveOccupancy>,
}

async fn run(
    store: Store,
    mut commits: watch::Receiver<u64>,
    mut stopping: watch::Receiver<bool>,
    changes: broadcast::Sender<Arc<Changes>>,
) {
    let mut told = Told::default();
    loop {
        tokio::select! {
            changed = commits.changed() => if changed.is_err() { return },
            _ = stopping.changed() => return,
        }
        if changes.receiver_count() == 0 {
            told = Told::default();
        } else {
            let store = store.clone();
            let looking = tokio::task::spawn_blocking(move || {
                let found = store.read(|conn| look(&store, conn, &mut told));
                (told, found)
            });
            let Ok((kept, found)) = looking.await else { return };
            told = kept;
            match found {
                // Nobody may listen any more.
                Ok(found) => _ = changes.send(Arc::new(found)),
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the live feed cannot be read; asked again"
                    );
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = stopping.changed() => return,
        }
    }
}

fn look(store: &Store, conn: &ReadConnection, told: &mut Told) -> Result<Changes, StoreError> {
    let newest = history::newest_delivery(conn)?.0;
    // Who begins to listen has been told where everybody is.
    let after = told.delivery.unwrap_or(newest - 1);
    let positions = queries::newest_since(conn, after, POSITIONS_MAX)?;
    let occupancy = occupancy::occupancy(store, conn, &Scope::default())?.into_iter().map(occupancy);
    let (mut changed, mut gone) = (Vec::new(), mem::take(&mut told.areas));
    for area in occupancy {
        if gone.remove(&area.area_name()).is_none_or(|before| before.current != area.current) {
            changed.push(area.clone());
        }
        told.areas.insert(area.area_name(), area);
    }
    // One that is on no map is not listed while nobody is in it.
    changed.extend(gone.into_values().map(|area| LiveOccupancy { current: Some(0), ..area }));
    told.delivery = Some(newest);
    Ok(Changes { occupancy: changed, positions: positions.into_iter().map(position).collect() })
}

pub fn occupancy(row: OccupancyRow) -> LiveOccupancy {
    LiveOccupancy {
        site_id: row.site_id,
        map_id: row.map_id,
        area_id: row.area_id,
        area_kind: row.kind.name(),
        name: row.name,
        current: Some(row.by_kind.iter().sum::<i64>().unsigned_abs()),
        occupancy_limit: row.occupancy_limit,
        is_mapped: row.is_mapped,
    }
}

fn position(row: NewestRow) -> LivePosition {
    LivePosition {
        site_id: row.site_id,
        map_id: row.map_id,
        client_id: row.client_id,
        kind: row.client_kind.name(),
        name: row.client_name,
        at: rfc3339(row.at_ms),
        x_m: row.x_m,
        y_m: row.y_m,
    }
}
