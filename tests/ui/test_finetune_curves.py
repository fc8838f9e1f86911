"""How runs went and whether they helped, without a browser: curves and verdicts."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.finetune.runs import example, folder
from tests.finetune.test_child import soon
from tests.ui.run_desk import ME, Desk, desk
from vlm_app.finetune.curves import MOST_POINTS, Curves, thinned
from vlm_app.finetune.events import Evaluated, Sampled, State, Stepped
from vlm_app.finetune.examples import Reply
from vlm_app.finetune.helped import helped as compared
from vlm_app.finetune.judging import Judged, Side
from vlm_app.finetune.run_folder import RunFolder
from vlm_app.finetune.scoring import scored
from vlm_app.grounding import region_to_dict
from vlm_app.ui.finetune.runs.helping import helped
from vlm_app.ui.finetune.runs.showing import Look

__all__ = ["desk"]


# --- curves -----------------------------------------------------------------------------


def _stepped(step: int, loss: float) -> Stepped:
    return Stepped(step=step, epoch=step / 100, loss=loss, rate=1e-4, memory=9, examples_per_second=3, at=1)


def test_a_hundred_thousand_steps_are_drawn_by_some_hundred_points_with_every_peak(tmp_path: Path) -> None:
    made = folder(tmp_path / "run")
    lines = (
        _stepped(step, 9.0 if step == 55_555 else 1 / step).model_dump_json() for step in range(1, 100_001)
    )
    (made.path / "events.jsonl").write_text("".join(f"{line}\n" for line in lines))
    curves = Curves()
    curve = curves.of(made)
    assert len(curve.points) <= MOST_POINTS + 1 and curve.points[-1].step == 100_000
    assert max(point.loss for point in curve.points) == 9.0
    began = time.process_time()
    made.append(_stepped(100_001, 0.5))
    assert curves.of(made).points[-1].step == 100_001
    assert time.process_time() - began < 1, "what was read already is not read again"


def test_steps_told_again_after_a_resumption_take_the_place_of_the_first(tmp_path: Path) -> None:
    made, curves = folder(tmp_path / "run"), Curves()
    for step in (1, 2, 3, 4):
        made.append(_stepped(step, 1.0))
    made.append(Evaluated(step=4, loss=1.0))
    assert len(curves.of(made).points) == 4
    for step in (3, 4, 5):
        made.append(_stepped(step, 0.5))
    made.append(Evaluated(step=4, loss=0.5))
    curve = curves.of(made)
    assert [(point.step, point.loss) for point in curve.points] == [
        (1, 1.0), (2, 1.0), (3, 0.5), (4, 0.5), (5, 0.5)
    ]  # fmt: skip
    assert [each.loss for each in curve.evaluated] == [0.5]


def test_a_loss_that_is_no_number_does_not_end_the_plot(desk: Desk) -> None:
    id = desk.start(steps="2")
    soon(lambda: desk.run(id).state is State.DONE)
    line = _stepped(3, 1.0).model_dump_json().replace('"loss":1.0', '"loss":NaN')
    with (desk.run(id).folder.path / "events.jsonl").open("a") as file:
        file.write(f"{line}\n{_stepped(4, 0.25).model_dump_json()}\n")
    news = json.loads(desk.acts.showing.shown(ME, Look(open=id))[desk.on.news])
    assert [point[1] for point in news["run"]["points"]] == [1.0, 0.5, None, 0.25]
    assert thinned([1.0] * 5000, 600)[-1] == 4999


def test_samples_come_with_picture_question_and_right_answer(desk: Desk) -> None:
    id = desk.start(steps="2")
    soon(lambda: desk.run(id).state is State.DONE)
    held = desk.run(id).folder.examples("held_out")
    region = region_to_dict(held[0].regions[0])
    for step, text in ((1, "blue"), (2, "red circle")):
        desk.run(id).folder.append(Sampled(step=step, example=0, text=text, regions=[region]))
    desk.run(id).folder.append(Sampled(step=2, example=1, text="broken", regions=[{"label": "no shape"}]))
    (sample,) = json.loads(desk.acts.showing.shown(ME, Look(open=id))[desk.on.news])["samples"]
    assert sample["asked"] == "Detect “red circle”" and sample["right"]["text"] == "red circle"
    assert [each["text"] for each in sample["answers"]] == ["blue", "red circle"]
    assert sample["answers"][0]["regions"][0]["colour"].startswith("#")
    assert sample["picture"]["src"].endswith(held[0].pictures[0].sha256)


# --- did it help? -----------------------------------------------------------------------


def _judged(right_before: int, right_after: int, count: int = 12) -> Judged:
    """So many of the examples were answered rightly before and after."""
    examples = [example(number) for number in range(count)]

    def reply(number: int, right: int) -> Reply:
        return Reply("red circle", examples[number].regions) if number < right else Reply("nothing")

    sides = []
    for number, each in enumerate(examples):
        key = scored(each, Reply("nothing")).key
        sides.append(Side(each, reply(number, right_before), reply(number, right_after), key))
    old, new = ([scored(s.example, getattr(s, when)) for s in sides] for when in ("before", "after"))
    return Judged(compared(old, new), tuple(sides))


def test_it_is_said_whether_it_helped_with_the_examples_that_moved() -> None:
    better = helped("run-id", _judged(0, 10))
    assert 'class="verdict better"' in better and "Detect better by" in better
    assert better.count('class="moved"') == 6 and "10, the 6 that moved most" in better
    assert better.count("<vlm-overlay") == 12 and "/runs/run-id/pictures/" in better
    worse = helped("run-id", _judged(10, 0))
    assert 'class="verdict worse"' in worse and "Got worse" in worse


def test_no_measurable_change_is_said_in_these_words() -> None:
    same = helped("run-id", _judged(5, 6))
    assert 'class="verdict same">No measurable change.' in same


def test_the_folder_of_a_run_of_another_version_is_a_sentence(desk: Desk) -> None:
    id = desk.start(steps="1")
    soon(lambda: desk.run(id).state is State.DONE)
    path = RunFolder(desk.run(id).folder.path).path / "config.json"
    path.write_text('{"version": 9}')
    assert "version 9" in desk.do("look", look={"open": id})["head"]
