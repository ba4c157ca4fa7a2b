-- Parameters: $1 map id; $2, $3 the window, Unix milliseconds; $4 client kind, $5 whether the client's address is
-- randomised (1 or 0), null: all; $6 width of a cell, millimetres; $7 longest time that a fix stands for, milliseconds.
-- A row per square cell with fixes on the map's image: its lower corner in cells, fixes, seconds of presence (each fix
-- stands until its client's next, anywhere, if that comes in time), and clients.
WITH fixes AS (
    SELECT f.map_key, f.client_key, f.x_mm, f.y_mm, f.event_at, f.is_off_map,
        epoch_ms(lead(f.event_at) OVER (PARTITION BY f.site_key, f.client_key ORDER BY f.event_at))
            - epoch_ms(f.event_at) AS stay_ms
    FROM store.fixes f
    JOIN store.clients_now k USING (client_key)
    WHERE f.event_at >= epoch_ms($2::BIGINT)::TIMESTAMPTZ AND f.event_at < epoch_ms($3::BIGINT + $7::BIGINT)::TIMESTAMPTZ
        AND f.site_key = (SELECT site_key FROM store.maps WHERE map_id = $1)
        AND ($4 IS NULL OR k.kind = $4) AND ($5 IS NULL OR ($5 = 1) = k.is_randomised)
)
SELECT (f.x_mm // $6::BIGINT)::BIGINT AS column_number, (f.y_mm // $6::BIGINT)::BIGINT AS row_number, count(*),
    coalesce(sum(least(stay_ms, epoch_ms(epoch_ms($3::BIGINT)::TIMESTAMPTZ) - epoch_ms(f.event_at)))
        FILTER (stay_ms <= $7), 0) / 1000,
    count(DISTINCT f.client_key)
FROM fixes f
WHERE f.map_key = (SELECT map_key FROM store.maps WHERE map_id = $1) AND NOT f.is_off_map
    AND f.event_at < epoch_ms($3::BIGINT)::TIMESTAMPTZ
GROUP BY ALL
ORDER BY row_number, column_number
