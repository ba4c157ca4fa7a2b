//! Weekly times during which something holds, in a site's time zone.

pub use chrono::Weekday;
use chrono::{DateTime, Datelike, Days, NaiveTime, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use super::time::EventTime;

/// Minutes of a day, [from, to), on one weekday. `to` is 1440 for midnight at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub weekday: Weekday,
    pub from_min: u32,
    pub to_min: u32,
}

/// Windows of a week. A local time that clocks skip or repeat is taken at its earliest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    zone: Tz,
    windows: Vec<Window>,
}

/// A day of `Window` in minutes.
pub const DAY_MIN: u32 = 1440;

impl Schedule {
    /// Windows that are not empty and end within their day.
    pub fn new(zone: Tz, windows: Vec<Window>) -> Option<Schedule> {
        let is_sound = |window: &Window| window.from_min < window.to_min && window.to_min <= DAY_MIN;
        (!windows.is_empty() && windows.iter().all(is_sound)).then_some(Schedule { zone, windows })
    }

    pub fn is_active(&self, at: EventTime) -> bool {
        let Some(instant) = DateTime::<Utc>::from_timestamp_millis(at.0) else { return false };
        let local = instant.with_timezone(&self.zone);
        let minute = local.hour() * 60 + local.minute();
        let holds =
            |window: &Window| window.weekday == local.weekday() && (window.from_min..window.to_min).contains(&minute);
        self.windows.iter().any(holds)
    }

    /// The first instant after `at` at which it may begin or end to hold; `None` beyond the years we handle.
    pub fn next_edge(&self, at: EventTime) -> Option<EventTime> {
        let local = DateTime::<Utc>::from_timestamp_millis(at.0)?.with_timezone(&self.zone);
        let today = local.date_naive();
        let edges = (0..=7).flat_map(|days| {
            let date = today.checked_add_days(Days::new(days));
            let windows =
                self.windows.iter().filter(move |window| date.is_some_and(|date| date.weekday() == window.weekday));
            windows.flat_map(move |window| [window.from_min, window.to_min]).filter_map(move |minute| {
                let date = if minute == DAY_MIN { date?.checked_add_days(Days::new(1))? } else { date? };
                let time = NaiveTime::from_num_seconds_from_midnight_opt(minute % DAY_MIN * 60, 0)?;
                instant(self.zone, date.and_time(time))
            })
        });
        edges.filter(|edge| *edge > at).min()
    }
}

/// A local time that is skipped begins with the first instant after.
fn instant(zone: Tz, mut local: chrono::NaiveDateTime) -> Option<EventTime> {
    for _ in 0..96 {
        if let Some(found) = zone.from_local_datetime(&local).earliest() {
            return Some(EventTime(found.timestamp_millis()));
        }
        local += chrono::TimeDelta::minutes(15);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> EventTime {
        EventTime(DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis())
    }

    fn office() -> Schedule {
        let day = |weekday| Window { weekday, from_min: 9 * 60, to_min: 17 * 60 + 30 };
        Schedule::new(chrono_tz::Europe::Lisbon, [Weekday::Mon, Weekday::Fri].map(day).to_vec()).unwrap()
    }

    #[test]
    fn it_holds_in_its_windows_by_the_sites_own_clock() {
        // Lisbon is an hour ahead of UTC in summer; 2026-07-06 is a Monday.
        for (text, holds) in [
            ("2026-07-06T07:59:59.999Z", false),
            ("2026-07-06T08:00:00Z", true),
            ("2026-07-06T16:29:59.999Z", true),
            ("2026-07-06T16:30:00Z", false),
            ("2026-07-07T10:00:00Z", false),
            ("2026-01-05T08:30:00Z", false),
            ("2026-01-05T09:00:00Z", true),
        ] {
            assert_eq!(office().is_active(at(text)), holds, "{text}");
        }
    }

    #[test]
    fn edges_come_one_after_another_and_skip_days_without_windows() {
        let mut edge = at("2026-07-06T00:00:00Z");
        let expected = ["2026-07-06T08:00:00Z", "2026-07-06T16:30:00Z", "2026-07-10T08:00:00Z", "2026-07-10T16:30:00Z"];
        for text in expected {
            edge = office().next_edge(edge).unwrap();
            assert_eq!(edge, at(text));
        }
        let all_day =
            Schedule::new(Tz::UTC, vec![Window { weekday: Weekday::Sun, from_min: 0, to_min: DAY_MIN }]).unwrap();
        assert_eq!(all_day.next_edge(at("2026-07-05T12:00:00Z")), Some(at("2026-07-06T00:00:00Z")));
        assert_eq!(all_day.next_edge(at("2026-07-06T00:00:00Z")), Some(at("2026-07-12T00:00:00Z")));
    }

    #[test]
    fn windows_that_are_none_are_refused() {
        let window = |from_min, to_min| vec![Window { weekday: Weekday::Mon, from_min, to_min }];
        for windows in [vec![], window(60, 60), window(90, 60), window(0, 1441)] {
            assert_eq!(Schedule::new(Tz::UTC, windows), None);
        }
    }
}
