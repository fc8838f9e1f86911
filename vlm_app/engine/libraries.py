"""transformers and peft, imported by one thread at a time.

transformers imports a name's module when the name is first asked for. Two threads that ask at once, or
one of which imports peft, meet modules that are half imported: 'cannot import name' of names that exist.
"""

from __future__ import annotations

import threading

# What this package asks for at any time, from whatever thread. The names bring most of transformers along.
_NAMES = (
    "AutoConfig",
    "AutoImageProcessor",
    "AutoModelForImageTextToText",
    "AutoProcessor",
    "BitsAndBytesConfig",
    "LogitsProcessorList",
    "StoppingCriteriaList",
    "TemperatureLogitsWarper",
    "TopPLogitsWarper",
)
_lock = threading.Lock()


def import_transformers() -> None:
    """Wait until transformers is whole. Takes seconds the first time."""
    with _lock:
        _transformers()


def import_peft() -> None:
    """The same for peft, which imports transformers."""
    with _lock:
        _transformers()
        import peft  # noqa: F401


def _transformers() -> None:
    import transformers

    for name in _NAMES:
        getattr(transformers, name)
