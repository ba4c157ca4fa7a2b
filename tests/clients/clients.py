"""psycopg and SQLAlchemy against a running server: PGHOST, PGPORT, PGUSER, PGPASSWORD say where.

Two clients are in an area called Lobby.
"""

import datetime
import decimal

import psycopg
import sqlalchemy

UTC = datetime.timezone.utc


def values(connection, binary):
    cursor = connection.cursor(binary=binary)
    cursor.execute(
        "SELECT 1::int, 2::bigint, 1.5::double, 'x', true, NULL, '2026-07-01 08:00:00.25+00'::timestamptz,"
        " '2026-07-01'::date, -12345.678::decimal(10, 3), [1, 2, NULL], ['a', 'b\"'], 'abc'::blob,"
        " 170141183460469231731687303715884105727::hugeint"
    )
    assert cursor.fetchone() == (
        1, 2, 1.5, "x", True, None, datetime.datetime(2026, 7, 1, 8, 0, 0, 250000, tzinfo=UTC),
        datetime.date(2026, 7, 1), decimal.Decimal("-12345.678"), [1, 2, None], ["a", 'b"'], b"abc", 2**127 - 1,
    )
    cursor.execute(
        "SELECT count(*) FROM visits WHERE entered_at > %s AND area_name = %s AND area_version < %s",
        [datetime.datetime(2026, 7, 1, tzinfo=UTC), "Lobby", 100],
    )
    assert cursor.fetchone() == (2,)


with psycopg.connect(autocommit=False) as connection:
    for binary in (False, True):
        values(connection, binary)
    try:
        connection.execute("DELETE FROM visits")
        raise AssertionError("it was deleted")
    except psycopg.errors.ReadOnlySqlTransaction:
        connection.rollback()
    for _ in range(8):
        assert connection.execute("SELECT %s::int + 1", [41], prepare=True).fetchone() == (42,)
    with connection.cursor() as cursor:
        assert sum(1 for _ in cursor.stream("FROM range(10000)")) == 10_000

engine = sqlalchemy.create_engine("postgresql+psycopg://")
inspector = sqlalchemy.inspect(engine)
assert "visits" in inspector.get_table_names()
kinds = {column["name"]: str(column["type"]) for column in inspector.get_columns("visits")}
assert kinds["entered_at"] == "TIMESTAMP" and kinds["visit_key"] == "BIGINT", kinds
assert "Every visit" in inspector.get_table_comment("visits")["text"]
everything = sqlalchemy.MetaData()
everything.reflect(bind=engine)
assert len(everything.tables) == 20
visits = everything.tables["visits"]
with engine.connect() as connection:
    asked = (
        sqlalchemy.select(visits.c.area_name, sqlalchemy.func.count())
        .where(visits.c.entered_at >= datetime.datetime(2026, 7, 1, tzinfo=UTC))
        .group_by(visits.c.area_name)
    )
    assert connection.execute(asked).all() == [("Lobby", 2)]
