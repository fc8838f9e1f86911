"""Serves the real page with the engine that has no model: `python -m tests.browser.fake_app PORT PAUSE`.

A third word, 'busy', begins with models at every stage of loading, and with a network;
SIGUSR1 brings that beginning back.
"""

from __future__ import annotations

import os
import signal
import sys

from tests.ui.fake_engine import FakeEngine
from vlm_app import hub
from vlm_app.chat import Chats
from vlm_app.settings import settings
from vlm_app.store import Store
from vlm_app.ui import writing
from vlm_app.ui.serving import run


def main(port: int, pause: float, scene: str = "") -> None:
    store, engine = Store(settings().data), FakeEngine(pause, busy=scene == "busy")
    signal.signal(signal.SIGUSR1, engine.begin)
    writing.ALONE = float(os.environ.get("ALONE", "60"))
    hub.reachable = lambda seconds=2.0: scene == "busy"
    run(Chats(store, engine), store, engine, "127.0.0.1", port)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), *sys.argv[3:])
