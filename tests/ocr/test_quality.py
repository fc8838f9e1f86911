"""The character error rates that the README states."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks import ocr
from benchmarks.ocr_pages import KINDS, PLAN, SPOILT, pages
from tests.sizes import OCR_PAGES
from vlm_app.catalog import catalog
from vlm_app.engine import Engine, LocalBackend


@pytest.fixture(scope="module")
def models() -> Iterator[Engine]:
    models = Engine(catalog(), LocalBackend())
    yield models
    models.close()


@pytest.mark.timeout(1800)
def test_pages_are_read_as_well_as_promised(models: Engine) -> None:
    found = ocr.measure(models, OCR_PAGES)
    assert ocr.clean(found) and ocr.degraded(found)
    assert ocr.rate(ocr.clean(found)) <= ocr.MOST_CLEAN
    assert ocr.rate(ocr.degraded(found)) <= ocr.MOST_DEGRADED
    for row in ocr.table(found):
        assert row["CER %"] <= 100 * ocr.MOST_DEGRADED, row


def test_the_thirty_pages_hold_every_kind_and_every_way_to_spoil_one() -> None:
    assert len(PLAN) == 30 and len(set(PLAN[:10])) == 5
    assert {kind for kind, _ in PLAN} == set(KINDS)
    assert {state for _, state in PLAN} == {"clean", *SPOILT}
    one, again = next(pages([13])), next(pages([13]))
    assert one.text == again.text and one.image.tobytes() == again.image.tobytes()


@pytest.mark.parametrize(
    ("truth", "read", "wrong"),
    [
        ("Total  EUR\n12", "Total EUR 12", 0),  # white space is one space
        ("Total EUR", "TotalEUR", 1),
        ("café", "cafe", 1),
        ("one two", "two one", 6),
        ("abc", "", 3),
        ("", "abc", 3),
        ("kitten", "sitting", 3),
    ],
)
def test_errors_are_counted_in_characters(truth: str, read: str, wrong: int) -> None:
    assert ocr.errors(truth, read) == (wrong, len(" ".join(truth.split())))
