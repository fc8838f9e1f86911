"""A picture that was sent before is not resized and cut again, and the model reads the very same."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from transformers import AutoProcessor

from tests.families import checkpoints
from tests.families.asking import processor
from vlm_app.engine import LoadedModel, processed
from vlm_app.engine.processed import Memory, remembered
from vlm_app.engine.releasing import forget
from vlm_app.families import Family
from vlm_app.types import Clip, Part, Picture, Role, Seen, Task, Turn

RED, BLUE = checkpoints.picture(), checkpoints.picture("blue")
NAMES = checkpoints.names()  # every family is served from memory; one that is not would be left out here


class Asked:
    """A processor of a family, with and without memory, and how often it really worked."""

    def __init__(self, family: Family, made: Any) -> None:
        self.family, self.processor, self.runs = family, made, 0
        self.loaded = LoadedModel(
            checkpoint=None,
            family=family,
            processor=made,
            model=None,
            device="cpu",
            precision="",
            bytes=0,
            context=0,
        )

    def encode(self, *parts: Part, **more: Any) -> tuple[dict[str, Any], Seen]:
        tasks = self.family.tasks
        task = Task.CHAT if Task.CHAT in tasks else next(task for task in Task if task in tasks)
        turns = (Turn(Role.USER, (*parts, "a circle")),)
        return self.family.encode(self.processor, turns, task=task, **more)

    def remembered(self, *parts: Part, **more: Any) -> tuple[dict[str, Any], Seen]:
        self.runs = 0
        with remembered(self.loaded, Turn(Role.USER, parts).pictures):
            return self.encode(*parts, **more)


@pytest.fixture
def asked() -> Iterator[Callable[[str], Asked]]:
    """Makes an `Asked` that counts the calls of the processor's own classes."""
    undone: list[Any] = []

    def make(name: str) -> Asked:
        made = Asked(checkpoints.family(name), processor(name))
        for part in ("image_processor", "video_processor"):
            if reader := getattr(made.processor, part, None):
                undone.append(
                    patch.object(type(reader), "preprocess", _counting(type(reader).preprocess, made))
                )
                undone[-1].start()
        undone.append(made.processor)
        return made

    yield make
    for one in reversed(undone):
        one.stop() if hasattr(one, "stop") else forget(one)


def _counting(own: Callable[..., Any], made: Asked) -> Callable[..., Any]:
    def preprocess(self: Any, *args: Any, **options: Any) -> Any:
        made.runs += 1
        return own(self, *args, **options)

    return preprocess


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@pytest.mark.parametrize("name", NAMES)
def test_what_the_model_reads_is_the_same_from_memory(name: str, asked: Callable[[str], Asked]) -> None:
    made = asked(name)
    for parts, more, fresh in cases(made.family):
        want = made.encode(*parts, **more)
        assert same(made.remembered(*parts, **more), want), (parts, more)
        assert (made.runs > 0) == fresh, (parts, more)


def cases(family: Family) -> Iterator[tuple[tuple[Picture, ...], dict[str, Any], bool]]:
    """What is sent one after the other, and whether the processor has something to do for it."""
    yield (RED,), {}, True
    yield (RED,), {}, False
    yield (RED,), {"pixels": 10_000}, family.pixel_budget
    yield (RED,), {"pixels": 10_000}, False
    yield (BLUE,), {}, True
    yield (checkpoints.picture(),), {}, False  # the same pixels, opened again
    if family.max_images != 1:
        yield (RED, BLUE), {}, True
        yield (BLUE, RED), {}, True
        yield (RED, BLUE), {}, False


@pytest.mark.parametrize("name", [name for name in NAMES if checkpoints.family(name).native_video])
def test_a_video_is_remembered_too(name: str, asked: Callable[[str], Asked]) -> None:
    made = asked(name)
    clip, later = (Clip((RED, BLUE, RED, BLUE), (at, at + 0.5, at + 1, at + 1.5)) for at in (0.0, 3.0))
    for one in (clip, clip, later, clip):
        want = made.encode(one)
        assert same(made.remembered(one), want)
    assert made.runs == 0


def test_outside_and_in_other_threads_nothing_is_remembered(asked: Callable[[str], Asked]) -> None:
    made = asked("qwen2_5_vl")
    made.remembered(RED)
    made.runs = 0
    made.encode(RED)
    assert made.runs == 1
    with remembered(made.loaded, [RED]):
        other = threading.Thread(target=made.encode, args=(RED,))
        other.start()
        other.join()
        assert made.runs == 2
        made.encode(RED)
    assert made.runs == 2


def test_many_threads_encode_on_one_model(asked: Callable[[str], Asked]) -> None:
    made = asked("qwen2_5_vl")
    pictures = [checkpoints.picture(colour) for colour in ("red", "green", "blue")]
    want = [made.encode(one) for one in pictures]
    wrong: list[int] = []

    def ask(number: int) -> None:
        for turn in range(6):
            which = (number + turn) % 3
            if not same(made.remembered(pictures[which]), want[which]):
                wrong.append(which)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    made.remembered(*pictures[:1])
    assert made.runs == 0


def test_a_caller_cannot_change_what_is_remembered() -> None:
    memory = Memory(1000)
    pixels = torch.zeros(4)
    for _ in range(3):
        found = memory.answer("key", lambda: {"pixels": pixels, "rows": [[1]]})
        assert found == {"pixels": pixels, "rows": [[1]]}
        assert found.pop("pixels") is pixels
        found["rows"][0].append(2)


def test_what_was_used_longest_ago_leaves_first() -> None:
    memory, made = Memory(40), []

    def ask(key: str, numbers: int = 4) -> None:
        memory.answer(key, lambda: (made.append(key), torch.zeros(numbers))[1])

    for key in "ababcab":  # each has 16 bytes
        ask(key)
    assert made == ["a", "b", "c", "a", "b"]
    assert memory.bytes == 32
    ask("large", 11)
    ask("large", 11)
    assert made[-2:] == ["large", "large"]
    assert memory.bytes == 32


def test_unloading_lets_go_of_the_pictures(asked: Callable[[str], Asked]) -> None:
    made = asked("qwen2_5_vl")
    own = type(made.processor.image_processor)
    made.remembered(RED)
    memory = made.processor.image_processor.memory
    assert memory.bytes > 0
    forget(made.processor)
    assert memory.bytes == 0
    assert type(made.processor.image_processor) is own
    made.remembered(RED)
    assert made.runs == 1


def test_a_processor_with_memory_is_saved_as_any_other(asked: Callable[[str], Asked], tmp_path: Path) -> None:
    made = asked("qwen2_5_vl")
    made.processor.save_pretrained(tmp_path / "before")
    made.remembered(RED)
    made.processor.save_pretrained(tmp_path / "after")
    before, after = (
        {path.name: path.read_text() for path in (tmp_path / part).iterdir()} for part in ("before", "after")
    )
    assert before == after
    AutoProcessor.from_pretrained(tmp_path / "after")


def test_what_one_owner_sent_answers_nobody_else(asked: Callable[[str], Asked]) -> None:
    made = asked("qwen2_5_vl")
    for owner, runs in (("me", 1), ("me", 1), ("you", 2), (None, 3), ("you", 3)):
        with remembered(made.loaded, [RED], owner):
            made.encode(RED)
        assert made.runs == runs, owner


def test_what_one_owner_showed_is_forgotten_while_somebody_else_encodes(
    asked: Callable[[str], Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = asked("qwen2_5_vl")
    frozen = processed._frozen

    def interrupted(*given: Any) -> Any:
        """What is asked first, inside the processor."""
        monkeypatch.setattr(processed, "_frozen", frozen)
        made.loaded.forget("me")
        return frozen(*given)

    def encode(owner: str) -> int:
        made.runs = 0
        with remembered(made.loaded, [RED], owner):
            made.encode(RED)
        return made.runs

    assert (encode("me"), encode("you")) == (1, 1)
    bytes = made.processor.image_processor.memory.bytes
    monkeypatch.setattr(processed, "_frozen", interrupted)
    assert encode("you") == 0
    assert made.processor.image_processor.memory.bytes == bytes // 2
    assert encode("me") == 1


def test_what_is_made_while_its_owner_is_forgotten_is_not_kept() -> None:
    memory = Memory(10**9)

    def interrupted() -> torch.Tensor:
        memory.drop(lambda key: key == "me")
        return torch.zeros(100)

    memory.answer("me", interrupted)
    assert memory.bytes == 0
    memory.answer("me", lambda: torch.zeros(100))
    assert memory.bytes == 400
