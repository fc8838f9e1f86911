"""MiniGPT-4 (Zhu et al., 2023) and MiniGPT-v2 (Chen et al., 2023); read only: no common server loads them.

MiniGPT-v2 is asked by task identifiers, `[refer]`, `[detection]`, `[grounding]`, and writes
`<p>sofas</p> {<57><49><70><72>}<delim>{<26><48><43><71>}`: hundredths of the image, left,
top, right, bottom (github.com/Vision-CAIR/MiniGPT-4, demo_v2.py: `bounding_box_size = 100`).
MiniGPT-4 itself answers in words, so the identifiers are not asked here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.reading import Reader, box, corners, numbers, read_markup, scaled
from vlm_app.families.words import CAPTION, ServedInWords
from vlm_app.types import Region, Task

_BOX = r"\{(?:<-?\d{1,4}>){2,8}\}"
_BOXES = rf"{_BOX}(?:\s*<delim>\s*{_BOX}|{_BOX})*"
# With its boxes, or what a phrase without any leaves.
_WHOLE = re.compile(rf"<p>(?P<phrase>[^<{{]{{0,300}})</p>(?:\s*(?P<of>{_BOXES}))?|(?P<bare>{_BOXES})|<delim>")
_OPENED = re.compile(r"(?:<p>[^{]*|\{[<>\d-]*|<delim>[^}]*)\Z")


class MiniGPT4(ServedInWords):
    name = "minigpt4"
    title = "MiniGPT-4"
    max_images = 1
    prompts = CAPTION
    tasks = frozenset({Task.CHAT, *CAPTION})
    end = "</s>"
    convention = "0–100 of the image, x first"
    grid = 100
    phrases = True
    control = ("###", "<s>", "<Img>", "</Img>", "<ImageHere>", "</p>", "<p>", "[INST]", "[/INST]")

    def parse(
        self,
        text: str,
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
        images: Sequence[Size] = (),
    ) -> Parsed:
        reader = Reader(max(len(images) - 1, 0))

        def read(found: re.Match[str]) -> None:
            places = re.findall(_BOX, found["of"] or found["bare"] or "")
            boxes = [box(numbers(place.replace("><", " ")), 100, 100) for place in places]
            if found["phrase"] is not None:
                reader.thing(found["phrase"], *boxes)
            elif any(boxes):
                reader.thing(asked[1] if asked else "", *boxes)

        return read_markup(text, reader, _WHOLE, read, opened=_OPENED, control=self.control, end=self.end)

    def write(
        self,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
    ) -> str:
        written = []
        for region in regions:
            places = "".join(f"<{unit}>" for unit in scaled(corners(region.shape), 100, 100))
            written.append(f"<p>{region.label}</p> {{{places}}}")
        return " ".join(written)


FAMILY = MiniGPT4()
