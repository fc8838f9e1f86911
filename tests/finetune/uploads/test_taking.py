"""What is told before a dataset is taken in, and what is kept of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from PIL import Image

from tests.finetune.uploads.bringing import folder, lines, png, zipped
from tests.sizes import DATASET_ROWS
from vlm_app.errors import BadInput, NotFound
from vlm_app.finetune.examples import Examples
from vlm_app.finetune.uploads import Report, check, read_dataset, take_in, taking
from vlm_app.pebble.world import draw_scene
from vlm_app.store import Store
from vlm_app.types import Task

ROOT = Path(__file__).resolve().parents[3]


def row(picture: str, query: str = "What?", answer: str = "A thing.") -> dict[str, Any]:
    return {"image": picture, "question": query, "answer": answer}


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Examples]:
    store = Store(tmp_path / "store")
    yield Examples(store)
    store.close()


@pytest.fixture
def brought(tmp_path: Path) -> Path:
    """Five rows: two are good, one is there twice, one has no picture, one no answer."""
    rows = [row("0.png"), row("1.png"), row("0.png"), row("none.png"), row("1.png", answer="")]
    return zipped(tmp_path / "set.zip", {"train.jsonl": lines(rows), "0.png": png(0), "1.png": png(1)})


def test_what_would_become_of_a_dataset_is_told_before(brought: Path) -> None:
    report = check(read_dataset(brought))
    assert (report.added, report.again, report.left_out) == (2, 1, 2)
    assert report.sentence == "2 examples, 1 that is there already, 2 rows left out."
    assert [(one.file, one.row, one.left_out) for one in report.problems] == [
        ("train.jsonl", 3, False),
        ("train.jsonl", 4, True),
        ("train.jsonl", 5, True),
    ]
    assert [one.sentence for one in report.problems] == [
        "train.jsonl, row 3: it is the same as row 1.",
        "train.jsonl, row 4: its picture “none.png” is not there.",
        "train.jsonl, row 5: its answer is empty.",
    ]
    assert report.tasks == {Task.CHAT: 2} and report.splits == {"train": 2}
    assert report.notes == ("train.jsonl: pictures with their texts or objects as JSONL.",)


def test_good_rows_are_kept_and_bad_ones_left_out(brought: Path, kept: Examples) -> None:
    dataset = kept.create("ada", "Signs")
    report = take_in(kept, "ada", dataset.id, brought)
    assert (report.added, report.again, report.left_out) == (2, 1, 2)
    assert [one.query for one in kept.examples("ada", dataset.id)] == ["What?", "What?"]
    again = take_in(kept, "ada", dataset.id, brought)
    assert (again.added, again.again, again.left_out) == (0, 3, 2)
    assert kept.datasets("ada")[0].size == 2


def test_nothing_is_kept_of_what_is_no_dataset_or_for_somebody_else(
    tmp_path: Path, brought: Path, kept: Examples
) -> None:
    dataset = kept.create("ada", "Signs")
    with pytest.raises(NotFound):
        take_in(kept, "bob", dataset.id, brought)
    with pytest.raises(BadInput, match="of no known format"):
        take_in(kept, "ada", dataset.id, folder(tmp_path / "none", {"a.csv": "a,b\n1,2\n"}), "none")
    assert kept.datasets("ada")[0].size == 0


def test_it_can_be_stopped_and_keeps_what_it_had(
    tmp_path: Path, kept: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "_EVERY", 0.0)  # seconds: it is told after each row
    dataset, stop, told = kept.create("ada", "Signs"), Event(), list[Report]()
    rows = lines(row("0.png", f"Number {n}?") for n in range(500))
    path = zipped(tmp_path / "a.zip", {"a.jsonl": rows, "0.png": png()})

    def report(now: Report) -> None:
        told.append(now)
        if now.added:
            stop.set()

    end = take_in(kept, "ada", dataset.id, path, report=report, stop=stop)
    assert 0 < told[-1].added <= end.added < 500
    assert end.stopped and end.sentence.endswith("stopped before the end.")
    assert kept.datasets("ada")[0].size == end.added


def test_labels_are_counted(tmp_path: Path) -> None:
    table = "image,label,x0,y0,x1,y1\n0.png,cat,0,0,9,9\n0.png,cat,5,5,20,20\n1.png,dog,0,0,9,9\n"
    report = check(
        read_dataset(zipped(tmp_path / "a.zip", {"a.csv": table, "0.png": png(), "1.png": png(1)}))
    )
    assert report.labels == {"cat": 2, "dog": 1}  # alone each was asked for where it is not
    assert report.tasks == {Task.DETECT: 4}


def test_pictures_that_nearly_repeat_another_are_listed_and_taken(tmp_path: Path) -> None:
    scenes = [draw_scene(seed, kind="shapes", size=(192, 192)).image for seed in range(4)]
    files: dict[str, bytes | str] = {}
    for number, scene in enumerate([*scenes, scenes[2].resize((96, 96))]):
        file = BytesIO()
        scene.convert("RGB").save(file, "JPEG" if number == 4 else "PNG")
        files[f"{number}.png"] = file.getvalue()
    files["train.jsonl"] = lines(row(f"{n}.png") for n in (0, 1, 2))
    files["valid.jsonl"] = lines([row("3.png"), row("3.png", "Why?"), row("4.png")])
    report = check(read_dataset(zipped(tmp_path / "a.zip", files)))
    assert (report.added, report.alike, report.left_out) == (6, 1, 0)
    assert [one.sentence for one in report.problems] == [
        "valid.jsonl, row 3: its picture is nearly the same as that of train.jsonl, row 3."
    ]


WATCHED = """
import resource, sys
from pathlib import Path
from vlm_app.finetune.uploads import Row, check, read_dataset

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def watched(rows, early):
    for number, row in enumerate(rows):
        assert isinstance(row, Row), row
        if number == early:
            print(peak())
        yield row

with read_dataset(Path(sys.argv[1])) as rows:
    report = check(watched(rows, int(sys.argv[2])))
print(peak(), report.added)
"""


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["a.json", "a.csv"])
def test_a_very_large_dataset_is_streamed(tmp_path: Path, name: str) -> None:
    pictures = [f"{number % 3}.png" for number in range(DATASET_ROWS)]
    if name == "a.json":
        data = json.dumps([row(one, f"Number {n}?", "A thing. " * 20) for n, one in enumerate(pictures)])
    else:
        boxes = (f"{one},Number {n}?,cat,1,1,20,{n % 30 + 9}\n" for n, one in enumerate(pictures))
        data = "image,query,label,x0,y0,x1,y1\n" + "".join(boxes)
    files = {f"{n}.png": png(n, (40, 40)) for n in range(3)}
    root = folder(tmp_path / "set", {name: data, **files})
    command = [sys.executable, "-c", WATCHED, str(root), str(DATASET_ROWS // 10)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=True)
    early, (late, added) = int(done.stdout.split()[0]), map(int, done.stdout.split()[1:])
    assert added == DATASET_ROWS
    # Of each row a few dozen bytes are kept; held as data, the rows would take 50 times that.
    assert late - early < 10_000_000 + 250 * DATASET_ROWS, f"{early:,} to {late:,} bytes"


def test_pictures_have_the_colours_of_their_files(tmp_path: Path, kept: Examples) -> None:
    file = BytesIO()
    Image.new("RGBA", (30, 20), (255, 0, 0, 0)).save(file, "PNG")
    dataset = kept.create("ada", "Signs")
    take_in(
        kept,
        "ada",
        dataset.id,
        folder(tmp_path / "set", {"a.jsonl": lines([row("a")]), "a": file.getvalue()}),
    )
    (example,) = kept.examples("ada", dataset.id)
    assert example.pictures[0].pixels.getpixel((3, 3)) == (255, 255, 255)
