-- What the engine made of the events. A visit stands in open_visits until it ends, then in visits.

CREATE TABLE store.visits (
    visit_key BIGINT NOT NULL,
    site_key INTEGER NOT NULL,
    map_key INTEGER,
    area_key INTEGER NOT NULL,
    area_version INTEGER NOT NULL,
    client_key INTEGER NOT NULL,
    source UTINYINT NOT NULL,
    entered_at TIMESTAMPTZ NOT NULL,
    exited_at TIMESTAMPTZ NOT NULL,
    ended UTINYINT NOT NULL,
    clock_after TIMESTAMPTZ
);
COMMENT ON TABLE store.visits IS 'One row per ended visit';
COMMENT ON COLUMN store.visits.visit_key IS 'Numbers visits in the order they were opened';
COMMENT ON COLUMN store.visits.site_key IS 'The site';
COMMENT ON COLUMN store.visits.map_key IS 'The map of the event that opened it';
COMMENT ON COLUMN store.visits.area_key IS 'The area';
COMMENT ON COLUMN store.visits.area_version IS 'The version of the area it was computed with; 0: the area was not uploaded';
COMMENT ON COLUMN store.visits.client_key IS 'Who';
COMMENT ON COLUMN store.visits.source IS '0 computed from fixes, 1 reported by the network';
COMMENT ON COLUMN store.visits.entered_at IS 'Event time of the first sign inside';
COMMENT ON COLUMN store.visits.exited_at IS 'Event time of its end; dwell is exited_at - entered_at';
COMMENT ON COLUMN store.visits.ended IS '0 left, 1 timeout';
COMMENT ON COLUMN store.visits.clock_after IS 'Set when the site clock ended it: the client''s newest sign then. A later sign may still reopen the visit';

CREATE TABLE store.open_visits (
    visit_key BIGINT NOT NULL,
    site_key INTEGER NOT NULL,
    map_key INTEGER,
    area_key INTEGER NOT NULL,
    area_version INTEGER NOT NULL,
    client_key INTEGER NOT NULL,
    source UTINYINT NOT NULL,
    entered_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE store.open_visits IS 'One row per visit that goes on';
COMMENT ON COLUMN store.open_visits.visit_key IS 'Numbers visits in the order they were opened';
COMMENT ON COLUMN store.open_visits.site_key IS 'The site';
COMMENT ON COLUMN store.open_visits.map_key IS 'The map of the event that opened it';
COMMENT ON COLUMN store.open_visits.area_key IS 'The area';
COMMENT ON COLUMN store.open_visits.area_version IS 'The version of the area it is computed with; 0: the area was not uploaded';
COMMENT ON COLUMN store.open_visits.client_key IS 'Who';
COMMENT ON COLUMN store.open_visits.source IS '0 computed from fixes, 1 reported by the network';
COMMENT ON COLUMN store.open_visits.entered_at IS 'Event time of the first sign inside';
