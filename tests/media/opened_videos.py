"""Videos that are opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.media.video_files import number_of
from vlm_app.media.videos import open_video
from vlm_app.settings import settings

Limits = Callable[..., None]


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[Limits]:
    """Sets limits as the environment would."""

    def set_limits(**values: float) -> None:
        settings.cache_clear()
        for key, value in values.items():
            monkeypatch.setenv(f"VLM_APP_{key.upper()}", str(value))

    yield set_limits
    settings.cache_clear()


def shown(path: Path, times: list[float]) -> list[tuple[float, int]]:
    """The time and the number of each frame."""
    with open_video(path) as video:
        return [(time, number_of(picture)) for time, picture in video.frames(times)]
