"""What a model's vision encoder made of the pictures of a conversation, kept for the next answer.

The encoder reads each picture alone, so its output is the same whatever is asked about it: a
follow-up, a regenerated answer and the next visitor's question about the same page need it run once.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import fields, is_dataclass
from functools import partial, wraps
from types import MethodType
from typing import Any

from vlm_app.engine import adapters
from vlm_app.engine.attaching import Layers
from vlm_app.engine.loaded import LoadedModel
from vlm_app.families import Family

_METHODS = ("get_image_features", "get_video_features")
_TOWER = "vision_model"  # what classes call that do not call these, or not from `generate`
_UNUSED = ("hidden_states", "attentions")  # by the language model; they are many times the features
_BEFORE = "last_hidden_state"  # of the encoder: nor is this, once it has become features
_SAMPLED = 64  # numbers of a tensor that are compared
_SMALL = 4096  # whole numbers that are all compared: grids, sizes, the tokens of a question


def seen(loaded: LoadedModel, visual: Hashable) -> AbstractContextManager[None]:
    """While a model reads: what its encoder made of `visual` before is not made again; None: it is.

    `visual` is whose the pictures are, and which.
    """
    if visual is None or loaded.features is None:
        return nullcontext()
    return loaded.features.of(key_of(loaded, visual))


def key_of(loaded: LoadedModel, visual: Hashable) -> Hashable:
    """What the encoder's output depends on, with the adapter that is switched on.

    `visual` says which pictures are seen and how. The adapter counts where it changes what the
    encoder does: two that do not share what is remembered.
    """
    return visual, loaded.adapter if sees(adapters.switched_on(loaded), loaded.family) else None


def sees(layers: Layers, family: Family) -> bool:
    """Whether an adapter with these layers may change the encoder or the connector.

    It does not where all of them lie in the language model or are its head.
    """
    language = family.lora_towers.get("language")
    blind = (f"{language}.", "lm_head.") if language else ()
    return any(not f"{layer.name}.".startswith(blind) for layer in layers)


class Features:
    """The outputs of one model's encoder by a key, up to `most_bytes`, on the model's device.

    The least recently used leave first. `spare` says how many more bytes may be taken just now. One
    thread at a time may run the model; any may forget. The model refers to this, and this not to the
    model. A class of model that encodes in a place that is not known here just encodes each time.
    """

    def __init__(self, model: Any, most_bytes: int, spare: Callable[[], int]) -> None:
        self.bytes = 0
        self.calls = 0  # how often the encoder really ran
        self._most = most_bytes
        self._spare = spare
        self._kept: OrderedDict[tuple[Any, ...], tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()  # never held while the encoder runs, nor while `spare` measures
        self._key: Hashable = None
        self._asked: list[Hashable] = []  # the calls since `of` began
        self._forgotten = 0  # how often somebody was forgotten
        self._inside = False
        for module, name in _places(model):
            _wrap(self, module, name)

    @contextmanager
    def of(self, key: Hashable) -> Iterator[None]:
        """Inside, one forward pass or generation finds its features under `key`, or leaves them there.

        The same key means the same pictures, processed alike; None: nothing is kept or found.
        """
        before, self._key, self._asked = self._key, key, []
        try:
            yield
        finally:
            self._key = before

    def shed(self) -> int:
        """Forget everything, for an unload or where memory is short; how many bytes that were."""
        with self._lock:
            freed, self.bytes = self.bytes, 0
            self._kept.clear()
        return freed

    def forget(self, owner: str | None) -> None:
        """Forget what was made of one owner's pictures."""
        with self._lock:
            self._forgotten += 1
            for key in [key for key in self._kept if _owner(key) == owner]:
                self.bytes -= self._kept.pop(key)[1]

    def answer(
        self, name: str, run: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        """The output of a call of the encoder, from memory where it was made before."""
        if self._inside:  # a video's features are made of its frames'
            return run(*args, **options)
        if self._key is None:
            return self._run(run, args, options)
        call = (name, _facts(args), _facts(options))
        self._asked.append(call)
        key = (self._key, call, self._asked.count(call))  # some classes encode picture by picture
        found = self._find(key)
        if found is None:
            forgotten = self._forgotten
            found = self._run(run, args, options)
            self._keep(key, _kept(found, name in _METHODS), forgotten)
            return found
        return _rebuilt(found)

    def _find(self, key: tuple[Any, ...]) -> Any:
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def _run(self, run: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        self.calls += 1
        self._inside = True
        try:
            return run(*args, **options)
        finally:
            self._inside = False

    def _keep(self, key: tuple[Any, ...], kept: Any, forgotten: int) -> None:
        """Keep an output; where nothing is to spare in place of older ones, if these make room enough.

        Not where somebody was forgotten while it was made: it may be theirs.
        """
        size, spare = _size(kept), self._spare()
        with self._lock:
            most = min(self._most, self.bytes + spare)
            if size > most or forgotten != self._forgotten:
                return
            self._kept[key] = kept, size
            self.bytes += size
            while self.bytes > most:
                self.bytes -= self._kept.popitem(last=False)[1][1]


# --- where a model encodes ------------------------------------------------------------------


def _places(model: Any) -> Iterator[tuple[Any, str]]:
    """Modules and their methods through which pictures reach the language model."""
    base = model.base_model
    yield from ((base, name) for name in _METHODS if hasattr(base, name))
    if (tower := getattr(base, _TOWER, None)) is not None:
        yield tower, "forward"


def _wrap(features: Features, module: Any, name: str) -> None:
    """Put the memory before a method of one module; a copy of the module asks its own weights."""
    function = getattr(getattr(module, name), "__func__", None)
    if function is None:  # accelerate's own, of a module that is spread over devices
        return

    @wraps(function)  # `generate` looks at its arguments
    def remembering(self: Any, *args: Any, **options: Any) -> Any:
        return features.answer(name, partial(function, self), args, options)

    vars(module)[name] = MethodType(remembering, module)


# --- keys and values ------------------------------------------------------------------------


def _owner(key: tuple[Any, ...]) -> Any:
    """Whose pictures an output was made of, where `seen` gave the key of it."""
    (visual, _), *_ = key
    return visual[0]


def _facts(value: Any) -> Hashable:
    """What tells the arguments of one call from those of another under the same key.

    Where a key would promise too much, as for pictures that were cut in another way, some numbers
    of the pixels differ, if not their shape.
    """
    if _is_tensor(value):
        return _told(value)
    if isinstance(value, Mapping):
        return tuple((name, _facts(value[name])) for name in sorted(value) if value[name] is not None)
    if isinstance(value, list | tuple):
        return tuple(_facts(one) for one in value)
    return value if isinstance(value, Hashable) else repr(value)


def _told(tensor: Any) -> Hashable:
    flat = tensor.detach().flatten()
    step = 1
    if flat.is_floating_point() or len(flat) > _SMALL:
        step = max(len(flat) // _SAMPLED, 1)
        while math.gcd(step, len(flat)) > 1:  # or it might meet one colour only
            step += 1
    return tuple(tensor.shape), str(tensor.dtype), str(tensor.device), tuple(flat[::step].tolist())


def _kept(made: Any, features: bool) -> Any:
    """An output with only what is needed of it; `features`: as the language model takes them."""
    if not _is_output(made):
        return _rebuilt(made)
    unused = _UNUSED + ((_BEFORE,) if features and getattr(made, "pooler_output", None) is not None else ())
    return _rebuilt(made, unused)


def _rebuilt(made: Any, unused: Sequence[str] = ()) -> Any:
    """An output in containers of its own, which callers change, around the same numbers."""
    if _is_tensor(made):
        return made.detach()
    if _is_output(made):
        named = {one.name: getattr(made, one.name) for one in fields(made) if one.name not in unused}
        return type(made)(**{name: _rebuilt(value) for name, value in named.items()})
    if isinstance(made, list | tuple):
        return type(made)(_rebuilt(one) for one in made)
    return made


def _is_output(made: Any) -> bool:
    """Whether it is one of transformers' outputs."""
    return is_dataclass(made) and not isinstance(made, type)


def _is_tensor(made: Any) -> bool:
    import torch

    return isinstance(made, torch.Tensor)


def _tensors(made: Any) -> Iterator[Any]:
    if _is_tensor(made):
        yield made
    elif _is_output(made):
        yield from (tensor for one in fields(made) for tensor in _tensors(getattr(made, one.name)))
    elif isinstance(made, list | tuple):
        yield from (tensor for one in made for tensor in _tensors(one))


def _size(made: Any) -> int:
    """Bytes that it keeps in memory: pieces of one tensor keep all of it, once."""
    storages = (tensor.untyped_storage() for tensor in _tensors(made))
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
