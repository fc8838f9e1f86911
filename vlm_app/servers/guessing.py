"""Which family a server's model is of, guessed from its name."""

from __future__ import annotations

import re
from functools import cache

from vlm_app import families
from vlm_app.catalog import catalog

UNKNOWN = "openai"  # chat in words with images: what every such server can be asked

# Names under which servers and services know models whose repository is not in the catalog.
_NAMES = {
    r"gpt-|chatgpt|\bo[1345]\b": "openai",
    r"claude": "claude",
    r"gemini": "gemini",
    r"qwen-?3\.?\d*-?vl": "qwen3_vl",
    r"qwen-?2\.5-?vl|qwen25vl": "qwen2_5_vl",
    r"qwen-?2-?vl": "qwen2_vl",
    r"qwen-?vl": "qwen_vl",
    r"internvl": "internvl",
    r"minicpm": "minicpm_v",
    r"deepseek-?vl-?2": "deepseek_vl2",
    r"deepseek-?ocr": "deepseek_ocr2",
    r"deepseek-?vl": "deepseek_vl",
    r"molmo-?2": "molmo2",
    r"molmo": "molmo",
    r"llava-?onevision": "llava_onevision",
    r"llava-?(v?1\.6|next)": "llava_next",
    r"llava": "llava",
    r"paligemma": "paligemma",
    r"gemma-?3": "gemma3",
    r"glm-?4\.?\d*v": "glm4v",
    r"smolvlm": "smolvlm",
    r"moondream": "moondream",
    r"granite-?docling": "granite_docling",
    r"granite": "llava_next",
    r"pixtral|mistral-small-3": "pixtral",
    r"llama-?3\.2.*vision": "mllama",
    r"idefics-?3": "idefics3",
    r"idefics-?2": "idefics2",
    r"ovis": "ovis2",
    r"paddleocr": "paddleocr_vl",
    r"dots\.?-?ocr": "dots_ocr",
    r"kosmos-?2\.5": "kosmos2_5",
    r"kosmos": "kosmos2",
    r"florence": "florence2",
    r"nvlm": "nvlm",
    r"yi-?vl": "yi_vl",
    r"lfm2": "lfm2_vl",
    r"pebble": "pebble",
}


def family_for(model: str) -> str:
    """The family of the catalog's row with that repository, or of a name like it; else `UNKNOWN`."""
    wanted = _plain(model)
    for repo, family in _repositories().items():
        if wanted == repo or wanted.endswith(f"/{repo.rpartition('/')[2]}"):
            return family
    found = next((family for name, family in _NAMES.items() if re.search(name, wanted)), UNKNOWN)
    return found if found in families.names() else UNKNOWN


def _plain(model: str) -> str:
    """'Qwen/Qwen2.5-VL-7B-Instruct-GGUF:Q4_K_M' → 'qwen/qwen2.5-vl-7b-instruct'."""
    name = model.casefold().removesuffix(".gguf").replace("_", "-")
    name, _, _ = name.partition(":") if "/" in name or "gguf" in name else (name.replace(":", "-"), "", "")
    return re.sub(r"-(gguf|awq|gptq|fp8|int4|int8|w4a16|bnb-4bit)\b.*", "", name)


@cache
def _repositories() -> dict[str, str]:
    return {
        row.source.casefold().replace("_", "-"): row.family for row in catalog().values() if "/" in row.source
    }
