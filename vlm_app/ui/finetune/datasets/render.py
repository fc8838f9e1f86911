"""Datasets as HTML: pure functions. Everything that a person, a file or a model wrote is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from vlm_app.finetune.examples import Dataset


def listed(datasets: Sequence[Dataset], current: str) -> str:
    """The list of datasets, one of them open."""
    return "".join(
        f'<li data-dataset="{escape(each.id, quote=True)}">{escape(each.name)} '
        f"<small>{each.size:,}</small></li>"
        for each in datasets
    )
