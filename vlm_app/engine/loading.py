"""Loading a checkpoint: from a folder or the Hub, safetensors only, never remote code."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from vlm_app import families, hub
from vlm_app.engine import cores
from vlm_app.engine.backend import Plan, Watch
from vlm_app.engine.libraries import import_transformers
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.offloading import offload_folder
from vlm_app.engine.quantizing import (
    OWN,
    PRECISIONS,
    best_precision,
    check_own,
    dtype_of,
    keep_weights_as_they_are,
    own_method,
    quantization,
)
from vlm_app.engine.releasing import release, weight_bytes
from vlm_app.errors import ModelUnavailable
from vlm_app.types import Checkpoint

__all__ = [
    "PRECISIONS",
    "load",
    "load_checkpoint",
    "one_build",
    "out_of_memory",
    "peak_bytes",
    "precision_here",
    "set_library_defaults",
]

_log = logging.getLogger(__name__)
_BEAT = 0.05  # seconds between two reports, at least, and two looks whether a load is still wanted
_LIBRARY_DEFAULTS = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_XET": "1",  # such a download can be neither stopped nor resumed in mid-file
    "TOKENIZERS_PARALLELISM": "false",  # we encode one prompt at a time
    "USE_HUB_KERNELS": "0",  # no native code from the Hub
    "GOMP_SPINCOUNT": "10000",  # a tenth of a millisecond: see `cores`
}
# How memory that runs out is told by torch's CPU allocator, and by CUDA and cuBLAS beside torch's own.
_FULL = ("can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
_building = threading.Lock()
_here = threading.local()  # `watch` of the load that runs in this thread


def set_library_defaults() -> None:
    """Defaults of the Hugging Face libraries and of OpenMP, which they read when they are first imported.

    Written here and nowhere else. Programs call it before they import gradio, torch or
    transformers; a value that is set from outside wins.
    """
    for name, value in _LIBRARY_DEFAULTS.items():
        os.environ.setdefault(name, value)


def load_checkpoint(checkpoint: Checkpoint, precision: str = "auto") -> LoadedModel:
    """Load a checkpoint onto the best device, whatever is free there.

    `precision` is one of `PRECISIONS`; 'auto' is what the hardware multiplies best.
    Raises as `load` does.
    """
    device, chosen = _here_in(precision)
    return load(Plan(checkpoint, chosen, 0, 0, device))


def precision_here(precision: str) -> str:
    """The precision that `load_checkpoint` takes for 'auto' on this computer; any other as it is."""
    return _here_in(precision)[1] if precision == "auto" else precision


def _here_in(precision: str) -> tuple[str, str]:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return device, best_precision(device) if precision == "auto" else precision


def load(plan: Plan, watch: Watch | None = None) -> LoadedModel:
    """Load a checkpoint as it was planned, downloading what is missing.

    'int8' and 'nf4' (with double quantization) are made by bitsandbytes; files that are
    quantized already are loaded as they are, whatever was planned. `watch` hears of bytes
    and then of weights, and can end the load.

    Raises `LoadCancelled`, or `ModelUnavailable`: its files cannot be had or are not what
    they should be, a package is missing, or memory ran out.
    """
    set_library_defaults()
    watch = watch or Watch()
    checkpoint = plan.checkpoint
    folder = _folder(checkpoint, watch)
    try:
        with one_build(watch), _heard_by(watch), cores.shared():
            return _load(plan, folder)
    except ModelUnavailable as error:
        failure = type(error)(error.sentence)
    except Exception as error:  # noqa: BLE001 - logged, and raised again as a sentence
        _log.exception("Loading %s failed", checkpoint.id)
        failure = _failure(checkpoint, error)
    # Raised outside the handler: the traceback there holds what was loaded so far.
    release()
    raise failure


@contextmanager
def one_build(watch: Watch | None = None) -> Iterator[None]:
    """Whoever builds a model holds this: one at a time.

    While they build one, transformers and accelerate change torch for the whole process
    (its default type, `register_parameter`). A wait ends when `watch` is cancelled.
    """
    while not _building.acquire(timeout=_BEAT):
        if watch is not None and watch.cancelled:
            watch.report("loading")
    try:
        yield
    finally:
        _building.release()


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on any device."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _FULL)


def peak_bytes(device: str) -> int:
    """The most memory held so far: of the GPU for a model on one, else of this process; 0 where none says."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _failure(checkpoint: Checkpoint, error: Exception) -> ModelUnavailable:
    full = out_of_memory(error)
    problem = "there is not enough memory for it" if full else "its files are damaged or incomplete"
    remedy = "restore its folder" if Path(checkpoint.source).is_absolute() else "try again"
    return ModelUnavailable(
        f"{checkpoint.name} could not be loaded: {problem}; choose another model or {remedy}."
    )


def _load(plan: Plan, folder: Path) -> LoadedModel:
    import_transformers()
    from transformers import AutoProcessor

    checkpoint = plan.checkpoint
    own = own_method(folder)
    if own:
        check_own(own, checkpoint.name)
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    model = _weights(plan, folder, own)
    return LoadedModel(
        checkpoint=checkpoint,
        family=families.get(checkpoint.family),
        processor=processor,
        model=model,
        device=plan.device,
        precision=f"{OWN} ({own})" if own else plan.precision,
        bytes=weight_bytes(model),
        context=checkpoint.context or _context(model.config),
    )


def _weights(plan: Plan, folder: Path, own: str) -> Any:
    """The model, its weights where the plan puts them."""
    from transformers import AutoModelForImageTextToText

    dtype = dtype_of(plan.precision, plan.device)
    quantized = None if own else quantization(plan.precision, dtype)
    more: dict[str, Any] = {"quantization_config": quantized} if quantized else {}
    with ExitStack() as held:
        if "disk" in plan.places.values():
            more["offload_folder"] = held.enter_context(offload_folder())
        model = AutoModelForImageTextToText.from_pretrained(
            folder,
            dtype="auto" if own else dtype,
            device_map=dict(plan.places) or {"": plan.device},
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            **more,
        )
        weakref.finalize(model, held.pop_all().close)  # the folder lasts as long as the model
    keep_weights_as_they_are(model)
    # An end that is forced on the last token makes an answer that was cut off look finished.
    model.generation_config.forced_eos_token_id = None
    return model.eval().requires_grad_(False)


def _context(config: Any) -> int:
    text = config.get_text_config()
    return int(getattr(text, "max_position_embeddings", 0) or 0)


def _folder(checkpoint: Checkpoint, watch: Watch) -> Path:
    """Where the files are, downloaded if need be."""
    folder = Path(checkpoint.source)
    if not folder.is_absolute():
        folder = hub.download(checkpoint, lambda done, total: watch.report("downloading", done, total))
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        where = folder.name if Path(checkpoint.source).is_absolute() else checkpoint.source
        raise ModelUnavailable(
            f"The files of {checkpoint.name} are missing: expected config.json and weights in safetensors "
            f"in '{where}'; restore them or choose another model."
        )
    return folder


# --- progress -----------------------------------------------------------------------------


@contextmanager
def _heard_by(watch: Watch) -> Iterator[None]:
    """What transformers loads in this thread is told to this watch."""
    from transformers.utils import logging as library_logging

    library_logging.disable_progress_bar()
    library_logging.set_verbosity_error()
    for name in ("accelerate", "bitsandbytes"):  # which has a line for each layer and token of int8
        logging.getLogger(name).setLevel(logging.ERROR)
    library_logging.set_tqdm_hook(_bar)  # one for all threads: `_here` keeps them apart
    watch.report("loading")
    _here.watch = watch
    try:
        yield
    finally:
        _here.watch = None


def _bar(made: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """The bar that transformers asks for: its own, unless it goes over a model's weights."""
    watch = getattr(_here, "watch", None)
    if watch is None or options.get("desc") != "Loading weights":
        return made(*args, **options)
    return _told(args[0], watch)


def _told(weights: Iterable[Any], watch: Watch) -> Iterator[Any]:
    """Tell a watch of each weight that is reached, though not too often."""
    items = list(weights)
    told = 0.0
    for done, weight in enumerate(items):
        if watch.cancelled or time.monotonic() - told > _BEAT:
            watch.report("loading", done, len(items))
            told = time.monotonic()
        yield weight
    watch.report("loading", len(items), len(items))
