-- Parameters: $1 site id, $2 map id, $3 area id, $4 area kind, $5 source, $6 client kind, $7 tag, $8 whether the client's
-- address is randomised (1 or 0); codes, null: all, but for the source: each area's authoritative one. $9 the end of the window,
-- Unix milliseconds; $10 least dwell, seconds: of what goes on, up to that end.
-- A row per client that ever visited the areas before then: client, and when it first entered one, Unix milliseconds.
WITH chosen AS (
    SELECT area_key, coalesce($5, source) AS source
    FROM store.areas_now
    WHERE ($1 IS NULL OR site_id = $1) AND ($2 IS NULL OR map_id = $2) AND ($3 IS NULL OR area_id = $3)
        AND ($4 IS NULL OR kind = $4) AND ($7 IS NULL OR json_contains(tags, to_json($7::VARCHAR)))
)
SELECT client_key, epoch_ms(min(entered_at))
FROM (
    SELECT area_key, source, client_key, entered_at, exited_at FROM store.visits
    UNION ALL SELECT area_key, source, client_key, entered_at, NULL FROM store.open_visits
)
JOIN chosen USING (area_key, source)
JOIN store.clients_now k USING (client_key)
WHERE entered_at < epoch_ms($9::BIGINT)::TIMESTAMPTZ AND ($6 IS NULL OR k.kind = $6) AND ($8 IS NULL OR ($8 = 1) = k.is_randomised)
    AND ($10 IS NULL OR epoch_ms(coalesce(exited_at, epoch_ms($9::BIGINT)::TIMESTAMPTZ)) - epoch_ms(entered_at) >= $10 * 1000)
GROUP BY client_key
