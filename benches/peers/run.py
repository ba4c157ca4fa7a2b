"""Side by side: the same fixes, the same zones, the same visits, every commit on disk, one machine, one run."""

import argparse
import gc
import statistics
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Callable

import crowd
import questions
import trajectories
from footfall import Footfall
from postgis import PostGis

LANES = 8
ROUNDS = 15


def line(what: str, ours: float, theirs: float, unit: str, is_less_better: bool = False) -> None:
    ratio = theirs / ours if is_less_better else ours / theirs
    print(f"{what:<44} {ours:>14,.1f} {theirs:>14,.1f}  {unit:<12} {ratio:>8.1f}", flush=True)


def median_ms(ask: Callable[[], object]) -> tuple[float, object]:
    answer = ask()
    took = []
    for _ in range(ROUNDS):
        begun = time.monotonic()
        answer = ask()
        took.append((time.monotonic() - begun) * 1000)
    return statistics.median(took), answer


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--binary", required=True, help="footfall, built for release")
    options.add_argument("--postgres", required=True, type=Path, help="the folder of PostgreSQL's programs")
    options.add_argument("--fixes", type=int, default=2_000_000)
    options.add_argument("--clients", type=int, default=1_000)
    options.add_argument("--trajectory-fixes", type=int, default=100_000, help="for the libraries, which take longer")
    given = options.parse_args()
    # All of it a while ago, so that nothing of it is in the future.
    lasts_s = given.fixes // given.clients * crowd.EVERY_S * 2
    start_s = (int(time.time()) - lasts_s - 7200) // 600 * 600
    fixes = crowd.fixes(given.fixes, given.clients, start_s)
    end_s = fixes[-1].at_s + 1
    print(f"{len(fixes):,} fixes of {given.clients:,} clients in {(end_s - start_s) / 3600:.1f} h, {crowd.ZONES} zones", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        compare(given, fixes, start_s, end_s, Path(folder))
    libraries(fixes[: given.trajectory_fixes], given)


def compare(given: argparse.Namespace, fixes: list[crowd.Fix], start_s: int, end_s: int, folder: Path) -> None:
    postgis = PostGis(given.postgres, folder)
    footfall = Footfall(given.binary, folder)
    try:
        print(f"{'':<44} {'Footfall':>14} {'PostGIS':>14}  {'':<12} {'ratio':>8}")
        gc.disable()
        ours_s = footfall.ingest(fixes, 500, LANES)
        theirs_s = postgis.take_deliveries(fixes, 500, LANES)
        copy_s = postgis.ingest(fixes, 500, LANES)
        many_s = postgis.ingest(fixes, 50_000, LANES)
        gc.enable()
        visits_s = postgis.make_visits(crowd.EXIT_GRACE_S, crowd.PRESENCE_TIMEOUT_S)
        # Whoever comes long after all others runs the clock on, so that every visit has ended.
        late = crowd.Fix(given.clients, end_s + 3600, crowd.WIDTH_M + 50, crowd.HEIGHT_M + 50)
        footfall.ingest([late], 1, 1)
        thousand = len(fixes) / 1000
        line("deliveries of 500, durable, with visits", thousand / ours_s, thousand / (theirs_s + visits_s), "k fixes/s")
        line("  theirs without visits", thousand / ours_s, thousand / theirs_s, "k fixes/s")
        line("  theirs without visits or JSON: COPY of 500", thousand / ours_s, thousand / copy_s, "k fixes/s")
        line("  the same, COPY of 50,000", thousand / ours_s, thousand / many_s, "k fixes/s")
        began = time.monotonic()
        rebuild(footfall, start_s, end_s)
        ours_s = time.monotonic() - began
        line("all visits again from stored fixes", thousand / ours_s, thousand / visits_s, "k fixes/s")
        check_visits(footfall.visits(), postgis.visits())
        postgis.index_visits()
        stamp = lambda at_s: datetime.fromtimestamp(at_s, timezone.utc).isoformat().replace("+00:00", "Z")
        values: dict[str, object] = {"from": stamp(start_s), "to": stamp(end_s // 600 * 600), "zone": 22}
        for question in questions.ALL:
            ours_ms, ours = median_ms(lambda: question.ask(footfall, values))
            theirs_ms, theirs = median_ms(lambda: postgis.ask(question.sql, values))
            line(question.name, ours_ms, theirs_ms, "ms, median", is_less_better=True)
            a, b = question.of_footfall(ours), question.of_rows(theirs)
            if not questions.is_same(a, b):
                raise SystemExit(f"the answers differ: {a} and {b}")
        stored = postgis.table_bytes()
        footfall.stop()
        line("bytes a fix on disk, visits included", footfall.file_bytes() / len(fixes), stored / len(fixes), "bytes", is_less_better=True)
    finally:
        footfall.process.kill()
        postgis.stop()


def rebuild(footfall: Footfall, start_s: int, end_s: int) -> None:
    stamp = lambda at_s: datetime.fromtimestamp(at_s, timezone.utc).isoformat()
    asked = footfall.ask("POST", "/v1/rebuilds", {"site_id": crowd.SITE, "from": stamp(start_s), "to": stamp(end_s)})
    while True:
        found = footfall.ask("GET", f"/v1/rebuilds/{asked['rebuild_id']}")
        if found["state"] not in ("queued", "running"):
            assert found["state"] == "done", found
            return
        time.sleep(0.01)


def check_visits(ours: set, theirs: set) -> None:
    if ours != theirs:
        raise SystemExit(f"the visits differ: only ours {len(ours - theirs):,}, e.g. {sorted(ours - theirs)[:3]}; only theirs {len(theirs - ours):,}, e.g. {sorted(theirs - ours)[:3]}")
    print(f"  the same {len(ours):,} visits, to the millisecond")


def libraries(fixes: list[crowd.Fix], given: argparse.Namespace) -> None:
    print(f"\nvisits of {len(fixes):,} fixes without grace or timeout, once each")
    with tempfile.TemporaryDirectory() as folder:
        postgis = PostGis(given.postgres, Path(folder))
        try:
            postgis.ingest(fixes, 50_000, LANES)
            took_s = postgis.make_visits(0, 10**9)
            count = len(postgis.visits())
        finally:
            postgis.stop()
    print(f"{'PostGIS':<14} {len(fixes) / took_s:>12,.0f} fixes/s {count:>10,} visits")
    for name, take in (("MEOS", trajectories.meos), ("MovingPandas", trajectories.movingpandas)):
        try:
            took_s, count = take(fixes)
        except ImportError as error:
            print(f"{name:<14} NOT RUN: {error}")
            continue
        print(f"{name:<14} {len(fixes) / took_s:>12,.0f} fixes/s {count:>10,} visits", flush=True)


if __name__ == "__main__":
    main()
