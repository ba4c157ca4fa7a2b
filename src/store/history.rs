//! The stored events of some clients over some time, in each client's order: what visits are derived from.
//!
//! A history is read in slabs of event time of about half a million events each, so that memory is bounded whatever the
//! period. Everything about it stands in temporary tables of a connection of its own. While a slab is taken, those after
//! it are read: by threads of ours with a connection each, since DuckDB's own are few once the file has settled.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::mpsc;

use duckdb::Connection;
use duckdb::arrow::array::{Array, Int32Array, Int64Array};
use duckdb::arrow::record_batch::RecordBatch;

use super::{Store, StoreError, cores};
use crate::model::event::Trigger;
use crate::model::ids::{AreaKey, ClientKey, DeliveryKey, MapKey, SiteKey};
use crate::model::position::Position;
use crate::model::time::EventTime;
use crate::model::visit::Source;

/// Whose events, and of when.
#[derive(Clone, Debug)]
pub struct Question {
    pub sites: Vec<SiteKey>,
    /// The areas whose visits are derived, by source.
    pub areas: Vec<(AreaKey, Source)>,
    /// Where their zones lie: who was never there plays no part.
    pub places: Vec<Place>,
    /// Only visits that touch the time from `from` on and before `to` are wanted.
    pub from: Option<EventTime>,
    pub to: Option<EventTime>,
    /// A silence longer than this ends every visit, so a client's history may be read from there on.
    pub silence_ms: i64,
    /// Events committed later play no part.
    pub through: DeliveryKey,
}

/// A rectangle on a map, its edges included.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub map: MapKey,
    pub lower: Position,
    pub upper: Position,
}

/// One rectangle for each map, around all that lie on it: a fix is looked at once, however many they are, and whoever was
/// only between them costs a read of its events.
fn around(places: &[Place]) -> impl Iterator<Item = Place> {
    let mut maps: BTreeMap<MapKey, Place> = BTreeMap::new();
    for place in places {
        let all = maps.entry(place.map).or_insert(*place);
        let Place { lower, upper, .. } = place;
        all.lower = Position { x_mm: all.lower.x_mm.min(lower.x_mm), y_mm: all.lower.y_mm.min(lower.y_mm) };
        all.upper = Position { x_mm: all.upper.x_mm.max(upper.x_mm), y_mm: all.upper.y_mm.max(upper.y_mm) };
    }
    maps.into_values()
}

/// A stored event that shows where a client was.
#[derive(Clone, Copy, Debug)]
pub struct StoredEvent {
    pub site: SiteKey,
    pub client: ClientKey,
    pub at: EventTime,
    pub what: What,
}

#[derive(Clone, Copy, Debug)]
pub enum What {
    Fix {
        map: MapKey,
        position: Position,
    },
    Transition {
        map: Option<MapKey>,
        area: AreaKey,
        trigger: Trigger,
    },
    /// Something else: it only shows that the site is heard from.
    Other,
}

impl StoredEvent {
    fn order(&self) -> (SiteKey, ClientKey, EventTime) {
        (self.site, self.client, self.at)
    }
}

/// A stretch of event time, half-open, and how many events it holds.
#[derive(Clone, Copy, Debug)]
pub struct Slab {
    pub from: EventTime,
    pub to: EventTime,
    pub events: u64,
}

/// Slabs are put together from stretches of this length, milliseconds.
const UNIT_MS: i64 = 600_000;

/// A slab takes no further stretch once it holds this many events.
const SLAB_EVENTS: u64 = 500_000;

/// Slabs that are read at a time, one per core up to so many: whoever takes them keeps up with no more. Each holds its
/// events twice at most, about 100 bytes an event.
const READERS_MAX: usize = 4;

/// The first look back for a client's silence, milliseconds; each further one goes twice as far.
const LOOK_BACK_MS: i64 = 3_600_000;

/// Whose events are read, and from when on.
const CONCERNED: &str = "CREATE TEMP TABLE concerned (site_key INTEGER, client_key INTEGER, start_at TIMESTAMPTZ)";

/// A history that can be read.
pub struct History {
    pub(super) conn: Connection,
    store: Store,
    question: Question,
    late_through: DeliveryKey,
}

impl History {
    /// Finds whose events are wanted and from when on. Costs a scan of some columns of the period.
    ///
    /// With a period, each client's events are read from a moment before it at which it was away (silent, and in no
    /// stored visit) until one after it: so no visit is cut.
    pub fn open(store: &Store, question: Question) -> Result<History, StoreError> {
        let late_through = question.through;
        let history = History { conn: store.connection()?, store: store.clone(), question, late_through };
        history.conn.execute_batch(CONCERNED)?;
        history.conn.execute_batch(
            "CREATE TEMP TABLE scope (area_key INTEGER, source UTINYINT);
             CREATE TEMP TABLE places (map_key INTEGER, x1 INTEGER, y1 INTEGER, x2 INTEGER, y2 INTEGER);
             CREATE TEMP TABLE derived_visits AS FROM store.visits LIMIT 0;
             CREATE TEMP TABLE derived_open_visits AS FROM store.open_visits LIMIT 0;",
        )?;
        let scope: Vec<String> =
            history.question.areas.iter().map(|(area, source)| format!("({}, {})", area.0, *source as u8)).collect();
        for chunk in scope.chunks(1000) {
            history.conn.execute_batch(&format!("INSERT INTO scope VALUES {}", chunk.join(",")))?;
        }
        history.find_concerned()?;
        if let Some(from) = history.question.from {
            history.find_starts(from)?;
        }
        Ok(history)
    }

    pub fn question(&self) -> &Question {
        &self.question
    }

    /// The last delivery whose late events are read in their places.
    pub fn late_through(&self) -> DeliveryKey {
        self.late_through
    }

    fn find_concerned(&self) -> Result<(), StoreError> {
        let Question { from, to, silence_ms, through, .. } = &self.question;
        let sites = self.sites();
        let places: Vec<String> = around(&self.question.places)
            .map(|Place { map, lower, upper }| {
                format!("({}, {}, {}, {}, {})", map.0, lower.x_mm, lower.y_mm, upper.x_mm, upper.y_mm)
            })
            .collect();
        for chunk in places.chunks(1000) {
            self.conn.execute_batch(&format!("INSERT INTO places VALUES {}", chunk.join(",")))?;
        }
        // A visit that touches the period has a fix inside at most one silence before it.
        let period = between("event_at", from.map(|from| EventTime(from.0 - silence_ms)), *to);
        let before_end = between("event_at", None, *to);
        let (touching, touching_open) = (touching(*from, *to), between("entered_at", None, *to));
        let first_at = if from.is_some() { "NULL" } else { "'-infinity'::TIMESTAMPTZ" };
        self.conn.execute_batch(&format!(
            "INSERT INTO concerned SELECT DISTINCT site_key, client_key, {first_at} FROM (
                 SELECT site_key, client_key FROM store.fixes
                 JOIN places p ON fixes.map_key = p.map_key AND x_mm BETWEEN x1 AND x2 AND y_mm BETWEEN y1 AND y2
                 WHERE {sites} AND {period} AND delivery_key <= {through}
                 UNION ALL
                 SELECT site_key, client_key FROM store.transitions
                 WHERE {sites} AND area_key IN (SELECT area_key FROM scope WHERE source = 1) AND {before_end}
                     AND delivery_key <= {through}
                 UNION ALL
                 SELECT site_key, client_key FROM store.visits SEMI JOIN scope USING (area_key, source)
                 WHERE {sites} AND {touching}
                 UNION ALL
                 SELECT site_key, client_key FROM store.open_visits SEMI JOIN scope USING (area_key, source)
                 WHERE {sites} AND {touching_open}
             )",
            through = through.0,
        ))?;
        Ok(())
    }

    /// Goes back from `from` in growing steps until each client was away at one of them.
    fn find_starts(&self, from: EventTime) -> Result<(), StoreError> {
        let oldest: Option<i64> = self.conn.query_row(
            "SELECT epoch_ms(least((SELECT min(event_at) FROM store.fixes),
                 (SELECT min(event_at) FROM store.transitions)))",
            [],
            |row| row.get(0),
        )?;
        let (mut at_ms, mut step_ms) = (from.0, LOOK_BACK_MS.max(self.question.silence_ms));
        loop {
            self.conn.execute_batch(&format!(
                "UPDATE concerned c SET start_at = epoch_ms({at_ms})::TIMESTAMPTZ
                 WHERE start_at IS NULL AND NOT EXISTS (
                     FROM ({present}) p WHERE p.site_key = c.site_key AND p.client_key = c.client_key)",
                present = self.present_at(EventTime(at_ms)),
            ))?;
            let seeking: i64 =
                self.conn.query_row("SELECT count(*) FROM concerned WHERE start_at IS NULL", [], |row| row.get(0))?;
            if seeking == 0 {
                return Ok(());
            }
            if oldest.is_none_or(|oldest| at_ms <= oldest) {
                self.conn
                    .execute_batch("UPDATE concerned SET start_at = '-infinity'::TIMESTAMPTZ WHERE start_at IS NULL")?;
                return Ok(());
            }
            at_ms -= step_ms;
            step_ms *= 2;
        }
    }

    /// Clients that may have been somewhere at an instant: not silent before it, or in a stored visit.
    fn present_at(&self, at: EventTime) -> String {
        let recently = between("event_at", Some(EventTime(at.0 - self.question.silence_ms)), Some(at));
        let sites = self.sites();
        format!(
            "SELECT site_key, client_key FROM store.fixes WHERE {sites} AND {recently}
             UNION ALL SELECT site_key, client_key FROM store.transitions WHERE {sites} AND {recently}
             UNION ALL {}",
            self.visiting_at(at)
        )
    }

    /// Clients whose stored visits of the areas in question began before an instant and ended after it.
    fn visiting_at(&self, at: EventTime) -> String {
        let (at, sites) = (instant(at), self.sites());
        format!(
            "SELECT site_key, client_key FROM store.visits SEMI JOIN scope USING (area_key, source)
             WHERE {sites} AND entered_at < {at} AND exited_at > {at}
             UNION ALL
             SELECT site_key, client_key FROM store.open_visits SEMI JOIN scope USING (area_key, source)
             WHERE {sites} AND entered_at < {at}"
        )
    }

    fn sites(&self) -> String {
        let keys: Vec<String> = self.question.sites.iter().map(|site| site.0.to_string()).collect();
        format!("site_key IN ({})", if keys.is_empty() { "NULL".into() } else { keys.join(",") })
    }

    /// The slabs up to the end of the period, in order.
    pub fn slabs(&self) -> Result<Vec<Slab>, StoreError> {
        self.slabs_between(None, self.question.to)
    }

    /// The slabs after the end of the period, as far as stored events reach; none without an end.
    pub fn slabs_beyond(&self) -> Result<Vec<Slab>, StoreError> {
        match self.question.to {
            Some(to) => self.slabs_between(Some(to), None),
            None => Ok(Vec::new()),
        }
    }

    fn slabs_between(&self, from: Option<EventTime>, to: Option<EventTime>) -> Result<Vec<Slab>, StoreError> {
        let period = between("event_at", from, to);
        let through = self.question.through.0;
        let counted = |table: &str| {
            format!(
                "SELECT epoch_ms(event_at) // {UNIT_MS} AS unit, count(*) AS events
                 FROM store.{table} JOIN concerned USING (site_key, client_key)
                 WHERE {period} AND event_at >= start_at AND delivery_key <= {through} GROUP BY unit"
            )
        };
        let sql = format!(
            "SELECT unit, sum(events)::BIGINT FROM ({} UNION ALL {}) GROUP BY unit ORDER BY unit",
            counted("fixes"),
            counted("transitions")
        );
        put_together(&self.conn, &sql, from, to)
    }

    /// Every event of each slab: one slab after another, in it one client after another, each in order of time. Breaks
    /// off when `take` says so.
    pub fn each_slab(
        &self,
        slabs: &[Slab],
        mut take: impl FnMut(&[StoredEvent]) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let count = cores().min(READERS_MAX).min(slabs.len());
        let readers = (0..count).map(|_| self.reader()).collect::<Result<Vec<_>, _>>()?;
        std::thread::scope(|scope| {
            let mut coming = Vec::with_capacity(count);
            for (place, reader) in readers.into_iter().enumerate() {
                // No room in between: a reader that is ahead waits with its slab.
                let (ready, read) = mpsc::sync_channel(0);
                coming.push(read);
                let own = slabs.iter().skip(place).step_by(count);
                scope.spawn(move || {
                    for slab in own {
                        // Nobody takes any more once it was broken off.
                        if ready.send(reader.events(slab)).is_err() {
                            return;
                        }
                    }
                });
            }
            for read in coming.iter().cycle().take(slabs.len()) {
                let events = read.recv().expect("a reader sends each of its slabs")?;
                if take(&events)?.is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// A connection that knows who is concerned.
    fn reader(&self) -> Result<Reader<'_>, StoreError> {
        let conn = self.store.connection()?;
        conn.execute_batch(CONCERNED)?;
        let mut statement = self.conn.prepare("SELECT site_key, client_key, start_at FROM concerned")?;
        let mut appender = conn.appender_to_catalog_and_db("concerned", "temp", "main")?;
        for batch in statement.query_arrow([])? {
            appender.append_record_batch(batch)?;
        }
        appender.flush()?;
        drop(appender);
        Ok(Reader { conn, question: &self.question })
    }

    /// From now on only the events of those who are among `present`, or whose stored visits go on at `at`. Says how
    /// many they are.
    pub fn keep_only(&self, present: &[(SiteKey, ClientKey)], at: EventTime) -> Result<usize, StoreError> {
        self.conn.execute_batch("CREATE OR REPLACE TEMP TABLE present (site_key INTEGER, client_key INTEGER)")?;
        for chunk in present.chunks(1000) {
            let keys: Vec<String> = chunk.iter().map(|(site, client)| format!("({}, {})", site.0, client.0)).collect();
            self.conn.execute_batch(&format!("INSERT INTO present VALUES {}", keys.join(",")))?;
        }
        self.conn.execute_batch(&format!(
            "DELETE FROM concerned c WHERE NOT EXISTS (
                 FROM (FROM present UNION ALL {}) p WHERE p.site_key = c.site_key AND p.client_key = c.client_key)",
            self.visiting_at(at)
        ))?;
        let left: i64 = self.conn.query_row("SELECT count(*) FROM concerned", [], |row| row.get(0))?;
        Ok(left as usize)
    }

    /// Takes events that were committed after the question's last delivery and moved something live, of all clients
    /// in order of time; then the question reaches up to there. With an end to the period only those of the clients
    /// that are left. Says how many: about a slab's worth at most, none once all is read.
    pub fn each_newer_event(&mut self, mut take: impl FnMut(&StoredEvent)) -> Result<u64, StoreError> {
        let through: Option<i64> = self.conn.query_row(
            &format!(
                "SELECT coalesce(max(delivery_key) FILTER (before < {SLAB_EVENTS}), min(delivery_key)) FROM (
                     SELECT delivery_key, sum(events) OVER (ORDER BY delivery_key) AS before
                     FROM store.deliveries WHERE delivery_key > {})",
                self.question.through.0
            ),
            [],
            |row| row.get(0),
        )?;
        let Some(through) = through.map(DeliveryKey) else { return Ok(0) };
        let whose = if self.question.to.is_some() { "SEMI JOIN concerned USING (site_key, client_key)" } else { "" };
        let from = |table: &str| {
            format!(
                "FROM store.{table} {whose} WHERE {} AND NOT is_late AND delivery_key > {} AND delivery_key <= {}
                 ORDER BY delivery_key, rowid",
                self.sites(),
                self.question.through.0,
                through.0
            )
        };
        // A client's fixes and transitions may be taken one sort after the other: both only show that it is there.
        let mut events = transitions(&self.conn, &format!("{TRANSITION} {}", from("transitions")))?;
        let mut statement = self.conn.prepare(&format!("{FIX} {}", from("fixes")))?;
        for batch in statement.query_arrow([])? {
            events.extend(Fixes::of(&batch)?.events());
        }
        drop(statement);
        // A stable sort by time: of each client the events are in order already.
        events.sort_by_key(|event| event.at);
        events.iter().for_each(&mut take);
        self.question.through = through;
        Ok(events.len() as u64)
    }

    /// Whether something was committed after the question's last delivery.
    pub fn is_behind(&self) -> Result<bool, StoreError> {
        Ok(newest_delivery(&self.conn)? > self.question.through)
    }
}

/// What reads slabs beside others.
struct Reader<'a> {
    conn: Connection,
    question: &'a Question,
}

impl Reader<'_> {
    /// Every event of a slab: one client after another, each in order of time.
    fn events(&self, slab: &Slab) -> Result<Vec<StoredEvent>, StoreError> {
        let period = between("event_at", Some(slab.from), Some(slab.to));
        let from = |table: &str| {
            format!(
                "FROM store.{table} JOIN concerned USING (site_key, client_key)
                 WHERE {period} AND event_at >= start_at AND delivery_key <= {}
                 ORDER BY site_key, client_key, event_at, delivery_key",
                self.question.through.0
            )
        };
        let sql = format!("{TRANSITION} {}, transitions.rowid", from("transitions"));
        let mut transitions = transitions(&self.conn, &sql)?.into_iter().peekable();
        let mut events = Vec::with_capacity(slab.events as usize);
        let mut statement = self.conn.prepare(&format!("{FIX} {}", from("fixes")))?;
        for batch in statement.query_arrow([])? {
            for fix in Fixes::of(&batch)?.events() {
                while let Some(transition) = transitions.next_if(|next| next.order() <= fix.order()) {
                    events.push(transition);
                }
                events.push(fix);
            }
        }
        events.extend(transitions);
        Ok(events)
    }
}

/// Slabs from stretches of `UNIT_MS` and the events in each, in order of time.
fn put_together(
    conn: &Connection,
    sql: &str,
    from: Option<EventTime>,
    to: Option<EventTime>,
) -> Result<Vec<Slab>, StoreError> {
    let mut statement = conn.prepare(sql)?;
    let units = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, u64>(1)?)))?;
    let clip = |ms: i64| EventTime(ms.clamp(from.map_or(i64::MIN, |at| at.0), to.map_or(i64::MAX, |at| at.0)));
    let mut slabs: Vec<Slab> = Vec::new();
    for unit in units {
        let (unit, events) = unit?;
        let unit_to = clip((unit + 1) * UNIT_MS);
        match slabs.last_mut() {
            Some(last) if last.events < SLAB_EVENTS => {
                (last.to, last.events) = (unit_to, last.events + events);
            }
            _ => slabs.push(Slab { from: clip(unit * UNIT_MS), to: unit_to, events }),
        }
    }
    Ok(slabs)
}

/// Tables of events that are neither fixes nor transitions.
const OTHERS: [&str; 5] = ["scans", "rssi_readings", "vendor_alerts", "pings", "events"];

/// Every stored event of a site in [from, to), in order of time, whenever it came; transitions from `transitions_from`
/// on, which is no later. Memory for about a million events at a time.
pub fn each_in_time(
    conn: &Connection,
    site: SiteKey,
    transitions_from: EventTime,
    from: EventTime,
    to: EventTime,
    mut take: impl FnMut(&StoredEvent),
) -> Result<(), StoreError> {
    let others = OTHERS
        .map(|table| format!("SELECT site_key, event_at, delivery_key FROM store.{table} WHERE NOT is_received_time"))
        .join(" UNION ALL ");
    let counted = |table: &str, from| {
        let period = between("event_at", Some(from), Some(to));
        format!("SELECT event_at FROM {table} WHERE site_key = {} AND {period}", site.0)
    };
    let sql = format!(
        "SELECT epoch_ms(event_at) // {UNIT_MS} AS unit, count(*) FROM ({} UNION ALL {} UNION ALL {})
         GROUP BY unit ORDER BY unit",
        counted("store.fixes", from),
        counted("store.transitions", transitions_from),
        counted(&format!("({others})"), from)
    );
    for slab in put_together(conn, &sql, Some(transitions_from), Some(to))? {
        let of_slab = |order: &str, from: EventTime| {
            let period = between("event_at", Some(slab.from.max(from)), Some(slab.to));
            format!("WHERE site_key = {} AND {period} ORDER BY event_at, delivery_key, {order}", site.0)
        };
        let of_transitions = of_slab("rowid", transitions_from);
        let mut events = transitions(conn, &format!("{TRANSITION} FROM store.transitions {of_transitions}"))?;
        let mut statement = conn.prepare(&format!("{FIX} FROM store.fixes {}", of_slab("rowid", from)))?;
        for batch in statement.query_arrow([])? {
            events.extend(Fixes::of(&batch)?.events());
        }
        let sql = format!("SELECT epoch_ms(event_at) FROM ({others}) {}", of_slab("event_at", from));
        let mut statement = conn.prepare(&sql)?;
        for at_ms in statement.query_map([], |row| row.get(0))? {
            events.push(StoredEvent { site, client: ClientKey(0), at: EventTime(at_ms?), what: What::Other });
        }
        // Stable: what came in order stays in order.
        events.sort_by_key(|event| event.at);
        events.iter().for_each(&mut take);
    }
    Ok(())
}

fn transitions(conn: &Connection, sql: &str) -> Result<Vec<StoredEvent>, StoreError> {
    let mut statement = conn.prepare(sql)?;
    let found = statement.query_map([], |row| {
        let map: Option<u32> = row.get(3)?;
        let what = What::Transition {
            map: map.map(MapKey),
            area: AreaKey(row.get(4)?),
            trigger: if row.get::<_, u8>(5)? == Trigger::Enter as u8 { Trigger::Enter } else { Trigger::Exit },
        };
        let (site, client) = (SiteKey(row.get(0)?), ClientKey(row.get(1)?));
        Ok(StoredEvent { site, client, at: EventTime(row.get(2)?), what })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// The columns that [`Fixes`] reads.
const FIX: &str = "SELECT site_key, client_key, epoch_ms(event_at), map_key, x_mm, y_mm";

const TRANSITION: &str = "SELECT site_key, client_key, epoch_ms(event_at), map_key, area_key, trigger";

/// Fixes as columns.
struct Fixes<'a> {
    sites: &'a [i32],
    clients: &'a [i32],
    at_ms: &'a [i64],
    maps: &'a [i32],
    x_mm: &'a [i32],
    y_mm: &'a [i32],
}

impl<'a> Fixes<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Fixes<'a>, StoreError> {
        let corrupt = || StoreError::Corrupt { what: "fixes", problem: "their columns have other types".into() };
        let integers = |place: usize| -> Result<&'a [i32], StoreError> {
            let column = batch.column(place).as_any().downcast_ref::<Int32Array>();
            Ok(column.ok_or_else(corrupt)?.values())
        };
        let at_ms = batch.column(2).as_any().downcast_ref::<Int64Array>().ok_or_else(corrupt)?.values();
        Ok(Fixes {
            sites: integers(0)?,
            clients: integers(1)?,
            at_ms,
            maps: integers(3)?,
            x_mm: integers(4)?,
            y_mm: integers(5)?,
        })
    }

    fn events(self) -> impl Iterator<Item = StoredEvent> {
        (0..self.at_ms.len()).map(move |place| StoredEvent {
            site: SiteKey(self.sites[place] as u32),
            client: ClientKey(self.clients[place] as u32),
            at: EventTime(self.at_ms[place]),
            what: What::Fix {
                map: MapKey(self.maps[place] as u32),
                position: Position { x_mm: self.x_mm[place], y_mm: self.y_mm[place] },
            },
        })
    }
}

/// The newest delivery that is committed; 0 before the first.
pub fn newest_delivery(conn: &Connection) -> Result<DeliveryKey, StoreError> {
    let sql = "SELECT coalesce(max(delivery_key), 0) FROM store.deliveries";
    Ok(DeliveryKey(conn.query_row(sql, [], |row| row.get(0))?))
}

fn instant(at: EventTime) -> String {
    format!("epoch_ms({})::TIMESTAMPTZ", at.0)
}

/// `column` within a half-open stretch of time, either end open where it is not given.
fn between(column: &str, from: Option<EventTime>, to: Option<EventTime>) -> String {
    let from = from.map_or("true".to_owned(), |from| format!("{column} >= {}", instant(from)));
    let to = to.map_or("true".to_owned(), |to| format!("{column} < {}", instant(to)));
    format!("{from} AND {to}")
}

/// Whether an ended visit touches a stretch of time.
fn touching(from: Option<EventTime>, to: Option<EventTime>) -> String {
    format!("{} AND {}", between("exited_at", from, None), between("entered_at", None, to))
}
