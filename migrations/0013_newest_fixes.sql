-- Where a start goes on from, so that it need not read all fixes.

CREATE TABLE store.newest_fixes (
    site_key INTEGER NOT NULL,
    client_key INTEGER NOT NULL,
    event_at TIMESTAMPTZ NOT NULL,
    received_at TIMESTAMPTZ NOT NULL,
    through_delivery BIGINT NOT NULL
);
COMMENT ON TABLE store.newest_fixes IS 'When each client was located last, noted from time to time; none where that was not done yet';
COMMENT ON COLUMN store.newest_fixes.site_key IS 'The site';
COMMENT ON COLUMN store.newest_fixes.client_key IS 'Who';
COMMENT ON COLUMN store.newest_fixes.event_at IS 'Event time of its newest fix there';
COMMENT ON COLUMN store.newest_fixes.received_at IS 'When the latest of its fixes there was received';
COMMENT ON COLUMN store.newest_fixes.through_delivery IS 'The last delivery whose fixes were looked at for certain; the same in all rows';
