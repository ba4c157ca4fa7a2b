//! The newest fixes, kept in memory as the writer commits them: what is asked of them is asked of the last hours, mostly, and
//! to look through a column of memory takes a tenth of what it takes to have it read from the file.
//!
//! They are read once they were asked for, beside whoever asks, and from then on whatever a drain brought is taken in once it is
//! committed and before anybody is told so. Whoever deletes fixes has them forgotten.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use duckdb::Connection;
use duckdb::types::Value;

use super::StoreError;
use super::columns::{ask_columns, each_place};
use super::kept_up::KeptUp;
use super::row;

/// A fix as it is stored, its site, map and client by their keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StoredFix {
    pub at_ms: i64,
    pub site: i32,
    pub map: i32,
    pub client: i32,
    pub x_mm: i32,
    pub y_mm: i32,
    pub rssi_dbm: Option<f32>,
    pub is_late: bool,
    pub is_off_map: bool,
}

impl From<&row::Fix> for StoredFix {
    fn from(fix: &row::Fix) -> StoredFix {
        StoredFix {
            at_ms: fix.event_at.0,
            site: fix.site_key,
            map: fix.map_key,
            client: fix.client_key,
            x_mm: fix.x_mm,
            y_mm: fix.y_mm,
            rssi_dbm: fix.rssi_dbm,
            is_late: fix.is_late,
            is_off_map: fix.is_off_map,
        }
    }
}

/// Asks for fixes and the delivery that each came with; `which` are conditions, an order, a limit.
pub(super) fn ask_fixes(
    conn: &Connection,
    which: &str,
    params: Vec<Value>,
    mut take: impl FnMut(i64, StoredFix),
) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT delivery_key, event_at, site_key, map_key, client_key, x_mm, y_mm, rssi_dbm, is_late, is_off_map
         FROM store.fixes {which}"
    );
    ask_columns(conn, &sql, params, |batch| {
        let (deliveries, at) = (batch.longs(0)?, batch.times(1)?);
        let (sites, maps, clients) = (batch.integers(2)?, batch.integers(3)?, batch.integers(4)?);
        let (x_mm, y_mm, rssi_dbm) = (batch.integers(5)?, batch.integers(6)?, batch.floats(7)?);
        let (is_late, is_off_map) = (batch.flags(8)?, batch.flags(9)?);
        for row in 0..batch.rows() {
            let fix = StoredFix {
                at_ms: at.ms(row),
                site: sites[row],
                map: maps[row],
                client: clients[row],
                x_mm: x_mm[row],
                y_mm: y_mm[row],
                rssi_dbm: rssi_dbm.or_null(row),
                is_late: is_late.value(row),
                is_off_map: is_off_map.value(row),
            };
            take(deliveries[row], fix);
        }
        Ok(())
    })
}

/// What is kept.
pub struct RecentFixes {
    fixes_max: usize,
    is_wanted: AtomicBool,
    newest: KeptUp<Newest, row::Fix>,
}

/// All fixes that came with deliveries after one, in the order in which they were committed.
#[derive(Debug)]
struct Newest {
    blocks: VecDeque<Arc<Block>>,
    fixes: usize,
    /// What came with deliveries up to this one is in the file only.
    through: i64,
    /// None of that is later.
    stored_max_ms: i64,
}

/// So many fixes, and those that came with the last of them in one drain: then it is let go as a whole.
const BLOCK_FIXES: usize = if cfg!(test) { 4 } else { 1 << 16 };

/// What a fix takes.
pub(super) const FIX_BYTES: usize = 8 + 6 * 4 + 1;

/// Fixes column by column, those of a delivery all in one.
#[derive(Clone, Debug)]
struct Block {
    /// The last delivery that any of them came with.
    through: i64,
    earliest_ms: i64,
    latest_ms: i64,
    at_ms: Vec<i64>,
    sites: Vec<i32>,
    maps: Vec<i32>,
    clients: Vec<i32>,
    x_mm: Vec<i32>,
    y_mm: Vec<i32>,
    /// Not a number where there is none.
    rssi_dbm: Vec<f32>,
    flags: Vec<u8>,
}

impl Default for Block {
    fn default() -> Block {
        let integers = || Vec::with_capacity(BLOCK_FIXES);
        Block {
            through: 0,
            earliest_ms: i64::MAX,
            latest_ms: i64::MIN,
            at_ms: Vec::with_capacity(BLOCK_FIXES),
            sites: integers(),
            maps: integers(),
            clients: integers(),
            x_mm: integers(),
            y_mm: integers(),
            rssi_dbm: Vec::with_capacity(BLOCK_FIXES),
            flags: Vec::with_capacity(BLOCK_FIXES),
        }
    }
}

const LATE: u8 = 1;
const OFF_MAP: u8 = 2;

/// Fixes as they were at one moment.
#[derive(Debug)]
pub(super) struct View {
    blocks: Vec<Arc<Block>>,
    /// What came with deliveries up to this one is in the file only.
    pub through: i64,
    /// None of that is later.
    stored_max_ms: i64,
}

/// While it is held fixes may be deleted.
#[must_use]
pub struct Deleting<'a> {
    fixes: &'a RecentFixes,
    through: i64,
}

impl Drop for Deleting<'_> {
    fn drop(&mut self) {
        // Who reads meanwhile may find some of them.
        self.fixes.forget_through(self.through);
    }
}

impl RecentFixes {
    /// At most so many are kept.
    pub fn new(fixes_max: usize) -> RecentFixes {
        RecentFixes { fixes_max, is_wanted: AtomicBool::default(), newest: KeptUp::new(fixes_max) }
    }

    /// Says what came of the fixes of a drain, before anybody is told: they were committed, or nothing is known.
    pub fn came(&self, fixes: &[row::Fix], is_committed: bool) {
        if fixes.is_empty() {
            return;
        }
        match is_committed {
            true => self.newest.came(fixes.iter().cloned(), |newest| newest.take(fixes, self.fixes_max)),
            false => self.newest.forget(),
        }
    }

    /// Says that fixes are about to be deleted that came with deliveries up to one. To be held until they are or never will be.
    pub fn delete(&self, through: i64) -> Deleting<'_> {
        self.forget_through(through);
        Deleting { fixes: self, through }
    }

    fn forget_through(&self, through: i64) {
        self.newest.forget_unless(|newest| newest.through >= through);
    }

    /// What there is now. Where none are kept they are wanted from now on.
    pub(super) fn view(&self) -> View {
        self.newest.look(Newest::view).unwrap_or_else(|| {
            if self.newest.is_nothing() {
                self.is_wanted.store(true, Ordering::Relaxed);
            }
            View::of_file()
        })
    }

    /// Whether somebody asked in vain since they were read last.
    pub fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }

    /// Reads them, unless they are there. Costs a scan of them.
    pub fn load(&self, conn: &Connection) -> Result<(), StoreError> {
        self.is_wanted.store(false, Ordering::Relaxed);
        self.newest.load(|| Newest::stored(conn, self.fixes_max), |newest, since| newest.with(&since, self.fixes_max))
    }
}

impl Newest {
    fn new(through: i64) -> Newest {
        Newest { blocks: VecDeque::new(), fixes: 0, through, stored_max_ms: i64::MIN }
    }

    /// What the file has, up to about so many. Costs a scan of them.
    fn stored(conn: &Connection, fixes_max: usize) -> Result<Newest, StoreError> {
        let one = |sql: &str| -> Result<Option<i64>, StoreError> { Ok(conn.query_row(sql, [], |row| row.get(0))?) };
        let Some(last) = one("SELECT max(delivery_key) FROM store.fixes")? else { return Ok(Newest::new(0)) };
        // Looked for among the newest: to tell the last row of all takes a look at each.
        let last_row = one(&format!("SELECT max(rowid) FROM store.fixes WHERE delivery_key >= {last}"))?;
        let first_row = last_row.map_or(0, |last_row| last_row + 1 - fixes_max as i64);
        let first = format!("SELECT delivery_key FROM store.fixes WHERE rowid >= {first_row} LIMIT 1");
        let through = one(&format!("SELECT min(delivery_key) - 1 FROM ({first})"))?.unwrap_or(last);
        let mut newest = Newest::new(through);
        let (mut few, mut delivery) = (Vec::new(), through);
        ask_fixes(conn, "WHERE delivery_key > $1", vec![Value::BigInt(through)], |next, fix| {
            if next > delivery && few.len() >= BLOCK_FIXES {
                newest.add(delivery, few.drain(..).as_slice().iter().copied());
            }
            delivery = next;
            few.push(fix);
        })?;
        if !few.is_empty() {
            newest.add(delivery, few.iter().copied());
        }
        let earliest_ms = newest.blocks.iter().map(|block| block.earliest_ms).min();
        if let Some(earliest_ms) = earliest_ms {
            // What else there is that late; the rest of the file need not be looked at.
            let sql = "SELECT epoch_ms(max(event_at)) FROM store.fixes
                       WHERE delivery_key <= $1 AND event_at >= epoch_ms($2::BIGINT)::TIMESTAMPTZ";
            let latest: Option<i64> = conn.query_row(sql, [through, earliest_ms], |row| row.get(0))?;
            newest.stored_max_ms = latest.unwrap_or(earliest_ms - 1);
        }
        Ok(newest)
    }

    fn with(mut self, since: &[row::Fix], fixes_max: usize) -> Newest {
        self.take(since, fixes_max);
        self
    }

    /// Takes in what is committed, as far as it was not in the file already when that was read.
    fn take(&mut self, fixes: &[row::Fix], fixes_max: usize) {
        // Drains come one after another, and each as a whole.
        let known = self.blocks.back().map_or(self.through, |block| block.through);
        let fixes = &fixes[fixes.partition_point(|fix| fix.delivery_key <= known)..];
        let Some(last) = fixes.last() else { return };
        self.add(last.delivery_key, fixes.iter().map(StoredFix::from));
        while self.fixes > fixes_max
            && let Some(block) = self.blocks.pop_front()
        {
            self.fixes -= block.at_ms.len();
            self.through = block.through;
            self.stored_max_ms = self.stored_max_ms.max(block.latest_ms);
        }
    }

    /// Adds fixes that came with deliveries after those before, the last of them with `through`.
    fn add(&mut self, through: i64, fixes: impl ExactSizeIterator<Item = StoredFix> + Clone) {
        self.fixes += fixes.len();
        let is_full = self.blocks.back().is_none_or(|block| block.at_ms.len() >= BLOCK_FIXES);
        if is_full {
            self.blocks.push_back(Arc::default());
        }
        if let Some(block) = self.blocks.back_mut() {
            // A copy where somebody looks at it just now.
            Arc::make_mut(block).add(through, fixes);
        }
    }

    fn view(&self) -> View {
        View { blocks: self.blocks.iter().cloned().collect(), through: self.through, stored_max_ms: self.stored_max_ms }
    }
}

impl Block {
    fn add(&mut self, through: i64, fixes: impl Iterator<Item = StoredFix> + Clone) {
        self.through = through;
        let before = self.at_ms.len();
        // One column after another, each without a look at whether there is room for every fix.
        self.at_ms.extend(fixes.clone().map(|fix| fix.at_ms));
        self.sites.extend(fixes.clone().map(|fix| fix.site));
        self.maps.extend(fixes.clone().map(|fix| fix.map));
        self.clients.extend(fixes.clone().map(|fix| fix.client));
        self.x_mm.extend(fixes.clone().map(|fix| fix.x_mm));
        self.y_mm.extend(fixes.clone().map(|fix| fix.y_mm));
        self.rssi_dbm.extend(fixes.clone().map(|fix| fix.rssi_dbm.unwrap_or(f32::NAN)));
        self.flags.extend(fixes.map(|fix| u8::from(fix.is_late) * LATE + u8::from(fix.is_off_map) * OFF_MAP));
        for at_ms in &self.at_ms[before..] {
            self.earliest_ms = self.earliest_ms.min(*at_ms);
            self.latest_ms = self.latest_ms.max(*at_ms);
        }
    }

    fn fix(&self, row: usize) -> StoredFix {
        StoredFix {
            at_ms: self.at_ms[row],
            site: self.sites[row],
            map: self.maps[row],
            client: self.clients[row],
            x_mm: self.x_mm[row],
            y_mm: self.y_mm[row],
            rssi_dbm: Some(self.rssi_dbm[row]).filter(|rssi_dbm| !rssi_dbm.is_nan()),
            is_late: self.flags[row] & LATE != 0,
            is_off_map: self.flags[row] & OFF_MAP != 0,
        }
    }
}

impl View {
    /// Everything is in the file.
    pub fn of_file() -> View {
        View { blocks: Vec::new(), through: i64::MAX, stored_max_ms: i64::MAX }
    }

    /// The part of [from, to), Unix milliseconds, of which there are fixes in the file that are not here: of these the file
    /// is to be asked, for what came with deliveries up to `through`.
    pub fn stored(&self, from_ms: i64, to_ms: i64) -> Option<(i64, i64)> {
        let to_ms = to_ms.min(self.stored_max_ms.saturating_add(1));
        (from_ms < to_ms).then_some((from_ms, to_ms))
    }

    /// Hands on the fixes of a site in [from, to), in the order in which they were committed. Those in the file only came before.
    pub fn of_site(&self, from_ms: i64, to_ms: i64, site: i32, take: impl FnMut(StoredFix)) {
        self.each(from_ms, to_ms, |block| &block.sites, &[site], take);
    }

    /// The same of clients.
    pub fn of_clients(&self, from_ms: i64, to_ms: i64, clients: &[i32], take: impl FnMut(StoredFix)) {
        self.each(from_ms, to_ms, |block| &block.clients, clients, take);
    }

    fn each(
        &self,
        from_ms: i64,
        to_ms: i64,
        column: fn(&Block) -> &[i32],
        keys: &[i32],
        mut take: impl FnMut(StoredFix),
    ) {
        let blocks = self.blocks.iter().filter(|block| block.latest_ms >= from_ms && block.earliest_ms < to_ms);
        for block in blocks {
            each_place(column(block), keys, |row| {
                if (from_ms..to_ms).contains(&block.at_ms[row]) {
                    take(block.fix(row));
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::ids::ClientKey;
    use crate::store::heatmap::{self, HeatmapFilter};
    use crate::store::kept_areas::Ground;
    use crate::store::restore::RuleSettings;
    use crate::store::row::Instant;
    use crate::store::track;
    use crate::store::writer::{Drain, Writer};
    use crate::store::{Store, StoreOptions};

    /// What happens, one after another.
    #[derive(Clone, Debug)]
    enum Step {
        /// Some fixes are committed, of as many deliveries as there are lists of instants.
        Drain(Vec<Vec<i64>>),
        /// A drain fails.
        Fail,
        /// Somebody begins to read what is kept, ...
        Begin,
        /// ... has read the file, ...
        Read,
        /// ... and is done.
        Finish,
        /// What came with all but the last so many deliveries is deleted, as a retention does it.
        Delete(i64),
        /// A client is erased.
        Erase(i32),
        /// Somebody reads what is kept, all at once.
        Load,
        Ask {
            from_ms: i64,
            for_ms: i64,
        },
    }

    fn step() -> impl Strategy<Value = Step> {
        let instants = prop::collection::vec(0_i64..100, 1..6);
        prop_oneof![
            6 => prop::collection::vec(instants, 1..4).prop_map(Step::Drain),
            1 => Just(Step::Fail),
            2 => Just(Step::Begin),
            2 => Just(Step::Read),
            2 => Just(Step::Finish),
            3 => Just(Step::Load),
            2 => (0_i64..8).prop_map(Step::Delete),
            1 => (0..CLIENTS).prop_map(Step::Erase),
            6 => (0_i64..100, 1_i64..100).prop_map(|(from_ms, for_ms)| Step::Ask { from_ms, for_ms }),
        ]
    }

    const CLIENTS: i32 = 3;

    /// Of 40 fixes about 10 are kept.
    struct World {
        store: Store,
        writer: Writer,
        recent: RecentFixes,
        deliveries: i64,
        reading: Option<(u64, Option<Newest>)>,
        _dir: tempfile::TempDir,
    }

    impl World {
        fn new() -> World {
            let dir = tempfile::TempDir::new().unwrap();
            let path = dir.path().join("fixes.duckdb");
            let store = Store::open(&StoreOptions { path, memory_limit: None, threads: None }).unwrap();
            let writer = Writer::new(&store).unwrap();
            World { store, writer, recent: RecentFixes::new(10), deliveries: 0, reading: None, _dir: dir }
        }

        fn take(&mut self, step: Step) {
            match step {
                Step::Drain(deliveries) => {
                    let mut fixes = Vec::new();
                    for instants in deliveries {
                        self.deliveries += 1;
                        let own = instants.iter().enumerate();
                        fixes.extend(own.map(|(place, at_ms)| fix(self.deliveries, place as i32, *at_ms)));
                    }
                    self.writer.commit(&Drain { fixes: fixes.clone(), ..Drain::default() }).unwrap();
                    self.recent.came(&fixes, true);
                }
                Step::Fail => self.recent.came(&[fix(self.deliveries + 1, 0, 0)], false),
                Step::Begin => {
                    self.reading = self.recent.newest.begin().map(|read| (read, None)).or(self.reading.take())
                }
                Step::Read => {
                    let found = self.store.read(|conn| Newest::stored(conn, 10)).unwrap();
                    if let Some((_, newest)) = &mut self.reading {
                        *newest = Some(found);
                    }
                }
                Step::Finish => {
                    if let Some((read, found)) = self.reading.take() {
                        self.recent.newest.finish(read, found, |newest, since| newest.with(&since, 10));
                    }
                }
                Step::Delete(but_the_last) => {
                    let through = self.deliveries - but_the_last;
                    self.delete(through, &format!("delivery_key <= {through}"));
                }
                Step::Erase(client) => self.delete(i64::MAX, &format!("client_key = {client}")),
                Step::Load => self.store.read(|conn| self.recent.load(conn)).unwrap(),
                Step::Ask { from_ms, for_ms } => self.check(from_ms, from_ms + for_ms),
            }
        }

        fn delete(&mut self, through: i64, condition: &str) {
            let sql = format!("DELETE FROM store.fixes WHERE {condition}");
            let deleting = self.recent.delete(through);
            self.writer.in_transaction(|conn| Ok(conn.execute_batch(&sql)?)).unwrap();
            drop(deleting);
        }

        /// Of a window there is here and in the file what the file has alone.
        fn check(&self, from_ms: i64, to_ms: i64) {
            self.store
                .read(|conn| {
                    let stored = |from_ms: i64, to_ms: i64, through: i64| {
                        let which = "WHERE epoch_ms(event_at) >= $1 AND epoch_ms(event_at) < $2 AND delivery_key <= $3";
                        let mut fixes = Vec::new();
                        let params = [from_ms, to_ms, through].map(Value::BigInt);
                        ask_fixes(conn, which, params.into(), |_, fix| fixes.push(fix)).unwrap();
                        fixes
                    };
                    let expected = stored(from_ms, to_ms, i64::MAX);
                    let view = self.recent.view();
                    let there = view.stored(from_ms, to_ms);
                    let mut found = there.map_or(Vec::new(), |(from_ms, to_ms)| stored(from_ms, to_ms, view.through));
                    view.of_clients(from_ms, to_ms, &[0, 1, 2], |fix| found.push(fix));
                    assert_eq!(found, expected);
                    let kept = view.blocks.iter().map(|block| block.at_ms.len()).sum::<usize>();
                    assert!(kept < 10 + LARGEST, "{kept} are kept");
                    let (mut own, mut there) = (Vec::new(), Vec::new());
                    view.of_site(from_ms, to_ms, 1, |fix| own.push(fix));
                    view.of_clients(from_ms, to_ms, &[0, 1, 2], |fix| there.push(fix));
                    there.retain(|fix| fix.site == 1);
                    assert_eq!(own, there);
                    Ok(())
                })
                .unwrap();
        }
    }

    /// The most fixes of a delivery, and a block that is not full before it.
    const LARGEST: usize = 6 + BLOCK_FIXES;

    fn fix(delivery_key: i64, place: i32, at_ms: i64) -> row::Fix {
        row::Fix {
            delivery_key,
            received_at: Instant(at_ms),
            site_key: place % 2,
            map_key: 7,
            client_key: place % CLIENTS,
            event_at: Instant(at_ms),
            x_mm: place,
            y_mm: -place,
            rssi_dbm: (place % 2 == 0).then_some(-50.5),
            is_late: at_ms % 3 == 0,
            is_off_map: at_ms % 5 == 0,
            is_received_time: false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn what_is_kept_and_what_is_stored_besides_are_all_fixes(steps in prop::collection::vec(step(), 1..40)) {
            let mut world = World::new();
            for step in steps {
                world.take(step);
            }
            world.check(0, 300);
            world.check(40, 60);
            world.take(Step::Load);
            world.check(30, 70);
        }
    }

    #[test]
    fn what_was_committed_while_the_file_was_read_is_taken_in_once() {
        let mut world = World::new();
        world.take(Step::Drain(vec![vec![1, 2]]));
        world.take(Step::Begin);
        // The file had this, ...
        world.take(Step::Drain(vec![vec![3]]));
        world.take(Step::Read);
        // ... and not this.
        world.take(Step::Drain(vec![vec![4]]));
        world.take(Step::Finish);
        world.check(0, 10);
        assert_eq!(world.recent.view().stored(1, 10), None);
        // Told of once more: what was committed before the file was read may be.
        world.recent.came(&[fix(2, 0, 3)], true);
        world.check(0, 10);
    }

    #[test]
    fn ways_and_heat_maps_are_of_what_is_kept_and_what_is_stored_besides() {
        let mut world = World::new();
        let rules = RuleSettings::default();
        let ground = Ground { map: 7, site: Some(0), width_m: None, height_m: None, rules };
        let answers = |store: &Store| {
            let found = store.read(|conn| {
                let way = track::track(conn, store, &[ClientKey(0), ClientKey(2)], 3, 95, 30)?;
                let (client_kind, is_randomised) = (None, None);
                let filter =
                    HeatmapFilter { from_ms: 3, to_ms: 95, client_kind, is_randomised, cell_mm: 2, stay_max_ms: 20 };
                Ok(format!("{way:?} {:?}", heatmap::heatmap(conn, store, &ground, &filter)?))
            });
            found.unwrap()
        };
        for drain in 0..12 {
            let instants = |place: i64| (drain * 37 + place * 11) % 100;
            world.take(Step::Drain(vec![(0..5).map(instants).collect(), (5..9).map(instants).collect()]));
        }
        // A quarter of them is kept.
        let store = &world.store;
        let of_file = answers(store);
        assert!(store.fixes().is_wanted());
        store.read(|conn| store.fixes().load(conn)).unwrap();
        assert!(!store.fixes().is_wanted());
        assert!(of_file.contains("CellRow") && of_file.contains("TrackRow"));
        assert_eq!(answers(store), of_file);
        assert!(!store.fixes().is_wanted());
    }

    #[test]
    fn what_was_deleted_while_the_file_was_read_is_not_kept() {
        let mut world = World::new();
        world.take(Step::Drain(vec![vec![1, 2, 3]]));
        world.take(Step::Begin);
        world.take(Step::Read);
        world.take(Step::Erase(0));
        world.take(Step::Finish);
        world.check(0, 10);
    }
}
