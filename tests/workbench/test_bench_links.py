"""Pages and times that an answer names can be followed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from vlm_app.workbench.links import links
from vlm_app.workbench.sheet import Kind, Page, Sheet

NOW = datetime.now(UTC)
DOCUMENT = Sheet(
    "s",
    "ada",
    "report.pdf",
    Kind.DOCUMENT,
    tuple(Page(f"p{number}", f"Page {number}", (10, 10), number) for number in range(1, 13)),
    NOW,
)
VIDEO = Sheet(
    "s",
    "ada",
    "film.mp4",
    Kind.VIDEO,
    tuple(Page(f"t{second}.000", f"0:{second:02}", (10, 10), None, float(second)) for second in (2, 12, 30)),
    NOW,
    60.0,
)
IMAGES = Sheet(
    "s",
    "ada",
    "2 images",
    Kind.IMAGES,
    (Page("i0", "b.png", (10, 10)), Page("i1", "ab.png", (10, 10))),
    NOW,
)


def linked(text: str, sheet: Sheet) -> list[tuple[str, str]]:
    return [(text[link.start : link.end], link.key) for link in links(text, sheet)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The total is on page 3.", [("page 3", "p3")]),
        ("Page 12 names it, see also p. 4", [("Page 12", "p12"), ("p. 4", "p4")]),
        ("pages 2, 5 and 7", [("pages 2", "p2"), ("5", "p5"), ("7", "p7")]),
        ("pages 2–4", [("pages 2", "p2"), ("4", "p4")]),
        ("page 99 is not there", []),
        ("page 99 and 3", [("3", "p3")]),
        ("homepage 3, 12 pages, page three, page 33333", []),
        ("Page 2: a list\n\nPage 3: a table", [("Page 2", "p2"), ("Page 3", "p3")]),
        ("", []),
    ],
)
def test_pages_that_are_named_are_links(text: str, expected: list[tuple[str, str]]) -> None:
    assert linked(text, DOCUMENT) == expected


def test_times_lead_to_the_nearest_frame() -> None:
    text = "The dog jumps at 0:14 and lands at 0:28, long before 59:00."
    assert [(text[link.start : link.end], link.key, link.seconds) for link in links(text, VIDEO)] == [
        ("0:14", "t12.000", 14.0),
        ("0:28", "t30.000", 28.0),
    ]


def test_a_video_without_frames_still_has_its_times() -> None:
    bare = Sheet("s", "ada", "film.mp4", Kind.VIDEO, (), NOW, 60.0)
    (link,) = links("at 0:14", bare)
    assert (link.key, link.seconds) == ("", 14.0)


def test_names_of_images_are_links_where_there_are_several() -> None:
    assert linked("ab.png is darker than b.png", IMAGES) == [("ab.png", "i1"), ("b.png", "i0")]
    alone = Sheet("s", "ada", "b.png", Kind.IMAGES, IMAGES.pages[:1], NOW)
    assert linked("b.png is dark", alone) == []
    assert linked("page 1 at 0:10", IMAGES) == []
