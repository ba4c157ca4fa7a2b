-- Parameters: $1, $2 the window, Unix milliseconds; $3 how many rows. In place of /*of clients*/ comes which clients.
-- A row per fix of the client in the window, by time: time, keys of site and map, metres, signal, late, off the map.
SELECT epoch_ms(event_at), site_key, map_key, x_mm / 1000, y_mm / 1000, rssi_dbm, is_late, is_off_map
FROM store.fixes
WHERE event_at >= epoch_ms($1::BIGINT)::TIMESTAMPTZ AND event_at < epoch_ms($2::BIGINT)::TIMESTAMPTZ
    /*of clients*/
ORDER BY event_at, delivery_key
LIMIT $3
