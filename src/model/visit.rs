//! One stay of one client in one area.

use super::ids::{AreaKey, ClientKey, MapKey, SiteKey, VisitKey};
use super::time::EventTime;

/// How a visit came about. The numbers are what the store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Source {
    /// From fixes against the area's polygon.
    Computed = 0,
    /// From the network's own enter and exit events.
    Reported = 1,
}

impl Source {
    pub fn name(self) -> &'static str {
        match self {
            Source::Computed => "computed",
            Source::Reported => "reported",
        }
    }

    pub fn from_name(name: &str) -> Option<Source> {
        [Source::Computed, Source::Reported].into_iter().find(|source| source.name() == name)
    }
}

/// How a visit ended. The numbers are what the store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Ended {
    /// The client was seen elsewhere, or its exit was reported.
    Left = 0,
    /// The client fell silent.
    Timeout = 1,
}

/// What a visit is from its beginning on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    pub key: VisitKey,
    pub site: SiteKey,
    /// The map of the fix or transition that opened it, where one was named.
    pub map: Option<MapKey>,
    pub area: AreaKey,
    /// The version of the area's geometry at that moment; 0 where the area was not uploaded.
    pub area_version: u32,
    pub client: ClientKey,
    pub source: Source,
    pub entered_at: EventTime,
}

/// How and when a visit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    pub exited_at: EventTime,
    pub ended: Ended,
    /// `Some(t)` when the site clock ended it, t being the client's newest sign at that time: a later sign of the
    /// client may still show that it never ended.
    pub clock_after: Option<EventTime>,
}

impl Exit {
    /// Whether this end, once stored, may stay as it is when the client's own signs have come to the end `next`. That the
    /// clock may have been wrong then stays on record, and means nothing: it does so only until the client's next sign.
    pub fn stands_for(&self, next: &Exit) -> bool {
        let is_settled = next.clock_after.is_none() || next.clock_after == self.clock_after;
        is_settled && next.exited_at == self.exited_at && next.ended == self.ended
    }
}

/// A change of one visit, in the order the engine made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VisitChange {
    Opened(Visit),
    Closed(Visit, Exit),
    /// What the clock had closed, and how, goes on: the client's next sign shows that it had not left.
    Reopened(Visit, Exit),
}
