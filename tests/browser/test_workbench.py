"""The workbench in a browser: open, ask, check, fix, take along."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import skimage
from PIL import Image
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.conftest import Server, served
from tests.browser.visitor import Visitor

EXAMPLES = Path(__file__).resolve().parents[2] / "assets" / "examples"
SHAPES, SIGNS = EXAMPLES / "shapes.png", EXAMPLES / "signs.png"
PHOTOGRAPHS = Path(skimage.__file__).parent / "data"  # real ones, and a scanned page, of its package
TITLE = (0.017, 0.066, 0.761, 0.175)  # where the ink of the page's title is, seen by a person
PIXEL = 1.0


class Desk:
    """The tab Workbench of one visitor, in words of the page."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.page: Page = visitor.page
        self.page.get_by_role("tab", name="Workbench").click()
        self.page.wait_for_selector("#bench-bar")

    def open(self, *files: Path) -> None:
        self.page.locator("#bench input[type=file]").first.set_input_files([str(each) for each in files])
        expect(self.page.locator("#bench-name strong")).to_contain_text(files[0].name)
        expect(self.overlay.locator("img")).to_be_visible()

    def example(self, name: str = "shapes") -> None:
        self.page.click(f"[data-bench=example][data-name={name}]")
        expect(self.overlay.locator("img")).to_be_visible()

    def choose(self, task: str, query: str = "") -> None:
        self.page.locator("#bench-task").get_by_text(task, exact=True).click()
        if query:
            self.page.fill("#bench-query textarea", query)

    def ask(self, task: str, query: str = "") -> Locator:
        """Runs a task and waits for its finding."""
        before = self.past.count()
        self.choose(task, query)
        self.page.click("#bench-go")
        expect(self.past).to_have_count(before + 1)
        expect(self.page.locator("#bench-go")).to_be_visible()
        return self.found

    def drag(self, begin: tuple[float, float], end: tuple[float, float]) -> None:
        """Draws on the picture, from one place to another, as fractions of it."""
        box = self.overlay.locator("img").bounding_box()
        assert box is not None
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (begin, end)]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        self.page.mouse.move(*places[1], steps=5)
        self.page.mouse.up()

    def tool(self, name: str) -> None:
        self.page.click(f"#bench-stage [data-tool={name}]")

    def mark(self, label: str, begin: tuple[float, float], end: tuple[float, float]) -> None:
        """Draws a box, names it, and waits until it is kept."""
        self.tool("box")
        self.drag(begin, end)
        field = self.overlay.locator(".ov-label")
        expect(field).to_be_focused()
        field.fill(label)
        field.press("Enter")
        expect(self.found.locator(".bench-regions")).to_contain_text(label)

    def compare(self, name: str, without: str = "") -> None:
        """Chooses the second model, as soon as the list is that of the task: it lacks `without`."""
        self.page.click("#bench-second input")
        option = self.page.get_by_role("option", name=name, exact=True)
        expect(self.page.get_by_role("option", name=without or "-", exact=True)).to_have_count(0)
        expect(option).to_have_count(1)
        option.click()

    def write(self, text: str) -> None:
        """Corrects the text of the finding that is shown."""
        self.visitor.press("Correct the text")
        self.found.locator("textarea").fill(text)
        self.visitor.press("Keep")

    def exchange(self, kind: str, folder: Path) -> None:
        """Downloads what is shown in a format, and imports the file again."""
        before = self.past.count()
        with self.page.expect_download() as download:
            self.page.click("[popovertarget=bench-exports]")
            self.page.click(f"#bench-exports a[href$='export.{kind}']")
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        self.page.locator("#bench input[type=file]").nth(1).set_input_files(str(path))
        expect(self.past).to_have_count(before + 1)

    @property
    def overlay(self) -> Locator:
        return self.page.locator("#bench-overlay")

    @property
    def found(self) -> Locator:
        return self.page.locator("#bench-answer > * .bench-found, #bench-answer .bench-found").first

    @property
    def past(self) -> Locator:
        return self.page.locator("#bench-history .past li")

    @property
    def pages(self) -> Locator:
        return self.page.locator("#strip-pages li")

    @property
    def id(self) -> str:
        return str(self.found.get_attribute("data-finding"))

    def exported(self, kind: str = "json", id: str = "") -> bytes:
        answer = self.page.request.get(f"{self.visitor.url}/findings/{id or self.id}/export.{kind}")
        assert answer.ok, answer.text()
        return answer.body()

    def regions(self, id: str = "") -> list[dict[str, Any]]:
        return list(json.loads(self.exported("json", id))["regions"])


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("workbench") / "data"
    with served(folder, "-m", "tests.browser.fake_app", "PORT", "0.01") as server:
        yield server


@pytest.fixture
def desk(context: BrowserContext, app: Server) -> Desk:
    return Desk(Visitor.come(context, app.url))


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PDF of three pages with text."""
    from fpdf import FPDF

    pdf = FPDF()
    pdf.set_font("helvetica", size=24)
    for number in range(1, 4):
        pdf.add_page()
        pdf.cell(0, 20, f"Invoice {number}00{number}")
    path = tmp_path_factory.mktemp("paper") / "invoices.pdf"
    pdf.output(str(path))
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of ten seconds, in a format that every browser plays."""
    import av
    import numpy as np

    path = tmp_path_factory.mktemp("clip") / "clip.webm"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(100):
            pixels = np.full((120, 160, 3), 230, np.uint8)
            pixels[40:80, number : number + 40] = (200, 30, 30)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


# --- opening and asking -----------------------------------------------------------------


def test_empty_bench_says_what_it_takes_and_an_example_opens(desk: Desk) -> None:
    expect(desk.page.locator(".bench-empty")).to_contain_text("Drop images, a PDF or a video")
    expect(desk.page.locator("#bench-body")).to_be_hidden()
    desk.example()
    expect(desk.page.locator("#bench-name strong")).to_have_text("shapes.png")
    assert desk.visitor.errors == []
    assert desk.visitor.elsewhere == []


def test_regions_grow_on_the_picture_and_phrases_light_up_with_them(desk: Desk) -> None:
    desk.example()
    found = desk.ask("Detect")
    expect(found.locator(".phrase")).to_have_count(4)
    expect(desk.overlay.locator(".ov-region[role=option]")).to_have_count(4)
    found.locator(".phrase", has_text="star").hover()
    expect(desk.overlay.locator(".ov-region[role=option].lit")).to_have_count(1)
    assert [each["label"] for each in desk.regions()] == ["red circle", "blue square", "star", "triangle"]
    assert desk.visitor.errors == []


def test_label_is_switched_off_and_on(desk: Desk) -> None:
    desk.example()
    found = desk.ask("Detect")
    found.get_by_role("button", name="Show star").click()
    expect(desk.overlay.locator(".ov-region[role=option]")).to_have_count(3)
    found.get_by_role("button", name="Show star").click()
    expect(desk.overlay.locator(".ov-region[role=option]")).to_have_count(4)


def test_answer_is_stopped_and_kept(desk: Desk) -> None:
    desk.example()
    desk.choose("Ask a question", "count slowly")
    desk.page.click("#bench-go")
    expect(desk.found).to_contain_text("I count")
    desk.page.click("#bench-stop")
    expect(desk.found).to_contain_text("Stopped.")
    expect(desk.past).to_have_count(1)
    expect(desk.page.locator("#bench-go")).to_be_visible()


def test_model_that_fails_says_so_and_nothing_is_lost(desk: Desk) -> None:
    desk.example()
    desk.ask("Ask a question", "please fail")
    expect(desk.found.locator(".failed")).to_contain_text("ran out of memory")
    desk.ask("Detect")
    expect(desk.past).to_have_count(2)


def test_what_cannot_be_opened_gets_a_sentence(desk: Desk, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7 nothing more")
    desk.page.locator("#bench input[type=file]").first.set_input_files(str(broken))
    expect(desk.visitor.sentence).to_contain_text("broken.pdf")
    expect(desk.page.locator(".bench-empty")).to_be_visible()


def test_files_dropped_on_the_tab_are_opened_here(desk: Desk) -> None:
    data = list(SHAPES.read_bytes())
    desk.page.evaluate(
        """(bytes) => {
            const files = new DataTransfer();
            files.items.add(new File([new Uint8Array(bytes)], "dropped.png", {type: "image/png"}));
            const drop = new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true});
            document.querySelector("#bench-empty").dispatchEvent(drop);
        }""",
        data,
    )
    expect(desk.page.locator("#bench-name strong")).to_have_text("dropped.png")


def test_several_images_are_chosen_together(desk: Desk) -> None:
    desk.open(SHAPES, SIGNS)
    expect(desk.pages).to_have_count(2)
    desk.pages.nth(1).locator("button").click(modifiers=["Control"])
    expect(desk.page.locator("#run-about")).to_have_text("about 2 images")
    desk.ask("Detect")
    assert {each["image"] for each in desk.regions()} == {0, 1}
    expect(desk.page.locator("#strip-pages li.found")).to_have_count(2)


# --- what is open comes back ------------------------------------------------------------


def test_reload_comes_back_to_the_sheet_and_its_finding(desk: Desk) -> None:
    desk.example()
    desk.ask("Detect")
    first = desk.id
    desk.ask("Caption")
    desk.past.nth(1).locator(".row").click()
    expect(desk.found).to_have_attribute("data-finding", first)
    desk.page.reload()
    expect(desk.found).to_have_attribute("data-finding", first)
    expect(desk.overlay.locator(".ov-region[role=option]")).to_have_count(4)
    expect(desk.past).to_have_count(2)


def test_the_address_opens_its_sheet_in_another_tab(desk: Desk, context: BrowserContext, app: Server) -> None:
    desk.example("signs")
    expect(desk.page).to_have_url(re.compile(r"bench=\w{8}"))
    address = desk.page.url
    desk.open(SHAPES)
    other = Desk(Visitor.come(context, app.url))
    other.page.goto(address)
    expect(other.page.locator("#bench-name strong")).to_have_text("signs.png")


def test_two_tabs_show_two_sheets(desk: Desk, context: BrowserContext, app: Server) -> None:
    desk.example()
    other = Desk(Visitor.come(context, app.url))
    other.example("signs")
    desk.ask("Detect")
    other.ask("Caption")
    expect(desk.past).to_have_count(1)
    expect(desk.page.locator("#bench-name strong")).to_have_text("shapes.png")
    expect(other.page.locator("#bench-name strong")).to_have_text("signs.png")
    for each in (desk, other):
        each.page.reload()
    expect(desk.page.locator("#bench-name strong")).to_have_text("shapes.png")
    expect(other.page.locator("#bench-name strong")).to_have_text("signs.png")


def test_earlier_sheet_is_opened_again_and_deleted(desk: Desk) -> None:
    desk.example()
    desk.open(SIGNS)
    desk.page.click("[popovertarget=bench-recent]")
    desk.page.locator("#bench-recent").get_by_text("shapes.png").click()
    expect(desk.page.locator("#bench-name strong")).to_have_text("shapes.png")
    desk.visitor.press("Delete this sheet")
    expect(desk.page.locator(".bench-empty")).to_be_visible()
    desk.page.click("[popovertarget=bench-recent]")
    expect(desk.page.locator("#bench-recent button")).to_have_count(1)


def test_nobody_sees_the_sheets_of_others(
    desk: Desk, newcomer: Callable[[str], Visitor], app: Server
) -> None:
    desk.example()
    desk.ask("Detect")
    stranger = Desk(newcomer(app.url))
    answer = stranger.page.request.get(f"{app.url}/findings/{desk.id}/export.json")
    assert answer.status == 404
    sheet = re.search(r"bench=([\w-]+)", desk.page.url)
    assert sheet is not None
    stranger.page.goto(f"{app.url}/?bench={sheet[1]}")
    expect(stranger.page.locator(".bench-empty")).to_be_visible()


# --- checking and fixing ----------------------------------------------------------------


def test_label_is_fixed_and_the_correction_is_kept(desk: Desk) -> None:
    desk.example()
    desk.ask("Detect")
    desk.found.get_by_role("button", name="red circle", exact=True).click()
    label = desk.overlay.locator(".ov-label")
    label.fill("crimson disc")
    label.press("Enter")
    expect(desk.found.locator("h2")).to_contain_text("corrected")
    expect(desk.found.locator(".bench-regions")).to_contain_text("crimson disc")
    desk.page.reload()
    expect(desk.found.locator(".bench-regions")).to_contain_text("crimson disc")
    assert desk.regions()[0]["label"] == "crimson disc"


def test_box_is_drawn_taken_back_and_drawn_again(desk: Desk) -> None:
    desk.example()
    desk.ask("Detect")
    desk.tool("box")
    desk.drag((0.55, 0.1), (0.7, 0.3))
    expect(desk.found.locator(".bench-regions")).to_contain_text("by you")
    [mine] = [each for each in desk.regions() if each["label"] not in ("blue square", "star", "triangle")][1:]
    assert mine["box"] == pytest.approx([0.55, 0.1, 0.7, 0.3], abs=0.01)
    desk.page.keyboard.press("Escape")
    desk.visitor.press("Undo")
    expect(desk.found.locator(".bench-regions")).not_to_contain_text("by you")
    desk.visitor.press("Redo")
    expect(desk.found.locator(".bench-regions")).to_contain_text("by you")
    assert desk.visitor.errors == []


def test_box_is_drawn_where_no_model_was_asked(desk: Desk) -> None:
    desk.example()
    desk.tool("box")
    desk.drag((0.2, 0.2), (0.4, 0.5))
    expect(desk.past).to_have_count(1)
    expect(desk.found.locator("h2")).to_contain_text("You")
    assert desk.regions()[0]["box"] == pytest.approx([0.2, 0.2, 0.4, 0.5], abs=0.01)


def test_text_of_an_answer_is_corrected(desk: Desk) -> None:
    desk.example()
    desk.ask("Caption")
    desk.write("Seven shapes on green.")
    expect(desk.found.locator(".prose-text")).to_have_text("Seven shapes on green.")
    expect(desk.found.locator("h2")).to_contain_text("corrected")


def test_change_from_another_tab_is_not_overwritten(desk: Desk, context: BrowserContext, app: Server) -> None:
    desk.example()
    desk.ask("Caption")
    other = Desk(Visitor.come(context, app.url))
    other.page.click("[popovertarget=bench-recent]")
    other.page.locator("#bench-recent button").first.click()
    expect(other.found).to_have_attribute("data-finding", desk.id)
    desk.write("The first.")
    expect(desk.found.locator("h2")).to_contain_text("corrected")
    other.write("The second.")
    expect(other.visitor.sentence).to_be_visible()
    expect(other.found.locator(".prose-text")).to_have_text("The first.")


def test_second_model_answers_beside_and_what_both_found_is_marked(desk: Desk) -> None:
    desk.example()
    desk.choose("Detect")
    hint = re.compile("What to detect")  # comes with the list of those who can
    expect(desk.page.locator("#bench-query textarea")).to_have_attribute("placeholder", hint)
    desk.compare("Florence-2 base", without="SmolVLM2 500M")  # which cannot detect
    desk.page.click("#bench-go")
    second = desk.page.locator(".bench-found.second")
    expect(second).to_contain_text("4 of 4 regions agree")
    expect(desk.page.locator("#bench-beside .ov-region[role=option]")).to_have_count(4)
    expect(desk.overlay.locator(".ov-region[role=option].agreed")).to_have_count(4)
    desk.page.reload()
    expect(second).to_contain_text("Florence-2 base")


def test_answer_that_is_there_is_asked_of_another_model_with_one_press(desk: Desk) -> None:
    desk.example()
    desk.ask("Detect")
    desk.compare("Florence-2 base")
    desk.visitor.press("Ask Florence-2 base the same")
    expect(desk.page.locator(".bench-found.second")).to_contain_text("4 of 4 regions agree")
    expect(desk.past).to_have_count(2)


def test_correction_is_added_to_a_dataset_in_one_click(desk: Desk) -> None:
    desk.example()
    desk.ask("Detect")
    desk.visitor.press("Add to dataset")
    expect(desk.page.locator("#bench-progress")).to_contain_text("Added to 'My corrections'")
    desk.visitor.press("Choose a dataset")
    expect(desk.page.locator("#dataset-list")).to_contain_text("My corrections")
    desk.page.get_by_label("Name of a new dataset").fill("Shapes")
    desk.page.locator("#bench-datasets form button").click()
    expect(desk.page.locator("#bench-progress")).to_contain_text("Added to 'Shapes'")


# --- taking along -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["json", "coco", "label-studio"])
def test_export_is_read_back_with_the_same_places(desk: Desk, tmp_path: Path, kind: str) -> None:
    desk.example()
    desk.ask("Detect")
    width, height = 640, 480
    before = desk.regions()
    desk.exchange(kind, tmp_path)
    expect(desk.found.locator("h2")).to_contain_text("You")
    after = desk.regions()
    assert [each["label"] for each in after] == [each["label"] for each in before]
    for one, other in zip(before, after, strict=True):
        assert _corners(one, width, height) == pytest.approx(_corners(other, width, height), abs=PIXEL)


@pytest.mark.parametrize(
    ("kind", "photograph"),
    [("json", "astronaut.png"), ("coco", "chelsea.png"), ("label-studio", "rocket.jpg")],
)
def test_marks_on_a_photograph_come_back_through_a_file(
    desk: Desk, tmp_path: Path, kind: str, photograph: str
) -> None:
    with Image.open(PHOTOGRAPHS / photograph) as image:
        width, height = image.size
    drawn = {"upper left": (0.113, 0.087, 0.377, 0.521), "lower right": (0.609, 0.633, 0.907, 0.941)}
    desk.open(PHOTOGRAPHS / photograph)
    for label, (x0, y0, x1, y1) in drawn.items():
        desk.mark(label, (x0, y0), (x1, y1))
    before, first = desk.regions(), desk.id
    desk.exchange(kind, tmp_path)
    expect(desk.found).not_to_have_attribute("data-finding", first)
    shown = desk.page.evaluate("() => document.querySelector('#bench-overlay').data.regions")
    for regions in (before, desk.regions(), shown):
        assert [each["label"] for each in regions] == list(drawn)
        for region, kept, box in zip(regions, before, drawn.values(), strict=True):
            place = _corners(region, width, height)
            assert place == pytest.approx(_corners(kept, width, height), abs=PIXEL)
            by_hand = [value * (width, height)[index % 2] for index, value in enumerate(box)]
            assert place == pytest.approx(by_hand, abs=2 * PIXEL)  # the hand is a pixel of the screen off
    assert desk.visitor.errors == []


def _corners(region: dict[str, Any], width: int, height: int) -> list[float]:
    """The outer box of a region in pixels."""
    shape = region[region["kind"]]
    flat = [value for point in shape for value in point] if region["kind"] == "polygon" else list(shape)
    xs, ys = flat[0::2], flat[1::2]
    return [min(xs) * width, min(ys) * height, max(xs) * width, max(ys) * height]


def test_every_format_is_offered_and_downloads(desk: Desk) -> None:
    from vlm_app.grounding.formats import FORMATS

    desk.example()
    desk.ask("Detect")
    links = desk.page.locator("#bench-exports a")
    assert links.count() == len(FORMATS)
    for name in FORMATS:
        assert desk.exported(name)
    assert zipfile.is_zipfile(io.BytesIO(desk.exported("yolo")))


def test_file_about_other_pictures_is_refused(desk: Desk, tmp_path: Path) -> None:
    desk.example()
    path = tmp_path / "mine.json"
    path.write_text("[]")
    desk.page.locator("#bench input[type=file]").nth(1).set_input_files(str(path))
    expect(desk.visitor.sentence).to_be_visible()
    expect(desk.past).to_have_count(0)


def test_chosen_regions_become_a_report(desk: Desk, tmp_path: Path) -> None:
    desk.example()
    desk.ask("Detect")
    for words in ("star", "red circle"):
        line = desk.found.locator("li", has_text=words)
        line.hover()
        line.get_by_role("button", name=f"Add to report: {words}").click()
    expect(desk.page.locator("#report-list li")).to_have_count(2)
    desk.visitor.press("Remove: star")
    expect(desk.page.locator("#report-list li")).to_have_count(1)
    desk.page.fill("#report-title", "What was <found>")
    for kind, begin in (("PDF", b"%PDF"), ("HTML", b"<!")):
        with desk.page.expect_download() as download:
            desk.visitor.press(kind, inside=desk.page.locator("#report-body"))
        data = Path(download.value.path()).read_bytes()
        assert data.lstrip().lower().startswith(begin.lower())
    assert b"What was &lt;found&gt;" in data
    assert b"shapes.png" in data


# --- documents --------------------------------------------------------------------------


def test_question_goes_across_a_document_and_its_answer_leads_to_the_page(desk: Desk, paper: Path) -> None:
    desk.open(paper)
    expect(desk.pages).to_have_count(3)
    desk.visitor.press("Select all")
    desk.choose("Ask a question", "Which is on page 3?")
    desk.page.click("#bench-go")
    expect(desk.past).to_have_count(1)
    link = desk.found.locator(".phrase[data-r^='page:']").last
    expect(link).to_contain_text("3")
    link.click()
    expect(desk.pages.nth(2).locator("button")).to_have_attribute("aria-current", "true")
    expect(desk.page.locator("#stage-title")).to_have_text("Page 3")


def test_pages_are_asked_one_after_another_and_each_has_its_regions(desk: Desk, paper: Path) -> None:
    desk.open(paper)
    desk.pages.nth(0).locator("button").click()
    desk.pages.nth(2).locator("button").click(modifiers=["Shift"])
    desk.ask("Detect")
    assert {each["image"] for each in desk.regions()} == {0, 1, 2}
    desk.pages.nth(1).locator("button").click()
    expect(desk.overlay.locator(".ov-region[role=option]")).to_have_count(4)


def test_files_own_text_stands_beside_the_reading(desk: Desk, paper: Path) -> None:
    desk.open(paper)
    desk.ask("Read text with places")
    desk.visitor.press("The file’s own text")
    second = desk.page.locator(".bench-found.second")
    expect(second).to_contain_text("Invoice 1001")
    expect(second.locator(".phrase[data-r~=differs]").first).to_be_visible()
    desk.visitor.press("The file’s own text")
    expect(second).to_have_count(0)
    expect(desk.found).to_contain_text("red circle")


# --- video ------------------------------------------------------------------------------


def test_video_is_scrubbed_and_a_frame_is_asked_about(desk: Desk, clip: Path) -> None:
    desk.page.locator("#bench input[type=file]").first.set_input_files(str(clip))
    expect(desk.page.locator("#bench-video")).to_be_visible()
    expect(desk.pages).to_have_count(1)  # its first frame
    desk.page.locator("#bench-video input[type=range]").fill("4")
    expect(desk.page.locator("#bench-video output")).to_contain_text("0:04 / 0:10")
    at = "() => Math.abs(document.querySelector('#bench-video video').currentTime - 4) < 0.1"
    desk.page.wait_for_function(at)
    desk.visitor.press("Take this frame")
    expect(desk.pages).to_have_count(2)
    expect(desk.pages.last).to_contain_text("0:04")
    expect(desk.pages.last.locator("button")).to_have_attribute("aria-current", "true")
    desk.ask("Detect")
    expect(desk.overlay.locator(".ov-region[role=option]")).to_have_count(4)


def test_time_that_an_answer_names_is_jumped_to(desk: Desk, clip: Path) -> None:
    desk.page.locator("#bench input[type=file]").first.set_input_files(str(clip))
    desk.page.locator("#sample-count").fill("4")
    desk.visitor.press("Spread evenly")
    expect(desk.pages).to_have_count(4)
    desk.ask("Ask a question", "What happens at 0:06?")
    desk.found.locator(".phrase[data-r^='time:']").first.click()
    expect(desk.page.locator("#bench-video output")).to_contain_text("0:06 / 0:10")


# --- from the chat, and on a phone ------------------------------------------------------


def test_answer_of_the_chat_opens_on_the_workbench(visitor: Visitor) -> None:
    visitor.ask("what is there?", SHAPES)
    visitor.press("open in workbench")
    expect(visitor.page.locator("#bench-overlay .ov-region[role=option]")).to_have_count(4)
    expect(visitor.page.locator("#bench-answer h2").first).to_contain_text("Pebble")
    assert visitor.errors == []


def test_hostile_answers_and_names_stay_words(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "<img src=x onerror=window.hacked=9>.png"
    path.write_bytes(SHAPES.read_bytes())
    desk.page.locator("#bench input[type=file]").first.set_input_files(str(path))
    expect(desk.overlay.locator("img")).to_be_visible()
    desk.ask("Ask a question", "hostile")
    desk.ask("Ask a question", "tags")
    desk.found.get_by_role("button", name=re.compile("Add to report")).first.click()
    assert desk.page.evaluate("window.hacked") is None
    assert desk.visitor.errors == []
    assert desk.visitor.elsewhere == []


def test_nothing_is_wider_than_a_phone(desk: Desk) -> None:
    desk.page.set_viewport_size({"width": 390, "height": 844})
    desk.page.reload()  # a phone begins without the list of chats over the page
    expect(desk.page.locator(".bench-empty")).to_be_visible()
    expect(desk.page.locator(".sidebar.open")).to_have_count(0)
    width = "() => document.documentElement.scrollWidth"
    assert desk.page.evaluate(width) <= 390
    desk.open(SHAPES, SIGNS)
    desk.ask("Detect")
    assert desk.page.evaluate(width) <= 390
    picture, side = desk.overlay.bounding_box(), desk.page.locator("#bench-side").bounding_box()
    assert picture is not None
    assert side is not None
    assert picture["height"] > 300
    assert side["y"] >= picture["y"] + picture["height"] - 1


# --- with the built-in model ------------------------------------------------------------


def test_drawn_part_is_described(real: Server, context: BrowserContext) -> None:
    desk = Desk(Visitor.come(context, real.url))
    desk.example()
    desk.tool("describe")
    desk.drag((0.18, 0.02), (0.38, 0.26))
    expect(desk.past).to_have_count(1)
    expect(desk.found.locator("h2")).to_contain_text("Describe a part")
    expect(desk.found.locator(".prose-text")).to_contain_text("circle")
    expect(desk.found).to_contain_text("10 %")


def test_scanned_page_is_read_where_its_text_stands(real: Server, context: BrowserContext) -> None:
    desk = Desk(Visitor.come(context, real.url))
    desk.open(PHOTOGRAPHS / "page.png")
    found = desk.ask("Read text with places")
    expect(found.locator("h2")).to_contain_text("RapidOCR")
    expect(found.locator(".prose-text")).to_contain_text("Region-based segmentation")
    title = found.locator(".phrase", has_text="Region-based segmentation")
    title.hover()
    lit = desk.overlay.locator(".ov-region[role=option].lit")
    expect(lit).to_have_count(1)
    line, page = lit.bounding_box(), desk.overlay.locator("img").bounding_box()
    assert line is not None
    assert page is not None
    left, right = ((line["x"] - page["x"] + more) / page["width"] for more in (0, line["width"]))
    top, bottom = ((line["y"] - page["y"] + more) / page["height"] for more in (0, line["height"]))
    assert (left, top, right, bottom) == pytest.approx(TITLE, abs=0.05)  # a line has some air
    assert desk.visitor.errors == []
