-- Parameters: $1 site id, $2 map id, $3 client kind, $4 whether the address is randomised (1 or 0), null: all; $5, $6 the
-- window, Unix milliseconds; $7 part of an id or a name; $8 the client key to go on after; $9 how many rows.
-- In place of /*of visits*/ may come client_visits.sql.
-- A row per client with fixes in the window, by key: key, id, kind, name, whether its address is randomised, when it was
-- first seen at all (by the server's clock), fixes, first and last fix, where the last was.
WITH seen AS (
    SELECT client_key, count(*) AS fixes, min(event_at) AS first_at,
        max({'at': event_at, 'map_key': map_key, 'x_mm': x_mm, 'y_mm': y_mm, 'site_key': site_key}) AS last
    FROM store.fixes
    WHERE event_at >= epoch_ms($5::BIGINT)::TIMESTAMPTZ AND event_at < epoch_ms($6::BIGINT)::TIMESTAMPTZ
        AND client_key > $8
        AND ($1 IS NULL OR site_key = (SELECT site_key FROM store.sites WHERE site_id = $1))
        AND ($2 IS NULL OR map_key = (SELECT map_key FROM store.maps WHERE map_id = $2))
        /*of visits*/
    GROUP BY client_key
)
SELECT k.client_key, k.client_id, k.kind, k.name, k.is_randomised, epoch_ms(k.first_seen_at), n.fixes, epoch_ms(n.first_at),
    epoch_ms(n.last.at), s.site_id, m.map_id, n.last.x_mm / 1000, n.last.y_mm / 1000
FROM seen n
JOIN store.clients_now k USING (client_key)
JOIN store.sites s ON s.site_key = n.last.site_key
LEFT JOIN store.maps m ON m.map_key = n.last.map_key
WHERE ($3 IS NULL OR k.kind = $3) AND ($4 IS NULL OR ($4 = 1) = k.is_randomised)
    AND ($7 IS NULL OR contains(k.client_id, lower($7)) OR contains(lower(k.name), lower($7)))
ORDER BY k.client_key
LIMIT $9
