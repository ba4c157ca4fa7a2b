//! Two kinds of instant, kept apart by type: when a thing happened, and when we were told.

use chrono::{DateTime, SecondsFormat, Utc};

/// When an event happened, by the network's clock: Unix time in milliseconds, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTime(pub i64);

/// When a delivery reached the receiver, by our clock: Unix time in milliseconds, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceivedAt(pub i64);

/// The latest instant we handle, in Unix milliseconds: 9999-12-31T23:59:59.999Z.
pub const LATEST_MS: i64 = 253_402_300_799_999;

impl EventTime {
    /// Milliseconds from `earlier` to this instant; negative when it is later.
    pub fn since_ms(self, earlier: EventTime) -> i64 {
        self.0 - earlier.0
    }
}

/// Unix milliseconds as a date and time of day, clamped to the years that can be written.
pub fn utc(unix_ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(unix_ms.clamp(0, LATEST_MS)).expect("clamped to representable years")
}

/// Unix milliseconds as RFC 3339 in UTC, to the millisecond. Clamped to the years that RFC 3339 can write.
pub fn rfc3339(unix_ms: i64) -> String {
    utc(unix_ms).to_rfc3339_opts(SecondsFormat::Millis, true)
}
