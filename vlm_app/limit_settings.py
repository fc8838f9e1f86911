"""What a visitor and a member may take at most. An admin has the limits of everybody alone.

Each is a setting of its own, `VLM_APP_VISITOR_PAGES` for instance. Where one is above the limit of
everybody (`VLM_APP_MAX_BYTES` and the like), that one holds.
"""

from __future__ import annotations

from pydantic import ByteSize, Field
from pydantic_settings import BaseSettings

_MB, _GB = 1_000_000, 1_000_000_000


class LimitSettings(BaseSettings):
    """The limits of the two roles that have any."""

    visitor_bytes: ByteSize = Field(
        default=ByteSize(20 * _MB), ge=1, description="Largest image or document of a visitor, such as 20MB"
    )
    visitor_video_bytes: ByteSize = Field(
        default=ByteSize(100 * _MB), ge=1, description="Largest video of a visitor, such as 100MB"
    )
    visitor_pixels: int = Field(
        default=25_000_000,
        ge=1,
        description="Largest image that is decoded for a visitor, in pixels; pages and frames are drawn with "
        "no more",
    )
    visitor_images: int = Field(default=4, ge=1, description="Most images in one message of a visitor")
    visitor_pages: int = Field(default=50, ge=1, description="Most pages of a document of a visitor")
    visitor_video_minutes: float = Field(
        default=5.0, gt=0, description="Longest video of a visitor, in minutes"
    )
    visitor_requests: int = Field(
        default=120, ge=1, description="Requests a minute of a visitor; ten times as many small ones"
    )
    visitor_answers: int = Field(
        default=2, ge=1, description="Answers that are written at once for a visitor"
    )
    visitor_runs: int = Field(default=1, ge=0, description="Runs of a visitor that wait or train at once")
    visitor_disk: ByteSize = Field(
        default=ByteSize(500 * _MB), ge=0, description="Most that is kept for a visitor, such as 500MB"
    )
    member_bytes: ByteSize = Field(
        default=ByteSize(100 * _MB), ge=1, description="Largest image or document of a member, such as 100MB"
    )
    member_video_bytes: ByteSize = Field(
        default=ByteSize(500 * _MB), ge=1, description="Largest video of a member, such as 500MB"
    )
    member_pixels: int = Field(
        default=50_000_000,
        ge=1,
        description="Largest image that is decoded for a member, in pixels; pages and frames are drawn with "
        "no more",
    )
    member_images: int = Field(default=8, ge=1, description="Most images in one message of a member")
    member_pages: int = Field(default=200, ge=1, description="Most pages of a document of a member")
    member_video_minutes: float = Field(
        default=30.0, gt=0, description="Longest video of a member, in minutes"
    )
    member_requests: int = Field(
        default=300, ge=1, description="Requests a minute of a member; ten times as many small ones"
    )
    member_answers: int = Field(default=4, ge=1, description="Answers that are written at once for a member")
    member_runs: int = Field(default=2, ge=0, description="Runs of a member that wait or train at once")
    member_disk: ByteSize = Field(
        default=ByteSize(5 * _GB), ge=0, description="Most that is kept for a member, such as 5GB"
    )
