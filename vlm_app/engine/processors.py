"""A model's processor without its weights: enough to see what the model would read."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from vlm_app import hub
from vlm_app.engine.libraries import import_transformers
from vlm_app.engine.loading import set_library_defaults
from vlm_app.errors import ModelUnavailable
from vlm_app.types import Checkpoint


def processor(checkpoint: Checkpoint) -> Any:
    """The processor of a checkpoint whose files are here; nothing is downloaded.

    Raises `ModelUnavailable` where they are not, or cannot be read.
    """
    folder = Path(checkpoint.source)
    if not folder.is_absolute():
        if checkpoint.source not in hub.on_disk():
            raise ModelUnavailable(
                f"{checkpoint.name} is not on this computer: load it once on the tab Models to see its text."
            )
        folder = hub.download(checkpoint)
    set_library_defaults()
    import_transformers()
    try:
        return _processor(folder)
    except (OSError, ValueError, KeyError) as error:
        raise ModelUnavailable(
            f"The processor of {checkpoint.name} cannot be read: its files are damaged or incomplete; "
            "download it again or choose another model."
        ) from error


@lru_cache(maxsize=2)
def _processor(folder: Path) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
