//! Each client's newest fix is noted from time to time, so that a start reads only fixes that came since, and not all.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::background::from_time_to_time;
use crate::pipeline::Handle;
use crate::store::{Store, StoreError, ends};

/// The first look is soon, since who starts a server on a long history may start it again; and the pause between two.
const FIRST_AFTER: Duration = Duration::from_secs(10);
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Fewer fixes are read in a fraction of a second, and are not worth the interruption.
const FIXES_MIN: i64 = 5_000_000;

/// Notes them from time to time until the server stops.
pub async fn keep(store: Store, pipeline: Handle, stopping: watch::Receiver<bool>) {
    let look = || async {
        match note(&store, &pipeline, FIXES_MIN).await {
            Ok(0) => {}
            Ok(clients) => tracing::info!(clients, "noted each client's newest fix, for the next start"),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "newest fixes could not be noted; tried again"
                );
            }
        }
    };
    from_time_to_time(FIRST_AFTER, AGAIN_AFTER, stopping, look).await;
}

/// Notes the newest fixes if at least `fixes_min` came since that was done last; of how many clients. Deliveries wait only while
/// the rows are written.
pub async fn note(store: &Store, pipeline: &Handle, fixes_min: i64) -> Result<usize, StoreError> {
    let reader = store.clone();
    let look = move || {
        reader.read(|conn| {
            // What comes meanwhile may be among the fixes, and is looked at again the next time.
            let through = ends::last_delivery(conn)?;
            if ends::fixes_since_noted(conn)? < fixes_min {
                return Ok(None);
            }
            Ok(Some((through, ends::newest_fixes(conn)?)))
        })
    };
    let Some((through, newest)) = spawn_blocking(look).await.expect("reading does not panic")? else { return Ok(0) };
    pipeline.in_transaction(move |conn| ends::note_newest_fixes(conn, &newest, through)).await
}
