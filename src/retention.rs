//! What is old is deleted in the background, a portion between two commits at a time, so that deliveries hardly wait.
//!
//! Events are kept from their receipt on: a history that is played into the server today is as old as today. Visits go by when
//! they ended, and only once their events are gone.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;

use crate::background::from_time_to_time;
use crate::clock::Clock;
use crate::model::ids::{Id, SiteKey};
use crate::model::time::{EventTime, ReceivedAt};
use crate::pipeline::{Handle, Lent};
use crate::store::forget::{self, Old};
use crate::store::{ReadConnection, Store, StoreError, queries, rebuilds};

/// How long things are kept, days; none: for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    pub events_days: Option<u32>,
    pub visits_days: Option<u32>,
}

/// What the configuration says.
#[derive(Clone, Debug)]
pub struct Rules {
    pub kept: Kept,
    /// Of sites that are kept otherwise, by their id in its settled form.
    pub sites: BTreeMap<String, Kept>,
    /// What endpoints were told.
    pub callbacks_days: Option<u32>,
}

impl Rules {
    fn of(&self, site_id: &str) -> Kept {
        self.sites.get(&Id::object(site_id).to_string()).copied().unwrap_or(self.kept)
    }

    /// How long deliveries are kept: as long as events of any site.
    fn deliveries_days(&self) -> Option<u32> {
        let all = std::iter::once(self.kept).chain(self.sites.values().copied());
        all.map(|kept| kept.events_days).try_fold(0, |most, days| days.map(|days| days.max(most)))
    }
}

/// The first look, so that a server that was started by mistake can still be stopped; and the pause between two.
const FIRST_AFTER: Duration = Duration::from_secs(300);
const AGAIN_AFTER: Duration = Duration::from_secs(600);

/// Rows of a portion, and the pause after it.
const PORTION_ROWS: usize = 20_000;
const PORTION_PAUSE: Duration = Duration::from_millis(100);

const DAY_MS: i64 = 86_400_000;

/// Deletes it from time to time until the server stops.
pub async fn keep(store: Store, pipeline: Handle, rules: Rules, clock: Clock, stopping: watch::Receiver<bool>) {
    let look = || async {
        match forget_old(&store, &pipeline, &rules, clock.now()).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "deleted what was old"),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "what is old could not be deleted; tried again"
                );
            }
        }
    };
    from_time_to_time(FIRST_AFTER, AGAIN_AFTER, stopping, look).await;
}

/// Deletes all that is old now; how many rows that was.
pub async fn forget_old(store: &Store, pipeline: &Handle, rules: &Rules, now: ReceivedAt) -> Result<usize, StoreError> {
    // A rebuild that has read its events already would put visits back; the next look is soon.
    if !pipeline.in_transaction(rebuilds::unfinished).await?.is_empty() {
        return Ok(0);
    }
    let ago = |days: u32| ReceivedAt(now.0 - i64::from(days) * DAY_MS);
    let mut rows = 0;
    let sites = {
        let store = store.clone();
        let read = tokio::task::spawn_blocking(move || store.read(|conn| queries::sites(conn, None)));
        read.await.expect("reading does not panic")?
    };
    for site in sites {
        let kept = rules.of(&site.id);
        if let Some(days) = kept.events_days {
            rows += forget_events(pipeline, site.key, ago(days)).await?;
        }
        if let Some(days) = kept.visits_days {
            let before = EventTime(ago(days).0);
            let forget = move |lent: &mut Lent<'_>| {
                if !lent.writer.read(|conn| forget::has_old_visits(conn, site.key, before))? {
                    return Ok(0);
                }
                let change = lent.past.change_any();
                lent.writer.in_transaction(|conn| forget::forget_visits(conn, &change, site.key, before, PORTION_ROWS))
            };
            rows += portions(pipeline, forget).await?;
        }
    }
    if let Some(days) = rules.deliveries_days() {
        let before = ago(days);
        let forget = move |conn: &ReadConnection| match forget::last_delivery_before(conn, before)? {
            Some(through) => forget::forget_deliveries(conn, through, PORTION_ROWS),
            None => Ok(0),
        };
        rows += portions(pipeline, move |lent| lent.writer.in_transaction(forget)).await?;
    }
    if let Some(days) = rules.callbacks_days {
        let before = ago(days);
        rows += pipeline.in_transaction(move |conn| forget::forget_told(conn, before)).await?;
    }
    Ok(rows)
}

async fn forget_events(pipeline: &Handle, site: SiteKey, before: ReceivedAt) -> Result<usize, StoreError> {
    let old = pipeline.in_transaction(move |conn| {
        let Some(through) = forget::last_delivery_before(conn, before)? else { return Ok(None) };
        let old = Old { site, through };
        Ok(forget::begin_forgetting(conn, old)?.then_some(old))
    });
    match old.await? {
        Some(old) => {
            let forget = move |lent: &mut Lent<'_>| {
                let deleting = lent.fixes.delete(old.through);
                lent.writer.in_transaction(|conn| forget::forget_events(conn, &deleting, old, PORTION_ROWS))
            };
            portions(pipeline, forget).await
        }
        None => Ok(0),
    }
}

/// Repeats until there is nothing left, each time in a transaction of its own.
async fn portions(
    pipeline: &Handle,
    forget: impl Fn(&mut Lent<'_>) -> Result<usize, StoreError> + Clone + Send + 'static,
) -> Result<usize, StoreError> {
    let mut rows = 0;
    loop {
        // Nothing is done by a server that is stopping.
        let found = pipeline.exclusively(forget.clone()).await.unwrap_or(Ok(0))?;
        if found == 0 {
            return Ok(rows);
        }
        rows += found;
        tokio::time::sleep(PORTION_PAUSE).await;
    }
}
