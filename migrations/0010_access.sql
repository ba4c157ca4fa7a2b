-- Who may ask and change, and what was changed by whom.

CREATE TABLE store.tokens (
    token_key INTEGER NOT NULL,
    name VARCHAR NOT NULL,
    hash VARCHAR NOT NULL,
    scopes VARCHAR NOT NULL,
    site_ids VARCHAR,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ
);
COMMENT ON TABLE store.tokens IS 'API tokens; what a token itself says is not kept';
COMMENT ON COLUMN store.tokens.token_key IS 'Number of the token, from 1';
COMMENT ON COLUMN store.tokens.name IS 'What it is for, in words';
COMMENT ON COLUMN store.tokens.hash IS 'SHA-256 of the token, in hexadecimal digits';
COMMENT ON COLUMN store.tokens.scopes IS 'What it may: read, sql, admin, with commas between them';
COMMENT ON COLUMN store.tokens.site_ids IS 'JSON list of the only sites it may read; null where it is not limited';
COMMENT ON COLUMN store.tokens.created_at IS 'When it was made, by the server''s clock';
COMMENT ON COLUMN store.tokens.expires_at IS 'When it ends by itself, if it does';
COMMENT ON COLUMN store.tokens.revoked_at IS 'When it was revoked, if it was';

CREATE TABLE store.users (
    name VARCHAR NOT NULL,
    password VARCHAR NOT NULL,
    scopes VARCHAR NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE store.users IS 'People who log in to the page';
COMMENT ON COLUMN store.users.name IS 'What they log in as';
COMMENT ON COLUMN store.users.password IS 'Argon2id of the password, as a PHC string';
COMMENT ON COLUMN store.users.scopes IS 'What they may: read, sql, admin, with commas between them';
COMMENT ON COLUMN store.users.changed_at IS 'When the password or the scopes were set, by the server''s clock';

CREATE TABLE store.acts (
    act_key BIGINT NOT NULL,
    done_at TIMESTAMPTZ NOT NULL,
    caller VARCHAR NOT NULL,
    peer VARCHAR,
    method VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    status USMALLINT NOT NULL
);
COMMENT ON TABLE store.acts IS 'What was changed, asked for as a whole file, or erased, by whom: the audit log';
COMMENT ON COLUMN store.acts.act_key IS 'Number of the act, in order';
COMMENT ON COLUMN store.acts.done_at IS 'When it was answered, by the server''s clock';
COMMENT ON COLUMN store.acts.caller IS 'Token or user, by name; open where nobody had to say who they are';
COMMENT ON COLUMN store.acts.peer IS 'Address it came from; that of a proxy, where there is one';
COMMENT ON COLUMN store.acts.method IS 'HTTP method';
COMMENT ON COLUMN store.acts.path IS 'Path and query that were asked for, without any body';
COMMENT ON COLUMN store.acts.status IS 'HTTP status of the answer';
