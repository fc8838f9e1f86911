"""What becomes of datasets on their way in that nobody looks at any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.finetune.test_child import soon
from vlm_app.finetune import arrival
from vlm_app.finetune.arrival import ENDED
from vlm_app.finetune.arrivals import Arrivals
from vlm_app.finetune.examples import Examples
from vlm_app.store import Store


def test_what_became_of_an_upload_is_forgotten_when_nobody_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "data")
    arrivals = Arrivals(Examples(store))
    came = arrivals.begin("ada", "nothing.csv")
    arrivals.file("ada", came.id, "nothing.csv").close()
    arrivals.came("ada", came.id)

    def ended() -> bool:
        now = arrivals.of("ada")
        return now is not None and now.stage in ENDED

    soon(ended)
    arrivals.begin("eve", "first.csv")
    assert ended()  # a reload shows it
    monkeypatch.setattr(arrival, "_WAITS", -1.0)
    arrivals.begin("bob", "second.csv")
    assert arrivals.of("ada") is None
    arrivals.close()
    store.close()
