"""What a dashboard asks, of both, and what in their answers has to be the same."""

import math
from dataclasses import dataclass
from typing import Callable

import crowd
from footfall import Footfall

SERIES = """
WITH buckets AS (
    SELECT at AS begins_at, at + interval '10 min' AS ends_at
    FROM generate_series(%(from)s::timestamptz, %(to)s::timestamptz - interval '1 s', interval '10 min') at
), touched AS (
    SELECT client, entered_at, exited_at FROM visits
    WHERE zone = %(zone)s AND entered_at < %(to)s AND exited_at >= %(from)s
), changes AS (
    SELECT entered_at AS at, 1 AS change FROM touched WHERE exited_at > entered_at
    UNION ALL SELECT exited_at, -1 FROM touched WHERE exited_at > entered_at
), instants AS (
    SELECT at, sum(change) AS change FROM changes GROUP BY at
), levels AS (
    SELECT at, sum(change) OVER (ORDER BY at) AS level FROM instants
), counted AS (
    SELECT b.begins_at, b.ends_at,
        count(*) FILTER (WHERE entered_at >= b.begins_at AND entered_at < b.ends_at) AS entries,
        count(*) FILTER (WHERE exited_at >= b.begins_at AND exited_at < b.ends_at) AS exits,
        count(DISTINCT client) FILTER (WHERE exited_at > b.begins_at OR entered_at >= b.begins_at) AS unique_clients,
        count(*) FILTER (WHERE entered_at <= b.begins_at AND exited_at > b.begins_at) AS level,
        sum(greatest(extract(epoch FROM least(exited_at, b.ends_at) - greatest(entered_at, b.begins_at)), 0)) AS inside_s
    FROM buckets b LEFT JOIN touched t ON t.entered_at < b.ends_at AND t.exited_at >= b.begins_at
    GROUP BY b.begins_at, b.ends_at
)
SELECT c.entries, c.exits, c.unique_clients, c.inside_s / 600,
    greatest(c.level, (SELECT max(level) FROM levels l WHERE l.at >= c.begins_at AND l.at < c.ends_at)),
    least(c.level, (SELECT min(level) FROM levels l WHERE l.at >= c.begins_at AND l.at < c.ends_at))
FROM counted c ORDER BY c.begins_at
"""

DWELL = """
WITH clipped AS (
    SELECT extract(epoch FROM least(exited_at, %(to)s) - greatest(entered_at, %(from)s))::float8 AS dwell_s FROM visits
    WHERE entered_at < %(to)s AND (exited_at > %(from)s OR exited_at = entered_at AND entered_at >= %(from)s)
)
SELECT count(*), avg(dwell_s), percentile_cont(0.5) WITHIN GROUP (ORDER BY dwell_s),
    percentile_cont(0.9) WITHIN GROUP (ORDER BY dwell_s), max(dwell_s)
FROM clipped
"""

FLOWS = """
WITH steps AS (
    SELECT client, zone, entered_at,
        lag(zone) OVER way AS from_zone, lag(exited_at) OVER way AS left_at
    FROM visits WHERE entered_at < %(to)s AND exited_at >= %(from)s::timestamptz - interval '600 s'
    WINDOW way AS (PARTITION BY client ORDER BY entered_at, zone)
)
SELECT from_zone, zone, count(*), count(DISTINCT client),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY greatest(extract(epoch FROM entered_at - left_at), 0))
FROM steps WHERE entered_at >= %(from)s AND from_zone IS NOT NULL AND entered_at - left_at <= interval '600 s'
GROUP BY from_zone, zone
"""

HEATMAP = """
SELECT floor(ST_X(geom)), floor(ST_Y(geom)), count(*), count(DISTINCT client),
    sum(CASE WHEN next_at - at <= interval '300 s' THEN extract(epoch FROM next_at - at) ELSE 0 END)
FROM (SELECT client, at, geom, lead(at) OVER (PARTITION BY client ORDER BY at) AS next_at
      FROM fixes WHERE at >= %(from)s AND at < %(to)s) f
GROUP BY 1, 2
"""


@dataclass
class Question:
    name: str
    sql: str
    ask: Callable[[Footfall, dict[str, object]], object]
    """What of either answer has to be the same."""
    of_footfall: Callable[[object], object]
    of_rows: Callable[[list[tuple]], object]


def near(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-6)


def is_same(a: object, b: object) -> bool:
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(is_same(x, y) for x, y in zip(a, b))
    return near(float(a), float(b))  # type: ignore[arg-type]


def window(values: dict[str, object]) -> dict[str, object]:
    return {"from": values["from"], "to": values["to"]}


ALL = [
    Question(
        "series by 10 min, a zone",
        SERIES,
        lambda footfall, values: footfall.get("/v1/occupancy/series", area=crowd.zone_id(int(str(values["zone"]))), bucket="10m", **window(values)),
        lambda answer: [(b["entries"], b["exits"], b["unique_clients"], b["mean"], b["max"], b["min"]) for b in answer["buckets"]],
        lambda rows: [tuple(row) for row in rows],
    ),
    Question(
        "dwell, a floor",
        DWELL,
        lambda footfall, values: footfall.get("/v1/dwell", map=crowd.MAP, **window(values)),
        lambda answer: (answer["count"], answer["mean_s"], answer["median_s"], answer["p90_s"], answer["max_s"]),
        lambda rows: rows[0],
    ),
    Question(
        "flows, a floor",
        FLOWS,
        lambda footfall, values: footfall.get("/v1/flows", map=crowd.MAP, **window(values)),
        lambda answer: (sum(flow["count"] for flow in answer["flows"]), max(flow["unique_clients"] for flow in answer["flows"])),
        lambda rows: (sum(row[2] for row in rows), max(row[3] for row in rows)),
    ),
    Question(
        "heat map, a floor",
        HEATMAP,
        lambda footfall, values: footfall.get("/v1/heatmap", map=crowd.MAP, cell_m=1, **window(values)),
        lambda answer: (len(answer["cells"]), sum(cell["fixes"] for cell in answer["cells"]), max(cell["unique_clients"] for cell in answer["cells"])),
        lambda rows: (len(rows), sum(row[2] for row in rows), max(row[3] for row in rows)),
    ),
]
