-- Beside the parameters of clients.sql: $10 area id, $11 tag; $12 least dwell, seconds: of what goes on, up to the end of the
-- window; null: all.
-- In place of /*of visits*/ there, where any of them is given: who visited such an area in the window, by the source that
-- counts for it.
AND client_key IN (
    SELECT v.client_key
    FROM (
        SELECT area_key, source, client_key, entered_at, exited_at FROM store.visits
        UNION ALL
        SELECT area_key, source, client_key, entered_at, NULL FROM store.open_visits
    ) v
    JOIN store.areas_now a USING (area_key, source)
    WHERE ($1 IS NULL OR a.site_id = $1) AND ($2 IS NULL OR a.map_id = $2) AND ($10 IS NULL OR a.area_id = $10)
        AND ($11 IS NULL OR json_contains(a.tags, to_json($11::VARCHAR)))
        AND v.entered_at < epoch_ms($6::BIGINT)::TIMESTAMPTZ
        AND (v.exited_at IS NULL OR v.exited_at > epoch_ms($5::BIGINT)::TIMESTAMPTZ
            OR v.exited_at = v.entered_at AND v.entered_at >= epoch_ms($5::BIGINT)::TIMESTAMPTZ)
        AND ($12 IS NULL
            OR epoch_ms(coalesce(v.exited_at, epoch_ms($6::BIGINT)::TIMESTAMPTZ)) - epoch_ms(v.entered_at) >= $12 * 1000)
)
