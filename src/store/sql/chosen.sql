-- Parameters: $1 site id, $2 map id, $3 area id, $4 area kind, $5 source, $6 tag; codes, null: all, but for the source: each
-- area's authoritative one.
-- A row per area: its key, the source whose visits count.
SELECT area_key, coalesce($5, source)
FROM store.areas_now
WHERE ($1 IS NULL OR site_id = $1) AND ($2 IS NULL OR map_id = $2) AND ($3 IS NULL OR area_id = $3)
    AND ($4 IS NULL OR kind = $4) AND ($6 IS NULL OR json_contains(tags, to_json($6::VARCHAR)))
