//! Occupancy and dwell of a window, from the visits that touch it. Pure functions; times are Unix milliseconds.
//!
//! A visit [a, b) counts at t when a <= t < b. One of zero length counts as a visit, never as occupancy.

use std::collections::{BTreeMap, BTreeSet};

use super::settings::DwellBand;

/// A visit as far as counting goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub client: u32,
    pub entered_ms: i64,
    /// `None` while it goes on.
    pub exited_ms: Option<i64>,
}

impl Span {
    fn end_ms(&self) -> i64 {
        self.exited_ms.unwrap_or(i64::MAX)
    }

    /// Whether any of it lies in [from, to); one of zero length does when its instant does.
    fn touches(&self, from_ms: i64, to_ms: i64) -> bool {
        let is_instant = self.end_ms() == self.entered_ms;
        self.entered_ms < to_ms && (self.end_ms() > from_ms || is_instant && self.entered_ms >= from_ms)
    }

    /// Milliseconds of it inside [from, to).
    fn inside_ms(&self, from_ms: i64, to_ms: i64) -> i64 {
        (self.end_ms().min(to_ms) - self.entered_ms.max(from_ms)).max(0)
    }
}

/// What happened in one bucket [from, to).
#[derive(Clone, Debug, PartialEq)]
pub struct Bucket {
    pub from_ms: i64,
    pub to_ms: i64,
    /// The least and the most clients at any instant.
    pub min: u64,
    pub max: u64,
    /// Time-weighted.
    pub mean: f64,
    /// Visits that began.
    pub entries: u64,
    /// Visits that ended.
    pub exits: u64,
    pub unique_clients: u64,
}

/// Turns the visits of several areas into stays: a client in two overlapping or touching visits is there once.
pub fn merge_by_client(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable_by_key(|span| (span.client, span.entered_ms, span.end_ms()));
    let mut stays: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match stays.last_mut() {
            Some(stay) if stay.client == span.client && span.entered_ms <= stay.end_ms() => {
                if span.end_ms() > stay.end_ms() {
                    stay.exited_ms = span.exited_ms;
                }
            }
            _ => stays.push(span),
        }
    }
    stays
}

/// The buckets between each two neighbouring `bounds`, which ascend.
///
/// O((v + b) log v) for v visits and b buckets, and O(v b) only where visits are longer than buckets.
pub fn series(spans: &[Span], bounds: &[i64]) -> Vec<Bucket> {
    let mut deltas: BTreeMap<i64, i64> = BTreeMap::new();
    for span in spans.iter().filter(|span| span.end_ms() > span.entered_ms) {
        *deltas.entry(span.entered_ms).or_default() += 1;
        if let Some(exited_ms) = span.exited_ms {
            *deltas.entry(exited_ms).or_default() -= 1;
        }
    }
    let mut by_entry: Vec<&Span> = spans.iter().collect();
    by_entry.sort_unstable_by_key(|span| span.entered_ms);
    let mut exits_ms: Vec<i64> = spans.iter().filter_map(|span| span.exited_ms).collect();
    exits_ms.sort_unstable();
    let mut deltas = deltas.into_iter().peekable();
    let mut next_entry = 0;
    let mut present: Vec<&Span> = Vec::new();
    let mut level = 0i64;
    let mut buckets = Vec::with_capacity(bounds.len().saturating_sub(1));
    for pair in bounds.windows(2) {
        let (from_ms, to_ms) = (pair[0], pair[1]);
        while let Some((_, delta)) = deltas.next_if(|(at_ms, _)| *at_ms <= from_ms) {
            level += delta;
        }
        let (mut min, mut max) = (level, level);
        while let Some((_, delta)) = deltas.next_if(|(at_ms, _)| *at_ms < to_ms) {
            level += delta;
            min = min.min(level);
            max = max.max(level);
        }
        while next_entry < by_entry.len() && by_entry[next_entry].entered_ms < to_ms {
            present.push(by_entry[next_entry]);
            next_entry += 1;
        }
        present.retain(|span| span.touches(from_ms, i64::MAX));
        let inside_ms: i64 = present.iter().map(|span| span.inside_ms(from_ms, to_ms)).sum();
        buckets.push(Bucket {
            from_ms,
            to_ms,
            min: min.unsigned_abs(),
            max: max.unsigned_abs(),
            mean: inside_ms as f64 / (to_ms - from_ms) as f64,
            entries: (next_entry - by_entry.partition_point(|span| span.entered_ms < from_ms)) as u64,
            exits: (before(&exits_ms, to_ms) - before(&exits_ms, from_ms)) as u64,
            unique_clients: present.iter().map(|span| span.client).collect::<BTreeSet<_>>().len() as u64,
        });
    }
    buckets
}

/// When there were the most in one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peak {
    pub from_ms: i64,
    pub to_ms: i64,
    pub max: u64,
    /// The first instant with so many, and how long they stayed that many.
    pub at_ms: i64,
    pub until_ms: i64,
}

/// The peak of each bucket in which anybody was, the highest first.
pub fn peaks(spans: &[Span], bounds: &[i64]) -> Vec<Peak> {
    let steps = steps(spans);
    let mut peaks: Vec<Peak> = bounds
        .windows(2)
        .filter_map(|pair| {
            let (from_ms, to_ms) = (pair[0], pair[1]);
            let first = steps.partition_point(|(at_ms, _)| *at_ms <= from_ms).saturating_sub(1);
            let inside = steps[first.min(steps.len())..].iter().take_while(|(at_ms, _)| *at_ms < to_ms);
            let (place, (at_ms, max)) =
                inside.enumerate().fold(None, |best: Option<(usize, (i64, i64))>, (place, step)| match best {
                    Some((_, (_, max))) if max >= step.1 => best,
                    _ => Some((place, *step)),
                })?;
            let until_ms = steps.get(first + place + 1).map_or(i64::MAX, |(at_ms, _)| *at_ms);
            let (at_ms, until_ms) = (at_ms.max(from_ms), until_ms.min(to_ms));
            // A level that ended before the bucket began is not in it.
            (max > 0 && at_ms < until_ms).then_some(Peak { from_ms, to_ms, max: max.unsigned_abs(), at_ms, until_ms })
        })
        .collect();
    peaks.sort_by_key(|peak| (std::cmp::Reverse(peak.max), peak.at_ms));
    peaks
}

/// Milliseconds of [from, to) with more than `limit` clients.
pub fn over_limit_ms(spans: &[Span], from_ms: i64, to_ms: i64, limit: i64) -> i64 {
    let steps = steps(spans);
    let ends = steps.iter().skip(1).map(|(at_ms, _)| *at_ms).chain([i64::MAX]);
    let over = steps.iter().zip(ends).filter(|((_, level), _)| *level > limit);
    over.map(|((at_ms, _), end_ms)| (end_ms.min(to_ms) - (*at_ms).max(from_ms)).max(0)).sum()
}

/// Instants at which the level changes, and the level from then on.
fn steps(spans: &[Span]) -> Vec<(i64, i64)> {
    let mut deltas: BTreeMap<i64, i64> = BTreeMap::new();
    for span in spans.iter().filter(|span| span.end_ms() > span.entered_ms) {
        *deltas.entry(span.entered_ms).or_default() += 1;
        if let Some(exited_ms) = span.exited_ms {
            *deltas.entry(exited_ms).or_default() -= 1;
        }
    }
    let mut level = 0;
    deltas
        .into_iter()
        .map(|(at_ms, delta)| {
            level += delta;
            (at_ms, level)
        })
        .collect()
}

/// Clients of one bucket, and how many of them came for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visitors {
    pub from_ms: i64,
    pub to_ms: i64,
    pub unique_clients: u64,
    /// Never there before the bucket.
    pub new_clients: u64,
}

/// Who came in each bucket; `first_ms` tells when each client first came at all.
pub fn visitors(spans: &[Span], first_ms: &std::collections::HashMap<u32, i64>, bounds: &[i64]) -> Vec<Visitors> {
    let mut seen: Vec<BTreeSet<u32>> = vec![BTreeSet::new(); bounds.len().saturating_sub(1)];
    for span in spans {
        let first = bounds.partition_point(|bound| *bound <= span.entered_ms).saturating_sub(1);
        for (place, pair) in bounds.windows(2).enumerate().skip(first) {
            if pair[0] > span.end_ms() {
                break;
            }
            if span.touches(pair[0], pair[1]) {
                seen[place].insert(span.client);
            }
        }
    }
    let buckets = bounds.windows(2).zip(seen);
    buckets
        .map(|(pair, clients)| Visitors {
            from_ms: pair[0],
            to_ms: pair[1],
            unique_clients: clients.len() as u64,
            new_clients: clients
                .iter()
                .filter(|client| first_ms.get(client).is_none_or(|first_ms| *first_ms >= pair[0]))
                .count() as u64,
        })
        .collect()
}

/// How many of ascending instants lie before `at_ms`.
fn before(ascending_ms: &[i64], at_ms: i64) -> usize {
    ascending_ms.partition_point(|ms| *ms < at_ms)
}

/// How long visits lasted, seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Dwell {
    pub count: u64,
    pub mean_s: f64,
    pub median_s: f64,
    pub p90_s: f64,
    pub p95_s: f64,
    pub max_s: f64,
    /// Visits per range of [`HISTOGRAM_EDGES_S`].
    pub histogram: Vec<u64>,
    /// Visits per band, in the order of the bands.
    pub bands: Vec<u64>,
    /// Visits in no band.
    pub unbanded: u64,
}

/// Where the histogram's ranges begin, seconds; each runs to the next, the last without end.
pub const HISTOGRAM_EDGES_S: [i64; 12] = [0, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 28_800];

/// Dwell of the visits that touch [from, to): the part inside it, or with `is_clipped` false all of each. What goes
/// on is counted up to `to`. `None` when no visit touches it. Quantiles are interpolated linearly.
pub fn dwell(spans: &[Span], from_ms: i64, to_ms: i64, is_clipped: bool, bands: &[DwellBand]) -> Option<Dwell> {
    let mut dwells_ms: Vec<i64> = spans
        .iter()
        .filter(|span| span.touches(from_ms, to_ms))
        .map(|span| {
            if is_clipped { span.inside_ms(from_ms, to_ms) } else { span.exited_ms.unwrap_or(to_ms) - span.entered_ms }
        })
        .collect();
    dwells_ms.sort_unstable();
    let max_ms = *dwells_ms.last()?;
    let mut histogram = vec![0; HISTOGRAM_EDGES_S.len()];
    let mut in_bands = vec![0; bands.len()];
    let mut unbanded = 0;
    for dwell_ms in &dwells_ms {
        // Ranges and bands are in whole seconds: 300.9 s is still within 1-300.
        let whole_s = dwell_ms / 1000;
        histogram[HISTOGRAM_EDGES_S.partition_point(|edge| *edge <= whole_s) - 1] += 1;
        match bands.iter().position(|band| band.from_s <= whole_s && band.to_s.is_none_or(|to| whole_s <= to)) {
            Some(place) => in_bands[place] += 1,
            None => unbanded += 1,
        }
    }
    Some(Dwell {
        count: dwells_ms.len() as u64,
        mean_s: dwells_ms.iter().sum::<i64>() as f64 / dwells_ms.len() as f64 / 1000.0,
        median_s: quantile_ms(&dwells_ms, 0.5) / 1000.0,
        p90_s: quantile_ms(&dwells_ms, 0.9) / 1000.0,
        p95_s: quantile_ms(&dwells_ms, 0.95) / 1000.0,
        max_s: max_ms as f64 / 1000.0,
        histogram,
        bands: in_bands,
        unbanded,
    })
}

/// Of ascending values, at least one.
fn quantile_ms(ascending: &[i64], q: f64) -> f64 {
    let place = q * (ascending.len() - 1) as f64;
    let (below, above) = (ascending[place.floor() as usize] as f64, ascending[place.ceil() as usize] as f64);
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span(client: u32, entered_ms: i64, exited_ms: impl Into<Option<i64>>) -> Span {
        Span { client, entered_ms, exited_ms: exited_ms.into() }
    }

    #[test]
    fn a_visit_counts_from_its_entry_to_just_before_its_exit() {
        let spans = [span(1, 10, 20), span(2, 20, 30), span(1, 40, 40)];
        let buckets = series(&spans, &[0, 20, 40, 60]);
        let found: Vec<_> =
            buckets.iter().map(|b| (b.min, b.max, b.mean, b.entries, b.exits, b.unique_clients)).collect();
        assert_eq!(found, [(0, 1, 0.5, 1, 0, 1), (0, 1, 0.5, 1, 2, 1), (0, 0, 0.0, 1, 1, 1)]);
    }

    #[test]
    fn overlapping_visits_of_one_client_are_one_stay() {
        let merged =
            merge_by_client(vec![span(1, 0, 10), span(1, 5, None), span(2, 0, 5), span(2, 5, 9), span(2, 12, 13)]);
        assert_eq!(merged, [span(1, 0, None), span(2, 0, 9), span(2, 12, 13)]);
    }

    #[test]
    fn quantiles_are_interpolated_and_bands_count_whole_seconds() {
        let bands = crate::model::settings::default_dwell_bands();
        let spans = [span(1, 0, 300_900), span(2, 0, 1_000_000), span(3, 0, 500)];
        let found = dwell(&spans, 0, 10_000_000, true, &bands).unwrap();
        assert_eq!((found.count, found.median_s, found.max_s), (3, 300.9, 1000.0));
        assert_eq!((found.bands, found.unbanded), (vec![1, 1, 0, 0], 1));
        assert!((found.p90_s - (300.9 + 0.8 * 699.1)).abs() < 1e-9);
        assert_eq!(dwell(&[], 0, 1, true, &bands), None);
    }

    proptest! {
        /// Against counting at every single millisecond.
        #[test]
        fn peaks_and_time_over_a_limit_agree_with_counting_every_instant(
            raw in prop::collection::vec((0u32..5, 0i64..100, prop::option::of(0i64..40)), 0..30),
            cuts in prop::collection::btree_set(-10i64..150, 2..8), limit in 0i64..4,
        ) {
            let spans: Vec<Span> = raw.iter().map(|(c, a, d)| span(*c, *a, d.map(|d| a + d))).collect();
            let bounds: Vec<i64> = cuts.into_iter().collect();
            let at = |t: i64| spans.iter().filter(|s| s.entered_ms <= t && t < s.end_ms()).count() as u64;
            let mut expected = Vec::new();
            for pair in bounds.windows(2) {
                let (from_ms, to_ms) = (pair[0], pair[1]);
                let max = (from_ms..to_ms).map(at).max().unwrap();
                if max > 0 {
                    let at_ms = (from_ms..to_ms).find(|t| at(*t) == max).unwrap();
                    let until_ms = (at_ms..to_ms).find(|t| at(*t) != max).unwrap_or(to_ms);
                    expected.push(Peak { from_ms, to_ms, max, at_ms, until_ms });
                }
            }
            expected.sort_by_key(|peak| (std::cmp::Reverse(peak.max), peak.at_ms));
            let found = peaks(&spans, &bounds);
            prop_assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert_eq!((found.max, found.at_ms, found.from_ms), (expected.max, expected.at_ms, expected.from_ms));
                // A step that changes nothing may cut a level short, never lengthen it.
                prop_assert!(found.until_ms > found.at_ms && found.until_ms <= expected.until_ms);
            }
            let (from_ms, to_ms) = (bounds[0], bounds[bounds.len() - 1]);
            let over = (from_ms..to_ms).filter(|t| at(*t) as i64 > limit).count() as i64;
            prop_assert_eq!(over_limit_ms(&spans, from_ms, to_ms, limit), over);
        }

        /// Against counting at every single millisecond.
        #[test]
        fn a_series_agrees_with_counting_every_instant(
            raw in prop::collection::vec((0u32..5, 0i64..100, prop::option::of(0i64..40)), 0..30),
            cuts in prop::collection::btree_set(-10i64..150, 2..8),
        ) {
            let spans: Vec<Span> = raw.iter().map(|(c, a, d)| span(*c, *a, d.map(|d| a + d))).collect();
            let bounds: Vec<i64> = cuts.into_iter().collect();
            for bucket in series(&spans, &bounds) {
                let (from, to) = (bucket.from_ms, bucket.to_ms);
                let at = |t: i64| spans.iter().filter(|s| s.entered_ms <= t && t < s.end_ms()).count() as u64;
                let counts: Vec<u64> = (from..to).map(at).collect();
                prop_assert_eq!(bucket.min, *counts.iter().min().unwrap());
                prop_assert_eq!(bucket.max, *counts.iter().max().unwrap());
                prop_assert!((bucket.mean - counts.iter().sum::<u64>() as f64 / counts.len() as f64).abs() < 1e-9);
                let within = |t: i64| (from..to).contains(&t);
                prop_assert_eq!(bucket.entries, spans.iter().filter(|s| within(s.entered_ms)).count() as u64);
                prop_assert_eq!(bucket.exits, spans.iter().filter(|s| s.exited_ms.is_some_and(within)).count() as u64);
                let seen: BTreeSet<u32> = spans
                    .iter()
                    .filter(|s| (from..to).any(|t| s.entered_ms <= t && t < s.end_ms())
                        || s.exited_ms == Some(s.entered_ms) && within(s.entered_ms))
                    .map(|s| s.client)
                    .collect();
                prop_assert_eq!(bucket.unique_clients, seen.len() as u64);
            }
        }
    }
}
