//! Alert rules, and what becomes of them.

use super::ids::{AreaKey, MapKey, RuleKey};
use super::schedule::Schedule;
use super::time::EventTime;

/// A rule about how many clients are somewhere in one site.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub key: RuleKey,
    pub version: u32,
    pub condition: Condition,
    /// How long the condition must hold before the rule fires, milliseconds.
    pub for_ms: i64,
    /// Always, where there is none.
    pub schedule: Option<Schedule>,
    /// Each of them is watched on its own.
    pub subjects: Vec<Subject>,
}

/// When a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// More than `limit` clients; once fired it holds until there are no more than `clear`, which is at most `limit`.
    Above { limit: u32, clear: u32 },
    /// Fewer than `limit` clients; once fired it holds until there are at least `clear`, which is at least `limit`.
    Below { limit: u32, clear: u32 },
}

impl Condition {
    pub fn holds(self, clients: u32) -> bool {
        match self {
            Condition::Above { limit, .. } => clients > limit,
            Condition::Below { limit, .. } => clients < limit,
        }
    }

    /// Whether it no longer holds once it has fired.
    pub fn is_cleared(self, clients: u32) -> bool {
        match self {
            Condition::Above { clear, .. } => clients <= clear,
            Condition::Below { clear, .. } => clients >= clear,
        }
    }
}

/// What is watched: the visits of one area, or the clients of a map or of the site, each counted once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    Area(AreaKey),
    Map(MapKey),
    Site,
}

/// One thing that may fire: a rule for one of its subjects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlarmId {
    pub rule: RuleKey,
    pub subject: Subject,
}

/// An alarm that is not ok, since when, and the version of its rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    pub version: u32,
    pub since: EventTime,
    /// Else it is pending: the condition holds, but not long enough yet.
    pub is_firing: bool,
}

/// Why a firing alarm was resolved. The numbers are what the store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Resolution {
    /// The condition no longer holds.
    Cleared = 0,
    /// Its schedule ended.
    OffSchedule = 1,
    /// The rule was changed, disabled or deleted.
    RuleChanged = 2,
}

/// A change of an alarm, in the order the engine made them. Times are the site clock's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmChange {
    Pending {
        id: AlarmId,
        version: u32,
        since: EventTime,
    },
    /// The condition held, but not for long enough.
    Calmed {
        id: AlarmId,
    },
    Fired {
        id: AlarmId,
        version: u32,
        since: EventTime,
        at: EventTime,
        clients: u32,
    },
    Resolved {
        id: AlarmId,
        at: EventTime,
        clients: u32,
        why: Resolution,
    },
}
