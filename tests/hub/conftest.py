"""A Hub that the real client asks, in place of the one in the world."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator

import pytest

from tests.hub.fake_hub import FakeHub, Repo, serving

OLD, NEW = "1" * 40, "2" * 40


def weights(**shapes: list[int]) -> bytes:
    """A safetensors file of zeros (github.com/huggingface/safetensors: length, JSON header, data)."""
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 2
        for side in shape:
            size *= side
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps({"__metadata__": {"format": "pt"}} | header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(offset)


def files(**config: object) -> dict[str, bytes]:
    """What a repository of transformers holds."""
    return {"config.json": json.dumps(config).encode(), "model.safetensors": weights(a=[2, 3], b=[4])}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A Hub with one open model, one gated, and one without safetensors; nobody is signed in."""
    from huggingface_hub import constants

    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nowhere/token")
    with serving() as fake:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", fake.address)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            fake.address + "/{repo_id}/resolve/{revision}/{filename}",
        )
        fake.repos["some/qwen"] = Repo(
            {OLD: files(model_type="qwen2_5_vl", text_config={"max_position_embeddings": 4096})},
            tags=["license:apache-2.0", "qwen2_5_vl", "en", "zh", "region:us"],
            parameters=10,
            downloads=5,
        )
        fake.repos["some/gated-qwen"] = Repo(
            {OLD: files(model_type="gemma3")}, tags=["license:gemma", "gemma3"], gated="manual", downloads=9
        )
        fake.repos["some/pickled"] = Repo(
            {OLD: {"config.json": b'{"model_type": "llava"}', "pytorch_model.bin": b"x"}}
        )
        yield fake
