"""What lends GPUs on ZeroGPU, as far as `spaces` asks it: it always has one, and notes for how long."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit


class Lender(ThreadingHTTPServer):
    """Listens on a free port of the loopback."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []  # the paths, in order
        self.seconds: list[int] = []  # for which a GPU was wanted
        self.tokens: list[str] = []  # of the visitors for whom it was
        self.empty = False  # whether there is none

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Lender

    def do_POST(self) -> None:
        asked = urlsplit(self.path)
        self.server.asked.append(asked.path)
        if asked.path != "/schedule":
            self._reply(200, {})
        elif self.server.empty:
            self._reply(503, {})
        else:
            words = parse_qs(asked.query)
            self.server.seconds.append(int(words["durationSeconds"][0]))
            self.server.tokens += words.get("token", [])
            lent = {"idle": False, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": "a token"}
            self._reply(200, lent)

    def _reply(self, status: int, found: dict[str, object]) -> None:
        body = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def lender() -> Iterator[Lender]:
    with Lender() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
