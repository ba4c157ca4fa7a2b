//! Rebuilds: what was asked for, and how derived visits take the place of stored ones.

use duckdb::{Connection, Row, params};

use super::history::History;
use super::past::Changing;
use super::restore::{PlaceSet, Whose, ended};
use super::row;
use super::writer::append_temporary;
use super::{StoreError, allocation};
use crate::model::ids::{AreaKey, ClientKey, DeliveryKey, MapKey, SiteKey, VisitKey};
use crate::model::time::{EventTime, ReceivedAt};
use crate::model::visit::Ended;

/// Which areas' visits: of everything, or of one site, map or area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    All,
    Site(SiteKey),
    Map(MapKey),
    Area(AreaKey),
}

impl Target {
    /// What has to be read to know its areas.
    pub fn whose(self) -> Whose {
        let mut places = PlaceSet::default();
        match self {
            Target::All => return Whose::All,
            Target::Site(site) => _ = places.sites.insert(site),
            Target::Map(map) => _ = places.maps.insert(map),
            Target::Area(area) => _ = places.areas.insert(area),
        }
        Whose::Of(places)
    }
}

/// How far a rebuild has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Queued,
    Running,
    Done,
    Cancelled,
    Failed,
}

impl State {
    const ALL: [State; 5] = [State::Queued, State::Running, State::Done, State::Cancelled, State::Failed];

    pub fn name(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Running => "running",
            State::Done => "done",
            State::Cancelled => "cancelled",
            State::Failed => "failed",
        }
    }

    pub fn is_over(self) -> bool {
        !matches!(self, State::Queued | State::Running)
    }
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub target: Target,
    /// Only visits that touch the time from `from` on and before `to`.
    pub from: Option<EventTime>,
    pub to: Option<EventTime>,
}

/// A rebuild as it is stored, its target by outside ids.
#[derive(Clone, Debug)]
pub struct Record {
    pub key: i64,
    pub request: Request,
    pub site_id: Option<String>,
    pub map_id: Option<String>,
    pub area_id: Option<String>,
    pub state: State,
    pub requested_ms: i64,
    pub started_ms: Option<i64>,
    pub ended_ms: Option<i64>,
    pub events: Option<i64>,
    pub replaced_visits: Option<i64>,
    pub visits: Option<i64>,
    pub problem: Option<String>,
}

/// Stores a new request; gives its number.
pub fn insert(conn: &Connection, request: &Request, now: ReceivedAt) -> Result<i64, StoreError> {
    let (site, map, area) = match request.target {
        Target::All => (None, None, None),
        Target::Site(site) => (Some(site.0), None, None),
        Target::Map(map) => (None, Some(map.0), None),
        Target::Area(area) => (None, None, Some(area.0)),
    };
    Ok(conn.query_row(
        "INSERT INTO store.rebuilds
         SELECT coalesce(max(rebuild_key), 0) + 1, epoch_ms($1::BIGINT)::TIMESTAMPTZ, $2, $3, $4,
             epoch_ms($5::BIGINT)::TIMESTAMPTZ, epoch_ms($6::BIGINT)::TIMESTAMPTZ, 'queued',
             NULL, NULL, NULL, NULL, NULL, NULL, NULL
         FROM store.rebuilds RETURNING rebuild_key",
        params![now.0, site, map, area, request.from.map(|at| at.0), request.to.map(|at| at.0)],
        |row| row.get(0),
    )?)
}

pub fn set_running(conn: &Connection, key: i64, now: ReceivedAt) -> Result<(), StoreError> {
    conn.execute(
        "UPDATE store.rebuilds SET state = 'running', started_at = epoch_ms($2::BIGINT)::TIMESTAMPTZ
         WHERE rebuild_key = $1",
        params![key, now.0],
    )?;
    Ok(())
}

/// Ends a rebuild that came to nothing.
pub fn set_ended(
    conn: &Connection,
    key: i64,
    state: State,
    problem: Option<&str>,
    now: ReceivedAt,
) -> Result<(), StoreError> {
    conn.execute(
        "UPDATE store.rebuilds SET state = $2, problem = $3, ended_at = epoch_ms($4::BIGINT)::TIMESTAMPTZ
         WHERE rebuild_key = $1",
        params![key, state.name(), problem, now.0],
    )?;
    Ok(())
}

const RECORDS: &str = "SELECT r.rebuild_key, r.site_key, r.map_key, r.area_key, epoch_ms(r.from_at), epoch_ms(r.to_at),
        s.site_id, m.map_id, a.area_id, r.state, epoch_ms(r.requested_at), epoch_ms(r.started_at),
        epoch_ms(r.ended_at), r.events, r.replaced_visits, r.visits, r.problem
    FROM store.rebuilds r
    LEFT JOIN store.sites s ON s.site_key = r.site_key
    LEFT JOIN store.maps m ON m.map_key = r.map_key
    LEFT JOIN store.areas a ON a.area_key = r.area_key";

/// The newest rebuilds first, at most `limit`.
pub fn list(conn: &Connection, limit: i64) -> Result<Vec<Record>, StoreError> {
    records(conn, &format!("{RECORDS} ORDER BY r.rebuild_key DESC LIMIT {limit}"))
}

pub fn get(conn: &Connection, key: i64) -> Result<Option<Record>, StoreError> {
    Ok(records(conn, &format!("{RECORDS} WHERE r.rebuild_key = {key}"))?.pop())
}

/// What was asked for and is not over, in that order.
pub fn unfinished(conn: &Connection) -> Result<Vec<Record>, StoreError> {
    records(conn, &format!("{RECORDS} WHERE r.state IN ('queued', 'running') ORDER BY r.rebuild_key"))
}

fn records(conn: &Connection, sql: &str) -> Result<Vec<Record>, StoreError> {
    let mut statement = conn.prepare(sql)?;
    let found = statement.query_map([], record)?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn record(row: &Row<'_>) -> Result<Record, duckdb::Error> {
    let (site, map, area): (Option<u32>, Option<u32>, Option<u32>) = (row.get(1)?, row.get(2)?, row.get(3)?);
    let target = match (site, map, area) {
        (_, _, Some(area)) => Target::Area(AreaKey(area)),
        (_, Some(map), None) => Target::Map(MapKey(map)),
        (Some(site), None, None) => Target::Site(SiteKey(site)),
        (None, None, None) => Target::All,
    };
    let state: String = row.get(9)?;
    let (from, to): (Option<i64>, Option<i64>) = (row.get(4)?, row.get(5)?);
    Ok(Record {
        key: row.get(0)?,
        request: Request { target, from: from.map(EventTime), to: to.map(EventTime) },
        site_id: row.get(6)?,
        map_id: row.get(7)?,
        area_id: row.get(8)?,
        state: State::ALL.into_iter().find(|known| known.name() == state).expect("only our own words are stored"),
        requested_ms: row.get(10)?,
        started_ms: row.get(11)?,
        ended_ms: row.get(12)?,
        events: row.get(13)?,
        replaced_visits: row.get(14)?,
        visits: row.get(15)?,
        problem: row.get(16)?,
    })
}

/// How many fixes there are on some maps, touching a period or all, and the time of the oldest.
pub fn fixes_on(conn: &Connection, maps: &[MapKey], request: &Request) -> Result<(i64, Option<i64>), StoreError> {
    let keys: Vec<String> = maps.iter().map(|map| map.0.to_string()).collect();
    // Keys are integers of our own, so they may stand in the text.
    let sql = format!(
        "SELECT count(*), epoch_ms(min(event_at)) FROM store.fixes
         WHERE map_key IN ({}) AND ($1 IS NULL OR event_at >= epoch_ms($1::BIGINT)::TIMESTAMPTZ)
             AND ($2 IS NULL OR event_at < epoch_ms($2::BIGINT)::TIMESTAMPTZ)",
        if keys.is_empty() { "NULL".into() } else { keys.join(",") }
    );
    let period = params![request.from.map(|at| at.0), request.to.map(|at| at.0)];
    Ok(conn.query_row(&sql, period, |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// The areas that the network reported someone to enter or leave, and the sites it said that of; ascending.
pub fn reported(conn: &Connection) -> Result<Vec<(AreaKey, SiteKey)>, StoreError> {
    let mut statement =
        conn.prepare("SELECT DISTINCT area_key, site_key FROM store.transitions ORDER BY area_key, site_key")?;
    let found = statement.query_map([], |row| Ok((AreaKey(row.get(0)?), SiteKey(row.get(1)?))))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Events a second of the rebuilds that are done; `None` before there are enough to tell.
pub fn speed(conn: &Connection) -> Result<Option<f64>, StoreError> {
    let sql = "SELECT sum(events) / (sum(epoch_ms(ended_at) - epoch_ms(started_at)) / 1000.0) FROM store.rebuilds
               WHERE state = 'done' HAVING sum(events) > 1000000";
    let mut statement = conn.prepare(sql)?;
    let mut found = statement.query_map([], |row| row.get::<_, Option<f64>>(0))?;
    Ok(found.next().transpose()?.flatten().filter(|speed| speed.is_finite()))
}

/// Keeps visits that ended, under keys of their own, until [`swap`].
pub fn stage_ended(history: &History, visits: &[row::Visit]) -> Result<(), StoreError> {
    append_temporary(&history.conn, "derived_visits", visits)
}

/// Keeps visits that are open, under keys of their own, until [`swap`].
pub fn stage_open(history: &History, visits: &[row::OpenVisit]) -> Result<(), StoreError> {
    append_temporary(&history.conn, "derived_open_visits", visits)
}

/// Derived visits that are ready to be put in, and stored ones to be taken out.
pub struct Prepared {
    /// How many are put in.
    pub visits: i64,
    pub replaced: i64,
    /// How many more are open afterwards.
    pub opened_net: i64,
    /// Those to be taken out that may still change, ascending.
    pub gone: Vec<VisitKey>,
    /// Those to be put in that may still change: the key they were staged with, and their place from 0 among all that
    /// are put in, in order of entry.
    pub come: Vec<(VisitKey, i64)>,
}

/// Says which visits change places. All, but with a period only stretches of visits of a client in an area that
/// overlap, one another's or the stored ones, of which one touches the period: so no client is in an area twice.
pub fn prepare(history: &History) -> Result<Prepared, StoreError> {
    let conn = &history.conn;
    let question = history.question();
    conn.execute_batch(
        "CREATE OR REPLACE TEMP TABLE gone AS
         SELECT visit_key, clock_after IS NOT NULL AS may_change, FALSE AS is_open, site_key, client_key, area_key,
             source, entered_at, exited_at
         FROM store.visits SEMI JOIN scope USING (area_key, source)
         UNION ALL
         SELECT visit_key, TRUE, TRUE, site_key, client_key, area_key, source, entered_at, 'infinity'::TIMESTAMPTZ
         FROM store.open_visits SEMI JOIN scope USING (area_key, source);
         CREATE OR REPLACE TEMP TABLE come AS
         SELECT visit_key, clock_after IS NOT NULL AS may_change, FALSE AS is_open, site_key, client_key, area_key,
             source, entered_at, exited_at
         FROM derived_visits
         UNION ALL
         SELECT visit_key, TRUE, TRUE, site_key, client_key, area_key, source, entered_at, 'infinity'::TIMESTAMPTZ
         FROM derived_open_visits;",
    )?;
    keep_forgotten(conn)?;
    if question.from.is_some() || question.to.is_some() {
        let after = question.from.map_or("TRUE".into(), |from| {
            format!(
                "max(exited_at) > epoch_ms({0})::TIMESTAMPTZ OR max(entered_at) >= epoch_ms({0})::TIMESTAMPTZ",
                from.0
            )
        });
        let before =
            question.to.map_or("TRUE".into(), |to| format!("min(entered_at) < epoch_ms({})::TIMESTAMPTZ", to.0));
        conn.execute_batch(&format!(
            "CREATE OR REPLACE TEMP TABLE chosen AS
             WITH stays AS (SELECT *, TRUE AS is_gone FROM gone UNION ALL SELECT *, FALSE FROM come),
             reach AS (
                 SELECT *, max(exited_at) OVER (
                     PARTITION BY site_key, client_key, area_key, source ORDER BY entered_at, is_gone, visit_key
                     ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
                 FROM stays
             ),
             stretches AS (
                 SELECT *, count(*) FILTER (reached IS NULL OR entered_at > reached) OVER (
                     PARTITION BY site_key, client_key, area_key, source ORDER BY entered_at, is_gone, visit_key
                     ROWS UNBOUNDED PRECEDING) AS stretch
                 FROM reach
             ),
             touching AS (
                 SELECT site_key, client_key, area_key, source, stretch FROM stretches GROUP BY ALL
                 HAVING ({after}) AND ({before})
             )
             SELECT visit_key, is_gone FROM stretches
             SEMI JOIN touching USING (site_key, client_key, area_key, source, stretch);
             DELETE FROM gone WHERE visit_key NOT IN (SELECT visit_key FROM chosen WHERE is_gone);
             DELETE FROM come WHERE visit_key NOT IN (SELECT visit_key FROM chosen WHERE NOT is_gone);"
        ))?;
    }
    conn.execute_batch(
        "CREATE OR REPLACE TEMP TABLE numbered AS
         SELECT visit_key, may_change, row_number() OVER (ORDER BY entered_at, visit_key) - 1 AS place FROM come",
    )?;
    let (visits, opened): (i64, i64) =
        conn.query_row("SELECT count(*), count(*) FILTER (is_open) FROM come", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let (replaced, closed): (i64, i64) =
        conn.query_row("SELECT count(*), count(*) FILTER (is_open) FROM gone", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let mut statement = conn.prepare("SELECT visit_key FROM gone WHERE may_change ORDER BY visit_key")?;
    let gone = statement.query_map([], |row| Ok(VisitKey(row.get(0)?)))?.collect::<Result<_, _>>()?;
    let mut statement = conn.prepare("SELECT visit_key, place FROM numbered WHERE may_change ORDER BY visit_key")?;
    let come = statement.query_map([], |row| Ok((VisitKey(row.get(0)?), row.get(1)?)))?.collect::<Result<_, _>>()?;
    Ok(Prepared { visits, replaced, opened_net: opened - closed, gone, come })
}

/// Visits that began when events have been deleted since stay as they are, and what is derived beside them from the events that
/// are left does not take their place.
fn keep_forgotten(conn: &Connection) -> Result<(), StoreError> {
    conn.execute_batch(
        "CREATE OR REPLACE TEMP TABLE kept AS
         SELECT g.* FROM gone g JOIN store.forgotten f USING (site_key) WHERE g.entered_at < f.before_at;
         DELETE FROM gone WHERE visit_key IN (SELECT visit_key FROM kept);
         DELETE FROM come WHERE visit_key IN (
             SELECT c.visit_key FROM come c JOIN kept k USING (site_key, client_key, area_key, source)
             WHERE c.entered_at <= k.exited_at AND c.exited_at >= k.entered_at);",
    )?;
    Ok(())
}

/// Puts the prepared visits in, numbered from `first` on, and the rebuild is done: in one transaction.
pub fn swap(
    history: &History,
    _: &Changing<'_>,
    rebuild: i64,
    prepared: &Prepared,
    events: u64,
    first: VisitKey,
    now: ReceivedAt,
) -> Result<(), StoreError> {
    let conn = &history.conn;
    let Prepared { visits, replaced, .. } = prepared;
    let DeliveryKey(through) = history.late_through();
    let sql = format!(
        "BEGIN TRANSACTION;
         DELETE FROM store.visits WHERE visit_key IN (SELECT visit_key FROM gone WHERE NOT is_open);
         DELETE FROM store.open_visits WHERE visit_key IN (SELECT visit_key FROM gone WHERE is_open);
         INSERT INTO store.visits SELECT v.* REPLACE ({first} + n.place AS visit_key)
         FROM derived_visits v JOIN numbered n USING (visit_key) ORDER BY n.place;
         INSERT INTO store.open_visits SELECT v.* REPLACE ({first} + n.place AS visit_key)
         FROM derived_open_visits v JOIN numbered n USING (visit_key) ORDER BY n.place;
         INSERT INTO store.rebuilt_areas SELECT {rebuild}, area_key, source FROM scope;
         UPDATE store.rebuilds SET state = 'done', ended_at = epoch_ms({now})::TIMESTAMPTZ, events = {events},
             replaced_visits = {replaced}, visits = {visits}, through_delivery = {through}
         WHERE rebuild_key = {rebuild};
         COMMIT;",
        first = first.0,
        now = now.0,
    );
    let committing = allocation::commit();
    let done = conn.execute_batch(&sql);
    drop(committing);
    if done.is_err() {
        // A commit that failed has already ended the transaction; then there is nothing left to roll back.
        let _ = conn.execute_batch("ROLLBACK");
    }
    Ok(done?)
}

/// A visit that is stored otherwise than it was derived, or only one of both; exits as Unix milliseconds and how.
#[derive(Clone, Debug)]
pub struct Difference {
    pub client: ClientKey,
    pub area: AreaKey,
    pub entered_at: EventTime,
    pub stored: Option<(i64, Ended)>,
    pub derived: Option<(i64, Ended)>,
}

/// How many visits are stored for the areas in question, how many of them or of the derived ones have no equal, and
/// the first few of these. What is stored as open may have any end.
pub fn differences(history: &History, examples: i64) -> Result<(u64, u64, Vec<Difference>), StoreError> {
    let conn = &history.conn;
    conn.execute_batch(
        "CREATE OR REPLACE TEMP TABLE differences AS
         WITH stored_all AS (
             SELECT site_key, client_key, area_key, source, entered_at, exited_at, ended, FALSE AS is_open
             FROM store.visits SEMI JOIN scope USING (area_key, source)
             UNION ALL
             SELECT site_key, client_key, area_key, source, entered_at, NULL, NULL, TRUE
             FROM store.open_visits SEMI JOIN scope USING (area_key, source)
         ),
         -- Of before events were deleted because they were old: these visits cannot be derived any more.
         kept AS (
             SELECT s.* FROM stored_all s JOIN store.forgotten f USING (site_key) WHERE s.entered_at < f.before_at
         ),
         stored AS (FROM stored_all ANTI JOIN kept USING (site_key, client_key, area_key, source, entered_at)),
         derived AS (
             FROM derived_visits d WHERE NOT EXISTS (
                 FROM kept k WHERE (k.site_key, k.client_key, k.area_key, k.source)
                     = (d.site_key, d.client_key, d.area_key, d.source) AND d.entered_at <= coalesce(k.exited_at, 'infinity'))
         )
         SELECT client_key, area_key, entered_at, s.exited_at AS stored_at, s.ended AS stored_ended,
             d.exited_at AS derived_at, d.ended AS derived_ended
         FROM stored s FULL JOIN derived d USING (site_key, client_key, area_key, source, entered_at)
         WHERE s.is_open IS NULL OR d.visit_key IS NULL
             OR NOT s.is_open AND (s.exited_at <> d.exited_at OR s.ended <> d.ended)",
    )?;
    let compared = conn.query_row(
        "SELECT (SELECT count(*) FROM store.visits SEMI JOIN scope USING (area_key, source))
             + (SELECT count(*) FROM store.open_visits SEMI JOIN scope USING (area_key, source))",
        [],
        |row| row.get(0),
    )?;
    let found = conn.query_row("SELECT count(*) FROM differences", [], |row| row.get(0))?;
    let mut statement = conn.prepare(
        "SELECT client_key, area_key, epoch_ms(entered_at), epoch_ms(stored_at), stored_ended, epoch_ms(derived_at),
             derived_ended
         FROM differences ORDER BY ALL LIMIT ?",
    )?;
    let rows = statement.query_map(params![examples], |row| {
        let exit = |at: Option<i64>, code: Option<u8>| at.zip(code.map(ended));
        Ok(Difference {
            client: ClientKey(row.get(0)?),
            area: AreaKey(row.get(1)?),
            entered_at: EventTime(row.get(2)?),
            stored: exit(row.get(3)?, row.get(4)?),
            derived: exit(row.get(5)?, row.get(6)?),
        })
    })?;
    Ok((compared, found, rows.collect::<Result<_, _>>()?))
}
