"""The place of datasets of one visitor, without a browser."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

from tests.ui.fake_engine import FakeEngine
from tests.ui.test_page import in_a_loop
from vlm_app.finetune.arrival import ENDED, Arrival, Stage
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.workshop import Workshop
from vlm_app.settings import settings
from vlm_app.store import Store
from vlm_app.ui.finetune.datasets.acts import Acts, Press
from vlm_app.ui.finetune.datasets.part import DatasetsPart

EVIL = "<img src=x onerror=alert(1)>"
PATIENCE = 60.0  # seconds


class Tab:
    """The place as one visitor sees it: what is pressed, and the HTML that comes."""

    def __init__(self, workshop: Workshop, owner: str = "me", part: DatasetsPart | None = None) -> None:
        self.workshop = workshop
        self.owner = owner
        self.part = part or _part()
        self.acts = Acts(self.part, workshop)

    def press(self, act: str, **more: object) -> dict[str, str]:
        updates = self.acts.do(Press(self.owner, {"act": act, **more}))
        return self._named(updates)

    def teach(self, **more: object) -> str:
        return self._named(self.acts.teach(Press(self.owner, more)))["taught"]

    def _named(self, updates: dict[object, str]) -> dict[str, str]:
        names = {part: name for name, part in vars(self.part).items()}
        return {names[component]: html for component, html in updates.items()}

    def look_at_all(self) -> None:
        """Waits until the datasets were looked at: a busy machine takes its time."""
        usual = RunConfig()
        for each in self.workshop.examples.datasets(self.owner):
            self.workshop.overviews.of(each, usual.held_out, usual.seed, PATIENCE)

    def other(self, owner: str) -> Tab:
        return Tab(self.workshop, owner, self.part)

    def arrived(self, *stages: Stage) -> Arrival:
        """What is on the way, once it is so far."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            now = self.workshop.arrivals.of(self.owner)
            if now and now.stage in (stages or (*ENDED, Stage.ASKING)):
                return now
            time.sleep(0.02)
        raise AssertionError(f"still {now}")

    def upload(self, name: str, *files: tuple[str, bytes], into: str = "") -> Arrival:
        """Files come, piece by piece, and are checked."""
        arrivals = self.workshop.arrivals
        begun = arrivals.begin(self.owner, name, into, sum(len(data) for _, data in files))
        for each, data in files:
            receiving = arrivals.file(self.owner, begun.id, each)
            for start in range(0, len(data), 1000):
                receiving.write(data[start : start + 1000])
            receiving.close()
        arrivals.came(self.owner, begun.id)
        return self.arrived()


@cache
def _part() -> DatasetsPart:
    """Its components: they hold nothing of anybody."""
    return in_a_loop(_built)


def _built() -> DatasetsPart:
    import gradio as gr

    with gr.Blocks():
        return DatasetsPart.build()


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    workshop = Workshop(Store(settings().data), FakeEngine())
    yield Tab(workshop)
    workshop.close()


def picture(colour: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (60, 40), colour).save(file, "PNG")
    return file.getvalue()


def zipped(*rows: dict[str, str], **pictures: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, colour in pictures.items():
            archive.writestr(f"{name}.png", picture(colour))
        archive.writestr("train.jsonl", "\n".join(json.dumps(row) for row in rows))
    return file.getvalue()


def row(image: str, answer: str = "A square.") -> dict[str, str]:
    return {"image": image, "prefix": "What is it?", "suffix": answer}


MIXED = (row("a.png"), row("missing.png"), row("b.png"), row("a.png", ""))
