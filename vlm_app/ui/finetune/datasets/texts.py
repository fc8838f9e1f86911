"""The training text of an example for a model: its processor is enough, no weights are loaded."""

from __future__ import annotations

from html import escape
from threading import Lock

from vlm_app import hub
from vlm_app.catalog import catalog
from vlm_app.engine.processors import processor
from vlm_app.errors import AppError
from vlm_app.finetune.examples import Example
from vlm_app.finetune.preview import Preview, preview
from vlm_app.settings import settings
from vlm_app.types import Checkpoint
from vlm_app.ui.finetune.datasets import lesson
from vlm_app.ui.finetune.runs.bases import why_not


class Texts:
    """Training texts, one at a time: a tokenizer serves one thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._last = ""  # the model whose processor was used last

    def ready(self, model: str) -> bool:
        """Whether its text is there at once."""
        return bool(model) and model == self._last

    def chosen(self, model: str) -> str:
        """The model that is meant: the usual one where it cannot be taught, or is not known."""
        rows = catalog()
        usual = settings().model if settings().model in rows else "pebble"
        return model if model in rows and not why_not(rows[model]) else usual

    def picker(self, model: str) -> str:
        models = [row for row in catalog().values() if not why_not(row)]
        disk = hub.on_disk()
        here = frozenset(row.id for row in models if row.source in disk or row.source.startswith("/"))
        return lesson.picker(models, model, here)

    def html(self, example: Example, model: str) -> str:
        """The text, or a sentence why that model cannot be taught the example."""
        row = catalog()[model]
        try:
            return lesson.text(self._seen(example, row))
        except AppError as error:
            return f'<div class="notice"><span>{escape(error.sentence)}</span></div>'

    def _seen(self, example: Example, row: Checkpoint) -> Preview:
        with self._lock:
            seen = preview(example, row, processor(row))
            self._last = row.id
            return seen
