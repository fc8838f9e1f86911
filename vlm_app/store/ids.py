"""Ids of stored rows."""

from __future__ import annotations

import uuid_utils


def new_id() -> str:
    """A UUIDv7: unguessable, never reused, and sorted by the time when it was made."""
    return str(uuid_utils.uuid7())
