"""The libraries that run models, when several threads want them first."""

from __future__ import annotations

import subprocess
import sys

# What a start with an adapter does at once: the model loads, its memory is reckoned, a text is shown.
_AT_ONCE = """
import threading
from pathlib import Path
from vlm_app.catalog import find
from vlm_app.engine.anatomy import build
from vlm_app.engine.libraries import import_peft
from vlm_app.engine.loading import load_checkpoint
from vlm_app.engine.processors import processor

row, failed = find("pebble"), []

def safely(act, *arguments):
    try:
        act(*arguments)
    except BaseException as error:
        failed.append(f"{act.__name__}: {error!r}")

acts = [(import_peft,), (processor, row), (build, Path(row.source)), (load_checkpoint, row, "fp32")]
threads = [threading.Thread(target=safely, args=each) for each in acts]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(failed)
"""


def test_threads_that_need_the_libraries_at_once_all_get_them() -> None:
    run = subprocess.run(
        [sys.executable, "-c", _AT_ONCE], capture_output=True, text=True, timeout=240, check=False
    )
    assert run.stdout.strip() == "[]", run.stdout + run.stderr[-2000:]
