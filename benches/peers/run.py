"""Side by side: the same fixes, the same zones, the same visits, every commit on disk, one machine, one run. Answers that
differ end it. A ratio is how many times as good Footfall is; where it is below 1 the other wins, and the line says so."""

import argparse
import gc
import signal
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import Callable

import crowd
import questions
import trajectories
from footfall import Footfall
from postgis import PostGis

LANES = 8
# As many sites that send at once.
LANES_MANY = 64
ROUNDS = 15
# Longer than anybody is silent, for the libraries, which know no timeout.
LONG_S = 3600
# MovingPandas gets one client in so many: all of them would take minutes. Its time grows with their number.
SHARE = 20


def line(what: str, ours: float, theirs: float, unit: str, peer: str = "PostGIS", is_less_better: bool = False) -> None:
    ratio = theirs / ours if is_less_better else ours / theirs
    wins = f"  {peer} wins" if ratio < 1 else ""
    print(f"{what:<44} {ours:>12,.1f} {theirs:>12,.1f}  {unit:<12} {ratio:>8.2f}{wins}", flush=True)


def head(peer: str) -> None:
    print(f"{'':<44} {'Footfall':>12} {peer:>12}  {'':<12} {'ratio':>8}", flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--binary", required=True, help="footfall, built for release")
    options.add_argument("--postgres", required=True, type=Path, help="the folder of PostgreSQL's programs")
    options.add_argument("--fixes", type=int, default=1_000_000)
    options.add_argument("--clients", type=int, default=1_000)
    options.add_argument("--step-m", type=float, default=6.0, help="from fix to fix; with the default a visit lasts 20 s, shorter steps make fewer")
    options.add_argument("--trajectory-fixes", type=int, default=100_000, help="for the libraries, which take longer")
    given = options.parse_args()
    # Whoever is told to end stops the servers and removes their files first.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    # All of it a while ago, so that nothing of it is in the future.
    lasts_s = given.fixes // given.clients * crowd.EVERY_S * 2
    start_s = (int(time.time()) - lasts_s - 2 * LONG_S) // 600 * 600
    fixes = crowd.fixes(given.fixes, given.clients, start_s, given.step_m)
    end_s = fixes[-1].at_s + 1
    print(f"{len(fixes):,} fixes of {given.clients:,} clients in {(end_s - start_s) / 3600:.1f} h, {crowd.ZONES} zones, {given.step_m} m from fix to fix", flush=True)
    compare(given, fixes, start_s)
    libraries(given, fixes[: given.trajectory_fixes], start_s)


def start(stack: ExitStack, given: argparse.Namespace, grace_s: int, timeout_s: int) -> tuple[Footfall, PostGis]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="footfall-peers-")))
    postgis = PostGis(given.postgres, folder)
    stack.callback(postgis.stop)
    footfall = Footfall(given.binary, folder, grace_s, timeout_s)
    stack.callback(footfall.stop)
    return footfall, postgis


def ingest(footfall: Footfall, postgis: PostGis, fixes: list[crowd.Fix], lanes: int) -> float:
    """Over so many connections each; seconds that PostGIS takes for all visits."""
    thousand = len(fixes) / 1000
    gc.disable()
    ours_s = footfall.ingest(fixes, 500, lanes)
    copy_s = postgis.copy(fixes, 500, lanes)
    many_s = postgis.copy(fixes, 50_000, lanes)
    theirs_s = postgis.take_deliveries(fixes, 500, lanes)
    gc.enable()
    visits_s = postgis.make_visits(crowd.EXIT_GRACE_S, crowd.PRESENCE_TIMEOUT_S)
    print(f"over {lanes} connections", flush=True)
    line("  deliveries of 500, durable, with visits", thousand / ours_s, thousand / (theirs_s + visits_s), "k fixes/s")
    line("    theirs without visits", thousand / ours_s, thousand / theirs_s, "k fixes/s")
    line("    without JSON, too: COPY of 500", thousand / ours_s, thousand / copy_s, "k fixes/s")
    line("    COPY of 50,000", thousand / ours_s, thousand / many_s, "k fixes/s")
    return visits_s


def compare(given: argparse.Namespace, fixes: list[crowd.Fix], start_s: int) -> None:
    thousand = len(fixes) / 1000
    head("PostGIS")
    with ExitStack() as stack:
        ingest(*start(stack, given, crowd.EXIT_GRACE_S, crowd.PRESENCE_TIMEOUT_S), fixes, LANES_MANY)
    with ExitStack() as stack:
        footfall, postgis = start(stack, given, crowd.EXIT_GRACE_S, crowd.PRESENCE_TIMEOUT_S)
        visits_s = ingest(footfall, postgis, fixes, LANES)
        end_all_visits(footfall, given, fixes)
        line("all visits again from stored fixes", thousand / rebuild(footfall, fixes), thousand / visits_s, "k fixes/s")
        check_visits(footfall.visits(), postgis.visits(), "PostGIS")
        postgis.index_visits()
        end_s = (fixes[-1].at_s + 1) // 600 * 600
        values = {"from": stamp(start_s), "to": stamp(end_s), "zone": 22, "client": given.clients // 2}
        for question in questions.ALL:
            ours_ms, ours = median_ms(lambda: question.ask(footfall, values))
            theirs_ms, theirs = median_ms(lambda: postgis.ask(question.sql, values))
            check_answers(question, question.of_footfall(ours), question.of_rows(theirs))
            line(question.name, ours_ms, theirs_ms, "ms, median", is_less_better=True)
        stored = postgis.table_bytes()
        footfall.stop()
        line("a fix on disk, visits and indexes included", footfall.file_bytes() / len(fixes), stored / len(fixes), "bytes", is_less_better=True)


def libraries(given: argparse.Namespace, fixes: list[crowd.Fix], start_s: int) -> None:
    """Visits alone, without grace or timeout. Footfall and PostGIS read fixes from the disk and store what they find."""
    print(f"\nvisits of {len(fixes):,} stored fixes, of trajectories in memory; neither grace nor timeout")
    with ExitStack() as stack:
        footfall, postgis = start(stack, given, 0, LONG_S)
        footfall.ingest(fixes, 500, LANES)
        end_all_visits(footfall, given, fixes)
        postgis.copy(fixes, 50_000, LANES)
        theirs_s = postgis.make_visits(0, LONG_S)
        ours_s = rebuild(footfall, fixes)
        visits = footfall.visits()
        check_visits(visits, postgis.visits(), "PostGIS")
    thousand = len(fixes) / 1000
    head("the other")
    line("PostGIS", thousand / ours_s, thousand / theirs_s, "k fixes/s")
    took_s, found = trajectories.meos(fixes)
    check_visits(visits, found, "MEOS")
    line("MEOS", thousand / ours_s, thousand / took_s, "k fixes/s", "MEOS")
    few = [fix for fix in fixes if fix.client % SHARE == 0]
    took_s, found = trajectories.movingpandas(few)
    check_visits({visit for visit in visits if visit[0] % SHARE == 0}, found, "MovingPandas")
    line(f"MovingPandas (one client in {SHARE})", thousand / ours_s, len(few) / 1000 / took_s, "k fixes/s", "MovingPandas")


def median_ms(ask: Callable[[], object]) -> tuple[float, object]:
    answer = ask()
    took = []
    for _ in range(ROUNDS):
        begun = time.monotonic()
        answer = ask()
        took.append((time.monotonic() - begun) * 1000)
    return statistics.median(took), answer


def stamp(at_s: int) -> str:
    return f"{datetime.fromtimestamp(at_s, timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def end_all_visits(footfall: Footfall, given: argparse.Namespace, fixes: list[crowd.Fix]) -> None:
    """Whoever comes long after all others, outside all zones, runs the clock on."""
    late = crowd.Fix(given.clients, fixes[-1].at_s + LONG_S + 60, crowd.WIDTH_M + 50, crowd.HEIGHT_M + 50)
    footfall.ingest([late], 1, 1)


def rebuild(footfall: Footfall, fixes: list[crowd.Fix]) -> float:
    """Seconds from its request until the new visits are in place."""
    begun = time.monotonic()
    span = {"from": stamp(fixes[0].at_s), "to": stamp(fixes[-1].at_s + 1)}
    asked = footfall.ask("POST", "/v1/rebuilds", {"site_id": crowd.SITE, **span})
    while (found := footfall.ask("GET", f"/v1/rebuilds/{asked['rebuild_id']}"))["state"] in ("queued", "running"):
        time.sleep(0.01)
    assert found["state"] == "done", found
    return time.monotonic() - begun


def check_visits(ours: set, theirs: set, peer: str) -> None:
    if not ours or ours != theirs:
        only = lambda these, those: f"{len(these - those):,}, e.g. {sorted(these - those)[:3]}"
        raise SystemExit(f"the visits differ: only Footfall's {only(ours, theirs)}; only those of {peer} {only(theirs, ours)}")
    print(f"  {peer} has the same {len(ours):,} visits, to the millisecond", flush=True)


def check_answers(question: questions.Question, ours: list[tuple], theirs: list[tuple]) -> None:
    if not ours or len(ours) != len(theirs):
        raise SystemExit(f"{question.name}: {len(ours):,} rows of Footfall, {len(theirs):,} of PostGIS")
    for our, their in zip(ours, theirs):
        if not questions.is_same(our, their):
            raise SystemExit(f"{question.name}: {our} of Footfall, {their} of PostGIS")


if __name__ == "__main__":
    main()
