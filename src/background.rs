//! What is done from time to time beside everything else.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// Looks first after one pause, and then again after another each time, until the server stops: a look that is under way is
/// given up then.
pub async fn from_time_to_time<Look: Future<Output = ()>>(
    first_after: Duration,
    again_after: Duration,
    mut stopping: watch::Receiver<bool>,
    look: impl Fn() -> Look,
) {
    let mut pause = first_after;
    // It ends, too, when whoever would tell has gone.
    while timeout(pause, stopping.wait_for(|stops| *stops)).await.is_err() {
        pause = again_after;
        tokio::select! {
            () = look() => {}
            _ = stopping.wait_for(|stops| *stops) => return,
        }
    }
}
