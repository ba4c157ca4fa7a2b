//! Sites that come to their end. A deleted site goes back to its defaults and is listed no more until something names it:
//! an event, an upload, or whoever sets it. Its history stays.

use std::collections::BTreeSet;

use duckdb::{Connection, params};
use rustc_hash::FxHashSet;

use super::StoreError;
use super::history::newest_delivery;
use super::places::{SiteRecord, put_site};
use super::restore::{self, PlaceSet, RuleSettings, Whose};
use crate::model::ids::{SiteId, SiteKey};
use crate::model::settings::Pseudonyms;
use crate::model::time::ReceivedAt;

/// What stands on a site still, each with how many there are.
pub fn left_on_site(conn: &Connection, id: &SiteId) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT
            (SELECT count(*) FROM store.maps m JOIN store.map_versions v USING (map_key)
             WHERE m.site_key = s.site_key AND v.valid_to IS NULL),
            (SELECT count(*) FROM store.areas_now a WHERE a.site_key = s.site_key AND a.is_mapped),
            (SELECT count(*) FROM store.alert_rules r WHERE r.site_key = s.site_key AND r.valid_to IS NULL)
        FROM store.sites s WHERE s.site_id = ?";
    let counts: [i64; 3] =
        conn.query_row(sql, params![id.to_string()], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))?;
    let names = ["map", "area", "alert rule"];
    let told = counts.into_iter().zip(names).filter(|(count, _)| *count > 0);
    Ok(told.map(|(count, name)| format!("{count} {name}{}", if count == 1 { "" } else { "s" })).collect())
}

/// Whoever is stored under a pseudonym stays so: an event that brings the site back must not tell who it was.
fn pseudonyms(conn: &Connection, key: SiteKey) -> Result<Pseudonyms, StoreError> {
    let only = Whose::Of(PlaceSet { sites: BTreeSet::from([key]), ..PlaceSet::default() });
    let found = restore::sites(conn, &only)?.pop();
    Ok(found.map_or(Pseudonyms::Off, |site| site.pseudonyms))
}

/// Takes a site's settings back, but for pseudonyms, and notes that it was deleted.
pub fn end_site(conn: &Connection, key: SiteKey, id: SiteId, now: ReceivedAt) -> Result<(), StoreError> {
    let rules = RuleSettings::default();
    let (time_zone, pseudonyms) = ("UTC".into(), pseudonyms(conn, key)?);
    let record = SiteRecord { id, name: None, time_zone, rules, dwell_bands_json: None, pseudonyms };
    put_site(conn, key, &record, now)?;
    // It may have been deleted before.
    begin_site(conn, key)?;
    let sql = "INSERT INTO store.ended_sites VALUES (?, epoch_ms(?::BIGINT)::TIMESTAMPTZ, ?)";
    conn.execute(sql, params![key.0, now.0, newest_delivery(conn)?.0])?;
    Ok(())
}

/// Lists a site again.
pub fn begin_site(conn: &Connection, key: SiteKey) -> Result<(), StoreError> {
    conn.execute("DELETE FROM store.ended_sites WHERE site_key = ?", params![key.0])?;
    Ok(())
}

/// Sites that were deleted and that nothing has named since.
pub fn ended_sites(conn: &Connection) -> Result<FxHashSet<SiteKey>, StoreError> {
    let sql = "WITH since AS (
            SELECT site_key, delivery_key FROM store.fixes
            UNION ALL SELECT site_key, delivery_key FROM store.transitions
            UNION ALL SELECT site_key, delivery_key FROM store.scans
            UNION ALL SELECT site_key, delivery_key FROM store.rssi_readings
            UNION ALL SELECT site_key, delivery_key FROM store.vendor_alerts
            UNION ALL SELECT site_key, delivery_key FROM store.beacons
            UNION ALL SELECT site_key, delivery_key FROM store.pings
            UNION ALL SELECT site_key, delivery_key FROM store.events
        ),
        there AS (
            SELECT m.site_key FROM store.maps m JOIN store.map_versions v USING (map_key) WHERE v.valid_to IS NULL
            UNION ALL SELECT site_key FROM store.areas_now WHERE is_mapped
        )
        SELECT e.site_key FROM store.ended_sites e
        WHERE e.site_key NOT IN (SELECT site_key FROM there WHERE site_key IS NOT NULL)
            AND e.site_key NOT IN (
                SELECT n.site_key FROM since n JOIN store.ended_sites o USING (site_key)
                WHERE n.delivery_key > o.through_delivery
            )";
    let mut ended = FxHashSet::default();
    // Mostly there are none, and then no event is looked at.
    if conn.query_row("SELECT count(*) FROM store.ended_sites", [], |row| row.get::<_, i64>(0))? > 0 {
        let mut statement = conn.prepare(sql)?;
        for key in statement.query_map([], |row| row.get(0))? {
            ended.insert(SiteKey(key?));
        }
    }
    Ok(ended)
}
