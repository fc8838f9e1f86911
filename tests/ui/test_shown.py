"""Which chat a tab shows, whoever comes first."""

from __future__ import annotations

import pytest

from vlm_app.ui import shown as shown_module
from vlm_app.ui.shown import Shown


def test_a_tab_shows_what_it_opened_last() -> None:
    shown = Shown()
    assert shown.of("tab", "a") == "a" and shown.first("tab", "a")
    shown.show("tab", "b")
    assert shown.of("tab", "a") == "b" and shown.of("other", "a") == "a"


def test_who_asks_before_the_page_has_loaded_stays_where_they_asked() -> None:
    shown = Shown()
    shown.begin("tab", "", "new")
    assert not shown.first("tab", "") and shown.of("tab", "") == "new"


def test_who_left_before_the_answer_began_is_not_brought_back() -> None:
    shown = Shown()
    shown.show("tab", "b")
    shown.begin("tab", "a", "a")
    assert shown.of("tab", "a") == "b"


def test_a_program_has_no_tab() -> None:
    shown = Shown()
    shown.show("", "a")
    assert shown.first("", "b") and shown.of("", "c") == "c"


def test_the_tab_of_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown_module, "_MOST", 2)
    shown = Shown()
    for tab in "abac":
        shown.show(tab, tab)
    assert [shown.of(tab, "-") for tab in "abc"] == ["a", "-", "c"]
