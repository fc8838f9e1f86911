"""Precisions: data types, what bitsandbytes makes, and checkpoints that are quantized already."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlm_app.errors import ModelUnavailable

if TYPE_CHECKING:
    import torch

DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
PRECISIONS = ("auto", *DTYPES, "int8", "nf4")
OWN = "own"
# The packages without which transformers 5.23 does not load a method (transformers/quantizers).
# One that is not named here needs none, or one that we never install: `kernels`, which runs code of the Hub.
_NEEDED = {
    "aqlm": ("aqlm",),
    "auto-round": ("auto_round",),
    "awq": ("gptqmodel",),
    "bitsandbytes": ("bitsandbytes",),
    "compressed-tensors": ("compressed_tensors",),
    "fbgemm_fp8": ("fbgemm_gpu",),
    "fp_quant": ("fp_quant",),
    "gptq": ("optimum", "gptqmodel"),
    "higgs": ("flute", "fast_hadamard_transform"),
    "hqq": ("hqq",),
    "quanto": ("optimum.quanto",),
    "quark": ("quark",),
    "sinq": ("sinq",),
    "spqr": ("spqr_quant",),
    "torchao": ("torchao",),
    "vptq": ("vptq",),
}
_INSTALLED_AS = {
    "auto_round": "auto-round",
    "compressed_tensors": "compressed-tensors",
    "fbgemm_gpu": "fbgemm-gpu-genai",
    "flute": "flute-kernel",
    "optimum.quanto": "optimum-quanto",
    "quark": "amd-quark",
}


def best_precision(device: str) -> str:
    """bf16 where the hardware multiplies it; else fp16 on a GPU and fp32 on a CPU."""
    import torch

    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    # Every CPU with AMX has these as well; the public `get_capabilities` is newer than our oldest torch.
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "fp32"


def dtype_of(precision: str, device: str) -> torch.dtype:
    """The type of the weights that are not quantized."""
    import torch

    found: torch.dtype = getattr(torch, DTYPES[precision if precision in DTYPES else best_precision(device)])
    return found


def quantization(precision: str, dtype: torch.dtype) -> Any:
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


def own_method(folder: Path) -> str:
    """How the files in a folder are quantized already, as their config.json says; '' when they are not."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        settings = config.get("quantization_config") or config.get("text_config", {}).get(
            "quantization_config"
        )
    except (OSError, ValueError, AttributeError):  # loading says what is wrong with the file
        return ""
    if not isinstance(settings, dict):
        return ""
    of_bitsandbytes = settings.get("load_in_8bit") or settings.get("load_in_4bit")
    return "bitsandbytes" if of_bitsandbytes else str(settings.get("quant_method") or "unnamed")


def check_own(method: str, name: str) -> None:
    """Whether a checkpoint's own quantization can be loaded here. Raises `ModelUnavailable`."""
    from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING

    if method != "bitsandbytes" and method not in AUTO_QUANTIZER_MAPPING:
        raise ModelUnavailable(
            f"{name} cannot be loaded: it is quantized with '{method}', which transformers does not know; "
            "choose its unquantized original."
        )
    missing = [_INSTALLED_AS.get(package, package) for package in _NEEDED.get(method, ()) if _absent(package)]
    if missing:
        raise ModelUnavailable(
            f"{name} is quantized with {method}, for which the package {' and '.join(missing)} is missing: "
            f"install it (pip install {' '.join(missing)}), or choose its unquantized original."
        )


def keep_weights_as_they_are(model: Any) -> None:
    """Stop bitsandbytes from repacking 4-bit weights when they are first used on a CPU.

    It does so in place where the CPU has avx512_bf16: gradients and `dequantize()` are
    silently wrong from then on, and widths that are no multiple of 32 fail.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def _absent(package: str) -> bool:
    try:
        return find_spec(package) is None
    except ModuleNotFoundError:  # its parent
        return True
