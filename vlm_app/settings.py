"""Settings, read from the environment (prefix `VLM_APP_`) and nowhere else."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Literal

from platformdirs import user_data_path
from pydantic import ByteSize, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """What can be set from outside. Each field is `VLM_APP_<NAME>` in the environment."""

    model_config = SettingsConfigDict(env_prefix="VLM_APP_", env_ignore_empty=True, frozen=True)

    data: Path = Field(
        default_factory=lambda: user_data_path("vlm-app"), description="Folder for everything written"
    )
    models: Path = Field(default=ROOT / "models", description="Folder of the catalog and the built-in model")
    assets: Path = Field(default=ROOT / "assets", description="Folder of example images and the style sheet")
    model: str = Field(default="pebble", description="The model that is chosen when the app starts")
    memory: ByteSize | None = Field(
        default=None, ge=0, description="Most memory for models, such as 8GB; empty: what is free"
    )
    idle_minutes: float = Field(
        default=30.0, ge=0, description="Minutes after which a model that nobody uses is unloaded; 0: never"
    )
    offload: Literal["never", "cpu", "disk"] = Field(
        default="never", description="Where the part of a model goes that does not fit its device; slow"
    )
    host: str = Field(default="127.0.0.1", description="Address to serve on")
    port: int = Field(default=7860, ge=0, le=65535, description="Port to serve on")
    max_bytes: int = Field(default=20_000_000, ge=1, description="Largest file that is opened, in bytes")
    max_video_bytes: int = Field(
        default=500_000_000, ge=1, description="Largest video that is opened, in bytes"
    )
    max_pixels: int = Field(default=50_000_000, ge=1, description="Largest image that is decoded, in pixels")
    max_images: int = Field(default=8, ge=1, description="Most images in one message")
    decode_seconds: float = Field(default=10.0, gt=0, description="Time limit for decoding one image")


def environment_key(name: str) -> str:
    """A key that the environment holds under that name; '' where it holds none."""
    return os.environ.get(name, "").strip()


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
