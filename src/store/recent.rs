//! Visits that belong to no settled day: those that ended since, and those that are open. They are kept in memory as the
//! writer commits them, since to plan a question for them takes the file longer than all the rest of a short answer.
//!
//! They are read when they are first asked for, and from then on whatever a drain did is taken in once it is committed and
//! before anybody is told so. Whoever changes visits in another way has them forgotten.

use std::ops::RangeInclusive;
use std::sync::Mutex;

use duckdb::Connection;
use duckdb::types::Value;
use rustc_hash::{FxHashMap, FxHashSet};

use super::StoreError;
use super::columns::{ask_columns, each_place};
use super::kept_up::KeptUp;
use super::past::{OPEN_MS, PastVisit, each_visit};
use super::writer::Drain;

/// What is kept.
pub(super) struct Recent {
    visits_max: usize,
    known: KeptUp<Known, Moved>,
    /// Kinds of clients by their keys, as far as they were asked for: they never change, and a key is given once.
    kinds: Mutex<Vec<u8>>,
}

enum Known {
    Visits(Visits),
    /// From an instant on there are more than are kept.
    TooMany {
        since_ms: i64,
    },
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
        Recent { visits_max, known: KeptUp::new(visits_max), kinds: Mutex::default() }
    }

    /// Takes in what a drain did, which is committed.
    pub fn take(&self, drain: &Drain) {
        if drain.visits.is_empty() && drain.open_visits.is_empty() {
            return;
        }
        let had_ended: FxHashSet<i64> = drain.no_longer_ended.iter().map(|key| key.0).collect();
        let visits = drain.visits.iter().map(PastVisit::from).chain(drain.open_visits.iter().map(PastVisit::from));
        let moved = || visits.clone().map(|visit| Moved { visit, had_ended: had_ended.contains(&visit.visit) });
        self.known.came(moved(), |known| known.take(moved(), self.visits_max));
    }

    pub fn forget(&self) {
        self.known.forget();
    }

    /// Says whether visits are being changed without a drain. What is known is forgotten, and nothing is read meanwhile.
    pub fn block(&self, is_blocked: bool) {
        self.known.block(is_blocked);
    }

    /// What ended before an instant is no longer recent. Where there were too many they are read again.
    pub fn settle(&self, since_ms: i64) {
        if self.known.look(|known| known.since_ms() < since_ms) != Some(true) {
            return;
        }
        self.known.change(|known| match known {
            Known::Visits(visits) => {
                visits.settle(since_ms);
                true
            }
            Known::TooMany { .. } => false,
        });
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
        let found = self.look(conn, since_ms, end_ms, |visits| {
            for of in visits.of(between) {
                let ended = of.ended.iter().filter(|visit| visit.exited_ms >= end_ms);
                let asked = ended.chain(of.open.values()).filter(|visit| is_asked_for(visit.area, visit.source));
                asked.copied().for_each(&mut take);
            }
        });
        Ok(found?.is_some())
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
        let found = self.look(conn, since_ms, end_ms, |visits| {
            for of in visits.areas.values() {
                each_place(&of.clients, &[client], |place| {
                    let visit = of.ended[place];
                    if visit.exited_ms >= end_ms {
                        take(visit);
                    }
                });
                of.open.values().filter(|visit| visit.client == client).copied().for_each(&mut take);
            }
        });
        Ok(found?.is_some())
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
        let open = self.look(conn, since_ms, OPEN_MS, |visits| {
            let open = visits.of(between).flat_map(|of| of.open.values());
            let asked = open.filter(|visit| is_asked_for(visit.area, visit.source));
            asked.map(|visit| (visit.area, visit.client)).collect::<Vec<_>>()
        });
        let Some(open) = open? else { return Ok(false) };
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

    /// Looks at the visits that had not ended at an instant, once they were read if nothing was known; `None`: the file is to
    /// be asked.
    fn look<A>(
        &self,
        conn: &Connection,
        since_ms: i64,
        end_ms: i64,
        look: impl FnOnce(&Visits) -> A,
    ) -> Result<Option<A>, StoreError> {
        if self.known.is_nothing() {
            let put = |stored, since| self.put(since_ms, stored, since);
            self.known.load(|| self.stored(conn, since_ms), put)?;
        }
        let found = self.known.look(|known| match known {
            Known::Visits(visits) if visits.since_ms <= end_ms => Some(look(visits)),
            Known::Visits(_) | Known::TooMany { .. } => None,
        });
        Ok(found.flatten())
    }

    /// What was stored from an instant on, or more than is kept, and what was committed since.
    fn put(&self, since_ms: i64, stored: Option<Vec<PastVisit>>, since: Vec<Moved>) -> Known {
        let Some(stored) = stored else { return Known::TooMany { since_ms } };
        // Of these the file may have said what they were before, or after.
        let moved: FxHashSet<i64> = since.iter().map(|moved| moved.visit.visit).collect();
        let as_they_were = stored.into_iter().filter(|visit| !moved.contains(&visit.visit));
        let as_they_were = as_they_were.map(|visit| Moved { visit, had_ended: false });
        let mut known = Known::Visits(Visits { since_ms, areas: FxHashMap::default(), count: 0 });
        known.take(as_they_were.chain(since), self.visits_max);
        known
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

impl Known {
    fn since_ms(&self) -> i64 {
        match self {
            Known::Visits(Visits { since_ms, .. }) | Known::TooMany { since_ms } => *since_ms,
        }
    }

    fn take(&mut self, moved: impl Iterator<Item = Moved>, visits_max: usize) {
        let Known::Visits(visits) = self else { return };
        moved.for_each(|moved| visits.take(moved));
        if visits.count > visits_max {
            *self = Known::TooMany { since_ms: visits.since_ms };
        }
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

    fn begin(recent: &Recent) -> Option<u64> {
        recent.known.begin()
    }

    /// What was stored since an instant; no visits: reading failed.
    fn finish(recent: &Recent, read: u64, since_ms: i64, stored: Option<Vec<PastVisit>>) {
        recent.known.finish(read, stored, |stored, since| recent.put(since_ms, Some(stored), since));
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
            let read = begin(&recent).unwrap();
            assert!(begin(&recent).is_none());
            recent.take(&drain());
            finish(&recent, read, 50, Some(stored));
            assert_eq!(found(&recent, 50), Some(AFTER.to_vec()));
        }
    }

    #[test]
    fn what_is_kept_follows_the_drains_and_the_days() {
        let recent = Recent::new(7);
        let read = begin(&recent).unwrap();
        finish(&recent, read, 50, Some(before()));
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
        assert!(begin(&recent).is_none());
        recent.settle(70);
        let again = begin(&recent).unwrap();
        finish(&recent, again, 70, None);
        assert!(begin(&recent).is_some());
    }

    #[test]
    fn what_was_read_is_not_kept_when_it_was_forgotten_meanwhile() {
        let recent = Recent::new(100);
        let read = begin(&recent).unwrap();
        recent.block(true);
        finish(&recent, read, 50, Some(before()));
        assert!(begin(&recent).is_none());
        recent.block(false);
        let again = begin(&recent).unwrap();
        finish(&recent, read, 50, Some(before()));
        assert!(begin(&recent).is_none());
        finish(&recent, again, 50, Some(after()));
        assert_eq!(found(&recent, 50), Some(AFTER.to_vec()));
    }
}
