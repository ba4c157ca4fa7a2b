"""PostgreSQL with PostGIS: a cluster of its own in a folder, only on a local socket, that forces every commit to the disk."""

import os
import shutil
import struct
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable

import psycopg

import crowd

# As for a machine of 8 GB that does nothing else. Durable as it comes: fsync, synchronous_commit and full_page_writes on.
SETTINGS = {
    "shared_buffers": "2GB",
    "work_mem": "256MB",
    "maintenance_work_mem": "1GB",
    "effective_cache_size": "6GB",
    "random_page_cost": "1.1",
    # Room enough that no checkpoint comes in between, although DuckDB's do.
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    # No replica is fed, so a table that is made and filled in one transaction need not be logged, only forced to the disk.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # Compiling takes longer than these questions.
    "jit": "off",
    "listen_addresses": "",
    "TimeZone": "UTC",
}

# A position that is there already is left out, as Footfall does it.
TAKE = """
INSERT INTO fixes
SELECT ('x' || right(mac, 8))::bit(32)::integer, to_timestamp("timestamp"), ST_Point(x, y)
FROM json_to_recordset(%s::json -> 'events') AS event(mac text, x float8, y float8, "timestamp" float8)
ON CONFLICT DO NOTHING
"""


class PostGis:
    def __init__(self, programs: Path, folder: Path):
        self.programs, self.data = programs, folder / "postgres"
        self.user = "postgres"
        self.data.mkdir(mode=0o700)
        if os.getuid() == 0:
            # PostgreSQL refuses to be root. Its folder stays closed to all others, and so does the socket in it.
            folder.chmod(0o711)
            shutil.chown(self.data, self.user)
        self.run("initdb", "-D", str(self.data), "-U", self.user, "-A", "trust", "-E", "UTF8", "--locale", "C")
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in SETTINGS.items())
            file.write(f"unix_socket_directories = '{self.data}'\n")
        try:
            self.run("pg_ctl", "-D", str(self.data), "-w", "-l", str(self.data / "log"), "start")
            self.conn = self.connect()
            self.prepare()
        except BaseException:
            self.stop()
            raise

    def prepare(self) -> None:
        self.conn.execute("CREATE EXTENSION postgis")
        self.conn.execute("CREATE TABLE zones (zone integer PRIMARY KEY, geom geometry(Polygon) NOT NULL)")
        for zone in range(crowd.ZONES):
            ring = ", ".join(f"{x} {y}" for x, y in crowd.corners(zone))
            self.conn.execute("INSERT INTO zones VALUES (%s, ST_GeomFromText(%s))", (zone, f"POLYGON(({ring}))"))
        self.conn.execute("CREATE INDEX ON zones USING gist (geom)")
        self.conn.execute("ANALYZE zones")
        # Each position once, as Footfall keeps it. No index of positions: each is looked up among the zones, not the reverse.
        self.conn.execute("CREATE TABLE fixes (client integer, at timestamptz, geom geometry(Point), PRIMARY KEY (client, at))")

    def run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), *arguments]
        if os.getuid() == 0:
            command = ["runuser", "-u", self.user, "--", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(host=str(self.data), user=self.user, dbname="postgres", autocommit=True)

    def copy(self, fixes: list[crowd.Fix], batch: int, lanes: int) -> float:
        """Seconds until the last batch is committed. Rows are made before; COPY, the fastest way in."""
        waiting = [["".join(map(row, own)) for own in batches] for batches in crowd.by_lane(fixes, batch, lanes)]

        def send(conn: psycopg.Connection, rows: str) -> None:
            with conn.cursor() as cursor, cursor.copy("COPY fixes FROM STDIN") as copy:
                copy.write(rows)

        return self.fill(waiting, send)

    def take_deliveries(self, fixes: list[crowd.Fix], batch: int, lanes: int) -> float:
        """The same from deliveries as they come, by a prepared statement: as Footfall takes them, but for their signatures."""
        waiting = [[crowd.delivery(own).decode() for own in batches] for batches in crowd.by_lane(fixes, batch, lanes)]
        return self.fill(waiting, lambda conn, body: conn.execute(TAKE, (body,), prepare=True))

    def fill(self, lanes: list[list[str]], send: Callable[[psycopg.Connection, str], object]) -> float:
        """The table anew, each lane over a connection of its own; seconds."""
        self.conn.execute("TRUNCATE fixes")
        conns = [self.connect() for _ in lanes]

        def work(conn: psycopg.Connection, batches: list[str]) -> None:
            for batch in batches:
                send(conn, batch)

        with ThreadPoolExecutor(len(lanes)) as threads:
            begun = time.monotonic()
            list(threads.map(work, conns, lanes))
            took_s = time.monotonic() - begun
        for conn in conns:
            conn.close()
        return took_s

    def make_visits(self, grace_s: int, timeout_s: int) -> float:
        """Seconds for all visits from all fixes."""
        self.conn.execute("DROP TABLE IF EXISTS visits")
        self.conn.execute("VACUUM ANALYZE fixes")
        sql = (Path(__file__).parent / "visits.sql").read_text(encoding="utf-8")
        begun = time.monotonic()
        self.conn.execute(psycopg.ClientCursor(self.conn).mogrify(sql, {"grace_s": grace_s, "timeout_s": timeout_s}))
        return time.monotonic() - begun

    def index_visits(self) -> None:
        """For the questions, which find their tables vacuumed, too."""
        self.conn.execute("CREATE INDEX ON visits (entered_at)")
        self.conn.execute("CREATE INDEX ON visits (zone, entered_at)")
        self.conn.execute("CREATE INDEX ON visits (client, entered_at)")
        self.conn.execute("CREATE INDEX ON fixes (at)")
        self.conn.execute("VACUUM ANALYZE")

    def visits(self) -> set[tuple[int, int, int, int]]:
        """(client, zone, entered, exited), in milliseconds."""
        ms = "(extract(epoch FROM {}) * 1000)::bigint"
        rows = self.conn.execute(f"SELECT client, zone, {ms.format('entered_at')}, {ms.format('exited_at')} FROM visits")
        return set(rows.fetchall())

    def table_bytes(self) -> int:
        sizes = self.conn.execute("SELECT pg_total_relation_size('fixes') + pg_total_relation_size('visits')").fetchone()
        return sizes[0] if sizes else 0

    def ask(self, sql: str, values: dict[str, object]) -> list[tuple]:
        return self.conn.execute(sql, values).fetchall()

    def stop(self) -> None:
        """Fast: connections that are still open are hung up on."""
        if (self.data / "postmaster.pid").exists():
            self.run("pg_ctl", "-D", str(self.data), "-w", "-m", "fast", "stop")


def row(fix: crowd.Fix) -> str:
    # Points in well-known binary form, which PostGIS reads faster than text.
    point = struct.pack("<BIdd", 1, 1, fix.x_m, fix.y_m).hex()
    return f"{fix.client}\t{time.strftime('%Y-%m-%d %H:%M:%S+00', time.gmtime(fix.at_s))}\t{point}\n"
