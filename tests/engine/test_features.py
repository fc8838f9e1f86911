"""The vision encoder reads a picture once; the answers are bit for bit those of reading it each time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.engine.live_bytes import live_bytes
from tests.engine.lora import TEXT, made, pebble
from tests.families import checkpoints
from vlm_app.engine import LoadedModel, adapters
from vlm_app.engine import features as features_module
from vlm_app.engine.backend import Plan, Watch
from vlm_app.engine.features import Features, key_of, seen
from vlm_app.engine.loading import load_checkpoint
from vlm_app.engine.local import LocalBackend
from vlm_app.media import picture_from
from vlm_app.types import Clip, Part, Picture, Role, Task, Turn

__all__ = ["pebble"]

# peft asks transformers for a name that transformers has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
PLENTY = 10**9
VISION = r".*(vision_model|visual).*\.(q_proj|fc1|qkv)"


def plenty() -> int:
    return PLENTY


class Blind:
    """Stands for a model without an encoder."""

    base_model = None


def noise(seed: int, size: tuple[int, int] = (60, 40)) -> Picture:
    """Pixels that every encoder tells from others: some make one and the same of all plain colours."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return picture_from(Image.fromarray(pixels))


ONE, OTHER = noise(1), noise(2)


def inputs(loaded: LoadedModel, *parts: Part, pixels: int | None = None) -> dict[str, Any]:
    tasks = loaded.family.tasks
    task = Task.CHAT if Task.CHAT in tasks else next(task for task in Task if task in tasks)
    turns = (Turn(Role.USER, (*parts, "a circle")),)
    encoded, _ = loaded.family.encode(loaded.processor, turns, task=task, pixels=pixels)
    dtype = loaded.model.dtype
    return {name: one.to(dtype) if one.is_floating_point() else one for name, one in encoded.items()}


def generated(loaded: LoadedModel, given: dict[str, Any]) -> torch.Tensor:
    """The logits of the first token."""
    with torch.inference_mode():
        told = loaded.model.generate(
            **given, max_new_tokens=1, do_sample=False, output_logits=True, return_dict_in_generate=True
        )
    return torch.stack(told.logits)


def forward(loaded: LoadedModel, given: dict[str, Any]) -> torch.Tensor:
    begun = {"decoder_input_ids": given["input_ids"][:, :2]} if loaded.model.config.is_encoder_decoder else {}
    with torch.inference_mode():
        return loaded.model(**(begun | given)).logits


def load(name: str) -> LoadedModel:
    """Without weights that are all alike: some begin as zeros, or nearly, which shut the picture out."""
    loaded = load_checkpoint(checkpoints.row(name), "fp32")
    torch.manual_seed(0)
    with torch.inference_mode():
        for weights in loaded.model.parameters():
            if weights.std(correction=0) < 1e-3:
                weights.add_(torch.randn_like(weights), alpha=0.3)
    return loaded


@pytest.mark.parametrize("name", checkpoints.names())
def test_an_answer_with_features_from_memory_is_the_same(name: str) -> None:
    loaded = load(name)
    one, other = inputs(loaded, ONE), inputs(loaded, OTHER)
    want, wanted = generated(loaded, one), generated(loaded, other)
    assert not torch.equal(want, wanted)
    features = Features(loaded.model, PLENTY, plenty)
    for _ in range(2):
        with features.of("one"):
            assert torch.equal(generated(loaded, one), want)
    assert features.calls == 1
    assert features.bytes > 0
    with features.of("one"):  # a key that promises too much
        assert torch.equal(generated(loaded, other), wanted)
    assert features.calls == 2
    told = []
    for _ in range(2):  # a forward pass may reach the encoder in another way than `generate`
        with features.of("forward"):
            told.append(forward(loaded, one))
    assert torch.equal(*told)
    assert features.calls == 3


@pytest.fixture(scope="module")
def qwen() -> LoadedModel:
    return load("qwen2_5_vl")


def test_without_a_key_nothing_is_kept_or_found(qwen: LoadedModel) -> None:
    features = Features(qwen.model, PLENTY, plenty)
    one = inputs(qwen, ONE)
    with features.of("one"):
        forward(qwen, one)
    for calls in (2, 3):
        forward(qwen, one)
        assert features.calls == calls
    with features.of(None):
        forward(qwen, one)
    assert features.calls == 4
    features.shed()
    assert features.bytes == 0
    with features.of("one"):
        forward(qwen, one)
    assert features.calls == 5


def test_what_was_used_longest_ago_leaves_first(qwen: LoadedModel) -> None:
    one, two, three = (inputs(qwen, noise(seed)) for seed in (1, 2, 3))
    measured = Features(qwen.model, PLENTY, plenty)
    with measured.of(1):
        forward(qwen, one)
    features = Features(qwen.model, 2 * measured.bytes, plenty)
    for key, given in ((1, one), (2, two), (1, one), (3, three), (1, one)):
        with features.of(key):
            forward(qwen, given)
    assert (features.calls, features.bytes) == (3, 2 * measured.bytes)
    with features.of(2):
        forward(qwen, two)
    assert features.calls == 4


def test_what_is_larger_than_the_memory_is_not_kept(qwen: LoadedModel) -> None:
    features = Features(qwen.model, 10, plenty)
    for _ in range(2):
        with features.of("one"):
            forward(qwen, inputs(qwen, ONE))
    assert (features.calls, features.bytes) == (2, 0)


def asked(features: Features, key: Any, made: Callable[[], torch.Tensor] | None = None) -> None:
    """An answer for which the encoder makes 400 bytes."""
    with features.of(key):
        features.answer("forward", made or (lambda: torch.zeros(100)), (), {})


def test_no_more_is_kept_than_is_to_spare_and_that_is_measured_for_what_is_kept_only() -> None:
    spared: list[int] = []
    features = Features(Blind(), PLENTY, spared.pop)
    for spare, key, bytes, calls in (
        (399, "one", 0, 1),  # a byte less than it takes
        (400, "one", 400, 2),
        (None, "one", 400, 2),  # found: nobody measures
        (0, "two", 400, 3),  # the older one leaves for it
        (None, "two", 400, 3),
        (1000, "one", 800, 4),
    ):
        spared += [] if spare is None else [spare]
        asked(features, key)
        assert (features.bytes, features.calls, spared) == (bytes, calls, []), (spare, key)


def test_a_loaded_model_keeps_features_only_of_what_it_may_take() -> None:
    loaded = LocalBackend().load(Plan(checkpoints.row("llava"), "fp32", 0, 0, "cpu"), Watch())
    given = inputs(loaded, ONE)
    assert loaded.features is not None
    for spare, kept in ((0, False), (PLENTY, True)):
        loaded.spare = lambda spare=spare: spare
        with seen(loaded, ("me", ONE.sha256)):
            forward(loaded, given)
        assert (loaded.kept > 0) == kept
    loaded.close()


def test_somebody_may_forget_everything_while_an_answer_finds_its_features(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Interrupted(OrderedDict[Any, Any]):
        """Between a look and a use of what was found another thread wants to forget it."""

        def move_to_end(self, key: Any, last: bool = True) -> None:
            threads.append(threading.Thread(target=features.shed))
            threads[-1].start()
            threads[-1].join(0.1)
            super().move_to_end(key, last)

    threads: list[threading.Thread] = []
    monkeypatch.setattr(features_module, "OrderedDict", Interrupted)
    features = Features(Blind(), PLENTY, plenty)
    for _ in range(2):
        asked(features, "one")
    threads[0].join()
    assert (features.calls, features.bytes) == (1, 0)


def test_nobody_waits_for_the_encoder_or_for_a_measurement_in_order_to_forget() -> None:
    """Whoever forgets may hold the lock that a measurement wants."""

    def forgetting(value: Any) -> Any:
        thread = threading.Thread(target=features.shed)
        thread.start()
        thread.join(60)
        assert not thread.is_alive()
        return value

    features = Features(Blind(), PLENTY, lambda: forgetting(PLENTY))
    asked(features, "one", lambda: forgetting(torch.zeros(100)))
    assert features.bytes == 400


def test_only_what_one_owner_showed_is_forgotten() -> None:
    features = Features(Blind(), PLENTY, plenty)
    keys = [((owner, "picture"), None) for owner in ("me", "you", None)]
    for key in keys:
        asked(features, key)
    features.forget("me")
    assert features.bytes == 800
    for key in keys:
        asked(features, key)
    assert (features.calls, features.bytes) == (4, 1200)


def test_what_the_encoder_makes_while_its_owner_is_forgotten_is_not_kept() -> None:
    features = Features(Blind(), PLENTY, plenty)

    def interrupted() -> torch.Tensor:
        features.forget("me")
        return torch.zeros(100)

    asked(features, (("me", "picture"), None), interrupted)
    assert features.bytes == 0
    asked(features, (("me", "picture"), None))
    assert features.bytes == 400


@pytest.mark.parametrize("name", ["qwen2_5_vl", "glm4v", "llava_onevision"])
def test_a_video_is_encoded_once_and_the_picture_beside_it(name: str) -> None:
    loaded = load(name)
    clip = Clip((ONE, OTHER, ONE, OTHER), (0.0, 0.5, 1.0, 1.5))
    given = inputs(loaded, clip)
    want = forward(loaded, given)
    features = Features(loaded.model, PLENTY, plenty)
    for _ in range(2):
        with features.of("clip"):
            assert torch.equal(forward(loaded, given), want)
    assert features.calls == 1


@pytest.mark.parametrize("name", ["pebble", "qwen2_5_vl"])
def test_only_an_adapter_of_the_language_model_shares_features(name: str, request: Any) -> None:
    folder = request.getfixturevalue("folder") if name == "pebble" else checkpoints.checkpoint(name)
    loaded = request.getfixturevalue("pebble") if name == "pebble" else load(name)
    made(folder, "words", target_modules=TEXT)
    made(folder, "eyes", target_modules=VISION)
    given = inputs(loaded, ONE)
    features = Features(loaded.model, PLENTY, plenty)
    told = {}
    for id, runs in ((None, 1), ("words", 0), ("eyes", 1), (None, 0), ("eyes", 0)):
        adapters.use(loaded, adapters.find(id) if id else None)
        plain = forward(loaded, given)
        before = features.calls
        with features.of(key_of(loaded, ONE)):
            told[id] = forward(loaded, given)
        assert torch.equal(told[id], plain)
        assert features.calls - before == runs, id
    assert not torch.equal(told[None], told["words"])
    assert not torch.equal(told[None], told["eyes"])


def test_after_an_unload_no_byte_of_a_feature_is_left() -> None:
    def turn() -> Features:
        backend = LocalBackend()
        loaded = backend.load(Plan(checkpoints.row("llava"), "bf16", 0, 0, "cpu"), Watch())
        features = Features(loaded.model, PLENTY, plenty)
        with features.of(key_of(loaded, ONE)):
            forward(loaded, inputs(loaded, ONE))
        backend.unload(loaded)
        features.shed()
        return features

    turn()  # what a first use leaves behind for good
    before = live_bytes()
    held = turn()
    assert held.calls == 1
    assert live_bytes() == before
