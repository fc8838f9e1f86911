"""What is sent to the page's components is true for what is chosen there."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ui.fake_engine import FakeEngine
from tests.ui.fake_manager import PEBBLE
from vlm_app.catalog import catalog
from vlm_app.chat import Chats, ChatSettings
from vlm_app.engine.states import ModelState
from vlm_app.errors import ModelUnavailable
from vlm_app.people import Person, Role
from vlm_app.store import Store
from vlm_app.types import Task
from vlm_app.ui.engine_listeners import EngineListeners
from vlm_app.ui.page import blocks, layout
from vlm_app.ui.running import Running
from vlm_app.ui.showing import Showing, Values

SMALL = "smolvlm2-500m"
NF4 = replace(PEBBLE, precision="nf4", bytes=11_000_000)


class Twice(FakeEngine):
    """Pebble is loaded in two precisions; what is unloaded is written down."""

    def __init__(self) -> None:
        super().__init__()
        self.unloaded: list[tuple[str, str | None]] = []

    def models(self) -> tuple[ModelState, ...]:
        return (*super().models(), NF4)

    def unload(self, model: str, precision: str | None = None) -> None:
        self.unloaded.append((model, precision))


@pytest.fixture
def showing(tmp_path: Path) -> Showing:
    engine = Twice()
    chats = Chats(Store(tmp_path), engine)

    async def made() -> Showing:
        with blocks():
            return Showing(layout(), chats, engine, lambda _: {})

    return asyncio.run(made())


def values(showing: Showing, precision: str, model: str = "pebble") -> Values:
    on = showing.on
    chosen = {on.panel.precision: precision, on.panel.adapter: "", on.model: model}
    return chosen | {on.chat: "", on.task: "chat", on.chats.search: ""}


def test_chip_stays_with_the_chosen_precision_after_an_answer(showing: Showing) -> None:
    chat = showing.chats.new("me")
    for precision in ("nf4", "fp32"):
        html = showing.around("me", chat, values(showing, precision))[showing.on.chip]
        assert f"· {precision}<" in html


def test_chip_stays_with_the_chosen_precision_when_a_model_is_picked(showing: Showing) -> None:
    for pick in (showing.choice, showing.pick):
        assert "· nf4<" in pick(catalog()["pebble"], Task.CHAT, values(showing, "nf4"))[showing.on.chip]
        html = pick(catalog()[SMALL], Task.CHAT, values(showing, "nf4"))[showing.on.chip]
        assert "fits in nf4" in html


def test_chat_that_is_opened_brings_its_precision(showing: Showing) -> None:
    chat = replace(showing.chats.new("me"), settings=ChatSettings("pebble", precision="nf4"))
    assert "· nf4<" in showing.whole("me", chat, values(showing, "fp32"))[showing.on.chip]
    assert "· fp32<" in showing.blank("me", values(showing, "nf4"))[showing.on.chip]


def test_every_listener_that_picks_a_model_knows_the_precision(tmp_path: Path) -> None:
    from vlm_app.ui.listeners import Listeners
    from vlm_app.ui.teaching import Teaching

    engine = FakeEngine()
    store = Store(tmp_path)
    chats = Chats(store, engine)

    async def made() -> None:
        with blocks() as page:
            parts = layout()
            teaching = Teaching(chats, store)
            Listeners(parts, chats, engine, teaching, Running()).connect(page)
        on = parts.panel
        models = [fn for fn in page.fns.values() if {parts.model, on.precision} <= set(fn.outputs)]
        picks = [fn for fn in models if fn.name in ("choose", "ask", "send") or on.system not in fn.outputs]
        assert len(picks) == 7
        assert all(on.precision in fn.inputs for fn in picks)

    asyncio.run(made())


ADMIN = Person("somebody", "", Role.ADMIN)


def test_what_failed_before_it_had_a_precision_is_dismissed_alone(showing: Showing) -> None:
    listeners = EngineListeners(showing.on, showing, lambda known: {}, Running())
    for precision in ("", "nf4"):
        asked = {"act": "unload", "model": "pebble", "precision": precision}
        listeners._acted(
            ADMIN, asked, {**values(showing, "auto"), showing.on.chip: "", showing.on.offers: ""}
        )
    assert showing.engine.unloaded == [("pebble", ""), ("pebble", "nf4")]


@pytest.mark.parametrize("act", ["load", "offer"])
def test_at_the_end_of_the_app_no_button_loads(showing: Showing, act: str) -> None:
    running = Running()
    running.close()
    listeners = EngineListeners(showing.on, showing, lambda known: {}, running)
    with pytest.raises(ModelUnavailable, match="The app is ending"):
        listeners._acted(ADMIN, {"act": act, "model": "pebble"}, values(showing, "auto"))


def test_a_step_that_the_browser_never_shows_takes_nothing_along(tmp_path: Path) -> None:
    """Where steps come faster than they are shown, of the updates of a part only the last one is left."""
    from vlm_app.ui.listeners import Listeners
    from vlm_app.ui.teaching import Teaching

    engine, store = FakeEngine(), Store(tmp_path)
    chats = Chats(store, engine)

    async def made() -> Listeners:
        with blocks():
            return Listeners(layout(), chats, engine, Teaching(chats, store), Running())

    listeners = asyncio.run(made())
    steps = chats.send("me", chats.new("me"), ("hello",))
    *before, last = listeners._shown(steps, "me", values(listeners.showing, "auto"), clears=True)
    for step in before:
        for part, update in step.items():
            if isinstance(update, dict):
                assert update.keys() <= last[part].keys()
    assert before[0][listeners.on.taken]
