"""A batch whose step is recorded once and run again writes what plain steps write."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import patch

import pytest
import torch

from tests.engine.batching.rows import Asked, alone, asked, tiny
from tests.engine.batching.test_together import TOGETHER
from vlm_app.engine.batching import caches, graphs

# Sliding windows, whose masks their classes make themselves, layers without keys, images beside the text:
# their steps stay plain.
MIXED = {"gemma3", "idefics", "idefics2", "lfm2_vl", "llava_next", "mistral3", "mllama", "pixtral"}


class Recorder:
    """Records nothing: runs the step again, on the tensors that it was given once."""

    def __init__(self) -> None:
        self.made = self.run = 0

    def __call__(self, forward: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        self.made += 1
        forward()  # as the real one does first

        def again() -> torch.Tensor:
            self.run += 1
            return forward()

        return again


@pytest.mark.parametrize("name", [name for name in TOGETHER if name not in MIXED])
def test_recorded_steps_write_what_plain_ones_write(name: str) -> None:
    loaded = tiny(name)
    recorder = Recorder()
    prompts = [asked(loaded, number) for number in range(3)]
    with patch.object(loaded.decoder._recorder, "record", recorder), patch.object(caches, "SPARE", 20):
        rows = [Asked(loaded, inputs, 8 + 16 * number) for number, inputs in enumerate(prompts)]
        written = [row.written() for row in rows]
    assert written == [alone(loaded, inputs, 8 + 16 * number) for number, inputs in enumerate(prompts)]
    # After each of them left, and when the buffers were full, it was recorded anew.
    assert recorder.made >= 3 and recorder.run > 15


@pytest.mark.parametrize("name", sorted(MIXED))
def test_models_with_other_layers_are_not_recorded(name: str) -> None:
    loaded = tiny(name)
    recorder = Recorder()
    with patch.object(loaded.decoder._recorder, "record", recorder):
        Asked(loaded, asked(loaded, 0), 20).written()
    assert recorder.made == 0


def test_a_step_that_cannot_be_recorded_stays_plain() -> None:
    loaded = tiny("llava")

    def refuse(forward: object) -> Callable[[], torch.Tensor]:
        raise RuntimeError("operation not permitted when stream is capturing")

    with patch.object(loaded.decoder._recorder, "record", refuse):
        assert Asked(loaded, asked(loaded, 0), 20).written() == alone(loaded, asked(loaded, 0), 20)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_real_graph_runs_the_kernels_again() -> None:
    weights, given = torch.ones(4, 4, device="cuda"), torch.ones(4, device="cuda")
    with torch.inference_mode():
        replay = graphs.recorded(lambda: weights @ given)
        given.fill_(3.0)
        assert replay().tolist() == [12.0] * 4
