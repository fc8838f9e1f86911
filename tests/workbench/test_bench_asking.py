"""What a user meets who asks about pages of a sheet."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.chat.fake_engine import CIRCLE, FakeEngine
from tests.workbench.asking import DETECT, OWNER, Make, found
from tests.workbench.conftest import Files
from vlm_app.errors import BadInput, ModelUnavailable, NotFound
from vlm_app.types import Answer, Box, Clip, Finish, Picture, Region, Request, Seen, Task
from vlm_app.workbench.bench import Bench
from vlm_app.workbench.sheet import Question


def colour(picture: Picture) -> tuple[int, ...]:
    pixel = picture.pixels.getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return pixel


# --- one page ---------------------------------------------------------------------------


def test_the_answer_grows_and_is_kept_at_its_end(bench: Bench, images: Make) -> None:
    sheet = bench.open(OWNER, images("red"))
    steps = list(bench.ask(OWNER, sheet.id, ["i0"], DETECT))
    texts = [step.answer.text for step in steps]
    assert texts[-1] == "a red circle on white"
    assert all(after.startswith(before) for before, after in pairwise(texts))
    assert [step.finding is None for step in steps] == [True] * (len(steps) - 1) + [False]
    assert bench.findings(OWNER, sheet.id) == (steps[-1].finding,)


def test_a_mark_keeps_its_id_from_step_to_step(bench: Bench, images: Make, engine: FakeEngine) -> None:
    engine.regions = (CIRCLE, Region("square", Box(0, 0, 0.1, 0.1)))
    sheet = bench.open(OWNER, images("red", "green"))
    ids: dict[tuple[str, int], str] = {}
    for step in bench.ask(OWNER, sheet.id, ["i0", "i1"], DETECT):
        for mark in step.marks:
            key = (mark.region.label, mark.region.image)
            assert ids.setdefault(key, mark.id) == mark.id
    assert step.finding is not None
    assert [mark.id for mark in step.finding.marks] == list(ids.values())
    assert len(set(ids.values())) == 4
    assert {mark.maker for mark in step.finding.marks} == {"able"}


def test_what_was_asked_is_what_the_model_gets(bench: Bench, images: Make, engine: FakeEngine) -> None:
    sheet = bench.open(OWNER, images("red"))
    question = Question(Task.DETECT, " circle ", "able", "fp32", "an-adapter", 1000)
    found(bench.ask(OWNER, sheet.id, ["i0"], question))
    (request,) = engine.requests
    assert (request.task, request.query, request.model) == (Task.DETECT, "circle", "able")
    assert (request.precision, request.adapter, request.pixels) == ("fp32", "an-adapter", 1000)
    assert [part for part in request.turns[0].parts if isinstance(part, str)] == []


def test_a_drawn_part_is_described_in_the_words_of_the_families(
    bench: Bench, images: Make, engine: FakeEngine
) -> None:
    sheet = bench.open(OWNER, images("red"))
    part = Box(0.1, 0.2, 0.5, 1 / 3)
    for model in ("able", "captions"):  # one that has a form for it, one that captions the part
        question = Question(Task.DESCRIBE_REGION, model=model, region=part)
        finding = found(bench.ask(OWNER, sheet.id, ["i0"], question))
        assert engine.requests[-1].query == "0.1, 0.2, 0.5, 0.3333"
        assert finding.question.region == part
    result = bench.result(OWNER, finding.id)
    assert [(region.label, region.shape) for region in result.regions][-1][1] in (part, CIRCLE.shape)


@pytest.mark.parametrize(
    ("question", "keys", "error", "words"),
    [
        (Question(Task.DETECT, model="no-such"), ["i0"], ModelUnavailable, "no model 'no-such'"),
        (Question(Task.DETECT, model="captions"), ["i0"], ModelUnavailable, "can do caption"),
        (Question(Task.DESCRIBE_REGION, model="talker"), ["i0"], ModelUnavailable, "cannot do"),
        (Question(Task.GROUND, model="able"), ["i0"], BadInput, "needs"),
        (Question(Task.CHAT, " ", "able"), ["i0"], BadInput, "question is empty"),
        (Question(Task.DESCRIBE_REGION, model="able"), ["i0"], BadInput, "draw a box"),
        (
            Question(Task.DESCRIBE_REGION, model="able", region=Box(0.1, 0.1, 0.1, 0.9)),
            ["i0"],
            BadInput,
            "no area",
        ),
        (
            Question(Task.DESCRIBE_REGION, model="able", region=Box(0, 0, 1, 1)),
            ["i0", "i1"],
            BadInput,
            "one page, found 2",
        ),
        (DETECT, [], BadInput, "choose at least one"),
        (DETECT, ["i7"], NotFound, "not on the sheet"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(
    bench: Bench,
    images: Make,
    engine: FakeEngine,
    question: Question,
    keys: list[str],
    error: type[Exception],
    words: str,
) -> None:
    sheet = bench.open(OWNER, images("red", "green"))
    with pytest.raises(error, match=words):
        bench.ask(OWNER, sheet.id, keys, question)
    assert engine.requests == []
    assert bench.findings(OWNER, sheet.id) == ()


def test_another_owner_cannot_ask(bench: Bench, images: Make) -> None:
    sheet = bench.open(OWNER, images("red"))
    with pytest.raises(NotFound):
        bench.ask("bob", sheet.id, ["i0"], DETECT)


def test_a_second_opinion_stands_beside_the_first(bench: Bench, images: Make) -> None:
    sheet = bench.open(OWNER, images("red"))
    first = found(bench.ask(OWNER, sheet.id, ["i0"], DETECT))
    other = Question(Task.DETECT, "circle", "two-images")
    second = found(bench.ask(OWNER, sheet.id, ["i0"], other, beside=first.id))
    assert second.beside == first.id
    assert [each.answer.model for each in bench.findings(OWNER, sheet.id)] == ["able", "two-images"]
    bench.forget(OWNER, first.id)
    assert bench.finding(OWNER, second.id).beside is None
    elsewhere = bench.open(OWNER, images("green"))
    with pytest.raises(NotFound):
        bench.ask(OWNER, elsewhere.id, ["i0"], other, beside=second.id)


# --- several pages ----------------------------------------------------------------------


def test_pages_are_asked_one_by_one_and_become_one_finding(
    bench: Bench, document: Make, engine: FakeEngine
) -> None:
    sheet = bench.open(OWNER, document(3))
    *_, step = bench.ask(OWNER, sheet.id, ["p3", "p1"], DETECT)
    finding = step.finding
    assert finding is not None
    assert finding.pages == ("p1", "p3")  # as they lie in the document
    assert finding.text == "Page 1: a red circle on white\n\nPage 3: a red circle on white"
    assert [mark.region.image for mark in finding.marks] == [0, 1]
    assert [finding.text[slice(*mark.region.span)] for mark in finding.marks if mark.region.span] == [
        "red circle",
        "red circle",
    ]
    assert [len(request.pictures) for request in engine.requests] == [1, 1]
    assert (step.done, step.total) == (2, 2)
    assert finding.answer.usage.completion_tokens == 8


def test_what_is_read_off_several_pages_has_no_titles_in_it(bench: Bench, document: Make) -> None:
    sheet = bench.open(OWNER, document(2))
    finding = found(bench.ask(OWNER, sheet.id, ["p1", "p2"], Question(Task.OCR, model="able")))
    assert finding.text == "a red circle on white\n\na red circle on white"


def test_a_question_about_several_pages_names_them(bench: Bench, document: Make, engine: FakeEngine) -> None:
    sheet = bench.open(OWNER, document(3))
    engine.regions = (Region("red circle", Box(0, 0, 1, 1), 1, span=(2, 12)),)
    question = Question(Task.CHAT, "Which page is red?", "able")
    finding = found(bench.ask(OWNER, sheet.id, ["p1", "p3"], question))
    (request,) = engine.requests
    parts = ["picture" if isinstance(part, Picture) else part for part in request.turns[0].parts]
    assert parts == ["Page 1:", "picture", "Page 3:", "picture", "Which page is red?"]
    assert finding.pages[finding.marks[0].region.image] == "p3"


def test_a_question_about_one_page_is_the_page_and_the_question(
    bench: Bench, document: Make, engine: FakeEngine
) -> None:
    sheet = bench.open(OWNER, document(1))
    found(bench.ask(OWNER, sheet.id, ["p1"], Question(Task.CHAT, "What?", "able")))
    assert isinstance(engine.requests[0].turns[0].parts[0], Picture)
    assert engine.requests[0].turns[0].parts[1:] == ("What?",)


def test_frames_of_a_video_are_asked_about_as_one_clip(bench: Bench, film: Files, engine: FakeEngine) -> None:
    sheet = bench.sample(OWNER, bench.open(OWNER, film).id, count=4)
    keys = [page.key for page in reversed(sheet.pages)]
    found(bench.ask(OWNER, sheet.id, keys, Question(Task.CHAT, "What happens?", "able")))
    clip, words = engine.requests[0].turns[0].parts
    assert isinstance(clip, Clip)
    assert clip.times == tuple(page.seconds for page in sheet.pages)
    assert words == "What happens?"
    finding = found(bench.ask(OWNER, sheet.id, keys[:2], DETECT))
    assert [isinstance(request.turns[0].parts[0], Picture) for request in engine.requests[1:]] == [True] * 2
    assert finding.pages == tuple(page.key for page in sheet.pages[2:])


def test_more_pages_than_a_model_takes_are_refused_with_how_many_it_takes(
    bench: Bench, document: Make, film: Files, engine: FakeEngine
) -> None:
    question = Question(Task.CHAT, "Which?", "two-images")
    sheet = bench.open(OWNER, document(3))
    with pytest.raises(
        BadInput, match=r"Two-images takes 2 pages in one question, and 3 are chosen: choose 2"
    ):
        bench.ask(OWNER, sheet.id, ["p1", "p2", "p3"], question)
    assert engine.requests == []
    found(bench.ask(OWNER, sheet.id, ["p1", "p2", "p3"], Question(Task.CAPTION, model="two-images")))
    assert len(engine.requests) == 3  # page by page there is no limit
    video = bench.sample(OWNER, bench.open(OWNER, film).id, count=3)
    found(bench.ask(OWNER, video.id, [page.key for page in video.pages], question))
    assert len(engine.requests[-1].pictures) == 3  # of a clip the engine leaves out what is too many


def test_what_was_done_to_pages_is_noted_with_the_page(bench: Bench, document: Make) -> None:
    class Turning(FakeEngine):
        def whole(self, request: Request, text: str, finish: Finish, regions: tuple[Region, ...]) -> Answer:
            return Answer(text, regions, seen=Seen(note="Turned by 90°."), finish=finish, model="able")

    bench._engine = Turning()
    sheet = bench.open(OWNER, document(2))
    finding = found(bench.ask(OWNER, sheet.id, ["p1", "p2"], Question(Task.OCR, model="able")))
    assert finding.note == "Page 1: Turned by 90°. Page 2: Turned by 90°."
    alone = found(bench.ask(OWNER, sheet.id, ["p2"], Question(Task.OCR, model="able")))
    assert alone.note == "Turned by 90°."
