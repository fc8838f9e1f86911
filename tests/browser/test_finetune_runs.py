"""Runs in a browser: start one, see it learn, reload, stop, resume, compare, and see whether it helped."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.conftest import Server, served
from tests.browser.runs_app import FAILS, NOTHING, example
from tests.browser.visitor import Visitor
from vlm_app.api.owner import COOKIE, Owners
from vlm_app.finetune.examples import Examples
from vlm_app.store import Store

EXAMPLES = 40


class Desk:
    """The place of runs of one visitor, in words of the page."""

    def __init__(self, visitor: Visitor, data: Path) -> None:
        self.visitor = visitor
        self.page: Page = visitor.page
        cookie = next(each["value"] for each in self.page.context.cookies() if each["name"] == COOKIE)
        owner = Owners(data).read(cookie)
        assert owner is not None
        store = Store(data)
        examples = Examples(store)
        if not examples.datasets(owner):
            dataset = examples.create(owner, "Hearts").id
            for number in range(EXAMPLES):
                examples.add(owner, dataset, example(number))
        store.close()
        self.open()

    def open(self) -> None:
        self.page.get_by_role("tab", name="Fine-tune").click()
        self.page.get_by_role("tab", name="Runs").click()

    def fill(self, **settings: str) -> None:
        """Settings of the form, under their fold."""
        expect(self.page.locator("[name=dataset] option")).to_have_count(1)
        if not self.page.locator(".run-settings[open]").count():
            self.page.click(".run-settings > summary")
        for name, value in settings.items():
            self.page.fill(f"#run-form [name={name}]", value)

    def start(self, name: str, **settings: str) -> None:
        self.fill(name=name, **{"evaluate_every": "10", "save_every": "10", **settings})
        self.page.click("#run-form .go")
        expect(self.head.locator("h1")).to_have_text(name)

    def wait(self, state: str) -> None:
        expect(self.page.locator(f"#run-head [data-state={state}]")).to_be_visible()

    def press(self, act: str) -> None:
        self.page.click(f"#run-head [data-run={act}]")

    def last_step(self) -> int:
        """The last step on the plot of the loss, as hovering says it."""
        plot = self.page.locator("[data-plot=loss] svg")
        width = int(plot.get_attribute("width") or 0)
        plot.hover(position={"x": width - 8, "y": 100})
        said = self.page.locator("[data-plot=loss] figcaption b").inner_text()
        return int(re.sub(r"\D", "", said))

    @property
    def head(self) -> Locator:
        return self.page.locator("#run-head")

    @property
    def listed(self) -> Locator:
        return self.page.locator("#runs-list li")

    @property
    def lines(self) -> Locator:
        """The curves of the loss."""
        return self.page.locator("[data-plot=loss] path.line")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("runs") / "data"
    with served(folder, "-m", "tests.browser.runs_app", "PORT", STEP_SECONDS="0.05") as server:
        yield server


@pytest.fixture
def desk(app: Server, context: BrowserContext) -> Desk:
    return Desk(Visitor.come(context, app.url), app.data)


def test_a_run_is_started_watched_reloaded_stopped_resumed_and_deleted(desk: Desk) -> None:
    page = desk.page
    desk.fill(rate="3")
    expect(page.locator("#run-refusal")).to_contain_text("Learning rate is a number, above 0, at most 1")
    expect(page.locator("#run-form .go")).to_be_disabled()
    expect(page.locator("#run-form [name=rate]")).to_have_value("3")
    desk.fill(rate="0.001", steps="90")
    expect(page.locator("#run-refusal")).to_be_hidden()
    expect(page.locator("#run-before")).to_contain_text("90")
    expect(page.locator("#run-before")).to_contain_text("32 taught")

    desk.start("Hearts one", rate="0.001", steps="3000")
    desk.wait("training")
    expect(page.locator("#sample-list vlm-overlay .ov-tag").first).to_have_text(
        re.compile("red circle|heart")
    )
    before = desk.last_step()
    page.reload()
    expect(desk.head.locator("h1")).to_have_text("Hearts one")
    desk.wait("training")
    expect(desk.lines.first).to_be_visible()
    page.wait_for_function("() => document.querySelector('#run-head').innerText.match(/step [1-9]/)")
    assert desk.last_step() > before, "the plot goes on where it was, and further"

    desk.press("stop")
    desk.wait("stopped")
    stopped = desk.last_step()
    assert 0 < stopped < 3000
    desk.press("resume")
    desk.wait("training")
    expect(desk.head).to_contain_text("of 3,000")
    page.wait_for_function(
        "(step) => Number(document.querySelector('#run-head').innerText.match(/step ([\\d,]+)/)?.[1]"
        ".replace(',', '')) > step",
        arg=stopped + 5,
    )
    assert not desk.visitor.errors and not desk.visitor.elsewhere
    desk.press("ask-delete")
    desk.press("delete")
    expect(desk.listed).to_have_count(0)


def test_two_runs_are_judged_and_compared(desk: Desk) -> None:
    page = desk.page
    desk.start("First", steps="30")
    desk.wait("done")
    expect(page.locator(".verdict")).to_contain_text("Detect better by")
    expect(page.locator(".moved vlm-overlay img").first).to_be_visible()
    assert desk.last_step() == 30
    page.locator("#sample-step").fill("0")
    expect(page.locator("#sample-when output")).to_have_text("after step 10")
    expect(page.locator(".sample .said").first).to_have_text("heart")
    page.click("#run-head [data-run=again]")
    expect(page.locator("#run-form [name=steps]")).to_have_value("30")
    desk.start(NOTHING, steps="40")
    desk.wait("done")
    expect(page.locator(".verdict")).to_have_text("No measurable change.")
    page.select_option("#run-other", label="First")
    expect(desk.lines).to_have_count(6)
    expect(page.locator("#plot-legend")).to_contain_text("First: held out")
    page.hover("[data-plot=loss] svg")
    expect(page.locator("[data-plot=loss] figcaption")).to_contain_text("step")
    assert not desk.visitor.errors


def test_while_a_run_trains_measuring_is_refused_and_another_can_be_started_all_the_same(desk: Desk) -> None:
    page = desk.page
    desk.start("Long", steps="3000")
    desk.wait("training")
    page.get_by_role("button", name="New run").click()
    page.get_by_role("button", name="Measure the time").click()
    expect(page.locator("#run-measured")).to_contain_text("measure again when it has ended")
    expect(page.get_by_role("button", name="Measure the time")).to_be_enabled()
    expect(page.locator("#run-form .go")).to_be_enabled()
    page.locator(".preset").filter(has_text="Preferences").click()
    expect(page.locator("#run-refusal")).to_contain_text("'Hearts' has none")
    expect(page.locator("#run-form .go")).to_be_disabled()
    expect(page.locator("#run-measured")).to_be_empty()
    page.locator(".preset").filter(has_text="A few examples").click()
    expect(page.locator("#run-form .go")).to_be_enabled()
    desk.listed.first.click()
    desk.press("ask-delete")
    state = desk.head.locator(".run-state")
    expect(state).not_to_have_text(state.inner_text())  # it was drawn anew, and still asks
    desk.press("delete")
    expect(desk.listed).to_have_count(0)
    assert not desk.visitor.errors


def test_a_failed_run_says_why_and_how_to_repeat_one_is_told(desk: Desk) -> None:
    page = desk.page
    desk.start(FAILS, steps="30")
    desk.wait("failed")
    expect(desk.head).to_contain_text("The moon is full: wait a day.")
    page.click("[data-run-log] summary")
    expect(page.locator("[data-run-log] pre")).to_contain_text("place.py")
    assert str(Path(__file__).parents[2]) not in page.locator("[data-run-log] pre").inner_text()
    page.click(".run-repeat summary")
    expect(page.locator(".run-repeat")).to_contain_text("vlm-app finetune run.toml")
    with page.expect_download() as download:
        page.click(".run-repeat a")
    assert 'dataset = "Hearts"' in download.value.path().read_text()


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # of PEFT
def test_an_adapter_from_elsewhere_is_brought_and_what_is_none_is_refused(desk: Desk, tmp_path: Path) -> None:
    from tests.finetune.adapters.made import PEBBLE, save

    page, said = desk.page, desk.page.locator("#adapter-brought")
    expect(page.locator("[name=dataset] option")).to_have_count(1)
    (tmp_path / "none.zip").write_bytes(b"no zip")
    page.set_input_files("#adapter-file", tmp_path / "none.zip")
    expect(said).to_have_class("failed")
    expect(said).to_contain_text("zip")
    save(PEBBLE, tmp_path / "made")
    packed = shutil.make_archive(str(tmp_path / "My <b>hearts"), "zip", tmp_path / "made")
    page.set_input_files("#adapter-file", packed)
    expect(said).to_contain_text("“My <b>hearts” is here")
    expect(page.locator("[name=adapter] option")).to_have_text(["nothing: new layers", "My <b>hearts"])
    assert not desk.visitor.errors


def test_what_was_entered_survives_a_reload(desk: Desk) -> None:
    desk.fill(rank="33", name="Mine")
    desk.page.locator("#run-form .preset").nth(0).scroll_into_view_if_needed()
    desk.page.reload()
    expect(desk.page.locator("#run-form [name=rank]")).to_have_value("33")
    expect(desk.page.locator("#run-form [name=name]")).to_have_value("Mine")


def test_on_a_phone_and_in_the_dark_everything_is_in_reach(
    app: Server, newcomer: Callable[[str], Visitor]
) -> None:
    visitor = newcomer(app.url)
    page = visitor.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    page.wait_for_selector(".welcome")
    desk = Desk(visitor, app.data)
    desk.start("Small", steps="20")
    desk.wait("done")
    _in_reach(page, 390)
    for width in (390, 1280):
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size({"width": width, "height": 844})
        page.reload()
        _in_reach(page, width)
    assert not visitor.errors


def _in_reach(page: Page, width: int) -> None:
    """The page of a run that is done lies in the window, from its left to its right."""
    expect(page.locator(".verdict")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    for each in ("#run-plots", ".run-help", "#run-samples"):
        expect(page.locator(each)).to_be_visible()
        box = page.locator(each).bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width + 1
