"""A Space that was built with a model's files fetches none of them again."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import snapshot_download

from tests.hub.fake_hub import FakeHub
from vlm_app import hub as room
from vlm_app.settings import settings
from vlm_app.types import Checkpoint, Task

ROW = Checkpoint("qwen", "Qwen", "qwen2_5_vl", "some/qwen", frozenset({Task.CHAT}))


@pytest.mark.parametrize(("place", "again"), [("space", False), ("zerogpu", False), ("laptop", True)])
def test_the_files_of_the_build_are_used(
    place: str, again: bool, hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VLM_APP_PLACE", place)
    settings.cache_clear()
    built = tmp_path / ".cache" / "huggingface" / "hub"
    snapshot_download(ROW.source, cache_dir=built)
    hub.asked.clear()
    folder = room.download(ROW)
    assert folder.is_relative_to(settings().data if again else built)
    assert any(path.startswith("/large/") for path in hub.asked) is again
    assert room.on_disk() == {ROW.source}
