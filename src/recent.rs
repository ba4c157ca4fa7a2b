//! The newest fixes are read into memory once somebody has asked for them: whoever asks meanwhile has the file asked.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::background::from_time_to_time;
use crate::store::Store;

/// How soon after they were asked for.
const SOON: Duration = Duration::from_millis(250);

/// Reads them whenever they are wanted, until the server stops.
pub async fn keep(store: Store, stopping: watch::Receiver<bool>) {
    let look = || async {
        if !store.fixes().is_wanted() {
            return;
        }
        let reader = store.clone();
        let read = spawn_blocking(move || reader.read(|conn| reader.fixes().load(conn)));
        if let Err(error) = read.await.expect("reading does not panic") {
            tracing::error!(error = &error as &dyn std::error::Error, "the newest fixes could not be read into memory");
        }
    };
    from_time_to_time(SOON, SOON, stopping, look).await;
}
