"""The questions about a scene have true answers, and boxes that say where."""

from __future__ import annotations

import re

import numpy as np
import pytest

from vlm_app.pebble import questions
from vlm_app.pebble.markup import location, read_regions, region
from vlm_app.pebble.questions import Dialogue, dialogues, plural, some_query
from vlm_app.pebble.scores import iou
from vlm_app.pebble.world import Scene, draw_scene

SCENES = [draw_scene(np.random.default_rng([11, number])) for number in range(120)]
SKILLS = "existence colour relation count detect detect_all ground point ocr ocr_regions chart_value".split()


def asked(scene: Scene, seed: int = 0) -> list[Dialogue]:
    return list(dialogues(np.random.default_rng(seed), scene, 30))


def test_every_skill_is_asked_for_in_several_wordings() -> None:
    wordings: dict[str, set[str]] = {skill: set() for skill in SKILLS}
    for number, scene in enumerate(SCENES):
        for dialogue in asked(scene, number):
            if dialogue.skill in wordings:
                first = re.sub(
                    r"\b(red|orange|yellow|green|blue|purple|pink|brown|black|white)\b",
                    "*",
                    dialogue.turns[0][0],
                )
                wordings[dialogue.skill].add(" ".join(first.split()[:2]))
    assert all(len(found) >= 2 for found in wordings.values()), wordings


def test_counts_and_existence_agree_with_the_scene() -> None:
    rng = np.random.default_rng(0)
    for scene in SCENES:
        for _ in range(5):
            query = some_query(rng, scene)
            words = query.words.split()
            true = [t for t in scene.things if all(w in (t.colour, t.shape, "shape") for w in words)]
            assert list(query.found) == true


def test_detected_boxes_are_the_things_boxes() -> None:
    rng = np.random.default_rng(0)
    for scene in SCENES:
        answer = questions.detect_all(rng, scene).turns[0][1]
        regions = read_regions(answer)
        assert [label for label, _ in regions] == [thing.name for thing in scene.things]
        for (_, box), thing in zip(regions, scene.things, strict=True):
            assert np.abs(np.subtract(box, thing.box)).max() <= 0.5 / 256 + 1e-9
            assert iou(box, thing.box) > 0.85


def test_relations_are_true() -> None:
    rng = np.random.default_rng(0)
    checked = 0
    for scene in SCENES * 4:
        dialogue = questions.relation(rng, scene)
        if dialogue is None or dialogue.skill != "relation":
            continue
        question, answer = dialogue.turns[0]
        match = re.fullmatch(r"Is (?:the|there an?) (.+) (left of|right of|above|below) the (.+)\?", question)
        assert match, question
        one, other = (next(t for t in scene.things if t.name == name) for name in match.group(1, 3))
        axis = 0 if match[2] in ("left of", "right of") else 1
        less = one.centre[axis] < other.centre[axis]
        assert answer.endswith(", so yes.") == (less if match[2] in ("left of", "above") else not less)
        said = re.search(r"> is (left of|right of|above|below) the ", answer)
        assert said and less == (said[1] in ("left of", "above"))
        assert [label for label, _ in read_regions(answer)] == [one.name, other.name]
        checked += 1
    assert checked > 50


def test_no_question_is_asked_twice() -> None:
    for number, scene in enumerate(SCENES):
        first = [dialogue.turns[-1][0] for dialogue in asked(scene, number)]
        assert len(first) == len(set(first))


@pytest.mark.parametrize(("value", "token"), [(0.0, "<loc_0>"), (1.0, "<loc_255>"), (0.5, "<loc_128>")])
def test_locations_cover_the_image(value: float, token: str) -> None:
    assert location(value) == token


def test_a_region_has_two_or_four_coordinates() -> None:
    with pytest.raises(ValueError, match="two or four coordinates, found 3"):
        region("circle", (0.1, 0.2, 0.3))


@pytest.mark.parametrize(
    ("words", "many"), [("red cross", "red crosses"), ("circle", "circles"), ("hexagon", "hexagons")]
)
def test_plurals(words: str, many: str) -> None:
    assert plural(words) == many
