"""The message box's text and files as a message."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.media.pdf_files import FOUR_CORNERS, many_pages
from vlm_app.chat.conversation import title_of
from vlm_app.errors import BadInput
from vlm_app.media import picture_from
from vlm_app.types import Picture, Role, Task, Turn
from vlm_app.ui.parts import Attached, check_task, edited, images_in, message_of, opened, ordered

RED, BLUE = (picture_from(Image.new("RGB", (4, 3), colour)) for colour in ("red", "blue"))
TWO = [Attached(RED), Attached(BLUE)]


def test_pictures_come_before_the_text() -> None:
    assert ordered("what is it?", TWO) == (RED, BLUE, "what is it?")


def test_a_picture_can_be_placed_inside_the_text() -> None:
    parts = ordered("[image 1] is red. And [Image 2]?", TWO)
    assert parts == (RED, "is red. And", BLUE, "?")


def test_a_place_without_its_picture_stays_text() -> None:
    assert ordered("see [image 3]", TWO[:1]) == (RED, "see [image 3]")
    assert ordered("[image 1] or [image 1]", TWO[:1]) == (RED, "or [image 1]")


def test_edited_texts_take_the_places_of_the_old_ones() -> None:
    turn = Turn(Role.USER, ("one", RED, "two"))
    assert edited(turn, [["0", "first"], ["2", "second"]]) == ("first", RED, "second")
    assert edited(Turn(Role.USER, (RED,)), [["", "added"]]) == (RED, "added")


def test_empty_message_box() -> None:
    assert message_of(None) == ("", [])


def test_too_many_files_are_refused_before_one_is_read() -> None:
    with pytest.raises(BadInput, match="at most 8 images, found 9"):
        opened(["not-there.png"] * 9)


def saved(folder: Path, name: str, pages: int) -> str:
    (folder / name).write_bytes(many_pages([FOUR_CORNERS] * pages))
    return str(folder / name)


def test_a_pdf_becomes_its_pages_each_with_its_title(tmp_path: Path) -> None:
    Image.new("RGB", (4, 3), "red").save(tmp_path / "red.png")
    files = [saved(tmp_path, "invoice.pdf", 2), str(tmp_path / "red.png")]
    attached = opened(files)
    assert [each.title for each in attached] == ["Page 1 of invoice.pdf:", "Page 2 of invoice.pdf:", ""]
    assert [each.picture.size for each in attached] == [(600, 400), (600, 400), (4, 3)]
    first, page_1, second, page_2, red, question = ordered("What is due?", attached)
    assert (first, second, question) == ("Page 1 of invoice.pdf:", "Page 2 of invoice.pdf:", "What is due?")
    assert isinstance(page_1, Picture) and page_1 == page_2 and red == RED


def test_a_page_that_is_placed_in_the_text_takes_its_title_along(tmp_path: Path) -> None:
    attached = opened([saved(tmp_path, "a.pdf", 2)])
    parts = ordered("Compare with [image 1] please", attached)
    assert [part for part in parts if isinstance(part, str)] == [
        "Page 2 of a.pdf:",
        "Compare with",
        "Page 1 of a.pdf:",
        "please",
    ]


def test_a_pdf_with_more_pages_than_a_message_takes_is_sent_to_the_workbench(tmp_path: Path) -> None:
    assert len(opened([saved(tmp_path, "eight.pdf", 8)])) == 8
    with pytest.raises(BadInput) as caught:
        opened([saved(tmp_path, "nine.pdf", 9)])
    assert caught.value.sentence == (
        "“nine.pdf” has 9 pages, more than the 8 images that a message holds: "
        "open it in the tab Workbench and choose the pages to ask about there."
    )
    with pytest.raises(BadInput, match=r"at most 8 images, found 10 with the pages.*tab Workbench"):
        opened([saved(tmp_path, "five.pdf", 5), saved(tmp_path, "six.pdf", 5)])


def test_a_broken_pdf_in_a_message_is_named(tmp_path: Path) -> None:
    (tmp_path / "torn.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    with pytest.raises(BadInput, match=r"“torn\.pdf” is damaged or cut off"):
        opened([str(tmp_path / "torn.pdf")])


def test_a_chat_about_a_pdf_is_called_as_its_question(tmp_path: Path) -> None:
    attached = opened([saved(tmp_path, "a.pdf", 2)])
    assert title_of(ordered("What is due?", attached), Task.CHAT, "") == "What is due?"
    assert title_of(ordered("", attached), Task.CHAT, "") == "2 images"


def test_pages_are_not_asked_about_so_that_only_the_last_one_counts() -> None:
    pages = [Attached(RED, "Page 1 of a.pdf:"), Attached(BLUE, "Page 2 of a.pdf:")]
    with pytest.raises(BadInput, match=r"'Detect' is about one image and there are 2 pages: .*Workbench"):
        check_task(pages, Task.DETECT, "Detect", False, "circle")
    with pytest.raises(BadInput, match="There are 2 pages and no question"):
        check_task(pages, Task.CHAT, "Chat", False, "  ")
    check_task(pages, Task.CHAT, "Chat", False, "What is due?")
    check_task(pages, Task.OCR, "Read text", True, "")
    check_task(pages[:1], Task.DETECT, "Detect", False, "")
    check_task(TWO, Task.DETECT, "Detect", False, "")


def test_the_pages_of_a_pdf_count_as_images_before_it_is_sent(tmp_path: Path) -> None:
    broken, photo = tmp_path / "b.pdf", tmp_path / "c.png"
    broken.write_bytes(b"%PDF-1.7 and nothing else")
    RED.pixels.save(photo)
    assert images_in([str(photo), saved(tmp_path, "three.pdf", 3)]) == 4
    assert images_in([str(broken)]) == 1  # refused by name when it is sent
