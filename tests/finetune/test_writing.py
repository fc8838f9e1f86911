"""What one dataset becomes in the words of each family."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.finetune.written_examples import BOX, example, picture, read, shapes
from tests.sizes import WRITTEN_EXAMPLES
from vlm_app import families
from vlm_app.errors import AppError, BadInput, ModelUnavailable
from vlm_app.families import Family, Size
from vlm_app.finetune.examples import Example, Reply
from vlm_app.finetune.replies import PLACING
from vlm_app.finetune.writing import learnable, written
from vlm_app.grounding import bounds
from vlm_app.types import Box, Mask, Point, Polygon, Region, Shape, Task

MASK = Mask(Box(0.2, 0.2, 0.8, 0.6), (4, 2), bytes([0, 1, 1, 0, 1, 1, 1, 1]))
OUTLINE = Polygon((Point(0.1, 0.1), Point(0.9, 0.2), Point(0.8, 0.7), Point(0.3, 0.9), Point(0.1, 0.5)))
GROUNDING = [name for name in families.names() if type(families.get(name)).write is not Family.write]
PROSE = [name for name in families.names() if families.get(name).phrases]


def units(family: Family, size: Size) -> tuple[float, float]:
    """A unit of the grid over each side; where coordinates are pixels, a pixel, or a thousandth."""
    width, height = ((family.grid,) * 2) if family.grid else size
    return (
        (1.001 / width, 1.001 / height) if family.grid else (max(1 / width, 0.0011), max(1 / height, 0.0011))
    )


def near(family: Family, size: Size, found: Shape, truth: Shape) -> bool:
    if isinstance(found, Point):
        around = bounds(truth)
        middle = ((around.x0 + around.x1) / 2, (around.y0 + around.y1) / 2)
        told, wanted = (found.x, found.y), middle
    else:
        told, wanted = bounds(found).xyxy, bounds(truth).xyxy
    unit = units(family, size)
    if isinstance(found, Polygon) and isinstance(truth, Mask):  # an outline runs through its last pixels
        unit = (unit[0] + 1.5 / size[0], unit[1] + 1.5 / size[1])
    return all(abs(a - b) <= unit[index % 2] for index, (a, b) in enumerate(zip(told, wanted, strict=True)))


@pytest.mark.parametrize("name", GROUNDING)
@settings(deadline=None, max_examples=WRITTEN_EXAMPLES)
@given(st.data())
def test_a_family_reads_back_what_it_is_taught(name: str, data: st.DataObject) -> None:
    family = families.get(name)
    tasks = [task for task in sorted(PLACING) if task in family.tasks] or [Task.CAPTION]
    task = data.draw(st.sampled_from(tasks))
    if name == "paligemma" and task is Task.SEGMENT:
        return  # it writes no masks here: see below
    size = data.draw(st.sampled_from([(400, 400), (900, 300), (250, 700)]))
    found = data.draw(st.lists(shapes(), min_size=1, max_size=1 if task is Task.GROUND else 4))
    queries = ["red circle", "a man's hat", "漢字", "Straße 7"]
    query = data.draw(st.sampled_from(queries if family.lettered("'") else ["red circle", "HUT 7, large"]))
    text = ", ".join(["a red circle"] * len(found))
    spans = [(14 * index, 14 * index + 12) for index in range(len(found))]
    taught = example(task, *found, query=query, text=text, pictures=(picture(size),))
    if task is Task.CAPTION:  # a family that names places in captions only
        regions = [Region("a red circle", one, span=span) for one, span in zip(found, spans, strict=True)]
        taught = Example((picture(size),), task, "", text, tuple(regions))
    parsed = read(family, written(taught, family))
    left = list(found)
    for region in parsed.regions:
        assert region.image == 0
        match = next(shape for shape in left if near(family, size, region.shape, shape))
        left.remove(match)
        if task is Task.OCR_REGIONS:
            assert region.text == query
    assert not left


# --- words with phrases -----------------------------------------------------------------


TEXT = "There is a red circle beside the small house."
PHRASES = ((9, 21), (29, 44))  # 'a red circle', 'the small house'


def grounded(*shapes: Shape, text: str = TEXT, task: Task = Task.CHAT) -> Example:
    regions = tuple(
        Region(text[slice(*span)], shape, span=span)
        for span, shape in zip((PHRASES[0], PHRASES[1], PHRASES[1]), shapes, strict=False)
    )
    return Example((picture(),), task, "What is there?", text, regions)


def test_the_spans_of_these_tests_are_the_phrases() -> None:
    assert [TEXT[slice(*span)] for span in PHRASES] == ["a red circle", "the small house"]


@pytest.mark.parametrize("name", PROSE)
def test_phrases_in_prose_are_tied_to_their_places_in_the_familys_markup(name: str) -> None:
    family = families.get(name)
    task = Task.CHAT if Task.CHAT in family.tasks else Task.CAPTION
    pointing = name in ("molmo", "molmo2")
    first, second = (Point(0.25, 0.5), Point(0.7, 0.3)) if pointing else (BOX, Box(0.5, 0.1, 0.8, 0.4))
    made = written(grounded(first, second, task=task), family)
    parsed = read(family, made)
    assert made.note == ""
    assert parsed.text == TEXT
    assert [region.span for region in parsed.regions] == list(PHRASES)
    for region, shape in zip(parsed.regions, (first, second), strict=True):
        assert near(family, (400, 300), region.shape, shape)


def test_kosmos_keeps_the_space_of_a_phrase_in_its_tag() -> None:
    made = written(grounded(BOX), families.get("kosmos2"))
    assert made.answer is not None
    assert made.answer.startswith("There is<phrase> a red circle</phrase><object><patch_index_")
    assert made.answer.endswith("</object> beside the small house.")


def test_pebbles_own_markup_stands_in_its_prose() -> None:
    made = written(grounded(BOX), families.get("pebble"))
    assert (
        made.answer == "There is <ref>a red circle<loc_25><loc_51><loc_89><loc_230> beside the small house."
    )


@pytest.mark.parametrize("name", ["qwen2_vl", "internvl", "kosmos2", "deepseek_vl2"])
def test_a_phrase_may_have_several_places(name: str) -> None:
    family = families.get(name)
    made = written(grounded(BOX, Box(0.5, 0.1, 0.8, 0.4), Box(0.6, 0.5, 0.9, 0.9)), family)
    assert made.note == "" and len(read(family, made).regions) == 3


@pytest.mark.parametrize("name", ["qwen2_5_vl", "qwen3_vl", "llava", "smolvlm", "gemma3", "glm4v"])
def test_without_markup_in_prose_the_words_alone_are_taught_and_a_note_says_so(name: str) -> None:
    made = written(grounded(BOX), families.get(name))
    assert made.answer == TEXT
    assert made.note == f"{families.get(name).title} is taught the words alone for 1 of 1 region."


def test_what_a_family_cannot_tie_is_noted_and_the_rest_is_tied() -> None:
    shared = grounded(BOX, Box(0.5, 0.1, 0.8, 0.4), Box(0.6, 0.5, 0.9, 0.9))
    made = written(shared, families.get("pebble"))  # it has one place for a phrase
    assert made.note == "Pebble is taught the words alone for 2 of 3 regions."
    parsed = read(families.get("pebble"), made)
    assert parsed.text == TEXT and len(parsed.regions) == 1


@pytest.mark.parametrize("name", ["pebble", "qwen2_5_vl", "qwen3_vl", "internvl"])
def test_a_chat_answer_that_is_only_a_list_of_things_is_written_as_the_family_lists_them(name: str) -> None:
    regions = (Region("cat", BOX, span=(0, 3)), Region("dog", Box(0.5, 0.1, 0.8, 0.4), span=(5, 8)))
    listed = Example((picture(),), Task.CHAT, "Where are the animals?", "cat, dog", regions)
    family = families.get(name)
    parsed = read(family, written(listed, family))
    assert [region.label for region in parsed.regions] == ["cat", "dog"]


# --- tasks ------------------------------------------------------------------------------


def test_a_task_is_asked_in_the_familys_own_words() -> None:
    for name in ("pebble", "qwen2_5_vl", "florence2"):
        made = written(example(Task.DETECT, BOX), families.get(name))
        assert made.turns[-1].text == families.get(name).ask(Task.DETECT, "red circle")
        assert made.turns[-1].pictures == (picture(),)


def test_a_count_by_points_is_taught_with_points_and_pebbles_with_its_total() -> None:
    two = example(Task.COUNT, BOX, Box(0.5, 0.1, 0.8, 0.4), text="2")
    for name in ("pebble", "qwen2_5_vl", "qwen3_vl", "molmo2"):
        parsed = read(families.get(name), written(two, families.get(name)))
        assert [region.kind for region in parsed.regions] == ["point", "point"]
    assert (written(two, families.get("pebble")).answer or "").endswith(" Total: 2.")


def test_a_count_in_words_is_taught_in_words() -> None:
    assert written(example(Task.COUNT, text="3"), families.get("qwen2_5_vl")).answer == "3"
    made = written(example(Task.COUNT, BOX, text="There are 3."), families.get("pebble"))
    assert made.answer == "There are 3."
    assert made.note == "It says 3 and places 1: the words are taught."


@pytest.mark.parametrize("name", GROUNDING)
def test_that_nothing_is_there_is_an_answer_too(name: str) -> None:
    family = families.get(name)
    for task in sorted(PLACING & family.tasks):
        made = written(example(task), family)
        parsed = read(family, made)
        assert parsed.regions == ()
    if name == "pebble":
        assert written(example(Task.DETECT), family).answer == "There is no red circle."


def test_a_family_that_lacks_a_task_is_asked_the_nearest_and_a_note_says_so() -> None:
    made = written(example(Task.DETECT, BOX), families.get("kosmos2"))
    assert made.task is Task.GROUND and made.note == "It is asked 'ground', as it has no 'detect'."
    made = written(example(Task.GROUND, BOX), families.get("paligemma"))
    assert made.task is Task.DETECT and (made.answer or "").endswith(" red circle")
    made = written(example(Task.OCR_REGIONS, BOX, text="STOP"), families.get("smolvlm"))
    assert made.task is Task.OCR and made.answer == "STOP"
    made = written(example(Task.COUNT, text="3"), families.get("smolvlm"))
    assert made.task is Task.CHAT and made.turns[-1].text == "How many of these are there: red circle?"
    assert made.note == "It is asked in words, as it has no 'count'."


def test_a_part_is_described_as_chat_asks_for_it() -> None:
    about = example(Task.DESCRIBE_REGION, query="0.1, 0.2, 0.5, 0.6", text="A red circle.")
    made = written(about, families.get("qwen3_vl"))
    assert made.task is Task.CAPTION and made.answer == "A red circle."
    assert made.turns[-1].pictures[0].size == (192, 144)  # the part with a margin of a tenth on each side
    assert "the part alone" in made.note
    assert written(about, families.get("kosmos2")).task is Task.DESCRIBE_REGION


def test_masks_become_outlines_where_the_family_writes_them_and_boxes_where_it_does_not() -> None:
    florence = families.get("florence2")
    (found,) = read(florence, written(example(Task.SEGMENT, MASK), florence)).regions
    assert isinstance(found.shape, Polygon)
    assert near(florence, (400, 300), found.shape, MASK)
    (found,) = read(florence, written(example(Task.SEGMENT, OUTLINE), florence)).regions
    assert isinstance(found.shape, Polygon) and len(found.shape.points) == 5
    pebble = families.get("pebble")
    (found,) = read(pebble, written(example(Task.DETECT, MASK), pebble)).regions
    assert isinstance(found.shape, Box)


# --- what cannot be learned -------------------------------------------------------------


UNLEARNED = [
    ("paligemma", example(Task.SEGMENT, MASK), "PaliGemma writes no such regions"),
    ("qwen2_5_vl", example(Task.SEGMENT, MASK), "This model cannot do 'segment'"),
    ("llava", example(Task.DETECT, BOX), "This model cannot do 'detect'"),
    ("kosmos2", example(Task.CAPTION, text="Two.", pictures=(picture(), picture())), "at most 1 image"),
    ("qwen2_vl", example(Task.DETECT, BOX, query=""), "needs to know what to look for"),
    ("smolvlm", example(Task.CAPTION, text="a <end_of_utterance> b"), "take it out"),
    ("pebble", example(Task.CAPTION, text="漢字"), "has none for '漢字'"),
    ("pebble", example(Task.OCR_REGIONS, BOX, query="漢字"), "has none for '漢字'"),
]


@pytest.mark.parametrize(("name", "bad", "reason"), UNLEARNED)
def test_what_a_family_cannot_learn_is_listed_with_a_sentence(name: str, bad: Example, reason: str) -> None:
    good = example(Task.CAPTION, text="A red circle.")
    with pytest.raises((BadInput, ModelUnavailable), match=reason):
        written(bad, families.get(name))
    taken, left = learnable([good, bad, good], families.get(name))
    assert [one for one, _ in taken] == [good, good]
    assert [one.example for one in left] == [bad] and reason in left[0].sentence


def test_a_region_on_an_earlier_image_is_refused_where_the_family_means_the_last() -> None:
    pictures = (picture(), picture((300, 300)))
    first = Example(pictures, Task.DETECT, "cat", "cat", (Region("cat", BOX, 0),))
    with pytest.raises(BadInput, match="means the last of 2, and 'cat' lies on number 1"):
        written(first, families.get("qwen3_vl"))
    point = Example(pictures, Task.POINT, "cat", "cat", (Region("cat", Point(0.2, 0.3), 0),))
    (found,) = read(families.get("molmo2"), written(point, families.get("molmo2"))).regions
    assert found.image == 0  # it numbers the images


_WORDS = st.sampled_from(
    "<ref> </ref> <box> </box> [[1,2,3,4]] <loc_1> <loc0001> <poly> { } \" ' [ ] ; , <|im_end|> </s> <eos> "
    "<end_of_utterance> <image> <phrase> <points cat é漢 3 Total: 2. \n".split(" ")
)
_TEXTS = st.lists(_WORDS | st.text(max_size=3), max_size=6).map(" ".join)


@st.composite
def _uploads(draw: st.DrawFn) -> Example:
    pictures = (picture(), picture((30, 300)))[: draw(st.integers(1, 2))]
    text = draw(_TEXTS)
    ends = st.integers(0, len(text))
    regions = []
    for shape in draw(st.lists(shapes() | st.builds(Point, st.floats(0, 1), st.floats(0, 1)), max_size=3)):
        span = tuple(sorted((draw(ends), draw(ends)))) if draw(st.booleans()) else None
        label = draw(_TEXTS)
        regions.append(
            Region(label, shape, draw(st.integers(0, len(pictures) - 1)), label or None, None, span)
        )
    task = draw(st.sampled_from(sorted(Task)))
    text = text if text.strip() else "x" * max(len(text), 1)
    query = draw(st.sampled_from(["0.1, 0.2, 0.5, 0.6", "red circle", "<ref>"]) | _TEXTS)
    return Example(pictures, task, query if query.strip() else "x", text, tuple(regions))


@pytest.mark.parametrize("name", families.names())
@settings(deadline=None, max_examples=WRITTEN_EXAMPLES)
@given(_uploads())
def test_whatever_a_dataset_holds_is_written_or_refused_with_a_sentence(name: str, given_: Example) -> None:
    family = families.get(name)
    try:
        made = written(given_, family)
    except AppError as error:
        assert error.sentence.endswith(".")
        return
    assert made.answer is not None
    assert family.open(made.answer) == made.answer  # nothing of it would be cut
    if made.task in PLACING and given_.regions and "the words are taught" not in made.note:
        assert len(read(family, made).regions) >= len(given_.regions)


def test_pebble_is_taught_in_letters_that_it_has_and_a_note_says_which_are_left_out() -> None:
    made = written(
        example(Task.CAPTION, text="That's a big-bellied Bär (brown) – “Õllo”!"), families.get("pebble")
    )
    assert made.answer == 'Thats a big bellied Bar brown "Ollo"!'
    assert made.note.startswith("Pebble has no letters for ' ( ) - Õ ä – “ ”, and learns the answer without.")
    found = written(example(Task.DETECT, BOX, query="Bär"), families.get("pebble"))
    assert found.answer == "<ref>Bar<loc_25><loc_51><loc_89><loc_230>"
    plain = written(example(Task.CAPTION, text="A ball: red, big."), families.get("pebble"))
    assert (plain.answer, plain.note) == ("A ball: red, big.", "")


def test_a_label_that_would_break_the_markup_is_refused() -> None:
    hostile = Example((picture(),), Task.DETECT, "x", "x", (Region("a<ref>b<loc_1><loc_2>", BOX),))
    with pytest.raises(BadInput, match="would not read back"):
        written(hostile, families.get("pebble"))


def test_an_end_token_that_an_upload_brings_along_is_taken_off() -> None:
    assert written(example(Task.CAPTION, text="Fine.</s>"), families.get("llava")).answer == "Fine."


def test_a_wrong_answer_is_written_beside_the_right_one() -> None:
    pair = example(Task.DETECT, BOX, rejected=Reply("", (Region("red circle", Box(0.5, 0.1, 0.8, 0.4)),)))
    made = written(pair, families.get("pebble"))
    assert made.rejected and made.rejected != made.answer
    alone = Example((picture(),), Task.CAPTION, text=None, rejected=Reply("A blue dog."))
    made = written(alone, families.get("pebble"))
    assert (made.answer, made.rejected) == (None, "A blue dog.")
    alike = example(Task.DETECT, BOX, text="a", rejected=Reply("b", (Region("red circle", BOX),)))
    made = written(alike, families.get("pebble"))
    assert made.rejected is None and "nothing to prefer" in made.note
    masked = Region("red circle", Point(0.5, 0.5))
    made = written(example(Task.DETECT, BOX, rejected=Reply("", (masked,))), families.get("internvl"))
    assert made.answer and made.rejected is None and "Its wrong answer is left out" in made.note
