"""What a dashboard asks, of both, and what in their answers has to be the same."""

import math
from dataclasses import dataclass
from datetime import datetime
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

# The next fix may come after the window's end, and counts until there.
HEATMAP = """
SELECT floor(ST_X(geom)), floor(ST_Y(geom)), count(*), count(DISTINCT client),
    sum(CASE WHEN next_at - at <= interval '300 s' THEN extract(epoch FROM least(next_at, %(to)s) - at) ELSE 0 END)
FROM (SELECT client, at, geom, lead(at) OVER (PARTITION BY client ORDER BY at) AS next_at
      FROM fixes WHERE at >= %(from)s AND at < %(to)s::timestamptz + interval '300 s') f
WHERE at < %(to)s
GROUP BY 1, 2
"""

VISITS = """
SELECT zone, entered_at, exited_at FROM visits
WHERE client = %(client)s AND entered_at < %(to)s AND (exited_at > %(from)s OR exited_at = entered_at AND entered_at >= %(from)s)
"""

TRACK = "SELECT at, ST_X(geom), ST_Y(geom) FROM fixes WHERE client = %(client)s AND at >= %(from)s AND at < %(to)s ORDER BY at"


@dataclass
class Question:
    name: str
    sql: str
    ask: Callable[[Footfall, dict], object]
    """Either answer, whole, as rows of numbers in one order."""
    of_footfall: Callable[[dict], list[tuple]]
    of_rows: Callable[[list[tuple]], list[tuple]] = sorted


def is_same(our: tuple, their: tuple) -> bool:
    """A row, up to how either adds fractions."""
    is_near = lambda a, b: math.isclose(float(a), float(b), rel_tol=1e-6, abs_tol=1e-6)
    return len(our) == len(their) and all(map(is_near, our, their))


def window(values: dict) -> dict:
    return {"from": values["from"], "to": values["to"]}


def zone(area_id: str) -> int:
    return int(area_id[-12:], 16)


def seconds(at: object) -> float:
    return (datetime.fromisoformat(at) if isinstance(at, str) else at).timestamp()


ALL = [
    Question(
        "series by 10 min, a zone",
        SERIES,
        lambda footfall, values: footfall.get("/v1/occupancy/series", area=crowd.zone_id(values["zone"]), bucket="10m", **window(values)),
        lambda answer: [(b["entries"], b["exits"], b["unique_clients"], b["mean"], b["max"], b["min"]) for b in answer["buckets"]],
        list,
    ),
    Question(
        "dwell, a floor",
        DWELL,
        lambda footfall, values: footfall.get("/v1/dwell", map=crowd.MAP, **window(values)),
        lambda answer: [(answer["count"], answer["mean_s"], answer["median_s"], answer["p90_s"], answer["max_s"])],
    ),
    Question(
        "flows, a floor",
        FLOWS,
        lambda footfall, values: footfall.get("/v1/flows", map=crowd.MAP, **window(values)),
        lambda answer: sorted((zone(f["from_area_id"]), zone(f["to_area_id"]), f["count"], f["unique_clients"], f["median_gap_s"]) for f in answer["flows"]),
    ),
    Question(
        "heat map, a floor",
        HEATMAP,
        lambda footfall, values: footfall.get("/v1/heatmap", map=crowd.MAP, cell_m=1, **window(values)),
        lambda answer: sorted((cell["x_m"], cell["y_m"], cell["fixes"], cell["unique_clients"], cell["seconds"]) for cell in answer["cells"]),
    ),
    Question(
        "visits of one client",
        VISITS,
        lambda footfall, values: footfall.get("/v1/visits", client=crowd.mac(values["client"]), limit=10_000, **window(values)),
        lambda answer: sorted((zone(v["area_id"]), seconds(v["entered_at"]), seconds(v["exited_at"])) for v in answer["visits"]),
        lambda rows: sorted((number, seconds(entered), seconds(exited)) for number, entered, exited in rows),
    ),
    Question(
        "way of one client",
        TRACK,
        lambda footfall, values: footfall.get(f"/v1/clients/{crowd.mac(values['client'])}/track", **window(values)),
        lambda answer: [(seconds(fix["at"]), fix["x_m"], fix["y_m"]) for fix in answer["fixes"]],
        lambda rows: [(seconds(at), x, y) for at, x, y in rows],
    ),
]
