"""An engine without a model: it answers by what the question says, word by word."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

from tests.ui.fake_manager import FakeManager
from vlm_app.errors import GenerationFailed
from vlm_app.types import (
    Answer,
    Box,
    Delta,
    Finish,
    Point,
    Polygon,
    Region,
    Request,
    Role,
    Seen,
    Task,
    Timings,
    Usage,
)

HOSTILE = (
    '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 2"> '
    "![leak](https://elsewhere.invalid/?q=1) [go](javascript:alert(1)) <b onclick='window.hacked=3'>bold</b>"
)
SHAPES = (
    Region("red circle", Box(0.125, 0.2, 0.375, 0.53), span=(11, 21)),
    Region("blue square", Box(0.5, 0.5, 0.72, 0.8), span=(32, 43)),
    Region("star", Point(0.8, 0.2), span=(49, 53)),
    Region("triangle", Polygon((Point(0.2, 0.65), Point(0.35, 0.95), Point(0.05, 0.95))), span=(60, 68)),
)
NAMES_IT = "Call it "  # what follows is the label of the one region of the answer
SENTENCE = "There is a red circle left of a blue square, one star and a triangle."


class FakeEngine(FakeManager):
    """Stands in for `Engine`. `pause` is the time for a word, in seconds."""

    def __init__(self, pause: float = 0.0, busy: bool = False) -> None:
        super().__init__(busy)
        self.pause = pause
        self.asked: list[Request] = []

    def answer(self, request: Request, stop: threading.Event | None = None) -> Iterator[Delta]:
        """Words with a pause, then the whole answer; regions close with the word at their span's end."""
        self.asked.append(request)
        whole, before = _scripted(request), _unfinished(request)
        said, closed = before, 0
        for word in _words(whole.text.removeprefix(before)):
            time.sleep(self.pause * (10 if "slowly" in whole.text else 1))
            said += word
            if stop is not None and stop.is_set():
                yield Delta(word, answer=replace(whole, text=said, regions=(), finish=Finish.CANCELLED))
                return
            now = [region for region in whole.regions if region.span and region.span[1] <= len(said)]
            yield Delta(word, tuple(now[closed:]))
            closed = len(now)
        if whole.finish is Finish.FAILED:
            raise GenerationFailed("The model ran out of memory: ask with a smaller image.")
        if "broken inside" in whole.text:
            raise RuntimeError("a bug")
        yield Delta("", whole.regions[closed:], whole)


def _unfinished(request: Request) -> str:
    """The text that a continued answer goes on from."""
    return request.turns[-1].text if request.turns[-1].role is Role.ASSISTANT else ""


def _words(text: str) -> Iterator[str]:
    for number, word in enumerate(text.split(" ")):
        yield word if number == 0 else f" {word}"


def _scripted(request: Request) -> Answer:
    question = next(turn for turn in reversed(request.turns) if turn.role is Role.USER)
    last = max(len(request.pictures) - 1, 0)
    answer = Answer(
        f"You said: {question.text}",
        task=request.task,
        seen=Seen((256, 256), 1, 64, "0–255 of the image, x first"),
        usage=Usage(91, 12),
        timings=Timings(0.0, 0.1, 0.6),
        model=request.model,
        precision="fp32" if request.precision == "auto" else request.precision,
        raw=f"You said: {question.text}",
    )
    if (said := question.text).startswith(NAMES_IT):
        name = said.removeprefix(NAMES_IT)
        named = Region(name, Box(0.1, 0.1, 0.5, 0.5), span=(7, 7 + len(name)), image=last)
        return replace(answer, text=f"It is: {name}", raw=said, regions=(named,))
    if before := _unfinished(request):
        text = f"{before} and this is the rest of it."
        return replace(answer, text=text, raw=text)
    if request.task in (Task.DETECT, Task.OCR_REGIONS) or "what is there" in question.text.lower():
        here = tuple(replace(region, image=last) for region in SHAPES)
        return replace(answer, text=SENTENCE, regions=here, raw=SENTENCE)
    for word, change in SCRIPTS.items():
        if word in question.text.lower():
            scripted = replace(answer, **change)
            return replace(scripted, raw=scripted.text)
    return answer


SCRIPTS: dict[str, dict[str, object]] = {
    "hostile": {"text": HOSTILE},
    "tags": {"text": "an image here", "regions": (Region(HOSTILE, Box(0.1, 0.1, 0.5, 0.5), span=(3, 8)),)},
    "slow": {"text": "I count slowly: " + " ".join(str(number) for number in range(1, 1000))},
    "cut": {"text": "This is only the beginning", "finish": Finish.LENGTH},
    "think": {"text": "<think>Circles are round.</think>It is **round**."},
    "fail": {"text": "It is", "finish": Finish.FAILED},
    "bug": {"text": "broken inside"},
    "photo": {
        "seen": Seen((256, 256), 1, 64, "", "Pebble only knows drawn shapes; this answer is likely wrong.")
    },
}
