"""Each limit where the work begins: refused with a sentence that says it, and nothing is kept."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from PIL import Image

from tests.chat.fake_engine import FakeEngine
from tests.finetune.app import STUB, engine, needs
from tests.finetune.runs import example
from tests.media.pdf_files import many_pages
from tests.media.video_files import make_video
from vlm_app import limits
from vlm_app.chat import Chats
from vlm_app.errors import BadInput, TooMany, TooMuch
from vlm_app.finetune import plans
from vlm_app.finetune.adapters import Adapters, check_zip
from vlm_app.finetune.arrivals import Arrivals
from vlm_app.finetune.examples import Examples
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.runs import Runs
from vlm_app.finetune.uploads import take_in
from vlm_app.media import picture_from
from vlm_app.people import Role
from vlm_app.store import Store
from vlm_app.ui.parts import opened
from vlm_app.ui.running import Running
from vlm_app.workbench.bench import Bench

VERA = "vera"
Set = Callable[..., None]


@pytest.fixture(autouse=True)
def vera(visits: Callable[[str, Role], None]) -> None:
    """A visitor; nobody else in these tests has limits."""
    visits(VERA, Role.VISITOR)


@pytest.fixture
def chats(store: Store) -> Chats:
    return Chats(store, FakeEngine())


@pytest.fixture
def bench(store: Store) -> Bench:
    return Bench(store, FakeEngine())


def files(store: Store) -> list[Path]:
    """What lies in the folders of images and files."""
    return [each for name in ("images", "files") for each in (store.data / name).rglob("*") if each.is_file()]


def refused_sheet(store: Store, bench: Bench, path: Path, sentence: str) -> None:
    """The workbench refuses a visitor's file and keeps nothing of it; an admin may open it."""
    with pytest.raises(BadInput, match=sentence):
        bench.open(VERA, [(path, path.name)])
    assert (bench.recent(VERA), files(store)) == ((), [])
    assert bench.open("ada", [(path, path.name)]).name == path.name


def test_images_of_a_message(chats: Chats, store: Store, narrow: Set, tmp_path: Path) -> None:
    narrow(visitor_images=2)
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    pictures = [picture_from(Image.new("RGB", (8 + number, 8))) for number in range(3)]
    for path, picture in zip(paths, pictures, strict=True):
        picture.pixels.save(path)
    with pytest.raises(BadInput, match="holds at most 2 images, found 3"):
        opened([str(path) for path in paths], VERA)
    with pytest.raises(BadInput, match="holds 3 images, at most 2 are taken"):
        chats.send(VERA, chats.new(VERA), (*pictures, "which?"))
    assert (chats.list(VERA), files(store)) == ((), [])
    assert len(opened([str(path) for path in paths], "ada")) == 3


def test_pixels_are_refused_from_the_header(store: Store, bench: Bench, narrow: Set, tmp_path: Path) -> None:
    narrow(visitor_pixels=1_000_000)
    path = tmp_path / "wide.png"
    Image.new("L", (1500, 1000)).save(path)
    refused_sheet(store, bench, path, r"“wide\.png” is 1,500 × 1,000 pixels, more than the 1 million")
    with pytest.raises(BadInput, match="more than the 1 million"):
        opened([str(path)], VERA)


def test_pages_are_drawn_with_the_pixels_of_whoever_opens_them(
    store: Store, bench: Bench, narrow: Set, tmp_path: Path
) -> None:
    narrow(visitor_pixels=200_000)
    path = tmp_path / "page.pdf"
    path.write_bytes(many_pages([b""]))

    def on_the_bench(owner: str) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        sheet = bench.open(owner, [(path, path.name)])
        shown = Image.open(BytesIO(bench.shown(owner, sheet.id, sheet.pages[0].key)))
        return sheet.pages[0].size, bench.picture(owner, sheet.id, sheet.pages[0].key).size, shown.size

    hers, whole = on_the_bench(VERA), on_the_bench("ada")
    assert len(set(hers)) == len(set(whole)) == 1
    assert 190_000 < hers[0][0] * hers[0][1] <= 200_000 < whole[0][0] * whole[0][1]
    assert (opened([str(path)], VERA)[0].picture.size, opened([str(path)], "ada")[0].picture.size) == (
        hers[0],
        whole[0],
    )


def test_frames_are_drawn_with_the_pixels_of_whoever_opens_them(
    store: Store, bench: Bench, narrow: Set, tmp_path: Path
) -> None:
    narrow(visitor_pixels=10_000)
    path = make_video(tmp_path / "wide.mp4", frames=4, rate=2)

    def on_the_bench(owner: str) -> tuple[int, int]:
        sheet = bench.open(owner, [(path, path.name)])
        _, frame = bench.frame(owner, sheet.id, 0.5)
        shown = Image.open(BytesIO(bench.shown(owner, sheet.id, frame.key)))
        assert frame.size == shown.size
        return frame.size

    hers, whole = on_the_bench(VERA), on_the_bench("ada")
    assert hers[0] * hers[1] <= 10_000 < whole[0] * whole[1]


def test_bytes_of_an_image(store: Store, bench: Bench, narrow: Set, tmp_path: Path) -> None:
    narrow(visitor_bytes="10KB")
    path = tmp_path / "noise.png"
    Image.effect_noise((200, 200), 90).save(path)
    refused_sheet(store, bench, path, r"“noise\.png” is larger than the 0\.01 MB that are opened here")


def test_pages_and_bytes_of_a_document(store: Store, bench: Bench, narrow: Set, tmp_path: Path) -> None:
    narrow(visitor_pages=3)
    path = tmp_path / "book.pdf"
    path.write_bytes(many_pages([b""] * 4))
    refused_sheet(store, bench, path, "has 4 pages, more than the 3 that are opened here")
    narrow(visitor_pages=4, visitor_bytes=1_000)
    with pytest.raises(BadInput, match=r"more than the 0\.001 MB of a document that are opened here"):
        bench.open(VERA, [(path, path.name)])


def test_minutes_and_bytes_of_a_video(store: Store, bench: Bench, narrow: Set, tmp_path: Path) -> None:
    narrow(visitor_video_minutes=0.02)
    path = make_video(tmp_path / "long.mp4", frames=60, rate=30)
    refused_sheet(
        store, bench, path, r"“long\.mp4” lasts 0\.0333 minutes, more than the 0\.02 minutes of a video"
    )
    narrow(visitor_video_minutes=1, visitor_video_bytes=1_000)
    with pytest.raises(BadInput, match=r"more than the 0\.001 MB of a video that are opened here"):
        bench.open(VERA, [(path, path.name)])


def test_answers_at_once_are_refused_before_a_message_is_kept(narrow: Set) -> None:
    narrow(visitor_answers=1)
    chat, sheets = Running(), Running()  # of the chat and of the workbench: they count together
    with (
        chat.answer((VERA, "chat"), threading.Event()),
        pytest.raises(TooMany, match="At most 1 answer is written at once for a visitor"),
        sheets.answer((VERA, "sheet"), threading.Event()),
    ):
        raise AssertionError
    with sheets.answer((VERA, "sheet"), threading.Event()):
        pass


def test_a_chat_that_is_brought_as_a_file(chats: Chats, narrow: Set, tmp_path: Path) -> None:
    pictures = [picture_from(Image.new("RGB", (30 + number, 30))) for number in range(5)]
    *_, last = chats.send("ada", chats.new("ada"), (*pictures, "which?"))
    path = tmp_path / "chat.json"
    path.write_bytes(chats.export_json("ada", last.conversation.id))
    for narrowed, sentence in (
        ({"visitor_images": 4}, "holds 5 images, at most 4"),
        ({"visitor_images": 5, "visitor_pixels": 900}, "more than the 0.0009 million"),
        ({"visitor_pixels": 10**6, "visitor_bytes": 1_000}, r"at most 0\.001 MB are read"),
    ):
        narrow(**narrowed)
        with pytest.raises(BadInput, match=sentence):
            chats.import_file(VERA, path)
        assert chats.list(VERA) == ()
    narrow(visitor_bytes="1MB")
    assert len(chats.import_file(VERA, path).pictures) == 5


def test_a_dataset_that_has_no_room_is_refused_before_it_comes(store: Store, narrow: Set) -> None:
    narrow(visitor_disk="1MB")
    arrivals = Arrivals(Examples(store))
    try:
        with pytest.raises(TooMuch, match="At most 1 MB are kept for a visitor"):
            arrivals.begin(VERA, "big.zip", total=2_000_000)
        assert arrivals.of(VERA) is None
        came = arrivals.begin(VERA, "small.zip", total=10)
        receiving = arrivals.file(VERA, came.id, "small.zip")
        with pytest.raises(TooMuch):  # more comes than was announced
            for _ in range(30):
                receiving.write(bytes(100_000))
        receiving.close()
        now = arrivals.of(VERA)
        assert now is not None and "At most 1 MB" in now.sentence and now.bytes <= 1_000_000
    finally:
        arrivals.close()


def test_examples_and_runs_count_and_have_to_have_room(
    store: Store, narrow: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "needs", needs)
    narrow(visitor_runs=1, visitor_disk="100MB")
    machine, examples = engine(), Examples(store)
    runs = Runs(store, machine, STUB)
    monkeypatch.setattr(runs, "drive", lambda: None)  # it stays in the line
    try:
        dataset = examples.create(VERA, "Shapes").id
        for number in range(10):
            examples.add(VERA, dataset, example(number))
        before = store.disk.used(VERA)
        first = runs.start(VERA, RunConfig(name="First"), dataset)
        assert before > 0 and store.disk.used(VERA) > before
        with pytest.raises(TooMany, match="At most 1 run waits or trains at once for a visitor"):
            runs.start(VERA, RunConfig(name="Second"), dataset)
        assert [each.name for each in runs.runs(VERA)] == ["First"]
        runs.delete(VERA, first.id, first.state)
        assert store.disk.used(VERA) == before
        narrow(visitor_disk=before)
        with pytest.raises(TooMuch, match="delete chats, sheets, datasets, runs or adapters"):
            runs.start(VERA, RunConfig(name="Third"), dataset)
    finally:
        runs.close()
        machine.close()


def test_an_adapter_counts_and_has_to_have_room(
    store: Store, narrow: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow(visitor_disk="1MB", data=store.data)
    machine = engine()
    adapters = Adapters(store, machine)
    with adapters.room("ada") as room:
        assert room.most is None
    with adapters.room(VERA) as room, adapters.room(VERA) as other:
        assert room.most == 1_000_000
        check_zip(room, 600_000)
        with pytest.raises(TooMuch, match=r"at most 0\.4 MB here, found 0\.5 MB"):
            check_zip(other, 500_000)  # the first one is on its way
    folder = store.data / "adapters" / "hers"
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "ant"}))
    (folder / "card.json").write_text(json.dumps({"owner": VERA, "name": "Hers", "base": "ant"}))
    (folder / "adapter_model.safetensors").write_bytes(bytes(1_000_000))
    assert store.disk.used(VERA) > 1_000_000
    assert store.disk.used("ada") == 0
    with pytest.raises(TooMuch, match="At most 1 MB are kept for a visitor, you have 1 MB"):
        adapters.room(VERA)
    machine.close()


def test_who_was_not_heard_of_has_the_limits_of_strangers(narrow: Set) -> None:
    narrow(everyone="visitor")
    assert limits.role_of("nobody knows") is Role.VISITOR
    narrow(everyone="", place="container")
    assert limits.role_of("nobody knows") is Role.VISITOR


def test_pictures_of_a_dataset_are_refused_row_by_row(store: Store, narrow: Set, tmp_path: Path) -> None:
    narrow(visitor_pixels=5_000)
    path, table = (
        tmp_path / "shapes.zip",
        "image,task,query,answer\nsmall.png,chat,What is it?,A square.\nlarge.png,chat,What is it?,A wall.\n",
    )
    with ZipFile(path, "w") as archive:
        archive.writestr("labels.csv", table)
        for name, side in (("small.png", 50), ("large.png", 100)):
            file = BytesIO()
            Image.new("RGB", (side, side), "teal").save(file, "PNG")
            archive.writestr(name, file.getvalue())
    examples = Examples(store)
    report = take_in(examples, VERA, examples.create(VERA, "Shapes").id, path)
    assert (report.added, report.left_out) == (1, 1)
    assert "more than the 0.005 million" in report.problems[0].reason
    assert take_in(examples, "ada", examples.create("ada", "Shapes").id, path).added == 2
