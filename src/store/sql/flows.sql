-- Parameters: $1, $2 the window, Unix milliseconds; $3 least dwell, seconds; $4 client kind, $5 whether the client's address
-- is randomised (1 or 0), null: all; $6, $7 the least and the greatest area key; $8 flow gap, seconds.
-- A row per visit that may be a step from one area to another within the window: site, client, area, source, visit, entered,
-- exited (null: open). In place of /*clients*/ and /*of clients*/ come what clients k need, where anything is asked of
-- them. Areas between those keys that are not asked for are left out by whoever reads.
WITH settled AS (
    -- Whoever was somewhere already a gap before the window, and still is, may have been elsewhere in between: that is
    -- then what it came from.
    SELECT client_key, min(entered_at) AS since
    FROM (
        SELECT client_key, entered_at FROM store.visits
        WHERE entered_at < epoch_ms($1::BIGINT - ($8 * 1000)::BIGINT)::TIMESTAMPTZ
            AND exited_at >= epoch_ms($1::BIGINT - ($8 * 1000)::BIGINT)::TIMESTAMPTZ
            AND area_key BETWEEN $6::INTEGER AND $7::INTEGER
        UNION ALL
        SELECT client_key, entered_at FROM store.open_visits
        WHERE entered_at < epoch_ms($1::BIGINT - ($8 * 1000)::BIGINT)::TIMESTAMPTZ
            AND area_key BETWEEN $6::INTEGER AND $7::INTEGER
    )
    GROUP BY client_key
),
everyone AS (
    SELECT visit_key, site_key, area_key, source, client_key, entered_at, exited_at FROM store.visits
    WHERE entered_at < epoch_ms($2::BIGINT)::TIMESTAMPTZ
        AND exited_at >= epoch_ms($1::BIGINT - ($8 * 1000)::BIGINT)::TIMESTAMPTZ
        AND area_key BETWEEN $6::INTEGER AND $7::INTEGER
    UNION ALL
    SELECT visit_key, site_key, area_key, source, client_key, entered_at, NULL FROM store.open_visits
    WHERE entered_at < epoch_ms($2::BIGINT)::TIMESTAMPTZ AND area_key BETWEEN $6::INTEGER AND $7::INTEGER
    UNION ALL
    SELECT visit_key, site_key, area_key, source, client_key, entered_at, exited_at
    FROM store.visits JOIN settled USING (client_key)
    WHERE exited_at < epoch_ms($1::BIGINT - ($8 * 1000)::BIGINT)::TIMESTAMPTZ AND entered_at >= since
        AND exited_at >= (SELECT min(since) FROM settled) AND area_key BETWEEN $6::INTEGER AND $7::INTEGER
)
SELECT e.site_key, e.client_key, e.area_key, e.source, e.visit_key, e.entered_at, e.exited_at
FROM everyone e
/*clients*/
WHERE /*of clients*/
    AND ($3 IS NULL
        OR epoch_ms(coalesce(e.exited_at, epoch_ms($2::BIGINT)::TIMESTAMPTZ)) - epoch_ms(e.entered_at) >= $3 * 1000)
