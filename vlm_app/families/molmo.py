"""Molmo (Ai2, 2024): chat, captions, reading and pointing; it runs on a server.

It points in XML with hundredths of a side and one decimal: `<point x="10.0" y="10.0"
alt="cat">cat</point>`, `<points x1="9.1" y1="11.7" x2=… alt="…">…</points>`. Sources:
`olmo/data/data_formatter.py` in allenai/molmo (prompts and format) and the parser of its
evaluation, which refuses numbers over 100. Counting is pointing: 'Counting the <points …>
shows a total of 5.'
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from vlm_app.errors import BadInput
from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.reading import Reader, point, read_markup
from vlm_app.families.served import ServedFamily
from vlm_app.families.tagged import begun, centre
from vlm_app.types import Region, Task

_MOST = 1200  # characters of a tag: about 60 points
_WHOLE = re.compile(
    rf"<points?\s(?P<places>[^<>]{{0,{_MOST}}})>(?P<label>[^<]{{0,300}})</points?>", re.IGNORECASE
)
_OPENED = re.compile(
    rf"<points?(?:\s[^<>]{{0,{_MOST}}}(?:>[^<]{{0,300}}(?:</?[a-z]{{0,6}})?)?)?\Z|{begun('<points')}",
    re.IGNORECASE,
)
_PLACE = re.compile(r"""\bx(\d*)\s*=\s*["']?\s*(-?\d+(?:\.\d+)?)\D*?\by\1\s*=\s*["']?\s*(-?\d+(?:\.\d+)?)""")
_ALT = re.compile(r"""\balt\s*=\s*(["'])(.*?)\1""", re.DOTALL)
_END = "<|endoftext|>"
PROMPTS: Mapping[Task, str] = {
    Task.CAPTION: "Describe this image.",
    Task.OCR: "Transcribe the text in this image.",  # ours: no official wording was found
    Task.POINT: 'Point to all occurrences of "{}"',
}


class Molmo(ServedFamily):
    name = "molmo"
    title = "Molmo"
    model_types = frozenset({"molmo"})
    servers = ("vLLM", "SGLang")
    max_images = 1
    tasks = frozenset({Task.CHAT, Task.COUNT, *PROMPTS})
    text_only = True
    end = _END
    convention = "0–100 of the image, x first"
    grid: ClassVar[int] = 1000  # a tenth of a hundredth
    pointed = frozenset({Task.POINT, Task.COUNT})
    phrases = True

    def prompt(self, task: Task, query: str) -> str:
        return pointing_prompt(task, query)

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
        query = asked[1] if asked else ""

        def read(match: re.Match[str]) -> None:
            places = [(float(x), float(y)) for _, x, y in _PLACE.findall(match["places"])]
            label = match["label"].strip() or alt(match["places"]) or query
            reader.thing(label, *(point(place, 100, 100) for place in places if max(place) <= 100))

        return read_markup(text, reader, _WHOLE, read, opened=_OPENED, control=_CONTROL, end=self.end)

    def write(
        self,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
    ) -> str:
        return " ".join(_written(label, group) for label, group in by_label(regions)) or NONE


NONE = "There are none."  # what it answers when there is nothing to point at
_CONTROL = ("<|im_start|>", "<|im_end|>")


def pointing_prompt(task: Task, query: str) -> str:
    """Ai2's words for a task; the two Molmos are asked the same."""
    form = PROMPTS[Task.POINT if task is Task.COUNT else task]
    if "{}" not in form:
        return form
    if not query:
        raise BadInput(f"The task '{task}' needs to know what to point at: give it a query, such as 'boats'.")
    return form.format(query)


def alt(attributes: str) -> str:
    """The `alt` of a tag, or ''."""
    found = _ALT.search(attributes)
    return found[2].strip() if found else ""


def by_label(regions: Sequence[Region]) -> list[tuple[str, list[Region]]]:
    """Regions under their labels, each group from left to right: the order that Ai2's formatter writes."""
    groups: dict[str, list[Region]] = {}
    for one in sorted(regions, key=lambda one: (centre(one).x, centre(one).y)):
        groups.setdefault(one.label, []).append(one)
    return list(groups.items())


def _written(label: str, group: Sequence[Region]) -> str:
    label = label.replace("<", " ").replace(">", " ").replace('"', "'")
    places = [(centre(one).x * 100, centre(one).y * 100) for one in group]
    if len(places) == 1:
        ((x, y),) = places
        return f'<point x="{x:.1f}" y="{y:.1f}" alt="{label}">{label}</point>'
    listed = " ".join(f'x{n}="{x:.1f}" y{n}="{y:.1f}"' for n, (x, y) in enumerate(places, 1))
    return f'<points {listed} alt="{label}">{label}</points>'


FAMILY = Molmo()
