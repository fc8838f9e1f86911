"""An app of the tests, in a process of its own: it looks after the runs of a data folder.

`python -m tests.finetune.app DATA` prints 'ready', and goes on until it is killed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.engine.fake_backend import MB, FakeBackend, row
from vlm_app.engine import Engine
from vlm_app.finetune import plans, runs
from vlm_app.finetune.estimate import Needs
from vlm_app.finetune.run_config import RunConfig
from vlm_app.store import Store

STUB = ("-u", "-m", "tests.finetune.runs")
NEEDED = 100 * MB  # bytes of a run


def engine(memory: int = 250 * MB) -> Engine:
    """Two models of 100 MB that are numbers."""
    rows = {id: row(id) for id in ("ant", "bee")}
    return Engine(rows, FakeBackend(memory, {"ant": 50 * MB, "bee": 50 * MB}))


def needs(config: RunConfig, train: int, tokens: int | None = None) -> Needs:
    """What every run of the tests takes."""
    return Needs(NEEDED, 0, 0, 0, config.steps or 1, 0)


if __name__ == "__main__":
    plans.needs = needs
    app = runs.Runs(Store(Path(sys.argv[1])), engine(), STUB)
    app.drive()
    print("ready", flush=True)
    time.sleep(600)
