"""What an adapter was taught before a run goes on from it."""

from __future__ import annotations

from pathlib import Path

from vlm_app.errors import BadInput
from vlm_app.finetune.run_folder import RunFolder


def taught_before(runs: Path, adapter: str | None) -> frozenset[str]:
    """The hashes of the pictures that an adapter was taught, and those that it went on from itself.

    Held out, they would be praised for what was learned by heart. `runs` is the folder of all runs; of
    a run that is not there any more, or cannot be read, nothing is known.
    """
    found, seen = set[str](), set[str]()
    while adapter and adapter not in seen:
        seen.add(adapter)
        folder = RunFolder(runs / adapter)  # an id that was found, and by which its run was called
        try:
            found.update(picture.sha256 for one in folder.examples("train") for picture in one.pictures)
            adapter = folder.config.adapter
        except BadInput:
            break
    return frozenset(found)
