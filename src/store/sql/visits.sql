-- Parameters: $1 site id, $2 map id, $3 area id, $4 area kind, $5 source, $6 client kind, $7 tag, $8 whether the client's
-- address is randomised (1 or 0); codes, null: all, but for the source: each area's authoritative one. $9, $10 the window, Unix
-- milliseconds. $11 least dwell, seconds; $12 the visit key to go on after; $13 how many rows. In place of /*of a client*/ may
-- come which client.
-- A row per visit, ended or open, that touches the window, by visit key: the order in which visits were opened.
WITH chosen AS (
    SELECT area_key, kind, area_id, name, coalesce($5, source) AS source
    FROM store.areas_now
    WHERE ($1 IS NULL OR site_id = $1) AND ($2 IS NULL OR map_id = $2) AND ($3 IS NULL OR area_id = $3)
        AND ($4 IS NULL OR kind = $4) AND ($7 IS NULL OR json_contains(tags, to_json($7::VARCHAR)))
),
everyone AS (
    SELECT visit_key, site_key, map_key, area_key, area_version, source, client_key, entered_at, exited_at, ended
    FROM store.visits
    WHERE entered_at < epoch_ms($10::BIGINT)::TIMESTAMPTZ AND exited_at >= epoch_ms($9::BIGINT)::TIMESTAMPTZ
        /*of a client*/
    UNION ALL
    SELECT visit_key, site_key, map_key, area_key, area_version, source, client_key, entered_at, NULL, NULL
    FROM store.open_visits
    WHERE entered_at < epoch_ms($10::BIGINT)::TIMESTAMPTZ
        /*of a client*/
)
SELECT e.visit_key, s.site_id, m.map_id, c.kind, c.area_id, c.name, k.kind, k.client_id, k.name, e.source,
    epoch_ms(e.entered_at), epoch_ms(e.exited_at), e.ended, e.area_version
FROM everyone e
JOIN chosen c USING (area_key, source)
JOIN store.clients_now k USING (client_key)
JOIN store.sites s USING (site_key)
LEFT JOIN store.maps m ON m.map_key = e.map_key
WHERE ($6 IS NULL OR k.kind = $6) AND ($8 IS NULL OR ($8 = 1) = k.is_randomised)
    AND ($11 IS NULL OR epoch_ms(e.exited_at) - epoch_ms(e.entered_at) >= $11 * 1000)
    AND e.visit_key > $12
    AND (e.exited_at IS NULL OR e.exited_at > epoch_ms($9::BIGINT)::TIMESTAMPTZ OR e.entered_at = e.exited_at)
ORDER BY e.visit_key
LIMIT $13
