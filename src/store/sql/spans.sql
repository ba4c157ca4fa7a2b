-- Parameters: $1, $2 the window, Unix milliseconds; $3 least dwell, seconds: of what goes on, up to the end of the window;
-- $4 client kind, $5 whether the client's address is randomised (1 or 0), null: all; $6, $7 the least and the greatest area
-- key.
-- A row per visit, ended or open, that touches the window: client, entered, exited (null: open), area, source, kind of
-- client. In place of /*kind*/, /*clients*/ and /*of clients*/ come what clients k need, where anything is asked of them.
-- Areas between those keys that are not asked for are left out by whoever reads: a join costs more than the rows.
WITH everyone AS (
    SELECT area_key, source, client_key, entered_at, exited_at FROM store.visits
    WHERE entered_at < epoch_ms($2::BIGINT)::TIMESTAMPTZ AND exited_at >= epoch_ms($1::BIGINT)::TIMESTAMPTZ
        AND area_key BETWEEN $6::INTEGER AND $7::INTEGER
    UNION ALL
    SELECT area_key, source, client_key, entered_at, NULL FROM store.open_visits
    WHERE entered_at < epoch_ms($2::BIGINT)::TIMESTAMPTZ AND area_key BETWEEN $6::INTEGER AND $7::INTEGER
)
SELECT e.client_key, e.entered_at, e.exited_at, e.area_key, e.source, /*kind*/
FROM everyone e
/*clients*/
WHERE /*of clients*/
    AND ($3 IS NULL
        OR epoch_ms(coalesce(e.exited_at, epoch_ms($2::BIGINT)::TIMESTAMPTZ)) - epoch_ms(e.entered_at) >= $3 * 1000)
