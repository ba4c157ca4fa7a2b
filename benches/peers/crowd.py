"""The crowd that everybody gets: clients that walk over one floor of rooms, a fix every ten seconds each, from a seed."""

import json
import math
import random
from dataclasses import dataclass

SITE = "4ac1dcf4-9d8b-4211-a5c4-057819f0862b"
MAP = "63eda950-c6da-41e4-a628-60f81dd250cc"
ZONES = 50
ROOM_M = 10.0
ROOMS_A_ROW = 10
WIDTH_M = ROOMS_A_ROW * ROOM_M
HEIGHT_M = ZONES / ROOMS_A_ROW * ROOM_M
EVERY_S = 10
EXIT_GRACE_S = 10
PRESENCE_TIMEOUT_S = 300


@dataclass
class Fix:
    client: int
    at_s: int
    x_m: float
    y_m: float


def corners(zone: int) -> list[tuple[float, float]]:
    """The room's corners, metres, the first once more at the end."""
    x, y = zone % ROOMS_A_ROW * ROOM_M, zone // ROOMS_A_ROW * ROOM_M
    return [(x, y), (x + ROOM_M, y), (x + ROOM_M, y + ROOM_M), (x, y + ROOM_M), (x, y)]


def zone_id(zone: int) -> str:
    return f"0d1f5a52-0000-4c00-8000-{zone:012x}"


def mac(client: int) -> str:
    return f"3c{client:010x}"


def delivery(fixes: list[Fix]) -> bytes:
    """The body of a webhook's delivery."""
    events = [
        {"site_id": SITE, "map_id": MAP, "type": "wifi", "mac": mac(fix.client), "x": fix.x_m, "y": fix.y_m, "timestamp": fix.at_s}
        for fix in fixes
    ]
    return json.dumps({"topic": "location", "events": events}, separators=(",", ":")).encode()


def fixes(count: int, clients: int, start_s: int, step_m: float, seed: int = 1) -> list[Fix]:
    """By time, each client a step on from its last. Now and then one is silent for some minutes, so that timeouts happen, too."""
    chance = random.Random(seed)
    at = [(chance.uniform(0, WIDTH_M), chance.uniform(0, HEIGHT_M)) for _ in range(clients)]
    silent_until = [0] * clients
    made: list[Fix] = []
    turn = 0
    while len(made) < count:
        for client in range(clients):
            if chance.random() < 0.0004:
                silent_until[client] = turn + chance.randrange(10, 90)
            if turn < silent_until[client]:
                continue
            x, y = at[client]
            angle = chance.uniform(0, 2 * math.pi)
            x = min(max(x + step_m * math.cos(angle), 0.0), WIDTH_M)
            y = min(max(y + step_m * math.sin(angle), 0.0), HEIGHT_M)
            at[client] = (x, y)
            made.append(Fix(client, start_s + turn * EVERY_S, round(x, 3), round(y, 3)))
        turn += 1
    return made[:count]


def by_lane(fixes: list[Fix], batch: int, lanes: int) -> list[list[list[Fix]]]:
    """What each connection sends, batch by batch: all of a client's fixes go over one, in order."""
    own: list[list[Fix]] = [[] for _ in range(lanes)]
    for fix in fixes:
        own[fix.client % lanes].append(fix)
    return [[lane[at : at + batch] for at in range(0, len(lane), batch)] for lane in own if lane]


def by_client(fixes: list[Fix]) -> dict[int, list[Fix]]:
    ways: dict[int, list[Fix]] = {}
    for fix in fixes:
        ways.setdefault(fix.client, []).append(fix)
    return ways
