"""The app's side of the decode workers: started when needed, kept warm, killed when late."""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, LifoQueue
from typing import BinaryIO

from vlm_app.errors import BadInput
from vlm_app.media import wire

log = logging.getLogger(__name__)

WORKERS = 2  # one slow upload must not hold up everybody else's
START_SECONDS = 30.0  # to start a worker, on a machine that is busy
QUEUE_SECONDS = 60.0  # to wait for a free one
_ROOT = Path(__file__).resolve().parents[2]  # where `vlm_app` can be imported from


@dataclass(frozen=True)
class Decoded:
    """What a worker made of a file: its RGB bytes, size and a note, or the problem it found."""

    pixels: bytes = b""
    size: tuple[int, int] = (0, 0)
    note: str = ""
    problem: str = ""


class Pool:
    """A few workers that threads share. The last one used is the first one used again."""

    def __init__(self, memory: int, workers: int = WORKERS) -> None:
        self._free: LifoQueue[Worker] = LifoQueue()
        self._workers = [Worker(memory) for _ in range(workers)]
        for worker in self._workers:
            self._free.put(worker)
        atexit.register(self.close)

    def decode(self, data: bytes, max_pixels: int, seconds: float) -> Decoded:
        """Decode a file within a time. Never raises on what the file holds.

        Raises:
            BadInput: when no worker becomes free within a minute.
        """
        try:
            worker = self._free.get(timeout=QUEUE_SECONDS)
        except Empty:
            raise BadInput("Too many images are being opened at once: try again in a minute.") from None
        try:
            return worker.decode(data, max_pixels, seconds)
        finally:
            self._free.put(worker)

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.stop()


class Worker:
    """One decode process. Used by one thread at a time."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process that is running now, if one is."""
        return None if self._process is None else self._process.pid

    def decode(self, data: bytes, max_pixels: int, seconds: float) -> Decoded:
        """Send one file, wait at most `seconds` for its pixels, kill the process when late."""
        process = self._running()
        late = threading.Event()

        def kill() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(seconds, kill)
        timer.start()
        try:
            decoded = _ask(process, data, max_pixels)
        except BaseException:
            self.stop()  # half an exchange would be taken for the start of the next
            raise
        finally:
            timer.cancel()
            timer.join()
        if decoded is None or late.is_set():
            self.stop()
        if decoded is not None:
            return decoded
        if late.is_set():
            return Decoded(problem=f"takes longer than {seconds:g} s to open: save it again as PNG or JPEG.")
        log.warning("a decode worker ended while it read a file")
        return Decoded(problem="breaks the image decoder: save it again as PNG or JPEG.")

    def stop(self) -> None:
        """End the process, if there is one; the next file starts another."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in _streams(process):
            _close(stream)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.stop()
        self._process = process = _start(self._memory)
        timer = threading.Timer(START_SECONDS, process.kill)
        timer.start()
        try:
            ready = wire.receive(_streams(process)[1], limit=len(b"ready"))
        finally:
            timer.cancel()
            timer.join()
        if ready != b"ready":
            self.stop()
            raise RuntimeError("the decode worker did not start")
        return process


def _start(memory: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "vlm_app.media.worker", str(memory)],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the app; the worker ends when its input does
    )


def _streams(process: subprocess.Popen[bytes]) -> tuple[BinaryIO, BinaryIO]:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the decode worker has no pipes")
    return process.stdin, process.stdout  # type: ignore[return-value]


def _close(stream: BinaryIO) -> None:
    with contextlib.suppress(BrokenPipeError):  # closing flushes what a dead worker no longer reads
        stream.close()


def _ask(process: subprocess.Popen[bytes], data: bytes, max_pixels: int) -> Decoded | None:
    """One exchange with a worker; None where it died or broke the rules."""
    requests, replies = _streams(process)
    try:
        wire.send(requests, json.dumps({"max_pixels": max_pixels}).encode())
        wire.send(requests, data)
    except BrokenPipeError:
        return None
    head = wire.receive(replies, limit=100_000)
    if head is None:
        return None
    reply = json.loads(head)
    if "problem" in reply:
        if "detail" in reply:
            log.info("a file could not be decoded: %s", reply["detail"])
        return Decoded(problem=reply["problem"])
    width, height = reply["size"]
    pixels = wire.receive(replies, limit=3 * max_pixels)
    if pixels is None or len(pixels) != 3 * width * height:
        return None
    return Decoded(pixels, (width, height), reply["note"])
