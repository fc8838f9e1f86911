"""The workbench with the built-in model: real answers on scenes of its world."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vlm_app.catalog import catalog
from vlm_app.engine import Engine, LocalBackend
from vlm_app.engine.batching import prefill
from vlm_app.grounding import bounds, iou
from vlm_app.pebble.world import draw_scene
from vlm_app.store import Store
from vlm_app.types import Box, Finish, Task
from vlm_app.workbench.bench import Bench
from vlm_app.workbench.sheet import Question, Sheet

OWNER = "ada"


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(catalog(), LocalBackend())
    yield engine
    engine.close()


@pytest.fixture
def bench(engine: Engine, tmp_path: Path) -> Iterator[Bench]:
    store = Store(tmp_path / "kept")
    yield Bench(store, engine)
    store.close()


@pytest.fixture
def sheet(bench: Bench, tmp_path: Path) -> Sheet:
    """Two scenes of two or three shapes."""
    files = []
    for seed in (11, 12):
        path = tmp_path / f"scene-{seed}.png"
        draw_scene(seed, kind="shapes", most=3).image.save(path)
        files.append((path, path.name))
    return bench.open(OWNER, files)


def unheld(engine: Engine, seconds: float) -> bool:
    """Whether nobody holds a model any more, within a time."""
    end = time.monotonic() + seconds
    while engine.leases and time.monotonic() < end:
        time.sleep(0.01)
    return not engine.leases


def test_shapes_on_two_images_are_found_on_their_own_image(bench: Bench, sheet: Sheet) -> None:
    *_, step = bench.ask(OWNER, sheet.id, ["i0", "i1"], Question(Task.DETECT, model="pebble"))
    finding = step.finding
    assert finding is not None
    assert finding.answer.finish is Finish.STOP
    for place, seed in enumerate((11, 12)):
        scene = draw_scene(seed, kind="shapes", most=3)
        drawn = [bounds(mark.region.shape) for mark in finding.marks if mark.region.image == place]
        assert drawn
        there = [Box(*thing.box) for thing in scene.things]
        assert any(iou(box, other) > 0.5 for box in drawn for other in there)
    for mark in finding.marks:
        span = mark.region.span
        assert span is None or finding.text[slice(*span)] == mark.region.label


def test_leaving_in_the_middle_frees_the_model_within_a_token(
    bench: Bench, sheet: Sheet, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    step_of = prefill.step

    def slowly(*args: Any, **more: Any) -> Any:
        time.sleep(0.05)
        return step_of(*args, **more)

    monkeypatch.setattr(prefill, "step", slowly)
    steps = bench.ask(OWNER, sheet.id, ["i0", "i1"], Question(Task.CAPTION, model="pebble"))
    for step in steps:
        if len(step.answer.text) > len("scene-11.png: I"):
            break
    assert engine.leases == {"pebble": 1}
    steps.close()
    assert unheld(engine, 5.0)
    (finding,) = bench.findings(OWNER, sheet.id)
    assert finding.answer.finish is Finish.CANCELLED
    assert finding.text.startswith("scene-11.png: I")
    assert finding.pages == ("i0",)
