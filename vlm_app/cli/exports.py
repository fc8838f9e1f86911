"""`vlm-app ask --export FORMAT FILE`: the answer in the formats of other tools."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vlm_app.cli.given import Given
from vlm_app.errors import BadInput
from vlm_app.types import Answer

if TYPE_CHECKING:
    from PIL.Image import Image


def add(ask: argparse.ArgumentParser) -> None:
    """Its argument."""
    ask.add_argument(
        "--export",
        nargs=2,
        action="append",
        default=[],
        metavar=("FORMAT", "FILE"),
        help="save the answer in a format of docs/exports.md; may be given several times",
    )


def check(wanted: Sequence[Sequence[str]], images: int) -> None:
    """Before the model is asked: an answer must not be lost to a wrong path.

    Raises:
        BadInput: a format that is not there or has no image to show, or a file that cannot be.
    """
    if not wanted:
        return
    from vlm_app.grounding.formats import named

    for name, file in wanted:
        if named(name).pictured and not images:
            raise BadInput(f"An export as '{name}' shows images and there are none: give one first.")
        if not can_be_saved(Path(file)):
            raise BadInput(
                f"The export cannot be saved as '{file}': expected a file in a folder that exists."
            )
    if len({Path(file).resolve() for _, file in wanted}) < len(wanted):
        raise BadInput("Two exports were given the same file: give each its own.")


def can_be_saved(path: Path) -> bool:
    """Whether a path names a file, there or not, in a folder that exists."""
    try:
        return path.parent.is_dir() and not path.is_dir()
    except (OSError, ValueError):  # a name that is too long, or one with a NUL
        return False


def save(wanted: Sequence[Sequence[str]], about: Sequence[Given], answer: Answer, query: str) -> None:
    """Write the files that `check` found possible."""
    if not wanted:
        return
    from vlm_app.grounding.formats import Result, Source, exported
    from vlm_app.grounding.formats.result import unique

    names = unique(each.name for each in about)
    images = tuple(
        Source(name, each.size, load=partial(_pixels, each)) for name, each in zip(names, about, strict=True)
    )
    regions = tuple(region for region in answer.regions if region.image < len(images))
    result = Result(images, regions, answer.text, answer.model, str(answer.task), query)
    for name, file in wanted:
        try:
            Path(file).write_bytes(exported(result, name))
        except OSError as error:
            raise BadInput(f"The export cannot be saved as '{file}': {error.strerror}.") from None


def _pixels(one: Given) -> Image:
    return one.picture().pixels
