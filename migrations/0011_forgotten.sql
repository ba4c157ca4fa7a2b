-- What has been deleted because it was old.

CREATE TABLE store.forgotten (
    site_key INTEGER,
    before_at TIMESTAMPTZ NOT NULL,
    through_delivery BIGINT NOT NULL
);
COMMENT ON TABLE store.forgotten IS 'How far back events have been deleted because they were old: visits of before can no longer be derived';
COMMENT ON COLUMN store.forgotten.site_key IS 'The site; null for what belongs to none: deliveries and quarantined events';
COMMENT ON COLUMN store.forgotten.before_at IS 'Every deleted event was before this, in event time';
COMMENT ON COLUMN store.forgotten.through_delivery IS 'The last delivery whose events were deleted';
