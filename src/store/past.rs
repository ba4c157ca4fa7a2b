//! Ended visits of past days, kept in memory for questions: months of them take hundreds of milliseconds to read from the
//! file, and hardly any change.
//!
//! Whoever changes visits says beforehand how far back, and days from there on are forgotten. Who used days asks
//! afterwards whether a change reached into them meanwhile, and if so reads the file instead.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};
use std::sync::{Arc, Mutex, MutexGuard};

use duckdb::Connection;
use duckdb::types::Value;
use rustc_hash::FxHashMap;

use super::StoreError;
use super::columns::ask_columns;
use super::recent::Recent;
use super::row;
use super::writer::Drain;
use crate::model::metrics::Part;

pub const DAY_MS: i64 = 86_400_000;

/// For so long after a change that reached into days they are not kept: a history is being sent, and more will come.
const QUIET_MS: i64 = if cfg!(test) { 0 } else { 10_000 };

/// A visit as far as questions go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PastVisit {
    pub site: i32,
    pub client: i32,
    pub entered_ms: i64,
    pub visit: i64,
    /// [`OPEN_MS`] while it goes on.
    pub exited_ms: i64,
    pub area: i32,
    pub source: u8,
    /// As it is stored; without a meaning while the visit goes on.
    pub ended: u8,
    /// [`NO_MAP`] on none.
    pub map: i32,
    pub area_version: i32,
}

/// In place of a map's key.
pub(super) const NO_MAP: i32 = -1;

/// When what goes on ends.
pub(super) const OPEN_MS: i64 = i64::MAX;

impl PastVisit {
    pub fn is_open(&self) -> bool {
        self.exited_ms == OPEN_MS
    }

    pub fn map(&self) -> Option<i32> {
        Some(self.map).filter(|map| *map != NO_MAP)
    }

    /// What it shares with others.
    fn common(&self) -> Common {
        let PastVisit { area, source, ended, map, area_version, .. } = *self;
        Common { area, source, ended, map, area_version }
    }
}

impl From<&row::Visit> for PastVisit {
    fn from(row: &row::Visit) -> PastVisit {
        PastVisit {
            site: row.site_key,
            client: row.client_key,
            entered_ms: row.entered_at.0,
            visit: row.visit_key,
            exited_ms: row.exited_at.0,
            area: row.area_key,
            source: row.source,
            ended: row.ended,
            map: row.map_key.unwrap_or(NO_MAP),
            area_version: row.area_version,
        }
    }
}

impl From<&row::OpenVisit> for PastVisit {
    fn from(row: &row::OpenVisit) -> PastVisit {
        PastVisit {
            site: row.site_key,
            client: row.client_key,
            entered_ms: row.entered_at.0,
            visit: row.visit_key,
            exited_ms: OPEN_MS,
            area: row.area_key,
            source: row.source,
            ended: 0,
            map: row.map_key.unwrap_or(NO_MAP),
            area_version: row.area_version,
        }
    }
}

/// What many visits of a day have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Common {
    area: i32,
    source: u8,
    ended: u8,
    map: i32,
    area_version: i32,
}

/// The visits that ended on one day of UTC, by site, client and entry. 28 bytes each.
#[derive(Debug, Default)]
pub struct Day {
    sites: Vec<OfSite>,
    begin_ms: i64,
    clients: Vec<i32>,
    entered_ms: Vec<i64>,
    visits: Vec<i64>,
    /// Since the day began.
    exited_ms: Vec<u32>,
    /// Which of what their site's visits have in common.
    commons: Vec<u32>,
}

/// Where a site's visits are, and what they have in common.
#[derive(Debug)]
struct OfSite {
    site: i32,
    places: Range<usize>,
    commons: Vec<Common>,
    /// Between which keys their areas are.
    areas: RangeInclusive<i32>,
    /// The earliest entry.
    first_ms: i64,
}

impl OfSite {
    fn bytes(&self) -> usize {
        size_of::<OfSite>() + size_of_val(&self.commons[..])
    }

    /// Of what visits have in common, whether it is asked for.
    fn asked(&self, is_asked_for: impl Fn(i32, u8) -> bool) -> Vec<bool> {
        self.commons.iter().map(|common| is_asked_for(common.area, common.source)).collect()
    }
}

/// More days than this are not looked at.
const DAYS_MAX: usize = 4096;

/// A series of more buckets is not kept: of narrow ones each client would be in many.
const BOUNDS_MAX: usize = 2000;

const RUNS_MAX: usize = 3;

/// Of fewer visits, twice as many days are read at once.
const FEW: usize = 100_000;

/// What a visit takes.
const VISIT_BYTES: usize = 4 + 8 + 8 + 4 + 4;

impl Day {
    fn new(number: i64, mut visits: Vec<PastVisit>) -> Day {
        visits.sort_unstable();
        let begin_ms = number * DAY_MS;
        let (mut sites, mut commons) = (Vec::new(), Vec::with_capacity(visits.len()));
        let mut begin = 0;
        for of_site in visits.chunk_by(|one, next| one.site == next.site) {
            let mut numbers = FxHashMap::default();
            let mut in_common = Vec::new();
            commons.extend(of_site.iter().map(|visit| {
                *numbers.entry(visit.common()).or_insert_with_key(|common| {
                    in_common.push(*common);
                    in_common.len() as u32 - 1
                })
            }));
            let areas = || in_common.iter().map(|common| common.area);
            let areas = areas().min().unwrap_or(0)..=areas().max().unwrap_or(0);
            let first_ms = of_site.iter().map(|visit| visit.entered_ms).min().unwrap_or(begin_ms);
            let places = begin..begin + of_site.len();
            begin = places.end;
            in_common.shrink_to_fit();
            sites.push(OfSite { site: of_site[0].site, places, commons: in_common, areas, first_ms });
        }
        Day {
            sites,
            begin_ms,
            clients: visits.iter().map(|visit| visit.client).collect(),
            entered_ms: visits.iter().map(|visit| visit.entered_ms).collect(),
            visits: visits.iter().map(|visit| visit.visit).collect(),
            exited_ms: visits.iter().map(|visit| (visit.exited_ms - begin_ms) as u32).collect(),
            commons,
        }
    }

    fn bytes(&self) -> usize {
        let of_sites: usize = self.sites.iter().map(OfSite::bytes).sum();
        self.clients.len() * VISIT_BYTES + of_sites + size_of::<Day>()
    }

    /// Sites with visits of the areas between two keys that began before an instant.
    fn sites(&self, between: RangeInclusive<i32>, to_ms: i64) -> impl Iterator<Item = &OfSite> {
        let has = move |of: &&OfSite| of.areas.start() <= between.end() && between.start() <= of.areas.end();
        self.sites.iter().filter(has).filter(move |of| of.first_ms < to_ms)
    }

    /// At least as many as there are visits of the areas between two keys that began before an instant.
    pub fn count(&self, between: RangeInclusive<i32>, to_ms: i64) -> usize {
        self.sites(between, to_ms).map(|of| of.places.len()).sum()
    }

    fn visit(&self, of: &OfSite, at: usize) -> PastVisit {
        let Common { area, source, ended, map, area_version } = of.commons[self.commons[at] as usize];
        PastVisit {
            site: of.site,
            client: self.clients[at],
            entered_ms: self.entered_ms[at],
            visit: self.visits[at],
            exited_ms: self.begin_ms + i64::from(self.exited_ms[at]),
            area,
            source,
            ended,
            map,
            area_version,
        }
    }

    /// Where the visits of clients in a range are among those of a site.
    fn of_clients(&self, of: &OfSite, clients: &RangeInclusive<i32>) -> Range<usize> {
        let own = &self.clients[of.places.clone()];
        let begin = own.partition_point(|client| client < clients.start());
        let end = own.partition_point(|client| client <= clients.end());
        of.places.start + begin..of.places.start + end
    }

    /// The visits of the areas between two keys that are asked for; of a site where none began before an instant, none.
    pub fn each(
        &self,
        between: RangeInclusive<i32>,
        to_ms: i64,
        is_asked_for: impl Fn(i32, u8) -> bool,
        mut take: impl FnMut(PastVisit),
    ) {
        for of in self.sites(between, to_ms) {
            let asked = of.asked(&is_asked_for);
            for at in of.places.clone().filter(|at| asked[self.commons[*at] as usize]) {
                take(self.visit(of, at));
            }
        }
    }

    /// The visits of a client.
    pub fn each_of_client(&self, client: i32, mut take: impl FnMut(PastVisit)) {
        for of in &self.sites {
            self.of_clients(of, &(client..=client)).for_each(|at| take(self.visit(of, at)));
        }
    }
}

/// What is kept.
pub struct Past {
    bytes_max: usize,
    state: Mutex<State>,
    recent: Recent,
}

#[derive(Default)]
struct State {
    /// By number: days since 1970.
    days: BTreeMap<i64, Kept>,
    bytes: usize,
    /// Buckets of settled days.
    series: BTreeMap<Areas, OfAreas>,
    series_bytes: usize,
    /// Days that did not fit beside each other: so many are not asked for again.
    days_max: Option<usize>,
    /// What ended before hardly changes any more.
    settled_ms: Option<i64>,
    /// No visit ended before; none where that is not known.
    first_ms: Option<i64>,
    /// Changes from here on concern no day that anybody may use.
    horizon_ms: Option<i64>,
    /// Where the change that is being made reaches back to.
    changing_since_ms: Option<i64>,
    /// Counts changes before the horizon.
    changes: u64,
    /// What was settled when the last of them began.
    changed_ms: i64,
    /// Counts uses.
    uses: u64,
}

/// The buckets of areas together, by their bounds.
#[derive(Default)]
struct OfAreas {
    parts: BTreeMap<(i64, i64), Arc<Part>>,
    bytes: usize,
    last_use: u64,
}

struct Kept {
    day: Arc<Day>,
    last_use: u64,
}

/// A change that is being made. There is one writer, so there is one at a time. Whatever takes ended visits away or puts some
/// in asks for it.
pub struct Changing<'a> {
    past: &'a Past,
    /// Whether it is not said visit by visit what changed.
    is_any: bool,
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.past.state().changing_since_ms = None;
        if self.is_any {
            self.past.recent.block(false);
        }
    }
}

/// What may be used of the past as long as nothing before its end changes.
#[derive(Clone, Copy)]
struct Mark {
    changes: u64,
    end_ms: i64,
}

/// The days that a view needs, those that are kept.
struct Wanted {
    mark: Mark,
    numbers: Range<i64>,
    /// After these may come later ones, which are kept.
    days: Vec<Option<Arc<Day>>>,
}

/// Days that a question may use.
pub struct View {
    mark: Mark,
    pub days: Vec<Arc<Day>>,
}

impl View {
    /// From where on visits are to be read from the file: those that ended then or later.
    pub fn end_ms(&self) -> i64 {
        self.mark.end_ms
    }
}

/// Areas of which each one source counts.
type Areas = BTreeSet<(i32, u8)>;

/// Buckets of a series, as far as they are known.
pub struct Known {
    mark: Mark,
    areas: Areas,
    pub bounds: Vec<i64>,
    /// The last is never known: it is read for who is there at the end.
    pub parts: Vec<Option<Arc<Part>>>,
}

impl Known {
    /// The places of the buckets that are not known, in runs: few, since each has to be asked for.
    pub fn unknown(&self) -> Vec<Range<usize>> {
        let mut runs: Vec<Range<usize>> = Vec::new();
        for place in (0..self.parts.len()).filter(|place| self.parts[*place].is_none()) {
            match runs.last_mut() {
                Some(run) if run.end == place => run.end += 1,
                _ => runs.push(place..place + 1),
            }
        }
        if runs.len() > RUNS_MAX {
            runs[0].end = runs[runs.len() - 1].end;
            runs.truncate(1);
        }
        runs
    }
}

impl Past {
    pub fn new(bytes_max: usize) -> Past {
        // A quarter beside the days.
        let recent = Recent::new(bytes_max / 4 / (size_of::<PastVisit>() + size_of::<i32>()));
        Past { bytes_max, state: Mutex::default(), recent }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no one panics with the past")
    }

    /// Says that what ended before an instant hardly changes any more; never takes that back. Nothing is kept before that is
    /// said.
    pub fn settle(&self, until_ms: i64) {
        let settled = {
            let mut state = self.state();
            state.settled_ms = state.settled_ms.max(Some(until_ms));
            state.settled_day()
        };
        if let Some(settled) = settled {
            self.recent.settle(settled * DAY_MS);
        }
    }

    /// Says that visits are about to change, and from which instant on: beginnings of visits that begin, ends of those that
    /// end or that go on after all. To be said before the change is committed, and held until it is or never will be.
    pub fn change(&self, since_ms: i64) -> Changing<'_> {
        let mut state = self.state();
        state.changing_since_ms = Some(since_ms);
        if state.horizon_ms.is_some_and(|horizon_ms| since_ms < horizon_ms) {
            state.forget_since(since_ms);
            state.changes += 1;
            state.changed_ms = state.settled_ms.unwrap_or(i64::MIN);
        }
        Changing { past: self, is_any: false }
    }

    /// The same of a change that may concern any visit, and of which no drain tells.
    pub fn change_any(&self) -> Changing<'_> {
        self.recent.block(true);
        let mut change = self.change(i64::MIN);
        change.is_any = true;
        change
    }

    /// Says what came of a drain, before its change is over and anybody is told: it was committed, or nothing is known.
    pub fn came(&self, drain: &Drain, is_committed: bool) {
        match is_committed {
            true => self.recent.take(drain),
            false => self.recent.forget(),
        }
    }

    /// Hands on the visits of the areas between two keys that are asked for, those that had not ended at an instant; `false`:
    /// the file is to be asked.
    pub fn each_recent(
        &self,
        conn: &Connection,
        end_ms: i64,
        between: RangeInclusive<i32>,
        is_asked_for: impl Fn(i32, u8) -> bool,
        take: impl FnMut(PastVisit),
    ) -> Result<bool, StoreError> {
        let Some(settled_ms) = self.settled_ms() else { return Ok(false) };
        self.recent.each(conn, settled_ms, end_ms, between, is_asked_for, take)
    }

    /// Hands on the visits of a client that had not ended at an instant; `false`: the file is to be asked.
    pub fn each_recent_of_client(
        &self,
        conn: &Connection,
        end_ms: i64,
        client: i32,
        take: impl FnMut(PastVisit),
    ) -> Result<bool, StoreError> {
        let Some(settled_ms) = self.settled_ms() else { return Ok(false) };
        self.recent.each_of_client(conn, settled_ms, end_ms, client, take)
    }

    /// Hands on the area of each visit of these areas that is open, and the kind of its client, as it is stored; `false`: the
    /// file is to be asked.
    pub fn each_open(
        &self,
        conn: &Connection,
        between: RangeInclusive<i32>,
        is_asked_for: impl Fn(i32, u8) -> bool,
        take: impl FnMut(i32, u8),
    ) -> Result<bool, StoreError> {
        let Some(settled_ms) = self.settled_ms() else { return Ok(false) };
        self.recent.each_open(conn, settled_ms, between, is_asked_for, take)
    }

    /// Where the first day begins that is not settled.
    pub fn settled_ms(&self) -> Option<i64> {
        Some(self.state().settled_day()? * DAY_MS)
    }

    /// The days on which visits ended that touch [from, to), Unix milliseconds; those that are not kept are read. `None`
    /// where the file is to be read instead.
    pub fn view(&self, conn: &Connection, from_ms: i64, to_ms: i64) -> Result<Option<View>, StoreError> {
        self.view_of(conn, from_ms, to_ms, false)
    }

    /// The same, and all settled days after it where these are kept: then what ended later is known without the file.
    pub fn view_on(&self, conn: &Connection, from_ms: i64, to_ms: i64) -> Result<Option<View>, StoreError> {
        self.view_of(conn, from_ms, to_ms, true)
    }

    /// The same where all of these days are kept: for a question of which the answer is soon found in the file, too.
    pub fn view_if_kept(&self, from_ms: i64, to_ms: i64) -> Option<View> {
        let Wanted { mark, days, .. } = self.begin(from_ms, to_ms, true)?;
        Some(View { mark, days: days.into_iter().collect::<Option<_>>()? })
    }

    fn view_of(&self, conn: &Connection, from_ms: i64, to_ms: i64, goes_on: bool) -> Result<Option<View>, StoreError> {
        let Some(wanted) = self.begin(from_ms, to_ms, goes_on) else { return Ok(None) };
        let Wanted { mark, numbers, days: mut found } = wanted;
        let missing = || numbers.clone().zip(&found).filter(|(_, day)| day.is_none()).map(|(number, _)| number);
        if let (Some(first), Some(last)) = (missing().min(), missing().max()) {
            let Some(read) = self.read(conn, first..last + 1)? else {
                self.state().days_max = Some(numbers.count());
                return Ok(None);
            };
            if !self.keep(mark, numbers.clone().count(), first, &read) {
                return Ok(None);
            }
            for (day, read) in found[(first - numbers.start) as usize..].iter_mut().zip(read) {
                day.get_or_insert(read);
            }
        }
        Ok(Some(View { mark, days: found.into_iter().flatten().collect() }))
    }

    /// An instant before which no visit ended; `None` where none ever did.
    pub fn first_ms(&self, conn: &Connection) -> Result<Option<i64>, StoreError> {
        let mark = {
            let mut state = self.state();
            if state.first_ms.is_some() {
                return Ok(state.first_ms);
            }
            state.settled_ms.and_then(|settled_ms| state.mark(settled_ms))
        };
        let sql = "SELECT epoch_ms(min(exited_at)) FROM store.visits";
        let first_ms: Option<i64> = conn.query_row(sql, [], |row| row.get(0))?;
        let mut state = self.state();
        if let (Some(mark), Some(first_ms)) = (mark, first_ms)
            && state.holds(mark)
        {
            state.first_ms = Some(first_ms.min(mark.end_ms));
        }
        Ok(first_ms)
    }

    fn begin(&self, from_ms: i64, to_ms: i64, goes_on: bool) -> Option<Wanted> {
        let mut state = self.state();
        let settled = state.settled_day()?;
        let first = from_ms.div_euclid(DAY_MS).min(settled);
        let numbers = first..settled.min(to_ms.div_euclid(DAY_MS) + 1).max(first);
        let count = numbers.clone().count();
        if count > DAYS_MAX || state.days_max.is_some_and(|days_max| count >= days_max) {
            return None;
        }
        let later = if goes_on { state.kept_days(numbers.end..settled) } else { Vec::new() };
        let mark = state.mark((numbers.end + later.len() as i64) * DAY_MS)?;
        let last_use = state.uses;
        let day = |number| {
            let kept: &mut Kept = state.days.get_mut(&number)?;
            kept.last_use = last_use;
            Some(kept.day.clone())
        };
        let days = numbers.clone().map(day).chain(later.into_iter().map(Some)).collect();
        Some(Wanted { mark, numbers, days })
    }

    /// Keeps days from a number on, for a view of so many, unless visits changed since; whether they may be used.
    fn keep(&self, mark: Mark, count: usize, first: i64, days: &[Arc<Day>]) -> bool {
        let mut state = self.state();
        if !state.holds(mark) {
            return false;
        }
        let last_use = state.uses;
        for (number, day) in (first..).zip(days) {
            state.bytes += day.bytes();
            if let Some(before) = state.days.insert(number, Kept { day: day.clone(), last_use }) {
                state.bytes -= before.day.bytes();
            }
        }
        while state.bytes > self.bytes_max {
            let oldest =
                state.days.iter().min_by_key(|(_, kept)| kept.last_use).map(|(number, kept)| (*number, kept.last_use));
            let Some((number, used)) = oldest else { break };
            if used == last_use {
                state.days_max = Some(count);
            }
            let gone = state.days.remove(&number).expect("it was found just now");
            state.bytes -= gone.day.bytes();
        }
        true
    }

    /// Days from the file; `None` where there is no room for them.
    fn read(&self, conn: &Connection, numbers: Range<i64>) -> Result<Option<Vec<Arc<Day>>>, StoreError> {
        let sql = "SELECT site_key, client_key, epoch_ms(entered_at), visit_key, epoch_ms(exited_at), area_key, source,
                       ended, coalesce(map_key, -1), area_version
                   FROM store.visits
                   WHERE exited_at >= epoch_ms($1::BIGINT)::TIMESTAMPTZ AND exited_at < epoch_ms($2::BIGINT)::TIMESTAMPTZ";
        let (mut read, mut bytes) = (Vec::new(), 0);
        // A few at a time, since what is between the file and a day takes more than the day.
        let (mut first, mut at_once) = (numbers.start, 4);
        while first < numbers.end {
            let end = numbers.end.min(first + at_once);
            let mut days: Vec<Vec<PastVisit>> = (first..end).map(|_| Vec::new()).collect();
            let params = vec![Value::BigInt(first * DAY_MS), Value::BigInt(end * DAY_MS)];
            let mut visits = 0;
            each_visit(conn, sql, params, |visit| {
                visits += 1;
                days[(visit.exited_ms.div_euclid(DAY_MS) - first) as usize].push(visit);
            })?;
            for (number, visits) in (first..end).zip(days) {
                let day = Day::new(number, visits);
                bytes += day.bytes();
                read.push(Arc::new(day));
            }
            if bytes > self.bytes_max {
                return Ok(None);
            }
            if visits < FEW {
                at_once *= 2;
            }
            first = end;
        }
        Ok(Some(read))
    }

    /// Whether the days of a view are what the file said all the while until now.
    pub fn holds(&self, view: &View) -> bool {
        self.state().holds(view.mark)
    }

    /// What is known of a series of areas, each with the source that counts. `None` where nothing may be known.
    pub fn known(&self, areas: impl Iterator<Item = (i32, u8)>, bounds: &[i64]) -> Option<Known> {
        let mut state = self.state();
        let end_ms = state.settled_day()? * DAY_MS;
        if bounds[0] >= end_ms || bounds.len() > BOUNDS_MAX {
            return None;
        }
        let mark = state.mark(end_ms)?;
        let last_use = state.uses;
        let areas: Areas = areas.collect();
        let series = state.series.get_mut(&areas);
        let part = |series: &mut OfAreas, pair: &[i64]| series.parts.get(&(pair[0], pair[1])).cloned();
        let mut parts: Vec<_> = match series {
            Some(series) => {
                series.last_use = last_use;
                bounds.windows(2).map(|pair| part(series, pair)).collect()
            }
            None => vec![None; bounds.len() - 1],
        };
        if let Some(last) = parts.last_mut() {
            *last = None;
        }
        Some(Known { mark, areas, bounds: bounds.to_vec(), parts })
    }

    /// Keeps what is settled of the buckets, all of which are there now; whether they are what the file said all the while.
    pub fn keep_parts(&self, known: &Known) -> bool {
        let mut state = self.state();
        if !state.holds(known.mark) {
            return false;
        }
        let last_use = state.uses;
        let series = state.series.entry(known.areas.clone()).or_default();
        series.last_use = last_use;
        let last = known.parts.len() - 1;
        // The first and the last are cut by the window, and will be others the next time.
        let settled = known
            .bounds
            .windows(2)
            .zip(&known.parts)
            .enumerate()
            .filter(|(place, (pair, _))| (1..last).contains(place) && pair[1] <= known.mark.end_ms);
        let mut more = 0;
        for (_, (pair, part)) in settled {
            if let Some(part) = part
                && series.parts.insert((pair[0], pair[1]), part.clone()).is_none()
            {
                more += part_bytes(part);
            }
        }
        series.bytes += more;
        state.series_bytes += more;
        while state.series_bytes > self.bytes_max / 4 {
            let oldest = state.series.iter().min_by_key(|(_, series)| series.last_use).map(|(areas, _)| areas.clone());
            let Some(gone) = oldest.and_then(|areas| state.series.remove(&areas)) else { break };
            state.series_bytes -= gone.bytes;
        }
        true
    }
}

impl State {
    /// The number of the first day that is not settled.
    fn settled_day(&self) -> Option<i64> {
        Some(self.settled_ms?.div_euclid(DAY_MS))
    }

    /// Days that are kept; of those one of which is not, none.
    fn kept_days(&self, numbers: Range<i64>) -> Vec<Arc<Day>> {
        let kept = self.days.range(numbers.clone()).map(|(_, kept)| kept.day.clone());
        Some(kept.collect()).filter(|kept: &Vec<_>| kept.len() == numbers.count()).unwrap_or_default()
    }

    /// Begins a use of what ended before an instant; `None` while that changes, or did just now.
    fn mark(&mut self, end_ms: i64) -> Option<Mark> {
        let is_quiet = self.changes == 0 || self.settled_ms?.saturating_sub(self.changed_ms) >= QUIET_MS;
        if !is_quiet || self.changing_since_ms.is_some_and(|since_ms| since_ms < end_ms) {
            return None;
        }
        self.horizon_ms = self.horizon_ms.max(Some(end_ms));
        self.uses += 1;
        Some(Mark { changes: self.changes, end_ms })
    }

    fn holds(&self, mark: Mark) -> bool {
        self.changes == mark.changes && self.changing_since_ms.is_none_or(|since_ms| since_ms >= mark.end_ms)
    }

    fn forget_since(&mut self, since_ms: i64) {
        self.first_ms = self.first_ms.filter(|first_ms| *first_ms <= since_ms);
        let gone = self.days.split_off(&since_ms.div_euclid(DAY_MS));
        self.bytes -= gone.values().map(|kept| kept.day.bytes()).sum::<usize>();
        for series in self.series.values_mut() {
            let gone = series.parts.extract_if(.., |(_, to_ms), _| *to_ms > since_ms);
            let bytes: usize = gone.map(|(_, part)| part_bytes(&part)).sum();
            series.bytes -= bytes;
            self.series_bytes -= bytes;
        }
    }
}

fn part_bytes(part: &Part) -> usize {
    size_of::<Part>() + size_of_val(&part.clients[..])
}

/// The key of a client that parts visits of the areas between two keys in about two halves.
pub fn middle_client(days: &[Arc<Day>], between: &RangeInclusive<i32>) -> i32 {
    let places = days.iter().flat_map(|day| day.sites(between.clone(), i64::MAX).map(move |of| (day, &of.places)));
    let most = places.max_by_key(|(_, places)| places.len());
    most.map_or(0, |(day, places)| day.clients[(places.start + places.end) / 2])
}

/// Hands on the visits of each client of each site together, those of clients in a range and of areas between two keys
/// that are asked for, with `recent` ones, which are in order. Of a client they come by the day on which they ended.
pub fn each_client(
    days: &[Arc<Day>],
    clients: RangeInclusive<i32>,
    between: RangeInclusive<i32>,
    is_asked_for: impl Fn(i32, u8) -> bool,
    recent: &[PastVisit],
    mut take: impl FnMut(&mut Vec<PastVisit>),
) {
    let sites = days.iter().flat_map(|day| day.sites(between.clone(), i64::MAX)).map(|of| of.site);
    let sites: BTreeSet<i32> = sites.chain(recent.iter().map(|visit| visit.site)).collect();
    let mut found = Vec::new();
    for site in sites {
        let begin = recent.partition_point(|visit| visit.site < site);
        let end = recent.partition_point(|visit| visit.site <= site);
        let mut of_site = recent[begin..end].iter().filter(|visit| clients.contains(&visit.client)).peekable();
        let mut places: Vec<(&Day, &OfSite, Vec<bool>, Range<usize>)> = Vec::new();
        for day in days {
            places.extend(
                day.sites(between.clone(), i64::MAX)
                    .filter(|of| of.site == site)
                    .map(|of| (&**day, of, of.asked(&is_asked_for), day.of_clients(of, &clients))),
            );
        }
        loop {
            let next = places.iter().filter(|(.., own)| !own.is_empty()).map(|(day, .., own)| day.clients[own.start]);
            let Some(client) = next.chain(of_site.peek().map(|visit| visit.client)).min() else { break };
            for (day, of, asked, own) in &mut places {
                while own.start < own.end && day.clients[own.start] == client {
                    if asked[day.commons[own.start] as usize] {
                        found.push(day.visit(of, own.start));
                    }
                    own.start += 1;
                }
            }
            found.extend(std::iter::from_fn(|| of_site.next_if(|visit| visit.client == client)));
            take(&mut found);
            found.clear();
        }
    }
}

/// Hands on visits of a question that answers with the members of [`PastVisit`], in order.
pub fn each_visit(
    conn: &Connection,
    sql: &str,
    params: Vec<Value>,
    mut take: impl FnMut(PastVisit),
) -> Result<(), StoreError> {
    ask_columns(conn, sql, params, |batch| {
        let (sites, clients, entered_ms, visits) =
            (batch.integers(0)?, batch.integers(1)?, batch.longs(2)?, batch.longs(3)?);
        let (exited_ms, areas, sources) = (batch.longs(4)?, batch.integers(5)?, batch.bytes(6)?);
        let (ended, maps, versions) = (batch.bytes(7)?, batch.integers(8)?, batch.integers(9)?);
        for row in 0..batch.rows() {
            take(PastVisit {
                site: sites[row],
                client: clients[row],
                entered_ms: entered_ms[row],
                visit: visits[row],
                exited_ms: exited_ms[row],
                area: areas[row],
                source: sources[row],
                ended: ended[row],
                map: maps[row],
                area_version: versions[row],
            });
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conn() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        let sql = "CREATE SCHEMA store;
            CREATE TABLE store.open_visits (visit_key BIGINT, site_key INTEGER, client_key INTEGER, area_key INTEGER,
                source UTINYINT, entered_at TIMESTAMPTZ, map_key INTEGER, area_version INTEGER);
            CREATE TABLE store.visits (visit_key BIGINT, site_key INTEGER, client_key INTEGER, area_key INTEGER,
                source UTINYINT, entered_at TIMESTAMPTZ, exited_at TIMESTAMPTZ, ended UTINYINT, map_key INTEGER,
                area_version INTEGER);
            INSERT INTO store.visits
                SELECT range, 1, range % 7, range % 3, 0, epoch_ms(range * 3600000)::TIMESTAMPTZ,
                    epoch_ms(range * 3600000 + 60000)::TIMESTAMPTZ, 0, NULL, 1
                FROM range(240)";
        conn.execute_batch(sql).unwrap();
        conn
    }

    fn count(view: &View) -> usize {
        let mut count = 0;
        for day in &view.days {
            day.each(0..=9, i64::MAX, |_, _| true, |_| count += 1);
        }
        count
    }

    #[test]
    fn days_are_kept_once_the_past_is_settled() {
        let (conn, past) = (conn(), Past::new(1 << 20));
        assert!(past.view(&conn, 0, 10 * DAY_MS).unwrap().is_none());
        past.settle(8 * DAY_MS + 5);
        let view = past.view(&conn, 2 * DAY_MS, 10 * DAY_MS).unwrap().unwrap();
        assert_eq!((view.end_ms(), count(&view)), (8 * DAY_MS, 6 * 24));
        conn.execute_batch("DELETE FROM store.visits").unwrap();
        assert_eq!(count(&past.view(&conn, 2 * DAY_MS, 3 * DAY_MS - 1).unwrap().unwrap()), 24);
        let none = past.view(&conn, 8 * DAY_MS, 10 * DAY_MS).unwrap().unwrap();
        assert_eq!((none.end_ms(), count(&none)), (8 * DAY_MS, 0));
        // Days 2 to 7 are kept: those after the window come along, as long as each of them is there.
        let on = past.view_on(&conn, 5 * DAY_MS, 6 * DAY_MS - 1).unwrap().unwrap();
        assert_eq!((on.end_ms(), count(&on)), (8 * DAY_MS, 3 * 24));
        past.settle(9 * DAY_MS);
        let on = past.view_on(&conn, 5 * DAY_MS, 6 * DAY_MS - 1).unwrap().unwrap();
        assert_eq!((on.end_ms(), count(&on)), (6 * DAY_MS, 24));
    }

    #[test]
    fn a_change_is_seen_by_whoever_looks_before_during_and_after_it() {
        let (conn, past) = (conn(), Past::new(1 << 20));
        past.settle(8 * DAY_MS);
        let before = past.view(&conn, 0, 10 * DAY_MS).unwrap().unwrap();
        drop(past.change(8 * DAY_MS));
        assert!(past.holds(&before));
        let change = past.change(5 * DAY_MS);
        assert!(!past.holds(&before));
        assert!(past.view(&conn, 0, 10 * DAY_MS).unwrap().is_none());
        let early = past.view(&conn, 0, 2 * DAY_MS).unwrap().unwrap();
        conn.execute_batch("DELETE FROM store.visits WHERE exited_at >= epoch_ms(5 * 86400000)::TIMESTAMPTZ").unwrap();
        drop(change);
        assert!(!past.holds(&before) && past.holds(&early));
        assert_eq!(count(&past.view(&conn, 0, 10 * DAY_MS).unwrap().unwrap()), 5 * 24);
    }

    #[test]
    fn nothing_is_kept_while_anything_may_change() {
        let (conn, past) = (conn(), Past::new(1 << 20));
        past.settle(8 * DAY_MS);
        let change = past.change_any();
        let all = |past: &Past| past.view(&conn, 0, 10 * DAY_MS).unwrap().map(|view| count(&view));
        let recent = |past: &Past| past.each_recent(&conn, 8 * DAY_MS, 0..=9, |_, _| true, |_| {}).unwrap();
        assert_eq!((all(&past), recent(&past)), (None, false));
        conn.execute_batch("DELETE FROM store.visits WHERE visit_key = 1").unwrap();
        drop(change);
        assert_eq!((all(&past), recent(&past)), (Some(8 * 24 - 1), true));
    }

    #[test]
    fn no_more_is_kept_than_may_be() {
        let of_site = size_of::<OfSite>() + 3 * size_of::<Common>();
        let day = Day::new(0, vec![]).bytes() + of_site + 24 * VISIT_BYTES;
        let (conn, past) = (conn(), Past::new(3 * day));
        past.settle(9 * DAY_MS);
        for first in 0..6 {
            let view = past.view(&conn, first * DAY_MS, (first + 2) * DAY_MS - 1).unwrap().unwrap();
            assert_eq!(count(&view), 48);
            assert!(past.state().bytes <= 3 * day && past.state().days.len() <= 3);
        }
        // More than there is room for are left to the file.
        assert!(past.view(&conn, 0, 5 * DAY_MS).unwrap().is_none());
        assert_eq!(past.state().days_max, Some(6));
        assert!(past.view(&conn, i64::MIN / 2, DAY_MS).unwrap().is_none());
        assert!(past.view(&conn, 0, DAY_MS).unwrap().is_some());
    }
}
