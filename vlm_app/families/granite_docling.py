"""Granite-Docling (IBM, 2025): a page as DocTags, its blocks with their text and places.

`<doctag><section_header_level_1><loc_88><loc_53><loc_413><loc_75>Title</section_header_level_1>
…</doctag>`: left, top, right, bottom of 500 a side; captions lie in their picture or table,
tables are OTSL cells. Its class is Idefics3's. Sources: the model card (instructions), a
copy of its template, and the samples in docling-core's tests. Charts, formulas, code and
tables alone are asked for in a chat: 'Convert chart to table.', 'Convert formula to LaTeX.',
'Convert code to text.', 'Convert table to OTSL.'
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.idefics3 import Idefics3
from vlm_app.families.reading import Reader, box, read_markup, scaled
from vlm_app.types import Picture, Region, Seen, Task

_SIDE = 500
_BLOCKS = (
    "text|paragraph|title|section_header_level_[1-9]|page_header|page_footer|list_item|caption|footnote|formula"
    "|code|picture|otsl|chart|reference|form|key_value_region|checkbox_selected|checkbox_unselected"
    "|document_index|smiles"
)
_FRAMES = "doctag|unordered_list|ordered_list|group|inline|page_break"
_CELLS = "fcel|ecel|lcel|ucel|xcel|ched|rhed|srow|nl"
_KINDS = "|".join(  # what a picture may be, and the language of code
    ("pie_chart|bar_chart|stacked_bar_chart|line_chart|flow_chart|scatter_chart|heatmap|natural_image|logo",
     "icon|signature|stamp|qr_code|bar_code|screenshot|map|stratigraphic_chart|cad_drawing|other|_[\\w+#]{1,30}_",
     "remote_sensing|picture_group|molecular_structure|chemistry_structure|markush_structure|engineering_drawing")
)  # fmt: skip
_NAMES = re.compile(rf"(?P<block>{_BLOCKS})|(?P<frame>{_FRAMES})|(?P<cell>{_CELLS})|(?P<kind>{_KINDS})")
_TAG = re.compile(rf"<loc_(?P<loc>\d{{1,3}})>|<(?P<close>/?)(?P<name>{_BLOCKS}|{_FRAMES}|{_CELLS}|{_KINDS})>")
_OPENED = re.compile(r"</?(?:[a-z_][\w+#]{0,40})?\Z")
_OTHER = (
    "<|start_of_role|>",
    "<|end_of_role|>",
    "<fake_token_around_image>",
    "<global-img>",
    "<image>",
    "<|pad|>",
)
_PROMPTS = {
    Task.OCR: "Convert this page to docling.",
    Task.OCR_REGIONS: "Convert this page to docling.",
}


class GraniteDocling(Idefics3):
    name = "granite_docling"
    title = "Granite-Docling"
    model_types = frozenset()  # 'idefics3', which is the other family's
    servers = ("vLLM", "llama.cpp", "Ollama")  # type: ignore[assignment]  # there a single name
    max_images = 1
    text_only = False
    prompts = _PROMPTS
    tasks = frozenset({Task.CHAT, *_PROMPTS})
    markup = re.compile(rf"</?(?:{_BLOCKS}|{_FRAMES}|{_CELLS}|{_KINDS}|loc_\d{{1,3}})>")
    end = "<|end_of_text|>"
    convention = "0–500 of the page, x first"
    grid = _SIDE

    def seen(self, processor: Any, pictures: Sequence[Picture], options: dict[str, Any]) -> Seen:
        seen = super().seen(processor, pictures, options)
        return replace(seen, convention=self.convention) if pictures else seen

    def parse(
        self,
        text: str,
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
        images: Sequence[Size] = (),
    ) -> Parsed:
        page = _Page(Reader(), max(len(images) - 1, 0))
        read_markup(text, page.reader, _TAG, page.tag, opened=_OPENED, control=_OTHER, end=self.end)
        return Parsed(page.reader.out, tuple(page.regions))

    def write(
        self,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
    ) -> str:
        return f"<doctag>{chr(10).join(map(_block, regions))}\n</doctag>"


@dataclass
class _Open:
    """A block whose end has not come: where its text starts, and the numbers of its place."""

    name: str
    start: int
    locs: list[int] = field(default_factory=list)


@dataclass
class _Page:
    """Reads tags from left to right; a block's region is known when it closes."""

    reader: Reader
    image: int
    regions: list[Region] = field(default_factory=list)
    blocks: list[_Open] = field(default_factory=list)

    def tag(self, match: re.Match[str]) -> None:
        if match["loc"] is not None:
            if self.blocks and len(self.blocks[-1].locs) < 4:
                self.blocks[-1].locs.append(int(match["loc"]))
            return
        name = match["name"]
        kind = _NAMES.fullmatch(name)
        sort = kind.lastgroup if kind else ""
        if sort == "cell":
            self.reader.prose("\n" if name == "nl" else "\t")
        elif sort == "frame" or (sort == "block" and not match["close"]):
            self.reader.prose("\n")
        if sort == "block":
            self._block(name, bool(match["close"]))

    def _block(self, name: str, close: bool) -> None:
        if not close:
            self.blocks.append(_Open(name, len(self.reader.out)))
        elif name in (one.name for one in self.blocks):
            while (one := self.blocks.pop()).name != name:
                pass  # never closed: its text stands, its place is unsure
            self._add(one)
            self.reader.prose("\n")

    def _add(self, block: _Open) -> None:
        content = self.reader.out[block.start :].strip()
        if not content:
            content = block.name
            self.reader.prose(content)
        end = len(self.reader.out)
        shape = box(block.locs, _SIDE, _SIDE)
        if shape is not None:
            span = (end - len(content), end)
            self.regions.append(Region(block.name, shape, self.image, content, span=span))


def _block(region: Region) -> str:
    from vlm_app.grounding import bounds

    known = _NAMES.fullmatch(region.label)
    name = region.label if region.text and known and known.lastgroup == "block" else "text"
    places = "".join(f"<loc_{unit}>" for unit in scaled(bounds(region.shape).xyxy, _SIDE, _SIDE))
    return f"<{name}>{places}{region.text or region.label}</{name}>"


FAMILY = GraniteDocling()
