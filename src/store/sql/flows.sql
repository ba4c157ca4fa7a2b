-- Parameters: $1 site id, $2 map id, $3 area id, $4 area kind, $5 source, $6 client kind, $7 tag, $8 whether the client's
-- address is randomised (1 or 0); codes, null: all, but for the source: each area's authoritative one. $9, $10 the window, Unix
-- milliseconds; $11 least dwell, seconds; $12 flow gap, seconds.
-- A row per pair of areas that a client visited one after the other, no more than the gap apart, and entered the second
-- within the window: from, its name, to, its name, how often, by how many clients, median seconds between.
WITH chosen AS (
    SELECT area_key, area_id, name, coalesce($5, source) AS source
    FROM store.areas_now
    WHERE ($1 IS NULL OR site_id = $1) AND ($2 IS NULL OR map_id = $2) AND ($3 IS NULL OR area_id = $3)
        AND ($4 IS NULL OR kind = $4) AND ($7 IS NULL OR json_contains(tags, to_json($7::VARCHAR)))
),
everyone AS (
    SELECT visit_key, site_key, area_key, source, client_key, entered_at, exited_at FROM store.visits
    WHERE entered_at < epoch_ms($10::BIGINT)::TIMESTAMPTZ
        AND exited_at >= epoch_ms($9::BIGINT - ($12 * 1000)::BIGINT)::TIMESTAMPTZ
    UNION ALL
    SELECT visit_key, site_key, area_key, source, client_key, entered_at, NULL FROM store.open_visits
    WHERE entered_at < epoch_ms($10::BIGINT)::TIMESTAMPTZ
),
steps AS (
    SELECT c.area_id AS from_id, c.name AS from_name, e.client_key, e.exited_at,
        lead(c.area_id) OVER one AS to_id, lead(c.name) OVER one AS to_name, lead(e.entered_at) OVER one AS next_at
    FROM everyone e
    JOIN chosen c USING (area_key, source)
    JOIN store.clients_now k USING (client_key)
    WHERE ($6 IS NULL OR k.kind = $6) AND ($8 IS NULL OR ($8 = 1) = k.is_randomised)
        AND ($11 IS NULL
            OR epoch_ms(coalesce(e.exited_at, epoch_ms($10::BIGINT)::TIMESTAMPTZ)) - epoch_ms(e.entered_at) >= $11 * 1000)
    WINDOW one AS (PARTITION BY e.site_key, e.client_key ORDER BY e.entered_at, e.visit_key)
)
SELECT from_id, any_value(from_name), to_id, any_value(to_name), count(*), count(DISTINCT client_key),
    median(greatest(epoch_ms(next_at) - epoch_ms(exited_at), 0)) / 1000
FROM steps
WHERE to_id IS NOT NULL AND next_at >= epoch_ms($9::BIGINT)::TIMESTAMPTZ
    AND (exited_at IS NULL OR epoch_ms(next_at) - epoch_ms(exited_at) <= $12 * 1000)
GROUP BY from_id, to_id
ORDER BY count(*) DESC, from_id, to_id
