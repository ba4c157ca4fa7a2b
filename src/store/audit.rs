//! What the file promises, each as a count of the times it does not hold.

use duckdb::Connection;

use super::StoreError;

/// A promise, and the SQL that counts its violations.
pub struct Promise {
    pub says: &'static str,
    sql: &'static str,
}

pub fn violations(conn: &Connection, promise: &Promise) -> Result<u64, StoreError> {
    Ok(conn.query_row(promise.sql, [], |row| row.get(0))?)
}

pub const PROMISES: [Promise; 13] = [
    Promise {
        says: "every fix within the dedupe window is stored once",
        // A twin counts when it came within the window before the newest its client had shown by then.
        sql: "WITH twins AS (
                SELECT site_key, client_key, event_at FROM store.fixes GROUP BY ALL HAVING count(*) > 1
            ),
            numbered AS (
                SELECT f.site_key, f.client_key, f.event_at,
                    max(f.event_at) OVER (PARTITION BY f.site_key, f.client_key ORDER BY f.rowid
                        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS newest,
                    row_number() OVER (PARTITION BY f.site_key, f.client_key, f.event_at ORDER BY f.rowid) AS nth
                FROM store.fixes f SEMI JOIN twins USING (site_key, client_key)
            )
            SELECT count(*) FROM numbered
            WHERE nth > 1 AND epoch_ms(event_at) >= epoch_ms(newest)
                - (SELECT coalesce(min(dedupe_window_s), 86400) * 1000 FROM store.runs)",
    },
    Promise {
        says: "no fix that was there is newer than its client's that is noted",
        sql: "SELECT count(*) FROM (
                SELECT site_key, client_key, max(event_at) AS newest_at, max(received_at) AS latest_receipt
                FROM store.fixes
                WHERE delivery_key <= (SELECT min(through_delivery) FROM store.newest_fixes) GROUP BY ALL
            )
            LEFT JOIN store.newest_fixes n USING (site_key, client_key)
            WHERE n.event_at IS NULL OR newest_at > n.event_at OR latest_receipt > n.received_at",
    },
    Promise {
        says: "every transition is stored once",
        sql: "SELECT count(*) FROM (
                SELECT 1 FROM store.transitions
                WHERE epoch_ms(event_at) >= (SELECT epoch_ms(max(event_at)) FROM store.transitions)
                    - (SELECT coalesce(min(dedupe_window_s), 86400) * 1000 FROM store.runs)
                GROUP BY site_key, area_key, client_key, trigger, event_at HAVING count(*) > 1)",
    },
    Promise {
        says: "every delivery has its own number",
        sql: "SELECT count(*) - count(DISTINCT delivery_key) FROM store.deliveries",
    },
    Promise {
        says: "every delivery's events are all there",
        sql: "WITH stored AS (
                SELECT delivery_key, count(*) AS n FROM (
                    SELECT delivery_key FROM store.fixes
                    UNION ALL SELECT delivery_key FROM store.transitions
                    UNION ALL SELECT delivery_key FROM store.scans
                    UNION ALL SELECT delivery_key FROM store.vendor_alerts
                    UNION ALL SELECT delivery_key FROM store.pings
                    UNION ALL SELECT delivery_key FROM store.events
                    UNION ALL SELECT delivery_key FROM (
                        SELECT DISTINCT delivery_key, fingerprint FROM store.rssi_readings)
                ) GROUP BY delivery_key
            )
            SELECT count(*) FROM store.deliveries d LEFT JOIN stored s USING (delivery_key)
            WHERE d.events - d.duplicates <> coalesce(s.n, 0)
                AND d.delivery_key > (SELECT coalesce(max(through_delivery), 0) FROM store.forgotten)",
    },
    Promise {
        says: "every quarantined event is kept",
        sql: "SELECT count(*) FROM store.deliveries d
            LEFT JOIN (SELECT delivery_key, count(*) AS n FROM store.quarantine GROUP BY ALL) q USING (delivery_key)
            WHERE d.quarantined <> coalesce(q.n, 0)
                AND d.delivery_key > (SELECT coalesce(max(through_delivery), 0) FROM store.forgotten)",
    },
    Promise {
        says: "every key stands for one id",
        sql: "SELECT (SELECT count(*) - count(DISTINCT site_id) + count(*) - count(DISTINCT site_key) FROM store.sites)
            + (SELECT count(*) - count(DISTINCT map_id) + count(*) - count(DISTINCT map_key) FROM store.maps)
            + (SELECT count(*) - count(DISTINCT (kind, area_id)) + count(*) - count(DISTINCT area_key) FROM store.areas)
            + (SELECT count(*) - count(DISTINCT (kind, client_id)) + count(*) - count(DISTINCT client_key)
               FROM store.clients)",
    },
    Promise {
        says: "every fix names a known site, map and client",
        sql: "SELECT count(*) FROM store.fixes f
            WHERE f.site_key NOT IN (SELECT site_key FROM store.sites)
                OR f.map_key NOT IN (SELECT map_key FROM store.maps)
                OR f.client_key NOT IN (SELECT client_key FROM store.clients)",
    },
    Promise {
        says: "every visit names a known site, area and client",
        sql: "SELECT count(*) FROM (
                SELECT site_key, area_key, client_key FROM store.visits
                UNION ALL SELECT site_key, area_key, client_key FROM store.open_visits
            ) v
            WHERE v.site_key NOT IN (SELECT site_key FROM store.sites)
                OR v.area_key NOT IN (SELECT area_key FROM store.areas)
                OR v.client_key NOT IN (SELECT client_key FROM store.clients)",
    },
    Promise {
        says: "every visit has its own number",
        sql: "SELECT count(*) - count(DISTINCT visit_key) FROM (
                SELECT visit_key FROM store.visits UNION ALL SELECT visit_key FROM store.open_visits)",
    },
    Promise {
        says: "no visit ends before it begins",
        sql: "SELECT count(*) FROM store.visits WHERE exited_at < entered_at",
    },
    Promise {
        says: "a client is in an area once at a time, by each source",
        sql: "SELECT count(*) FROM (
                SELECT entered_at, lag(coalesce(exited_at, 'infinity'::TIMESTAMPTZ)) OVER (
                    PARTITION BY site_key, client_key, area_key, source ORDER BY entered_at, visit_key) AS before
                FROM (
                    SELECT site_key, client_key, area_key, source, entered_at, exited_at, visit_key FROM store.visits
                    UNION ALL
                    SELECT site_key, client_key, area_key, source, entered_at, NULL, visit_key FROM store.open_visits
                )
            ) WHERE before > entered_at",
    },
    Promise {
        says: "an area has one version at a time",
        sql: "SELECT count(*) FROM (
                SELECT 1 FROM store.area_versions WHERE valid_to IS NULL GROUP BY area_key HAVING count(*) > 1
                UNION ALL
                SELECT 1 FROM store.map_versions WHERE valid_to IS NULL GROUP BY map_key HAVING count(*) > 1)",
    },
];
