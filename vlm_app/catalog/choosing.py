"""Which rows of the catalog somebody wants to see, and how much memory a model needs."""

from __future__ import annotations

from collections.abc import Iterable

from vlm_app.types import Checkpoint, Runs, Task

# Bits of a weight. NF4 with double quantization: 4 and 0.127 for its constants (arXiv:2305.14314).
_BITS = {"fp32": 32.0, "bf16": 16.0, "fp16": 16.0, "auto": 16.0, "int8": 8.0, "nf4": 4.127}
SMALLEST = "nf4"


def memory(checkpoint: Checkpoint, precision: str = SMALLEST) -> int:
    """An estimate of the bytes that the weights take in a precision; 0 where it is not known.

    Parameters × bytes of one: what activations and the cache take comes on top.
    """
    return round(checkpoint.parameters * _BITS[precision] / 8)


def choose(
    rows: Iterable[Checkpoint],
    *,
    task: Task | None = None,
    memory: int | None = None,
    permissive: bool | None = None,
    language: str | None = None,
    family: str | None = None,
    text: str = "",
) -> list[Checkpoint]:
    """The rows that fit, in their order; what is None or empty is not asked for.

    `memory` is in bytes, and compared with what the smallest precision takes. Where a row
    does not say what is asked for, it does not fit. Every word of `text` stands somewhere
    in the row.
    """
    words = text.casefold().split()
    return [
        row
        for row in rows
        if (task is None or task in row.tasks)
        and (memory is None or _fits(row, memory))
        and (permissive is None or row.permissive is permissive)
        and (language is None or language.casefold() in row.languages)
        and (family is None or row.family == family)
        and all(word in _text(row) for word in words)
    ]


def _fits(row: Checkpoint, limit: int) -> bool:
    """A service's model needs no memory here, a package's engine little; what nothing loads fits nowhere."""
    if row.runs is Runs.PARSER_ONLY:
        return False
    return row.runs in (Runs.HOSTED, Runs.PACKAGE) or 0 < memory(row) <= limit


def _text(row: Checkpoint) -> str:
    facts = (row.id, row.name, row.family, row.source, row.licence, row.knows)
    return " ".join((*facts, row.encoder, row.connector, row.backbone, row.runs)).casefold()
