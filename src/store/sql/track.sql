-- Parameters: $1, $2 the window, Unix milliseconds; $3 how many rows. In place of /*of a client*/ comes which client.
-- A row per fix of the client in the window, by time: time, site, map, metres, signal, late, off the map.
SELECT epoch_ms(f.event_at), s.site_id, m.map_id, f.x_mm / 1000, f.y_mm / 1000, f.rssi_dbm, f.is_late, f.is_off_map
FROM store.fixes f
JOIN store.sites s USING (site_key)
JOIN store.maps m ON m.map_key = f.map_key
WHERE f.event_at >= epoch_ms($1::BIGINT)::TIMESTAMPTZ AND f.event_at < epoch_ms($2::BIGINT)::TIMESTAMPTZ
    /*of a client*/
ORDER BY f.event_at, f.delivery_key
LIMIT $3
