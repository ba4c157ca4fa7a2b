"""Footfall's side: the real server, signed deliveries over HTTP, each answered once it is on disk."""

import hashlib
import hmac
import http.client
import json
import os
import signal
import socket
import subprocess
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import crowd

SECRET = b"bench"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Footfall:
    def __init__(self, binary: str, folder: Path, grace_s: int, timeout_s: int):
        self.port = free_port()
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        self.asked_at = 0.0
        self.file = folder / "footfall.duckdb"
        settings = {
            "FOOTFALL_SERVER__LISTEN": f"127.0.0.1:{self.port}",
            "FOOTFALL_STORE__PATH": str(self.file),
            "FOOTFALL_SOURCES__DEFAULT__SECRETS": json.dumps([SECRET.decode()]),
            "FOOTFALL_LOG": "error",
        }
        self.process = subprocess.Popen([binary, "serve"], env=os.environ | settings)
        try:
            self.prepare(grace_s, timeout_s)
        except BaseException:
            self.stop()
            raise

    def prepare(self, grace_s: int, timeout_s: int) -> None:
        while True:
            try:
                self.ask("GET", "/health/ready")
                break
            except ConnectionError:
                self.connection.close()
                assert self.process.poll() is None, "footfall did not start"
                time.sleep(0.02)
        zones = [
            {"id": crowd.zone_id(zone), "name": f"Room {zone}", "vertices_m": [{"x": x, "y": y} for x, y in crowd.corners(zone)[:-1]]}
            for zone in range(crowd.ZONES)
        ]
        floor = {"site_id": crowd.SITE, "name": "Floor", "width_m": crowd.WIDTH_M, "height_m": crowd.HEIGHT_M, "zones": zones}
        self.ask("PUT", f"/v1/maps/{crowd.MAP}", floor)
        self.ask("PATCH", f"/v1/sites/{crowd.SITE}", {"exit_grace_s": grace_s, "presence_timeout_s": timeout_s})

    def ask(self, method: str, path: str, body: object = None) -> object:
        """Over a connection that is kept, as a dashboard's is, and as theirs to PostgreSQL."""
        connection = self.connection
        if time.monotonic() - self.asked_at > 1:
            # The server does not keep for long what is idle.
            connection.close()
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        text = answer.read()
        self.asked_at = time.monotonic()
        assert answer.status in (200, 201, 202), f"{method} {path}: {answer.status} {text[:500]!r}"
        return json.loads(text) if text else None

    def get(self, path: str, **query: object) -> object:
        return self.ask("GET", f"{path}?{urllib.parse.urlencode(query)}")

    def ingest(self, fixes: list[crowd.Fix], batch: int, lanes: int) -> float:
        """Seconds until the last is acknowledged. Requests are made before; each client's fixes go over one connection."""
        waiting = [[self.request(own) for own in batches] for batches in crowd.by_lane(fixes, batch, lanes)]
        streams = [socket.create_connection(("127.0.0.1", self.port)) for _ in waiting]

        def send(stream: socket.socket, requests: list[bytes]) -> None:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for request in requests:
                stream.sendall(request)
                answer = stream.recv(65536)
                assert answer.startswith(b"HTTP/1.1 200"), answer.decode()

        with ThreadPoolExecutor(len(waiting)) as threads:
            begun = time.monotonic()
            list(threads.map(send, streams, waiting))
            took_s = time.monotonic() - begun
        for stream in streams:
            stream.close()
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
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def file_bytes(self) -> int:
        """Once it is stopped."""
        return self.file.stat().st_size
