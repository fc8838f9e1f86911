"""How soon the app is there: its first page, and the imports of a script."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.serve.peer import free_port
from benchmarks.serve.rows import Row, alone

ROOT = Path(__file__).resolve().parents[2]
PAGE_SECONDS, IMPORT_SECONDS = 6.0, 0.5
LONGEST = 120


def started(rounds: int) -> list[Row]:
    """Medians with a warm disk cache: the first of each is not counted."""
    page = statistics.median([first_page() for _ in range(rounds + 1)][1:])
    rows = [alone("start of `python app.py` to its first page", "s", page, PAGE_SECONDS)]
    for name in ("vlm_app", "vlm_app.engine"):
        seconds = statistics.median([importing(name) for _ in range(rounds + 1)][1:])
        rows.append(alone(f"`python -c 'import {name}'`", "s", seconds, IMPORT_SECONDS))
    return rows


def first_page() -> float:
    """Seconds from the command to the whole page, in an empty data folder."""
    with TemporaryDirectory() as data:
        port = free_port()
        chosen = {"VLM_APP_DATA": data, "VLM_APP_PORT": str(port), "VLM_APP_HOST": "127.0.0.1"}
        start = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=os.environ | chosen, stdout=subprocess.DEVNULL
        )
        try:
            while not _answers(f"http://127.0.0.1:{port}/"):
                if process.poll() is not None or time.monotonic() - start > LONGEST:
                    raise RuntimeError(f"the app did not start: it ended with {process.poll()}")
                time.sleep(0.01)
            return time.monotonic() - start
        finally:
            process.terminate()
            process.wait(60)


def importing(name: str) -> float:
    """Seconds of a Python that imports this and ends."""
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", f"import {name}"], cwd=ROOT, check=True)
    return time.monotonic() - start


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=30) as page:
            return bool(page.status == 200 and page.read())
    except OSError:
        return False
