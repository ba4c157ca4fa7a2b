-- Parameter: $1 a delivery. A row per fix that came with a later one, as they were committed: delivery, time, keys of site, map
-- and client, millimetres, signal, late, off the map.
SELECT delivery_key, event_at, site_key, map_key, client_key, x_mm, y_mm, rssi_dbm, is_late, is_off_map
FROM store.fixes
WHERE delivery_key > $1
