//! From where to where clients go, and where they stand. Pure functions; times are Unix milliseconds.

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

/// A fix as far as standing somewhere goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    pub client: i32,
    pub at_ms: i64,
    /// Its cell, where it is on the floor that is looked at.
    pub cell: Option<(i32, i32)>,
}

/// What was in one square cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    pub fixes: u64,
    /// A fix stands until its client's next, anywhere, if that comes in time, and no longer than the window.
    pub stayed_ms: i64,
    pub unique_clients: u64,
}

/// Cells by row and column. Fixes at `to_ms` or later only end what stood before.
pub fn heat(stands: &[Stand], to_ms: i64, stay_max_ms: i64) -> Vec<((i32, i32), Cell)> {
    let stands = grouping::by_client(stands, |stand| stand.client.cast_unsigned(), |stand| stand.at_ms);
    let mut cells: FxHashMap<(i32, i32), (Cell, i32)> = FxHashMap::default();
    for (place, stand) in stands.iter().enumerate() {
        let Some(cell) = stand.cell.filter(|_| stand.at_ms < to_ms) else { continue };
        let next = stands.get(place + 1).filter(|next| next.client == stand.client);
        let stayed_ms = next.map(|next| next.at_ms - stand.at_ms).filter(|stay_ms| *stay_ms <= stay_max_ms);
        let (found, last_client) = cells.entry(cell).or_insert((Cell::default(), i32::MIN));
        found.fixes += 1;
        found.stayed_ms += stayed_ms.map_or(0, |stay_ms| stay_ms.min(to_ms - stand.at_ms));
        if *last_client != stand.client {
            found.unique_clients += 1;
            *last_client = stand.client;
        }
    }
    let mut cells: Vec<_> = cells.into_iter().map(|(place, (cell, _))| (place, cell)).collect();
    cells.sort_unstable_by_key(|((column, row), _)| (*row, *column));
    cells
}
