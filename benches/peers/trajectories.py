"""Libraries of trajectories: when each client was inside each zone. They know neither grace nor silence, so they are held
against a grace of nought and a timeout that nobody reaches. Their trajectories are made before the clock runs, and are in
memory."""

import time
import warnings
from datetime import datetime, timezone

import crowd

Visits = set[tuple[int, int, int, int]]


def meos(fixes: list[crowd.Fix]) -> tuple[float, Visits]:
    """MEOS, the engine of MobilityDB: seconds, and visits. Steps: a position holds until the next, as Footfall has it."""
    import pymeos
    from pymeos import TGeomPointSeq
    from shapely.geometry import Polygon

    pymeos.pymeos_initialize("UTC")
    zones = [Polygon(crowd.corners(zone)) for zone in range(crowd.ZONES)]
    at = lambda fix: f"POINT({fix.x_m} {fix.y_m})@{datetime.fromtimestamp(fix.at_s, timezone.utc):%Y-%m-%d %H:%M:%S+00}"
    ways = {
        client: TGeomPointSeq(string=f"Interp=Step;[{','.join(map(at, way))}]") for client, way in crowd.by_client(fixes).items()
    }
    begun = time.monotonic()
    found = []
    for client, way in ways.items():
        for zone, polygon in enumerate(zones):
            inside = way.at(polygon)
            if inside is not None:
                found.append((client, zone, inside.time()))
    took_s = time.monotonic() - begun
    ms = lambda moment: round(moment.timestamp() * 1000)
    visits = {(client, zone, ms(span.lower()), ms(span.upper())) for client, zone, times in found for span in times.spans()}
    pymeos.pymeos_finalize()
    return took_s, visits


def movingpandas(fixes: list[crowd.Fix]) -> tuple[float, Visits]:
    """MovingPandas: seconds, and visits. It clips lines between positions, or runs of two points and more. So each position
    is given a second time, a millisecond before the next: then those runs are the visits."""
    # It would like a library that smooths, which nothing here does.
    warnings.filterwarnings("ignore", category=UserWarning, module="movingpandas")
    import geopandas
    import movingpandas as mpd
    import pandas
    from shapely.geometry import Polygon

    zones = [Polygon(crowd.corners(zone)) for zone in range(crowd.ZONES)]
    ways = crowd.by_client(fixes)
    last_ms = {client: way[-1].at_s * 1000 for client, way in ways.items()}
    held = []
    for way in ways.values():
        until_ms = [fix.at_s * 1000 for fix in way[1:]] + [way[-1].at_s * 1000 + 2]
        for fix, next_ms in zip(way, until_ms):
            held += [(fix.client, moment_ms, fix.x_m, fix.y_m) for moment_ms in (fix.at_s * 1000, next_ms - 1)]
    frame = pandas.DataFrame(held, columns=["client", "at", "x", "y"])
    frame["at"] = pandas.to_datetime(frame["at"], unit="ms")
    located = geopandas.GeoDataFrame(frame[["client", "at"]], geometry=geopandas.points_from_xy(frame.x, frame.y), crs=31256)
    trajectories = mpd.TrajectoryCollection(located, "client", t="at")
    begun = time.monotonic()
    found = [trajectories.clip(zone, point_based=True).trajectories for zone in zones]
    took_s = time.monotonic() - begun
    # Its times are without a zone.
    ms = lambda moment: round(moment.replace(tzinfo=timezone.utc).timestamp() * 1000)
    visits = set()
    for zone, pieces in enumerate(found):
        for piece in pieces:
            client = piece.parent.id
            exited_ms = min(ms(piece.get_end_time()) + 1, last_ms[client])
            visits.add((client, zone, ms(piece.get_start_time()), exited_ms))
    return took_s, visits
