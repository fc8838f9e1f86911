"""dots.ocr (rednote-hilab): the blocks of a page with their category, place and text, as JSON.

The prompts are those of `dots_ocr/utils/prompts.py` in its repository. A place is in
pixels of the image as the model saw it: `smart_resize` of `dots_ocr/utils/image_utils.py`, with
the limits of `consts.py` there. vLLM loads it; transformers has no class.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.objects import Found, read_objects
from vlm_app.families.qwen import pixels_of, shape_in, whole_patches
from vlm_app.families.reading import Reader, corners, scaled
from vlm_app.families.served import ServedFamily
from vlm_app.types import Region, Task

_LAYOUT = """Please output the layout information from the PDF image, including each layout element's bbox, \
its category, and the corresponding text content within the bbox.

1. Bbox format: [x1, y1, x2, y2]

2. Layout Categories: The possible categories are ['Caption', 'Footnote', 'Formula', 'List-item', \
'Page-footer', 'Page-header', 'Picture', 'Section-header', 'Table', 'Text', 'Title'].

3. Text Extraction & Formatting Rules:
    - Picture: For the 'Picture' category, the text field should be omitted.
    - Formula: Format its text as LaTeX.
    - Table: Format its text as HTML.
    - All Others (Text, Title, etc.): Format their text as Markdown.

4. Constraints:
    - The output text must be the original text from the image, with no translation.
    - All layout elements must be sorted according to human reading order.

5. Final Output: The entire output must be a single JSON object.
"""

_LEAST, _MOST = 3_136, 11_289_600  # pixels of an image


class DotsOcr(ServedFamily):
    name = "dots_ocr"
    title = "dots.ocr"
    servers = ("vLLM",)
    max_images = 1
    tasks = frozenset({Task.OCR, Task.OCR_REGIONS})
    convention = "pixels of the image as the model saw it, x first"
    end = "<|endofassistant|>"

    def prompt(self, task: Task, query: str) -> str:
        return _LAYOUT if task is Task.OCR_REGIONS else "Extract the text content from this image."

    def sent_size(self, size: Size) -> Size:
        return whole_patches(size, least=_LEAST, most=_MOST)

    def write(
        self,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
    ) -> str:
        blocks = []
        for region in regions:
            place = scaled(corners(region.shape), *pixels_of(image_size, input_size))
            category = "Text" if region.text else region.label
            block: dict[str, object] = {"bbox": place, "category": category}
            blocks.append(block | ({"text": region.text} if region.text else {}))
        return json.dumps(blocks, ensure_ascii=False)

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
        shape = shape_in(*pixels_of(image_size, input_size))

        def tell(found: Found) -> None:
            """A page is read by its words: they are the label, the category only where there are none."""
            reader.thing(found.text or found.label, *map(shape, found.places), read=found.text)

        return read_objects(text, reader, tell, end=self.end)


FAMILY = DotsOcr()
