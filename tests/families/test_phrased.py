"""CogVLM, Ferret, Shikra and Moondream: boxes behind their phrase, and skills that answer in JSON."""

from __future__ import annotations

import pytest

from vlm_app import families
from vlm_app.errors import BadInput, ModelUnavailable
from vlm_app.families import Parsed
from vlm_app.types import Box, Point, Role, Task, Turn


def read(name: str, text: str, task: Task = Task.CAPTION, query: str = "") -> Parsed:
    return families.get(name).parse(text, image_size=(400, 200), asked=(task, query))


def boxes(parsed: Parsed, units: int) -> list[tuple[str, tuple[int, ...]]]:
    return [
        (one.label, tuple(round(value * units) for value in one.shape.xyxy))
        for one in parsed.regions
        if isinstance(one.shape, Box)
    ]


@pytest.mark.parametrize(
    ("raw", "text", "found"),
    [
        # The paper's figure (arXiv 2311.03079), with its space behind one semicolon.
        (
            "A piggy bank [[302,198,694,857]] with a smile [[400,520,582,643]] on it is surrounded by coins "
            "[[028,820,986,997]], toy houses [[052,697,174,892; 526,763,636,952]], and greenery.</s>",
            "A piggy bank with a smile on it is surrounded by coins, toy houses, and greenery.",
            [
                ("A piggy bank", (302, 198, 694, 857)),
                ("a smile", (400, 520, 582, 643)),
                ("coins", (28, 820, 986, 997)),
                ("toy houses", (52, 697, 174, 892)),
                ("toy houses", (526, 763, 636, 952)),
            ],
        ),
        # CogAgent's README in Chinese: spaces in the brackets, and other punctuation around phrases.
        (
            "Status: 当前处于邮箱界面[[0, 2, 998, 905]]，左侧是邮箱分类[[1, 216, 144, 570]]，"
            "中间是收件箱[[144, 216, 998, 903]]，已经点击“全部标为已读”按钮[[223, 178, 311, 210]]。",
            "Status: 当前处于邮箱界面，左侧是邮箱分类，中间是收件箱，已经点击“全部标为已读”按钮。",
            [
                ("当前处于邮箱界面", (0, 2, 998, 905)),
                ("左侧是邮箱分类", (1, 216, 144, 570)),
                ("中间是收件箱", (144, 216, 998, 903)),
                ("已经点击“全部标为已读”按钮", (223, 178, 311, 210)),
            ],
        ),
        # The rows from here on are made up in the paper's form.
        # Cut off inside a number: the phrase is there, the box waits.
        ("A dog [[302,198,6", "A dog", []),
        ("A dog [[302,198,694,857", "A dog", []),
        # Corners the wrong way round, far outside, three numbers.
        ("A dog [[694,857,302,198]].", "A dog.", [("A dog", (302, 198, 694, 857))]),
        ("A dog [[302,198,9999,857]].", "A dog.", []),
        (
            "A dog [[302,198,694]] and a cat [[1,2,3,4]].",
            "A dog [[302,198,694]] and a cat.",
            [("a cat", (1, 2, 3, 4))],
        ),
        ("Ein Hündchen 犬 [[1,2,3,4]]", "Ein Hündchen 犬", [("Ein Hündchen 犬", (1, 2, 3, 4))]),
        ("<think>[1] of [[2]]</think> None.</s>more", "<think>[1] of [[2]]</think> None.", []),
        ("", "", []),
    ],
)
def test_cogvlm_s_boxes_belong_to_the_phrase_before(
    raw: str, text: str, found: list[tuple[str, tuple[int, ...]]]
) -> None:
    parsed = read("cogvlm", raw)
    assert parsed.text == text
    assert boxes(parsed, 1000) == found
    for one in parsed.regions:
        assert one.span and parsed.text[slice(*one.span)] == one.label


def test_cogagent_s_actions_hold_a_box() -> None:
    # Its README; what stands before the bracket is no phrase.
    raw = "Grounded Operation: CLICK(box=[[219,186,311,207]], element_type='可点击文本', "
    raw += "element_info='全部标为已读')"
    parsed = read("cogvlm", raw, Task.CHAT)
    assert parsed.text == raw.replace("[[219,186,311,207]]", "")
    assert boxes(parsed, 1000) == [("object", (219, 186, 311, 207))]


def test_a_box_alone_is_what_was_asked_for() -> None:
    parsed = read("cogvlm", "[[302,198,694,857]]</s>", Task.GROUND, "the dog")
    assert (parsed.text, boxes(parsed, 1000)) == ("the dog", [("the dog", (302, 198, 694, 857))])


def test_ferret_writes_single_brackets() -> None:
    # Made up in the form of its README: no whole answer of it is written down there.
    parsed = read("ferret", "There is a dog [100, 200, 300, 400] next to a cat [500, 0, 1000, 999].</s>")
    assert parsed.text == "There is a dog next to a cat."
    assert boxes(parsed, 1000) == [("a dog", (100, 200, 300, 400)), ("a cat", (500, 0, 1000, 999))]
    assert read("ferret", "a dog [100, 2").text == "a dog"


def test_shikra_s_places_are_of_the_padded_square() -> None:
    # Made up: the repository shows its answers as pictures only. 400 × 200 lies between 0.25 and 0.75 of
    # the square's height.
    parsed = read("shikra", "The man [0.268,0.372,0.512,0.745] and a ball [0.500,0.500].</s>")
    assert parsed.text == "The man and a ball."
    first, second = (one.shape for one in parsed.regions)
    assert isinstance(first, Box) and isinstance(second, Point)
    assert first.xyxy == pytest.approx((0.268, 0.244, 0.512, 0.99))
    assert (second.x, second.y) == (0.5, 0.5)
    assert parsed.regions[0].label == "The man"


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        # The reference of its /detect (docs.moondream.ai), with the id that the service adds.
        (
            '{"request_id": "2025-03-25_detect_2025-03-25-21:00:39-715d03", "objects": [{"x_min": 0.2, '
            '"y_min": 0.3, "x_max": 0.6, "y_max": 0.8}]}',
            [(200, 300, 600, 800)],
        ),
        # supervision's example begins with this number; the rows from here on are made up otherwise.
        (
            '{"objects": [{"x_min": 0.5704, "y_min": 0.1, "x_max": 0.8, "y_max": 0.9}, '
            '{"x_min": 0.1, "y_min": 0.2, "x_max": 0.3, "y_max": 0.4}]}',
            [(570, 100, 800, 900), (100, 200, 300, 400)],
        ),
        # Python's quotes, and a box that leaves the image a little.
        ("{'objects': [{'x_min': -0.02, 'y_min': 0.1, 'x_max': 1.03, 'y_max': 0.9}]}", [(0, 100, 1000, 900)]),
        # Cut off in the second; the first counts.
        (
            '{"objects": [{"x_min": 0.1, "y_min": 0.2, "x_max": 0.3, "y_max": 0.4}, {"x_min": 0.',
            [(100, 200, 300, 400)],
        ),
        ('{"objects": []}', []),
        ("", []),
    ],
)
def test_moondream_s_objects_are_what_was_asked_for(raw: str, found: list[tuple[int, ...]]) -> None:
    parsed = read("moondream", raw, Task.DETECT, "face")
    assert boxes(parsed, 1000) == [("face", box) for box in found]
    assert parsed.text == ", ".join(["face"] * len(found))


def test_moondream_s_points_are_read() -> None:
    # The reference of its /point (docs.moondream.ai); a second point off the image is made up.
    raw = '{"points": [{"x": 0.65, "y": 0.42}, {"x": 2.5, "y": 0.1}]}'
    assert [one.shape for one in read("moondream", raw, Task.POINT, "nose").regions] == [Point(0.65, 0.42)]


def test_prose_with_brackets_stays_prose() -> None:
    assert read("moondream", "A set {1, 2} of [boxes].<|endoftext|>").text == "A set {1, 2} of [boxes]."


@pytest.mark.parametrize(
    ("name", "task", "query", "words"),
    [
        (
            "cogvlm",
            Task.CAPTION,
            "",
            "Can you provide a description of the image and include the coordinates [[x0,y0,x1,y1]] for "
            "each mentioned object?",
        ),
        ("cogvlm", Task.GROUND, "a dog", "Where is a dog? answer in [[x0,y0,x1,y1]] format."),
        (
            "cogvlm",
            Task.DESCRIBE_REGION,
            "0.086, 0.54, 0.4, 0.76",
            "Tell me what you see within the designated area [[086,540,400,760]] in the picture.",
        ),
        ("ferret", Task.GROUND, "a dog", "What is the location of a dog in the image?"),
        # OpenRouter's guide 'Find objects in images'.
        ("moondream", Task.DETECT, "screwdriver", '/detect {"object":"screwdriver"}'),
        ("moondream", Task.COUNT, 'a "hammer"', '/point {"object":"a \\"hammer\\""}'),
    ],
)
def test_the_words_are_those_of_the_repositories(name: str, task: Task, query: str, words: str) -> None:
    assert families.get(name).ask(task, query) == words


@pytest.mark.parametrize("name", ["cogvlm", "ferret", "shikra"])
def test_grounding_needs_to_know_what(name: str) -> None:
    with pytest.raises(BadInput, match="needs to know"):
        families.get(name).ask(Task.GROUND)


@pytest.mark.parametrize(
    ("name", "where"),
    [("ferret", "only be read"), ("shikra", "only be read"), ("moondream", "Moondream Station")],
)
def test_where_they_run_is_said(name: str, where: str) -> None:
    with pytest.raises(ModelUnavailable, match=where):
        families.get(name).encode(None, [Turn(Role.USER, ("x",))], task=Task.CHAT)
