"""The two Molmos: points in XML, hundredths in the first, thousandths and images in the second."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.families import checkpoints
from vlm_app import families
from vlm_app.errors import BadInput
from vlm_app.families import Parsed
from vlm_app.types import Box, Point, Region, Role, Task, Turn

MOLMO, MOLMO2 = families.get("molmo"), families.get("molmo2")
Found = list[tuple[str, float, float]]


def read(family: Any, text: str, images: int = 1) -> Parsed:
    sizes = [(640, 480)] * images
    return family.parse(text, image_size=(640, 480), asked=(Task.POINT, "boats"), images=sizes)


def points(parsed: Parsed, side: float) -> Found:
    return [
        (one.label, round(one.shape.x * side, 1), round(one.shape.y * side, 1))
        for one in parsed.regions
        if isinstance(one.shape, Point)
    ]


FIRST: list[tuple[str, str, Found]] = [
    # The formatter of allenai/molmo: one point, and several.
    ('<point x="10.0" y="10.0" alt="cat">cat</point>', "cat", [("cat", 10, 10)]),
    # A message in the stories of Ai2's playground: counting is pointing.
    (
        'Counting the <points x1="9.1" y1="11.7" x2="17.2" y2="41.3" x3="19.6" y3="3.4" x4="26.8" y4="54.4" '
        'x5="30.8" y5="1.6" alt="the boats">the boats</points> shows a total of 5.',
        "Counting the the boats shows a total of 5.",
        [("the boats", x, y) for x, y in [(9.1, 11.7), (17.2, 41.3), (19.6, 3.4), (26.8, 54.4), (30.8, 1.6)]],
    ),
    # The same, inside a sentence with several labels.
    (
        '<point x="63.3" y="85.8" alt="Small fishing boat">Small fishing boats</point> are near '
        '<point x="76.8" y="61.8" alt="Sailboat">sailboats</point>.',
        "Small fishing boats are near sailboats.",
        [("Small fishing boats", 63.3, 85.8), ("sailboats", 76.8, 61.8)],
    ),
    ("There are none.", "There are none.", []),
    # The rows from here on are made up in these forms.
    # Over 100 is refused by Ai2's parser; the good one beside it stays.
    ('<points x1="104.2" y1="5" x2="50" y2="50" alt="b">b</points>', "b", [("b", 50, 50)]),
    # Cut off inside a number and inside the label; without a label, the alt or what was asked for.
    ('See <point x="10.0" y="1', "See", []),
    ('See <points x1="1.0" y1="2.0" alt="b">b</po', "See", []),
    ('<point x="1.0" y="2.0" alt="a boat"></point>', "a boat", [("a boat", 1, 2)]),
    ('<point x="1.0" y="2.0"></point>', "boats", [("boats", 1, 2)]),
    # Other scripts, quotes, and a label with a bracket before.
    ("[x] <point x='1.0' y='2.0' alt='小舟'>小舟 \"é\"</point>", '[x] 小舟 "é"', [('小舟 "é"', 1, 2)]),
    # One number of a pair is missing: the others stay.
    ('<points x1="1.0" x2="3.0" y2="4.0" alt="b">b</points>', "b", [("b", 3, 4)]),
    ("", "", []),
]


@pytest.mark.parametrize(("raw", "text", "found"), FIRST)
def test_molmo_s_points_are_read(raw: str, text: str, found: Found) -> None:
    parsed = read(MOLMO, raw)
    assert (parsed.text, points(parsed, 100)) == (text, found)


SECOND: list[tuple[str, str, Found]] = [
    # Ai2's playground: one image.
    (
        'Counting the <points coords="1 1 073 160 2 173 600" alt="boats">the boats</points> '
        "shows a total of 2.",
        "Counting the the boats shows a total of 2.",
        [("the boats", 73, 160), ("the boats", 173, 600)],
    ),
    # A real answer of Molmo2-8B, without an alt.
    (
        '<points coords="1 1 308 305 2 752 377">curb ramp</points>',
        "curb ramp",
        [("curb ramp", 308, 305), ("curb ramp", 752, 377)],
    ),
    # Closed in itself, as a served model wrote it; frames behind a semicolon.
    ('<points coords="0: 1 500 250; 1: 1 700 300"/>', "boats", [("boats", 500, 250), ("boats", 700, 300)]),
    # Made up: cut off; a group that is no group; out of range by a little and by far.
    ('<points coords="1 1 308 305 2 75', "", []),
    ('<points coords="1 1 308;1 1 20 30">b</points>', "b", [("b", 20, 30)]),
    ('<points coords="1 1 1004 305 2 3000 5">b</points>', "b", [("b", 1000, 305)]),
    ("There are none.<|im_end|>", "There are none.", []),
    ("", "", []),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "text", "found"), SECOND)
def test_molmo_2_s_points_are_read(raw: str, text: str, found: Found) -> None:
    parsed = read(MOLMO2, raw)
    assert (parsed.text, points(parsed, 1000)) == (text, found)


def test_molmo_2_s_points_lie_on_their_images() -> None:
    # Ai2's playground, shortened: a tab before the second image.
    raw = '<points coords="1 1 073 160 2 173 600\t2 3 373 460" alt="boats">the boats</points>'
    assert [one.image for one in read(MOLMO2, raw, images=2).regions] == [0, 0, 1]
    assert [one.image for one in read(MOLMO2, raw, images=1).regions] == [0, 0, 0]


def test_points_are_written_as_ai2_s_formatter_does() -> None:
    regions = [Region("boat", Point(0.9, 0.5)), Region("boat", Point(0.1, 0.25), image=1)]
    assert MOLMO.write(regions, image_size=(4, 3)) == (
        '<points x1="10.0" y1="25.0" x2="90.0" y2="50.0" alt="boat">boat</points>'
    )
    assert MOLMO2.write(regions, image_size=(4, 3)) == (
        '<points coords="1 1 900 500\t2 2 100 250">boat</points>'
    )
    assert MOLMO.write([Region("a", Box(0.2, 0.2, 0.4, 0.6))], image_size=(4, 3)) == (
        '<point x="30.0" y="40.0" alt="a">a</point>'
    )
    assert MOLMO.write([], image_size=(4, 3)) == MOLMO2.write([], image_size=(4, 3)) == "There are none."


@pytest.mark.parametrize("family", [MOLMO, MOLMO2])
def test_pointing_and_counting_have_ai2_s_words(family: Any) -> None:
    assert family.ask(Task.POINT, "boats") == 'Point to all occurrences of "boats"'
    assert family.ask(Task.COUNT, "boats") == 'Point to all occurrences of "boats"'
    assert family.ask(Task.CAPTION) == "Describe this image."
    with pytest.raises(BadInput, match="what to point at"):
        family.ask(Task.POINT)


# --- what Molmo 2 gets ------------------------------------------------------------------------


@cache
def processor() -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(checkpoints.checkpoint("molmo2"))


def encode(*turns: Turn, **more: Any) -> tuple[Any, Any, str]:
    inputs, seen = MOLMO2.encode(processor(), turns, task=Task.CHAT, **more)
    return inputs, seen, processor().tokenizer.decode(inputs["input_ids"][0])


def test_all_images_come_first_with_their_numbers() -> None:
    small = checkpoints.picture(size=(60, 60))
    turns = [
        Turn(Role.SYSTEM, ("Be brief.",)),
        Turn(Role.USER, (small, "a")),
        Turn(Role.ASSISTANT, ("b",)),
        Turn(Role.USER, ("c", small)),
    ]
    text = encode(*turns)[2]
    row = "<im_patch>" * 2
    seen = f"<low_res_im_start>{row * 2}<im_end><im_start>{row}<im_col>{row}<im_col><im_end>"
    assert text == (
        f"<|im_end|>Image 1{seen}Image 2{seen}"
        "<|im_start|>user\nBe brief. a<|im_end|>\n "
        "<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize("size", [(60, 60), (300, 100), (100, 250)])
@pytest.mark.parametrize("pixels", [None, 1])
def test_what_is_seen_is_what_was_encoded(size: Any, pixels: int | None) -> None:
    inputs, seen, text = encode(Turn(Role.USER, (checkpoints.picture(size=size), "x")), pixels=pixels)
    assert seen.visual_tokens == text.count("<im_patch>")
    assert seen.tiles == len(inputs["pixel_values"]) == (2 if pixels or size == (60, 60) else 3)
    *_, rows, columns = inputs["image_grids"][0].tolist()
    assert seen.size == (columns * 32, rows * 32)


def test_an_answer_to_learn_is_labelled_to_its_end() -> None:
    raw = MOLMO2.write([Region("舟", Point(0.1, 0.2))], image_size=(300, 200))
    inputs = encode(Turn(Role.USER, (checkpoints.picture(), "Where?")), answer=raw)[0]
    learned = inputs["labels"][0][inputs["labels"][0] != -100]
    assert processor().tokenizer.decode(learned) == raw + "<|im_end|>"
