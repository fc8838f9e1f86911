"""Settings, read from the environment (prefix `VLM_APP_`) and nowhere else."""

from __future__ import annotations

import os
import re
from enum import StrEnum
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_data_path
from pydantic import ByteSize, Field, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from vlm_app.limit_settings import LimitSettings
from vlm_app.people import Role

ROOT = Path(__file__).resolve().parent.parent
BUCKET = Path("/data")  # where a Space mounts the bucket that it was given
MOUNTS = Path("/proc/self/mounts")
FLEETING = ("overlay", "tmpfs", "ramfs", "aufs", "rootfs")  # file systems that end with their container


class Place(StrEnum):
    """Where the app runs. What differs from place to place asks `settings().place` and nothing else."""

    LAPTOP = "laptop"  # or a server: a machine of one's own
    CONTAINER = "container"  # the image of the Dockerfile, which says so
    SPACE = "space"  # a Hugging Face Space, on a CPU or a GPU of its own
    ZEROGPU = "zerogpu"  # a Space that borrows a GPU for each answer


def _found_place() -> Place:
    """What the Hub sets in a Space tells; a container that people work in is a laptop to them."""
    if os.environ.get("SPACES_ZERO_GPU", "").strip().lower() in ("1", "t", "true"):
        return Place.ZEROGPU
    return Place.SPACE if os.environ.get("SPACE_ID", "").strip() else Place.LAPTOP


def _data_folder(place: Place) -> Path:
    """A Space's bucket where one is mounted; else beside the app, or where this platform keeps data."""
    if place is Place.LAPTOP:
        return user_data_path("vlm-app")
    if place is not Place.CONTAINER and BUCKET.is_mount() and os.access(BUCKET, os.W_OK):
        return BUCKET / "vlm-app"
    return Path.cwd() / "data"


def lasts(folder: Path, mounts: Path = MOUNTS) -> bool:
    """Whether what is written there outlasts the container: it lies on a mounted disk, not on its own."""
    kinds = {}
    for line in mounts.read_text(encoding="utf-8").splitlines() if mounts.exists() else ():
        _, point, kind, *_ = line.split(" ")
        kinds[Path(point.replace("\\040", " "))] = kind
    here = next((each for each in (folder, *folder.parents) if each in kinds), Path("/"))
    return here != Path("/") and kinds[here] not in FLEETING


def _admins() -> tuple[str, ...]:
    """Whoever made the Space, as the Hub says it there."""
    author = os.environ.get("SPACE_AUTHOR_NAME", "").strip()
    return (author,) if author else ()


def _opens(place: Place) -> tuple[str, ...]:
    """What each place can load: photographs where the Hub is near, the built-in model elsewhere."""
    if place is Place.SPACE:
        return ("florence-2-base", "smolvlm2-500m")
    return ("qwen3-vl-4b", "florence-2-base") if place is Place.ZEROGPU else ("pebble",)


class Settings(LimitSettings):
    """What can be set from outside. Each field is `VLM_APP_<NAME>` in the environment."""

    model_config = SettingsConfigDict(
        env_prefix="VLM_APP_", env_ignore_empty=True, frozen=True, populate_by_name=True
    )

    place: Place = Field(default_factory=_found_place, description="Where the app runs; found by itself")
    data: Path = Field(
        default_factory=lambda so_far: _data_folder(so_far["place"]),
        description="Folder for everything written",
    )
    lasting: bool = Field(
        default_factory=lambda so_far: so_far["place"] is Place.LAPTOP or lasts(so_far["data"].resolve()),
        description="Whether the data folder outlasts the machine; found by itself",
    )
    models: Path = Field(default=ROOT / "models", description="Folder of the catalog and the built-in model")
    assets: Path = Field(default=ROOT / "assets", description="Folder of example images and the style sheet")
    offered: Annotated[tuple[str, ...], NoDecode] = Field(
        default_factory=lambda so_far: _opens(so_far["place"]),
        min_length=1,
        validation_alias="VLM_APP_MODEL",
        description="Models for this place, with commas between; the first is chosen at the start",
    )
    memory: ByteSize | None = Field(
        default=None, ge=0, description="Most memory for models, such as 8GB; empty: what is free"
    )
    idle_minutes: float = Field(
        default=30.0, ge=0, description="Minutes after which a model that nobody uses is unloaded; 0: never"
    )
    batch: int = Field(default=16, ge=1, description="Most answers of one model that are written together")
    prefix_cache: ByteSize = Field(
        default=ByteSize(1_000_000_000),
        ge=0,
        description="Most memory per model, such as 1GB, for what was said before, so that it is not read "
        "again for a follow-up; on a GPU that much there, and up to four times that in the computer's own "
        "memory; a model that has to load gets all of it",
    )
    offload: Literal["never", "cpu", "disk"] = Field(
        default="never", description="Where the part of a model goes that does not fit its device; slow"
    )
    host: str = Field(
        default_factory=lambda so_far: "127.0.0.1" if so_far["place"] is Place.LAPTOP else "0.0.0.0",
        description="Address to serve on",
    )
    everyone: Role | None = Field(
        default=None,
        description="What who has not signed in may do: visitor, member or admin; empty: everything at a "
        "laptop itself, what a visitor may elsewhere",
    )
    anonymous: bool = Field(default=True, description="Whether anybody may come in who has not signed in")
    admins: Annotated[tuple[str, ...], NoDecode] = Field(
        default_factory=_admins,
        description="Who is an admin of those whom the Hub or a proxy names, with commas between; on a Space "
        "its author if empty",
    )
    proxy_header: str = Field(
        default="", description="The header in which a trusted proxy says who signed in, as X-Forwarded-User"
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Addresses or networks of proxies whose headers are believed, commas between"
    )
    port: int = Field(default=7860, ge=0, le=65535, description="Port to serve on")
    root_path: str = Field(
        default="", description="Path under which a reverse proxy serves the page, such as /vlm"
    )
    max_bytes: int = Field(default=20_000_000, ge=1, description="Largest file that is opened, in bytes")
    max_video_bytes: int = Field(
        default=500_000_000, ge=1, description="Largest video that is opened, in bytes"
    )
    max_pixels: int = Field(
        default=50_000_000,
        ge=1,
        description="Largest image that is decoded, in pixels; pages and frames are drawn with no more",
    )
    max_images: int = Field(default=8, ge=1, description="Most images in one message")
    max_pages: int = Field(default=200, ge=1, description="Most pages of a document that is opened")
    max_files: int = Field(default=100, ge=1, description="Most files in one upload")
    decode_seconds: float = Field(
        default=10.0, gt=0, description="Longest wait for one image or page to be decoded, in seconds"
    )
    image_seconds: float = Field(
        default=3.0, gt=0, description="Most processor time for decoding one image, in seconds"
    )
    sweep_minutes: float = Field(
        default=5.0, gt=0, description="Minutes between two sweeps of what is no longer needed"
    )
    unfinished_minutes: float = Field(
        default=10.0, gt=0, description="Minutes after which an upload that broke off is deleted"
    )
    upload_hours: float = Field(
        default=24.0, gt=0, description="Hours after which an upload that was not kept is deleted"
    )
    upload_bytes: ByteSize = Field(
        default=ByteSize(5_000_000_000),
        ge=0,
        description="Most bytes of uploads, such as 5GB; beyond it the oldest are deleted before their time",
    )
    cache_bytes: ByteSize = Field(
        default=ByteSize(2_000_000_000),
        ge=0,
        description="Most bytes of pages and thumbnails that can be drawn again, such as 2GB",
    )
    keep_days: float = Field(
        default=0.0,
        ge=0,
        description="Days after which the data of a visitor who changed nothing is deleted; never of who "
        "signed in or sits at the computer itself; 0: never",
    )

    @field_validator("root_path")
    @classmethod
    def _path(cls, value: str) -> str:
        if not re.fullmatch(r"(/[\w~-][\w.~-]*)*/?", value, re.ASCII):
            raise ValueError("a path such as /vlm")
        return value.rstrip("/")

    @field_validator("offered", "admins", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return (
            [each.strip() for each in value.split(",") if each.strip()] if isinstance(value, str) else value
        )

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            ip_network(each, strict=False)
        return value

    @property
    def model(self) -> str:
        """The model that is chosen when the app starts."""
        return self.offered[0]

    @property
    def fixed(self) -> bool:
        """Whether the models of this place are placed at the start: none is loaded, unloaded or trained."""
        return self.place is Place.ZEROGPU


def environment_key(name: str) -> str:
    """A key that the environment holds under that name; '' where it holds none."""
    return os.environ.get(name, "").strip()


def choose(**values: str | int | None) -> Settings:
    """Settings that were given as arguments (None: not given), for this process and its children."""
    given = {f"VLM_APP_{name.upper()}": str(value) for name, value in values.items() if value is not None}
    os.environ.update(given)
    settings.cache_clear()
    return settings()


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
