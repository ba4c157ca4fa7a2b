-- Parameters: $1 site id, $2 map id, $3 area id, $4 area kind, $5 source, $6 client kind, $7 tag, $8 whether the client's
-- address is randomised (1 or 0); codes, null: all, but for the source: each area's authoritative one.
-- A row per area that is uploaded or has someone in it: who it is, the source counted, whether it is uploaded, clients now by
-- kind.
WITH chosen AS (
    SELECT area_key, kind, area_id, name, site_key, site_id, map_id, occupancy_limit, is_mapped,
        coalesce($5, source) AS source
    FROM store.areas_now
    WHERE ($1 IS NULL OR site_id = $1) AND ($2 IS NULL OR map_id = $2) AND ($3 IS NULL OR area_id = $3)
        AND ($4 IS NULL OR kind = $4) AND ($7 IS NULL OR json_contains(tags, to_json($7::VARCHAR)))
),
present AS (
    SELECT o.area_key, o.source, k.kind, count(*) AS clients
    FROM store.open_visits o JOIN store.clients_now k USING (client_key)
    WHERE ($6 IS NULL OR k.kind = $6) AND ($8 IS NULL OR ($8 = 1) = k.is_randomised)
    GROUP BY ALL
)
SELECT c.kind, c.area_id, c.name, c.site_key, c.site_id, c.map_id, c.occupancy_limit, c.source, c.is_mapped,
    coalesce(sum(p.clients) FILTER (p.kind = 0), 0)::BIGINT, coalesce(sum(p.clients) FILTER (p.kind = 1), 0)::BIGINT,
    coalesce(sum(p.clients) FILTER (p.kind = 2), 0)::BIGINT, coalesce(sum(p.clients) FILTER (p.kind = 3), 0)::BIGINT
FROM chosen c
LEFT JOIN present p ON p.area_key = c.area_key AND p.source = c.source
GROUP BY c.kind, c.area_id, c.name, c.site_key, c.site_id, c.map_id, c.occupancy_limit, c.source, c.is_mapped
HAVING c.is_mapped OR count(p.area_key) > 0
ORDER BY c.site_id, c.map_id, c.kind, c.name, c.area_id
