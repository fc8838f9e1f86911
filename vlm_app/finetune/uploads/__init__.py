"""Datasets that people bring: recognised, checked row by row, and kept as examples.

`read_dataset` gives rows and problems, `check` says what taking them in would do, `take_in` does it.
docs/datasets.md describes the formats and the checks.
"""

from vlm_app.finetune.uploads.reading import Reading, read_dataset
from vlm_app.finetune.uploads.rows import Problem, Report, Row
from vlm_app.finetune.uploads.spaces import Space
from vlm_app.finetune.uploads.tables import TAKEN
from vlm_app.finetune.uploads.taking import check, take_in
from vlm_app.finetune.uploads.workroom import sweep

__all__ = [
    "TAKEN",
    "Problem",
    "Reading",
    "Report",
    "Row",
    "Space",
    "check",
    "read_dataset",
    "sweep",
    "take_in",
]
