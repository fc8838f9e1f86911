"""Datasets as people bring them."""

from __future__ import annotations

from typing import Any


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}
