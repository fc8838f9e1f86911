"""RapidOCR on the page: a model that runs here, beside those that transformers loads."""

from __future__ import annotations

from vlm_app.catalog import catalog, choose
from vlm_app.engine.packages import fit
from vlm_app.types import Runs, Task
from vlm_app.ui import beside, model_bar, verdicts
from vlm_app.ui.models_page import _place
from vlm_app.ui.models_table import counted, table, where

ROW = catalog()["rapidocr"]


def test_it_can_be_picked_and_does_its_tasks_only() -> None:
    assert ROW in model_bar.runnable(catalog())
    assert [task for _, task in model_bar.tasks(ROW)] == ["ocr", "ocr_regions"]
    assert model_bar.completes(ROW) == "It does its tasks only."


def test_a_reading_can_be_asked_of_it_again_and_a_chat_cannot() -> None:
    rows = list(catalog().values())
    again = beside.models(rows, Task.OCR, 3, ready=(), room=10**9)
    assert "rapidocr" in [choice.model for choice in again]
    assert "rapidocr" not in [choice.model for choice in beside.models(rows, Task.CHAT, 1, ready=(), room=0)]


def test_the_table_of_models_says_here_and_names_the_package_instead_of_the_hub() -> None:
    html = table([ROW], ["rapidocr"])
    assert where(ROW) == "Here" and 'class="where in-process"' in html and 'data-act="chat-with"' in html
    assert "package rapidocr" in html and "downloads nothing" in html
    assert "huggingface.co" not in html and "not checked yet" not in html
    assert counted(1, [ROW]) == "1 models, 1 of them run here"
    assert _place(ROW) == Runs.IN_PROCESS  # the filter 'Here' finds it


def test_its_memory_is_told_like_a_models() -> None:
    cells = verdicts.column([ROW], (), lambda model, precision: fit(precision, 8 * 10**9))
    assert "Fits" in cells and "860 MB" in cells
    assert ROW in choose([ROW], memory=10**9)
