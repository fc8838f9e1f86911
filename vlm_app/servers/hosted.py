"""Services with models of their own, as their documentation describes them."""

from __future__ import annotations

from vlm_app.servers.kind import Kind

_OPENAI = Kind(
    name="openai",
    title="OpenAI (GPT-4o and later)",
    url="https://api.openai.com/v1",
    hosted=True,
    key="OPENAI_API_KEY",
    limit="max_completion_tokens",
    max_images=1500,
    max_request_bytes=512_000_000,
    notes=(
        "`max_tokens` is deprecated there, and the o-series refuses it.",
        "`seed` is a best effort: the same seed need not give the same answer.",
        "Older editions of its documentation say 500 images and 50 MB for a request.",
    ),
    sources=(
        "https://developers.openai.com/api/docs/guides/images-vision",
        "https://github.com/openai/openai-python/blob/main/src/openai/types/chat/completion_create_params.py",
    ),
)

_ANTHROPIC = Kind(
    name="anthropic",
    title="Anthropic (Claude)",
    url="https://api.anthropic.com/v1",
    hosted=True,
    key="ANTHROPIC_API_KEY",
    seed=False,
    max_images=100,
    max_side=2000,
    max_image_bytes=5 * 1024 * 1024,
    max_request_bytes=32_000_000,
    notes=(
        "Anthropic calls this endpoint a way to try and compare its models, not one for production.",
        "A seed is ignored, and a temperature over 1 counts as 1.",
        "An image of up to 8000 × 8000 pixels is taken, but with more than 20 images in a request only "
        "2000 × 2000: the app keeps to 2000.",
        "100 images is the limit of models with a context of 200,000 tokens; the others take 600.",
        "Claude 4.6 and later refuse a conversation that ends with an assistant's turn: "
        "an unfinished answer cannot be continued.",
    ),
    sources=(
        "https://platform.claude.com/docs/en/cli-sdks-libraries/libraries/openai-sdk.md",
        "https://platform.claude.com/docs/en/build-with-claude/vision.md",
        "https://platform.claude.com/docs/en/about-claude/models/migration-guide",
        "https://github.com/lobehub/lobehub/pull/14711",
    ),
)

_GEMINI = Kind(
    name="gemini",
    title="Google (Gemini)",
    url="https://generativelanguage.googleapis.com/v1beta/openai",
    hosted=True,
    key="GEMINI_API_KEY",
    seed=False,
    max_request_bytes=100_000_000,
    notes=(
        "It answers 400 to fields that it does not know; `seed` was one of them in February 2025.",
        "Inline images may have 100 MB together, encoded as base64; until January 2026 it was 20 MB.",
        "Its boxes have y first, from 0 to 1000.",
    ),
    sources=(
        "https://ai.google.dev/gemini-api/docs/openai",
        "https://blog.google/innovation-and-ai/technology/developers-tools/gemini-api-new-file-limits",
        "https://github.com/Vali-98/ChatterUI/issues/227",
        "https://ai.google.dev/gemini-api/docs/image-understanding",
    ),
)

HOSTED: tuple[Kind, ...] = (_OPENAI, _ANTHROPIC, _GEMINI)
