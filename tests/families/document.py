"""Writes docs/families.md from the code: `python -m tests.families.document`."""

from __future__ import annotations

from pathlib import Path

from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from tests.families import checkpoints
from vlm_app import families
from vlm_app.families import Family
from vlm_app.types import Task

DOCUMENT = Path(__file__).parents[2] / "docs" / "families.md"
_HEAD = """\
# Model families

How each family of models is asked and read, generated from the code by
`python -m tests.families.document`.

- **Class** is the one of transformers that runs the family in this process, or several; without
  one a server must run it, and where no common server loads it, its answers can only be read.
- **Video**: *whole* is a clip that the model's processor takes as a video, with the times of its
  frames; elsewhere, and on servers, each frame is an image behind its number and time, as many as
  the model takes images, or *one frame*.
- **Tested**: *tiny* is a checkpoint of random weights, one of each of these classes, that is
  loaded, quantized, encoded, generated from and read; *taught* means that it was trained on
  four boxes or points until it repeated them through the engine; *parser* is a table of
  documented answers, fuzzing, and, where the family writes coordinates, a round trip; *server*
  means that each of its tasks was asked in its own words through a server of the OpenAI
  protocol on the same computer, and the answer read.
- **Run on real weights** is 'not yet' until somebody ran `vlm-app verify` on them and
  wrote down when and where. Nothing here claims more.

| family | class | tasks | coordinates | images | video | runs | tested | run on real weights |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""


def document() -> str:
    return _HEAD + "".join(f"{_line(families.get(name))}\n" for name in families.names())


def _line(family: Family) -> str:
    name = f"`{family.name}`" + (f" {family.title}" if family.title else "")
    cells = (
        name,
        _classes(family),
        ", ".join(task.replace("_", " ") for task in Task if task in family.tasks),
        family.convention or "none",
        "any number" if family.max_images is None else str(family.max_images),
        _video(family),
        _runs(family),
        _tested(family),
        family.verified or "not yet",
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _classes(family: Family) -> str:
    """The classes of transformers that its model types name, its own one first."""
    if not family.native:
        return "none"
    named = {MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES[kind] for kind in family.model_types}
    return ", ".join(f"`{name}`" for name in [family.native, *sorted(named - {family.native})])


def _video(family: Family) -> str:
    if family.native_video:
        return "whole"
    return "one frame" if family.max_images == 1 else "frames"


def _runs(family: Family) -> str:
    places = ["in process"] * bool(family.native)
    if family.package:
        places.append(f"in process: package {family.package}")
    if family.servers:
        places.append(f"server: {', '.join(family.servers)}")
    return "; ".join(places) or "parser only"


def _tested(family: Family) -> str:
    if family.name == "pebble" or family.package:
        return "its own weights"
    built = family.name in {checkpoints.family(name).name for name in checkpoints.names()}
    taught = built and bool(family.convention)
    served = bool(family.servers) or not family.native
    return ", ".join(["tiny"] * built + ["taught"] * taught + ["parser"] + ["server"] * served)


if __name__ == "__main__":
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(document())
