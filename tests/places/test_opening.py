"""Which model the app opens with where those of its place cannot be loaded, and what the page says."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from vlm_app.catalog import find
from vlm_app.engine.events import Event, Listener, Loaded, LoadFailed
from vlm_app.engine.opening import Opening
from vlm_app.errors import ModelUnavailable
from vlm_app.settings import settings
from vlm_app.ui import offer_cards


class Loading:
    """An engine that loads nothing, and notes what it was asked to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.listeners: list[Listener] = []

    def warm(self, model: str, precision: str = "auto") -> None:
        find(model)
        self.asked.append(model)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        self.listeners.append(listener)
        return self.listeners.clear

    def tell(self, event: Event, asked: int) -> None:
        """An event, and the wait until so many loads were asked for."""
        for listener in self.listeners:
            listener(event)
        end = time.monotonic() + 10
        while len(self.asked) < asked and time.monotonic() < end:
            time.sleep(0.01)


@pytest.fixture
def on_a_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLM_APP_PLACE", "space")
    settings.cache_clear()


def test_pebble_opens_where_none_can_be_loaded_and_the_page_says_why(on_a_space: None) -> None:
    opening, engine = Opening(("florence-2-base", "smolvlm2-500m")), Loading()
    opening.begin(engine)
    assert (opening.model, opening.why) == ("florence-2-base", "")
    engine.tell(LoadFailed("florence-2-base", "Florence-2 base needs 1 GB, and 0.5 GB are free."), 2)
    assert opening.model == "smolvlm2-500m"
    engine.tell(LoadFailed("smolvlm2-500m", "SmolVLM2 500M could not be downloaded: try again."), 3)
    assert engine.asked == ["florence-2-base", "smolvlm2-500m", "pebble"]
    assert opening.model == opening.instead_of("smolvlm2-500m") == "pebble"
    page = offer_cards.place(opening.why)
    assert page == (
        '<p class="net" role="note">Pebble opens here, because what was chosen for this place does not: '
        "Florence-2 base needs 1 GB, and 0.5 GB are free. SmolVLM2 500M could not be downloaded.</p>"
    )


def test_a_model_that_answers_is_not_given_up_for_a_later_failure(on_a_space: None) -> None:
    opening, engine = Opening(("florence-2-base",)), Loading()
    opening.begin(engine)
    engine.tell(Loaded("florence-2-base", 1.0, 1, "bf16"), 1)
    engine.tell(LoadFailed("florence-2-base", "int8 does not fit."), 1)
    assert (opening.model, opening.why) == ("florence-2-base", "")


def test_a_name_that_does_not_exist_is_told_like_a_failure(on_a_space: None) -> None:
    opening, engine = Opening(("florence-9",)), Loading()
    opening.begin(engine)
    assert engine.asked == ["pebble"]
    assert "There is no model 'florence-9'" in opening.why


def test_on_a_laptop_the_chosen_model_stays_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLM_APP_PLACE", "laptop")
    settings.cache_clear()
    opening, engine = Opening(("florence-2-base",)), Loading()
    opening.begin(engine)
    engine.tell(LoadFailed("florence-2-base", "There is no network."), 1)
    assert (opening.model, opening.why) == ("florence-2-base", "")
    with pytest.raises(ModelUnavailable):
        Opening(("florence-9",)).begin(engine)
    assert offer_cards.place(opening.why) == ""
