"""MiniCPM-V up to 4.5 and MiniCPM-o (OpenBMB): chat, reading, boxes; it runs on a server.

A region is asked about in InternVL's words and answered with thousandths, spaces between
them: `<box>x0 y0 x1 y1</box>`, `<point>x y</point>`, `<quad>` with four corners; read text
as `<ref>text</ref><box>x0 y0 x1 y1</box>`. Sources: the maintainers' answers in issues 185,
772 and 982 of OpenBMB/MiniCPM-V, who add that little training went into places.
"""

from __future__ import annotations

from collections.abc import Sequence

from vlm_app.errors import BadInput
from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.reading import Reader
from vlm_app.families.served import ServedFamily
from vlm_app.families.tagged import Tags, labelled_boxes, read_tagged
from vlm_app.families.words import READS
from vlm_app.types import Region, Task

_TAGS = Tags(("<ref>", "</ref>"), (("<box>", "</box>"), ("<point>", "</point>"), ("<quad>", "</quad>")))
_OTHER = ("<|im_start|>", "<|endoftext|>", "<image>", "</image>", "<slice>", "</slice>", "<unk>", "</s>")
_GROUND = "Please provide the bounding box coordinate of the region this sentence describes: <ref>{}</ref>"


class MiniCPMV(ServedFamily):
    name = "minicpm_v"
    title = "MiniCPM-V"
    video = True
    model_types = frozenset({"minicpmv", "minicpmo"})
    servers = ("vLLM", "SGLang", "llama.cpp", "Ollama")
    tasks = frozenset({Task.CHAT, Task.GROUND, *READS})
    text_only = True
    end = "<|im_end|>"
    convention = "0–1000 of the image, x first"
    grid = 1000
    phrases = True

    def prompt(self, task: Task, query: str) -> str:
        if task is not Task.GROUND:
            return READS[task]
        if not query:
            raise BadInput(
                f"The task '{task}' needs to know what to look for: give it a query, such as 'book'."
            )
        return _GROUND.format(_TAGS.plain(query))

    def parse(
        self,
        text: str,
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
        images: Sequence[Size] = (),
    ) -> Parsed:
        query = asked[1] if asked else ""
        reader = Reader(max(len(images) - 1, 0))
        return read_tagged(text, reader, _TAGS, self.grid, query=query, control=_OTHER, end=self.end)

    def write(
        self,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
    ) -> str:
        found = labelled_boxes(self, regions, self.grid)
        return "\n".join(
            f"<ref>{label}</ref><box>{' '.join(map(str, box))}</box>"
            for label, boxes in found
            for box in boxes
        )


FAMILY = MiniCPMV()
