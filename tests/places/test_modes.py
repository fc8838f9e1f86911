"""The app started as each place starts it, and a chat from the first page to an answer with regions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.browser.conftest import Server, served
from tests.places.walker import Walker
from tests.places.zero_api import Lender, lender
from tests.sizes import STARTED_PLACES

TOKEN = "head.e30.tail"  # as the Hub adds it: a JSON web token without any facts
SPACE = {"SPACE_ID": "someone/vlm-app", "VLM_APP_HOST": "127.0.0.1"}
STARTS = {
    "laptop": ("app.py", {}),
    "container": ("app.py", {"VLM_APP_PLACE": "container", "VLM_APP_HOST": "127.0.0.1"}),
    "space": ("app.py", SPACE),
}


@pytest.fixture(scope="module", params=STARTED_PLACES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    entry, variables = STARTS[request.param]
    proxy = dict.fromkeys(("HTTP_PROXY", "http_proxy"), "http://127.0.0.1:9")  # as in a company's network
    with served(tmp_path_factory.mktemp(request.param) / "data", entry, **variables, **proxy) as server:
        yield server


@pytest.fixture(scope="module")
def gpus() -> Iterator[Lender]:
    with lender() as server:
        yield server


@pytest.fixture(scope="module")
def zerogpu(gpus: Lender, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("zerogpu")
    (home / "cgroup").write_text("0::/somewhere\n")
    variables = {
        "SPACES_ZERO_GPU": "true",
        "SPACES_ZERO_DEVICE_API_URL": gpus.url,
        "ZEROGPU_PROC_SELF_CGROUP_PATH": str(home / "cgroup"),
        "HOME": str(home),
        "VLM_APP_MODEL": "pebble",
    }
    with ExitStack() as held:
        command = ("-m", "tests.places.zero_app")
        yield held.enter_context(served(home / "data", *command, **SPACE, **variables))


def log_of(server: Server) -> str:
    return (server.data.parent / f"{server.data.name}.log").read_text()


def check(answer: str, server: Server) -> None:
    """An answer came, with phrases that are tied to regions."""
    assert '"success":true' in answer, log_of(server)[-3000:]
    assert len(re.findall(r"class=..phrase", answer.splitlines()[-1])) >= 3, answer[-3000:]


def test_a_visitor_of_each_place_gets_an_answer_with_its_regions(place: Server) -> None:
    walker = Walker.come(place.url)
    if place.data.parent.name.startswith("space"):  # whose models cannot be had here
        said = walker.until("Pebble opens here")
        assert "Pebble opens here, because what was chosen for this place does not:" in said
        assert "Florence-2 base" in said and "SmolVLM2 500M" in said
        walker.open()
    assert walker.shown("model") == "pebble"
    check(walker.press(act="example", name="shapes"), place)
    assert (place.data / "app.db").is_file()


def test_on_zerogpu_each_answer_borrows_a_gpu_for_a_while_of_its_own(zerogpu: Server, gpus: Lender) -> None:
    walker = Walker.come(zerogpu.url)
    assert gpus.asked == ["/startup-report"]
    walker.headers["x-ip-token"] = TOKEN
    check(walker.press(act="example", name="shapes"), zerogpu)
    assert gpus.asked[1:] == ["/schedule", "/allow", "/release"]
    (seconds,) = gpus.seconds
    assert 10 <= seconds < 60
    assert gpus.tokens == [TOKEN]  # it is the visitor's quota, not that of the Space


def test_on_zerogpu_the_page_says_when_there_is_no_gpu(zerogpu: Server, gpus: Lender) -> None:
    gpus.empty = True
    try:
        told = Walker.come(zerogpu.url).press(act="example", name="shapes")
    finally:
        gpus.empty = False
    assert "The GPU could not be borrowed: No GPU was available." in told
    assert "Traceback" not in told


def test_on_zerogpu_nothing_is_trained_or_swapped_and_the_page_says_why(zerogpu: Server) -> None:
    walker = Walker.come(zerogpu.url)
    assert walker.choices("model") == ["pebble"]
    assert walker.said("Here a GPU is borrowed for each answer") == 2  # where models and training would be
    assert not walker.visible("models") and not walker.visible("tune-places")
