//! Buckets of a site's calendar: minutes and hours that start with its days, days, weeks and months of its time zone.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

/// The width of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Minutes that divide a day; counted from local midnight.
    Minutes(i64),
    Day,
    /// From Monday.
    Week,
    Month,
}

/// Why a width or a window makes no buckets.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CalendarError {
    #[error("bucket {0:?} is not a width: use minutes or hours that divide a day (15m, 1h), 1d, 1w or 1mo")]
    Width(String),
    #[error("the window makes more than {max} buckets: widen `bucket` or narrow the window")]
    TooMany { max: usize },
    #[error("the window ends before it begins")]
    Backwards,
}

pub const BUCKETS_MAX: usize = 20_000;

impl Width {
    pub fn parse(text: &str) -> Result<Width, CalendarError> {
        let wrong = || CalendarError::Width(text.into());
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: i64 = number.parse().map_err(|_| wrong())?;
        let minutes = match unit {
            "m" | "min" => number,
            "h" => number.checked_mul(60).ok_or_else(wrong)?,
            "d" if number == 1 => return Ok(Width::Day),
            "w" if number == 1 => return Ok(Width::Week),
            "mo" if number == 1 => return Ok(Width::Month),
            _ => return Err(wrong()),
        };
        match minutes {
            1440 => Ok(Width::Day),
            1..=720 if 1440 % minutes == 0 => Ok(Width::Minutes(minutes)),
            _ => Err(wrong()),
        }
    }
}

/// The bounds of the buckets of [from, to), Unix milliseconds: `from`, each start of a bucket inside, `to`.
pub fn bounds(from_ms: i64, to_ms: i64, width: Width, zone: Tz) -> Result<Vec<i64>, CalendarError> {
    if to_ms <= from_ms {
        return Err(CalendarError::Backwards);
    }
    let instant = |ms| DateTime::<Utc>::from_timestamp_millis(ms).ok_or(CalendarError::TooMany { max: BUCKETS_MAX });
    let mut date = first_date(instant(from_ms)?.with_timezone(&zone).date_naive(), width);
    instant(to_ms)?;
    let mut bounds = vec![from_ms];
    while midnight_ms(date, zone) < to_ms {
        let (next_date, starts) = starts_from(date, width, zone);
        for start_ms in starts.into_iter().filter(|start| (from_ms + 1..to_ms).contains(start)) {
            bounds.push(start_ms);
        }
        if bounds.len() > BUCKETS_MAX {
            return Err(CalendarError::TooMany { max: BUCKETS_MAX });
        }
        date = next_date;
    }
    bounds.push(to_ms);
    Ok(bounds)
}

fn first_date(date: NaiveDate, width: Width) -> NaiveDate {
    match width {
        Width::Minutes(_) | Width::Day => date,
        Width::Week => date - Days::new(u64::from(date.weekday().num_days_from_monday())),
        Width::Month => date.with_day(1).expect("every month has a first day"),
    }
}

/// The bucket starts of the period that begins on `date`, and the date of the next period.
fn starts_from(date: NaiveDate, width: Width, zone: Tz) -> (NaiveDate, Vec<i64>) {
    let start_ms = midnight_ms(date, zone);
    match width {
        Width::Day => (date + Days::new(1), vec![start_ms]),
        Width::Week => (date + Days::new(7), vec![start_ms]),
        Width::Month => (date + Months::new(1), vec![start_ms]),
        Width::Minutes(minutes) => {
            let next = date + Days::new(1);
            // A day may have 23 or 25 hours: buckets are of equal length, and the last gives way to midnight.
            let step_ms = usize::try_from(minutes * 60_000).expect("widths are positive");
            (next, (start_ms..midnight_ms(next, zone)).step_by(step_ms).collect())
        }
    }
}

/// When a local day begins: midnight, or where clocks skip it, the first instant after.
fn midnight_ms(date: NaiveDate, zone: Tz) -> i64 {
    let mut local = date.and_time(NaiveTime::MIN);
    loop {
        if let Some(instant) = zone.from_local_datetime(&local).earliest() {
            return instant.timestamp_millis();
        }
        local += chrono::TimeDelta::minutes(15);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    fn hours(bounds: &[i64]) -> Vec<f64> {
        bounds.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 3.6e6).collect()
    }

    #[test]
    fn days_follow_the_zone_through_both_clock_changes() {
        let zone = chrono_tz::Europe::Lisbon;
        let spring = bounds(ms("2026-03-28T00:00:00Z"), ms("2026-03-31T00:00:00+01:00"), Width::Day, zone).unwrap();
        assert_eq!(hours(&spring), [24.0, 23.0, 24.0]);
        let autumn = bounds(ms("2026-10-25T00:00:00+01:00"), ms("2026-10-27T00:00:00Z"), Width::Day, zone).unwrap();
        assert_eq!(hours(&autumn), [25.0, 24.0]);
    }

    #[test]
    fn a_window_that_cuts_a_bucket_keeps_its_own_ends() {
        let zone = chrono_tz::Tz::UTC;
        let found = bounds(ms("2026-01-01T00:20:00Z"), ms("2026-01-01T02:10:00Z"), Width::Minutes(60), zone).unwrap();
        assert_eq!(hours(&found), [40.0 / 60.0, 1.0, 10.0 / 60.0]);
    }

    #[test]
    fn hours_start_at_local_midnight_where_the_zone_is_off_by_half_an_hour() {
        let zone = chrono_tz::Asia::Kolkata;
        let found = bounds(ms("2026-01-01T00:00:00Z"), ms("2026-01-01T02:00:00Z"), Width::Minutes(60), zone).unwrap();
        assert_eq!(hours(&found), [0.5, 1.0, 0.5]);
    }

    #[test]
    fn weeks_start_on_monday_and_months_on_the_first() {
        let zone = chrono_tz::Tz::UTC;
        let (from, to) = (ms("2026-01-30T00:00:00Z"), ms("2026-02-05T00:00:00Z"));
        assert_eq!(bounds(from, to, Width::Week, zone).unwrap()[1], ms("2026-02-02T00:00:00Z"));
        assert_eq!(bounds(from, to, Width::Month, zone).unwrap()[1], ms("2026-02-01T00:00:00Z"));
    }

    #[test]
    fn widths_that_do_not_divide_a_day_are_refused() {
        for text in ["7m", "5h", "2d", "0m", "", "h", "99999999999999999999m", "-15m", "1y"] {
            assert!(Width::parse(text).is_err(), "{text}");
        }
        assert_eq!(Width::parse("15m"), Ok(Width::Minutes(15)));
        assert_eq!(Width::parse("24h"), Ok(Width::Day));
    }

    #[test]
    fn too_many_buckets_are_refused_before_they_are_made() {
        let found = bounds(0, ms("2999-01-01T00:00:00Z"), Width::Minutes(1), chrono_tz::Tz::UTC);
        assert_eq!(found, Err(CalendarError::TooMany { max: BUCKETS_MAX }));
    }
}
