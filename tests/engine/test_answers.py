"""What somebody who asks the engine notices."""

from __future__ import annotations

import threading
import time
import weakref
from functools import wraps

import pytest
import torch

from tests.engine.ready import Ready
from tests.engine.tiny import END, picture, request, row, speak
from vlm_app.engine import Engine, LoadedModel, local_answer, manager
from vlm_app.engine.events import Answered, Answering, Event, Loaded, Loading, Queued
from vlm_app.engine.local_answer import _visual
from vlm_app.errors import AppError, BadInput, GenerationFailed, ModelUnavailable
from vlm_app.types import Answer, Box, Clip, Delta, Finish, Point, Request, Role, Task, Turn

BOX = "<loc_64><loc_64><loc_128><loc_192>"


def whole(engine: Engine, asked: Request) -> Answer:
    """The answer, checked against its own stream."""
    deltas = list(engine.answer(asked))
    answer = deltas[-1].answer
    assert answer is not None and all(delta.answer is None for delta in deltas[:-1])
    if asked.turns[-1].role is Role.USER:
        assert "".join(delta.text for delta in deltas) == answer.text
        assert tuple(region for delta in deltas for region in delta.regions) == answer.regions
    return answer


# --- answers ------------------------------------------------------------------------------


def test_an_answer_comes_as_text_and_regions_and_says_how_it_came(
    engine: Engine, loaded: LoadedModel
) -> None:
    with speak(loaded, f" There is <ref>a red circle{BOX} left of <ref>a cross<loc_9><loc_8>.{END}"):
        answer = whole(engine, request(picture(), "Where?", tokens=99))
    assert answer.text == "There is a red circle left of a cross."
    box, point = answer.regions
    assert box.shape == Box(64.5 / 256, 64.5 / 256, 128.5 / 256, 192.5 / 256)
    assert point.shape == Point(9.5 / 256, 8.5 / 256)
    assert [answer.text[slice(*region.span)] for region in answer.regions] == ["a red circle", "a cross"]
    assert answer.finish is Finish.STOP and answer.model == "pebble" and answer.precision == loaded.precision
    assert answer.raw.endswith(f"<loc_8>.{END}")
    assert answer.seen.size == (256, 256) and answer.seen.visual_tokens == 64
    assert answer.usage.prompt_tokens > 64 and answer.usage.completion_tokens > 10
    assert 0 < answer.timings.first_token < answer.timings.total


def test_the_prompt_is_kept_as_the_model_got_it(engine: Engine) -> None:
    answer = whole(engine, request(picture(), "What is it?"))
    assert answer.prompt.count("<image>") == 1
    assert answer.prompt.endswith(f"What is it?{END}\nAssistant:")


def test_a_task_is_asked_in_the_family_s_words(engine: Engine) -> None:
    answer = whole(engine, request(picture(), task=Task.DETECT, query="red circle"))
    assert f"Detect red circle.{END}" in answer.prompt
    assert answer.task is Task.DETECT


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("<ref>star<loc_9><loc_9><ref>star<loc_99><loc_9>", "star, star. Total: 2."),
        ("<ref>star<loc_9><loc_9> Total: 1.", "star. Total: 1."),
        ("There is no star.", "There is no star. Total: 0."),
    ],
)
def test_a_count_is_the_number_of_regions(said: str, shown: str, engine: Engine, loaded: LoadedModel) -> None:
    with speak(loaded, f" {said}{END}"):
        deltas = list(engine.answer(request(picture(), task=Task.COUNT, query="stars", tokens=40)))
    answer = deltas[-1].answer
    assert answer is not None and answer.text == shown == "".join(delta.text for delta in deltas)


def test_a_region_lies_on_the_last_of_several_images(engine: Engine, loaded: LoadedModel) -> None:
    with speak(loaded, f"<ref>red circle{BOX}{END}"):
        answer = whole(engine, request(picture("red"), picture("blue"), "Find it."))
    assert [region.image for region in answer.regions] == [1]
    assert answer.prompt.count("<image>") == 2


def test_characters_of_several_tokens_arrive_whole(engine: Engine, loaded: LoadedModel) -> None:
    text = "Grüße, 漢字 and 👩‍🚀!"
    with speak(loaded, text + END):
        deltas = list(engine.answer(request(picture(), "Say it.", tokens=99)))
    assert "".join(delta.text for delta in deltas) == text
    assert not any("\ufffd" in delta.text for delta in deltas)


def test_a_long_list_streams_object_by_object(engine: Engine, loaded: LoadedModel) -> None:
    with speak(loaded, f"<ref>red circle{BOX}" * 20 + END):
        deltas = list(engine.answer(request(picture(), "Detect everything.", tokens=400)))
    assert sum(len(delta.regions) for delta in deltas) == 20
    assert max(len(delta.regions) for delta in deltas) < 10


# --- limits -------------------------------------------------------------------------------


def test_a_cut_answer_says_so_and_goes_on_where_it_stopped(engine: Engine, loaded: LoadedModel) -> None:
    with speak(loaded, " There is <ref>a red"):
        cut = whole(engine, request(picture(), "What?", tokens=4))
    assert cut.finish is Finish.LENGTH and cut.usage.completion_tokens == 4
    rest = " There is <ref>a red"[len(cut.raw) :] + f" circle{BOX} here.{END}"
    again = request(picture(), "What?", after=(Turn(Role.ASSISTANT, (cut.raw,)),), tokens=99)
    with speak(loaded, rest):
        deltas = list(engine.answer(again))
    answer = deltas[-1].answer
    assert answer is not None
    assert answer.text == "There is a red circle here."
    assert cut.text + "".join(delta.text for delta in deltas) == answer.text
    assert len(answer.regions) == 1
    assert not answer.prompt.endswith(END)


def test_tokens_stop_where_the_model_s_context_ends(engine: Engine, loaded: LoadedModel) -> None:
    with speak(loaded, "a" * 1000):
        answer = whole(engine, request(picture(), "What?", tokens=5000))
    assert answer.finish is Finish.LENGTH
    assert loaded.context == 512
    assert answer.usage.prompt_tokens + answer.usage.completion_tokens == 512


def test_a_conversation_that_does_not_fit_is_refused_with_the_numbers(engine: Engine) -> None:
    with pytest.raises(BadInput, match=r"has \d{4} tokens, and Pebble reads at most 511: begin a new chat"):
        list(engine.answer(request(picture(), "one two three " * 500)))


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (request("Where is it?"), "there is none: add an image"),
        (request(picture(), "  "), "The message is empty"),
        (request(picture(), task=Task.GROUND), "give it a query"),
        (request(picture(), "x", precision="nf5"), "precision"),
        (request(picture(), "x", adapter="mine"), "no adapter 'mine'"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_a_sentence(
    engine: Engine, asked: Request, sentence: str
) -> None:
    with pytest.raises(AppError, match=sentence):
        list(engine.answer(asked))


def test_a_task_that_the_model_cannot_do_is_refused(engine: Engine) -> None:
    with pytest.raises(ModelUnavailable, match="cannot do 'segment'"):
        list(engine.answer(request(picture(), task=Task.SEGMENT, query="x")))


def test_more_images_than_a_model_takes_are_refused(loaded: LoadedModel) -> None:
    engine = Engine({"pebble": row(loaded.checkpoint.source, max_images=1)}, Ready(loaded))
    with pytest.raises(BadInput, match="at most 1 images in a conversation, found 2"):
        list(engine.answer(request(picture(), picture(), "x")))


def test_an_unknown_model_is_refused_with_the_known_ones(engine: Engine) -> None:
    with pytest.raises(ModelUnavailable, match="choose one of: pebble"):
        list(engine.answer(request(picture(), "x", model="other")))


# --- sampling -----------------------------------------------------------------------------


def test_a_seed_repeats_an_answer_and_leaves_other_randomness_alone(engine: Engine) -> None:
    state = torch.get_rng_state()
    one, same, other = (
        whole(engine, request(picture(), "x", temperature=1.0, seed=seed, tokens=20)).raw
        for seed in (5, 5, 6)
    )
    assert one == same != other
    assert torch.equal(torch.get_rng_state(), state)


def test_without_a_temperature_the_answer_is_always_the_same(engine: Engine) -> None:
    assert len({whole(engine, request(picture(), "x", seed=seed)).raw for seed in (1, 2, None)}) == 1


def test_sampled_tokens_follow_the_model_s_probabilities() -> None:
    from vlm_app.engine.sampling import _gumbel_noise

    probabilities = torch.tensor([0.6, 0.3, 0.1])
    scores = probabilities.log().repeat(20_000, 1)
    drawn = _gumbel_noise(1, "cpu")(torch.zeros(1), scores).argmax(dim=-1)
    assert torch.allclose(torch.bincount(drawn) / 20_000, probabilities, atol=0.02)


# --- stopping -----------------------------------------------------------------------------


def test_closing_the_stream_stops_the_model_within_a_token(engine: Engine, loaded: LoadedModel) -> None:
    with speak(loaded, "a" * 5000, pause=0.01) as steps:
        stream = engine.answer(request(picture(), "x", tokens=400))
        for delta in stream:
            if delta.text:
                break
        made = len(steps)
        stream.close()
        assert len(steps) <= made + 2  # the token that was being made, and one that was under way to us
        assert engine.leases == {}
        ended = len(steps)
        time.sleep(0.1)
        assert len(steps) == ended


def test_stop_ends_with_what_was_said_so_far(engine: Engine, loaded: LoadedModel) -> None:
    stop = threading.Event()
    deltas: list[Delta] = []
    with speak(loaded, "a" * 5000, pause=0.01) as steps:
        for delta in engine.answer(request(picture(), "x", tokens=400), stop):
            deltas.append(delta)
            if delta.text:
                stop.set()
    answer = deltas[-1].answer
    assert answer is not None and answer.finish is Finish.CANCELLED
    assert answer.text == "".join(delta.text for delta in deltas) and len(answer.text) > 0
    assert len(steps) < 100


def test_a_failing_model_ends_the_stream_and_answers_the_next_question(
    engine: Engine, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, calls = loaded.model.forward, []

    @wraps(forward)
    def failing(*args: object, **inputs: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("tensor at 0x7f00 is broken")
        return forward(*args, **inputs)

    monkeypatch.setattr(loaded.model, "forward", failing)
    deltas = []
    with pytest.raises(GenerationFailed, match="Pebble failed inside while answering: ask again") as failure:
        for delta in engine.answer(request(picture(), "x", temperature=1.0, seed=1)):
            deltas.append(delta)
    answer = deltas[-1].answer
    assert answer is not None and answer.finish is Finish.FAILED and answer.error == str(failure.value)
    assert "0x" not in answer.error
    assert failure.value.__context__ is None  # nothing keeps the model's tensors alive
    assert engine.leases == {}
    assert whole(engine, request(picture(), "x")).raw


def test_running_out_of_memory_names_a_remedy(
    engine: Engine, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    @wraps(loaded.model.forward)
    def full(*args: object, **inputs: object) -> object:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    with monkeypatch.context() as patched:
        patched.setattr(loaded.model, "forward", full)
        with pytest.raises(GenerationFailed, match=r"ran out of memory .*: .*(would need|saves|smaller)"):
            list(engine.answer(request(picture(), "x")))
    assert whole(engine, request(picture(), "x")).raw


# --- several at once ----------------------------------------------------------------------


def test_two_who_ask_at_once_both_get_their_own_answer(loaded: LoadedModel) -> None:
    loads, events = [], []

    def loading() -> None:
        loads.append(1)
        until = time.monotonic() + 60
        while engine.leases != {"pebble": 2}:  # the other one has come, too
            assert time.monotonic() < until
            time.sleep(0.01)

    engine = Engine({"pebble": loaded.checkpoint}, Ready(loaded, loading=loading))
    engine.subscribe(events.append)
    asked = [request(picture(), words, temperature=1.0, seed=3) for words in ("one", "a longer two")]
    answers: dict[int, Answer] = {}
    threads = [
        threading.Thread(target=lambda i=i: answers.update({i: whole(engine, asked[i])})) for i in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    told = list(events)
    assert len(loads) == 1
    assert [answers[i].raw for i in (0, 1)] == [whole(engine, asked[i]).raw for i in (0, 1)]
    assert "one" in answers[0].prompt and "a longer two" in answers[1].prompt
    kinds = [type(event) for event in told]
    assert kinds.count(Loading) == kinds.count(Loaded) == kinds.count(Queued) == 1
    # The second may begin before the first has said that it is done: the model is free earlier.
    assert kinds.count(Answering) == kinds.count(Answered) == 2
    assert kinds.index(Loaded) < kinds.index(Answering) < kinds.index(Answered)


@pytest.fixture
def one_by_one(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model answers one request at a time."""
    monkeypatch.setattr(loaded.decoder, "room", 1)


@pytest.mark.usefixtures("one_by_one")
def test_who_waits_can_leave_and_the_next_one_moves_up(engine: Engine, loaded: LoadedModel) -> None:
    with speak(loaded, "a" * 5000, pause=0.01):
        holder = engine.answer(request(picture(), "x", tokens=400))
        next(delta for delta in holder if delta.text)
        waiting = [engine.answer(request(picture(), "y", tokens=2)) for _ in range(2)]
        assert [next(stream) for stream in waiting] == [Delta(), Delta()]
        assert engine.leases == {"pebble": 3}
        waiting[0].close()
        assert engine.leases == {"pebble": 2}
        holder.close()
        assert list(waiting[1])[-1].answer is not None


@pytest.mark.usefixtures("one_by_one")
def test_waiting_for_a_busy_model_ends_with_a_sentence(
    engine: Engine, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager, "BUSY_SECONDS", 0.3)
    with speak(loaded, "a" * 5000, pause=0.01):
        holder = engine.answer(request(picture(), "x", tokens=400))
        next(delta for delta in holder if delta.text)
        begun = time.monotonic()
        with pytest.raises(ModelUnavailable, match=r"Pebble was busy for .* try again in a while"):
            list(engine.answer(request(picture(), "y")))
        assert time.monotonic() - begun < manager.LOAD_SECONDS / 2
        holder.close()


@pytest.mark.usefixtures("one_by_one")
def test_stop_reaches_who_waits(engine: Engine, loaded: LoadedModel) -> None:
    stop = threading.Event()
    with speak(loaded, "a" * 5000, pause=0.01):
        holder = engine.answer(request(picture(), "x", tokens=400))
        next(delta for delta in holder if delta.text)
        stop.set()
        answer = list(engine.answer(request(picture(), "y"), stop))[-1].answer
        assert answer is not None and answer.finish is Finish.CANCELLED and answer.text == ""
        holder.close()


def test_a_listener_that_fails_disturbs_nobody(engine: Engine) -> None:
    heard: list[Event] = []

    def deaf(event: Event) -> None:
        raise ValueError("deaf")

    engine.subscribe(deaf)
    leave = engine.subscribe(heard.append)
    whole(engine, request(picture(), "x"))
    assert isinstance(heard[-1], Answered) and heard[-1].tokens == 12
    leave()
    heard.clear()
    whole(engine, request(picture(), "x"))
    assert heard == []


def test_what_the_model_was_given_leaves_the_memory_with_its_last_token(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    place = local_answer._placed

    def placed(value: torch.Tensor, loaded: LoadedModel) -> torch.Tensor:
        tensor = place(value, loaded).clone()
        given.append(weakref.ref(tensor))
        return tensor

    monkeypatch.setattr(local_answer, "_placed", placed)
    for delta in engine.answer(request(picture(), "What is it?")):
        if delta.answer:
            assert given and not any(tensor() is not None for tensor in given)


def test_images_are_the_same_only_in_the_same_order_size_and_time() -> None:
    red, blue = picture("red"), picture("blue")
    asked = [
        request(red, "x"),
        request(blue, "x"),
        request(red, blue, "x"),
        request(blue, red, "x"),
        request(red, "x", pixels=10_000),
        request(Clip((red, blue), (0.0, 1.0)), "x"),
        request(Clip((red, blue), (0.0, 2.0)), "x"),
    ]
    assert len({_visual(each) for each in asked}) == len(asked)
    assert _visual(request(picture("red"), "y")) == _visual(asked[0])
