//! Questions about visits over time: the settled days from memory, the rest from the file.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use duckdb::Connection;
use duckdb::types::Value;

use super::StoreError;
use super::columns::ask_columns;
use super::past::{Day, Known, Past, PastVisit, each_visit};
use super::plans::AreaAsked;
use super::queries::{Scope, about_clients, ask, code};
use super::restore::client_kind;
use crate::model::grouping;
use crate::model::metrics::{self, Dwells, Part, Series, Span};
use crate::model::visit::Source;

impl Scope {
    /// Whether anything is asked of clients.
    pub(super) fn is_about_clients(&self) -> bool {
        self.client_kind.is_some() || self.is_randomised.is_some()
    }

    /// Joins clients to a question about visits `e` only where something is asked of them: there may be millions.
    pub(super) fn about_clients(&self, sql: &str, is_wanted: bool) -> String {
        about_clients(sql, "e", is_wanted || self.is_about_clients(), ["$4", "$5"])
    }
}

impl AreaAsked {
    /// The code of the source whose visits count: the one asked for, or else the authoritative one.
    fn counted(&self, asked_for: Option<Source>) -> u8 {
        asked_for.unwrap_or(self.source) as u8
    }
}

/// Areas that are asked for, to be looked up millions of times.
pub(super) struct Chosen {
    least: i32,
    /// By how much an area's key is above the least: a bit for each source that counts.
    sources: Vec<u8>,
}

impl Chosen {
    /// Of each area the source that is asked for, or else its authoritative one; `None` of no areas.
    pub(super) fn of(areas: &[AreaAsked], source: Option<Source>) -> Option<Chosen> {
        let (least, most) = (areas.iter().map(|area| area.key).min()?, areas.iter().map(|area| area.key).max()?);
        let mut sources = vec![0; most.abs_diff(least) as usize + 1];
        for area in areas {
            sources[area.key.abs_diff(least) as usize] |= 1 << area.counted(source);
        }
        Some(Chosen { least, sources })
    }

    pub(super) fn has(&self, key: i32, source: u8) -> bool {
        let above = i64::from(key) - i64::from(self.least);
        let sources = usize::try_from(above).ok().and_then(|above| self.sources.get(above));
        sources.is_some_and(|sources| sources & 1 << source != 0)
    }

    /// The least and the greatest key.
    pub(super) fn range(&self) -> RangeInclusive<i32> {
        self.least..=self.least + self.sources.len() as i32 - 1
    }

    fn params(&self) -> [Value; 2] {
        let (least, most) = self.range().into_inner();
        [Value::Int(least), Value::Int(most)]
    }

    pub(super) fn each_of(&self, day: &Day, to_ms: i64, take: impl FnMut(PastVisit)) {
        day.each(self.range(), to_ms, |area, source| self.has(area, source), take);
    }
}

/// What visits are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Area,
    Map,
    Site,
    /// A visit of an area with several tags belongs to each.
    Tag,
    ClientKind,
}

impl Group {
    pub fn from_name(name: &str) -> Option<Group> {
        match name {
            "area" => Some(Group::Area),
            "map" => Some(Group::Map),
            "site" => Some(Group::Site),
            "tag" => Some(Group::Tag),
            "kind" => Some(Group::ClientKind),
            _ => None,
        }
    }

    /// Key and name of what an area belongs to, and what they need; `None` where it is no matter of areas.
    fn sql(self) -> Option<(&'static str, &'static str, &'static str)> {
        match self {
            Group::Area => Some(("c.area_id", "c.name", "")),
            Group::Map => Some((
                "c.map_id",
                "(SELECT v.name FROM store.maps m JOIN store.map_versions v USING (map_key) \
                  WHERE m.map_id = c.map_id AND v.valid_to IS NULL)",
                "",
            )),
            Group::Site => Some(("c.site_id", "(SELECT s.name FROM store.sites s WHERE s.site_id = c.site_id)", "")),
            Group::Tag => Some(("t.tag", "t.tag", ", unnest(from_json(c.tags, '[\"VARCHAR\"]')) AS t(tag)")),
            Group::ClientKind => None,
        }
    }
}

/// A window of event time, and which visits of it.
#[derive(Clone, Copy, Debug)]
pub struct SpanFilter {
    pub from_ms: i64,
    pub to_ms: i64,
    pub min_dwell_s: Option<f64>,
}

impl SpanFilter {
    fn params(&self) -> [Value; 3] {
        let min_dwell = self.min_dwell_s.map_or(Value::Null, Value::Double);
        [Value::BigInt(self.from_ms), Value::BigInt(self.to_ms), min_dwell]
    }

    /// Whether an ended visit lasted as long as asked for, and neither ended before the window nor began after it.
    pub(super) fn has(&self, visit: &PastVisit) -> bool {
        visit.exited_ms >= self.from_ms && self.began_in_time(visit)
    }

    /// Whether a visit lasted as long as asked for, and did not begin after the window.
    pub(super) fn began_in_time(&self, visit: &PastVisit) -> bool {
        let dwell_ms = visit.exited_ms.saturating_sub(visit.entered_ms);
        visit.entered_ms < self.to_ms && self.min_dwell_s.is_none_or(|min_s| dwell_ms as f64 >= min_s * 1000.0)
    }
}

/// A question about the visits of some areas.
#[derive(Clone, Copy)]
pub struct VisitQuestion<'a> {
    pub conn: &'a Connection,
    pub past: &'a Past,
    pub areas: &'a [AreaAsked],
    pub scope: &'a Scope,
    pub filter: SpanFilter,
}

impl VisitQuestion<'_> {
    /// The visits that touch the window, in any order.
    pub fn spans(&self) -> Result<Vec<Span>, StoreError> {
        self.collect(|span, _| span)
    }

    /// The same; of several areas together a client that is in two at once, or in one right after the other, is there once.
    pub fn stays(&self) -> Result<Vec<Span>, StoreError> {
        let spans = self.spans()?;
        Ok(if self.areas.len() > 1 { metrics::merge_by_client(spans) } else { spans })
    }

    /// How long visits lasted, the part inside the window, or with `is_clipped` false all of each.
    pub fn dwells(&self, is_clipped: bool, with_clients: bool) -> Result<Dwells, StoreError> {
        let SpanFilter { from_ms, to_ms, .. } = self.filter;
        let none = |room| Dwells::new(from_ms, to_ms, is_clipped, with_clients, room);
        self.fold(none, |dwells, span, _| dwells.take(&span), Dwells::and)
    }

    /// The visits of each area that has some.
    pub fn by_area(&self) -> Result<HashMap<i32, Vec<Span>>, StoreError> {
        let mut by_area: HashMap<i32, Vec<Span>> = HashMap::new();
        for (area, span) in self.collect(|span, area| (area, span))? {
            by_area.entry(area).or_default().push(span);
        }
        Ok(by_area)
    }

    /// The series of stays. Buckets of settled days are kept for the next time.
    pub fn series(&self, bounds: &[i64]) -> Result<Series, StoreError> {
        let VisitQuestion { past, areas, scope, filter, .. } = *self;
        if !scope.is_about_clients()
            && filter.min_dwell_s.is_none()
            && let Some(known) = past.known(areas.iter().map(|area| (area.key, area.counted(scope.source))), bounds)
            && let Some(series) = self.with_known(known)?
        {
            return Ok(series);
        }
        Ok(Series::of(&self.stays()?, bounds))
    }

    /// A series with the buckets that are known; `None` where visits changed meanwhile.
    fn with_known(&self, mut known: Known) -> Result<Option<Series>, StoreError> {
        let mut current = 0;
        for run in known.unknown() {
            let own = &known.bounds[run.start..=run.end];
            let (from_ms, to_ms) = (own[0], own[own.len() - 1]);
            let stays = VisitQuestion { filter: SpanFilter { from_ms, to_ms, ..self.filter }, ..*self }.stays()?;
            // The last run has the last bucket.
            current = metrics::current(&stays, to_ms);
            for (place, part) in run.zip(metrics::parts(&stays, own)) {
                known.parts[place] = Some(Arc::new(part));
            }
        }
        if !self.past.keep_parts(&known) {
            return Ok(None);
        }
        let parts: Vec<Arc<Part>> = known.parts.into_iter().flatten().collect();
        let (buckets, total) = metrics::joined(&parts);
        Ok(Some(Series { buckets, total, current }))
    }

    /// The visits that touch the window, in groups, by key.
    pub fn grouped_spans(&self, group: Group) -> Result<Vec<SpanGroup>, StoreError> {
        let mut groups: BTreeMap<Option<String>, SpanGroup> = BTreeMap::new();
        let Some((key, name, unnest)) = group.sql() else {
            let Some(chosen) = self.chosen() else { return Ok(Vec::new()) };
            self.each_span(&chosen, true, |span, _, kind| {
                let key = Some(client_kind(kind).name().to_owned());
                let group =
                    groups.entry(key.clone()).or_insert_with(|| SpanGroup { key, name: None, spans: Vec::new() });
                group.spans.push(span);
            })?;
            return Ok(groups.into_values().collect());
        };
        let sql = format!("SELECT c.area_key, {key}, {name} FROM store.areas_now c{unnest}");
        let mut belongs: HashMap<i32, Vec<Option<String>>> = HashMap::new();
        let mut names: HashMap<Option<String>, Option<String>> = HashMap::new();
        for (area, key, name) in ask(self.conn, &sql, Vec::new(), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))? {
            let key: Option<String> = key;
            names.insert(key.clone(), name);
            belongs.entry(area).or_default().push(key);
        }
        for (area, spans) in self.by_area()? {
            for key in belongs.get(&area).into_iter().flatten() {
                let name = || names.get(key).cloned().flatten();
                let group = groups.entry(key.clone());
                let group = group.or_insert_with(|| SpanGroup { key: key.clone(), name: name(), spans: Vec::new() });
                group.spans.extend(&spans);
            }
        }
        Ok(groups.into_values().collect())
    }

    /// When each client first entered one of the areas, of those that did before the window's end.
    pub fn first_visits(&self) -> Result<HashMap<u32, i64>, StoreError> {
        let Some(chosen) = self.chosen() else { return Ok(HashMap::new()) };
        let enter = |first: &mut HashMap<u32, i64>, client: u32, entered_ms: i64| {
            let first_ms = first.entry(client).or_insert(entered_ms);
            *first_ms = entered_ms.min(*first_ms);
        };
        // Without a visit that ended there are only open ones, and what ends meanwhile belongs to no settled day.
        let settled_ms = self.past.settled_ms().unwrap_or(self.filter.to_ms);
        let from_ms = self.past.first_ms(self.conn)?.unwrap_or(settled_ms).min(settled_ms);
        let ever = VisitQuestion { filter: SpanFilter { from_ms, ..self.filter }, ..*self };
        let and = |mut one: HashMap<u32, i64>, other: HashMap<u32, i64>| {
            other.into_iter().for_each(|(client, entered_ms)| enter(&mut one, client, entered_ms));
            one
        };
        let take = |first: &mut HashMap<u32, i64>, span: Span, _| enter(first, span.client, span.entered_ms);
        if let Some(first) = ever.of_past(&chosen, |_| HashMap::new(), take, and)? {
            return Ok(first);
        }
        let mut first = HashMap::new();
        let sql = format!(
            "SELECT client_key, area_key, source, min(entered_at) FROM ({}) GROUP BY client_key, area_key, source",
            self.spans_sql(false)
        );
        ask_columns(self.conn, &sql, ever.params(&chosen), |batch| {
            let (clients, areas, sources) = (batch.integers(0)?, batch.integers(1)?, batch.bytes(2)?);
            let entered = batch.times(3)?;
            for row in (0..batch.rows()).filter(|row| chosen.has(areas[*row], sources[*row])) {
                enter(&mut first, clients[row].cast_unsigned(), entered.ms(row));
            }
            Ok(())
        })?;
        Ok(first)
    }

    pub(super) fn chosen(&self) -> Option<Chosen> {
        Chosen::of(self.areas, self.scope.source)
    }

    fn collect<T: Send>(&self, make: impl Fn(Span, i32) -> T + Sync) -> Result<Vec<T>, StoreError> {
        let and = |mut one: Vec<T>, other| {
            one.extend(other);
            one
        };
        self.fold(Vec::with_capacity, |found, span, area| found.push(make(span, area)), and)
    }

    /// Takes all visits that touch the window into one thing, or into two at once, which are then put together. `none` is
    /// told of about how many.
    fn fold<A: Send>(
        &self,
        none: impl Fn(usize) -> A + Sync,
        take: impl Fn(&mut A, Span, i32) + Sync,
        and: impl FnOnce(A, A) -> A,
    ) -> Result<A, StoreError> {
        let Some(chosen) = self.chosen() else { return Ok(none(0)) };
        if let Some(found) = self.of_past(&chosen, &none, &take, and)? {
            return Ok(found);
        }
        let mut found = none(0);
        self.each_span(&chosen, false, |span, area, _| take(&mut found, span, area))?;
        Ok(found)
    }

    /// The same, the settled days from memory and the rest from the file. `None` where the file is to be asked for all.
    fn of_past<A: Send>(
        &self,
        chosen: &Chosen,
        none: impl Fn(usize) -> A + Sync,
        take: impl Fn(&mut A, Span, i32) + Sync,
        and: impl FnOnce(A, A) -> A,
    ) -> Result<Option<A>, StoreError> {
        let VisitQuestion { conn, past, filter, .. } = *self;
        if self.scope.is_about_clients() {
            return Ok(None);
        }
        let Some(view) = past.view_on(conn, filter.from_ms, filter.to_ms)? else { return Ok(None) };
        let take = |found: &mut A, visit: PastVisit| {
            let exited_ms = (!visit.is_open()).then_some(visit.exited_ms);
            take(found, Span::new(visit.client.cast_unsigned(), visit.entered_ms, exited_ms), visit.area);
        };
        let of_days = |days: &[Arc<Day>], room: usize| {
            let mut found = none(room);
            for day in days {
                chosen.each_of(day, filter.to_ms, |visit| {
                    if filter.has(&visit) {
                        take(&mut found, visit);
                    }
                });
            }
            found
        };
        // Room for all at once: to move hundreds of thousands to where there is more takes as long as to find them.
        let count = view.days.iter().map(|day| day.count(chosen.range(), filter.to_ms)).sum();
        let mut found = if count < grouping::SHARED_MIN {
            of_days(&view.days, count)
        } else {
            let (first, second) = view.days.split_at(view.days.len() / 2);
            let (first, second) = grouping::both(|| of_days(first, count), || of_days(second, count / 2));
            and(first, second)
        };
        self.each_recent(view.end_ms(), chosen, |visit| {
            if visit.exited_ms >= filter.from_ms {
                take(&mut found, visit);
            }
        })?;
        Ok(past.holds(&view).then_some(found))
    }

    /// Hands on the visits that began before the window's end, and that had not ended at an instant.
    pub(super) fn each_recent(
        &self,
        end_ms: i64,
        chosen: &Chosen,
        mut take: impl FnMut(PastVisit),
    ) -> Result<(), StoreError> {
        let to_ms = self.filter.to_ms;
        // Of what goes on, up to the window's end.
        let until = |visit: &PastVisit| if visit.is_open() { to_ms } else { visit.exited_ms };
        let is_known = self.past.each_recent(
            self.conn,
            end_ms,
            chosen.range(),
            |area, source| chosen.has(area, source),
            |visit| {
                if self.filter.began_in_time(&PastVisit { exited_ms: until(&visit), ..visit }) {
                    take(visit);
                }
            },
        )?;
        if is_known {
            return Ok(());
        }
        let [_, to, min_dwell] = self.filter.params();
        let mut params = vec![Value::BigInt(end_ms), to, min_dwell];
        params.extend(chosen.params());
        each_visit(self.conn, include_str!("sql/recent_visits.sql"), params, |visit| {
            if chosen.has(visit.area, visit.source) {
                take(visit);
            }
        })
    }

    /// The first seven parameters of a question to the file.
    pub(super) fn params(&self, chosen: &Chosen) -> Vec<Value> {
        let kind = code(self.scope.client_kind.map(|kind| kind as u8));
        let is_randomised = code(self.scope.is_randomised.map(u8::from));
        self.filter.params().into_iter().chain([kind, is_randomised]).chain(chosen.params()).collect()
    }

    fn spans_sql(&self, with_kind: bool) -> String {
        let sql = self.scope.about_clients(include_str!("sql/spans.sql"), with_kind);
        sql.replace("/*kind*/", if with_kind { "k.kind" } else { "0::UTINYINT" })
    }

    /// Hands each visit on as the file has it, with its area and its client's kind, which is 0 unless `with_kind`.
    fn each_span(
        &self,
        chosen: &Chosen,
        with_kind: bool,
        mut take: impl FnMut(Span, i32, u8),
    ) -> Result<(), StoreError> {
        ask_columns(self.conn, &self.spans_sql(with_kind), self.params(chosen), |batch| {
            let (clients, areas, sources, kinds) =
                (batch.integers(0)?, batch.integers(3)?, batch.bytes(4)?, batch.bytes(5)?);
            let (entered, exited) = (batch.times(1)?, batch.times(2)?);
            for row in (0..batch.rows()).filter(|row| chosen.has(areas[*row], sources[*row])) {
                let client = clients[row].cast_unsigned();
                let span = Span::new(client, entered.ms(row), exited.ms_or_null(row));
                take(span, areas[row], kinds[row]);
            }
            Ok(())
        })
    }
}

/// The visits of one group.
#[derive(Clone, Debug)]
pub struct SpanGroup {
    /// Null: what belongs to none, such as an area on no map.
    pub key: Option<String>,
    pub name: Option<String>,
    pub spans: Vec<Span>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::occupancy;
    use crate::store::past::DAY_MS;
    use crate::store::plans;
    use crate::store::row::{self, Instant};
    use crate::store::visits::{self, VisitFilter, VisitRow};
    use crate::store::writer::{Drain, Writer};
    use crate::store::{Store, StoreOptions};

    const HOUR_MS: i64 = 3_600_000;

    /// What happens to visits, hours since 1970.
    #[derive(Clone, Debug)]
    enum Step {
        Stay {
            area: i32,
            client: i32,
            entered_h: i64,
            hours: i64,
        },
        Enter {
            area: i32,
            client: i32,
            entered_h: i64,
        },
        /// The oldest open visit ends, so long after it began.
        Leave {
            hours: i64,
        },
        /// A visit goes on after all.
        GoOn {
            place: prop::sample::Index,
        },
        /// So much more of the past is settled.
        Settle {
            hours: i64,
        },
        /// An ended visit is taken out, and no drain says so.
        Erase {
            place: prop::sample::Index,
        },
        Ask {
            from_h: i64,
            hours: i64,
            min_dwell_s: Option<f64>,
        },
    }

    fn step() -> impl Strategy<Value = Step> {
        let who = || (1i32..4, 1i32..5, 0i64..240);
        prop_oneof![
            6 => (who(), 0i64..60).prop_map(|((area, client, entered_h), hours)| Step::Stay { area, client, entered_h, hours }),
            2 => who().prop_map(|(area, client, entered_h)| Step::Enter { area, client, entered_h }),
            1 => (0i64..200).prop_map(|hours| Step::Leave { hours }),
            1 => any::<prop::sample::Index>().prop_map(|place| Step::GoOn { place }),
            1 => (0i64..60).prop_map(|hours| Step::Settle { hours }),
            1 => any::<prop::sample::Index>().prop_map(|place| Step::Erase { place }),
            4 => (-5i64..240, 1i64..200, prop::option::of(0.0..200_000.0))
                .prop_map(|(from_h, hours, min_dwell_s)| Step::Ask { from_h, hours, min_dwell_s }),
            // Whole days, whose buckets are known from longer windows.
            4 => (0i64..9, 1i64..9).prop_map(|(day, days)| Step::Ask { from_h: day * 24, hours: days * 24, min_dwell_s: None }),
        ]
    }

    struct Kept {
        _dir: tempfile::TempDir,
        store: Store,
        writer: Writer,
        open: Vec<row::OpenVisit>,
        ended: Vec<row::Visit>,
        next: i64,
        settled_ms: i64,
    }

    impl Kept {
        /// Areas 1 and 2 on one site, 3 on another.
        fn new() -> Kept {
            let dir = tempfile::TempDir::new().unwrap();
            let path = dir.path().join("visits.duckdb");
            let store = Store::open(&StoreOptions { path, memory_limit: None, threads: None }).unwrap();
            let sql = "INSERT INTO store.sites BY NAME
                           SELECT range::INTEGER AS site_key, 's' || range AS site_id, now() AS first_seen_at FROM range(1, 3);
                       INSERT INTO store.areas BY NAME
                           SELECT range::INTEGER AS area_key, 0 AS kind, 'a' || range AS area_id, (1 + range // 3)::INTEGER AS site_key,
                               0 AS authoritative_source, now() AS first_seen_at
                           FROM range(1, 4);
                       INSERT INTO store.maps BY NAME
                           SELECT range::INTEGER AS map_key, 'm' || range AS map_id, now() AS first_seen_at FROM range(1, 4);
                       INSERT INTO store.clients BY NAME
                           SELECT range::INTEGER AS client_key, range % 4 AS kind, 'c' || range AS client_id, now() AS first_seen_at
                           FROM range(1, 5)";
            store.connection().unwrap().execute_batch(sql).unwrap();
            let settled_ms = 7 * DAY_MS;
            store.past().settle(settled_ms);
            let writer = Writer::new(&store).unwrap();
            Kept { _dir: dir, store, writer, open: Vec::new(), ended: Vec::new(), next: 1, settled_ms }
        }

        fn enter(&mut self, area: i32, client: i32, entered_h: i64) -> row::OpenVisit {
            self.next += 1;
            row::OpenVisit {
                visit_key: self.next,
                site_key: 1 + area / 3,
                map_key: (client > 2).then_some(area),
                area_key: area,
                area_version: self.next as i32 % 3,
                client_key: client,
                source: 0,
                entered_at: Instant(entered_h * HOUR_MS),
            }
        }

        fn commit(&mut self, since_ms: i64, drain: Drain) {
            self.writer.commit(&Drain { visits_since_ms: Some(since_ms), ..drain }).unwrap();
        }

        fn ask(&self, filter: SpanFilter) {
            let past = self.store.past();
            // Nothing is kept of a past that nobody settled.
            let nothing = Past::new(0);
            for site in [None, Some("s1"), Some("s2")] {
                for area in [None, Some("a2")] {
                    let scope =
                        Scope { site: site.map(str::to_owned), area: area.map(str::to_owned), ..Scope::default() };
                    self.store
                        .read(|conn| {
                            let now = occupancy::kept(&self.store, conn, &scope).unwrap();
                            assert_eq!(now, Some(occupancy::stored(conn, &scope).unwrap()), "{scope:?}");
                            let areas = plans::areas_asked(conn, &scope).unwrap();
                            let asked = |past| VisitQuestion { conn, past, areas: &areas, scope: &scope, filter };
                            let sorted = |past| {
                                let mut spans = asked(past).spans().unwrap();
                                spans.sort();
                                spans
                            };
                            assert_eq!(sorted(past), sorted(&nothing), "{scope:?}");
                            let listed = self.listed(conn, &scope, filter, None);
                            for client in ["c1", "c3"] {
                                let own = listed.iter().filter(|visit| visit.client_id == client).cloned();
                                let of_client = self.listed(conn, &scope, filter, Some(client));
                                assert_eq!(of_client, own.collect::<Vec<_>>(), "{scope:?}");
                            }
                            if filter.min_dwell_s.is_none() {
                                let spans = sorted(past).into_iter();
                                let mut spans: Vec<_> = spans
                                    .filter(|span| span.touches(filter.from_ms, filter.to_ms))
                                    .map(|span| (span.entered_ms, span.exited_ms()))
                                    .collect();
                                spans.sort();
                                let mut listed: Vec<_> =
                                    listed.iter().map(|visit| (visit.entered_ms, visit.exited_ms)).collect();
                                listed.sort();
                                assert_eq!(listed, spans, "{scope:?}");
                            }
                            let sorted = |past| {
                                let mut flows = asked(past).flows(7200.0).unwrap();
                                flows.sort_by(|a, b| (&a.from_id, &a.to_id).cmp(&(&b.from_id, &b.to_id)));
                                format!("{flows:?}")
                            };
                            assert_eq!(sorted(past), sorted(&nothing), "{scope:?}");
                            let days = filter.from_ms / DAY_MS + 1..=(filter.to_ms - 1) / DAY_MS;
                            let inner = days.map(|day| day * DAY_MS).filter(|bound| *bound > filter.from_ms);
                            let bounds: Vec<i64> =
                                [filter.from_ms].into_iter().chain(inner).chain([filter.to_ms]).collect();
                            let series = |past| asked(past).series(&bounds).unwrap();
                            assert_eq!(series(past), series(&nothing), "{scope:?}");
                            let first = |past| asked(past).first_visits().unwrap();
                            assert_eq!(first(past), first(&nothing), "{scope:?}");
                            let dwell = |past| asked(past).dwells(true, true).unwrap().dwell(&[]);
                            assert_eq!(dwell(past), dwell(&nothing), "{scope:?}");
                            Ok(())
                        })
                        .unwrap();
                }
            }
        }

        /// The list of all visits, which the file has, or of a client's, which memory has if it can.
        fn listed(&self, conn: &Connection, scope: &Scope, filter: SpanFilter, client: Option<&str>) -> Vec<VisitRow> {
            let SpanFilter { from_ms, to_ms, min_dwell_s } = filter;
            let client = client.map(str::to_owned);
            let filter = VisitFilter { from_ms, to_ms, client, min_dwell_s, after: 0, limit: 1_000 };
            visits::visits(&self.store, conn, scope, &filter).unwrap()
        }

        fn take(&mut self, step: Step) {
            match step {
                Step::Stay { area, client, entered_h, hours } => {
                    let visit = self.enter(area, client, entered_h);
                    let visit = ended(&visit, hours);
                    self.ended.push(visit.clone());
                    self.commit(entered_h * HOUR_MS, Drain { visits: vec![visit], ..Drain::default() });
                }
                Step::Enter { area, client, entered_h } => {
                    let visit = self.enter(area, client, entered_h);
                    self.open.push(visit.clone());
                    self.commit(entered_h * HOUR_MS, Drain { open_visits: vec![visit], ..Drain::default() });
                }
                Step::Leave { hours } if !self.open.is_empty() => {
                    let visit = ended(&self.open.remove(0), hours);
                    self.ended.push(visit.clone());
                    let no_longer_open = vec![crate::model::ids::VisitKey(visit.visit_key)];
                    let since_ms = visit.exited_at.0;
                    self.commit(since_ms, Drain { visits: vec![visit], no_longer_open, ..Drain::default() });
                }
                Step::GoOn { place } if !self.ended.is_empty() => {
                    let visit = self.ended.remove(place.index(self.ended.len()));
                    let open = row::OpenVisit {
                        visit_key: visit.visit_key,
                        ..self.enter(visit.area_key, visit.client_key, 0)
                    };
                    let open = row::OpenVisit { entered_at: Instant(visit.entered_at.0), ..open };
                    self.open.push(open.clone());
                    let no_longer_ended = vec![crate::model::ids::VisitKey(visit.visit_key)];
                    let since_ms = visit.exited_at.0;
                    self.commit(since_ms, Drain { open_visits: vec![open], no_longer_ended, ..Drain::default() });
                }
                Step::Settle { hours } => {
                    self.settled_ms += hours * HOUR_MS;
                    self.store.past().settle(self.settled_ms);
                }
                Step::Erase { place } if !self.ended.is_empty() => {
                    let visit = self.ended.remove(place.index(self.ended.len()));
                    let _change = self.store.past().change_any();
                    let sql = format!("DELETE FROM store.visits WHERE visit_key = {}", visit.visit_key);
                    self.writer.in_transaction(|conn| Ok(conn.execute_batch(&sql)?)).unwrap();
                }
                Step::Leave { .. } | Step::GoOn { .. } | Step::Erase { .. } => {}
                Step::Ask { from_h, hours, min_dwell_s } => {
                    let (from_ms, to_ms) = (from_h * HOUR_MS + 1, (from_h + hours) * HOUR_MS);
                    self.ask(SpanFilter { from_ms, to_ms, min_dwell_s });
                }
            }
        }
    }

    fn ended(visit: &row::OpenVisit, hours: i64) -> row::Visit {
        row::Visit {
            visit_key: visit.visit_key,
            site_key: visit.site_key,
            map_key: visit.map_key,
            area_key: visit.area_key,
            area_version: visit.area_version,
            client_key: visit.client_key,
            source: visit.source,
            entered_at: Instant(visit.entered_at.0),
            exited_at: Instant(visit.entered_at.0 + hours * HOUR_MS),
            ended: (hours % 2) as u8,
            clock_after: None,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        /// However visits change between questions.
        #[test]
        fn days_in_memory_answer_as_the_file_does(steps in prop::collection::vec(step(), 1..60)) {
            let mut kept = Kept::new();
            for step in steps {
                kept.take(step);
            }
            kept.ask(SpanFilter { from_ms: 0, to_ms: 12 * DAY_MS, min_dwell_s: None });
        }
    }
}
