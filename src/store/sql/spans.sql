-- Parameters: $1 site id, $2 map id, $3 area id, $4 area kind, $5 source, $6 client kind; codes, null: all, but for
-- the source: each area's authoritative one. $7, $8 the window, Unix milliseconds.
-- A row per visit, ended or open, that touches the window: client, entered, exited (null: open), Unix milliseconds.
WITH chosen AS (
    SELECT area_key, coalesce($5, source) AS source
    FROM store.areas_now
    WHERE ($1 IS NULL OR site_id = $1) AND ($2 IS NULL OR map_id = $2) AND ($3 IS NULL OR area_id = $3)
        AND ($4 IS NULL OR kind = $4)
),
everyone AS (
    SELECT area_key, source, client_key, entered_at, exited_at FROM store.visits
    WHERE entered_at < epoch_ms($8::BIGINT)::TIMESTAMPTZ AND exited_at >= epoch_ms($7::BIGINT)::TIMESTAMPTZ
    UNION ALL
    SELECT area_key, source, client_key, entered_at, NULL FROM store.open_visits
    WHERE entered_at < epoch_ms($8::BIGINT)::TIMESTAMPTZ
)
SELECT e.client_key, epoch_ms(e.entered_at), epoch_ms(e.exited_at)
FROM everyone e
JOIN chosen c USING (area_key, source)
JOIN store.clients k USING (client_key)
WHERE $6 IS NULL OR k.kind = $6
ORDER BY e.entered_at, e.client_key, e.exited_at
