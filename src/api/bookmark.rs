//! The id of each event of a live stream: how far its reader has been told of alerts.
//!
//! It holds the newest alert and those that fire, so the server keeps nothing for anybody: whoever comes back with it is
//! told from the stored alerts what has fired or been resolved since, across restarts.

use std::collections::BTreeSet;
use std::fmt;

use crate::store::outbox::{AlertEvent, FIRING};

/// Firing alerts that an id names; more would make every event long, and their reader gets the whole state instead.
const FIRING_MAX: usize = 50;

/// The id of an event before the alerts are told, and without any: one that cannot be followed.
pub const UNTOLD: &str = "0-many";

/// What stands for more firing alerts than an id names.
const MANY: &str = "many";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bookmark {
    pub newest: i64,
    pub firing: BTreeSet<i64>,
}

impl Bookmark {
    /// Reads an id; `None` where it is not one, or names not all that fire.
    pub fn read(id: &str) -> Option<Bookmark> {
        let (newest, firing) = id.split_once('-').unwrap_or((id, ""));
        let keys = firing.split('.').filter(|key| !key.is_empty());
        let firing: BTreeSet<i64> = keys.map(|key| key.parse().ok()).collect::<Option<_>>()?;
        let is_sound = firing.len() <= FIRING_MAX;
        Some(Bookmark { newest: newest.parse().ok().filter(|newest| *newest >= 0)?, firing }).filter(|_| is_sound)
    }

    /// Notes what the reader is told now.
    pub fn note(&mut self, event: &AlertEvent) {
        let key = event.data.alert_id;
        self.newest = self.newest.max(key);
        if event.event_type == FIRING {
            self.firing.insert(key);
        } else {
            self.firing.remove(&key);
        }
    }
}

impl fmt::Display for Bookmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.newest)?;
        if self.firing.len() > FIRING_MAX {
            return write!(f, "-{MANY}");
        }
        for (place, key) in self.firing.iter().enumerate() {
            write!(f, "{}{key}", if place == 0 { '-' } else { '.' })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_written() {
        for (newest, firing) in [(0, vec![]), (7, vec![7]), (1042, vec![17, 23, 1042])] {
            let bookmark = Bookmark { newest, firing: firing.into_iter().collect() };
            assert_eq!(Bookmark::read(&bookmark.to_string()), Some(bookmark));
        }
        assert_eq!(Bookmark { newest: 9, firing: [3, 9].into() }.to_string(), "9-3.9");
    }

    #[test]
    fn what_is_no_id_or_not_all_is_not_read() {
        let many = Bookmark { newest: 99, firing: (0..60).collect() };
        assert_eq!(many.to_string(), "99-many");
        let long = format!("99-{}", (0..60).map(|key| key.to_string()).collect::<Vec<_>>().join("."));
        for id in [UNTOLD, "", "x", "-1", "7-x", "99-many", "9.5", "99999999999999999999", &long] {
            assert_eq!(Bookmark::read(id), None, "{id}");
        }
    }
}
