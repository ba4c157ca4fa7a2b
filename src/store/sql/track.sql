-- Parameters: $1 client id, $2 client kind, null: any; $3, $4 the window, Unix milliseconds; $5 how many rows.
-- A row per fix of the client in the window, by time: time, site, map, metres, signal, late, off the map.
SELECT epoch_ms(f.event_at), s.site_id, m.map_id, f.x_mm / 1000, f.y_mm / 1000, f.rssi_dbm, f.is_late, f.is_off_map
FROM store.fixes f
JOIN store.sites s USING (site_key)
JOIN store.maps m ON m.map_key = f.map_key
WHERE f.client_key IN (SELECT client_key FROM store.clients WHERE client_id = $1 AND ($2 IS NULL OR kind = $2))
    AND f.event_at >= epoch_ms($3::BIGINT)::TIMESTAMPTZ AND f.event_at < epoch_ms($4::BIGINT)::TIMESTAMPTZ
ORDER BY f.event_at, f.delivery_key
LIMIT $5
