"""Loading a checkpoint: from a folder or the Hub, safetensors only, never remote code."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlm_app import families, hub
from vlm_app.engine.loaded import LoadedModel
from vlm_app.errors import ModelUnavailable
from vlm_app.families import Family
from vlm_app.settings import settings
from vlm_app.types import Checkpoint

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)
_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")
_DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
PRECISIONS = ("auto", *_DTYPES, "int8", "nf4")
_LIBRARY_DEFAULTS = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",  # we encode one prompt at a time
    "USE_HUB_KERNELS": "0",  # no native code from the Hub
}


def set_library_defaults() -> None:
    """Defaults of the Hugging Face libraries, which they read when they are first imported.

    Written here and nowhere else. Programs call it before they import gradio or
    transformers; a value that is set from outside wins.
    """
    for name, value in _LIBRARY_DEFAULTS.items():
        os.environ.setdefault(name, value)


def load(checkpoint: Checkpoint, precision: str = "auto") -> LoadedModel:
    """Load a checkpoint onto the best device.

    `precision` is one of `PRECISIONS`; 'auto' is what the hardware multiplies best,
    'int8' and 'nf4' (with double quantization) are made by bitsandbytes.

    Raises `ModelUnavailable`: its files cannot be had or are not what they should be, or
    memory ran out.
    """
    set_library_defaults()
    family = families.get(checkpoint.family)
    folder = _folder(checkpoint)
    problem = ""
    try:
        return _load(checkpoint, family, folder, precision)
    except Exception as error:  # noqa: BLE001 - logged, and raised again as a sentence
        _log.exception("Loading %s failed", checkpoint.id)
        problem = (
            "there is not enough memory for it"
            if out_of_memory(error)
            else "its files are damaged or incomplete"
        )
    # Raised outside the handler: the traceback there holds what was loaded so far.
    raise ModelUnavailable(
        f"{checkpoint.name} could not be loaded: {problem}; choose another model or {_remedy(checkpoint)}."
    )


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on any device."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def peak_bytes(device: str) -> int:
    """The most memory held so far: of the GPU for a model on one, else of this process; 0 where none says."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated())
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _remedy(checkpoint: Checkpoint) -> str:
    return "restore its folder" if Path(checkpoint.source).is_absolute() else "try again"


def _load(checkpoint: Checkpoint, family: Family, folder: Path, precision: str) -> LoadedModel:
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor
    from transformers.utils import logging as library_logging

    library_logging.disable_progress_bar()
    library_logging.set_verbosity_error()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = getattr(torch, _DTYPES[precision]) if precision in _DTYPES else _dtype(device)
    quantized = _quantization(precision, dtype)
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    model = AutoModelForImageTextToText.from_pretrained(
        folder,
        dtype=dtype,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        **({"quantization_config": quantized, "device_map": {"": device}} if quantized else {}),
    )
    model = model.eval().requires_grad_(False)
    # An end that is forced on the last token makes an answer that was cut off look finished.
    model.generation_config.forced_eos_token_id = None
    if not quantized:  # what bitsandbytes made stays where it is
        model = model.to(device)
    tensors = [*model.parameters(), *model.buffers()]
    return LoadedModel(
        checkpoint=checkpoint,
        family=family,
        processor=processor,
        model=model,
        device=device,
        precision=precision
        if quantized
        else {torch.bfloat16: "bf16", torch.float16: "fp16", torch.float32: "fp32"}[dtype],
        bytes=sum(tensor.numel() * tensor.element_size() for tensor in tensors),
        context=checkpoint.context or _context(model.config),
    )


def _quantization(precision: str, dtype: torch.dtype) -> Any:
    """bitsandbytes' settings for a precision that it makes; None for the others."""
    from transformers import BitsAndBytesConfig

    if precision == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    if precision == "nf4":
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    return None


def _context(config: Any) -> int:
    text = config.get_text_config()
    return int(getattr(text, "max_position_embeddings", 0) or 0)


def _dtype(device: str) -> torch.dtype:
    """bf16 where the hardware multiplies it; else fp16 on a GPU and fp32 on a CPU."""
    import torch

    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    # Every CPU with AMX has these as well; the public `get_capabilities` is newer than our oldest torch.
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


def _folder(checkpoint: Checkpoint) -> Path:
    """Where the files are, downloaded if need be."""
    folder = Path(checkpoint.source)
    if not folder.is_absolute():
        folder = _download(checkpoint)
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        where = folder.name if Path(checkpoint.source).is_absolute() else checkpoint.source
        raise ModelUnavailable(
            f"The files of {checkpoint.name} are missing: expected config.json and weights in safetensors "
            f"in '{where}'; restore them or choose another model."
        )
    return folder


def _download(checkpoint: Checkpoint) -> Path:
    """The files of a Hub repository at its locked commit, from the cache where they are there already.

    The first download locks the commit that it got.
    """
    from huggingface_hub import snapshot_download

    repo = checkpoint.source
    locked = hub.revision(repo)
    path = ""
    with hub.asking(repo, f"{checkpoint.name} could not be downloaded from the Hugging Face Hub ({repo})"):
        path = snapshot_download(
            repo,
            revision=locked or None,
            allow_patterns=list(_FILES),
            cache_dir=settings().data / "cache" / "hub",
            token=hub.token() or False,
        )
    if not locked:
        hub.keep(repo, Path(path).name)  # a snapshot's folder is named after its commit
    return Path(path)
