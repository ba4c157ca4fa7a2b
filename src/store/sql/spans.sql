-- Parameters: $1 site id, $2 map id, $3 area id, $4 area kind, $5 source, $6 client kind, $7 tag, $8 whether the client's
-- address is randomised (1 or 0); codes, null: all, but for the source: each area's authoritative one. $9, $10 the window, Unix
-- milliseconds; $11 least dwell, seconds: of what goes on, up to the end of the window.
-- A row per visit, ended or open, that touches the window: client, entered, exited (null: open), Unix milliseconds, and
-- the group that it belongs to, with its name. In place of /*group*/ and /*name*/ come expressions over areas c and clients
-- k, in place of /*unnest*/ what they need.
WITH chosen AS (
    SELECT area_key, area_id, kind AS area_kind, name, map_id, site_id, tags, coalesce($5, source) AS source
    FROM store.areas_now
    WHERE ($1 IS NULL OR site_id = $1) AND ($2 IS NULL OR map_id = $2) AND ($3 IS NULL OR area_id = $3)
        AND ($4 IS NULL OR kind = $4) AND ($7 IS NULL OR json_contains(tags, to_json($7::VARCHAR)))
),
everyone AS (
    SELECT area_key, source, client_key, entered_at, exited_at FROM store.visits
    WHERE entered_at < epoch_ms($10::BIGINT)::TIMESTAMPTZ AND exited_at >= epoch_ms($9::BIGINT)::TIMESTAMPTZ
    UNION ALL
    SELECT area_key, source, client_key, entered_at, NULL FROM store.open_visits
    WHERE entered_at < epoch_ms($10::BIGINT)::TIMESTAMPTZ
)
SELECT e.client_key, epoch_ms(e.entered_at), epoch_ms(e.exited_at), /*group*/, /*name*/
FROM everyone e
JOIN chosen c USING (area_key, source)
JOIN store.clients_now k USING (client_key)
/*unnest*/
WHERE ($6 IS NULL OR k.kind = $6) AND ($8 IS NULL OR ($8 = 1) = k.is_randomised)
    AND ($11 IS NULL
        OR epoch_ms(coalesce(e.exited_at, epoch_ms($10::BIGINT)::TIMESTAMPTZ)) - epoch_ms(e.entered_at) >= $11 * 1000)
ORDER BY e.entered_at, e.client_key, e.exited_at
