"""A server of the OpenAI protocol on this computer that can go wrong in every way."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-SecretOfTheseTests"
MODELS = ("Qwen/Qwen3-VL-4B-Instruct", "my-finetune")
_EMPTY = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m"}
TEXT = 'A caf\u00e9: {"bbox_2d": [100, 200, 300, 400]}'


@dataclass
class Faults:
    """What the next requests meet, in order; the last one stays. `asked` holds what came."""

    script: list[str] = field(default_factory=lambda: ["answer"])
    text: str = TEXT
    thought: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)  # a client went away in mid-answer
    held: threading.Event = field(default_factory=threading.Event)  # while it is set nobody learns the models
    url: str = ""

    def next(self) -> str:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@contextmanager
def serving() -> Iterator[Faults]:
    """A running server that answers well until its script says otherwise."""
    faults = Faults()

    class Handler(_Handler):
        how = faults

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    faults.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield faults
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    how: Faults

    def log_message(self, format: str, *args: Any) -> None:
        """Quietly."""

    def do_GET(self) -> None:
        self.how.keys.append(self.headers.get("Authorization", ""))
        fault = self.how.next()
        while self.how.held.is_set():
            time.sleep(0.05)
        if fault == "answer":
            models = [{"id": id, "object": "model", "created": 0, "owned_by": "me"} for id in MODELS]
            return self._json(200, {"object": "list", "data": models})
        return self._fail(fault)

    def do_POST(self) -> None:
        self.how.keys.append(self.headers.get("Authorization", ""))
        self.how.headers.append({name.lower(): value for name, value in self.headers.items()})
        self.how.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        fault = self.how.next()
        ways = {
            "answer": self._answer,
            "slow": lambda: self._answer(pause=0.05),
            "stall": lambda: self._answer(stop_after=3, stall=True),
            "stays": lambda: self._answer(stays=True),
            "silent": lambda: time.sleep(3),
            "reads": lambda: self._answer(reads=3.0),
            "cut number": lambda: self._answer(stop_after=self.how.text.index("20")),
            "cut byte": self._cut_in_a_character,
            "no reason": lambda: self._answer(reason=None),
            "nonsense": lambda: self._raw(b"data: {this is not json}\n\n"),
            "page": lambda: self._page(),
            "inside": self._error_inside,
        }
        if fault in ways:
            return ways[fault]()
        return self._fail(fault)

    # --- answers ----------------------------------------------------------------------------

    def _answer(
        self,
        pause: float = 0.0,
        stop_after: int | None = None,
        stall: bool = False,
        reason: str | None = "stop",
        stays: bool = False,
        reads: float = 0.0,
    ) -> None:
        self._begin()
        try:
            if reads:
                self._chunk({"role": "assistant", "content": ""})
                time.sleep(reads)
            for letter in self.how.thought:
                self._chunk({"reasoning_content": letter})
            for letter in self.how.text[:stop_after]:
                self._chunk({"content": letter})
                time.sleep(pause)
            if stall:
                time.sleep(3)
            if stop_after is not None:
                return self._hang_up()
            self._chunk({}, reason)
            if stays:
                time.sleep(10)
            usage = {"prompt_tokens": 30, "completion_tokens": 7, "total_tokens": 37}
            self._event(_EMPTY | {"choices": [], "usage": usage})
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            self.how.left.set()

    def _cut_in_a_character(self) -> None:
        self._begin()
        self._chunk({"content": "A caf"})
        whole = json.dumps(_chunk({"content": "\u00e9"}, None), ensure_ascii=False).encode()
        self.wfile.write(b"data: " + whole[: whole.index("\u00e9".encode()) + 1])
        self._hang_up()

    def _error_inside(self) -> None:
        self._begin()
        self._chunk({"content": "A"})
        self._event({"error": {"message": f"the card is full, {KEY}", "code": 500}})

    def _begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> None:
        self._event(_chunk(delta, reason))

    def _event(self, event: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n")
        self.wfile.flush()

    def _raw(self, data: bytes) -> None:
        self._begin()
        self.wfile.write(data)

    def _page(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<html>Welcome</html>")

    def _fail(self, fault: str) -> None:
        """'429' or '429 1' (seconds of Retry-After), another status with its words, or 'close'."""
        if fault == "close":
            return self._hang_up()
        status, _, more = fault.partition(" ")
        headers = {"Retry-After": more} if more.isdecimal() else {}
        said = f"no, {KEY} is not enough" if more.isdecimal() or not more else more
        self._json(int(status), {"error": {"message": said}}, headers)

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def _json(self, status: int, what: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(what).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def _chunk(delta: dict[str, Any], reason: str | None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return _EMPTY | {"choices": [choice]}
