-- Sites whose clients are stored under pseudonyms.

ALTER TABLE store.sites ADD COLUMN pseudonymise VARCHAR;
COMMENT ON COLUMN store.sites.pseudonymise IS 'keyed: its clients are stored under a keyed hash of their id; daily: under another one each day of the site; null: as they are';

CREATE OR REPLACE VIEW sites AS
SELECT site_id, name, time_zone, exit_grace_s, presence_timeout_s, reported_timeout_s, dwell_bands, first_seen_at,
    coalesce(pseudonymise, 'off') AS pseudonymise
FROM store.sites;
COMMENT ON VIEW sites IS 'Sites and their settings; a null setting means the server''s default';
COMMENT ON COLUMN sites.site_id IS 'The network''s id of the site';
COMMENT ON COLUMN sites.name IS 'Display name, as uploaded';
COMMENT ON COLUMN sites.time_zone IS 'IANA name of the zone in which days and hours are counted';
COMMENT ON COLUMN sites.exit_grace_s IS 'Seconds outside before a visit ends; null: the server''s default';
COMMENT ON COLUMN sites.presence_timeout_s IS 'Seconds of silence that a computed visit outlives; null: the server''s default';
COMMENT ON COLUMN sites.reported_timeout_s IS 'Seconds of silence that a reported visit outlives; null: the server''s default';
COMMENT ON COLUMN sites.dwell_bands IS 'List of {name, from_s, to_s}, whole seconds, ends included; null: the default bands';
COMMENT ON COLUMN sites.first_seen_at IS 'When the site was first named to this server, by its clock';
COMMENT ON COLUMN sites.pseudonymise IS 'off, keyed or daily: under what its clients are stored';

CREATE OR REPLACE VIEW store.clients_now AS
SELECT client_key, kind, client_id, name, first_seen_at,
    kind < 2 AND (length(client_id) = 12 AND client_id[2] IN ('2', '6', 'a', 'e') OR starts_with(client_id, 'pr-'))
        AS is_randomised
FROM store.clients;
COMMENT ON VIEW store.clients_now IS 'Clients; is_randomised: the address is locally administered, so probably made up by the phone; a pseudonym of such a one begins with pr-';

CREATE OR REPLACE VIEW clients AS
SELECT client_id, ['wifi', 'unconnected', 'sdk', 'asset'][kind + 1] AS kind, name, first_seen_at, is_randomised
FROM store.clients_now;
COMMENT ON VIEW clients IS 'Tracked things; is_randomised: the address is locally administered, so probably made up by the phone';
COMMENT ON COLUMN clients.client_id IS 'MAC address as 12 lower-case hex digits, the SDK''s id, or a pseudonym of either: p- or pr- (of a made-up address) and 16 hex digits';
COMMENT ON COLUMN clients.kind IS 'wifi (connected), unconnected, sdk or asset';
COMMENT ON COLUMN clients.name IS 'The latest display name sent with its events';
COMMENT ON COLUMN clients.first_seen_at IS 'When it was first named to this server, by its clock';
COMMENT ON COLUMN clients.is_randomised IS 'The address is locally administered, so probably made up by the phone';
