"""A kind of server that speaks the OpenAI protocol, and where it differs from the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of one kind of server. What no source says stays at its default."""

    name: str  # 'vllm'
    title: str  # 'vLLM'
    url: str  # the address it has when nobody changes it, with /v1; empty where there is none
    start: str = ""  # the line that starts it; empty for a service
    hosted: bool = False  # a service: its models are its own, and images leave this computer's network
    key: str = ""  # the environment variable in which its users keep their key
    # Fields beside the protocol's, sent with every request: that special tokens are kept.
    extra: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    keeps_tokens: bool | None = (
        None  # whether special tokens of an answer arrive (with `extra`); None: unknown
    )
    # Fields with which an answer goes on from the assistant's last turn; empty: it does so without any;
    # None: it cannot, or no source says so.
    resumes: Mapping[str, Any] | None = None
    usage: bool = True  # takes `stream_options`, and so says how many tokens there were
    seed: bool = True  # takes `seed`
    limit: str = "max_tokens"  # the name of the token limit
    max_images: int | None = None  # in one request
    max_side: int | None = None  # pixels of an image; a larger one is made smaller before it is sent
    max_image_bytes: int | None = None  # of one image, encoded as base64
    max_request_bytes: int | None = None
    formats: tuple[str, ...] = ("png", "jpeg")  # of images, the preferred one first
    adapters: str = ""  # how LoRA adapters are chosen, in a sentence
    notes: tuple[str, ...] = ()  # sentences for the page of docs
    sources: tuple[str, ...] = ()
