"""Every family that runs on a server, or nowhere else, is asked in its own words there, and read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PIL import Image

from tests.engine.ready import Ready
from tests.servers import fault_server
from tests.servers.fault_server import Faults
from vlm_app import families, servers
from vlm_app.catalog import catalog
from vlm_app.engine import Engine
from vlm_app.grounding import bounds
from vlm_app.media import picture_from
from vlm_app.types import Answer, Box, Point, Region, Request, Role, Sampling, Task, Turn

SERVED = [
    name
    for name in families.names()
    if families.get(name).servers or not (families.get(name).native or families.get(name).package)
]
PLACING = {Task.DETECT, Task.GROUND, Task.POINT, Task.OCR_REGIONS}
CASES = [(name, task) for name in SERVED for task in sorted(families.get(name).tasks - {Task.SEGMENT})]
PLACE = (0.1, 0.2, 0.6, 0.7)
QUERIES = {Task.DESCRIBE_REGION: "0.1, 0.2, 0.6, 0.7", Task.CHAT: ""}


@pytest.fixture(scope="module")
def running() -> Iterator[Faults]:
    with fault_server.serving() as faults:
        yield faults


@pytest.fixture
def engine(running: Faults) -> Iterator[Engine]:
    servers.add("gpu", running.url, "vllm")
    servers.discover("gpu")
    engine = Engine(catalog(), Ready())
    yield engine
    engine.close()


def ask(engine: Engine, name: str, task: Task) -> Answer:
    servers.assign("gpu", "my-finetune", name)
    picture = picture_from(Image.new("RGB", (400, 300), "red"))
    words = ("What is it?",) if task is Task.CHAT else ()
    request = Request(
        (Turn(Role.USER, (picture, *words)),),
        "gpu/my-finetune",
        task,
        QUERIES.get(task, "red circle"),
        sampling=Sampling(max_tokens=50),
    )
    *_, last = engine.answer(request)
    assert last.answer is not None
    return last.answer


def written(name: str, task: Task) -> str:
    """What the model answers, in its family's own form, as a server hands it on: without its end."""
    if task not in PLACING or not families.get(name).convention:
        return "A red circle."
    shape = Point(*PLACE[:2]) if task is Task.POINT else Box(*PLACE)
    region = Region("red circle", shape, text="red circle" if task is Task.OCR_REGIONS else None)
    family = families.get(name)
    size = family.sent_size((400, 300))
    return family.write([region], image_size=(400, 300), input_size=size, asked=(task, "red circle"))


@pytest.mark.parametrize(("name", "task"), CASES)
def test_it_is_asked_in_its_own_words_and_read(
    name: str, task: Task, engine: Engine, running: Faults
) -> None:
    running.text = written(name, task)
    answer = ask(engine, name, task)
    sent = running.asked[-1]["messages"][-1]["content"]
    words = (
        "What is it?" if task is Task.CHAT else families.get(name).ask(task, QUERIES.get(task, "red circle"))
    )
    assert sent[0]["type"] == "image_url"
    assert "\n".join(part["text"] for part in sent if part["type"] == "text") == words
    assert answer.text
    if task in PLACING and families.get(name).convention:
        (found,) = answer.regions
        unit = 1 / (families.get(name).grid or 200)
        read = (found.shape.x, found.shape.y) if isinstance(found.shape, Point) else bounds(found.shape).xyxy
        assert read == pytest.approx(PLACE[: len(read)], abs=1.01 * unit)
