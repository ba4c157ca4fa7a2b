//! Alert rules, and what becomes of them.

use super::ids::{AreaKey, ClientKey, MapKey, RuleKey};
use super::schedule::Schedule;
use super::time::EventTime;

/// A rule about who is somewhere in one site, or about hearing from there at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub key: RuleKey,
    pub version: u32,
    pub condition: Condition,
    /// How long the condition must hold before the rule fires, milliseconds.
    pub for_ms: i64,
    /// How often it is told again while it goes on, milliseconds.
    pub repeat_ms: Option<i64>,
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
    /// A client is in the area; each client is an alarm of its own.
    Dwell,
    /// Nothing new is heard from the map or the site.
    NoData,
}

impl Rule {
    /// Whether another version of the rule watches for the same, whatever it is called.
    pub fn watches_as(&self, other: &Rule) -> bool {
        (self.condition, self.for_ms, &self.schedule) == (other.condition, other.for_ms, &other.schedule)
    }
}

impl Condition {
    pub fn name(self) -> &'static str {
        match self {
            Condition::Above { .. } => "above",
            Condition::Below { .. } => "below",
            Condition::Dwell => "dwell",
            Condition::NoData => "no_data",
        }
    }

    /// The limit, and the one at which it is over.
    pub fn limits(self) -> Option<(u32, u32)> {
        match self {
            Condition::Above { limit, clear } | Condition::Below { limit, clear } => Some((limit, clear)),
            Condition::Dwell | Condition::NoData => None,
        }
    }
}

/// What is watched: the visits of one area, or the clients of a map or of the site, each counted once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    Area(AreaKey),
    Map(MapKey),
    Site,
    /// One client in one area, of a rule that watches the area.
    Stay(AreaKey, ClientKey),
}

impl Subject {
    /// The subject that a rule names.
    pub fn of_rule(self) -> Subject {
        match self {
            Subject::Stay(area, _) => Subject::Area(area),
            other => other,
        }
    }
}

/// One thing that may fire: a rule for one of its subjects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlarmId {
    pub rule: RuleKey,
    pub subject: Subject,
}

/// An alarm that is not ok.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// The condition holds since then, but not for long enough yet.
    Pending { since: EventTime },
    /// It fired, and was last told, then.
    Firing { since: EventTime, told: EventTime },
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
        since: EventTime,
    },
    /// The condition held, but not for long enough.
    Calmed {
        id: AlarmId,
    },
    Fired {
        id: AlarmId,
        /// Of the rule.
        version: u32,
        since: EventTime,
        at: EventTime,
        clients: u32,
    },
    /// It goes on, and is to be told again.
    Repeated {
        id: AlarmId,
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
