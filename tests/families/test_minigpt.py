"""MiniGPT-v2: boxes in braces, hundredths of a side."""

from __future__ import annotations

import pytest

from vlm_app import families
from vlm_app.types import Task


@pytest.mark.parametrize(
    ("raw", "text", "found"),
    [
        # The demo's own example of two places of one phrase.
        (
            "<p>sofas</p> {<57><49><70><72>}<delim>{<26><48><43><71>}",
            "sofas",
            [("sofas", (0.57, 0.49, 0.7, 0.72)), ("sofas", (0.26, 0.48, 0.43, 0.71))],
        ),
        ("{<5><6><70><72>}</s>", "a dog", [("a dog", (0.05, 0.06, 0.7, 0.72))]),  # [refer]: no phrase
        (
            "A man in <p>a suit</p> {<7><35><56><88>} and <p>塔</p> {<9><8><7><6>}",
            "A man in a suit and 塔",
            [("a suit", (0.07, 0.35, 0.56, 0.88)), ("塔", (0.07, 0.06, 0.09, 0.08))],
        ),
        ("<p>a</p> {<1><2><3>} <p>b</p> {<1><2><3><104>}", "a, b", [("b", (0.01, 0.02, 0.03, 1.0))]),
        ("<p>a</p> {<1><2><300><4>}", "a", []),
        ("<p>a</p> {<1><2><3><4>}<delim>{<1><", "a", [("a", (0.01, 0.02, 0.03, 0.04))]),
        ("Two <p>sof", "Two", []),
        ("", "", []),
    ],
)
def test_minigpt_v2_s_boxes_are_hundredths(
    raw: str, text: str, found: list[tuple[str, tuple[float, ...]]]
) -> None:
    parsed = families.get("minigpt4").parse(raw, image_size=(300, 200), asked=(Task.CHAT, "a dog"))
    assert parsed.text == text
    assert [region.label for region in parsed.regions] == [label for label, _ in found]
    assert [region.shape.xyxy for region in parsed.regions] == [pytest.approx(box) for _, box in found]


def test_minigpt_v2_s_boxes_are_written_as_they_are_read() -> None:
    family = families.get("minigpt4")
    raw = "<p>sofas</p> {<57><49><70><72>} <p>a dog</p> {<26><48><43><71>}"
    assert family.write(family.parse(raw, image_size=(300, 200)).regions, image_size=(300, 200)) == raw
