//! The wall clock, and one that tests move by hand. The only file that may read the system time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::time::ReceivedAt;

/// Tells the time of receipt.
#[derive(Clone, Debug)]
pub enum Clock {
    System,
    /// Stands still until moved.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `unix_ms`.
    pub fn manual(unix_ms: i64) -> Clock {
        Clock::Manual(Arc::new(AtomicI64::new(unix_ms)))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks")]
    pub fn now(&self) -> ReceivedAt {
        match self {
            Clock::System => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                ReceivedAt(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
            }
            Clock::Manual(unix_ms) => ReceivedAt(unix_ms.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock; the system's is not ours to move.
    pub fn set(&self, unix_ms: i64) {
        if let Clock::Manual(clock) = self {
            clock.store(unix_ms, Ordering::SeqCst);
        }
    }
}

/// For measuring how long something took, never for what time it is.
#[expect(clippy::disallowed_methods, reason = "this is the one place that asks")]
pub fn stopwatch() -> Instant {
    Instant::now()
}
