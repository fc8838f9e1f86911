"""Where this server's own things are, also behind a reverse proxy that serves the app under a path."""

from __future__ import annotations

from vlm_app.settings import settings


def under_root(path: str) -> str:
    """The address of a path of ours, such as '/media/…', for links and pictures on the page."""
    return settings().root_path + path
