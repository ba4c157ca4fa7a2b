-- Sites that were deleted. Their rows stay: their history refers to them, and keys are counted.

CREATE TABLE store.ended_sites (
    site_key INTEGER NOT NULL,
    ended_at TIMESTAMPTZ NOT NULL,
    through_delivery BIGINT NOT NULL
);
COMMENT ON TABLE store.ended_sites IS 'Sites that were deleted, and are not listed until something names them again';
COMMENT ON COLUMN store.ended_sites.site_key IS 'The site';
COMMENT ON COLUMN store.ended_sites.ended_at IS 'When it was deleted, by the server''s clock';
COMMENT ON COLUMN store.ended_sites.through_delivery IS 'The newest delivery then; an event of a later one brings the site back';
