-- Parameters: $1, $2 the window, Unix milliseconds; $3 the last delivery they came with. In place of /*of clients*/ comes which
-- clients.
-- A row per fix of the client in the window, as they were committed: delivery, time, keys of site, map and client, millimetres,
-- signal, late, off the map.
SELECT delivery_key, event_at, site_key, map_key, client_key, x_mm, y_mm, rssi_dbm, is_late, is_off_map
FROM store.fixes
WHERE event_at >= epoch_ms($1::BIGINT)::TIMESTAMPTZ AND event_at < epoch_ms($2::BIGINT)::TIMESTAMPTZ
    AND delivery_key <= $3 AND /*of clients*/
