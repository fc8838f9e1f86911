"""Answers that are decoded together are those that each would have got alone."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from tests.engine.batching.rows import Asked, alone, asked, encoded, tiny
from tests.engine.lora import made
from tests.families import checkpoints
from vlm_app.engine import LoadedModel, adapters
from vlm_app.engine.adapters import Adapter
from vlm_app.engine.batching import able, decoder, prefill, share
from vlm_app.engine.batching.caches import BatchCache
from vlm_app.engine.loading import load_checkpoint
from vlm_app.types import Role, Sampling, Turn

# Each with the reason why its answers are written one after the other, by `generate`.
ONE_BY_ONE = {
    "blip2": "its `generate` is its own",
    "florence2": "an encoder-decoder",
    "instructblip": "its `generate` is its own",
    "kosmos2": "its `generate` is its own",
    "kosmos2_5": "works out places from the tokens",
}
TOGETHER = sorted(set(checkpoints.names()) - set(ONE_BY_ONE))


@pytest.mark.parametrize("name", sorted(ONE_BY_ONE))
def test_the_others_are_asked_one_by_one(name: str) -> None:
    loaded = tiny(name)
    assert not able.decodes_together(loaded.model)
    assert loaded.room == 1


@pytest.mark.parametrize("name", TOGETHER)
def test_four_at_once_get_what_each_would_alone(name: str) -> None:
    loaded = tiny(name)
    prompts = [asked(loaded, number) for number in range(4)]
    expected = [alone(loaded, inputs, 12) for inputs in prompts]
    with _slowly() as together:
        rows = [Asked(loaded, inputs, visual=number) for number, inputs in enumerate(prompts)]
        assert [row.written() for row in rows] == expected
    assert max(together) == 4


@pytest.mark.parametrize("name", ["idefics", "mllama"])
def test_what_looks_at_images_beside_its_text_keeps_rows_with_more_of_them_apart(name: str) -> None:
    loaded = tiny(name)
    two = Turn(Role.USER, (checkpoints.picture("red"), checkpoints.picture("blue"), "What are these?"))
    prompts = [asked(loaded, 0), encoded(loaded, two), asked(loaded, 1), encoded(loaded, two)]
    expected = [alone(loaded, inputs, 12) for inputs in prompts]
    with _slowly():
        rows = [Asked(loaded, inputs) for inputs in prompts]
        assert [row.written() for row in rows] == expected


def test_rows_join_and_leave_at_any_token() -> None:
    loaded = tiny("qwen2_5_vl")
    lengths = (30, 12, 21, 3)
    prompts = [asked(loaded, number) for number in range(4)]
    expected = [alone(loaded, inputs, length) for inputs, length in zip(prompts, lengths, strict=True)]
    with _slowly():
        first = Asked(loaded, prompts[0], lengths[0])
        first.wait_for(5)
        second = Asked(loaded, prompts[1], lengths[1])
        second.wait_for(4)
        others = [Asked(loaded, prompts[number], lengths[number]) for number in (2, 3)]
        assert [row.written() for row in (first, second, *others)] == expected


def test_each_row_has_its_own_sampling() -> None:
    loaded = tiny("llava")
    warm = [Sampling(temperature=1.5, top_p=0.9, seed=seed) for seed in (1, 2)]
    prompts = [asked(loaded, number) for number in range(4)]

    def sampled(number: int) -> list[int]:
        return Asked(loaded, prompts[number], sampling=warm[number], owner=f"alone {number}").written()

    expected = [sampled(0), sampled(1), alone(loaded, prompts[2], 12)]
    rows = [
        Asked(loaded, prompts[number], sampling=sampling, owner="together")
        for number, sampling in enumerate((*warm, Sampling()))
    ]
    assert [row.written() for row in rows] == expected
    assert len({tuple(each) for each in expected}) == 3


def test_a_checkpoints_own_rules_hold_for_each_row() -> None:
    loaded = tiny("qwen2_vl")
    own = loaded.model.generation_config
    with patch.object(own, "repetition_penalty", 1.8), patch.object(own, "no_repeat_ngram_size", 2):
        prompts = [asked(loaded, number) for number in range(3)]
        expected = [alone(loaded, inputs, 12) for inputs in prompts]
        rows = [Asked(loaded, inputs, owner="ruled") for inputs in prompts]
        assert [row.written() for row in rows] == expected
    assert expected[0] != alone(loaded, prompts[0], 12)


def test_each_row_has_its_own_end_and_its_own_stop() -> None:
    loaded = tiny("internvl")
    said = alone(loaded, asked(loaded, 0), 12)
    with _slowly():
        ending = Asked(loaded, asked(loaded, 0), ends=frozenset({said[-1]}))
        stopped = Asked(loaded, asked(loaded, 1), tokens=400)
        going = Asked(loaded, asked(loaded, 2), tokens=40)
        stopped.wait_for(3)
        stopped.stop.set()
        before = len(stopped.heard)
        assert len(stopped.written()) <= before + 1
        assert ending.written() == said[: said.index(said[-1]) + 1]
        assert len(going.written()) == 40


# peft asks transformers for a name that transformers has renamed.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_each_row_has_its_own_adapter() -> None:
    loaded = tiny("qwen3_vl")
    folder = Path(loaded.checkpoint.source)
    chosen = (None, made(folder, "one"), made(folder, "two", seed=2))
    prompt = asked(loaded, 0)
    expected = [Asked(loaded, prompt, adapter=adapter, owner="alone").written() for adapter in chosen]
    assert len({tuple(each) for each in expected}) == 3
    with _slowly():
        rows = [Asked(loaded, prompt, adapter=adapter, owner="together") for adapter in (*chosen, *chosen)]
        assert [row.written() for row in rows] == [*expected, *expected]


def test_one_more_is_answered_before_the_others_have_ended() -> None:
    loaded = tiny("smolvlm")
    assert loaded.decoder is not None
    with patch.object(loaded.decoder, "room", 9), _slowly():
        rows = [Asked(loaded, asked(loaded, number % 4), 200) for number in range(8)]
        rows[-1].wait_for(2)
        ninth = Asked(loaded, asked(loaded, 1), 200)
        ninth.wait_for(1)
        assert not any(row.row.ended.is_set() for row in rows)
        for row in (*rows, ninth):
            row.stop.set()
            row.written()


def test_no_more_rows_than_there_is_room_for() -> None:
    loaded = tiny("smolvlm")
    assert loaded.decoder is not None
    with patch.object(loaded.decoder, "room", 2), _slowly():
        rows = [Asked(loaded, asked(loaded, number), 400) for number in range(4)]
        rows[1].wait_for(3)
        assert loaded.decoder.running == 2 and not rows[2].heard and not rows[3].heard
        for row in rows:
            row.wait_for(1)
            row.stop.set()
            row.written()
    assert loaded.decoder.running == 0


def test_a_prompt_that_cannot_be_read_fails_alone() -> None:
    loaded = tiny("idefics3")
    broken = asked(loaded, 1)
    broken["pixel_values"] = broken["pixel_values"][..., :3]
    with _slowly():
        good = Asked(loaded, asked(loaded, 0), 20)
        good.wait_for(2)
        bad = Asked(loaded, broken)
        with pytest.raises((RuntimeError, ValueError)):
            bad.written()
        assert good.written() == alone(loaded, asked(loaded, 0), 20)


def test_when_a_step_fails_everybody_is_told_and_the_next_one_is_answered() -> None:
    loaded = tiny("idefics2")
    with patch.object(prefill, "step", side_effect=RuntimeError("out of memory")):
        rows = [Asked(loaded, asked(loaded, number)) for number in range(2)]
        for row in rows:
            with pytest.raises(RuntimeError, match="out of memory"):
                row.written()
    assert Asked(loaded, asked(loaded, 0)).written() == alone(loaded, asked(loaded, 0), 12)


def test_who_waits_for_memory_can_leave_at_once_and_is_answered_when_it_is_there() -> None:
    loaded = tiny("smolvlm")
    assert loaded.decoder is not None
    with (
        patch.object(loaded, "spare", lambda: 0),
        patch.object(loaded.decoder._memory, "_measured", 0.0),
        _slowly(),
    ):
        loaded.decoder.shed()
        prompts = [asked(loaded, number) for number in range(3)]
        holder = Asked(loaded, prompts[0], 150)
        holder.wait_for(3)
        leaving, patient = (Asked(loaded, inputs, 5) for inputs in prompts[1:])
        leaving.stop.set()
        assert leaving.written() == [] and not holder.row.ended.is_set()
        assert len(holder.written()) == 150 and len(patient.written()) == 5
    loaded.decoder._memory._measured = 0.0


def test_what_goes_wrong_for_one_adapter_disturbs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = tiny("qwen3_vl")
    adapter = Adapter("gone", "Gone", loaded.checkpoint.source, "", Path("nowhere"))

    def use(loaded: LoadedModel, chosen: Adapter | None) -> None:
        if chosen is not None and len(bad.heard) >= 3:
            raise RuntimeError("its files are gone")

    monkeypatch.setattr("vlm_app.engine.adapters.use", use)
    with _slowly():
        good = Asked(loaded, asked(loaded, 0), 20, owner="alone")
        good.wait_for(1)
        bad = Asked(loaded, asked(loaded, 1), 20, adapter=adapter)
        with pytest.raises(RuntimeError, match="gone"):
            bad.written()
        assert len(good.written()) == 20


def test_whatever_goes_wrong_nobody_waits_for_ever() -> None:
    loaded = tiny("smolvlm")
    prompts = [asked(loaded, number) for number in range(2)]
    with patch("vlm_app.engine.batching.batches.Batch.join", side_effect=MemoryError("no room")), _slowly():
        rows = [Asked(loaded, inputs, 200) for inputs in prompts]
        for row in rows:
            with pytest.raises(MemoryError):
                row.written()
    assert len(Asked(loaded, asked(loaded, 0)).written()) == 12


def test_a_row_that_has_its_answer_gets_it_though_the_others_fail_as_it_leaves() -> None:
    loaded = tiny("smolvlm")
    prompts = [asked(loaded, number) for number in range(2)]
    with patch.object(BatchCache, "keep", side_effect=MemoryError("no room")), _slowly():
        long = Asked(loaded, prompts[0], 200)
        long.wait_for(1)
        short = Asked(loaded, prompts[1], 3)
        assert len(short.written()) == 3
        with pytest.raises(MemoryError):
            long.written()


def test_a_long_answer_waits_where_all_rows_would_grow_with_it() -> None:
    loaded = tiny("smolvlm")
    assert loaded.decoder is not None
    with _slowly():
        loaded.decoder.shed()
        first = [Asked(loaded, asked(loaded, number), 60) for number in range(3)]
        first[-1].wait_for(1)
        (batch,) = loaded.decoder._batches.values()
        needed = batch.bytes_with(1000) - batch.bytes
        with patch.object(loaded, "spare", lambda: needed - 1):
            loaded.decoder._memory._measured = 0.0
            assert not loaded.decoder._memory.fits([batch], 1000)
            assert loaded.decoder._memory.fits([batch], 60)
        with patch.object(loaded, "spare", lambda: needed):
            loaded.decoder._memory._measured = 0.0
            assert loaded.decoder._memory.fits([batch], 1000)
        for row in first:
            row.written()
    loaded.decoder._memory._measured = 0.0


# peft asks transformers for a name that transformers has renamed.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_a_fifth_adapter_waits_instead_of_taking_turns_with_the_others() -> None:
    loaded = tiny("internvl")
    folder = Path(loaded.checkpoint.source)
    made_ones = [made(folder, f"a{number}", seed=number) for number in range(5)]
    prompt = asked(loaded, 0)
    attach = adapters._attach
    with patch.object(adapters, "_attach", side_effect=attach) as attached, _slowly():
        rows = [Asked(loaded, prompt, 20, adapter=adapter) for adapter in made_ones]
        assert [len(row.written()) for row in rows] == [20] * 5
    assert attached.call_count == 5


# peft asks transformers for a name that transformers has renamed.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_an_adapter_that_is_deleted_while_it_answers_answers_to_the_end() -> None:
    loaded = tiny("internvl")
    folder = Path(loaded.checkpoint.source)
    gone, other = made(folder, "gone", seed=7), made(folder, "other", seed=8)
    with _slowly():
        row = Asked(loaded, asked(loaded, 0), 40, adapter=gone)
        row.wait_for(2)
        shutil.rmtree(gone.folder)
        assert len(Asked(loaded, asked(loaded, 1), 5, adapter=other).written()) == 5
        assert len(row.written()) == 40


def test_who_waits_when_the_model_is_unloaded_is_told() -> None:
    loaded = load_checkpoint(checkpoints.row("smolvlm"), "fp32")
    share(loaded)
    assert loaded.decoder is not None
    with patch.object(loaded.decoder, "room", 1), _slowly():
        rows = [Asked(loaded, asked(loaded, number), 60) for number in range(3)]
        rows[0].wait_for(2)
        loaded.decoder.close()
        for row in rows:
            with pytest.raises(RuntimeError, match="unloaded"):
                row.written()


def test_without_a_thread_it_says_so_and_answers_the_next_one() -> None:
    loaded = tiny("smolvlm")
    assert loaded.decoder is not None
    while loaded.decoder._thread is not None:
        time.sleep(0.01)
    refused = patch("threading.Thread.start", side_effect=RuntimeError("can't start new thread"))
    with refused, pytest.raises(RuntimeError, match="thread"):
        Asked(loaded, asked(loaded, 0))
    assert len(Asked(loaded, asked(loaded, 0)).written()) == 12


def test_the_pixels_of_a_prompt_are_let_go_of_once_it_was_read() -> None:
    loaded = tiny("smolvlm")
    with _slowly():
        row = Asked(loaded, asked(loaded, 0), 30)
        row.wait_for(2)
        assert row.row.inputs == {}
        row.written()


@contextmanager
def _slowly() -> Iterator[list[int]]:
    """A pause at every step, so that others come while somebody is answered; how many were in each.

    However long a prompt takes to read here, the next one is read after one token.
    """
    together: list[int] = []
    step = prefill.step

    def slow(model: Any, cache: Any, tokens: Any, *args: Any, **more: Any) -> object:
        together.append(len(tokens))
        time.sleep(0.01)
        return step(model, cache, tokens, *args, **more)

    with patch.object(prefill, "step", slow), patch.object(decoder, "LONG_SECONDS", 600.0):
        yield together
