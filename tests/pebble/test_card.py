"""The card holds what the commands measured, and is never half a card."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlm_app.pebble.card import fill, processor
from vlm_app.pebble.evaluate import TABLE, foreign_items, items, table
from vlm_app.pebble.scores import Tally
from vlm_app.settings import ROOT


def test_a_part_is_replaced_between_its_marks(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text("before\n<!-- scores -->\nold\n<!-- scores -->\nafter <!-- run -->\n<!-- run -->")
    fill(card, "scores", "new")
    assert (
        card.read_text() == "before\n<!-- scores -->\nnew\n<!-- scores -->\nafter <!-- run -->\n<!-- run -->"
    )


def test_a_card_without_the_marks_is_left_alone(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text("nothing to fill")
    with pytest.raises(ValueError, match="not enough values"):
        fill(card, "scores", "new")
    assert card.read_text() == "nothing to fill"


def test_the_processor_is_named() -> None:
    assert "cores" in processor()


def test_every_row_of_the_table_is_asked_on_held_out_scenes() -> None:
    asked = {item.skill for item in (*items(10), *foreign_items(1))}
    assert asked == {skill for skill, _, _ in TABLE}
    tallies = {skill: Tally(asked=1, right=1) for skill in asked}
    assert table(tallies).count("\n") == len(TABLE) + 1


def test_the_card_of_the_built_in_model_has_scores_and_says_how_it_was_made() -> None:
    card = (ROOT / "models" / "pebble" / "README.md").read_text()
    scores, run = (card.split(f"<!-- {part} -->")[1] for part in ("scores", "run"))
    assert "held-out scenes" in scores and "| existence | accuracy |" in scores
    assert "images in" in run
