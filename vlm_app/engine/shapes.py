"""What is known of a checkpoint's shapes without loading it, kept in the data folder once worked out."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from vlm_app.catalog.ledger import write_whole
from vlm_app.engine.anatomy import Anatomy, Tower, Weights, anatomy, build
from vlm_app.engine.backend import LoadCancelled, Watch
from vlm_app.engine.loading import one_build
from vlm_app.engine.quantizing import own_method
from vlm_app.engine.working import Image, image
from vlm_app.hub import headers
from vlm_app.settings import settings
from vlm_app.types import Checkpoint

_log = logging.getLogger(__name__)
_VERSION = 1  # of the kept files and of the rules that wrote them


@dataclass(frozen=True, slots=True)
class Shapes:
    """A checkpoint whose config and safetensors headers are known. Sizes are in bytes.

    Where `own` is not empty, the files are quantized already, by the method of that name.
    `stored` is what the weights take in the files.
    """

    folder: Path
    anatomy: Anatomy
    image: Image  # as it sees a photograph
    stored: int
    own: str = ""


def shapes(checkpoint: Checkpoint, watch: Watch | None = None) -> Shapes | None:
    """None where the files are neither on disk nor were their headers fetched, or no class reads them.

    The first time takes about a second for a large model, later ones microseconds. With
    `watch` it waits until no other model is built; without, it is None as well while one
    is, and the next call may know more.
    """
    stamp = headers.stamp(checkpoint.source)
    if stamp is None:
        return None
    wanted = _Wanted(watch)
    try:
        return _shapes(checkpoint.source, checkpoint.family, settings().data, stamp, wanted)
    except LoadCancelled:
        if watch is not None:
            raise
        return None
    finally:
        wanted.watch = Watch()  # the cache keeps its keys: not whoever hears of this load


class _Wanted:
    """Who waits for shapes; all are equal, so that what one worked out is there for the others."""

    def __init__(self, watch: Watch | None) -> None:
        self.watch = watch or Watch()
        if watch is None:
            self.watch.cancel()  # takes its turn if it is free, and does not wait for it

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Wanted)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=256)
def _shapes(source: str, family: str, data: Path, stamp: tuple[Any, ...], wanted: _Wanted) -> Shapes | None:
    key = hashlib.sha256(repr((_VERSION, _library(), family, stamp)).encode()).hexdigest()[:32]
    kept = data / "cache" / "shapes" / f"{key}.json"
    try:
        return _read(kept)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # it was not worked out yet, or is damaged
    with one_build(wanted.watch):
        found = _worked_out(source, family)
    if found is not None:
        write_whole(kept, json.dumps(asdict(found) | {"folder": str(found.folder)}))
    return found


def _worked_out(source: str, family: str) -> Shapes | None:
    known = headers.known(source)
    if known is None:
        return None
    try:
        model = build(known.folder)
        body = anatomy(model)
        seen = image(body, known.folder, family, None)
    except Exception:  # noqa: BLE001 - logged; anything may stand in a config, and loading says what is wrong
        _log.exception("The shapes of %s could not be worked out", source)
        return None
    return Shapes(known.folder, body, seen, known.bytes, own_method(known.folder))


def _library() -> str:
    from importlib.metadata import version

    return version("transformers")


def _read(path: Path) -> Shapes:
    table = json.loads(path.read_text(encoding="utf-8"))
    body = table["anatomy"]
    return Shapes(
        folder=Path(table["folder"]),
        anatomy=Anatomy(
            **body
            | {
                "weights": Weights(**body["weights"]),
                "language": Tower(**body["language"]),
                "vision": Tower(**body["vision"]),
                "cache": tuple(map(tuple, body["cache"])),
            }
        ),
        image=Image(**table["image"]),
        stored=table["stored"],
        own=table["own"],
    )
