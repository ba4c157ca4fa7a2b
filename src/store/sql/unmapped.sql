-- Parameter: $1 site id, null: all.
-- A row per map, then per area, that never had a version: area kind (null: a map), its id, site and map, how many events
-- named it, fixes and clients among them, and when the first and the last of them were.
WITH bare_maps AS (FROM store.maps WHERE map_key NOT IN (SELECT map_key FROM store.map_versions)),
bare_areas AS (FROM store.areas WHERE area_key NOT IN (SELECT area_key FROM store.area_versions)),
map_events AS (
    SELECT map_key, client_key, event_at, TRUE AS is_fix FROM store.fixes SEMI JOIN bare_maps USING (map_key)
    UNION ALL SELECT map_key, NULL, event_at, FALSE FROM store.transitions SEMI JOIN bare_maps USING (map_key)
    UNION ALL SELECT map_key, NULL, event_at, FALSE FROM store.rssi_readings SEMI JOIN bare_maps USING (map_key)
    UNION ALL SELECT map_key, NULL, event_at, FALSE FROM store.vendor_alerts SEMI JOIN bare_maps USING (map_key)
    UNION ALL SELECT map_key, NULL, event_at, FALSE FROM store.events SEMI JOIN bare_maps USING (map_key)
),
area_events AS (
    SELECT area_key, client_key, event_at FROM store.transitions SEMI JOIN bare_areas USING (area_key)
    UNION ALL SELECT area_key, NULL, event_at FROM store.vendor_alerts SEMI JOIN bare_areas USING (area_key)
),
counted_maps AS (
    SELECT map_key, count(*) AS events, count(*) FILTER (is_fix) AS fixes, count(DISTINCT client_key) AS clients,
        min(event_at) AS first_at, max(event_at) AS last_at
    FROM map_events GROUP BY map_key
),
counted_areas AS (
    SELECT area_key, count(*) AS events, count(DISTINCT client_key) AS clients, min(event_at) AS first_at,
        max(event_at) AS last_at
    FROM area_events GROUP BY area_key
)
SELECT kind, id, site_id, map_id, events, fixes, clients, epoch_ms(first_at), epoch_ms(last_at) FROM (
    SELECT NULL::UTINYINT AS kind, m.map_id AS id, s.site_id, NULL AS map_id, coalesce(c.events, 0) AS events,
        coalesce(c.fixes, 0) AS fixes, coalesce(c.clients, 0) AS clients, c.first_at, c.last_at
    FROM bare_maps m LEFT JOIN counted_maps c USING (map_key) LEFT JOIN store.sites s ON s.site_key = m.site_key
    UNION ALL
    SELECT a.kind, a.area_id, s.site_id, m.map_id, coalesce(c.events, 0), 0, coalesce(c.clients, 0), c.first_at, c.last_at
    FROM bare_areas a
    LEFT JOIN counted_areas c USING (area_key)
    LEFT JOIN store.maps m ON m.map_key = a.map_key
    LEFT JOIN store.sites s ON s.site_key = coalesce(a.site_key, m.site_key)
)
WHERE ($1 IS NULL OR site_id = $1) AND events > 0
ORDER BY events DESC, site_id, id
