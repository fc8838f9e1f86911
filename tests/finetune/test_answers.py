"""An answer of a chat becomes an example: its question, its pictures, its phrases and their places."""

from __future__ import annotations

import pytest
from PIL import Image

from vlm_app import families
from vlm_app.errors import BadInput
from vlm_app.finetune import answers
from vlm_app.finetune.answers import Asked, Given
from vlm_app.finetune.examples import Reply, Source
from vlm_app.finetune.writing import written
from vlm_app.media import picture_from
from vlm_app.types import PERSON, Answer, Box, Finish, Part, Region, Role, Task, Turn

RED, GREEN, BLUE = (picture_from(Image.new("RGB", (40, 30), colour)) for colour in ("red", "green", "blue"))
LEFT, RIGHT = Box(0.125, 0.25, 0.375, 0.5), Box(0.5, 0.25, 0.75, 0.5)
TEXT = "A red circle and a star."
CIRCLE, STAR = Region("red circle", LEFT, span=(2, 12)), Region("star", RIGHT, span=(19, 23))


def asked(*parts: Part, task: Task = Task.CHAT, query: str = "") -> Asked:
    """A question that opens a chat."""
    turn = Turn(Role.USER, parts)
    own = range(len(turn.pictures))
    return Asked(turn, task, query, turn.pictures, own, own)


def given(text: str, *regions: Region, task: Task = Task.CHAT, finish: Finish = Finish.STOP) -> Given:
    return Given(Answer(text, regions, task=task, model="pebble", finish=finish), text)


def third(*parts: Part, own: range, seen: range) -> Asked:
    """The third question of a chat with a picture in each of the first two messages and with `parts`."""
    turn = Turn(Role.USER, parts)
    return Asked(turn, Task.CHAT, "", (RED, GREEN, *turn.pictures), own, seen, earlier=2)


def test_an_approved_answer_is_taught_as_it_stands() -> None:
    example = answers.approved(asked(RED, "What is there?"), given(TEXT, CIRCLE, STAR))
    assert (example.pictures, example.task, example.query) == ((RED,), Task.CHAT, "What is there?")
    assert (example.text, example.regions, example.rejected) == (TEXT, (CIRCLE, STAR), None)
    assert (example.source, example.maker, example.note) == (Source.ANSWER, "pebble", "")


def test_a_rejected_answer_is_only_wrong() -> None:
    example = answers.rejected(
        asked(RED, "red star", task=Task.DETECT, query="red star"), given(TEXT, CIRCLE, task=Task.DETECT)
    )
    assert (example.text, example.regions) == (None, ())
    assert example.rejected == Reply(TEXT, (CIRCLE,))
    assert (example.source, example.query) == (Source.VOTE, "red star")
    with pytest.raises(BadInput, match="no answer here"):
        answers.rejected(asked(RED, "?"), given(" "))


def test_a_correction_keeps_the_old_answer_as_the_wrong_one() -> None:
    example = answers.corrected(
        asked(RED, "What?"), given(TEXT, CIRCLE, STAR), "A big red circle and a star."
    )
    assert example.rejected == Reply(TEXT, (CIRCLE, STAR))
    assert (example.source, example.maker) == (Source.ANSWER, PERSON)
    assert [(each.label, example.text[slice(*each.span)]) for each in example.regions] == [
        ("red circle", "red circle"),
        ("star", "star"),
    ]


def test_a_region_goes_with_its_phrase_and_is_named_by_a_corrected_one() -> None:
    example = answers.corrected(asked(RED, "What?"), given(TEXT, CIRCLE, STAR), "A blue circle and no more.")
    (kept,) = example.regions
    assert (kept.label, kept.shape, kept.span) == ("blue circle", LEFT, (2, 13))


def test_a_corrected_count_places_nothing() -> None:
    two = given("2", Region("star", LEFT), Region("star", RIGHT), task=Task.COUNT)
    example = answers.corrected(asked(RED, "star", task=Task.COUNT, query="star"), two, "3")
    assert (example.text, example.regions) == ("3", ())
    assert written(example, families.get("pebble")).answer == "3"


def test_places_are_not_corrected_in_words_and_nothing_is_no_correction() -> None:
    with pytest.raises(BadInput, match="workbench"):
        answers.corrected(asked(RED), given("star", STAR, task=Task.DETECT), "circle")
    with pytest.raises(BadInput, match="same as before"):
        answers.corrected(asked(RED, "?"), given(TEXT), f" {TEXT}\n")
    with pytest.raises(BadInput, match="no example"):
        answers.corrected(asked(RED, "?"), given(TEXT), "  ")


def test_the_better_of_two_answers_is_a_pair() -> None:
    example = answers.preferred(asked(RED, "What?"), given("A circle."), given(TEXT, STAR))
    assert (example.text, example.rejected, example.source) == (
        "A circle.",
        Reply(TEXT, (STAR,)),
        Source.VOTE,
    )
    with pytest.raises(BadInput, match="are the same"):
        answers.preferred(asked(RED, "What?"), given(TEXT), given(TEXT))
    with pytest.raises(BadInput, match="differently"):
        answers.preferred(asked(RED, "What?"), given(TEXT), given("star", task=Task.DETECT))


def test_an_answer_without_its_end_is_not_taught() -> None:
    for finish in (Finish.LENGTH, Finish.CANCELLED, Finish.FAILED):
        cut = given("A red", finish=finish)
        with pytest.raises(BadInput, match="end"):
            answers.approved(asked(RED, "?"), cut)
        with pytest.raises(BadInput, match="end"):
            answers.preferred(asked(RED, "?"), cut, given(TEXT))
    assert answers.corrected(asked(RED, "?"), cut, TEXT).text == TEXT


def test_what_was_thought_aloud_is_not_taught() -> None:
    thought = "<think>A star?</think>"
    spans = [(each, (each.span[0] + len(thought), each.span[1] + len(thought))) for each in (CIRCLE, STAR)]
    regions = [Region(each.label, each.shape, span=span) for each, span in spans]
    inside = Region("star", RIGHT, span=(9, 13))
    example = answers.approved(asked(RED, "?"), Given(Answer(thought + TEXT, (*regions, inside)), TEXT))
    assert (example.text, example.regions[:2]) == (TEXT, (CIRCLE, STAR))
    assert example.regions[2].span is None


def test_regions_are_counted_among_the_pictures_of_the_example() -> None:
    """The third message brings two pictures; the model saw all four, and points to one of the first, too."""
    question = third("Which of", RED, "and", BLUE, "is it?", own=range(2, 4), seen=range(4))
    places = [Region("a", LEFT, image=image) for image in (3, 1)]
    example = answers.approved(question, given("It is there.", *places))
    assert example.pictures == (GREEN, RED, BLUE)
    assert [each.image for each in example.regions] == [2, 0]
    assert example.query == "Which of image 2 and image 3 is it?"
    assert example.note == "The 2 questions before it in its chat are left out."


def test_a_question_without_a_picture_is_about_those_of_the_last_message_that_had_one() -> None:
    question = third("And what else?", own=range(1, 2), seen=range(2))
    example = answers.approved(question, given("A star.", Region("star", RIGHT, image=1, span=(2, 6))))
    assert (example.pictures, example.regions[0].image) == ((GREEN,), 0)
    assert "earlier message" in example.note


def test_a_picture_that_the_model_did_not_get_is_no_part_of_the_example() -> None:
    question = third(RED, BLUE, "What?", own=range(2, 4), seen=range(3, 4))
    assert answers.approved(question, given("Blue.")).pictures == (BLUE,)


def test_pages_of_a_document_are_named_where_they_stood() -> None:
    parts = ("Page 1 of a.pdf:", RED, "Page 2 of a.pdf:", GREEN, "Which is red?")
    assert answers.approved(asked(*parts), given("The first.")).query == (
        "Page 1 of a.pdf: image 1 Page 2 of a.pdf: image 2 Which is red?"
    )
    assert answers.approved(asked("This", RED, "is what?"), given("Red.")).query == "This the image is what?"


def test_a_task_that_was_asked_in_words_is_taught_in_words() -> None:
    example = answers.approved(asked(RED, "star", task=Task.DETECT, query="star"), given("On the left."))
    assert (example.task, example.query) == (Task.CHAT, "Where is star?")


def test_a_chat_without_a_picture_is_no_example() -> None:
    with pytest.raises(BadInput, match="has none"):
        answers.approved(asked("Hello"), given("Hi."))
