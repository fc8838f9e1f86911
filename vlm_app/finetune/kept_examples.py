"""The examples of a run's folder, each read again whenever it is asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import overload

from vlm_app.errors import BadInput, NotFound
from vlm_app.finetune.examples import Example, example_from_dict
from vlm_app.store.images import ImageFolder


class KeptExamples(Sequence[Example]):
    """One example a line of a file, with pictures that are decoded when they are first used.

    Nobody but the caller holds an example: with it go its decoded pixels, so that thousands of
    photos take the memory of those in use. Raises `BadInput` with the line that cannot be read,
    when it is made, and `OSError` where there is no such file.
    """

    def __init__(self, file: Path, images: ImageFolder) -> None:
        self._name, self._images = file.name, images
        self._lines = tuple(file.read_bytes().splitlines())
        for place in range(len(self)):
            self._read(place)

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, place: int) -> Example: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Example, ...]: ...
    def __getitem__(self, place: int | slice) -> Example | tuple[Example, ...]:
        if isinstance(place, slice):
            return tuple(self._read(each) for each in range(*place.indices(len(self))))
        return self._read(range(len(self))[place])

    def _read(self, place: int) -> Example:
        try:
            row = json.loads(self._lines[place])
            return example_from_dict(row, [self._images.read(str(each), "") for each in row["pictures"]])
        except (ValueError, KeyError, TypeError, NotFound) as error:
            raise BadInput(
                f"Line {place + 1} of '{self._name}' of this run cannot be read: delete the run and start it "
                "again."
            ) from error
