"""Model text becomes HTML that cannot act."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_app.ui.prose import Phrase, prose

ALLOWED = {
    "p",
    "em",
    "strong",
    "code",
    "pre",
    "ul",
    "ol",
    "li",
    "a",
    "br",
    "hr",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
}
ALLOWED |= {"blockquote", "table", "thead", "tbody", "tr", "th", "td", "s", "span"}


def test_markdown_is_rendered() -> None:
    assert prose("It is **round**.") == "<p>It is <strong>round</strong>.</p>\n"
    assert "<li>one</li>" in prose("- one\n- two")


def test_html_is_shown_not_run() -> None:
    html = prose('<script>alert(1)</script><img src=x onerror="alert(1)">')
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html


def test_pictures_are_named_not_fetched() -> None:
    html = prose("look: ![a chart](https://elsewhere.invalid/?q=secret)")
    assert "elsewhere" not in html
    assert "a chart" in html


def test_links_open_elsewhere_and_scripts_are_no_links() -> None:
    assert 'rel="noopener noreferrer nofollow"' in prose("[x](https://example.org)")
    assert "href" not in prose("[x](javascript:alert(1))")


def test_phrases_are_coloured_where_they_stand() -> None:
    html = prose("a red circle here", [Phrase(2, 12, ("m-0", "m-1"), "#0072B2")])
    assert '<span class="phrase" data-r="m-0 m-1" style="--c:#0072B2" tabindex="0">red circle</span>' in html


def test_phrase_inside_other_markup_keeps_it() -> None:
    assert re.search(
        r"<strong>a <span[^>]*>red</span> one</strong>",
        prose("**a red one**", [Phrase(4, 7, ("k",), "#000000")]),
    )


def test_phrase_over_two_paragraphs_is_left_uncoloured() -> None:
    html = prose("one\n\ntwo", [Phrase(0, 8, ("k",), "#000000")])
    assert "phrase" not in html
    assert html == "<p>one</p>\n<p>two</p>\n"


def test_overlapping_and_impossible_phrases_are_left_out() -> None:
    phrases = [
        Phrase(0, 5, ("a",), "#000000"),
        Phrase(3, 8, ("b",), "#000000"),
        Phrase(6, 60, ("c",), "#000000"),
    ]
    assert prose("red circle", phrases).count("<span") == 1


def test_lines_stay_lines_where_text_was_read_from_a_picture() -> None:
    assert prose("# 5\n  two", markdown=False) == '<p class="plain"># 5\n  two</p>'


def test_marks_that_a_model_writes_itself_are_not_ours() -> None:
    assert "<span" not in prose("\ue000\ue100red\ue001\ue100")


@settings(max_examples=200, deadline=None)
@given(
    st.text(st.sampled_from(list("<>&\"'`*_[]()!#|-\n \\~:/=xae\ue000\ue001\ue100")), max_size=60),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=3),
)
def test_no_text_makes_a_tag_or_an_attribute_of_its_own(text: str, spans: list[tuple[int, int]]) -> None:
    html = prose(text, [Phrase(start, end, ("k-0",), "#0072B2") for start, end in spans])
    for name, attributes in re.findall(r"</?([a-zA-Z0-9]+)([^>]*)>", html):
        assert name in ALLOWED
        assert not re.search(r"\son\w+\s*=", re.sub(r'"[^"]*"', '""', attributes))
