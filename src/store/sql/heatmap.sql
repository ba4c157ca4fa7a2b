-- Parameters: $1, $2 from when to when, Unix milliseconds; $3 the map's site; $4 client kind, $5 whether the client's address is
-- randomised (1 or 0), null: all; $6 the last delivery they came with.
-- A row per fix of the site: client, when, map, whether it is off the map's image (1 or 0: bytes are read faster than flags),
-- millimetres. In place of /*clients*/ and /*of clients*/ come what clients k need, where anything is asked of them.
SELECT f.client_key, f.event_at, f.map_key, f.is_off_map::UTINYINT, f.x_mm, f.y_mm
FROM store.fixes f
/*clients*/
WHERE f.event_at >= epoch_ms($1::BIGINT)::TIMESTAMPTZ AND f.event_at < epoch_ms($2::BIGINT)::TIMESTAMPTZ
    AND f.site_key = $3 AND f.delivery_key <= $6
    AND /*of clients*/
