-- Parameters: $1 map; $2, $3 the window, Unix milliseconds; $4 client kind, $5 whether the client's address is randomised (1
-- or 0), null: all; $6 longest time that a fix stands for, milliseconds; $7 the map's site.
-- A row per fix of the map's site from the window's beginning until that time after its end: client, when, whether it is
-- on the map's image, millimetres. In place of /*clients*/ and /*of clients*/ come what clients k need, where anything is
-- asked of them.
SELECT f.client_key, f.event_at, f.map_key = $1 AND NOT f.is_off_map, f.x_mm, f.y_mm
FROM store.fixes f
/*clients*/
WHERE f.event_at >= epoch_ms($2::BIGINT)::TIMESTAMPTZ AND f.event_at < epoch_ms($3::BIGINT + $6::BIGINT)::TIMESTAMPTZ
    AND f.site_key = $7
    AND /*of clients*/
