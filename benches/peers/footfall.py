"""Footfall's side: the real server, signed deliveries over HTTP, each answered once it is on disk."""

import hashlib
import hmac
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
from pathlib import Path

import crowd

SECRET = b"bench"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Footfall:
    def __init__(self, binary: str, folder: Path):
        self.port = free_port()
        self.file = folder / "footfall.duckdb"
        settings = {
            "FOOTFALL_SERVER__LISTEN": f"127.0.0.1:{self.port}",
            "FOOTFALL_STORE__PATH": str(self.file),
            "FOOTFALL_SOURCES__DEFAULT__SECRETS": json.dumps([SECRET.decode()]),
            "FOOTFALL_LOG": "error",
        }
        self.process = subprocess.Popen([binary, "serve"], env=os.environ | settings)
        while True:
            try:
                self.ask("GET", "/health/ready")
                break
            except OSError:
                time.sleep(0.02)
        zones = [
            {"id": crowd.zone_id(zone), "name": f"Room {zone}", "vertices_m": [{"x": x, "y": y} for x, y in crowd.corners(zone)[:-1]]}
            for zone in range(crowd.ZONES)
        ]
        floor = {"site_id": crowd.SITE, "name": "Floor", "width_m": crowd.WIDTH_M, "height_m": crowd.HEIGHT_M, "zones": zones}
        self.ask("PUT", f"/v1/maps/{crowd.MAP}", floor)
        rules = {"exit_grace_s": crowd.EXIT_GRACE_S, "presence_timeout_s": crowd.PRESENCE_TIMEOUT_S}
        self.ask("PATCH", f"/v1/sites/{crowd.SITE}", rules)

    def ask(self, method: str, path: str, body: object = None) -> object:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status in (200, 201, 202), f"{method} {path}: {answer.status} {text[:500]!r}"
        return json.loads(text) if text else None

    def get(self, path: str, **query: object) -> object:
        return self.ask("GET", f"{path}?{urllib.parse.urlencode(query)}")

    def ingest(self, fixes: list[crowd.Fix], batch: int, lanes: int) -> float:
        """Seconds until the last is acknowledged. Requests are made before; each client's fixes go over one connection."""
        waiting: list[list[bytes]] = []
        for lane in range(lanes):
            own = [fix for fix in fixes if fix.client % lanes == lane]
            waiting.append([self.request(own[at : at + batch]) for at in range(0, len(own), batch)])
        problems: list[str] = []

        def send(requests: list[bytes]) -> None:
            with socket.create_connection(("127.0.0.1", self.port)) as stream:
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for request in requests:
                    stream.sendall(request)
                    answer = stream.recv(65536)
                    if not answer.startswith(b"HTTP/1.1 200"):
                        problems.append(answer.decode())
                        return

        threads = [threading.Thread(target=send, args=(requests,)) for requests in waiting]
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took_s = time.monotonic() - begun
        assert not problems, problems[0]
        return took_s

    def request(self, fixes: list[crowd.Fix]) -> bytes:
        body = crowd.delivery(fixes)
        signature = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
        head = f"POST /v1/webhooks/mist HTTP/1.1\r\nhost: 127.0.0.1\r\nx-mist-signature-v2: {signature}\r\ncontent-length: {len(body)}\r\n\r\n"
        return head.encode() + body

    def visits(self) -> set[tuple[int, int, int, int]]:
        """(client, zone, entered, exited), in milliseconds, of all that have ended."""
        sql = "SELECT client_id, area_id, epoch_ms(entered_at) AS entered_ms, epoch_ms(exited_at) AS exited_ms FROM visits WHERE exited_at IS NOT NULL"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        connection.request("POST", "/v1/sql?format=csv", json.dumps({"sql": sql, "limit": 10_000_000, "timeout_s": 600}))
        lines = connection.getresponse().read().decode().splitlines()[1:]
        cells = (line.split(",") for line in lines)
        return {(int(client.replace(":", "")[2:], 16), int(area[-12:], 16), int(entered), int(exited)) for client, area, entered, exited in cells}

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def file_bytes(self) -> int:
        """Once it is stopped."""
        return self.file.stat().st_size
