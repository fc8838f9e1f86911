"""The style sheet as Gradio would write it: each rule, and once more for what is inside of its page."""

from __future__ import annotations

import re

import pytest

from vlm_app.ui.dress import WITHIN, script, sheet, within


@pytest.mark.parametrize(
    ("ours", "written"),
    [
        (".a, b > i { top: 0 }", f".a, b > i, {WITHIN}.a, {WITHIN}b > i {{ top: 0 }}"),
        # What is dark stands on the body, outside of Gradio's page.
        (".dark .a { top: 0 }", f".dark .a, .dark {WITHIN}.a {{ top: 0 }}"),
        ("@media print { .a { top: 0 } }", f"@media print {{ {WITHIN}.a {{ top: 0 }} }}"),
        (
            "@keyframes k { from { top: 0 } to { top: 1px } }",
            "@keyframes k { from { top: 0 } to { top: 1px } }",
        ),
        ("/* a { b } */ i { top: 0 }", f"i, {WITHIN}i {{ top: 0 }}"),
    ],
)
def test_a_rule_counts_on_the_whole_page_and_more_inside_of_gradios(ours: str, written: str) -> None:
    assert re.sub(r"\s+", " ", within(ours)) == re.sub(r"\s+", " ", written)


def test_no_rule_of_the_sheet_is_lost() -> None:
    made = sheet()
    assert made.count("{") == made.count("}") > 1000
    assert "@media (max-width: 767px)" in made and "@keyframes to-and-fro" in made and "/*" not in made


def test_the_scripts_know_the_path_of_a_proxy_before_they_use_it() -> None:
    assert script().startswith('window.vlmRoot = "";') and script().count("vlmRoot") > 5
