-- What a version of a map or an area needs to be given back as it came, and the visits that were derived anew.

ALTER TABLE store.area_versions ADD COLUMN map_key INTEGER;
ALTER TABLE store.area_versions ADD COLUMN feature JSON;
ALTER TABLE store.area_versions ADD COLUMN feature_units VARCHAR;
ALTER TABLE store.area_versions ADD COLUMN feature_ppm DOUBLE;
UPDATE store.area_versions v SET map_key = a.map_key FROM store.areas a WHERE a.area_key = v.area_key;
COMMENT ON COLUMN store.area_versions.map_key IS 'The map it lay on; null for an rssizone and where none was named';
COMMENT ON COLUMN store.area_versions.feature IS 'The GeoJSON feature it came from, whole, in its own units; null: it came otherwise';
COMMENT ON COLUMN store.area_versions.feature_units IS 'metres, pixels or wgs84: what the coordinates of feature are';
COMMENT ON COLUMN store.area_versions.feature_ppm IS 'Pixels per metre, where the units of feature are pixels';

ALTER TABLE store.map_versions ADD COLUMN georeference JSON;
ALTER TABLE store.map_versions ADD COLUMN collection JSON;
COMMENT ON COLUMN store.map_versions.georeference IS 'List of control points {lon_deg, lat_deg, x_m, y_m}; null: its place on Earth is not known';
COMMENT ON COLUMN store.map_versions.collection IS 'Members of the GeoJSON FeatureCollection it came from, but for the features; null: it came otherwise';

ALTER TABLE store.map_images ADD COLUMN valid_to TIMESTAMPTZ;
COMMENT ON TABLE store.map_images IS 'Floorplan images of maps, and from when to when';
COMMENT ON COLUMN store.map_images.valid_to IS 'When the next image took its place; null: valid now';

CREATE TABLE store.rebuilds (
    rebuild_key BIGINT NOT NULL,
    requested_at TIMESTAMPTZ NOT NULL,
    site_key INTEGER,
    map_key INTEGER,
    area_key INTEGER,
    from_at TIMESTAMPTZ,
    to_at TIMESTAMPTZ,
    state VARCHAR NOT NULL,
    started_at TIMESTAMPTZ,
    ended_at TIMESTAMPTZ,
    events BIGINT,
    replaced_visits BIGINT,
    visits BIGINT,
    through_delivery BIGINT,
    problem VARCHAR
);
COMMENT ON TABLE store.rebuilds IS 'One row per rebuild that was asked for: visits derived anew from the stored events';
COMMENT ON COLUMN store.rebuilds.rebuild_key IS 'Numbers rebuilds from 1';
COMMENT ON COLUMN store.rebuilds.requested_at IS 'When it was asked for, by the server''s clock';
COMMENT ON COLUMN store.rebuilds.site_key IS 'Only areas of this site; null: of all';
COMMENT ON COLUMN store.rebuilds.map_key IS 'Only areas of this map; null: of all';
COMMENT ON COLUMN store.rebuilds.area_key IS 'Only this area; null: all';
COMMENT ON COLUMN store.rebuilds.from_at IS 'Only visits that touch the time from here on; null: from the beginning';
COMMENT ON COLUMN store.rebuilds.to_at IS 'Only visits that touch the time before; null: to the end';
COMMENT ON COLUMN store.rebuilds.state IS 'queued, running, done, cancelled or failed';
COMMENT ON COLUMN store.rebuilds.started_at IS 'When work on it last began, by the server''s clock';
COMMENT ON COLUMN store.rebuilds.ended_at IS 'When it was done, cancelled or had failed';
COMMENT ON COLUMN store.rebuilds.events IS 'Fixes and transitions read';
COMMENT ON COLUMN store.rebuilds.replaced_visits IS 'Visits that were taken away';
COMMENT ON COLUMN store.rebuilds.visits IS 'Visits that took their place';
COMMENT ON COLUMN store.rebuilds.through_delivery IS 'The last delivery whose late events are in place';
COMMENT ON COLUMN store.rebuilds.problem IS 'Why it failed';

CREATE TABLE store.rebuilt_areas (
    rebuild_key BIGINT NOT NULL,
    area_key INTEGER NOT NULL,
    source UTINYINT NOT NULL
);
COMMENT ON TABLE store.rebuilt_areas IS 'The areas whose visits a rebuild that is done derived anew';
COMMENT ON COLUMN store.rebuilt_areas.rebuild_key IS 'The rebuild';
COMMENT ON COLUMN store.rebuilt_areas.area_key IS 'The area';
COMMENT ON COLUMN store.rebuilt_areas.source IS '0 computed, 1 reported: which of its visits';

CREATE VIEW rebuilds AS
SELECT r.rebuild_key, s.site_id, m.map_id, a.area_id, r.requested_at, r.from_at, r.to_at, r.state, r.started_at, r.ended_at,
    r.events, r.replaced_visits, r.visits, r.problem
FROM store.rebuilds r
LEFT JOIN store.sites s ON s.site_key = r.site_key
LEFT JOIN store.maps m ON m.map_key = r.map_key
LEFT JOIN store.areas a ON a.area_key = r.area_key;
COMMENT ON VIEW rebuilds IS 'One row per rebuild that was asked for: visits derived anew from the stored events';
COMMENT ON COLUMN rebuilds.rebuild_key IS 'Numbers rebuilds from 1';
COMMENT ON COLUMN rebuilds.site_id IS 'Only areas of this site; null: of all';
COMMENT ON COLUMN rebuilds.map_id IS 'Only areas of this map; null: of all';
COMMENT ON COLUMN rebuilds.area_id IS 'Only this area; null: all';
COMMENT ON COLUMN rebuilds.requested_at IS 'When it was asked for, by the server''s clock';
COMMENT ON COLUMN rebuilds.from_at IS 'Only visits that touch the time from here on; null: from the beginning';
COMMENT ON COLUMN rebuilds.to_at IS 'Only visits that touch the time before; null: to the end';
COMMENT ON COLUMN rebuilds.state IS 'queued, running, done, cancelled or failed';
COMMENT ON COLUMN rebuilds.started_at IS 'When work on it last began, by the server''s clock';
COMMENT ON COLUMN rebuilds.ended_at IS 'When it was done, cancelled or had failed';
COMMENT ON COLUMN rebuilds.events IS 'Fixes and transitions read';
COMMENT ON COLUMN rebuilds.replaced_visits IS 'Visits that were taken away';
COMMENT ON COLUMN rebuilds.visits IS 'Visits that took their place';
COMMENT ON COLUMN rebuilds.problem IS 'Why it failed';
