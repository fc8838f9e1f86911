"""The table of families in docs/ says what the code does."""

from __future__ import annotations

from tests.families.document import DOCUMENT, document
from vlm_app import families


def test_the_table_of_families_is_current() -> None:
    assert DOCUMENT.read_text() == document(), "run `python -m tests.families.document`"


def test_what_is_said_to_be_tested_is() -> None:
    for name in families.names():
        family = families.get(name)
        assert family.title, name
        assert bool(family.convention) == (type(family).write is not families.Family.write), name
