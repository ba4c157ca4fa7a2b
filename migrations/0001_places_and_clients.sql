-- Sites, maps, areas and clients: each outside id once, with the small key that stands for it everywhere else.
-- Writer of every table: the server's one writer thread.

CREATE SCHEMA store;

CREATE TABLE store.runs (
    started_at TIMESTAMPTZ NOT NULL,
    version VARCHAR NOT NULL,
    exit_grace_s DOUBLE NOT NULL,
    presence_timeout_s DOUBLE NOT NULL,
    reported_timeout_s DOUBLE NOT NULL,
    dedupe_window_s DOUBLE NOT NULL
);
COMMENT ON TABLE store.runs IS 'One row per start of a server on this file, with the defaults it ran with';
COMMENT ON COLUMN store.runs.started_at IS 'By the server''s clock';
COMMENT ON COLUMN store.runs.version IS 'Version of Footfall';
COMMENT ON COLUMN store.runs.exit_grace_s IS 'Default exit_grace, seconds';
COMMENT ON COLUMN store.runs.presence_timeout_s IS 'Default presence_timeout, seconds';
COMMENT ON COLUMN store.runs.reported_timeout_s IS 'Default reported_timeout, seconds';
COMMENT ON COLUMN store.runs.dedupe_window_s IS 'How far back in event time a duplicate was recognised, seconds';

CREATE TABLE store.sites (
    site_key INTEGER NOT NULL,
    site_id VARCHAR NOT NULL,
    name VARCHAR,
    time_zone VARCHAR NOT NULL DEFAULT 'UTC',
    exit_grace_s DOUBLE,
    presence_timeout_s DOUBLE,
    reported_timeout_s DOUBLE,
    dwell_bands JSON,
    first_seen_at TIMESTAMPTZ NOT NULL,
    rules_changed_at TIMESTAMPTZ
);
COMMENT ON TABLE store.sites IS 'One row per site that an event or an upload named';
COMMENT ON COLUMN store.sites.site_key IS 'Stands for site_id in the other tables';
COMMENT ON COLUMN store.sites.site_id IS 'The network''s id of the site; empty for events that named neither site nor a known map';
COMMENT ON COLUMN store.sites.name IS 'Display name, as uploaded';
COMMENT ON COLUMN store.sites.time_zone IS 'IANA name of the zone in which days and hours are counted';
COMMENT ON COLUMN store.sites.exit_grace_s IS 'Seconds outside before a visit ends; null: the server''s default';
COMMENT ON COLUMN store.sites.presence_timeout_s IS 'Seconds of silence that a computed visit outlives; null: the server''s default';
COMMENT ON COLUMN store.sites.reported_timeout_s IS 'Seconds of silence that a reported visit outlives; null: the server''s default';
COMMENT ON COLUMN store.sites.dwell_bands IS 'List of {name, from_s, to_s}, whole seconds, ends included; null: the default bands';
COMMENT ON COLUMN store.sites.first_seen_at IS 'When the site was first named to this server, by its clock';
COMMENT ON COLUMN store.sites.rules_changed_at IS 'When its presence rules were last set otherwise; null: never';

CREATE TABLE store.maps (
    map_key INTEGER NOT NULL,
    map_id VARCHAR NOT NULL,
    site_key INTEGER,
    first_seen_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE store.maps IS 'One row per map that an event or an upload named; without a version it is unmapped';
COMMENT ON COLUMN store.maps.map_key IS 'Stands for map_id in the other tables';
COMMENT ON COLUMN store.maps.map_id IS 'The network''s id of the map';
COMMENT ON COLUMN store.maps.site_key IS 'The site it belongs to';
COMMENT ON COLUMN store.maps.first_seen_at IS 'When the map was first named to this server, by its clock';

CREATE TABLE store.map_versions (
    map_key INTEGER NOT NULL,
    version INTEGER NOT NULL,
    valid_from TIMESTAMPTZ NOT NULL,
    valid_to TIMESTAMPTZ,
    name VARCHAR,
    width_m DOUBLE,
    height_m DOUBLE,
    ppm DOUBLE,
    orientation_deg DOUBLE,
    occupancy_limit BIGINT
);
COMMENT ON TABLE store.map_versions IS 'What a map was, and from when to when; history is never overwritten';
COMMENT ON COLUMN store.map_versions.map_key IS 'The map';
COMMENT ON COLUMN store.map_versions.version IS 'Counts from 1 for each map';
COMMENT ON COLUMN store.map_versions.valid_from IS 'When this version was uploaded, by the server''s clock';
COMMENT ON COLUMN store.map_versions.valid_to IS 'When the next version took its place, or the map was deleted; null: valid now';
COMMENT ON COLUMN store.map_versions.name IS 'Display name';
COMMENT ON COLUMN store.map_versions.width_m IS 'Width of the floorplan image, metres';
COMMENT ON COLUMN store.map_versions.height_m IS 'Height of the floorplan image, metres';
COMMENT ON COLUMN store.map_versions.ppm IS 'Pixels of the image per metre';
COMMENT ON COLUMN store.map_versions.orientation_deg IS 'Degrees, 0: up is north, counted as the network counts them';
COMMENT ON COLUMN store.map_versions.occupancy_limit IS 'Clients allowed on the map at once';

CREATE TABLE store.map_images (
    map_key INTEGER NOT NULL,
    content_type VARCHAR NOT NULL,
    width_px INTEGER,
    height_px INTEGER,
    uploaded_at TIMESTAMPTZ NOT NULL,
    image BLOB NOT NULL
);
COMMENT ON TABLE store.map_images IS 'The current floorplan image of a map';
COMMENT ON COLUMN store.map_images.map_key IS 'The map';
COMMENT ON COLUMN store.map_images.content_type IS 'image/png, image/jpeg or image/svg+xml';
COMMENT ON COLUMN store.map_images.width_px IS 'Width in pixels, where the image states one';
COMMENT ON COLUMN store.map_images.height_px IS 'Height in pixels, where the image states one';
COMMENT ON COLUMN store.map_images.uploaded_at IS 'When it was uploaded, by the server''s clock';
COMMENT ON COLUMN store.map_images.image IS 'The file as it was uploaded';

CREATE TABLE store.areas (
    area_key INTEGER NOT NULL,
    kind UTINYINT NOT NULL,
    area_id VARCHAR NOT NULL,
    site_key INTEGER,
    map_key INTEGER,
    exit_grace_s DOUBLE,
    presence_timeout_s DOUBLE,
    reported_timeout_s DOUBLE,
    authoritative_source UTINYINT,
    first_seen_at TIMESTAMPTZ NOT NULL,
    rules_changed_at TIMESTAMPTZ
);
COMMENT ON TABLE store.areas IS 'One row per area that an event or an upload named; without a version it is unmapped';
COMMENT ON COLUMN store.areas.area_key IS 'Stands for (kind, area_id) in the other tables';
COMMENT ON COLUMN store.areas.kind IS '0 zone, 1 vbeacon, 2 rssizone';
COMMENT ON COLUMN store.areas.area_id IS 'The network''s id of the area, unique within its kind';
COMMENT ON COLUMN store.areas.site_key IS 'The site it belongs to';
COMMENT ON COLUMN store.areas.map_key IS 'The map it lies on; null for an rssizone and where none was named';
COMMENT ON COLUMN store.areas.exit_grace_s IS 'Its own exit_grace, seconds; null: the site''s';
COMMENT ON COLUMN store.areas.presence_timeout_s IS 'Its own presence_timeout, seconds; null: the site''s';
COMMENT ON COLUMN store.areas.reported_timeout_s IS 'Its own reported_timeout, seconds; null: the site''s';
COMMENT ON COLUMN store.areas.authoritative_source IS '0 computed, 1 reported; null: computed where its polygon is known, else reported';
COMMENT ON COLUMN store.areas.first_seen_at IS 'When the area was first named to this server, by its clock';
COMMENT ON COLUMN store.areas.rules_changed_at IS 'When its own presence rules were last set otherwise; null: never';

CREATE TABLE store.area_versions (
    area_key INTEGER NOT NULL,
    version INTEGER NOT NULL,
    valid_from TIMESTAMPTZ NOT NULL,
    valid_to TIMESTAMPTZ,
    name VARCHAR,
    shape JSON NOT NULL,
    tags JSON NOT NULL,
    occupancy_limit BIGINT,
    properties JSON
);
COMMENT ON TABLE store.area_versions IS 'What an area was, and from when to when; visits name the version they were computed with';
COMMENT ON COLUMN store.area_versions.area_key IS 'The area';
COMMENT ON COLUMN store.area_versions.version IS 'Counts from 1 for each area';
COMMENT ON COLUMN store.area_versions.valid_from IS 'When this version was uploaded, by the server''s clock';
COMMENT ON COLUMN store.area_versions.valid_to IS 'When the next version took its place, or the area was deleted; null: valid now';
COMMENT ON COLUMN store.area_versions.name IS 'Display name';
COMMENT ON COLUMN store.area_versions.shape IS '{"rings": [[[x_m, y_m], ..], ..]} of a zone, {"x_m", "y_m", ..} of a vbeacon, {"devices": [..]} of an rssizone; metres from the map''s top left';
COMMENT ON COLUMN store.area_versions.tags IS 'List of labels';
COMMENT ON COLUMN store.area_versions.occupancy_limit IS 'Clients allowed in the area at once';
COMMENT ON COLUMN store.area_versions.properties IS 'GeoJSON properties as they were uploaded';

CREATE TABLE store.access_points (
    ap_id VARCHAR NOT NULL,
    mac VARCHAR,
    name VARCHAR,
    map_key INTEGER NOT NULL,
    x_m DOUBLE NOT NULL,
    y_m DOUBLE NOT NULL,
    height_m DOUBLE,
    orientation_deg DOUBLE
);
COMMENT ON TABLE store.access_points IS 'Access points placed on maps, as last uploaded';
COMMENT ON COLUMN store.access_points.ap_id IS 'The network''s id of the device';
COMMENT ON COLUMN store.access_points.mac IS 'MAC address, 12 lower-case hex digits';
COMMENT ON COLUMN store.access_points.name IS 'Display name';
COMMENT ON COLUMN store.access_points.map_key IS 'The map it is placed on';
COMMENT ON COLUMN store.access_points.x_m IS 'Metres from the left edge of the map';
COMMENT ON COLUMN store.access_points.y_m IS 'Metres from the top edge of the map';
COMMENT ON COLUMN store.access_points.height_m IS 'Mounting height above the floor, metres';
COMMENT ON COLUMN store.access_points.orientation_deg IS 'Degrees clockwise, 0: up on the map';

CREATE TABLE store.clients (
    client_key INTEGER NOT NULL,
    kind UTINYINT NOT NULL,
    client_id VARCHAR NOT NULL,
    name VARCHAR,
    first_seen_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE store.clients IS 'One row per tracked thing';
COMMENT ON COLUMN store.clients.client_key IS 'Stands for (kind, client_id) in the other tables';
COMMENT ON COLUMN store.clients.kind IS '0 wifi, 1 unconnected, 2 sdk, 3 asset';
COMMENT ON COLUMN store.clients.client_id IS 'MAC address as 12 lower-case hex digits, or the SDK''s id';
COMMENT ON COLUMN store.clients.name IS 'The latest display name sent with its events';
COMMENT ON COLUMN store.clients.first_seen_at IS 'When it was first named to this server, by its clock';
