"""What somebody sees before anything is trained."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.families import checkpoints
from tests.finetune.test_labels import tiny_example
from tests.finetune.written_examples import BOX, example, picture
from vlm_app import families
from vlm_app.catalog import find
from vlm_app.errors import BadInput
from vlm_app.finetune.examples import Example, Reply
from vlm_app.finetune.preview import Counts, Preview, counts, preview
from vlm_app.types import Region, Task


@cache
def processor(name: str) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(checkpoints.checkpoint(name))


@cache
def pebble() -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(find("pebble").source)


def taught(made: Preview) -> list[str]:
    return [made.text[slice(*span)] for span in made.learned]


def test_pebbles_training_text_is_shown_with_what_it_learns() -> None:
    made = preview(example(Task.DETECT, BOX), find("pebble"), pebble())
    assert made.text.endswith(
        "Detect red circle.<end_of_utterance>\nAssistant: <ref>red circle<loc_25><loc_51><loc_89><loc_230>"
        "<end_of_utterance>"
    )
    assert taught(made) == [" <ref>red circle<loc_25><loc_51><loc_89><loc_230><end_of_utterance>"]
    assert made.text.count("<image>") == 1 and made.visual == 64
    assert made.taught < made.tokens - made.visual


@pytest.mark.parametrize("name", ["qwen2_5_vl", "florence2", "kosmos2", "smolvlm", "paligemma"])
def test_the_answer_and_its_end_are_what_is_learned(name: str) -> None:
    made = preview(tiny_example(name), checkpoints.row(name), processor(name))
    (said,) = taught(made)
    assert said.endswith(families.get(name).end) and "<image>" not in said
    assert made.learned[-1][1] == len(made.text)
    assert 0 < made.taught < made.tokens and made.visual > 0
    assert len(made.text) < 4 * (made.tokens - made.visual) + 200


def test_an_image_is_one_token_of_the_text() -> None:
    made = preview(tiny_example("kosmos2"), checkpoints.row("kosmos2"), processor("kosmos2"))
    assert made.text.startswith("<s><image></image><grounding><phrase> red circle</phrase><object>")


def test_characters_of_several_tokens_stay_whole() -> None:
    text = "Zwölf 漢字 🦉 stehen hier."
    made = preview(example(Task.CAPTION, text=text), checkpoints.row("qwen2_5_vl"), processor("qwen2_5_vl"))
    assert taught(made) == [f"{text}<|im_end|>"]


def test_what_is_not_taught_is_said() -> None:
    about = Example((picture(),), Task.CHAT, "What?", "A dog sits.", (Region("dog", BOX, span=(2, 5)),))
    made = preview(about, checkpoints.row("qwen2_5_vl"), processor("qwen2_5_vl"))
    assert made.note == "Qwen2.5-VL is taught the words alone for 1 of 1 region."
    with pytest.raises(BadInput, match="at most 1 image"):
        two = example(Task.CAPTION, text="Two.", pictures=(picture(), picture()))
        preview(two, checkpoints.row("kosmos2"), processor("kosmos2"))


def test_a_wrong_answer_is_shown_as_one() -> None:
    pair = example(Task.CAPTION, text="A red circle.", rejected=Reply("A blue dog."))
    made = preview(pair, find("pebble"), pebble())
    assert made.rejected == "A blue dog." and not made.wrong
    alone = Example((picture(),), Task.CAPTION, text=None, rejected=Reply("A blue dog."))
    made = preview(alone, find("pebble"), pebble())
    assert made.wrong and made.rejected is None
    assert "A blue dog." in taught(made)[0]


def test_examples_are_counted_by_task_and_label() -> None:
    one, two = example(Task.DETECT, BOX), example(Task.DETECT, BOX, BOX, query="cat")
    said = example(Task.CAPTION, text="A long sentence about what there is to see here.")
    assert counts([one, two, two, said]) == Counts(
        {Task.DETECT: 3, Task.CAPTION: 1}, {(Task.DETECT, "cat"): 2, (Task.DETECT, "red circle"): 1}
    )
