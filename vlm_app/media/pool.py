"""The app's side of the decode workers: started when needed, kept warm, killed when late."""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Any, BinaryIO

from vlm_app.errors import BadInput
from vlm_app.media import wire

log = logging.getLogger(__name__)

WORKERS = 2  # one slow upload must not hold up everybody else's
START_SECONDS = 30.0  # to start a worker, on a machine that is busy
QUEUE_SECONDS = 60.0  # to wait for a free one
MOST_VALUES = 50_000_000  # bytes of JSON in a reply: the text of a crowded page
_SPENT = -getattr(signal, "SIGPROF", 1 << 30)  # how a worker ends whose processor time is used up
_ROOT = Path(__file__).resolve().parents[2]  # where `vlm_app` can be imported from


@dataclass(frozen=True)
class Job:
    """One thing that a worker does with a file, and its limits.

    `kind` is a key of `worker.KINDS`; `arguments` are JSON and may hold the file's path, where
    `data` does not hold the file itself. `seconds` is the time limit, `most` the most bytes of
    pixels that may come back, `advice` ends the sentence when it is late or breaks the decoder.
    `cpu` is the most processor time in seconds, 0 without such a limit: on a busy machine a lawful
    file may wait for long, and a bomb costs no more than this.
    """

    kind: str
    arguments: Mapping[str, Any]
    data: bytes = b""
    seconds: float = 10.0
    most: int = 0
    advice: str = "choose another file"
    cpu: float = 0.0


@dataclass(frozen=True)
class Reply:
    """What a worker made of a job: JSON values and pixels, or the problem it found."""

    values: Mapping[str, Any] = field(default_factory=dict)
    pixels: bytes = b""
    problem: str = ""


class Pool:
    """A few workers that threads share. The last one used is the first one used again."""

    def __init__(self, memory: int, workers: int = WORKERS) -> None:
        self._free: LifoQueue[Worker] = LifoQueue()
        self._workers = [Worker(memory) for _ in range(workers)]
        for worker in self._workers:
            self._free.put(worker)
        atexit.register(self.close)

    def run(self, job: Job) -> Reply:
        """Do one job within its time. Never raises on what the file holds.

        Raises:
            BadInput: when no worker becomes free within a minute.
        """
        try:
            worker = self._free.get(timeout=QUEUE_SECONDS)
        except Empty:
            raise BadInput("Too many files are being opened at once: try again in a minute.") from None
        try:
            return worker.run(job)
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

    def run(self, job: Job) -> Reply:
        """Send one job, wait at most its seconds for the reply, kill the process when late."""
        process = self._running()
        late = threading.Event()

        def kill() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(job.seconds, kill)
        timer.start()
        try:
            reply = _ask(process, job)
        except BaseException:
            self.stop()  # half an exchange would be taken for the start of the next
            raise
        finally:
            timer.cancel()
            timer.join()
        if reply is None or late.is_set():
            self.stop()
        if reply is not None:
            return reply
        if late.is_set() or process.returncode == _SPENT:
            limit = job.seconds if late.is_set() else job.cpu
            return Reply(problem=f"takes longer than {limit:g} s to open: {job.advice}.")
        log.warning("a decode worker ended while it read a file")
        return Reply(problem=f"breaks the {job.kind} decoder: {job.advice}.")

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


def _ask(process: subprocess.Popen[bytes], job: Job) -> Reply | None:
    """One exchange with a worker; None where it died or broke the rules."""
    requests, replies = _streams(process)
    try:
        wire.send(requests, json.dumps({"kind": job.kind, "cpu": job.cpu, **job.arguments}).encode())
        wire.send(requests, job.data)
    except BrokenPipeError:
        return None
    head = wire.receive(replies, limit=MOST_VALUES)
    pixels = None if head is None else wire.receive(replies, limit=job.most)
    if head is None or pixels is None:
        return None
    values = json.loads(head)
    width, height = values.get("size", (0, 0))
    if len(pixels) != 3 * width * height:
        return None
    if "detail" in values:
        log.info("a file could not be decoded: %s", values["detail"])
    return Reply(values, pixels, values.get("problem", ""))
