"""The message box's text and files as a message."""

from __future__ import annotations

import pytest
from PIL import Image

from vlm_app.errors import BadInput
from vlm_app.media import picture_from
from vlm_app.types import Role, Turn
from vlm_app.ui.parts import edited, message_of, opened, ordered

RED, BLUE = (picture_from(Image.new("RGB", (4, 3), colour)) for colour in ("red", "blue"))


def test_pictures_come_before_the_text() -> None:
    assert ordered("what is it?", [RED, BLUE]) == (RED, BLUE, "what is it?")


def test_a_picture_can_be_placed_inside_the_text() -> None:
    parts = ordered("[image 1] is red. And [Image 2]?", [RED, BLUE])
    assert parts == (RED, "is red. And", BLUE, "?")


def test_a_place_without_its_picture_stays_text() -> None:
    assert ordered("see [image 3]", [RED]) == (RED, "see [image 3]")
    assert ordered("[image 1] or [image 1]", [RED]) == (RED, "or [image 1]")


def test_edited_texts_take_the_places_of_the_old_ones() -> None:
    turn = Turn(Role.USER, ("one", RED, "two"))
    assert edited(turn, [["0", "first"], ["2", "second"]]) == ("first", RED, "second")
    assert edited(Turn(Role.USER, (RED,)), [["", "added"]]) == (RED, "added")


def test_empty_message_box() -> None:
    assert message_of(None) == ("", [])


def test_too_many_files_are_refused_before_one_is_read() -> None:
    with pytest.raises(BadInput, match="at most 8 images, found 9"):
        opened(["not-there.png"] * 9)
