-- Parameters: $1 Unix milliseconds: visits that ended before are known; $2 the end of the window; $3 least dwell, seconds: of
-- what goes on, up to that end; $4, $5 the least and the greatest area key.
-- A row per other visit, ended or open, that began before the window's end: site, client, entered, visit, exited (the greatest
-- number: open), area, source, how it ended (0: or open), map (-1: none), the area's version.
-- Areas between those keys that are not asked for are left out by whoever reads.
SELECT site_key, client_key, epoch_ms(entered_at), visit_key, epoch_ms(exited_at), area_key, source, ended,
    coalesce(map_key, -1), area_version
FROM store.visits
WHERE entered_at < epoch_ms($2::BIGINT)::TIMESTAMPTZ AND exited_at >= epoch_ms($1::BIGINT)::TIMESTAMPTZ
    AND area_key BETWEEN $4::INTEGER AND $5::INTEGER
    AND ($3 IS NULL OR epoch_ms(exited_at) - epoch_ms(entered_at) >= $3 * 1000)
UNION ALL
SELECT site_key, client_key, epoch_ms(entered_at), visit_key, 9223372036854775807, area_key, source, 0::UTINYINT,
    coalesce(map_key, -1), area_version
FROM store.open_visits
WHERE entered_at < epoch_ms($2::BIGINT)::TIMESTAMPTZ AND area_key BETWEEN $4::INTEGER AND $5::INTEGER
    AND ($3 IS NULL OR $2 - epoch_ms(entered_at) >= $3 * 1000)
