"""Libraries of trajectories: the time each client was inside each zone. They know neither grace nor silence, so they are held
against PostGIS with a grace of nought and no timeout."""

import time
from collections import defaultdict
from datetime import datetime, timezone

import crowd


def by_client(fixes: list[crowd.Fix]) -> dict[int, list[crowd.Fix]]:
    ways: dict[int, list[crowd.Fix]] = defaultdict(list)
    for fix in fixes:
        ways[fix.client].append(fix)
    return ways


def meos(fixes: list[crowd.Fix]) -> tuple[float, int]:
    """MEOS, the engine of MobilityDB: seconds, and times inside. Positions hold until the next, as Footfall has it."""
    import pymeos
    from pymeos import TGeomPointSeq
    from shapely.geometry import Polygon

    pymeos.pymeos_initialize()
    zones = [Polygon(crowd.corners(zone)) for zone in range(crowd.ZONES)]
    texts = [
        "Interp=Step;[" + ",".join(f"POINT({f.x_m} {f.y_m})@{datetime.fromtimestamp(f.at_s, timezone.utc):%Y-%m-%d %H:%M:%S+00}" for f in way) + "]"
        for way in by_client(fixes).values()
        if len(way) > 1
    ]
    ways = [TGeomPointSeq(string=text) for text in texts]
    begun = time.monotonic()
    stays = 0
    for way in ways:
        for zone in zones:
            inside = way.at(zone)
            stays += 0 if inside is None else inside.time().num_spans()
    took_s = time.monotonic() - begun
    pymeos.pymeos_finalize()
    return took_s, stays


def movingpandas(fixes: list[crowd.Fix]) -> tuple[float, int]:
    """MovingPandas: seconds, and pieces of ways inside. It draws lines between positions, so it finds more."""
    import geopandas
    import movingpandas as mpd
    import pandas
    from shapely.geometry import Polygon

    zones = [Polygon(crowd.corners(zone)) for zone in range(crowd.ZONES)]
    frame = pandas.DataFrame(
        {"client": [f.client for f in fixes], "at": pandas.to_datetime([f.at_s for f in fixes], unit="s"), "x": [f.x_m for f in fixes], "y": [f.y_m for f in fixes]}
    )
    located = geopandas.GeoDataFrame(frame, geometry=geopandas.points_from_xy(frame.x, frame.y), crs=31256)
    ways = mpd.TrajectoryCollection(located, "client", t="at")
    begun = time.monotonic()
    pieces = 0
    for zone in zones:
        pieces += len(ways.clip(zone).trajectories)
    return time.monotonic() - begun, pieces
