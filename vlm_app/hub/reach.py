"""Whether the Hub can be reached: asked in the background, so that nobody waits for the network."""

from __future__ import annotations

import logging
import threading
import time

_log = logging.getLogger(__name__)
_FRESH = 60.0  # seconds that an answer is good for
_lock = threading.Lock()


class _Probe:
    """What is known, and the question that is on its way."""

    def __init__(self) -> None:
        self.answer: bool | None = None
        self.begun = 0.0  # time.monotonic() of the last question
        self.asking = False


_probe = _Probe()


def reachable(seconds: float = 2.0) -> bool | None:
    """Whether the Hub can be reached; None while nobody knows. Never waits.

    The first call asks in the background, for `seconds` at most: after that a question that
    is still open counts as a no. The answer is asked for again a minute later. In offline
    mode (`HF_HUB_OFFLINE`) it is False, and nobody is asked.
    """
    from huggingface_hub import is_offline_mode

    if is_offline_mode():
        return False
    probe, now = _probe, time.monotonic()
    with _lock:
        if not probe.asking and (not probe.begun or now - probe.begun > _FRESH):
            probe.begun, probe.asking = now, True
            threading.Thread(target=_ask, args=(probe, seconds), name="reach the Hub", daemon=True).start()
        if probe.asking and now - probe.begun > seconds:
            return False
        return probe.answer


def _ask(probe: _Probe, seconds: float) -> None:
    answer = False
    try:
        answer = _answers(seconds)
    finally:
        with _lock:
            probe.answer, probe.asking = answer, False


def _answers(seconds: float) -> bool:
    """Whether the Hub answers, whatever it says."""
    from huggingface_hub import constants, get_session
    from huggingface_hub.errors import HTTPError

    try:
        return bool(get_session().head(constants.ENDPOINT, timeout=seconds).status_code < 500)
    except (OSError, HTTPError) as error:
        _log.info("The Hub cannot be reached: %s", type(error).__name__)
        return False
