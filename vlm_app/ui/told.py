"""Errors as a visitor sees them."""

from __future__ import annotations

import logging
from typing import Any

import gradio as gr

from vlm_app.errors import AppError
from vlm_app.store import new_id

log = logging.getLogger(__name__)


class Told:
    """Whatever goes wrong inside becomes one sentence on the page; a bug also a traceback in the log."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> bool:
        if isinstance(error, AppError):
            gr.Warning(error.sentence, title="")
        elif isinstance(error, Exception):
            id = new_id()[-8:]
            log.error("something went wrong (id %s)", id, exc_info=error)
            gr.Warning(f"Something went wrong here (id {id}). Your message is kept: try again.", title="")
        return isinstance(error, Exception)
