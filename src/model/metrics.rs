//! Occupancy and dwell of a window, from the visits that touch it. Pure functions; times are Unix milliseconds.
//!
//! A visit [a, b) counts at t when a <= t < b. One of zero length counts as a visit, never as occupancy.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::grouping::{self, both};
use super::settings::DwellBand;

/// A visit as far as counting goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub client: u32,
    pub entered_ms: i64,
    /// Beyond all time while it goes on: months have millions of these, and moving them takes longer than counting.
    end_ms: i64,
}

impl Span {
    /// A visit that goes on has no exit.
    pub fn new(client: u32, entered_ms: i64, exited_ms: Option<i64>) -> Span {
        Span { client, entered_ms, end_ms: exited_ms.unwrap_or(i64::MAX) }
    }

    pub fn exited_ms(&self) -> Option<i64> {
        (self.end_ms < i64::MAX).then_some(self.end_ms)
    }

    /// Whether any of it lies in [from, to); one of zero length does when its instant does.
    pub fn touches(&self, from_ms: i64, to_ms: i64) -> bool {
        let is_instant = self.end_ms == self.entered_ms;
        self.entered_ms < to_ms && (self.end_ms > from_ms || is_instant && self.entered_ms >= from_ms)
    }

    /// Milliseconds of it inside [from, to).
    fn inside_ms(&self, from_ms: i64, to_ms: i64) -> i64 {
        (self.end_ms.min(to_ms) - self.entered_ms.max(from_ms)).max(0)
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

impl Bucket {
    fn empty(from_ms: i64, to_ms: i64) -> Bucket {
        Bucket { from_ms, to_ms, min: 0, max: 0, mean: 0.0, entries: 0, exits: 0, unique_clients: 0 }
    }
}

/// Turns the visits of several areas into stays: a client in two overlapping or touching visits is there once.
pub fn merge_by_client(spans: Vec<Span>) -> Vec<Span> {
    let spans = by_client(&spans);
    if spans.len() < grouping::SHARED_MIN {
        return stays(&spans);
    }
    let half = spans[spans.len() / 2].client;
    let (first, second) = spans.split_at(spans.partition_point(|span| span.client < half));
    let (mut first, second) = both(|| stays(first), || stays(second));
    first.extend(second);
    first
}

/// The stays of visits that are together by client.
fn stays(spans: &[Span]) -> Vec<Span> {
    let mut stays: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans.iter().copied() {
        match stays.last_mut() {
            Some(stay) if stay.client == span.client && span.entered_ms <= stay.end_ms => {
                if span.end_ms > stay.end_ms {
                    stay.end_ms = span.end_ms;
                }
            }
            _ => stays.push(span),
        }
    }
    stays
}

/// Each client's spans together, by entry.
fn by_client(spans: &[Span]) -> Cow<'_, [Span]> {
    grouping::by_client(spans, |span| span.client, |span| (span.entered_ms, span.end_ms))
}

/// The bucket of each instant: `None` before the first bound, and from the last on.
struct Buckets<'a> {
    bounds: &'a [i64],
    /// Buckets a millisecond, were all equally long: almost right where a day has 23 or 25 hours.
    density: f64,
}

impl Buckets<'_> {
    fn new(bounds: &[i64]) -> Buckets<'_> {
        let length_ms = bounds.last().zip(bounds.first()).map_or(0, |(last, first)| last - first);
        Buckets { bounds, density: bounds.len().saturating_sub(1) as f64 / length_ms.max(1) as f64 }
    }

    fn of(&self, at_ms: i64) -> Option<usize> {
        let (first, last) = (*self.bounds.first()?, *self.bounds.last()?);
        if at_ms < first || at_ms >= last {
            return None;
        }
        let mut place = (((at_ms - first) as f64 * self.density) as usize).min(self.bounds.len() - 2);
        while self.bounds[place] > at_ms {
            place -= 1;
        }
        while self.bounds[place + 1] <= at_ms {
            place += 1;
        }
        Some(place)
    }
}

/// The buckets between each two neighbouring `bounds`, which ascend.
///
/// O(v + b) for v visits and b buckets where visits come almost in order, and O(v b) only where visits are longer than
/// buckets.
pub fn series(spans: &[Span], bounds: &[i64]) -> Vec<Bucket> {
    series_and_total(spans, bounds).0
}

/// The same, and all of it as one bucket.
pub fn series_and_total(spans: &[Span], bounds: &[i64]) -> (Vec<Bucket>, Bucket) {
    let Counted { buckets, inside_ms, unique_clients } = counted(spans, bounds, &mut []);
    let total = total(&buckets, inside_ms.iter().sum(), unique_clients);
    (buckets, total)
}

/// A series, all of it as one bucket, and the clients just before its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub buckets: Vec<Bucket>,
    pub total: Bucket,
    pub current: u64,
}

impl Series {
    pub fn of(spans: &[Span], bounds: &[i64]) -> Series {
        let (buckets, total) = series_and_total(spans, bounds);
        let current = bounds.last().map_or(0, |to_ms| current(spans, *to_ms));
        Series { buckets, total, current }
    }
}

/// A bucket, and what it takes to make a total of several.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub bucket: Bucket,
    pub inside_ms: i64,
    /// Ascending.
    pub clients: Vec<u32>,
}

/// The buckets of a series, which depend on nothing but the visits that touch or border on each.
pub fn parts(spans: &[Span], bounds: &[i64]) -> Vec<Part> {
    let mut clients = vec![Vec::new(); bounds.len().saturating_sub(1)];
    let Counted { buckets, inside_ms, .. } = counted(spans, bounds, &mut clients);
    let parts = buckets.into_iter().zip(inside_ms).zip(clients);
    parts.map(|((bucket, inside_ms), clients)| Part { bucket, inside_ms, clients }).collect()
}

/// A series from its buckets, and all of it as one bucket.
pub fn joined(parts: &[Arc<Part>]) -> (Vec<Bucket>, Bucket) {
    let buckets: Vec<Bucket> = parts.iter().map(|part| part.bucket.clone()).collect();
    // A bit for each client: their numbers lie close together.
    let most = parts.iter().filter_map(|part| part.clients.last()).max().map_or(0, |most| *most as usize + 1);
    let mut seen = vec![0u64; most.div_ceil(64)];
    for client in parts.iter().flat_map(|part| &part.clients) {
        seen[*client as usize / 64] |= 1 << (client % 64);
    }
    let unique_clients = seen.iter().map(|bits| u64::from(bits.count_ones())).sum();
    let total = total(&buckets, parts.iter().map(|part| part.inside_ms).sum(), unique_clients);
    (buckets, total)
}

fn total(buckets: &[Bucket], inside_ms: i64, unique_clients: u64) -> Bucket {
    let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else { return Bucket::empty(0, 0) };
    Bucket {
        min: buckets.iter().map(|bucket| bucket.min).min().unwrap_or(0),
        max: buckets.iter().map(|bucket| bucket.max).max().unwrap_or(0),
        mean: inside_ms as f64 / (last.to_ms - first.from_ms).max(1) as f64,
        entries: buckets.iter().map(|bucket| bucket.entries).sum(),
        exits: buckets.iter().map(|bucket| bucket.exits).sum(),
        unique_clients,
        ..Bucket::empty(first.from_ms, last.to_ms)
    }
}

/// Clients at an instant just before `to_ms`, of the visits that touch a window that ends there.
pub fn current(spans: &[Span], to_ms: i64) -> u64 {
    let is_there = |span: &&Span| span.entered_ms < to_ms && span.end_ms >= to_ms && span.end_ms != span.entered_ms;
    spans.iter().filter(is_there).count() as u64
}

struct Counted {
    buckets: Vec<Bucket>,
    /// Milliseconds spent in each.
    inside_ms: Vec<i64>,
    /// Of all of them.
    unique_clients: u64,
}

/// Of many visits, two threads do the half each. Into `clients`, unless it is empty, go those of each bucket, ascending.
fn counted(spans: &[Span], bounds: &[i64], clients: &mut [Vec<u32>]) -> Counted {
    let is_shared = spans.len() >= grouping::SHARED_MIN;
    let (mut counted, changes) = if is_shared {
        let (changes, counted) = both(|| Changes::of(spans), || visits_by_bucket(spans, bounds, clients));
        (counted, changes)
    } else {
        (visits_by_bucket(spans, bounds, clients), Changes::of(spans))
    };
    let Counted { buckets, inside_ms, .. } = &mut counted;
    let half = if is_shared { buckets.len() / 2 } else { 0 };
    let (first, second) = buckets.split_at_mut(half);
    if is_shared {
        both(|| levels_by_bucket(&changes, first), || levels_by_bucket(&changes, second));
    } else {
        levels_by_bucket(&changes, second);
    }
    for (bucket, inside_ms) in buckets.iter_mut().zip(inside_ms) {
        bucket.mean = *inside_ms as f64 / (bucket.to_ms - bucket.from_ms) as f64;
    }
    counted
}

/// The least and the most clients of each bucket.
fn levels_by_bucket(changes: &Changes, buckets: &mut [Bucket]) {
    let Some(first) = buckets.first() else { return };
    let mut levels = changes.levels(first.from_ms);
    for bucket in buckets {
        let mut level = levels.at(bucket.from_ms);
        (bucket.min, bucket.max) = (level, level);
        while let Some(next) = levels.step_before(bucket.to_ms) {
            level = next;
            bucket.min = bucket.min.min(level);
            bucket.max = bucket.max.max(level);
        }
    }
}

/// Entries, exits and clients of each bucket.
fn visits_by_bucket(spans: &[Span], bounds: &[i64], clients: &mut [Vec<u32>]) -> Counted {
    let of = Buckets::new(bounds);
    let mut buckets: Vec<Bucket> = bounds.windows(2).map(|pair| Bucket::empty(pair[0], pair[1])).collect();
    let (begin_ms, end_ms) = (bounds.first().copied().unwrap_or(0), bounds.last().copied().unwrap_or(0));
    let mut unique_clients = 0;
    let mut inside_ms = vec![0i64; buckets.len()];
    // The last bucket that counts this client already.
    let (mut client, mut counted) = (None, None);
    for span in by_client(spans).iter() {
        if let Some(place) = of.of(span.entered_ms) {
            buckets[place].entries += 1;
        }
        if let Some(place) = span.exited_ms().and_then(|exited_ms| of.of(exited_ms)) {
            buckets[place].exits += 1;
        }
        if !span.touches(begin_ms, end_ms) {
            continue;
        }
        if client != Some(span.client) {
            (client, counted) = (Some(span.client), None);
            unique_clients += 1;
        }
        let first = of.of(span.entered_ms.max(begin_ms)).unwrap_or(0);
        for (place, bucket) in buckets.iter_mut().enumerate().skip(first) {
            if !span.touches(bucket.from_ms, bucket.to_ms) {
                break;
            }
            inside_ms[place] += span.inside_ms(bucket.from_ms, bucket.to_ms);
            if counted.is_none_or(|counted| counted < place) {
                bucket.unique_clients += 1;
                counted = Some(place);
                if let Some(clients) = clients.get_mut(place) {
                    clients.push(span.client);
                }
            }
        }
    }
    Counted { buckets, inside_ms, unique_clients }
}

/// When clients come and go, each ascending; those of no length left out.
struct Changes {
    entries_ms: Vec<i64>,
    exits_ms: Vec<i64>,
}

impl Changes {
    fn of(spans: &[Span]) -> Changes {
        let lasting = || spans.iter().filter(|span| span.end_ms > span.entered_ms);
        Changes {
            entries_ms: grouping::ascending(lasting().map(|span| span.entered_ms).collect()),
            exits_ms: grouping::ascending(lasting().filter_map(Span::exited_ms).collect()),
        }
    }

    /// The levels from an instant on.
    fn levels(&self, from_ms: i64) -> Levels<'_> {
        let before = |instants: &[i64]| instants.partition_point(|at_ms| *at_ms < from_ms);
        Levels {
            entries_ms: &self.entries_ms,
            exits_ms: &self.exits_ms,
            entered: before(&self.entries_ms),
            exited: before(&self.exits_ms),
            at_ms: i64::MIN,
        }
    }
}

/// How many there are, from one instant to the next at which that may change.
struct Levels<'a> {
    entries_ms: &'a [i64],
    exits_ms: &'a [i64],
    entered: usize,
    exited: usize,
    /// When the last change was.
    at_ms: i64,
}

impl Levels<'_> {
    fn level(&self) -> u64 {
        (self.entered - self.exited) as u64
    }

    /// The level at an instant not before the last one asked for.
    fn at(&mut self, at_ms: i64) -> u64 {
        while self.entries_ms.get(self.entered).is_some_and(|entry_ms| *entry_ms <= at_ms) {
            self.entered += 1;
        }
        while self.exits_ms.get(self.exited).is_some_and(|exit_ms| *exit_ms <= at_ms) {
            self.exited += 1;
        }
        self.level()
    }

    /// Goes on to the next change before `to_ms`.
    fn step_before(&mut self, to_ms: i64) -> Option<u64> {
        let next = [self.entries_ms.get(self.entered), self.exits_ms.get(self.exited)];
        let next_ms = next.into_iter().flatten().min().copied().filter(|next_ms| *next_ms < to_ms)?;
        self.at_ms = next_ms;
        Some(self.at(next_ms))
    }
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

/// Instants at which the level may change, and the level from then on.
fn steps(spans: &[Span]) -> Vec<(i64, i64)> {
    let changes = Changes::of(spans);
    let mut levels = changes.levels(i64::MIN);
    let mut steps = Vec::new();
    while let Some(level) = levels.step_before(i64::MAX) {
        steps.push((levels.at_ms, level as i64));
    }
    steps
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
            if pair[0] > span.end_ms {
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

/// How long the visits lasted that touch [from, to): the part inside it, or with `is_clipped` false all of each. What goes on
/// is counted up to `to`.
#[derive(Debug)]
pub struct Dwells {
    from_ms: i64,
    to_ms: i64,
    is_clipped: bool,
    dwells_ms: Vec<i64>,
    clients: Option<FxHashSet<u32>>,
}

impl Dwells {
    /// Of no visit yet, with room for some. Clients are only counted where that is asked for.
    pub fn new(from_ms: i64, to_ms: i64, is_clipped: bool, with_clients: bool, room: usize) -> Dwells {
        let clients = with_clients.then(FxHashSet::default);
        Dwells { from_ms, to_ms, is_clipped, dwells_ms: Vec::with_capacity(room), clients }
    }

    pub fn take(&mut self, span: &Span) {
        if !span.touches(self.from_ms, self.to_ms) {
            return;
        }
        self.dwells_ms.push(match self.is_clipped {
            true => span.inside_ms(self.from_ms, self.to_ms),
            false => span.exited_ms().unwrap_or(self.to_ms) - span.entered_ms,
        });
        if let Some(clients) = &mut self.clients {
            clients.insert(span.client);
        }
    }

    /// The same of further visits.
    pub fn and(mut self, other: Dwells) -> Dwells {
        self.dwells_ms.extend(other.dwells_ms);
        if let (Some(clients), Some(more)) = (&mut self.clients, other.clients) {
            clients.extend(more);
        }
        self
    }

    /// Whose visits they are, where that was asked for.
    pub fn unique_clients(&self) -> Option<u64> {
        self.clients.as_ref().map(|clients| clients.len() as u64)
    }

    /// `None` of no visit. Quantiles are interpolated linearly. O(v).
    pub fn dwell(self, bands: &[DwellBand]) -> Option<Dwell> {
        let dwells_ms = grouping::ascending(self.dwells_ms);
        let max_ms = *dwells_ms.last()?;
        let mean_s = dwells_ms.iter().sum::<i64>() as f64 / dwells_ms.len() as f64 / 1000.0;
        let quantile_s = |q: f64| {
            let place = q * (dwells_ms.len() - 1) as f64;
            let (below, above) = (dwells_ms[place.floor() as usize] as f64, dwells_ms[place.ceil() as usize] as f64);
            (below + (above - below) * place.fract()) / 1000.0
        };
        let shorter = |than_s: i64| dwells_ms.partition_point(|ms| ms / 1000 < than_s);
        // Ranges and bands are in whole seconds: 300.9 s is still within 1-300.
        let between = |from_s: i64, to_s: Option<&i64>| {
            (to_s.map_or(dwells_ms.len(), |to_s| shorter(*to_s)) - shorter(from_s)) as u64
        };
        let histogram = HISTOGRAM_EDGES_S
            .iter()
            .enumerate()
            .map(|(place, from_s)| between(*from_s, HISTOGRAM_EDGES_S.get(place + 1)));
        // Bands may overlap: what is in two is the first one's.
        let mut edges_s: Vec<i64> = bands.iter().map(|band| band.from_s).collect();
        edges_s.extend(bands.iter().filter_map(|band| band.to_s).map(|to_s| to_s.saturating_add(1)));
        edges_s.push(0);
        edges_s.sort_unstable();
        edges_s.dedup();
        let (mut in_bands, mut unbanded) = (vec![0; bands.len()], 0);
        for (place, from_s) in edges_s.iter().enumerate() {
            let is_in = |band: &DwellBand| band.from_s <= *from_s && band.to_s.is_none_or(|to_s| *from_s <= to_s);
            let band = bands.iter().position(is_in);
            *band.map_or(&mut unbanded, |band| &mut in_bands[band]) += between(*from_s, edges_s.get(place + 1));
        }
        Some(Dwell {
            count: dwells_ms.len() as u64,
            mean_s,
            median_s: quantile_s(0.5),
            p90_s: quantile_s(0.9),
            p95_s: quantile_s(0.95),
            max_s: max_ms as f64 / 1000.0,
            histogram: histogram.collect(),
            bands: in_bands,
            unbanded,
        })
    }
}

/// `None` of nothing. O(n).
pub fn median(values: &mut [i64]) -> Option<f64> {
    let middle = values.len().checked_sub(1)? / 2;
    let is_even = values.len().is_multiple_of(2);
    let (_, below, rest) = values.select_nth_unstable(middle);
    let above = rest.iter().min().filter(|_| is_even).unwrap_or(below);
    Some((*below as f64 + *above as f64) / 2.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dwell(spans: &[Span], from_ms: i64, to_ms: i64, is_clipped: bool, bands: &[DwellBand]) -> Option<Dwell> {
        let mut dwells = Dwells::new(from_ms, to_ms, is_clipped, false, 0);
        spans.iter().for_each(|span| dwells.take(span));
        dwells.dwell(bands)
    }

    fn span(client: u32, entered_ms: i64, exited_ms: impl Into<Option<i64>>) -> Span {
        Span::new(client, entered_ms, exited_ms.into())
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
        #[test]
        fn the_median_is_the_middle_of_sorted_values(mut values in prop::collection::vec(-20i64..20, 1..40)) {
            let found = median(&mut values);
            values.sort();
            let middle = (values.len() - 1) / 2;
            prop_assert_eq!(found, Some((values[middle] + values[values.len() / 2]) as f64 / 2.0));
        }

        #[test]
        fn dwell_counts_each_visit_once(
            raw in prop::collection::vec((0u32..5, 0i64..100_000, prop::option::of(0i64..40_000_000)), 1..40),
            is_clipped: bool, own_bands in prop::collection::vec((0i64..40_000, prop::option::of(0i64..10_000)), 0..4),
        ) {
            let mut bands = crate::model::settings::default_dwell_bands();
            if !own_bands.is_empty() {
                let band = |(from_s, more_s): (i64, Option<i64>)| DwellBand {
                    name: String::new(), from_s, to_s: more_s.map(|more_s| from_s + more_s),
                };
                bands = own_bands.into_iter().map(band).collect();
            }
            let spans: Vec<Span> = raw.iter().map(|(c, a, d)| span(*c, *a, d.map(|d| a + d))).collect();
            let (from_ms, to_ms) = (50_000, 30_000_000);
            let lengths = spans.iter().filter(|span| span.touches(from_ms, to_ms)).map(|span| {
                let end_ms = span.exited_ms().unwrap_or(to_ms);
                if is_clipped { end_ms.min(to_ms) - span.entered_ms.max(from_ms) } else { end_ms - span.entered_ms }
            });
            let mut lengths_ms: Vec<i64> = lengths.collect();
            lengths_ms.sort();
            let whole_s: Vec<i64> = lengths_ms.iter().map(|ms| ms / 1000).collect();
            let Some(found) = dwell(&spans, from_ms, to_ms, is_clipped, &bands) else {
                prop_assert!(whole_s.is_empty());
                return Ok(());
            };
            prop_assert_eq!(found.count, whole_s.len() as u64);
            for (place, from_s) in HISTOGRAM_EDGES_S.iter().enumerate() {
                let to_s = HISTOGRAM_EDGES_S.get(place + 1).copied().unwrap_or(i64::MAX);
                let expected = whole_s.iter().filter(|s| (*from_s..to_s).contains(s)).count() as u64;
                prop_assert_eq!(found.histogram[place], expected);
            }
            let mut expected = vec![0; bands.len() + 1];
            for whole_s in &whole_s {
                let is_in = |band: &DwellBand| band.from_s <= *whole_s && band.to_s.is_none_or(|to_s| *whole_s <= to_s);
                expected[bands.iter().position(is_in).unwrap_or(bands.len())] += 1;
            }
            prop_assert_eq!(Some(found.unbanded), expected.pop());
            prop_assert_eq!(found.bands.iter().sum::<u64>() + found.unbanded, found.count);
            prop_assert_eq!(found.bands, expected);
            for (q, found_s) in [(0.5, found.median_s), (0.9, found.p90_s), (0.95, found.p95_s), (1.0, found.max_s)] {
                let place = q * (lengths_ms.len() - 1) as f64;
                let [below, above] = [place.floor(), place.ceil()].map(|place| lengths_ms[place as usize] as f64);
                prop_assert_eq!(found_s, (below + (above - below) * place.fract()) / 1000.0);
            }
        }

        /// Against counting at every single millisecond.
        #[test]
        fn peaks_and_time_over_a_limit_agree_with_counting_every_instant(
            raw in prop::collection::vec((0u32..5, 0i64..100, prop::option::of(0i64..40)), 0..30),
            cuts in prop::collection::btree_set(-10i64..150, 2..8), limit in 0i64..4,
        ) {
            let spans: Vec<Span> = raw.iter().map(|(c, a, d)| span(*c, *a, d.map(|d| a + d))).collect();
            let bounds: Vec<i64> = cuts.into_iter().collect();
            let at = |t: i64| spans.iter().filter(|s| s.entered_ms <= t && t < s.end_ms).count() as u64;
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
            let (buckets, total) = series_and_total(&spans, &bounds);
            prop_assert_eq!(&total, &series(&spans, &[bounds[0], bounds[bounds.len() - 1]])[0]);
            // Each bucket by itself, of what touches it or borders on it.
            let parts: Vec<Arc<Part>> = bounds
                .windows(2)
                .flat_map(|pair| {
                    let near = |span: &&Span| span.entered_ms < pair[1] && span.end_ms >= pair[0];
                    parts(&spans.iter().filter(near).copied().collect::<Vec<_>>(), pair)
                })
                .map(Arc::new)
                .collect();
            prop_assert_eq!(joined(&parts), (buckets.clone(), total));
            let stays = merge_by_client(spans.clone());
            for pair in bounds.windows(2) {
                let near = |span: &&Span| span.entered_ms < pair[1] && span.end_ms >= pair[0];
                let near = merge_by_client(spans.iter().filter(near).copied().collect());
                prop_assert_eq!(series(&near, pair), series(&stays, pair));
            }
            for bucket in buckets {
                let (from, to) = (bucket.from_ms, bucket.to_ms);
                let at = |t: i64| spans.iter().filter(|s| s.entered_ms <= t && t < s.end_ms).count() as u64;
                let counts: Vec<u64> = (from..to).map(at).collect();
                prop_assert_eq!(bucket.min, *counts.iter().min().unwrap());
                prop_assert_eq!(bucket.max, *counts.iter().max().unwrap());
                prop_assert!((bucket.mean - counts.iter().sum::<u64>() as f64 / counts.len() as f64).abs() < 1e-9);
                let within = |t: i64| (from..to).contains(&t);
                prop_assert_eq!(bucket.entries, spans.iter().filter(|s| within(s.entered_ms)).count() as u64);
                prop_assert_eq!(bucket.exits, spans.iter().filter(|s| s.exited_ms().is_some_and(within)).count() as u64);
                let seen: BTreeSet<u32> = spans
                    .iter()
                    .filter(|s| (from..to).any(|t| s.entered_ms <= t && t < s.end_ms)
                        || s.exited_ms() == Some(s.entered_ms) && within(s.entered_ms))
                    .map(|s| s.client)
                    .collect();
                prop_assert_eq!(bucket.unique_clients, seen.len() as u64);
            }
        }
    }
}
