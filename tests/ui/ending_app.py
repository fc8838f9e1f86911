"""The app with answers that last as long as the question says, and runs that only count.

`python -m tests.ui.ending_app PORT SECONDS`: so long do running answers get when it ends.
`python -m tests.ui.ending_app alone PORT SECONDS` is the same as process 1 of a namespace of its own.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from tests.finetune.app import STUB, engine, needs
from tests.ui.fake_manager import FakeManager
from vlm_app.types import Answer, Delta, Finish, Request

ALONE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


class Lasting(FakeManager):
    """Says 'tick' five times a second, for as many seconds as the question asks for, and then 'done'."""

    def __init__(self) -> None:
        super().__init__()
        self._engine = engine()

    def reserve(self, *arguments: Any, **options: Any) -> Any:
        """Memory for a run, as the engine gives it."""
        return self._engine.reserve(*arguments, **options)

    def close(self) -> None:
        self._engine.close()

    def answer(self, request: Request, stop: threading.Event | None = None) -> Iterator[Delta]:
        found = re.search(r"(\d+) s", request.turns[-1].text)
        until, said = time.monotonic() + int(found.group(1) if found else 0), ""
        whole = Answer("", task=request.task, model=request.model, precision="fp32")
        while time.monotonic() < until:
            time.sleep(0.2)
            if stop is not None and stop.is_set() and time.monotonic() < until:
                yield Delta("", answer=replace(whole, text=said, raw=said, finish=Finish.CANCELLED))
                return
            said += "tick "
            yield Delta("tick ")
        yield Delta("done", answer=replace(whole, text=f"{said}done", raw=f"{said}done"))


def main(port: int, seconds: float) -> None:
    from vlm_app.chat import Chats
    from vlm_app.finetune import plans, runs, workshop
    from vlm_app.settings import settings
    from vlm_app.store import Store
    from vlm_app.ui import ending
    from vlm_app.ui.serving import run

    ending.ANSWER_SECONDS, ending.KEPT_SECONDS = seconds, 20.0  # however busy the machine is
    plans.needs = needs
    workshop.Runs = partial(runs.Runs, child=STUB)
    store, models = Store(settings().data), Lasting()
    run(Chats(store, models), store, models, "127.0.0.1", port)


if __name__ == "__main__":
    if sys.argv[1] == "alone":
        os.execvp(ALONE[0], [*ALONE, sys.executable, "-m", "tests.ui.ending_app", *sys.argv[2:]])
    main(int(sys.argv[1]), float(sys.argv[2]))
