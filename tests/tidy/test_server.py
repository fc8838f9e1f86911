"""The real server: uploads that break off, slow images, what uploads tell, and whom it calls."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import quote, urlsplit

import psutil
import pytest

from tests.browser.conftest import Server, served
from tests.sizes import ABORTED_UPLOADS, size
from tests.tidy.photos import photo, slow_jpeg, tells, tells_below
from tests.tidy.watched_app import LOCAL

BOUNDARY = "tidy"
SWEEP = {"VLM_APP_UNFINISHED_MINUTES": "0.2", "VLM_APP_SWEEP_MINUTES": "0.03"}
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("watched") / "calls.txt"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, log: Path) -> Iterator[Server]:
    """Sweeping often, and watched."""
    folder = tmp_path_factory.mktemp("tidy") / "data"
    with served(folder, "-m", "tests.tidy.watched_app", str(log), **SWEEP) as started:
        yield started


class Visitor:
    """Somebody with a cookie of the app."""

    def __init__(self, server: Server) -> None:
        self.where = urlsplit(server.url).netloc
        with urllib.request.urlopen(
            urllib.request.Request(server.url, headers={"Accept": "text/html"})
        ) as page:
            page.read()
            jar: SimpleCookie = SimpleCookie(page.headers["Set-Cookie"])
        self.headers = {"Cookie": "; ".join(f"{name}={each.value}" for name, each in jar.items())}

    def ask(self, path: str, body: bytes | None = None, kind: str = "application/json") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.where, timeout=120)
        headers = self.headers | ({"Content-Type": kind} if body is not None else {})
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    def upload(self, data: bytes, name: str) -> str:
        """The path that the page gets for a file."""
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        status, answer = self.ask("/gradio_api/upload", form(data, name), kind)
        assert status == 200, answer
        return str(json.loads(answer)[0])

    def break_off(self, data: bytes) -> None:
        """Sends half a file, and goes."""
        host, port = self.where.split(":")
        body = form(data, "large.jpg")
        head = [
            "POST /gradio_api/upload HTTP/1.1", f"Host: {self.where}", f"Content-Length: {len(body) * 2}",
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}", f"Cookie: {self.headers['Cookie']}",
        ]  # fmt: skip
        with socket.create_connection((host, int(port)), 60) as connection:
            connection.sendall("\r\n".join([*head, "", ""]).encode() + body[: len(body) - 40])

    def export(self, path: str) -> str:
        """What the endpoint that other programs use says of an uploaded file."""
        given = {"path": path, "orig_name": "a.jpg", "meta": {"_type": "gradio.FileData"}}
        data = json.dumps({"data": [given, "json", "detect", "", "pebble", "auto"]}).encode()
        _, answer = self.ask("/gradio_api/call/export", data)
        return self.ask(f"/gradio_api/call/export/{json.loads(answer)['event_id']}")[1].decode()


def form(data: bytes, name: str) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    return head.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()


def uploads(server: Server) -> list[Path]:
    return [path for path in (server.data / "cache" / "uploads").rglob("*") if path.is_file()]


def test_uploads_that_broke_off_leave_under_a_megabyte(server: Server) -> None:
    visitor, data = Visitor(server), os.urandom(300_000)
    for _ in range(ABORTED_UPLOADS):
        visitor.break_off(data)
    until = time.monotonic() + 240
    while uploads(server) and time.monotonic() < until:
        time.sleep(0.5)
    assert sum(path.stat().st_size for path in uploads(server)) < MEGABYTE
    assert tells(visitor.ask("/health")[1]) == []


def test_what_is_uploaded_tells_nothing_and_is_given_to_its_owner_alone(server: Server) -> None:
    visitor = Visitor(server)
    for kind in ("JPEG", "PNG", "WEBP"):
        path = visitor.upload(photo(kind, 6), f"a.{kind.lower()}")
        status, served_back = visitor.ask(f"/gradio_api/file={quote(path)}")
        assert status == 200 and tells(served_back) == [] and served_back[:2] == photo(kind)[:2]
        assert "event: complete" in visitor.export(path)
    assert tells_below(server.data) == []
    marks = (server.data / "cache" / "uploaders").glob("*/*")
    assert len(list(marks)) == 6  # three that came, and three that were made of them


def spent(server: Server) -> dict[int, float]:
    """Processor time of each decode worker, in seconds."""
    found = {}
    for child in psutil.Process(server.process.pid).children():
        with suppress(psutil.Error):
            if "vlm_app.media.worker" in child.cmdline():
                times = child.cpu_times()
                found[child.pid] = times.user + times.system
    return found


def test_a_slow_image_costs_three_seconds_and_the_page_answers_meanwhile(server: Server) -> None:
    """It is refused by its processor time, by the clock on a busy machine, or opened within it."""
    visitor = Visitor(server)
    path = visitor.upload(slow_jpeg(), "slow.jpg")
    visitor.export(visitor.upload(photo("JPEG"), "quick.jpg"))  # the worker and Pebble are warm
    before, costs, waits, said = spent(server), dict[int, float](), list[float](), list[str]()
    asking = threading.Thread(target=lambda: said.append(visitor.export(path)))
    begun = time.monotonic()
    asking.start()
    while asking.is_alive():
        started = time.monotonic()
        assert visitor.ask("/health")[0] == 200
        waits.append(time.monotonic() - started)
        costs |= {pid: seconds - before.get(pid, 0.0) for pid, seconds in spent(server).items()}
        time.sleep(0.02)
    p95 = sorted(waits)[int(0.95 * len(waits))]
    cost = max(costs.values())
    print(f"ended after {time.monotonic() - begun:.1f} s, cost {cost:.1f} s; health p95 {1000 * p95:.0f} ms")
    assert re.search("takes longer than (3|10) s to open|event: complete", said[0])
    assert cost < 3.5 and p95 < size(2, 0.2)


def test_nobody_is_called_and_the_libraries_know(server: Server, log: Path) -> None:
    """The last one: it ends the server."""
    Visitor(server)
    server.process.terminate()
    server.process.wait(120)
    *called, answers = log.read_text().splitlines()
    assert json.loads(answers) == {"gradio": False, "hub": False}
    assert [host for host in called if host not in LOCAL and host != "None"] == []
