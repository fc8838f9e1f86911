"""An adapter in the chat: its card, and the way to its base."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from tests.ui.test_render import QUESTION, answered, rows_of
from vlm_app.finetune.adapters import Card, Score, Taught
from vlm_app.finetune.run_config import RunConfig
from vlm_app.types import Answer
from vlm_app.ui.adapter_card import UNMEASURED, card_html
from vlm_app.ui.beside import Choice

HOSTILE = "<img src=x onerror=alert(1)>"
SCORE = Score(
    task="detect", figure="f1", examples=40, images=30, before=0.12, after=0.83, gain=0.71, low=0.6, high=0.8,
    words="better",
)  # fmt: skip
CARD = Card(
    name=HOSTILE, base="pebble", precision="fp32",
    data=Taught(name=HOSTILE, sha256="0123456789abcdef" * 4, train=1040, held_out=40),
    settings=RunConfig(steps=120, rank=8), scores=(SCORE, SCORE), verdict="It helped.",
    created=datetime(2026, 11, 21, tzinfo=UTC),
)  # fmt: skip


def test_card_says_base_data_settings_scores_and_date() -> None:
    html = card_html(CARD)
    for said in (
        "It helped.", "Pebble · fp32", "1,040 examples, 40 held out", "data 0123456789ab",
        "LoRA of language, rank 8 · 120 steps", "2026-11-21", "<td>Detect</td>", "<td>F1</td>",
        "<td>12 %</td>", "<td>83 %</td>",
    ):  # fmt: skip
        assert said in html
    assert html.count("<td>F1</td>") == 1
    assert HOSTILE not in html


def test_mean_distance_from_a_count_is_no_share() -> None:
    error = SCORE.model_copy(update={"task": "count", "figure": "count_error", "before": 1.5, "after": 0.25})
    html = card_html(CARD.model_copy(update={"scores": (error,)}))
    assert "<td>1.50</td><td>0.25</td>" in html and "%" not in html


def test_card_of_an_adapter_that_somebody_brought_says_what_is_known() -> None:
    html = card_html(Card(name="Theirs", base=HOSTILE, revision="a" * 40))
    assert UNMEASURED in html
    assert "revision aaaaaaaaaaaa<" in html
    assert "<table" not in html and HOSTILE not in html
    odd = card_html(CARD.model_copy(update={"scores": (SCORE.model_copy(update={"task": HOSTILE}),)}))
    assert HOSTILE not in odd


def test_answer_of_an_adapter_is_put_beside_its_base_with_one_click() -> None:
    choices = [Choice("Pebble", "pebble", ready=True)]
    answer = Answer("a star", model="pebble", adapter="signs")
    html = rows_of(QUESTION, answered(answer), choices=choices)[-1]
    assert 'data-act="again" data-model="pebble" title="The same' in html
    assert ">Beside its base</button>" in html
    assert "Beside its base" not in rows_of(QUESTION, answered(replace(answer, adapter=None)))[-1]
    assert "Beside its base" not in rows_of(QUESTION, answered(answer), QUESTION)[1]
