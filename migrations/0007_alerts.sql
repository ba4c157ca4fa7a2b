-- Alert rules, and what fired.

CREATE TABLE store.alert_rules (
    rule_key INTEGER NOT NULL,
    version INTEGER NOT NULL,
    valid_from TIMESTAMPTZ NOT NULL,
    valid_to TIMESTAMPTZ,
    name VARCHAR NOT NULL,
    site_key INTEGER,
    map_key INTEGER,
    area_key INTEGER,
    tag VARCHAR,
    direction VARCHAR NOT NULL,
    limit_clients BIGINT NOT NULL,
    clear_clients BIGINT NOT NULL,
    for_s DOUBLE NOT NULL,
    schedule JSON,
    severity VARCHAR NOT NULL,
    message VARCHAR,
    is_enabled BOOLEAN NOT NULL
);
COMMENT ON TABLE store.alert_rules IS 'What an alert rule was, and from when to when; alerts name the version that fired';
COMMENT ON COLUMN store.alert_rules.rule_key IS 'Numbers rules from 1';
COMMENT ON COLUMN store.alert_rules.version IS 'Numbers the versions of a rule from 1';
COMMENT ON COLUMN store.alert_rules.valid_from IS 'When it was saved, by the server''s clock';
COMMENT ON COLUMN store.alert_rules.valid_to IS 'When another version took its place, or the rule was deleted; null: valid now';
COMMENT ON COLUMN store.alert_rules.name IS 'What people call it';
COMMENT ON COLUMN store.alert_rules.site_key IS 'The site whose clients are counted, each once; with a tag, the site of the areas';
COMMENT ON COLUMN store.alert_rules.map_key IS 'The map whose clients are counted, each once';
COMMENT ON COLUMN store.alert_rules.area_key IS 'The area that is watched';
COMMENT ON COLUMN store.alert_rules.tag IS 'Every area with this tag is watched, on its own';
COMMENT ON COLUMN store.alert_rules.direction IS 'above or below';
COMMENT ON COLUMN store.alert_rules.limit_clients IS 'It holds with more clients than this, or with fewer';
COMMENT ON COLUMN store.alert_rules.clear_clients IS 'Once fired, it holds until there are no more clients than this, or no fewer';
COMMENT ON COLUMN store.alert_rules.for_s IS 'Seconds it must hold before it fires';
COMMENT ON COLUMN store.alert_rules.schedule IS 'Weekly times at which it is watched, in the site''s time zone; null: always';
COMMENT ON COLUMN store.alert_rules.severity IS 'info, warning or critical';
COMMENT ON COLUMN store.alert_rules.message IS 'What to tell people';
COMMENT ON COLUMN store.alert_rules.is_enabled IS 'Whether it is watched';

CREATE TABLE store.alerts (
    alert_key BIGINT NOT NULL,
    rule_key INTEGER NOT NULL,
    rule_version INTEGER NOT NULL,
    site_key INTEGER NOT NULL,
    map_key INTEGER,
    area_key INTEGER,
    since_at TIMESTAMPTZ NOT NULL,
    fired_at TIMESTAMPTZ NOT NULL,
    clients BIGINT NOT NULL,
    resolved_at TIMESTAMPTZ,
    resolved_clients BIGINT,
    resolution UTINYINT
);
COMMENT ON TABLE store.alerts IS 'One row per alert that fired';
COMMENT ON COLUMN store.alerts.alert_key IS 'Numbers alerts in the order they fired';
COMMENT ON COLUMN store.alerts.rule_key IS 'The rule';
COMMENT ON COLUMN store.alerts.rule_version IS 'Its version';
COMMENT ON COLUMN store.alerts.site_key IS 'The site';
COMMENT ON COLUMN store.alerts.map_key IS 'The map whose clients were counted; null: those of an area or of the site';
COMMENT ON COLUMN store.alerts.area_key IS 'The area whose clients were counted; null: those of a map or of the site';
COMMENT ON COLUMN store.alerts.since_at IS 'Since when the rule held, by the site''s clock';
COMMENT ON COLUMN store.alerts.fired_at IS 'When it had held for long enough, by the site''s clock';
COMMENT ON COLUMN store.alerts.clients IS 'Clients then';
COMMENT ON COLUMN store.alerts.resolved_at IS 'When it was over, by the site''s clock; null: it goes on';
COMMENT ON COLUMN store.alerts.resolved_clients IS 'Clients then';
COMMENT ON COLUMN store.alerts.resolution IS '0 cleared, 1 off schedule, 2 the rule was changed';

CREATE TABLE store.pending_alarms (
    rule_key INTEGER NOT NULL,
    rule_version INTEGER NOT NULL,
    site_key INTEGER NOT NULL,
    map_key INTEGER,
    area_key INTEGER,
    since_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE store.pending_alarms IS 'Rules that hold, but not for long enough yet to fire';
COMMENT ON COLUMN store.pending_alarms.rule_key IS 'The rule';
COMMENT ON COLUMN store.pending_alarms.rule_version IS 'Its version';
COMMENT ON COLUMN store.pending_alarms.site_key IS 'The site';
COMMENT ON COLUMN store.pending_alarms.map_key IS 'The map whose clients are counted; null: those of an area or of the site';
COMMENT ON COLUMN store.pending_alarms.area_key IS 'The area whose clients are counted; null: those of a map or of the site';
COMMENT ON COLUMN store.pending_alarms.since_at IS 'Since when it holds, by the site''s clock';

CREATE VIEW alerts AS
SELECT a.alert_key, r.name AS rule_name, a.rule_key, a.rule_version, r.severity, r.message, s.site_id, m.map_id, e.area_id,
    v.name AS area_name, r.direction, r.limit_clients, a.since_at, a.fired_at, a.clients, a.resolved_at, a.resolved_clients,
    ['cleared', 'off_schedule', 'rule_changed'][a.resolution + 1] AS resolution
FROM store.alerts a
JOIN store.sites s USING (site_key)
JOIN store.alert_rules r ON r.rule_key = a.rule_key AND r.version = a.rule_version
LEFT JOIN store.areas e ON e.area_key = a.area_key
LEFT JOIN store.area_versions v ON v.area_key = a.area_key AND v.valid_to IS NULL
LEFT JOIN store.maps m ON m.map_key = coalesce(a.map_key, e.map_key);
COMMENT ON VIEW alerts IS 'One row per alert that fired';
COMMENT ON COLUMN alerts.alert_key IS 'Numbers alerts in the order they fired';
COMMENT ON COLUMN alerts.rule_name IS 'What people call the rule';
COMMENT ON COLUMN alerts.rule_key IS 'The rule';
COMMENT ON COLUMN alerts.rule_version IS 'Its version';
COMMENT ON COLUMN alerts.severity IS 'info, warning or critical';
COMMENT ON COLUMN alerts.message IS 'What to tell people';
COMMENT ON COLUMN alerts.site_id IS 'The site';
COMMENT ON COLUMN alerts.map_id IS 'The map; null: the whole site';
COMMENT ON COLUMN alerts.area_id IS 'The area; null: a whole map or site';
COMMENT ON COLUMN alerts.area_name IS 'Its name now';
COMMENT ON COLUMN alerts.direction IS 'above or below';
COMMENT ON COLUMN alerts.limit_clients IS 'The limit';
COMMENT ON COLUMN alerts.since_at IS 'Since when the rule held, by the site''s clock';
COMMENT ON COLUMN alerts.fired_at IS 'When it had held for long enough, by the site''s clock';
COMMENT ON COLUMN alerts.clients IS 'Clients then';
COMMENT ON COLUMN alerts.resolved_at IS 'When it was over, by the site''s clock; null: it goes on';
COMMENT ON COLUMN alerts.resolved_clients IS 'Clients then';
COMMENT ON COLUMN alerts.resolution IS 'cleared, off_schedule or rule_changed';
