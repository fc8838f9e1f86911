"""Regions in JSON: what `--json`, the export and the stored chats hold."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_app.errors import BadInput
from vlm_app.grounding import region_from_dict, region_to_dict
from vlm_app.types import Box, Mask, Point, Polygon, Region, Shape

fractions = st.floats(0, 1)
points = st.builds(Point, fractions, fractions)
boxes = st.builds(
    lambda a, b, c, d: Box(min(a, c), min(b, d), max(a, c), max(b, d)),
    fractions,
    fractions,
    fractions,
    fractions,
)
polygons = st.builds(Polygon, st.lists(points, min_size=3, max_size=6).map(tuple))
masks = st.builds(
    lambda box, rows: Mask(box, (3, len(rows)), bytes(bit for row in rows for bit in row)),
    boxes,
    st.lists(st.tuples(*[st.integers(0, 1)] * 3), min_size=1, max_size=5),
)
regions = st.builds(
    Region,
    label=st.text(max_size=12),
    shape=st.one_of(boxes, points, polygons, masks),
    image=st.integers(0, 9),
    text=st.none() | st.text(max_size=12),
    score=st.none() | fractions,
    span=st.none() | st.tuples(st.integers(0, 50), st.integers(50, 99)),
)


@given(regions)
def test_a_region_survives_json(region: Region) -> None:
    assert region_from_dict(json.loads(json.dumps(region_to_dict(region)))) == region


@pytest.mark.parametrize(
    ("shape", "kind", "value"),
    [
        (Box(0.1, 0.2, 0.3, 0.4), "box", [0.1, 0.2, 0.3, 0.4]),
        (Point(0.5, 1.0), "point", [0.5, 1.0]),
        (Polygon((Point(0, 0), Point(1, 0), Point(0, 1))), "polygon", [[0, 0], [1, 0], [0, 1]]),
        (
            Mask(Box(0, 0, 1, 1), (3, 2), bytes([1, 1, 0, 0, 1, 1])),
            "mask",
            {"box": [0, 0, 1, 1], "size": [3, 2], "runs": [0, 2, 2, 2]},
        ),
    ],
)
def test_each_kind_has_its_shape_under_its_name(shape: Shape, kind: str, value: Any) -> None:
    assert region_to_dict(Region("cat", shape, image=1, span=(3, 6))) == {
        "label": "cat",
        "kind": kind,
        kind: value,
        "image": 1,
        "span": [3, 6],
    }


def test_text_and_score_are_written_where_there_are_any() -> None:
    data = region_to_dict(Region("EXIT", Box(0, 0, 1, 1), text="EXIT", score=0.5))
    assert data["text"] == "EXIT" and data["score"] == 0.5 and data["span"] is None


def test_a_region_written_by_hand_needs_only_label_and_shape() -> None:
    data = {"label": "cat", "kind": "box", "box": [0, 0, 1, 0.5]}
    assert region_from_dict(data) == Region("cat", Box(0, 0, 1, 0.5))


GOOD: dict[str, Any] = {"label": "cat", "kind": "box", "box": [0, 0, 1, 1], "image": 0, "span": None}
MASK: dict[str, Any] = {"box": [0, 0, 1, 1], "size": [2, 2], "runs": [4]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label": None}, "'label' is text, found nothing"),
        ({"label": 5}, "'label' is text, found 5"),
        ({"kind": "circle"}, "box, point, polygon or mask, found 'circle'"),
        ({"kind": None}, "found nothing"),
        ({"kind": ["box"]}, "found a list"),
        ({"kind": "point"}, "under 'point'"),
        ({"box": [0, 0, 1]}, "'box' has 4 numbers, found 3"),
        ({"box": "0 0 1 1"}, "'box' is a list"),
        ({"box": [0, 0, 1, "1"]}, "holds numbers, found '1'"),
        ({"box": [0, 0, 1, True]}, "holds numbers, found True"),
        ({"box": [0, 0, 1, 1.5]}, "from 0 to 1, found 1.5"),
        ({"box": [0, 0, 1, 10**400]}, "from 0 to 1"),
        ({"box": [0, 0, 1, math.nan]}, "from 0 to 1, found nan"),
        ({"box": [1, 0, 0, 1]}, "left top corner first"),
        ({"kind": "polygon", "polygon": [[0, 0], [1, 1]]}, "at least three points, found 2"),
        ({"kind": "polygon", "polygon": [[0, 0], [1, 1], [1]]}, "'point' has 2 numbers, found 1"),
        ({"image": -1}, "index from 0, found -1"),
        ({"image": "0"}, "'image' holds whole numbers, found '0'"),
        ({"span": [5, 3]}, "(start, end)"),
        ({"span": [1.5, 3]}, "'span' holds whole numbers"),
        ({"score": 2}, "between 0 and 1, found 2"),
        ({"score": "high"}, "'score' holds numbers"),
        ({"text": {}}, "'text' is text, found an object"),
        ({"kind": "mask", "mask": [1, 2]}, "'mask' is an object"),
        ({"kind": "mask", "mask": MASK | {"runs": [3]}}, "add up to its pixels, found 3"),
        ({"kind": "mask", "mask": MASK | {"runs": [5, -1]}}, "add up to its pixels, found 4"),
        ({"kind": "mask", "mask": MASK | {"size": [10**6, 10**6], "runs": [10**12]}}, "50,000,000 pixels"),
        ({"kind": "mask", "mask": MASK | {"size": [0, 4]}}, "1 to 50,000,000 pixels"),
        ({"kind": "mask", "mask": {}}, "'size' is a list, found nothing"),
    ],
)
def test_a_wrong_region_gets_one_sentence_that_names_what_is_wrong(
    change: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadInput) as caught:
        region_from_dict(GOOD | change)
    assert words in caught.value.sentence
    assert caught.value.sentence.endswith(".") and "\n" not in caught.value.sentence


@pytest.mark.parametrize("data", [None, [], "box", 7])
def test_what_is_no_region_at_all_is_refused(data: Any) -> None:
    with pytest.raises(BadInput, match="A region is an object"):
        region_from_dict(data)
