-- Parameters: $1, $2 the window, Unix milliseconds; $3 the visit key to go on after; $4 how many rows. In place of /*of areas*/
-- comes of which areas, each with the source that counts. In place of /*of clients*/ may come which clients, of /*of visits*/
-- what else is asked of visits e and clients k.
-- A row per visit, ended or open, that touches the window, by visit key: the order in which visits were opened. Places are told
-- by their keys: to join them takes longer to plan than all the rest.
SELECT e.visit_key, e.site_key, e.map_key, e.area_key, e.area_version, e.source, e.client_key, epoch_ms(e.entered_at),
    epoch_ms(e.exited_at), e.ended, k.kind, k.client_id, k.name, k.is_randomised
FROM (
    SELECT visit_key, site_key, map_key, area_key, area_version, source, client_key, entered_at, exited_at, ended
    FROM store.visits
    WHERE entered_at < epoch_ms($2::BIGINT)::TIMESTAMPTZ AND exited_at >= epoch_ms($1::BIGINT)::TIMESTAMPTZ
        /*of areas*/
        /*of clients*/
    UNION ALL
    SELECT visit_key, site_key, map_key, area_key, area_version, source, client_key, entered_at, NULL, NULL
    FROM store.open_visits
    WHERE entered_at < epoch_ms($2::BIGINT)::TIMESTAMPTZ
        /*of areas*/
        /*of clients*/
) e
JOIN store.clients_now k USING (client_key)
WHERE e.visit_key > $3
    AND (e.exited_at IS NULL OR e.exited_at > epoch_ms($1::BIGINT)::TIMESTAMPTZ OR e.entered_at = e.exited_at)
    /*of visits*/
ORDER BY e.visit_key
LIMIT $4
