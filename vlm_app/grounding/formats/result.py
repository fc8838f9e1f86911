"""What is exported: the regions of an answer with the images that they lie on."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from vlm_app.errors import BadInput
from vlm_app.types import Answer, Region

if TYPE_CHECKING:
    from PIL.Image import Image

TEXT = "text line"  # the class of located text: a class for each line of a page would be no class
NAMELESS = "object"  # the class of a region without a label


@dataclass(frozen=True, slots=True)
class Source:
    """An image: its name, its (width, height) in pixels, and its pixels where they are at hand.

    The size is (0, 0) where a file that was read does not say it. Of a long document the pixels
    are not all held: `load` opens them when they are needed, and nobody keeps them.
    """

    name: str
    size: tuple[int, int]
    pixels: Image | None = None
    load: Callable[[], Image] | None = field(default=None, compare=False)

    def opened(self) -> Image:
        """Its pixels, RGB. Raises BadInput where there are none."""
        if self.pixels is not None:
            return self.pixels
        if self.load is None:
            raise BadInput(f"The pixels of '{self.name}' are needed for this export: open the image first.")
        return self.load()


@dataclass(frozen=True, slots=True)
class Result:
    """An answer as it is exported; `Region.image` counts its `images`."""

    images: tuple[Source, ...] = ()
    regions: tuple[Region, ...] = ()
    text: str = ""
    model: str = ""
    task: str = ""
    query: str = ""

    def __post_init__(self) -> None:
        beyond = [region.image for region in self.regions if region.image >= len(self.images)]
        if beyond:
            raise ValueError(f"a region lies on one of {len(self.images)} images, found image {beyond[0]}")

    def on(self, image: int) -> tuple[Region, ...]:
        """The regions of one image, in their order."""
        return tuple(region for region in self.regions if region.image == image)

    @property
    def last_drawn(self) -> tuple[int, ...]:
        """The images that have regions; without any, the last image, which the answer is about."""
        drawn = tuple(sorted({region.image for region in self.regions}))
        return drawn or tuple(range(len(self.images)))[-1:]


def result_of(answer: Answer, images: Sequence[Image], names: Sequence[str], query: str = "") -> Result:
    """An answer with all images of its request and their names, such as those of their files.

    A region on an image that is not there, which a model can write without any, is left out.
    """
    sources = tuple(
        Source(name, image.size, image) for name, image in zip(unique(names), images, strict=True)
    )
    regions = tuple(region for region in answer.regions if region.image < len(sources))
    return Result(sources, regions, answer.text, answer.model, str(answer.task), query)


def unique(names: Iterable[str]) -> list[str]:
    """The last parts of names, those that were given before with a number: 'a.png', 'a-2.png'."""
    taken: set[str] = set()
    found = []
    for name in names:
        last = PurePosixPath(name.replace("\\", "/")).name
        path = PurePosixPath(plain(last).strip(". ") or "image")
        one, number = path.name, 1
        while one.casefold() in taken:  # a disk may not tell upper from lower case
            number += 1
            one = f"{path.stem}-{number}{path.suffix}"
        taken.add(one.casefold())
        found.append(one)
    return found


def plain(text: str) -> str:
    """Text on one line without what XML and YAML cannot hold: controls and lone surrogates."""
    shown = (" " if _unfit(character) else character for character in text)
    return " ".join("".join(shown).split())


def _unfit(character: str) -> bool:
    nonsense = ord(character) & 0xFFFE == 0xFFFE  # U+FFFE and U+FFFF of each plane are no characters
    return nonsense or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def class_of(region: Region) -> str:
    """The class of a region in formats that have classes: its label on one line.

    Located text whose label is the text itself is of the class 'text line'; see `with_class`.
    """
    if region.text is not None and region.label in ("", region.text):
        return TEXT
    return plain(region.label) or NAMELESS


def classes(regions: Iterable[Region]) -> list[str]:
    """The classes of regions, each once, in the order in which they first appear."""
    return list(dict.fromkeys(class_of(region) for region in regions))


def with_class(region: Region, name: str) -> Region:
    """A region that was read, labelled by its class; of the class 'text line', by its text."""
    return replace(region, label=region.text if name == TEXT and region.text else name)
