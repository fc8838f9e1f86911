"""RapidOCR from the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ocr.printed import LINES, printed
from vlm_app.catalog import catalog
from vlm_app.cli import main
from vlm_app.cli.facts import explained
from vlm_app.cli.fitting import as_dict, fitted
from vlm_app.settings import settings


@pytest.fixture
def page(tmp_path: Path) -> str:
    path = tmp_path / "page.png"
    printed().rotate(90, expand=True).save(path)
    return str(path)


@pytest.mark.parametrize("chosen", [[], ["--model", "rapidocr"]])
def test_a_page_is_read_also_when_no_model_was_chosen(
    page: str, chosen: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", page, "--task", "ocr", *chosen]) == 0
    told = capsys.readouterr()
    assert told.out.replace("\n\n", "\n").splitlines() == list(LINES)
    assert told.err == "The page was turned by 90° before it was read.\n"


def test_places_are_told_a_line_each(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", page, "--task", "ocr-regions", "--model", "rapidocr"]) == 0
    assert f"  {LINES[0]}: polygon [[" in capsys.readouterr().out


def test_it_cannot_chat_and_has_nothing_to_verify(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", page, "-q", "What?", "--model", "rapidocr"]) == 2
    assert "cannot do 'chat'" in capsys.readouterr().err
    assert main(["verify", "rapidocr"]) == 2
    assert "has no weights to verify" in capsys.readouterr().err


def test_its_facts_name_the_package_and_its_measured_memory() -> None:
    row = catalog()["rapidocr"]
    text = "\n".join(map(str, (explained(row, None), *fitted(row))))
    assert "from the package rapidocr" in text and "860 MB in fp32, as measured" in text
    assert "base model" not in text and "not on the Hub" in text
    assert "fp32   860 MB: weights 160 MB" in text
    assert list(as_dict(row)["estimates"]) == ["fp32"] and as_dict(row)["fit"] is not None
    assert settings().model == "pebble"
