"""A model on a server answers through the engine like a model here."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator

import pytest
from PIL import Image

from tests.engine.ready import Ready
from tests.servers.fault_server import Faults
from vlm_app import families, servers
from vlm_app.catalog import catalog
from vlm_app.engine import Engine
from vlm_app.errors import AppError, BadInput, GenerationFailed
from vlm_app.media import picture_from
from vlm_app.servers import Server, messages
from vlm_app.servers.kind import Kind
from vlm_app.settings import settings
from vlm_app.types import Answer, Box, Delta, Finish, Picture, Request, Role, Sampling, Task, Turn

QWEN3 = "gpu/Qwen/Qwen3-VL-4B-Instruct"
OTHER = "gpu/my-finetune"


@pytest.fixture
def engine(server: Server) -> Iterator[Engine]:
    servers.discover(server.name)
    engine = Engine(catalog(), Ready())
    yield engine
    engine.close()


def picture(size: tuple[int, int] = (300, 200), colour: str = "red") -> Picture:
    return picture_from(Image.new("RGB", size, colour))


def request(*parts: str | Picture, **more: object) -> Request:
    sampling = more.pop("sampling", Sampling(max_tokens=50))
    before = more.pop("before", ())
    return Request(
        (*before, Turn(Role.USER, parts)), str(more.pop("model", QWEN3)), sampling=sampling, **more
    )


def whole(engine: Engine, asked: Request) -> Answer:
    *_, last = engine.answer(asked)
    assert last.answer is not None
    return last.answer


def test_a_servers_models_stand_in_the_catalog_with_the_tasks_of_their_family(engine: Engine) -> None:
    found = catalog()[QWEN3]
    assert (found.family, found.server, found.source) == ("qwen3_vl", "gpu", "Qwen/Qwen3-VL-4B-Instruct")
    assert Task.DETECT in found.tasks
    assert catalog()[OTHER].family == "openai"


def test_a_family_corrected_by_hand_stays_when_the_models_are_looked_for_again(engine: Engine) -> None:
    servers.assign("gpu", "my-finetune", "qwen2_5_vl")
    servers.discover("gpu")
    assert catalog()[OTHER].family == "qwen2_5_vl" and Task.POINT in catalog()[OTHER].tasks


def test_boxes_of_a_server_lie_where_its_model_says(engine: Engine, faults: Faults) -> None:
    faults.text = '```json\n[{"bbox_2d": [100, 200, 300, 400], "label": "cat"}]\n```'
    answer = whole(engine, request(picture(), task=Task.DETECT, query="cat"))
    (region,) = answer.regions
    assert region.label == "cat" and region.shape == Box(0.1, 0.2, 0.3, 0.4)
    assert (answer.finish, answer.model) == (Finish.STOP, QWEN3)
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (30, 7)
    assert 0 < answer.timings.first_token <= answer.timings.total


def test_pixels_of_what_the_model_saw_are_those_of_the_image_as_sent(engine: Engine, faults: Faults) -> None:
    servers.assign("gpu", "my-finetune", "qwen2_5_vl")
    faults.text = '[{"bbox_2d": [0, 0, 154, 98], "label": "cat"}]'
    answer = whole(engine, request(picture((301, 199)), model=OTHER, task=Task.DETECT, query="cat"))
    width, height = sent_image(faults).size
    assert (width % 28, height % 28) == (0, 0) and answer.seen.size == (width, height)
    assert answer.regions[0].shape == Box(0, 0, 154 / width, 98 / height)


def sent_image(faults: Faults) -> Image.Image:
    (part,) = [part for part in faults.asked[-1]["messages"][-1]["content"] if part["type"] == "image_url"]
    return Image.open(io.BytesIO(base64.b64decode(part["image_url"]["url"].partition(",")[2])))


def test_the_request_holds_the_conversation_and_the_sampling(engine: Engine, faults: Faults) -> None:
    earlier = (
        Turn(Role.SYSTEM, ("Be brief.",)),
        Turn(Role.USER, (picture(), "One?")),
        Turn(Role.ASSISTANT, ("1",)),
    )
    sampling = Sampling(0.5, 0.9, 77, seed=3)
    whole(engine, request(picture((50, 40), "blue"), "Two?", before=earlier, sampling=sampling))
    asked = faults.asked[-1]
    assert [message["role"] for message in asked["messages"]] == ["system", "user", "assistant", "user"]
    kinds = [[part["type"] for part in asked["messages"][at]["content"]] for at in (1, 3)]
    assert kinds == [["image_url", "text"], ["image_url", "text"]]
    assert (asked["temperature"], asked["top_p"], asked["seed"]) == (0.5, 0.9, 3)
    assert 77 in (asked.get("max_tokens"), asked.get("max_completion_tokens"))
    assert asked["model"] == "Qwen/Qwen3-VL-4B-Instruct" and sent_image(faults).size == (50, 40)


@pytest.mark.parametrize("typed", ["<|im_start|>system", "</s>", "<image>", "[INST] go", "<start_of_turn>"])
def test_control_tokens_that_a_user_types_arrive_broken(typed: str, engine: Engine, faults: Faults) -> None:
    whole(engine, request(picture(), f"What is {typed}?"))
    sent = faults.asked[-1]["messages"][-1]["content"][-1]["text"]
    assert typed not in sent and sent.replace("\u2060", "") == f"What is {typed}?"


def test_a_pixel_budget_makes_the_image_smaller(engine: Engine, faults: Faults) -> None:
    whole(engine, request(picture((2000, 1000)), "What is it?", pixels=200_000))
    width, height = sent_image(faults).size
    assert width * height <= 201_000 and abs(width / height - 2) < 0.02


def test_thoughts_that_come_apart_are_folded_like_those_in_the_text(engine: Engine, faults: Faults) -> None:
    faults.thought = "Round, so a circle."
    faults.text = "A circle."
    assert whole(engine, request(picture(), "What?")).text == "<think>Round, so a circle.</think>A circle."


def test_a_setting_that_a_model_refuses_is_left_out_and_told(engine: Engine, faults: Faults) -> None:
    faults.script = ["400 temperature is not supported", "answer"]
    answer = whole(engine, request(picture(), "What?"))
    assert "temperature" in faults.asked[0] and "temperature" not in faults.asked[1]
    assert "does not take: temperature" in answer.seen.note


def test_stop_ends_the_answer_and_the_request(engine: Engine, faults: Faults) -> None:
    faults.script, faults.text = ["slow"], "word " * 200
    stop, said = threading.Event(), []
    for delta in engine.answer(request(picture(), "Go"), stop):
        said.append(delta)
        if delta.text:
            stop.set()
    assert said[-1].answer is not None and said[-1].answer.finish is Finish.CANCELLED
    assert faults.left.wait(5)


def test_leaving_the_stream_ends_the_request(engine: Engine, faults: Faults) -> None:
    faults.script, faults.text = ["slow"], "word " * 200
    stream = engine.answer(request(picture(), "Go"))
    next(delta for delta in stream if delta.text)
    stream.close()
    assert faults.left.wait(5)


def test_a_cut_answer_is_kept_with_its_sentence(engine: Engine, faults: Faults) -> None:
    faults.script = ["cut number"]
    heard: list[Delta] = []
    with pytest.raises(GenerationFailed, match="in the middle of the answer"):
        heard.extend(_into(heard, engine, request(picture(), "Where?")))
    last = heard[-1].answer
    assert last is not None and last.finish is Finish.FAILED and last.text.startswith("A caf\u00e9")


def _into(heard: list[Delta], engine: Engine, asked: Request) -> list[Delta]:
    for delta in engine.answer(asked):
        heard.append(delta)
    return []


def test_a_server_that_is_down_costs_only_its_own_rows(engine: Engine, faults: Faults) -> None:
    faults.script = ["close"]
    with pytest.raises(AppError, match="cannot be reached"):
        whole(engine, request(picture(), "What?"))
    assert engine.state(QWEN3).status == "failed" and "cannot be reached" in engine.state(QWEN3).detail
    assert engine.state("pebble").status == "unloaded"


def test_what_a_server_cannot_go_on_with_is_said_before_sending(engine: Engine, faults: Faults) -> None:
    cut = Request((Turn(Role.USER, (picture(), "Count.")), Turn(Role.ASSISTANT, ("One, two",))), QWEN3)
    with pytest.raises(BadInput, match="cannot go on from an answer that was cut"):
        whole(engine, cut)
    assert not faults.asked


def test_an_adapter_of_this_computer_is_not_left_out_in_silence(engine: Engine) -> None:
    folder = settings().data / "adapters" / "mine"
    folder.mkdir(parents=True)
    base = {"peft_type": "LORA", "base_model_name_or_path": "Qwen/Qwen3-VL-4B-Instruct"}
    (folder / "adapter_config.json").write_text(json.dumps(base))
    assert engine.adapters(QWEN3) == ()
    with pytest.raises(BadInput, match="runs on the server 'gpu', where adapters of this computer cannot"):
        whole(engine, request(picture(), "What?", adapter="mine"))


def test_an_image_that_is_sent_twice_counts_twice() -> None:
    noise = picture_from(Image.effect_noise((100, 100), 50).convert("RGB"))
    small = Server("small", "http://small/v1", Kind("small", "Small", "", max_request_bytes=50_000))
    family, once = families.get("openai"), Turn(Role.USER, (noise, "What?"))
    messages(small, family, (once,), None)
    with pytest.raises(BadInput, match="as they are sent, and Small takes"):
        messages(small, family, (once, Turn(Role.ASSISTANT, ("Grey.",)), once), None)
