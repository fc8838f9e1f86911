"""How much the tests do: `make test` takes the small sizes, `make test-all` the full ones."""

from __future__ import annotations

import os


def size(small: int, full: int) -> int:
    """The one of the two that this run uses, by VLM_APP_TEST_SIZE (`small` or `full`)."""
    return {"small": small, "full": full}[os.environ.get("VLM_APP_TEST_SIZE", "small")]


PEBBLE_SCENES = size(60, 1000)  # held-out scenes on which the built-in model is scored
FUZZED_ANSWERS = size(30, 2000)  # texts that hypothesis writes for each parser
TAUGHT_FAMILIES = size(6, 1000)  # families whose tiny checkpoint is taught until it repeats its examples
FIRST_ANSWER_SECONDS = size(60, 15)  # after the server is up; the small size allows for a busy machine
