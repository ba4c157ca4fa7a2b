//! The same event twice is one event, within a window of event time.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::DedupeWindow;
use crate::model::event::Fingerprint;
use crate::model::time::EventTime;

/// The instants already seen of one client (or of one client, area and trigger), back to the window's edge.
///
/// Kept as offsets of 4 bytes from `base_ms`, ascending: in order costs O(1), late O(log n + shift).
#[derive(Debug, Default)]
pub struct SeenTimes {
    base_ms: i64,
    offsets_ms: VecDeque<u32>,
}

impl SeenTimes {
    /// Remembers `at`; `false` when it was there already.
    ///
    /// An instant older than the window before the newest is new each time: it cannot be told.
    pub fn insert(&mut self, at: EventTime, window: DedupeWindow) -> bool {
        let Some(newest_ms) = self.newest_ms() else {
            self.base_ms = at.0;
            self.offsets_ms.push_back(0);
            return true;
        };
        if at.0 > newest_ms {
            self.forget_before(at.0 - window.0);
            if self.offsets_ms.is_empty() {
                self.base_ms = at.0;
            }
            self.push_newest(at.0);
            return true;
        }
        let oldest_ms = newest_ms - window.0;
        if at.0 < oldest_ms {
            return true;
        }
        self.insert_late(at.0, oldest_ms)
    }

    /// Reads the oldest and the newest, and makes a number of them.
    pub fn look(&self) -> i64 {
        let oldest = self.offsets_ms.front().map_or(0, |offset| i64::from(*offset));
        self.newest_ms().map_or(oldest, |newest_ms| newest_ms.wrapping_add(oldest))
    }

    fn newest_ms(&self) -> Option<i64> {
        self.offsets_ms.back().map(|offset| self.base_ms + i64::from(*offset))
    }

    fn forget_before(&mut self, oldest_ms: i64) {
        while self.offsets_ms.front().is_some_and(|offset| self.base_ms + i64::from(*offset) < oldest_ms) {
            self.offsets_ms.pop_front();
        }
    }

    fn push_newest(&mut self, at_ms: i64) {
        let offset = u32::try_from(at_ms - self.base_ms).unwrap_or_else(|_| {
            self.rebase(self.base_ms + i64::from(self.offsets_ms[0]));
            u32::try_from(at_ms - self.base_ms).expect("the configured window is under 49 days, so it spans a u32")
        });
        self.offsets_ms.push_back(offset);
    }

    fn insert_late(&mut self, at_ms: i64, oldest_ms: i64) -> bool {
        if at_ms < self.base_ms {
            // As far back as any may be: a history that comes newest first would move all of it with each event.
            self.rebase(oldest_ms);
        }
        let offset = u32::try_from(at_ms - self.base_ms).expect("between the base and the newest");
        match self.offsets_ms.binary_search(&offset) {
            Ok(_) => false,
            Err(place) => {
                self.offsets_ms.insert(place, offset);
                true
            }
        }
    }

    /// Moves the base without moving an instant.
    fn rebase(&mut self, base_ms: i64) {
        let shift = self.base_ms - base_ms;
        for offset in &mut self.offsets_ms {
            *offset = u32::try_from(i64::from(*offset) + shift).expect("all instants lie within the window");
        }
        self.base_ms = base_ms;
    }
}

/// How long an event that carries no time stands for its twin: long enough for the same message delivered twice,
/// short enough that a second measurement with the same value still counts.
const UNTIMED_WINDOW_MS: i64 = 60_000;

/// The fingerprints already seen of one site's other events, back to the window's edge.
#[derive(Debug, Default)]
pub struct SeenHashes {
    at_ms: FxHashMap<Fingerprint, i64>,
    /// In order of arrival, for forgetting.
    arrivals: VecDeque<(i64, Fingerprint)>,
    newest_ms: i64,
}

impl SeenHashes {
    /// Remembers the fingerprint; `false` when it was there already.
    pub fn insert(&mut self, print: Fingerprint, at: EventTime, is_received_time: bool, window: DedupeWindow) -> bool {
        if let Some(seen_ms) = self.at_ms.get_mut(&print) {
            let is_twin = !is_received_time || (at.0 - *seen_ms).abs() <= UNTIMED_WINDOW_MS;
            if is_twin {
                return false;
            }
            *seen_ms = at.0;
        } else {
            self.at_ms.insert(print, at.0);
        }
        self.arrivals.push_back((at.0, print));
        self.newest_ms = self.newest_ms.max(at.0);
        self.forget_before(self.newest_ms - window.0);
        true
    }

    fn forget_before(&mut self, oldest_ms: i64) {
        while let Some(&(at_ms, print)) = self.arrivals.front() {
            if at_ms >= oldest_ms {
                return;
            }
            self.arrivals.pop_front();
            // A younger twin without a time may have taken its place.
            if self.at_ms.get(&print) == Some(&at_ms) {
                self.at_ms.remove(&print);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const DAY: DedupeWindow = DedupeWindow(86_400_000);

    proptest! {
        #[test]
        fn an_instant_within_the_window_is_new_exactly_once(times in prop::collection::vec(0i64..1000, 1..200)) {
            let mut seen = SeenTimes::default();
            let mut model = BTreeSet::new();
            for t in times {
                prop_assert_eq!(seen.insert(EventTime(t), DAY), model.insert(t));
            }
        }

        #[test]
        fn what_is_forgotten_is_only_what_the_window_left_behind(
            times in prop::collection::vec(0i64..10_000_000_000, 1..200)
        ) {
            let window = DedupeWindow(4_000_000_000);
            let mut seen = SeenTimes::default();
            let mut newest = i64::MIN;
            let mut model = BTreeSet::new();
            for t in times {
                let is_new = seen.insert(EventTime(t), window);
                if t >= newest.saturating_sub(window.0) {
                    prop_assert_eq!(is_new, !model.contains(&t));
                }
                model.insert(t);
                newest = newest.max(t);
            }
        }
    }

    #[test]
    fn what_comes_newest_first_is_not_moved_again_with_each() {
        let mut seen = SeenTimes::default();
        let newest = 2 * DAY.0;
        for back in 0..1000 {
            assert!(seen.insert(EventTime(newest - back * 20), DAY));
            assert!(back == 0 || seen.base_ms == DAY.0);
        }
        for back in 0..1000 {
            assert!(!seen.insert(EventTime(newest - back * 20), DAY));
        }
        // The widest window that may be configured leaves room for the newest.
        let widest = DedupeWindow(i64::from(u32::MAX));
        assert!(seen.insert(EventTime(DAY.0 / 2), widest));
        assert!(seen.insert(EventTime(newest + widest.0), widest));
        assert!(!seen.insert(EventTime(newest + widest.0), widest));
    }

    #[test]
    fn an_event_without_a_time_may_come_again_after_a_minute() {
        let mut seen = SeenHashes::default();
        let print = Fingerprint(7);
        assert!(seen.insert(print, EventTime(0), true, DAY));
        assert!(!seen.insert(print, EventTime(5_000), true, DAY));
        assert!(seen.insert(print, EventTime(70_000), true, DAY));
    }

    #[test]
    fn a_timed_event_is_forgotten_after_the_window() {
        let mut seen = SeenHashes::default();
        assert!(seen.insert(Fingerprint(1), EventTime(0), false, DAY));
        assert!(!seen.insert(Fingerprint(1), EventTime(0), false, DAY));
        assert!(seen.insert(Fingerprint(2), EventTime(DAY.0 + 1), false, DAY));
        assert!(seen.insert(Fingerprint(1), EventTime(0), false, DAY));
    }
}
