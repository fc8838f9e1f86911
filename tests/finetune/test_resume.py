"""A run that was cut off goes on as if it had not been."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.finetune.teaching import QUIET, run, tiny_base

pytestmark = [pytest.mark.filterwarnings(line) for line in QUIET]


@pytest.fixture(autouse=True)
def base(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_base(monkeypatch)


def test_a_resumed_run_has_the_losses_of_one_that_was_not_interrupted(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", dropout=0.1, accumulation=2).go()
    cut = run(tmp_path / "cut", dropout=0.1, accumulation=2)
    asked = iter([False, False, False, True])
    cut.go(lambda: next(asked)).go()
    assert list(cut.losses) == list(whole.losses)
    assert cut.losses == pytest.approx(whole.losses, abs=1e-3)
    assert cut.held_out_losses[-1] == pytest.approx(whole.held_out_losses[-1], abs=1e-3)
    assert cut.adapter.is_dir()
