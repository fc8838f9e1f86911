"""The limits of a role, from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vlm_app.people import Role
from vlm_app.settings import settings


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one person of a role may take; None: no limit but the machine's.

    `bytes` is of one image, `document_bytes` of one document, `video_bytes` of one video, `pixels` of
    one image, `images` of one message, `pages` of one document, `files` of one upload, `requests` of
    one minute; `answers` and `runs` are those at once, `disk` the bytes of all that is kept.
    """

    role: Role
    bytes: int
    video_bytes: int
    pixels: int
    images: int
    pages: int
    files: int
    document_bytes: int | None = None
    video_seconds: float | None = None
    requests: int | None = None
    answers: int | None = None
    runs: int | None = None
    disk: int | None = None

    @property
    def a_role(self) -> str:
        """As a sentence calls whom it is about: 'a visitor'."""
        return f"an {self.role}" if self.role is Role.ADMIN else f"a {self.role}"


def limits_for(role: Role) -> Limits:
    """What the settings say. An admin has only the limits of everybody."""
    whole = settings()
    everybody: dict[str, int] = {
        "bytes": whole.max_bytes,
        "video_bytes": whole.max_video_bytes,
        "pixels": whole.max_pixels,
        "images": whole.max_images,
        "pages": whole.max_pages,
        "files": whole.max_files,
    }
    if role is Role.ADMIN:
        return Limits(role, **everybody)

    def own(name: str) -> Any:
        return getattr(whole, f"{role}_{name}")

    narrowed = {name: min(most, own(name)) for name, most in everybody.items() if name != "files"}
    rates = {name: own(name) for name in ("requests", "answers", "runs", "disk")}
    video_seconds = 60 * own("video_minutes")
    return Limits(
        role,
        **narrowed,
        files=whole.max_files,
        document_bytes=own("bytes"),
        video_seconds=video_seconds,
        **rates,
    )
