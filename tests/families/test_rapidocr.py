"""RapidOCR among the families: asked like others, encoded by nobody."""

from __future__ import annotations

import pytest

from vlm_app import families
from vlm_app.catalog import catalog
from vlm_app.errors import ModelUnavailable
from vlm_app.types import Runs, Task

FAMILY = families.get("rapidocr")


def test_it_reads_text_and_does_nothing_else() -> None:
    assert FAMILY.tasks == {Task.OCR, Task.OCR_REGIONS}
    assert FAMILY.ask(Task.OCR) == "Read the text."
    with pytest.raises(ModelUnavailable, match="cannot do 'chat'"):
        FAMILY.ask(Task.CHAT, "What is it?")


def test_nothing_is_encoded_for_it_and_its_text_is_kept_as_it_is() -> None:
    with pytest.raises(ModelUnavailable, match="takes no prompt"):
        FAMILY.encode(None, (), task=Task.OCR)
    assert FAMILY.parse("a <box> [1, 2]", image_size=(9, 9)).text == "a <box> [1, 2]"


def test_its_row_says_that_a_package_holds_it() -> None:
    row = catalog()["rapidocr"]
    assert row.runs is Runs.PACKAGE and row.runs.here and row.source == FAMILY.package
    assert [each.id for each in catalog().values() if each.runs is Runs.PACKAGE] == ["rapidocr"]
