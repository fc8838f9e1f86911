"""What a processor made of the pictures of a conversation, kept for the next time they are sent.

A follow-up and a regenerated answer send the same pictures again, and cutting a large image into
patches takes longer than all the rest of encoding. Only the image and the video processor are
remembered: the text around the pictures is another one each time.
"""

from __future__ import annotations

import copy
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from vlm_app.types import Picture

if TYPE_CHECKING:
    from vlm_app.engine.loaded import LoadedModel

BYTES = 256_000_000  # of one model: some twenty photographs as Qwen2.5-VL reads them
_READERS = ("image_processor", "video_processor")
_SCALARS = (str, bytes, int, float, bool, Enum, type(None))
_Shown = Mapping[int, str]
_teaching = threading.Lock()
# Whose pictures this thread encodes: id of the pixels -> SHA-256. None: nothing is remembered.
_shown: ContextVar[tuple[str | None, _Shown] | None] = ContextVar("shown", default=None)


@contextmanager
def remembered(loaded: LoadedModel, pictures: Sequence[Picture], owner: str | None = None) -> Iterator[None]:
    """Inside, the model's processor answers from memory what this owner asked before, in this thread.

    Nobody can tell by the clock that somebody else sent the same picture. `pictures` are those
    that are encoded: they are known by their hash. Pixels that were made of them on the way, as a
    padded image or a video's frames, are hashed again.
    """
    _teach(loaded.processor)
    before = _shown.set((owner, {id(picture.pixels): picture.sha256 for picture in pictures}))
    try:
        yield
    finally:
        _shown.reset(before)


def forget(processor: Any, owner: str | None) -> None:
    """Let go of what was made of one owner's pictures, while others go on encoding."""
    for reader in _readers(processor):
        if isinstance(reader, _Remembering):
            reader.memory.drop(lambda key: key[0] == owner)


def let_go(processor: Any) -> None:
    """Empty the memory of a model that is unloaded, and give its processor its own classes back."""
    with _teaching:
        for reader in _readers(processor):
            if isinstance(reader, _Remembering):
                reader.memory.clear()
                reader.__class__ = type(reader).__bases__[1]


class Memory:
    """Results by what they were made of, up to `most` bytes; the least recently used leaves first.

    Threads may share one. A result is handed out in containers of its own; the tensors in it are
    shared, and nobody may write into them.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()
        self._dropped = 0  # how often something was
        self.bytes = 0

    def answer(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The result of a key, made where it is not kept."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
        if found is None:
            dropped = self._dropped
            found = make()
            self._keep(key, found, dropped)
        return _copied(found)

    def drop(self, unwanted: Callable[[Any], bool]) -> None:
        """Let go of the results whose key is unwanted, and keep none that is being made."""
        with self._lock:
            self._dropped += 1
            for key in [key for key in self._kept if unwanted(key)]:
                self.bytes -= _size(self._kept.pop(key))

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self.bytes = 0

    def _keep(self, key: Hashable, made: Any, dropped: int) -> None:
        size = _size(made)
        with self._lock:
            if size > self._most or key in self._kept or dropped != self._dropped:
                return  # too large, another thread was faster, or it may be unwanted
            self._kept[key] = made
            self.bytes += size
            while self.bytes > self._most:
                self.bytes -= _size(self._kept.popitem(last=False)[1])


class _Remembering:
    """Stands before the class of an image or video processor, and asks the memory first.

    A class rather than an attribute of the processor: those are written out when it is saved.
    """

    memory: ClassVar[Memory]

    def preprocess(self, *args: Any, **options: Any) -> Any:
        made: Callable[..., Any] = super().preprocess  # type: ignore[misc]
        shown = _shown.get()
        if shown is None:
            return made(*args, **options)
        try:
            owner, pictures = shown
            key = (owner, type(self).__name__, _frozen((args, options), pictures))
        except _UnknownError:
            return made(*args, **options)
        return self.memory.answer(key, lambda: made(*args, **options))


def _readers(processor: Any) -> list[Any]:
    found = (getattr(processor, name, None) for name in _READERS)
    return [reader for reader in found if hasattr(reader, "preprocess")]


def _teach(processor: Any) -> None:
    """Give the parts of a processor a memory, which they share."""
    with _teaching:
        memory = Memory(BYTES)
        for reader in _readers(processor):
            if not isinstance(reader, _Remembering):
                own = type(reader)
                names = {"__module__": own.__module__, "__qualname__": own.__qualname__, "memory": memory}
                reader.__class__ = type(own.__name__, (_Remembering, own), names)


# --- keys and values ------------------------------------------------------------------------


class _UnknownError(Exception):
    """Something among the arguments of which nobody knows what makes it equal to another."""


def _frozen(value: Any, shown: _Shown) -> Hashable:
    """What tells one call from another: images by the hash of their pixels, all else by its value."""
    if isinstance(value, _SCALARS):
        return type(value).__name__, value
    if isinstance(value, Mapping):
        return tuple((str(name), _frozen(value[name], shown)) for name in sorted(value))
    if isinstance(value, list | tuple):
        return tuple(_frozen(one, shown) for one in value)
    if is_dataclass(value):
        return tuple((one.name, _frozen(getattr(value, one.name), shown)) for one in fields(value))
    return _pixels(value, shown)


def _pixels(value: Any, shown: _Shown) -> Hashable:
    import numpy as np
    from PIL.Image import Image

    if isinstance(value, Image):
        if id(value) in shown:
            return shown[id(value)]
        return value.mode, value.size, hashlib.sha256(value.tobytes()).digest()
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return value.dtype.str, value.shape, hashlib.sha256(np.ascontiguousarray(value).data).digest()
    raise _UnknownError


def _tensors(made: Any) -> Iterator[Any]:
    """All tensors and arrays in a result."""
    if hasattr(made, "nbytes"):
        yield made
    elif hasattr(made, "values"):
        for value in made.values():
            yield from _tensors(value)
    elif isinstance(made, list | tuple):
        for value in made:
            yield from _tensors(value)


def _size(made: Any) -> int:
    return sum(int(tensor.nbytes) for tensor in _tensors(made))


def _copied(made: Any) -> Any:
    """The result in containers of its own, which processors change, around the same tensors."""
    shared = {id(tensor): tensor for tensor in _tensors(made)}
    if hasattr(made, "data") and hasattr(made, "keys"):  # a BatchFeature, which loses things in a deep copy
        fresh = copy.copy(made)
        fresh.data = copy.deepcopy(made.data, shared)
        return fresh
    return copy.deepcopy(made, shared)
