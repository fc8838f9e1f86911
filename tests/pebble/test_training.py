"""The recipe learns, stops and goes on; the scores count what they say they count."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vlm_app.pebble.losses import answer_loss
from vlm_app.pebble.scores import Tally, iou
from vlm_app.pebble.train import Learner, Plan, train

PLAN = Plan(images=64, batch=2, questions=4)


@pytest.fixture(autouse=True)
def without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling takes longer than these few steps."""
    monkeypatch.setattr("vlm_app.pebble.train.shutil.which", lambda name: None)


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = Learner(PLAN, tmp_path, None)
    train(whole, minutes=0, workers=0)  # one step, then out of time
    again = Learner(PLAN, tmp_path, None)
    assert again.images == whole.images == 2
    weights = zip(whole.model.state_dict().values(), again.model.state_dict().values(), strict=True)
    assert all(torch.equal(one, two) for one, two in weights)
    train(again, minutes=0, workers=0)
    assert again.images == 4


def test_a_batch_is_learned_and_the_export_is_a_real_checkpoint(tmp_path: Path) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from vlm_app.pebble.batches import Batches

    learner = Learner(Plan(images=10_000, batch=2, rate=0.02), tmp_path, None)  # still rising
    batch = Batches(learner.processor.tokenizer, 2, 1, 5, 4).batch(1)
    losses = [learner.step(batch)["words"] for _ in range(16)]
    assert losses[-1] < 0.8 * losses[0]
    learner.export(tmp_path / "pebble")
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "pebble")
    AutoProcessor.from_pretrained(tmp_path / "pebble")
    assert model.dtype == torch.bfloat16
    files = list((tmp_path / "pebble").iterdir())
    assert max(file.stat().st_size for file in files) < 10_000_000
    assert sum(file.stat().st_size for file in files) < 20_000_000
    started = Learner(Plan(batch=2), tmp_path / "next", tmp_path / "pebble")
    assert started.images == 0
    assert torch.allclose(started.model.lm_head.weight, learner.model.lm_head.weight, atol=0.01)


def test_the_rate_rises_stays_and_falls() -> None:
    plan = Plan(images=100_000, batch=16, rate=1.0, decay=0.25)
    assert plan.rate_at(0) < 0.01
    assert plan.rate_at(50_000) == 1.0
    assert plan.rate_at(87_500) == pytest.approx(0.5)


def test_a_location_beside_the_right_one_costs_little() -> None:
    labels, weights = torch.tensor([100]), torch.ones(1)

    def loss(best: int) -> float:
        logits = torch.zeros(1, 400)
        logits[0, best] = 8.0
        return float(answer_loss(logits, labels, weights, first_location=50))

    assert loss(100) < loss(101) < loss(104)
    assert loss(101) - loss(100) < 0.2 * (loss(104) - loss(100))


@pytest.mark.parametrize(
    ("answer", "accuracy", "f1"),
    [
        ("<ref>red circle<loc_10><loc_10><loc_60><loc_60>", 1.0, 1.0),
        ("<ref>red circle<loc_12><loc_10><loc_60><loc_62>", 1.0, 1.0),
        ("<ref>blue circle<loc_10><loc_10><loc_60><loc_60>", 0.0, 0.0),  # another label
        ("<ref>red circle<loc_90><loc_10><loc_140><loc_60>", 0.0, 0.0),  # elsewhere
        ("<ref>red circle<loc_10><loc_10><loc_60>", 0.0, 0.0),  # cut off
        ("", 0.0, 0.0),
    ],
)
def test_boxes_count_where_label_and_place_agree(answer: str, accuracy: float, f1: float) -> None:
    tally = Tally()
    tally.add("detect", answer, "<ref>red circle<loc_10><loc_10><loc_60><loc_60>")
    assert (tally.accuracy, tally.f1) == (accuracy, f1)


def test_one_found_box_is_not_counted_twice() -> None:
    one = "<ref>red circle<loc_10><loc_10><loc_60><loc_60>"
    tally = Tally()
    tally.add("detect", one + one, one)
    assert tally.f1 == pytest.approx(2 / 3)


@pytest.mark.parametrize(("place", "right"), [("<loc_30><loc_30>", 1.0), ("<loc_80><loc_30>", 0.0)])
def test_a_point_counts_inside_its_box(place: str, right: float) -> None:
    tally = Tally()
    tally.add("point", "<ref>red circle" + place, "<ref>red circle<loc_10><loc_10><loc_60><loc_60>")
    assert (tally.accuracy, tally.f1) == (right, right)


def test_of_two_points_in_one_thing_one_counts() -> None:
    tally = Tally()
    boxes = "<ref>ring<loc_10><loc_10><loc_60><loc_60><ref>ring<loc_90><loc_10><loc_140><loc_60>"
    tally.add("point", "<ref>ring<loc_30><loc_30><ref>ring<loc_31><loc_30>", boxes)
    assert (tally.accuracy, tally.f1) == (0.0, 0.5)
    tally.add("point", "<ref>ring<loc_100><loc_30><ref>ring<loc_31><loc_30>", boxes)
    assert (tally.accuracy, tally.f1) == (0.5, 0.75)


def test_words_count_where_they_are_read_exactly() -> None:
    tally = Tally()
    tally.add("ocr", "STOP GO\nWEST\nWEST", "STOP\nEAST")
    assert (tally.accuracy, tally.f1) == (0.0, pytest.approx(2 / 6))
    tally.add("ocr", "Stop.", "STOP")
    assert (tally.accuracy, tally.f1) == (0.5, 0.5)


@pytest.mark.parametrize(("answer", "right"), [("42.", 1.0), ("46.", 1.0), ("60.", 0.0), ("many", 0.0)])
def test_a_chart_s_value_may_be_a_tenth_of_the_axis_off(answer: str, right: float) -> None:
    tally = Tally()
    tally.add("chart_value", answer, "42.", slack=5)
    assert tally.accuracy == right


def test_iou_of_half_shifted_boxes() -> None:
    assert iou((0, 0, 0.2, 0.2), (0.1, 0, 0.3, 0.2)) == pytest.approx(1 / 3)
    assert iou((0, 0, 0.2, 0.2), (0.3, 0.3, 0.4, 0.4)) == 0
