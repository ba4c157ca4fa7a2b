//! From where to where clients go, and where they stand. Pure functions; times are Unix milliseconds.

use std::iter::Peekable;

use rustc_hash::FxHashMap;

use super::grouping;
use super::metrics::median;

/// A visit as far as going from one area to the next goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub site: i32,
    pub client: i32,
    pub area: i32,
    /// Tells visits apart that began at once.
    pub visit: i64,
    pub entered_ms: i64,
    /// [`STAYS`] while it goes on: of millions of these each byte counts.
    pub exited_ms: i64,
}

impl Step {
    /// A client's visits follow each other so.
    fn order(&self) -> (i64, i64) {
        (self.entered_ms, self.visit)
    }
}

/// Beyond all time: the exit of a visit that goes on.
pub const STAYS: i64 = i64::MAX;

/// How often clients went from one area to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    pub from: i32,
    pub to: i32,
    pub count: u64,
    pub unique_clients: u64,
    /// Between leaving one and entering the other, overlaps as 0; `None` where none had left.
    pub median_gap_ms: Option<f64>,
}

/// Counts flows, one client after the other.
#[derive(Debug)]
pub struct Flows {
    from_ms: i64,
    gap_ms: i64,
    tallies: FxHashMap<(i32, i32), Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    count: u64,
    clients: u64,
    last_client: Option<(i32, i32)>,
    gaps_ms: Vec<i64>,
}

impl Flows {
    /// Counts each two visits of a client, one after the other on one site, no more than `gap_ms` apart, the second not
    /// before `from_ms`.
    pub fn new(from_ms: i64, gap_ms: i64) -> Flows {
        Flows { from_ms, gap_ms, tallies: FxHashMap::default() }
    }

    /// Of visits in any order. O(v) for v of them that come almost in order.
    pub fn of(steps: &[Step], from_ms: i64, gap_ms: i64) -> Flows {
        let order = |step: &Step| (step.site, step.order());
        let mut steps = grouping::by_client(steps, |step| step.client.cast_unsigned(), order).into_owned();
        let mut flows = Flows::new(from_ms, gap_ms);
        steps
            .chunk_by_mut(|one, next| (one.site, one.client) == (next.site, next.client))
            .for_each(|own| flows.take(own));
        flows
    }

    /// Takes all the visits of one client on one site, which it puts in order.
    pub fn take(&mut self, steps: &mut [Step]) {
        if !steps.is_sorted_by_key(Step::order) {
            steps.sort_unstable_by_key(Step::order);
        }
        for pair in steps.windows(2) {
            let (one, next) = (&pair[0], &pair[1]);
            if next.entered_ms < self.from_ms || next.entered_ms.saturating_sub(one.exited_ms) > self.gap_ms {
                continue;
            }
            let tally = self.tallies.entry((one.area, next.area)).or_default();
            tally.count += 1;
            if tally.last_client != Some((one.site, one.client)) {
                tally.clients += 1;
                tally.last_client = Some((one.site, one.client));
            }
            if one.exited_ms != STAYS {
                tally.gaps_ms.push((next.entered_ms - one.exited_ms).max(0));
            }
        }
    }

    /// The same of other clients.
    pub fn and(mut self, other: Flows) -> Flows {
        for (areas, more) in other.tallies {
            let tally = self.tallies.entry(areas).or_default();
            tally.count += more.count;
            tally.clients += more.clients;
            tally.gaps_ms.extend(more.gaps_ms);
        }
        self
    }

    /// In no order.
    pub fn counted(self) -> Vec<Flow> {
        let flow = |((from, to), mut tally): (_, Tally)| Flow {
            from,
            to,
            count: tally.count,
            unique_clients: tally.clients,
            median_gap_ms: median(&mut tally.gaps_ms),
        };
        self.tallies.into_iter().map(flow).collect()
    }
}

/// A square cell, by column and row.
pub type Place = (i32, i32);

/// A fix as far as standing somewhere goes.
#[derive(Clone, Copy, Debug)]
pub struct Stand {
    pub client: i32,
    pub at_ms: i64,
    /// [`ELSEWHERE`] where it is not on the floor that is looked at.
    pub place: Place,
}

/// Beyond all floors: of hundreds of thousands of fixes each byte counts.
pub const ELSEWHERE: Place = (i32::MIN, i32::MIN);

/// Fixes by client, and those of a client by time.
#[derive(Debug)]
pub struct Stands(Vec<Stand>);

impl Stands {
    /// Of fixes in any order; of those at the same instant the one that came first stays before the other. O(n) for n fixes
    /// that come almost in order.
    pub fn of(stands: Vec<Stand>) -> Stands {
        Stands(grouping::by_client_alone(stands, |stand| stand.client.cast_unsigned(), |stand| stand.at_ms))
    }

    /// Those of each client.
    fn by_client(&self) -> Peekable<impl Iterator<Item = &[Stand]>> {
        self.0.chunk_by(|one, next| one.client == next.client).peekable()
    }
}

/// What was in one square cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    pub fixes: u64,
    /// A fix stands until its client's next, anywhere, if that comes in time, and no longer than the window.
    pub stayed_ms: i64,
    pub unique_clients: u64,
}

/// Counts where clients stood, one part of the window after the other: there may be more fixes than fit into memory.
#[derive(Debug)]
pub struct Heat {
    to_ms: i64,
    stay_max_ms: i64,
    /// Which of the cells a place is.
    numbers: FxHashMap<Place, usize>,
    cells: Vec<Tile>,
    /// What the parts so far leave to those that come; none where there is one part.
    left: Option<Left>,
}

#[derive(Debug)]
struct Tile {
    place: Place,
    cell: Cell,
    last_client: Option<i32>,
}

#[derive(Debug, Default)]
struct Left {
    /// Who stood where last, if on the floor: since when, and in which of the cells.
    standing: FxHashMap<i32, (i64, usize)>,
    met: Met,
}

/// Who was in which of the cells, each at least once: the cell's number, and the client's.
#[derive(Debug, Default)]
struct Met {
    pairs: Vec<i64>,
    /// When there are so many, each is brought down to once.
    pairs_max: usize,
}

impl Met {
    fn put(&mut self, number: usize, client: i32) {
        self.pairs.push((number as i64) << 32 | i64::from(client.cast_unsigned()));
    }

    fn settle(&mut self) {
        if self.pairs.len() >= self.pairs_max {
            self.pairs = self.once();
            self.pairs_max = 2 * self.pairs.len() + PAIRS_MIN;
        }
    }

    fn once(&mut self) -> Vec<i64> {
        let mut pairs = grouping::ascending(std::mem::take(&mut self.pairs));
        pairs.dedup();
        pairs
    }
}

/// Fewer are not worth the time.
const PAIRS_MIN: usize = if cfg!(test) { 4 } else { 1_000_000 };

impl Heat {
    /// Counts fixes before `to_ms`, each of which stands until its client's next, if that comes within `stay_max_ms`.
    pub fn new(to_ms: i64, stay_max_ms: i64, parts: i64) -> Heat {
        let left = (parts > 1).then(Left::default);
        Heat { to_ms, stay_max_ms, numbers: FxHashMap::default(), cells: Vec::new(), left }
    }

    /// Takes the next part, of whose fixes none in `later` is before one in `earlier`. Those at the end of the window or after
    /// it only end what stood before. O(n) for n fixes.
    pub fn take(&mut self, earlier: &Stands, later: &Stands) {
        let (mut earlier, mut later) = (earlier.by_client(), later.by_client());
        loop {
            let next = [earlier.peek(), later.peek()].into_iter().flatten().map(|own| own[0].client.cast_unsigned());
            let Some(client) = next.min() else { break };
            let is_own = |own: &&[Stand]| own[0].client.cast_unsigned() == client;
            let own = [earlier.next_if(is_own), later.next_if(is_own)];
            self.take_client(client.cast_signed(), own.into_iter().flatten().flatten());
        }
        if let Some(left) = &mut self.left {
            left.met.settle();
        }
    }

    fn take_client<'a>(&mut self, client: i32, own: impl Iterator<Item = &'a Stand>) {
        let Heat { to_ms, stay_max_ms, numbers, cells, left } = self;
        let mut standing = left.as_mut().and_then(|left| left.standing.remove(&client));
        for stand in own {
            if let Some((since_ms, number)) = standing.take()
                && stand.at_ms - since_ms <= *stay_max_ms
            {
                cells[number].cell.stayed_ms += stand.at_ms.min(*to_ms) - since_ms;
            }
            if stand.place == ELSEWHERE || stand.at_ms >= *to_ms {
                continue;
            }
            let number = *numbers.entry(stand.place).or_insert_with(|| {
                cells.push(Tile { place: stand.place, cell: Cell::default(), last_client: None });
                cells.len() - 1
            });
            standing = Some((stand.at_ms, number));
            let Tile { cell, last_client, .. } = &mut cells[number];
            cell.fixes += 1;
            if last_client.replace(client) != Some(client) {
                match left {
                    Some(left) => left.met.put(number, client),
                    None => cell.unique_clients += 1,
                }
            }
        }
        if let (Some(left), Some(standing)) = (left, standing) {
            left.standing.insert(client, standing);
        }
    }

    /// Cells by row and column.
    pub fn counted(mut self) -> Vec<(Place, Cell)> {
        let met = self.left.map(|mut left| left.met.once()).unwrap_or_default();
        met.iter().for_each(|pair| self.cells[(pair >> 32) as usize].cell.unique_clients += 1);
        let mut cells: Vec<_> = self.cells.into_iter().map(|tile| (tile.place, tile.cell)).collect();
        cells.sort_unstable_by_key(|((column, row), _)| (*row, *column));
        cells
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn heat_is_what_counting_by_hand_gives(
            fixes in prop::collection::vec((0i32..3, 0i64..100, prop::option::of((0i32..3, 0i32..2))), 0..60),
            ends in prop::collection::vec(0usize..60, 1..6),
            to_ms in 0i64..100,
            stay_max_ms in 0i64..30,
        ) {
            // In parts of two halves, each later than the one before; as they come within it.
            let (mut fixes, mut ends) = (fixes, ends);
            ends.extend([0, fixes.len()]);
            ends.iter_mut().for_each(|end| *end = (*end).min(fixes.len()));
            ends.sort_unstable();
            let mut last_ms = 0;
            for half in ends.windows(2) {
                let half = &mut fixes[half[0]..half[1]];
                half.iter_mut().for_each(|(_, at_ms, _)| *at_ms = last_ms.max(*at_ms));
                last_ms = half.iter().map(|(_, at_ms, _)| *at_ms).fold(last_ms, i64::max);
            }
            let stand = |(client, at_ms, place): &(i32, i64, Option<Place>)| {
                Stand { client: *client, at_ms: *at_ms, place: place.unwrap_or(ELSEWHERE) }
            };
            let stands = |half: &[usize]| Stands::of(fixes[half[0]..half[1]].iter().map(stand).collect());
            let halves: Vec<Stands> = ends.windows(2).map(stands).collect();
            let mut heat = Heat::new(to_ms, stay_max_ms, halves.len().div_ceil(2) as i64);
            for part in halves.chunks(2) {
                heat.take(&part[0], part.get(1).unwrap_or(&Stands::of(Vec::new())));
            }
            let found = heat.counted();
            let mut expected: BTreeMap<(i32, i32), (Cell, BTreeSet<i32>)> = BTreeMap::new();
            for (number, (client, at_ms, place)) in fixes.iter().enumerate() {
                let Some((column, row)) = place.filter(|_| *at_ms < to_ms) else { continue };
                // Of fixes at the same instant the one that came first is before the other.
                let follows = |(other, next): &(usize, &(i32, i64, Option<Place>))| {
                    next.0 == *client && (next.1, *other) > (*at_ms, number)
                };
                let next = fixes.iter().enumerate().filter(follows).map(|(_, next)| next.1).min();
                let (cell, clients) = expected.entry((row, column)).or_default();
                cell.fixes += 1;
                if let Some(next_ms) = next && next_ms - at_ms <= stay_max_ms {
                    cell.stayed_ms += next_ms.min(to_ms) - at_ms;
                }
                clients.insert(*client);
                cell.unique_clients = clients.len() as u64;
            }
            let expected: Vec<_> =
                expected.into_iter().map(|((row, column), (cell, _))| ((column, row), cell)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
