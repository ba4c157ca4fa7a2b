//! Visits that belong to no settled day: those that ended since, and those that are open. They are kept in memory as the
//! writer commits them, since to plan a question for them takes the file longer than all the rest of a short answer.
//!
//! They are read when they are first asked for, and from then on whatever a drain did is taken in once it is committed and
//! before anybody is told so. Whoever changes visits in another way has them forgotten.

use std::ops::RangeInclusive;
use std::sync::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use duckdb::Connection;
use duckdb::types::Value;
use rustc_hash::{FxHashMap, FxHashSet};

use super::StoreError;
use super::columns::{ask_columns, each_place};
use super::past::{PastVisit, each_visit};
use super::writer::Drain;

/// What is kept.
pub(super) struct Recent {
    visits_max: usize,
    state: RwLock<State>,
    /// Kinds of clients by their keys, as far as they were asked for: they never change, and a key is given once.
    kinds: Mutex<Vec<u8>>,
}

#[derive(Default)]
struct State {
    kept: Kept,
    /// Visits are being changed, and it will not be said which.
    is_blocked: bool,
    /// Counts how often they were read.
    reads: u64,
}

#[derive(Default)]
enum Kept {
    #[default]
    Nothing,
    /// They are being read from an instant on; this was committed since that began.
    Awaited {
        read: u64,
        since_ms: i64,
        since: Vec<Moved>,
    },
    There(Visits),
    /// From an instant on there are more than are kept.
    TooMany {
        since_ms: i64,
    },
}

/// What a read of the file came to.
enum Found {
    Visits(Vec<PastVisit>),
    TooMany,
    /// It failed.
    Nothing,
}

/// Where a visit stands after a drain.
#[derive(Clone, Copy)]
struct Moved {
    visit: PastVisit,
    /// Whether it had ended before.
    had_ended: bool,
}

struct Visits {
    /// Of ended visits there are those that ended since.
    since_ms: i64,
    areas: FxHashMap<i32, OfArea>,
    count: usize,
}

#[derive(Default)]
struct OfArea {
    /// In the order in which they ended, mostly.
    ended: Vec<PastVisit>,
    /// Whose they are, to look through for one client.
    clients: Vec<i32>,
    open: FxHashMap<i64, PastVisit>,
}

/// The end of the year 9999, Unix milliseconds: whatever began is before it.
const FAR_MS: i64 = 253_402_300_799_999;

impl Recent {
    pub fn new(visits_max: usize) -> Recent {
        Recent { visits_max, state: RwLock::default(), kinds: Mutex::default() }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect("no one panics with the recent visits")
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().expect("no one panics with the recent visits")
    }

    /// Takes in what a drain did, which is committed.
    pub fn take(&self, drain: &Drain) {
        if drain.visits.is_empty() && drain.open_visits.is_empty() {
            return;
        }
        let mut state = self.write();
        let state = &mut *state;
        let had_ended: FxHashSet<i64> = drain.no_longer_ended.iter().map(|key| key.0).collect();
        let visits = drain.visits.iter().map(PastVisit::from).chain(drain.open_visits.iter().map(PastVisit::from));
        let moved = visits.map(|visit| Moved { visit, had_ended: had_ended.contains(&visit.visit) });
        match &mut state.kept {
            Kept::Nothing | Kept::TooMany { .. } => {}
            Kept::Awaited { since, since_ms, .. } => {
                since.extend(moved);
                if since.len() > self.visits_max {
                    state.kept = Kept::TooMany { since_ms: *since_ms };
                }
            }
            Kept::There(visits) => {
                moved.for_each(|moved| visits.take(moved));
                if visits.count > self.visits_max {
                    state.kept = Kept::TooMany { since_ms: visits.since_ms };
                }
            }
        }
    }

    pub fn forget(&self) {
        self.write().kept = Kept::Nothing;
    }

    /// Says whether visits are being changed without a drain. What is known is forgotten, and nothing is read meanwhile.
    pub fn block(&self, is_blocked: bool) {
        let mut state = self.write();
        state.is_blocked = is_blocked;
        state.kept = Kept::Nothing;
    }

    /// What ended before an instant is no longer recent. Where there were too many they are read again.
    pub fn settle(&self, since_ms: i64) {
        let is_due = match &self.read().kept {
            Kept::There(visits) => visits.since_ms < since_ms,
            Kept::TooMany { since_ms: before_ms } => *before_ms < since_ms,
            Kept::Nothing | Kept::Awaited { .. } => false,
        };
        if !is_due {
            return;
        }
        let mut state = self.write();
        match &mut state.kept {
            Kept::There(visits) => visits.settle(since_ms),
            _ => state.kept = Kept::Nothing,
        }
    }

    /// Hands on the visits of the areas between two keys that are asked for, those that had not ended at an instant; `false`:
    /// the file is to be asked. Where none are kept yet they are read, from `since_ms` on.
    pub fn each(
        &self,
        conn: &Connection,
        since_ms: i64,
        end_ms: i64,
        between: RangeInclusive<i32>,
        is_asked_for: impl Fn(i32, u8) -> bool,
        mut take: impl FnMut(PastVisit),
    ) -> Result<bool, StoreError> {
        let state = self.kept(conn, since_ms)?;
        let Kept::There(visits) = &state.kept else { return Ok(false) };
        if end_ms < visits.since_ms {
            return Ok(false);
        }
        for of in visits.of(between) {
            let ended = of.ended.iter().filter(|visit| visit.exited_ms >= end_ms);
            let asked = ended.chain(of.open.values()).filter(|visit| is_asked_for(visit.area, visit.source));
            asked.copied().for_each(&mut take);
        }
        Ok(true)
    }

    /// Hands on the visits of a client that had not ended at an instant; `false`: the file is to be asked.
    pub fn each_of_client(
        &self,
        conn: &Connection,
        since_ms: i64,
        end_ms: i64,
        client: i32,
        mut take: impl FnMut(PastVisit),
    ) -> Result<bool, StoreError> {
        let state = self.kept(conn, since_ms)?;
        let Kept::There(visits) = &state.kept else { return Ok(false) };
        if end_ms < visits.since_ms {
            return Ok(false);
        }
        for of in visits.areas.values() {
            each_place(&of.clients, &[client], |place| {
                let visit = of.ended[place];
                if visit.exited_ms >= end_ms {
                    take(visit);
                }
            });
            of.open.values().filter(|visit| visit.client == client).copied().for_each(&mut take);
        }
        Ok(true)
    }

    /// Hands on the area of each visit that is open, and the kind of its client, as it is stored; `false`: the file is to be
    /// asked.
    pub fn each_open(
        &self,
        conn: &Connection,
        since_ms: i64,
        between: RangeInclusive<i32>,
        is_asked_for: impl Fn(i32, u8) -> bool,
        mut take: impl FnMut(i32, u8),
    ) -> Result<bool, StoreError> {
        let open: Vec<(i32, i32)> = {
            let state = self.kept(conn, since_ms)?;
            let Kept::There(visits) = &state.kept else { return Ok(false) };
            let open = visits.of(between).flat_map(|of| of.open.values());
            open.filter(|visit| is_asked_for(visit.area, visit.source))
                .map(|visit| (visit.area, visit.client))
                .collect()
        };
        let place = |client: i32| usize::try_from(client).unwrap_or_default();
        let most = open.iter().map(|(_, client)| place(*client)).max();
        let mut kinds = self.kinds.lock().expect("no one panics with the kinds");
        if most.is_some_and(|most| most >= kinds.len()) {
            let sql = "SELECT client_key, kind FROM store.clients WHERE client_key >= ? ORDER BY client_key";
            ask_columns(conn, sql, vec![Value::BigInt(kinds.len() as i64)], |batch| {
                let (clients, of_clients) = (batch.integers(0)?, batch.bytes(1)?);
                for row in 0..batch.rows() {
                    kinds.resize(place(clients[row]), 0);
                    kinds.push(of_clients[row]);
                }
                Ok(())
            })?;
        }
        for (area, client) in open {
            take(area, kinds.get(place(client)).copied().unwrap_or_default());
        }
        Ok(true)
    }

    /// What is kept, once it was read if there is nothing.
    fn kept(&self, conn: &Connection, since_ms: i64) -> Result<RwLockReadGuard<'_, State>, StoreError> {
        let is_nothing = matches!(self.read().kept, Kept::Nothing);
        if is_nothing {
            self.ask(conn, since_ms)?;
        }
        Ok(self.read())
    }

    /// Reads what is there, unless somebody does so already.
    fn ask(&self, conn: &Connection, since_ms: i64) -> Result<(), StoreError> {
        let Some(read) = self.begin(since_ms) else { return Ok(()) };
        let stored = self.stored(conn, since_ms);
        let (found, done) = match stored {
            Ok(Some(visits)) => (Found::Visits(visits), Ok(())),
            Ok(None) => (Found::TooMany, Ok(())),
            Err(error) => (Found::Nothing, Err(error)),
        };
        self.finish(read, found);
        done
    }

    /// The number of a read that begins now.
    fn begin(&self, since_ms: i64) -> Option<u64> {
        let mut state = self.write();
        if state.is_blocked || !matches!(state.kept, Kept::Nothing) {
            return None;
        }
        state.reads += 1;
        state.kept = Kept::Awaited { read: state.reads, since_ms, since: Vec::new() };
        Some(state.reads)
    }

    /// Keeps what a read found, with what was committed since it began; unless it was forgotten meanwhile.
    fn finish(&self, read: u64, found: Found) {
        let mut state = self.write();
        let (since_ms, since) = match &mut state.kept {
            Kept::Awaited { read: awaited, since_ms, since } if *awaited == read => (*since_ms, std::mem::take(since)),
            _ => return,
        };
        state.kept = match found {
            Found::Nothing => Kept::Nothing,
            Found::TooMany => Kept::TooMany { since_ms },
            Found::Visits(stored) => {
                let mut kept = Visits { since_ms, areas: FxHashMap::default(), count: 0 };
                // Of these the file may have said what they were before, or after.
                let moved: FxHashSet<i64> = since.iter().map(|moved| moved.visit.visit).collect();
                let as_they_were = stored.into_iter().filter(|visit| !moved.contains(&visit.visit));
                as_they_were.for_each(|visit| kept.take(Moved { visit, had_ended: false }));
                since.into_iter().for_each(|moved| kept.take(moved));
                Kept::There(kept)
            }
        };
    }

    /// What the file has; `None` where that are more than are kept.
    fn stored(&self, conn: &Connection, since_ms: i64) -> Result<Option<Vec<PastVisit>>, StoreError> {
        let count = "SELECT (SELECT count(*) FROM store.open_visits) + count(*) FROM store.visits
                     WHERE exited_at >= epoch_ms($1::BIGINT)::TIMESTAMPTZ";
        let count: i64 = conn.query_row(count, [since_ms], |row| row.get(0))?;
        if usize::try_from(count).is_ok_and(|count| count > self.visits_max) {
            return Ok(None);
        }
        let mut visits = Vec::with_capacity(count as usize);
        let params = vec![
            Value::BigInt(since_ms),
            Value::BigInt(FAR_MS),
            Value::Null,
            Value::Int(i32::MIN),
            Value::Int(i32::MAX),
        ];
        each_visit(conn, include_str!("sql/recent_visits.sql"), params, |visit| visits.push(visit))?;
        Ok(Some(visits))
    }
}

impl Visits {
    fn of(&self, between: RangeInclusive<i32>) -> impl Iterator<Item = &OfArea> {
        self.areas.iter().filter(move |(area, _)| between.contains(area)).map(|(_, of)| of)
    }

    fn take(&mut self, Moved { visit, had_ended }: Moved) {
        let OfArea { ended, clients, open } = self.areas.entry(visit.area).or_default();
        let before = ended.len() + open.len();
        if had_ended && let Some(place) = ended.iter().rposition(|other| other.visit == visit.visit) {
            ended.remove(place);
            clients.remove(place);
        }
        if visit.is_open() {
            open.insert(visit.visit, visit);
        } else {
            open.remove(&visit.visit);
            if visit.exited_ms >= self.since_ms {
                ended.push(visit);
                clients.push(visit.client);
            }
        }
        self.count = self.count + ended.len() + open.len() - before;
    }

    fn settle(&mut self, since_ms: i64) {
        self.since_ms = since_ms;
        for of in self.areas.values_mut() {
            of.ended.retain(|visit| visit.exited_ms >= since_ms);
            of.clients = of.ended.iter().map(|visit| visit.client).collect();
        }
        self.areas.retain(|_, of| !(of.ended.is_empty() && of.open.is_empty()));
        self.count = self.areas.values().map(|of| of.ended.len() + of.open.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::VisitKey;
    use crate::store::row::{self, Instant};

    fn open(key: i64, entered_ms: i64) -> row::OpenVisit {
        row::OpenVisit {
            visit_key: key,
            site_key: 1,
            map_key: None,
            area_key: 1 + key as i32 % 2,
            area_version: 1,
            client_key: 1,
            source: 0,
            entered_at: Instant(entered_ms),
        }
    }

    fn ended(key: i64, entered_ms: i64, exited_ms: i64) -> row::Visit {
        let row::OpenVisit { visit_key, site_key, area_key, entered_at, .. } = open(key, entered_ms);
        row::Visit {
            visit_key,
            site_key,
            map_key: None,
            area_key,
            area_version: 1,
            client_key: 1,
            source: 0,
            entered_at,
            exited_at: Instant(exited_ms),
            ended: 0,
            clock_after: None,
        }
    }

    /// Visits with their ends, of those that had not ended at an instant.
    fn found(recent: &Recent, end_ms: i64) -> Option<Vec<(i64, i64)>> {
        let conn = Connection::open_in_memory().unwrap();
        let mut found = Vec::new();
        let take = |visit: PastVisit| found.push((visit.visit, visit.exited_ms));
        let is_known = recent.each(&conn, 0, end_ms, 1..=2, |_, _| true, take).unwrap();
        found.sort_unstable();
        is_known.then_some(found)
    }

    /// A drain in which visit 1 goes on after all, 2 ends, 3 begins, 4 ended otherwise, and 5 begins and ends.
    fn drain() -> Drain {
        Drain {
            no_longer_ended: vec![VisitKey(1), VisitKey(4)],
            no_longer_open: vec![VisitKey(2)],
            open_visits: vec![open(1, 10), open(3, 30)],
            visits: vec![ended(2, 20, 60), ended(4, 40, 70), ended(5, 50, 80)],
            ..Drain::default()
        }
    }

    const AFTER: [(i64, i64); 5] = [(1, i64::MAX), (2, 60), (3, i64::MAX), (4, 70), (5, 80)];

    fn before() -> Vec<PastVisit> {
        let ended = [ended(1, 10, 55), ended(4, 40, 65)];
        ended.iter().map(PastVisit::from).chain([PastVisit::from(&open(2, 20))]).collect()
    }

    fn after() -> Vec<PastVisit> {
        let Drain { visits, open_visits, .. } = drain();
        visits.iter().map(PastVisit::from).chain(open_visits.iter().map(PastVisit::from)).collect()
    }

    #[test]
    fn a_drain_while_the_file_is_read_is_taken_in_once_whatever_the_file_said() {
        for stored in [before(), after()] {
            let recent = Recent::new(100);
            let read = recent.begin(50).unwrap();
            assert!(recent.begin(50).is_none());
            recent.take(&drain());
            recent.finish(read, Found::Visits(stored));
            assert_eq!(found(&recent, 50), Some(AFTER.to_vec()));
        }
    }

    #[test]
    fn what_is_kept_follows_the_drains_and_the_days() {
        let recent = Recent::new(7);
        let read = recent.begin(50).unwrap();
        recent.finish(read, Found::Visits(before()));
        recent.take(&drain());
        assert_eq!(found(&recent, 50), Some(AFTER.to_vec()));
        assert_eq!(found(&recent, 75), Some(vec![(1, i64::MAX), (3, i64::MAX), (5, 80)]));
        // What ended earlier is not there.
        assert_eq!(found(&recent, 49), None);
        recent.settle(65);
        assert_eq!((found(&recent, 60), found(&recent, 65).map(|found| found.len())), (None, Some(4)));
        let more = |keys: std::ops::Range<i64>| Drain {
            open_visits: keys.map(|key| open(key, 90)).collect(),
            ..Drain::default()
        };
        recent.take(&more(6..9));
        assert_eq!(found(&recent, 65).map(|found| found.len()), Some(7));
        recent.take(&more(9..10));
        assert_eq!(found(&recent, 65), None);
        // Not before another day is settled.
        recent.settle(65);
        assert!(recent.begin(65).is_none());
        recent.settle(70);
        let again = recent.begin(70).unwrap();
        recent.finish(again, Found::Nothing);
        assert!(recent.begin(70).is_some());
    }

    #[test]
    fn what_was_read_is_not_kept_when_it_was_forgotten_meanwhile() {
        let recent = Recent::new(100);
        let read = recent.begin(50).unwrap();
        recent.block(true);
        recent.finish(read, Found::Visits(before()));
        assert!(recent.begin(50).is_none());
        recent.block(false);
        let again = recent.begin(50).unwrap();
        recent.finish(read, Found::Visits(before()));
        assert!(recent.begin(50).is_none());
        recent.finish(again, Found::Visits(after()));
        assert_eq!(found(&recent, 50), Some(AFTER.to_vec()));
    }
}
