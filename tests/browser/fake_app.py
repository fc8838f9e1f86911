"""Serves the real page with the engine that has no model: `python -m tests.browser.fake_app PORT PAUSE`."""

from __future__ import annotations

import sys

from tests.ui.fake_engine import FakeEngine
from vlm_app.chat import Chats
from vlm_app.settings import settings
from vlm_app.store import Store
from vlm_app.ui.serving import run


def main(port: int, pause: float) -> None:
    store, engine = Store(settings().data), FakeEngine(pause)
    run(Chats(store, engine), store, engine, "127.0.0.1", port)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
