-- Alert rules, what fired, and whom to tell.

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
    condition VARCHAR NOT NULL,
    limit_clients BIGINT,
    clear_clients BIGINT,
    for_s DOUBLE NOT NULL,
    repeat_s DOUBLE,
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
COMMENT ON COLUMN store.alert_rules.site_key IS 'The site that is watched; with a tag, the site of the areas';
COMMENT ON COLUMN store.alert_rules.map_key IS 'The map that is watched';
COMMENT ON COLUMN store.alert_rules.area_key IS 'The area that is watched';
COMMENT ON COLUMN store.alert_rules.tag IS 'Every area with this tag is watched, on its own';
COMMENT ON COLUMN store.alert_rules.condition IS 'above, below, dwell or no_data';
COMMENT ON COLUMN store.alert_rules.limit_clients IS 'above, below: it holds with more clients than this, or with fewer';
COMMENT ON COLUMN store.alert_rules.clear_clients IS 'above, below: once fired, it holds until there are no more clients than this, or no fewer';
COMMENT ON COLUMN store.alert_rules.for_s IS 'Seconds it must hold before it fires: a crowd, the stay of a client, the silence';
COMMENT ON COLUMN store.alert_rules.repeat_s IS 'Seconds after which it is told again while it goes on; null: told once';
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
    client_key INTEGER,
    since_at TIMESTAMPTZ NOT NULL,
    fired_at TIMESTAMPTZ NOT NULL,
    clients BIGINT NOT NULL,
    resolved_at TIMESTAMPTZ,
    resolved_clients BIGINT,
    resolution UTINYINT,
    told_at TIMESTAMPTZ NOT NULL,
    is_told BOOLEAN NOT NULL,
    acknowledged_at TIMESTAMPTZ,
    acknowledged_by VARCHAR,
    acknowledged_note VARCHAR
);
COMMENT ON TABLE store.alerts IS 'One row per alert that fired';
COMMENT ON COLUMN store.alerts.alert_key IS 'Numbers alerts in the order they fired';
COMMENT ON COLUMN store.alerts.rule_key IS 'The rule';
COMMENT ON COLUMN store.alerts.rule_version IS 'Its version';
COMMENT ON COLUMN store.alerts.site_key IS 'The site';
COMMENT ON COLUMN store.alerts.map_key IS 'The map it is about; null: an area or the site';
COMMENT ON COLUMN store.alerts.area_key IS 'The area it is about; null: a map or the site';
COMMENT ON COLUMN store.alerts.client_key IS 'The client that stayed too long; null: another sort of rule';
COMMENT ON COLUMN store.alerts.since_at IS 'Since when the rule held, by the site''s clock';
COMMENT ON COLUMN store.alerts.fired_at IS 'When it had held for long enough, by the site''s clock';
COMMENT ON COLUMN store.alerts.clients IS 'Clients there then';
COMMENT ON COLUMN store.alerts.resolved_at IS 'When it was over, by the site''s clock; null: it goes on';
COMMENT ON COLUMN store.alerts.resolved_clients IS 'Clients there then';
COMMENT ON COLUMN store.alerts.resolution IS '0 cleared, 1 off schedule, 2 the rule was changed';
COMMENT ON COLUMN store.alerts.told_at IS 'When it was last due to be told, by the site''s clock';
COMMENT ON COLUMN store.alerts.is_told IS 'Whether callbacks were told that it fired; false: it was silenced until now';
COMMENT ON COLUMN store.alerts.acknowledged_at IS 'When somebody took it on, by the server''s clock';
COMMENT ON COLUMN store.alerts.acknowledged_by IS 'Who';
COMMENT ON COLUMN store.alerts.acknowledged_note IS 'What they said';

CREATE TABLE store.pending_alarms (
    rule_key INTEGER NOT NULL,
    site_key INTEGER NOT NULL,
    map_key INTEGER,
    area_key INTEGER,
    since_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE store.pending_alarms IS 'Rules about crowds that hold, but not for long enough yet to fire';
COMMENT ON COLUMN store.pending_alarms.rule_key IS 'The rule';
COMMENT ON COLUMN store.pending_alarms.site_key IS 'The site';
COMMENT ON COLUMN store.pending_alarms.map_key IS 'The map whose clients are counted; null: those of an area or of the site';
COMMENT ON COLUMN store.pending_alarms.area_key IS 'The area whose clients are counted; null: those of a map or of the site';
COMMENT ON COLUMN store.pending_alarms.since_at IS 'Since when it holds, by the site''s clock';

CREATE TABLE store.silences (
    silence_key BIGINT NOT NULL,
    rule_key INTEGER,
    site_key INTEGER,
    map_key INTEGER,
    area_key INTEGER,
    client_key INTEGER,
    from_at TIMESTAMPTZ NOT NULL,
    until_at TIMESTAMPTZ NOT NULL,
    reason VARCHAR NOT NULL,
    silenced_by VARCHAR
);
COMMENT ON TABLE store.silences IS 'Times during which callbacks are not told of some alerts';
COMMENT ON COLUMN store.silences.silence_key IS 'Numbers silences from 1';
COMMENT ON COLUMN store.silences.rule_key IS 'Only alerts of this rule; null: of any';
COMMENT ON COLUMN store.silences.site_key IS 'Only alerts of this site; null: of any';
COMMENT ON COLUMN store.silences.map_key IS 'Only alerts about this map; null: about any';
COMMENT ON COLUMN store.silences.area_key IS 'Only alerts about this area; null: about any';
COMMENT ON COLUMN store.silences.client_key IS 'Only alerts about this client; null: about any';
COMMENT ON COLUMN store.silences.from_at IS 'When it was asked for, by the server''s clock';
COMMENT ON COLUMN store.silences.until_at IS 'When it is over, by the server''s clock';
COMMENT ON COLUMN store.silences.reason IS 'Why';
COMMENT ON COLUMN store.silences.silenced_by IS 'Who asked for it';

CREATE TABLE store.callbacks (
    callback_key INTEGER NOT NULL,
    name VARCHAR NOT NULL,
    url VARCHAR NOT NULL,
    format VARCHAR NOT NULL,
    secrets JSON NOT NULL,
    headers JSON NOT NULL,
    filter JSON NOT NULL,
    is_enabled BOOLEAN NOT NULL,
    disabled_reason VARCHAR,
    failures INTEGER NOT NULL,
    retry_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    deleted_at TIMESTAMPTZ
);
COMMENT ON TABLE store.callbacks IS 'Endpoints that are told of alerts';
COMMENT ON COLUMN store.callbacks.callback_key IS 'Numbers endpoints from 1';
COMMENT ON COLUMN store.callbacks.name IS 'What people call it';
COMMENT ON COLUMN store.callbacks.url IS 'Where it is told';
COMMENT ON COLUMN store.callbacks.format IS 'footfall, mist, slack or alertmanager';
COMMENT ON COLUMN store.callbacks.secrets IS 'List of the secrets that sign what is sent: the newest first';
COMMENT ON COLUMN store.callbacks.headers IS 'Further request headers, by name';
COMMENT ON COLUMN store.callbacks.filter IS 'Lists of site_ids, area_ids, rule_ids, severities and states; an empty one lets everything through';
COMMENT ON COLUMN store.callbacks.is_enabled IS 'Whether it is told of what happens';
COMMENT ON COLUMN store.callbacks.disabled_reason IS 'Why it was disabled, where nobody asked for it';
COMMENT ON COLUMN store.callbacks.failures IS 'Attempts in a row that failed';
COMMENT ON COLUMN store.callbacks.retry_at IS 'When the next attempt is due; null: at once';
COMMENT ON COLUMN store.callbacks.created_at IS 'When it was made, by the server''s clock';
COMMENT ON COLUMN store.callbacks.deleted_at IS 'When it was deleted; null: it is there';

CREATE TABLE store.callback_deliveries (
    delivery_key BIGINT NOT NULL,
    callback_key INTEGER NOT NULL,
    webhook_id VARCHAR NOT NULL,
    alert_key BIGINT,
    event_type VARCHAR NOT NULL,
    event JSON NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    state UTINYINT NOT NULL,
    attempts INTEGER NOT NULL,
    ended_at TIMESTAMPTZ
);
COMMENT ON TABLE store.callback_deliveries IS 'What an endpoint is to be told, and what became of it: the outbox';
COMMENT ON COLUMN store.callback_deliveries.delivery_key IS 'Numbers deliveries in the order in which they are made';
COMMENT ON COLUMN store.callback_deliveries.callback_key IS 'The endpoint';
COMMENT ON COLUMN store.callback_deliveries.webhook_id IS 'Stays the same however often it is tried';
COMMENT ON COLUMN store.callback_deliveries.alert_key IS 'The alert; null: a test';
COMMENT ON COLUMN store.callback_deliveries.event_type IS 'alert.firing, alert.resolved or test';
COMMENT ON COLUMN store.callback_deliveries.event IS 'What is told, as it was when it happened';
COMMENT ON COLUMN store.callback_deliveries.created_at IS 'When it happened, by the server''s clock';
COMMENT ON COLUMN store.callback_deliveries.expires_at IS 'When it is given up';
COMMENT ON COLUMN store.callback_deliveries.state IS '0 pending, 1 delivered, 2 dead';
COMMENT ON COLUMN store.callback_deliveries.attempts IS 'How often it has been tried';
COMMENT ON COLUMN store.callback_deliveries.ended_at IS 'When it was delivered or given up';

CREATE TABLE store.callback_attempts (
    delivery_key BIGINT NOT NULL,
    attempted_at TIMESTAMPTZ NOT NULL,
    status INTEGER,
    latency_ms DOUBLE NOT NULL,
    answer VARCHAR,
    problem VARCHAR
);
COMMENT ON TABLE store.callback_attempts IS 'Every attempt to deliver to an endpoint';
COMMENT ON COLUMN store.callback_attempts.delivery_key IS 'The delivery';
COMMENT ON COLUMN store.callback_attempts.attempted_at IS 'When it began, by the server''s clock';
COMMENT ON COLUMN store.callback_attempts.status IS 'The HTTP status of the answer; null: there was none';
COMMENT ON COLUMN store.callback_attempts.latency_ms IS 'Milliseconds until the answer, or until it was given up';
COMMENT ON COLUMN store.callback_attempts.answer IS 'The first bytes of the answer';
COMMENT ON COLUMN store.callback_attempts.problem IS 'Why it failed; null: it did not';

CREATE VIEW alerts AS
SELECT a.alert_key, r.name AS rule_name, a.rule_key, a.rule_version, r.severity, r.message, s.site_id, s.name AS site_name, m.map_id,
    mv.name AS map_name, e.area_id, v.name AS area_name, a.client_key, c.client_id, r.condition, r.limit_clients, r.for_s, a.since_at, a.fired_at, a.clients,
    a.resolved_at, a.resolved_clients, ['cleared', 'off_schedule', 'rule_changed'][a.resolution + 1] AS resolution,
    a.acknowledged_at, a.acknowledged_by, a.acknowledged_note
FROM store.alerts a
JOIN store.sites s USING (site_key)
JOIN store.alert_rules r ON r.rule_key = a.rule_key AND r.version = a.rule_version
LEFT JOIN store.areas e ON e.area_key = a.area_key
LEFT JOIN store.area_versions v ON v.area_key = a.area_key AND v.valid_to IS NULL
LEFT JOIN store.maps m ON m.map_key = coalesce(a.map_key, e.map_key)
LEFT JOIN store.map_versions mv ON mv.map_key = m.map_key AND mv.valid_to IS NULL
LEFT JOIN store.clients c ON c.client_key = a.client_key;
COMMENT ON VIEW alerts IS 'One row per alert that fired';
COMMENT ON COLUMN alerts.alert_key IS 'Numbers alerts in the order they fired';
COMMENT ON COLUMN alerts.rule_name IS 'What people call the rule';
COMMENT ON COLUMN alerts.rule_key IS 'The rule';
COMMENT ON COLUMN alerts.rule_version IS 'Its version';
COMMENT ON COLUMN alerts.severity IS 'info, warning or critical';
COMMENT ON COLUMN alerts.message IS 'What to tell people';
COMMENT ON COLUMN alerts.site_id IS 'The site';
COMMENT ON COLUMN alerts.site_name IS 'Its name';
COMMENT ON COLUMN alerts.map_id IS 'The map; null: the whole site';
COMMENT ON COLUMN alerts.map_name IS 'Its name now';
COMMENT ON COLUMN alerts.area_id IS 'The area; null: a whole map or site';
COMMENT ON COLUMN alerts.area_name IS 'Its name now';
COMMENT ON COLUMN alerts.client_key IS 'The client that stayed too long';
COMMENT ON COLUMN alerts.client_id IS 'Its id';
COMMENT ON COLUMN alerts.condition IS 'above, below, dwell or no_data';
COMMENT ON COLUMN alerts.limit_clients IS 'The limit of above and below';
COMMENT ON COLUMN alerts.for_s IS 'Seconds it had to hold';
COMMENT ON COLUMN alerts.since_at IS 'Since when the rule held, by the site''s clock';
COMMENT ON COLUMN alerts.fired_at IS 'When it had held for long enough, by the site''s clock';
COMMENT ON COLUMN alerts.clients IS 'Clients there then';
COMMENT ON COLUMN alerts.resolved_at IS 'When it was over, by the site''s clock; null: it goes on';
COMMENT ON COLUMN alerts.resolved_clients IS 'Clients there then';
COMMENT ON COLUMN alerts.resolution IS 'cleared, off_schedule or rule_changed';
COMMENT ON COLUMN alerts.acknowledged_at IS 'When somebody took it on';
COMMENT ON COLUMN alerts.acknowledged_by IS 'Who';
COMMENT ON COLUMN alerts.acknowledged_note IS 'What they said';

CREATE VIEW callback_deliveries AS
SELECT d.delivery_key, c.name AS callback_name, d.callback_key, d.webhook_id, d.alert_key, d.event_type, d.created_at,
    ['pending', 'delivered', 'dead'][d.state + 1] AS state, d.attempts, d.ended_at, a.status AS last_status, a.problem AS last_problem
FROM store.callback_deliveries d
JOIN store.callbacks c USING (callback_key)
LEFT JOIN (
    SELECT delivery_key, arg_max(coalesce(status, 0), attempted_at) AS status, arg_max(coalesce(problem, ''), attempted_at) AS problem
    FROM store.callback_attempts GROUP BY delivery_key
) a USING (delivery_key);
COMMENT ON VIEW callback_deliveries IS 'What endpoints were told of alerts, and what became of it';
COMMENT ON COLUMN callback_deliveries.delivery_key IS 'Numbers deliveries in the order in which they are made';
COMMENT ON COLUMN callback_deliveries.callback_name IS 'What people call the endpoint';
COMMENT ON COLUMN callback_deliveries.callback_key IS 'The endpoint';
COMMENT ON COLUMN callback_deliveries.webhook_id IS 'Stays the same however often it is tried';
COMMENT ON COLUMN callback_deliveries.alert_key IS 'The alert; null: a test';
COMMENT ON COLUMN callback_deliveries.event_type IS 'alert.firing, alert.resolved or test';
COMMENT ON COLUMN callback_deliveries.created_at IS 'When it happened, by the server''s clock';
COMMENT ON COLUMN callback_deliveries.state IS 'pending, delivered or dead';
COMMENT ON COLUMN callback_deliveries.attempts IS 'How often it has been tried';
COMMENT ON COLUMN callback_deliveries.ended_at IS 'When it was delivered or given up';
COMMENT ON COLUMN callback_deliveries.last_status IS 'HTTP status of the last answer; 0: there was none';
COMMENT ON COLUMN callback_deliveries.last_problem IS 'Why the last attempt failed; empty: it did not';
