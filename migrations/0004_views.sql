-- What people read: stable names, outside ids, metres and seconds. Readable with any plain DuckDB.

CREATE VIEW store.areas_now AS
SELECT a.area_key, a.kind, a.area_id, v.name, s.site_key, s.site_id, m.map_key, m.map_id, v.tags, v.occupancy_limit,
    v.shape, v.properties, coalesce(v.version, 0) AS version, v.valid_from, v.area_key IS NOT NULL AS is_mapped,
    coalesce(a.authoritative_source, CASE WHEN a.kind = 0 AND v.area_key IS NOT NULL THEN 0 ELSE 1 END) AS source,
    a.authoritative_source, a.exit_grace_s, a.presence_timeout_s, a.reported_timeout_s
FROM store.areas a
LEFT JOIN store.area_versions v ON v.area_key = a.area_key AND v.valid_to IS NULL
LEFT JOIN store.maps m ON m.map_key = a.map_key
LEFT JOIN store.sites s ON s.site_key = coalesce(a.site_key, m.site_key);
COMMENT ON VIEW store.areas_now IS 'Areas as they are now; source is the authoritative one: as set, else computed where the polygon is known, else reported';

CREATE VIEW sites AS
SELECT site_id, name, time_zone, exit_grace_s, presence_timeout_s, reported_timeout_s, dwell_bands, first_seen_at
FROM store.sites;
COMMENT ON VIEW sites IS 'Sites and their settings; a null setting means the server''s default';

CREATE VIEW maps AS
SELECT m.map_id, s.site_id, v.name, v.width_m, v.height_m, v.ppm, v.orientation_deg, v.occupancy_limit, v.version,
    v.valid_from, v.map_key IS NOT NULL AS is_mapped
FROM store.maps m
LEFT JOIN store.map_versions v ON v.map_key = m.map_key AND v.valid_to IS NULL
LEFT JOIN store.sites s ON s.site_key = m.site_key;
COMMENT ON VIEW maps IS 'Maps as they are now; is_mapped is false for one that events named but nobody uploaded';

CREATE VIEW areas AS
SELECT area_id, ['zone', 'vbeacon', 'rssizone'][kind + 1] AS kind, name, site_id, map_id, tags, occupancy_limit, shape,
    properties, version, valid_from, is_mapped, ['computed', 'reported'][source + 1] AS authoritative_source,
    exit_grace_s, presence_timeout_s, reported_timeout_s
FROM store.areas_now;
COMMENT ON VIEW areas IS 'Zones, virtual beacons and RSSI zones as they are now; is_mapped is false for one that nobody uploaded';

CREATE VIEW zones AS SELECT * FROM areas WHERE kind = 'zone';
COMMENT ON VIEW zones IS 'The areas that are polygons on a map';

CREATE VIEW clients AS
SELECT client_id, ['wifi', 'unconnected', 'sdk', 'asset'][kind + 1] AS kind, name, first_seen_at,
    kind < 2 AND length(client_id) = 12 AND client_id[2] IN ('2', '6', 'a', 'e') AS is_randomised
FROM store.clients;
COMMENT ON VIEW clients IS 'Tracked things; is_randomised: the address is locally administered, so probably made up by the phone';

CREATE VIEW positions AS
SELECT s.site_id, m.map_id, c.client_id, ['wifi', 'unconnected', 'sdk', 'asset'][c.kind + 1] AS kind, f.event_at,
    f.x_mm / 1000 AS x_m, f.y_mm / 1000 AS y_m, f.rssi_dbm, f.received_at, f.delivery_key, f.is_late, f.is_off_map,
    f.is_received_time
FROM store.fixes f
JOIN store.sites s USING (site_key)
JOIN store.maps m USING (map_key)
JOIN store.clients c USING (client_key);
COMMENT ON VIEW positions IS 'Every fix: metres from the top left of its map, x right, y down';

CREATE VIEW transitions AS
SELECT s.site_id, m.map_id, a.area_id, ['zone', 'vbeacon', 'rssizone'][a.kind + 1] AS area_kind, c.client_id,
    ['wifi', 'unconnected', 'sdk', 'asset'][c.kind + 1] AS kind, t.event_at, ['enter', 'exit'][t.trigger + 1] AS trigger,
    t.asset_id, t.received_at, t.delivery_key, t.is_late, t.is_unmatched, t.is_received_time
FROM store.transitions t
JOIN store.sites s USING (site_key)
JOIN store.areas a USING (area_key)
JOIN store.clients c USING (client_key)
LEFT JOIN store.maps m ON m.map_key = t.map_key;
COMMENT ON VIEW transitions IS 'Every enter and exit that the network reported';

CREATE VIEW visits AS
SELECT v.visit_key, s.site_id, m.map_id, a.area_id, ['zone', 'vbeacon', 'rssizone'][a.kind + 1] AS area_kind,
    n.name AS area_name, c.client_id, ['wifi', 'unconnected', 'sdk', 'asset'][c.kind + 1] AS kind,
    ['computed', 'reported'][v.source + 1] AS source, v.entered_at, v.exited_at,
    (epoch_ms(v.exited_at) - epoch_ms(v.entered_at)) / 1000 AS dwell_s, ['left', 'timeout'][v.ended + 1] AS ended, v.area_version
FROM (
    SELECT visit_key, site_key, map_key, area_key, area_version, client_key, source, entered_at, exited_at, ended
    FROM store.visits
    UNION ALL
    SELECT visit_key, site_key, map_key, area_key, area_version, client_key, source, entered_at, NULL, NULL
    FROM store.open_visits
) v
JOIN store.sites s USING (site_key)
JOIN store.areas a USING (area_key)
JOIN store.clients c USING (client_key)
LEFT JOIN store.maps m ON m.map_key = v.map_key
LEFT JOIN store.area_versions n ON n.area_key = v.area_key AND n.valid_to IS NULL;
COMMENT ON VIEW visits IS 'Every visit of both sources; exited_at, dwell_s and ended are null while it goes on';

CREATE VIEW occupancy AS
SELECT a.site_id, a.map_id, a.area_id, ['zone', 'vbeacon', 'rssizone'][a.kind + 1] AS area_kind, a.name,
    a.occupancy_limit, ['computed', 'reported'][a.source + 1] AS source, count(o.visit_key) AS current,
    count(o.visit_key) FILTER (c.kind = 0) AS wifi, count(o.visit_key) FILTER (c.kind = 1) AS unconnected,
    count(o.visit_key) FILTER (c.kind = 2) AS sdk, count(o.visit_key) FILTER (c.kind = 3) AS asset
FROM store.areas_now a
LEFT JOIN store.open_visits o ON o.area_key = a.area_key AND o.source = a.source
LEFT JOIN store.clients c ON c.client_key = o.client_key
GROUP BY ALL;
COMMENT ON VIEW occupancy IS 'Clients in each area now, by its authoritative source';

CREATE VIEW deliveries AS SELECT * FROM store.deliveries;
COMMENT ON VIEW deliveries IS 'Every accepted webhook POST';

CREATE VIEW quarantine AS SELECT * FROM store.quarantine;
COMMENT ON VIEW quarantine IS 'Events that could not be read, with the reason';

CREATE VIEW pings AS
SELECT s.site_id, p.webhook_id, p.webhook_name, p.event_at, d.received_at, d.source
FROM store.pings p
JOIN store.deliveries d USING (delivery_key)
JOIN store.sites s USING (site_key);
COMMENT ON VIEW pings IS 'Pings of the vendor, the set-up check';

CREATE VIEW events AS
SELECT s.site_id, m.map_id, e.topic, e.event_id, e.org_id, e.event_at, e.event_type, e.client_mac, e.ap, e.device, e.body,
    e.delivery_key, e.is_received_time
FROM store.events e
JOIN store.sites s USING (site_key)
LEFT JOIN store.maps m ON m.map_key = e.map_key;
COMMENT ON VIEW events IS 'Every event of the topics without positions';

CREATE VIEW scans AS
SELECT s.site_id, c.client_id, x.event_at, x.connection_ap, x.connection_bssid, x.connection_band, x.connection_channel,
    x.connection_rssi_dbm, r.ap, r.bssid, r.ssid, r.band, r.channel, r.rssi_dbm, r.heard_at, x.delivery_key
FROM store.scans x
JOIN store.sites s USING (site_key)
JOIN store.clients c USING (client_key)
LEFT JOIN store.scan_readings r USING (scan_key);
COMMENT ON VIEW scans IS 'What SDK clients heard: a row per access point heard, or one row for a scan that heard none';

CREATE VIEW rssi_readings AS
SELECT s.site_id, m.map_id, r.* EXCLUDE (site_key, map_key, fingerprint)
FROM store.rssi_readings r
JOIN store.sites s USING (site_key)
LEFT JOIN store.maps m ON m.map_key = r.map_key;
COMMENT ON VIEW rssi_readings IS 'Radio measurements of the raw RSSI topics';

CREATE VIEW vendor_alerts AS
SELECT s.site_id, m.map_id, a.area_id AS zone_id, v.zone_name, v.alert_type, v.current_occupancy, v.occupancy_limit,
    v.event_at, v.org_id, v.site_name, v.delivery_key
FROM store.vendor_alerts v
JOIN store.sites s USING (site_key)
LEFT JOIN store.maps m ON m.map_key = v.map_key
LEFT JOIN store.areas a ON a.area_key = v.area_key;
COMMENT ON VIEW vendor_alerts IS 'The vendor''s own occupancy alerts';

CREATE VIEW beacons AS
SELECT s.site_id, c.client_id, b.* EXCLUDE (site_key, client_key)
FROM store.beacons b
JOIN store.sites s USING (site_key)
JOIN store.clients c USING (client_key);
COMMENT ON VIEW beacons IS 'What tags and clients broadcast about themselves, beside their fix of the same time';
