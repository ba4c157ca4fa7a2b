-- What came in, as it was decoded. Append-only; rows stand in the order in which they were committed.

CREATE TABLE store.deliveries (
    delivery_key BIGINT NOT NULL,
    received_at TIMESTAMPTZ NOT NULL,
    source VARCHAR NOT NULL,
    topic VARCHAR NOT NULL,
    body_bytes INTEGER NOT NULL,
    events INTEGER NOT NULL,
    duplicates INTEGER NOT NULL,
    late INTEGER NOT NULL,
    quarantined INTEGER NOT NULL
);
COMMENT ON TABLE store.deliveries IS 'One row per accepted webhook POST';
COMMENT ON COLUMN store.deliveries.delivery_key IS 'Numbers deliveries in the order they were committed';
COMMENT ON COLUMN store.deliveries.received_at IS 'When its body was complete, by the server''s clock';
COMMENT ON COLUMN store.deliveries.source IS 'The configured source it came from';
COMMENT ON COLUMN store.deliveries.topic IS 'The webhook topic, lower case with hyphens';
COMMENT ON COLUMN store.deliveries.body_bytes IS 'Length of its JSON in bytes, after any decompression';
COMMENT ON COLUMN store.deliveries.events IS 'Events that could be read';
COMMENT ON COLUMN store.deliveries.duplicates IS 'Events seen before and not stored again';
COMMENT ON COLUMN store.deliveries.late IS 'Events stored that were not newer than their client''s newest';
COMMENT ON COLUMN store.deliveries.quarantined IS 'Events that could not be read';

CREATE TABLE store.fixes (
    delivery_key BIGINT NOT NULL,
    received_at TIMESTAMPTZ NOT NULL,
    site_key INTEGER NOT NULL,
    map_key INTEGER NOT NULL,
    client_key INTEGER NOT NULL,
    event_at TIMESTAMPTZ NOT NULL,
    x_mm INTEGER NOT NULL,
    y_mm INTEGER NOT NULL,
    rssi_dbm FLOAT,
    is_late BOOLEAN NOT NULL,
    is_off_map BOOLEAN NOT NULL,
    is_received_time BOOLEAN NOT NULL
);
COMMENT ON TABLE store.fixes IS 'One row per position of a client; each (site, client, event_at) once';
COMMENT ON COLUMN store.fixes.delivery_key IS 'The delivery it came with';
COMMENT ON COLUMN store.fixes.received_at IS 'When that delivery was received';
COMMENT ON COLUMN store.fixes.site_key IS 'The site';
COMMENT ON COLUMN store.fixes.map_key IS 'The map the position is on';
COMMENT ON COLUMN store.fixes.client_key IS 'Who';
COMMENT ON COLUMN store.fixes.event_at IS 'When, by the network''s clock, to the millisecond';
COMMENT ON COLUMN store.fixes.x_mm IS 'Millimetres from the left edge of the map';
COMMENT ON COLUMN store.fixes.y_mm IS 'Millimetres from the top edge of the map';
COMMENT ON COLUMN store.fixes.rssi_dbm IS 'Signal strength, where the event carried one';
COMMENT ON COLUMN store.fixes.is_late IS 'Not newer than the client''s newest fix when it came: moved nothing live';
COMMENT ON COLUMN store.fixes.is_off_map IS 'Outside the map''s image as it then was';
COMMENT ON COLUMN store.fixes.is_received_time IS 'The event carried no time, so event_at is the time of receipt';

CREATE TABLE store.beacons (
    delivery_key BIGINT NOT NULL,
    site_key INTEGER NOT NULL,
    client_key INTEGER NOT NULL,
    event_at TIMESTAMPTZ NOT NULL,
    ibeacon_uuid VARCHAR,
    ibeacon_major INTEGER,
    ibeacon_minor INTEGER,
    eddystone_uid_namespace VARCHAR,
    eddystone_uid_instance VARCHAR,
    eddystone_url VARCHAR,
    mfg_company_id INTEGER,
    mfg_data VARCHAR,
    battery_mv INTEGER,
    frames JSON
);
COMMENT ON TABLE store.beacons IS 'What a located client broadcast about itself, for the fix with the same site, client and time';
COMMENT ON COLUMN store.beacons.delivery_key IS 'The delivery it came with';
COMMENT ON COLUMN store.beacons.site_key IS 'The site';
COMMENT ON COLUMN store.beacons.client_key IS 'Who';
COMMENT ON COLUMN store.beacons.event_at IS 'When, by the network''s clock';
COMMENT ON COLUMN store.beacons.ibeacon_uuid IS 'iBeacon UUID';
COMMENT ON COLUMN store.beacons.ibeacon_major IS 'iBeacon major';
COMMENT ON COLUMN store.beacons.ibeacon_minor IS 'iBeacon minor';
COMMENT ON COLUMN store.beacons.eddystone_uid_namespace IS 'Eddystone namespace, hex';
COMMENT ON COLUMN store.beacons.eddystone_uid_instance IS 'Eddystone instance, hex';
COMMENT ON COLUMN store.beacons.eddystone_url IS 'Eddystone URL';
COMMENT ON COLUMN store.beacons.mfg_company_id IS 'Bluetooth company identifier';
COMMENT ON COLUMN store.beacons.mfg_data IS 'Manufacturer data, hex';
COMMENT ON COLUMN store.beacons.battery_mv IS 'Battery voltage, millivolts';
COMMENT ON COLUMN store.beacons.frames IS 'wifi_beacon_extended_info as it came';

CREATE TABLE store.transitions (
    delivery_key BIGINT NOT NULL,
    received_at TIMESTAMPTZ NOT NULL,
    site_key INTEGER NOT NULL,
    map_key INTEGER,
    area_key INTEGER NOT NULL,
    client_key INTEGER NOT NULL,
    event_at TIMESTAMPTZ NOT NULL,
    trigger UTINYINT NOT NULL,
    asset_id VARCHAR,
    event JSON,
    is_late BOOLEAN NOT NULL,
    is_unmatched BOOLEAN NOT NULL,
    is_received_time BOOLEAN NOT NULL
);
COMMENT ON TABLE store.transitions IS 'One row per reported enter or exit; each (area, client, trigger, event_at) once';
COMMENT ON COLUMN store.transitions.delivery_key IS 'The delivery it came with';
COMMENT ON COLUMN store.transitions.received_at IS 'When that delivery was received';
COMMENT ON COLUMN store.transitions.site_key IS 'The site';
COMMENT ON COLUMN store.transitions.map_key IS 'The map, where the event named one';
COMMENT ON COLUMN store.transitions.area_key IS 'The zone, rssizone or vbeacon';
COMMENT ON COLUMN store.transitions.client_key IS 'Who';
COMMENT ON COLUMN store.transitions.event_at IS 'When, by the network''s clock, to the millisecond';
COMMENT ON COLUMN store.transitions.trigger IS '0 enter, 1 exit';
COMMENT ON COLUMN store.transitions.asset_id IS 'The named asset behind the client';
COMMENT ON COLUMN store.transitions.event IS 'The whole event, for vbeacon, whose schema the vendor has not published';
COMMENT ON COLUMN store.transitions.is_late IS 'Older than the newest of this client and area when it came: moved nothing live';
COMMENT ON COLUMN store.transitions.is_unmatched IS 'An exit of a client that was not in the area';
COMMENT ON COLUMN store.transitions.is_received_time IS 'The event carried no time, so event_at is the time of receipt';

CREATE TABLE store.scans (
    delivery_key BIGINT NOT NULL,
    scan_key BIGINT NOT NULL,
    site_key INTEGER NOT NULL,
    client_key INTEGER NOT NULL,
    event_at TIMESTAMPTZ NOT NULL,
    connection_ap VARCHAR,
    connection_bssid VARCHAR,
    connection_band VARCHAR,
    connection_channel INTEGER,
    connection_rssi_dbm FLOAT,
    is_received_time BOOLEAN NOT NULL,
    fingerprint UBIGINT NOT NULL
);
COMMENT ON TABLE store.scans IS 'One row per scan report of an SDK client';
COMMENT ON COLUMN store.scans.delivery_key IS 'The delivery it came with';
COMMENT ON COLUMN store.scans.scan_key IS 'Ties it to its rows in scan_readings';
COMMENT ON COLUMN store.scans.site_key IS 'The site';
COMMENT ON COLUMN store.scans.client_key IS 'Who';
COMMENT ON COLUMN store.scans.event_at IS 'When the client was last seen, by the network''s clock';
COMMENT ON COLUMN store.scans.connection_ap IS 'MAC of the access point it is connected to';
COMMENT ON COLUMN store.scans.connection_bssid IS 'BSSID of that connection';
COMMENT ON COLUMN store.scans.connection_band IS 'Band of that connection, as the vendor writes it';
COMMENT ON COLUMN store.scans.connection_channel IS 'Channel of that connection';
COMMENT ON COLUMN store.scans.connection_rssi_dbm IS 'Signal strength of that connection';
COMMENT ON COLUMN store.scans.is_received_time IS 'The event carried no time, so event_at is the time of receipt';
COMMENT ON COLUMN store.scans.fingerprint IS 'Tells the event from its twin';

CREATE TABLE store.scan_readings (
    scan_key BIGINT NOT NULL,
    ap VARCHAR,
    bssid VARCHAR,
    ssid VARCHAR,
    band VARCHAR,
    channel INTEGER,
    rssi_dbm FLOAT,
    heard_at TIMESTAMPTZ
);
COMMENT ON TABLE store.scan_readings IS 'One row per access point heard in a scan';
COMMENT ON COLUMN store.scan_readings.scan_key IS 'The scan';
COMMENT ON COLUMN store.scan_readings.ap IS 'MAC of the access point';
COMMENT ON COLUMN store.scan_readings.bssid IS 'BSSID heard';
COMMENT ON COLUMN store.scan_readings.ssid IS 'Network name heard';
COMMENT ON COLUMN store.scan_readings.band IS 'Band, as the vendor writes it';
COMMENT ON COLUMN store.scan_readings.channel IS 'Channel';
COMMENT ON COLUMN store.scan_readings.rssi_dbm IS 'Signal strength';
COMMENT ON COLUMN store.scan_readings.heard_at IS 'When it was heard, by the network''s clock';

CREATE TABLE store.rssi_readings (
    delivery_key BIGINT NOT NULL,
    topic VARCHAR NOT NULL,
    site_key INTEGER NOT NULL,
    map_key INTEGER,
    client_id VARCHAR NOT NULL,
    ap VARCHAR,
    ap_x_m DOUBLE,
    ap_y_m DOUBLE,
    ap_z_m DOUBLE,
    event_at TIMESTAMPTZ NOT NULL,
    beam INTEGER,
    band VARCHAR,
    rssi_dbm FLOAT,
    is_asset BOOLEAN,
    is_connected_site BOOLEAN,
    asset_id VARCHAR,
    ibeacon_uuid VARCHAR,
    ibeacon_major INTEGER,
    ibeacon_minor INTEGER,
    mfg_company_id INTEGER,
    mfg_data VARCHAR,
    frames JSON,
    is_received_time BOOLEAN NOT NULL,
    fingerprint UBIGINT NOT NULL
);
COMMENT ON TABLE store.rssi_readings IS 'One row per radio measurement of the raw RSSI topics, and per band where one event carries several';
COMMENT ON COLUMN store.rssi_readings.delivery_key IS 'The delivery it came with';
COMMENT ON COLUMN store.rssi_readings.topic IS 'The webhook topic';
COMMENT ON COLUMN store.rssi_readings.site_key IS 'The site';
COMMENT ON COLUMN store.rssi_readings.map_key IS 'The map of the access point';
COMMENT ON COLUMN store.rssi_readings.client_id IS 'MAC of the transmitter, 12 lower-case hex digits';
COMMENT ON COLUMN store.rssi_readings.ap IS 'The access point that heard it: MAC or device id';
COMMENT ON COLUMN store.rssi_readings.ap_x_m IS 'Where that access point is: metres from the left edge of its map';
COMMENT ON COLUMN store.rssi_readings.ap_y_m IS 'Metres from the top edge of its map';
COMMENT ON COLUMN store.rssi_readings.ap_z_m IS 'Metres above the floor';
COMMENT ON COLUMN store.rssi_readings.event_at IS 'When, by the network''s clock';
COMMENT ON COLUMN store.rssi_readings.beam IS 'Antenna, counted clockwise from the LED';
COMMENT ON COLUMN store.rssi_readings.band IS 'Band, as the vendor writes it';
COMMENT ON COLUMN store.rssi_readings.rssi_dbm IS 'Signal strength; the mean of the band for the Wi-Fi topics';
COMMENT ON COLUMN store.rssi_readings.is_asset IS 'Whether the network takes the transmitter for an asset';
COMMENT ON COLUMN store.rssi_readings.is_connected_site IS 'Whether the client is connected at this site';
COMMENT ON COLUMN store.rssi_readings.asset_id IS 'The named asset';
COMMENT ON COLUMN store.rssi_readings.ibeacon_uuid IS 'iBeacon UUID';
COMMENT ON COLUMN store.rssi_readings.ibeacon_major IS 'iBeacon major';
COMMENT ON COLUMN store.rssi_readings.ibeacon_minor IS 'iBeacon minor';
COMMENT ON COLUMN store.rssi_readings.mfg_company_id IS 'Bluetooth company identifier';
COMMENT ON COLUMN store.rssi_readings.mfg_data IS 'Manufacturer data, hex';
COMMENT ON COLUMN store.rssi_readings.frames IS 'service_packets or extended_info_list as they came';
COMMENT ON COLUMN store.rssi_readings.is_received_time IS 'The event carried no time, so event_at is the time of receipt';
COMMENT ON COLUMN store.rssi_readings.fingerprint IS 'Tells the event from its twin';

CREATE TABLE store.vendor_alerts (
    delivery_key BIGINT NOT NULL,
    site_key INTEGER NOT NULL,
    site_name VARCHAR,
    org_id VARCHAR,
    map_key INTEGER,
    area_key INTEGER,
    zone_name VARCHAR,
    alert_type VARCHAR NOT NULL,
    current_occupancy INTEGER,
    occupancy_limit INTEGER,
    event_at TIMESTAMPTZ NOT NULL,
    is_received_time BOOLEAN NOT NULL,
    fingerprint UBIGINT NOT NULL
);
COMMENT ON TABLE store.vendor_alerts IS 'One row per zone in the vendor''s own occupancy-alerts';
COMMENT ON COLUMN store.vendor_alerts.delivery_key IS 'The delivery it came with';
COMMENT ON COLUMN store.vendor_alerts.site_key IS 'The site';
COMMENT ON COLUMN store.vendor_alerts.site_name IS 'Its name, as sent';
COMMENT ON COLUMN store.vendor_alerts.org_id IS 'The organisation';
COMMENT ON COLUMN store.vendor_alerts.map_key IS 'The map';
COMMENT ON COLUMN store.vendor_alerts.area_key IS 'The zone';
COMMENT ON COLUMN store.vendor_alerts.zone_name IS 'Its name, as sent';
COMMENT ON COLUMN store.vendor_alerts.alert_type IS 'COMPLIANCE-VIOLATION or COMPLIANCE-OK';
COMMENT ON COLUMN store.vendor_alerts.current_occupancy IS 'Clients in the zone, as the vendor counted them';
COMMENT ON COLUMN store.vendor_alerts.occupancy_limit IS 'The vendor''s limit for the zone';
COMMENT ON COLUMN store.vendor_alerts.event_at IS 'When the vendor sent it';
COMMENT ON COLUMN store.vendor_alerts.is_received_time IS 'The event carried no time, so event_at is the time of receipt';
COMMENT ON COLUMN store.vendor_alerts.fingerprint IS 'Tells the event from its twin';

CREATE TABLE store.pings (
    delivery_key BIGINT NOT NULL,
    site_key INTEGER NOT NULL,
    webhook_id VARCHAR,
    webhook_name VARCHAR,
    event_at TIMESTAMPTZ NOT NULL,
    is_received_time BOOLEAN NOT NULL,
    fingerprint UBIGINT NOT NULL
);
COMMENT ON TABLE store.pings IS 'One row per ping: the set-up check a person does first';
COMMENT ON COLUMN store.pings.delivery_key IS 'The delivery it came with';
COMMENT ON COLUMN store.pings.site_key IS 'The site';
COMMENT ON COLUMN store.pings.webhook_id IS 'The vendor''s id of the webhook';
COMMENT ON COLUMN store.pings.webhook_name IS 'Its name';
COMMENT ON COLUMN store.pings.event_at IS 'When the vendor sent it';
COMMENT ON COLUMN store.pings.is_received_time IS 'The event carried no time, so event_at is the time of receipt';
COMMENT ON COLUMN store.pings.fingerprint IS 'Tells the event from its twin';

CREATE TABLE store.events (
    delivery_key BIGINT NOT NULL,
    topic VARCHAR NOT NULL,
    event_id VARCHAR,
    org_id VARCHAR,
    site_key INTEGER NOT NULL,
    map_key INTEGER,
    event_at TIMESTAMPTZ NOT NULL,
    event_type VARCHAR,
    client_mac VARCHAR,
    ap VARCHAR,
    device VARCHAR,
    body JSON NOT NULL,
    is_received_time BOOLEAN NOT NULL,
    fingerprint UBIGINT NOT NULL
);
COMMENT ON TABLE store.events IS 'One row per event of every other topic';
COMMENT ON COLUMN store.events.delivery_key IS 'The delivery it came with';
COMMENT ON COLUMN store.events.topic IS 'The webhook topic';
COMMENT ON COLUMN store.events.event_id IS 'Its own id, where it has one';
COMMENT ON COLUMN store.events.org_id IS 'The organisation';
COMMENT ON COLUMN store.events.site_key IS 'The site';
COMMENT ON COLUMN store.events.map_key IS 'The map, where the event named one';
COMMENT ON COLUMN store.events.event_at IS 'When, by the network''s clock';
COMMENT ON COLUMN store.events.event_type IS 'Its type, such as AP_RESTARTED';
COMMENT ON COLUMN store.events.client_mac IS 'MAC of the client it is about';
COMMENT ON COLUMN store.events.ap IS 'MAC of the access point it is about';
COMMENT ON COLUMN store.events.device IS 'Id or MAC of the device it is about';
COMMENT ON COLUMN store.events.body IS 'The whole event as it came';
COMMENT ON COLUMN store.events.is_received_time IS 'The event carried no time, so event_at is the time of receipt';
COMMENT ON COLUMN store.events.fingerprint IS 'Tells the event from its twin';

CREATE TABLE store.quarantine (
    delivery_key BIGINT NOT NULL,
    received_at TIMESTAMPTZ NOT NULL,
    source VARCHAR NOT NULL,
    topic VARCHAR NOT NULL,
    event_index INTEGER NOT NULL,
    reason VARCHAR NOT NULL,
    event VARCHAR NOT NULL
);
COMMENT ON TABLE store.quarantine IS 'One row per event that could not be read';
COMMENT ON COLUMN store.quarantine.delivery_key IS 'The delivery it came with';
COMMENT ON COLUMN store.quarantine.received_at IS 'When that delivery was received';
COMMENT ON COLUMN store.quarantine.source IS 'The configured source it came from';
COMMENT ON COLUMN store.quarantine.topic IS 'The webhook topic';
COMMENT ON COLUMN store.quarantine.event_index IS 'Its place in the delivery, from 0';
COMMENT ON COLUMN store.quarantine.reason IS 'Why it could not be read';
COMMENT ON COLUMN store.quarantine.event IS 'The event as it came';
