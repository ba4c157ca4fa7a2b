//! What a start reads back: everything the engine and the dictionaries need to go on where they were.

use std::collections::BTreeSet;

use duckdb::{Connection, Row};

use super::StoreError;
use super::ends::Ends;
use crate::model::event::{Fingerprint, Trigger};
use crate::model::floorplan::Outline;
use crate::model::ids::{
    AreaId, AreaKey, AreaKind, ClientId, ClientKey, ClientKind, DeliveryKey, Id, MapId, MapKey, SiteId, SiteKey,
    VisitKey,
};
use crate::model::settings::{PresenceRules, Pseudonyms};
use crate::model::time::EventTime;
use crate::model::visit::{Ended, Exit, Source, Visit};

/// The next free numbers.
#[derive(Clone, Copy, Debug)]
pub struct NextKeys {
    pub delivery: i64,
    pub visit: i64,
    pub scan: i64,
}

pub fn next_keys(conn: &Connection) -> Result<NextKeys, StoreError> {
    let sql = "SELECT (SELECT coalesce(max(delivery_key), 0) + 1 FROM store.deliveries),
        greatest((SELECT coalesce(max(visit_key), 0) FROM store.visits),
                 (SELECT coalesce(max(visit_key), 0) FROM store.open_visits)) + 1,
        (SELECT coalesce(max(scan_key), 0) + 1 FROM store.scans)";
    Ok(conn.query_row(sql, [], |row| Ok(NextKeys { delivery: row.get(0)?, visit: row.get(1)?, scan: row.get(2)? }))?)
}

/// Presence settings as they are stored: seconds, each absent where the next wider scope decides.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RuleSettings {
    pub exit_grace_s: Option<f64>,
    pub presence_timeout_s: Option<f64>,
    pub reported_timeout_s: Option<f64>,
}

impl RuleSettings {
    /// The rules in force, given those of the wider scope. Fractions of a millisecond are rounded.
    pub fn within(self, wider: PresenceRules) -> PresenceRules {
        let ms = |setting: Option<f64>, wider| setting.map_or(wider, |s| (s * 1000.0).round() as i64);
        PresenceRules {
            exit_grace_ms: ms(self.exit_grace_s, wider.exit_grace_ms),
            presence_timeout_ms: ms(self.presence_timeout_s, wider.presence_timeout_ms),
            reported_timeout_ms: ms(self.reported_timeout_s, wider.reported_timeout_ms),
        }
    }

    pub(super) fn read(row: &Row<'_>, first: usize) -> Result<RuleSettings, duckdb::Error> {
        Ok(RuleSettings {
            exit_grace_s: row.get(first)?,
            presence_timeout_s: row.get(first + 1)?,
            reported_timeout_s: row.get(first + 2)?,
        })
    }
}

/// Which sites, maps and areas are read.
#[derive(Clone, Debug)]
pub enum Whose {
    All,
    Of(PlaceSet),
}

pub fn site_key(conn: &Connection, id: &SiteId) -> Result<Option<SiteKey>, StoreError> {
    Ok(keys(conn, "SELECT site_key FROM store.sites WHERE site_id = ?", [id.to_string()])?.pop().map(SiteKey))
}

pub fn map_key(conn: &Connection, id: &MapId) -> Result<Option<MapKey>, StoreError> {
    Ok(keys(conn, "SELECT map_key FROM store.maps WHERE map_id = ?", [id.to_string()])?.pop().map(MapKey))
}

/// Areas of that id: one of each kind at most.
pub fn area_keys(conn: &Connection, kind: Option<AreaKind>, id: &Id) -> Result<Vec<AreaKey>, StoreError> {
    let kinds = kind.map_or("true".to_owned(), |kind| format!("kind = {}", kind as u8));
    let sql = format!("SELECT area_key FROM store.areas WHERE area_id = ? AND {kinds}");
    Ok(keys(conn, &sql, [id.to_string()])?.into_iter().map(AreaKey).collect())
}

fn keys(conn: &Connection, sql: &str, params: [String; 1]) -> Result<Vec<u32>, StoreError> {
    let mut statement = conn.prepare(sql)?;
    let found = statement.query_map(params, |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Sites with all that is theirs, and single maps and areas beside, which may have no site. A map comes with its areas.
#[derive(Clone, Debug, Default)]
pub struct PlaceSet {
    pub sites: BTreeSet<SiteKey>,
    pub maps: BTreeSet<MapKey>,
    pub areas: BTreeSet<AreaKey>,
}

impl Whose {
    /// Conditions on rows of sites `s`, maps `m`, and areas `a` with their map `m`. Keys are integers of our own, so they
    /// may stand in the text.
    fn conditions(&self) -> [String; 3] {
        let Whose::Of(PlaceSet { sites, maps, areas }) = self else { return ["true"; 3].map(str::to_owned) };
        let sites = listed(sites.iter().map(|key| key.0));
        let maps = listed(maps.iter().map(|key| key.0));
        let areas = listed(areas.iter().map(|key| key.0));
        let on_map = format!("m.site_key IN ({sites}) OR m.map_key IN ({maps})");
        [
            format!("s.site_key IN ({sites})"),
            on_map.clone(),
            format!("a.site_key IN ({sites}) OR {on_map} OR a.area_key IN ({areas})"),
        ]
    }
}

/// Keys as a list in SQL.
fn listed(keys: impl Iterator<Item = u32>) -> String {
    let keys: Vec<String> = keys.map(|key| key.to_string()).collect();
    if keys.is_empty() { "NULL".into() } else { keys.join(",") }
}

/// Adds where places are: the maps of areas, and the sites of areas and of maps with what lies on them.
pub fn add_whereabouts(conn: &Connection, places: &mut PlaceSet) -> Result<(), StoreError> {
    let areas = listed(places.areas.iter().map(|key| key.0));
    let sql = format!("SELECT map_key FROM store.areas WHERE area_key IN ({areas}) AND map_key IS NOT NULL");
    places.maps.extend(rows(conn, &sql, |row| Ok(MapKey(row.get(0)?)))?);
    let maps = listed(places.maps.iter().map(|key| key.0));
    let sql = format!(
        "SELECT site_key FROM store.maps WHERE map_key IN ({maps}) AND site_key IS NOT NULL
         UNION SELECT site_key FROM store.areas
         WHERE (area_key IN ({areas}) OR map_key IN ({maps})) AND site_key IS NOT NULL"
    );
    places.sites.extend(rows(conn, &sql, |row| Ok(SiteKey(row.get(0)?)))?);
    Ok(())
}

#[derive(Clone, Debug, PartialEq)]
pub struct SiteRow {
    pub key: SiteKey,
    pub id: SiteId,
    pub rules: RuleSettings,
    pub time_zone: String,
    pub pseudonyms: Pseudonyms,
}

pub fn sites(conn: &Connection, whose: &Whose) -> Result<Vec<SiteRow>, StoreError> {
    let [condition, ..] = whose.conditions();
    let sql = format!(
        "SELECT site_key, site_id, exit_grace_s, presence_timeout_s, reported_timeout_s, time_zone, pseudonymise
         FROM store.sites s WHERE {condition} ORDER BY site_key"
    );
    rows(conn, &sql, |row| {
        let id: String = row.get(1)?;
        Ok(SiteRow {
            key: SiteKey(row.get(0)?),
            id: SiteId::from(id.as_str()),
            rules: RuleSettings::read(row, 2)?,
            time_zone: row.get(5)?,
            pseudonyms: pseudonyms(row.get(6)?),
        })
    })
}

#[derive(Clone, Debug, PartialEq)]
pub struct MapRow {
    pub key: MapKey,
    pub id: MapId,
    pub site: Option<SiteKey>,
    pub is_mapped: bool,
    pub size_m: Option<(f64, f64)>,
}

pub fn maps(conn: &Connection, whose: &Whose) -> Result<Vec<MapRow>, StoreError> {
    let [_, condition, _] = whose.conditions();
    let sql = format!(
        "SELECT m.map_key, m.map_id, m.site_key, v.map_key IS NOT NULL, v.width_m, v.height_m
         FROM store.maps m LEFT JOIN store.map_versions v ON v.map_key = m.map_key AND v.valid_to IS NULL
         WHERE {condition} ORDER BY m.map_key"
    );
    rows(conn, &sql, |row| {
        let id: String = row.get(1)?;
        let site: Option<u32> = row.get(2)?;
        let (width_m, height_m): (Option<f64>, Option<f64>) = (row.get(4)?, row.get(5)?);
        Ok(MapRow {
            key: MapKey(row.get(0)?),
            id: MapId::from(id.as_str()),
            site: site.map(SiteKey),
            is_mapped: row.get(3)?,
            size_m: width_m.zip(height_m),
        })
    })
}

#[derive(Clone, Debug, PartialEq)]
pub struct AreaRow {
    pub key: AreaKey,
    pub id: AreaId,
    pub site: Option<SiteKey>,
    pub map: Option<MapKey>,
    pub rules: RuleSettings,
    /// 0 where the area is not uploaded, or was deleted.
    pub version: u32,
    /// Of a zone that is uploaded.
    pub outline: Option<Outline>,
    /// Of what is uploaded.
    pub tags: Vec<String>,
    /// What is counted, where that was set.
    pub source: Option<Source>,
}

impl AreaRow {
    pub fn has_own_rules(&self) -> bool {
        self.rules != RuleSettings::default()
    }
}

pub fn areas(conn: &Connection, whose: &Whose) -> Result<Vec<AreaRow>, StoreError> {
    let [.., condition] = whose.conditions();
    // The few are found first, so that not every shape is read.
    let sql = format!(
        "WITH own AS MATERIALIZED (
             SELECT a.* REPLACE (coalesce(a.site_key, m.site_key) AS site_key)
             FROM store.areas a LEFT JOIN store.maps m ON m.map_key = a.map_key WHERE {condition}
         ),
         valid AS (FROM store.area_versions WHERE valid_to IS NULL AND area_key IN (SELECT area_key FROM own))
         SELECT a.area_key, a.kind, a.area_id, a.site_key, a.map_key, a.exit_grace_s, a.presence_timeout_s,
             a.reported_timeout_s, coalesce(v.version, 0), v.shape, v.tags, a.authoritative_source
         FROM own a LEFT JOIN valid v ON v.area_key = a.area_key ORDER BY a.area_key"
    );
    let raw = rows(conn, &sql, |row| {
        let tags: Option<String> = row.get(10)?;
        let source: Option<u8> = row.get(11)?;
        let id: String = row.get(2)?;
        let (site, map): (Option<u32>, Option<u32>) = (row.get(3)?, row.get(4)?);
        let area = AreaRow {
            key: AreaKey(row.get(0)?),
            id: AreaId { kind: area_kind(row.get(1)?), id: Id::object(&id) },
            site: site.map(SiteKey),
            map: map.map(MapKey),
            rules: RuleSettings::read(row, 5)?,
            version: row.get(8)?,
            outline: None,
            tags: tags.and_then(|tags| serde_json::from_str(&tags).ok()).unwrap_or_default(),
            source: source.map(self::source),
        };
        Ok((area, row.get::<_, Option<String>>(9)?))
    })?;
    raw.into_iter()
        .map(|(mut area, shape)| {
            if area.id.kind == AreaKind::Zone
                && let Some(shape) = shape
            {
                area.outline = Some(outline_of_shape(&shape)?);
            }
            Ok(area)
        })
        .collect()
}

/// A zone's outline from the JSON of its `shape` column.
pub fn outline_of_shape(shape: &str) -> Result<Outline, StoreError> {
    let corrupt = |problem: String| StoreError::Corrupt { what: "zone shape", problem };
    #[derive(serde::Deserialize)]
    struct Shape {
        rings: Vec<Vec<[f64; 2]>>,
    }
    let shape: Shape = serde_json::from_str(shape).map_err(|error| corrupt(error.to_string()))?;
    Outline::from_rings(shape.rings).map_err(|error| corrupt(error.to_string()))
}

/// Every client that was ever named, in key order.
pub fn each_client(
    conn: &Connection,
    mut take: impl FnMut(ClientKey, ClientId, Option<String>),
) -> Result<(), StoreError> {
    let sql = "SELECT client_key, kind, client_id, name FROM store.clients ORDER BY client_key";
    each(conn, sql, |row| {
        let id: String = row.get(2)?;
        let id = ClientId { kind: client_kind(row.get(1)?), id: Id::client(&id) };
        take(ClientKey(row.get(0)?), id, row.get(3)?);
        Ok(())
    })
}

pub struct TransitionRow {
    pub site: SiteKey,
    pub client: ClientKey,
    pub area: AreaKey,
    pub trigger: Trigger,
    pub at: EventTime,
    pub is_late: bool,
}

/// Each transition within `window_ms` before the newest of its client and area, in order of time.
pub fn transitions(conn: &Connection, window_ms: i64) -> Result<Vec<TransitionRow>, StoreError> {
    let sql = format!(
        "WITH newest AS (
             SELECT site_key, client_key, area_key, max(event_at) AS event_at FROM store.transitions GROUP BY ALL
         )
         SELECT t.site_key, t.client_key, t.area_key, t.trigger, epoch_ms(t.event_at), t.is_late
         FROM store.transitions t JOIN newest n USING (site_key, client_key, area_key)
         WHERE epoch_ms(t.event_at) >= epoch_ms(n.event_at) - {window_ms}
         ORDER BY t.site_key, t.client_key, t.event_at, t.rowid"
    );
    rows(conn, &sql, |row| {
        Ok(TransitionRow {
            site: SiteKey(row.get(0)?),
            client: ClientKey(row.get(1)?),
            area: AreaKey(row.get(2)?),
            trigger: if row.get::<_, u8>(3)? == Trigger::Enter as u8 { Trigger::Enter } else { Trigger::Exit },
            at: EventTime(row.get(4)?),
            is_late: row.get(5)?,
        })
    })
}

/// The fingerprint of each other event within `window_ms` before its site's newest, in order of time.
pub fn each_fingerprint(
    conn: &Connection,
    window_ms: i64,
    mut take: impl FnMut(SiteKey, Fingerprint, EventTime, bool),
) -> Result<(), StoreError> {
    let sql = format!(
        "WITH seen AS NOT MATERIALIZED (
             SELECT site_key, fingerprint, event_at, is_received_time FROM store.scans
             UNION ALL SELECT site_key, fingerprint, event_at, is_received_time FROM store.rssi_readings
             UNION ALL SELECT site_key, fingerprint, event_at, is_received_time FROM store.vendor_alerts
             UNION ALL SELECT site_key, fingerprint, event_at, is_received_time FROM store.pings
             UNION ALL SELECT site_key, fingerprint, event_at, is_received_time FROM store.events
         ),
         newest AS (SELECT site_key, max(event_at) AS event_at FROM seen GROUP BY site_key)
         SELECT DISTINCT s.site_key, s.fingerprint, epoch_ms(s.event_at), s.is_received_time
         FROM seen s JOIN newest n USING (site_key)
         WHERE epoch_ms(s.event_at) >= epoch_ms(n.event_at) - {window_ms}
         ORDER BY s.site_key, epoch_ms(s.event_at), s.fingerprint"
    );
    each(conn, &sql, |row| {
        take(SiteKey(row.get(0)?), Fingerprint(row.get(1)?), EventTime(row.get(2)?), row.get(3)?);
        Ok(())
    })
}

/// A visit that may still change, and how the clock closed it, if it has.
pub struct LiveVisit {
    pub visit: Visit,
    pub closed: Option<Exit>,
}

/// Every open visit, and the newest that the clock closed per client, area and source, back to `back_ms` before the
/// site's newest fix or transition: what is older is not expected to be opened again.
pub fn live_visits(conn: &Connection, ends: &Ends, back_ms: i64) -> Result<Vec<LiveVisit>, StoreError> {
    let sql = format!(
        "WITH {},
         newest AS (
             SELECT site_key, max(event_at) AS event_at FROM (
                 SELECT site_key, newest_at AS event_at FROM ends
                 UNION ALL SELECT site_key, event_at FROM store.transitions
             ) GROUP BY site_key
         )
         SELECT visit_key, site_key, map_key, area_key, area_version, client_key, source, epoch_ms(entered_at),
             NULL::BIGINT AS exited_at, NULL::UTINYINT AS ended, NULL::BIGINT AS clock_after
         FROM store.open_visits
         UNION ALL
         SELECT visit_key, site_key, map_key, area_key, area_version, client_key, source, epoch_ms(entered_at),
             epoch_ms(exited_at), ended, epoch_ms(clock_after)
         FROM store.visits JOIN newest USING (site_key)
         WHERE clock_after >= newest.event_at - INTERVAL {back_ms} MILLISECOND
         QUALIFY row_number() OVER (PARTITION BY site_key, client_key, area_key, source ORDER BY visit_key DESC) = 1
         ORDER BY visit_key",
        ends.sql()
    );
    rows(conn, &sql, |row| {
        let map: Option<u32> = row.get(2)?;
        let visit = Visit {
            key: VisitKey(row.get(0)?),
            site: SiteKey(row.get(1)?),
            map: map.map(MapKey),
            area: AreaKey(row.get(3)?),
            area_version: row.get(4)?,
            client: ClientKey(row.get(5)?),
            source: source(row.get(6)?),
            entered_at: EventTime(row.get(7)?),
        };
        let closed = match row.get(8)? {
            None => None,
            Some(exited_at) => Some(Exit {
                exited_at: EventTime(exited_at),
                ended: ended(row.get(9)?),
                clock_after: row.get::<_, Option<i64>>(10)?.map(EventTime),
            }),
        };
        Ok(LiveVisit { visit, closed })
    })
}

/// The last delivery whose late fixes a rebuild up to the present put in place, for each area that had one.
pub fn rebuilt_through(conn: &Connection) -> Result<Vec<(AreaKey, DeliveryKey)>, StoreError> {
    let sql = "SELECT a.area_key, max(r.through_delivery)
               FROM store.rebuilt_areas a JOIN store.rebuilds r USING (rebuild_key)
               WHERE a.source = 0 AND r.to_at IS NULL GROUP BY a.area_key";
    rows(conn, sql, |row| Ok((AreaKey(row.get(0)?), DeliveryKey(row.get(1)?))))
}

/// The default presence rules, if every server on this file ran with the same.
pub fn constant_rules(conn: &Connection) -> Result<Option<PresenceRules>, StoreError> {
    let sql = "SELECT DISTINCT exit_grace_s, presence_timeout_s, reported_timeout_s FROM store.runs";
    let found = rows(conn, sql, |row| RuleSettings::read(row, 0))?;
    Ok(match found[..] {
        [] => Some(PresenceRules::DEFAULT),
        [rules] => Some(rules.within(PresenceRules::DEFAULT)),
        _ => None,
    })
}

/// Zones whose computed visits follow from the stored fixes: geometry and rules were the same for every fix of their
/// site, or since a rebuild of the whole past. With the last delivery whose late fixes count: 0, or the rebuild's.
pub fn constant_areas(conn: &Connection) -> Result<Vec<(AreaKey, DeliveryKey)>, StoreError> {
    let sql = "WITH begun AS (SELECT site_key, min(received_at) AS since FROM store.fixes GROUP BY site_key),
        rebuilt AS (
            SELECT a.area_key, arg_max(r, r.rebuild_key) AS last
            FROM store.rebuilt_areas a JOIN store.rebuilds r USING (rebuild_key) WHERE a.source = 0
            GROUP BY a.area_key
        ),
        based AS (
            SELECT n.area_key, n.valid_from, a.rules_changed_at AS area_changed_at, s.rules_changed_at AS site_changed_at,
                r.last IS NOT NULL AND (r.last.from_at IS NOT NULL OR r.last.to_at IS NOT NULL) AS is_patched,
                coalesce(r.last.ended_at, b.since) AS since, coalesce(r.last.through_delivery, 0) AS through
            FROM store.areas_now n
            JOIN store.areas a USING (area_key)
            JOIN store.sites s ON s.site_key = n.site_key
            LEFT JOIN begun b ON b.site_key = n.site_key
            LEFT JOIN rebuilt r ON r.area_key = n.area_key
            WHERE n.kind = 0 AND n.is_mapped
        )
        SELECT area_key, through FROM based
        WHERE NOT is_patched AND (since IS NULL OR (valid_from <= since
            AND coalesce(area_changed_at <= since, true) AND coalesce(site_changed_at <= since, true)))
        ORDER BY area_key";
    rows(conn, sql, |row| Ok((AreaKey(row.get(0)?), DeliveryKey(row.get(1)?))))
}

pub(super) fn pseudonyms(name: Option<String>) -> Pseudonyms {
    name.map_or(Pseudonyms::Off, |name| Pseudonyms::from_name(&name).expect("only our own words are stored"))
}

pub(super) fn client_kind(code: u8) -> ClientKind {
    ClientKind::ALL.into_iter().find(|kind| *kind as u8 == code).expect("only our own codes are stored")
}

pub(super) fn source(code: u8) -> Source {
    if code == Source::Computed as u8 { Source::Computed } else { Source::Reported }
}

pub(super) fn ended(code: u8) -> Ended {
    if code == Ended::Left as u8 { Ended::Left } else { Ended::Timeout }
}

pub(super) fn area_kind(code: u8) -> AreaKind {
    AreaKind::ALL.into_iter().find(|kind| *kind as u8 == code).expect("only our own codes are stored")
}

pub(super) fn rows<T>(
    conn: &Connection,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> Result<T, duckdb::Error>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = conn.prepare(sql)?;
    let found = statement.query_map([], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Like [`rows`], for what is too much to hold twice.
fn each(
    conn: &Connection,
    sql: &str,
    mut take: impl FnMut(&Row<'_>) -> Result<(), duckdb::Error>,
) -> Result<(), StoreError> {
    let mut statement = conn.prepare(sql)?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        take(row)?;
    }
    Ok(())
}
