-- Parameters: $1 map id; $2, $3 the window, Unix milliseconds; $4 client kind, $5 whether the client's address is
-- randomised (1 or 0), null: all; $6 longest time that a fix stands for, milliseconds.
-- A row per fix of the map's site from the window's beginning until that time after its end: client, when, whether it is
-- on the map's image, millimetres. In place of /*clients*/ and /*of clients*/ come what clients k need, where anything is
-- asked of them.
WITH place AS (SELECT map_key, site_key FROM store.maps WHERE map_id = $1)
SELECT f.client_key, f.event_at, f.map_key = (SELECT map_key FROM place) AND NOT f.is_off_map, f.x_mm, f.y_mm
FROM store.fixes f
/*clients*/
WHERE f.event_at >= epoch_ms($2::BIGINT)::TIMESTAMPTZ AND f.event_at < epoch_ms($3::BIGINT + $6::BIGINT)::TIMESTAMPTZ
    AND f.site_key = (SELECT site_key FROM place)
    AND /*of clients*/
