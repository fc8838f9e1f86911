"""Questions about a scene with their true answers, in several wordings.

A `Dialogue` is a short run of turns that stands on its own beside the image. Things are
always listed from left to right, printed lines from the top down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vlm_app.pebble.markup import region
from vlm_app.pebble.shapes import SHAPES
from vlm_app.pebble.words import COLOURS
from vlm_app.pebble.world import Scene, Thing

Rng = np.random.Generator
_IRREGULAR = {"cross": "crosses", "hexagon": "hexagons"}


@dataclass(frozen=True)
class Dialogue:
    """Turns of (question, answer), and the skill that they exercise."""

    skill: str
    turns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Query:
    """A description of things, such as 'red circle', and which of a scene's things it fits."""

    words: str
    found: tuple[Thing, ...]

    @property
    def plural(self) -> str:
        return plural(self.words)


def plural(words: str) -> str:
    head, _, last = words.rpartition(" ")
    return f"{head} {_IRREGULAR.get(last, last + 's')}".strip()


def article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def some_query(rng: Rng, scene: Scene, present: float = 0.7) -> Query:
    """'red circle', 'circle' or 'red shape'; present in the scene with that probability."""
    if scene.things and rng.random() < present:
        thing = scene.things[int(rng.integers(len(scene.things)))]
        shape, colour = thing.shape, thing.colour
    elif scene.things and rng.random() < 0.6:  # half right: the hard kind of absent
        shape = str(rng.choice([thing.shape for thing in scene.things]))
        colour = str(rng.choice([thing.colour for thing in scene.things]))
    else:
        shape, colour = str(rng.choice(SHAPES)), str(rng.choice(list(COLOURS)))
    lot = rng.random()
    if lot < 0.6:
        return Query(
            f"{colour} {shape}", tuple(t for t in scene.things if (t.shape, t.colour) == (shape, colour))
        )
    if lot < 0.85:
        return Query(shape, tuple(t for t in scene.things if t.shape == shape))
    return Query(f"{colour} shape", tuple(t for t in scene.things if t.colour == colour))


def boxes(things: Sequence[Thing]) -> str:
    return "".join(region(thing.name, thing.box) for thing in things)


def _pick(rng: Rng, *wordings: str) -> str:
    return str(wordings[int(rng.integers(len(wordings)))])


def unique(scene: Scene) -> list[Thing]:
    """Things whose name no other thing shares."""
    names = [thing.name for thing in scene.things]
    return [thing for thing in scene.things if names.count(thing.name) == 1]


# --- skills ------------------------------------------------------------------------------


def detect_all(rng: Rng, scene: Scene) -> Dialogue:
    ask = _pick(rng, "Detect everything.", "Detect all shapes.", "Find all shapes.", "Detect every object.")
    return Dialogue("detect_all", ((ask, boxes(scene.things) or "There are no shapes."),))


def detect(rng: Rng, scene: Scene) -> Dialogue:
    queries = [some_query(rng, scene) for _ in range(2 if rng.random() < 0.2 else 1)]
    words = ", ".join(dict.fromkeys(query.words for query in queries))
    ask = _pick(
        rng, f"Detect {words}.", f"Detect {words}.", f"Detect the {words}.", f"Draw a box around the {words}."
    )
    if len(queries) == 1 and rng.random() < 0.3:
        many = queries[0].plural
        ask = _pick(
            rng, f"Detect all {many}.", f"Detect {many}.", f"Find all {many}.", f"Where are the {many}?"
        )
    found = [thing for thing in scene.things if any(thing in query.found for query in queries)]
    none = f"There is no {queries[0].words}." if len(queries) == 1 else "There is nothing like that."
    return Dialogue("detect", ((ask, boxes(found) or none),))


def ground(rng: Rng, scene: Scene) -> Dialogue | None:
    """A phrase that fits exactly one thing: by name, by size or by its place."""
    phrase, thing = _referring(rng, scene)
    if thing is None:
        return None
    ask = _pick(rng, f"Find {phrase}.", f"Where is {phrase}?", f"Locate {phrase}.")
    return Dialogue("ground", ((ask, region(thing.name, thing.box)),))


def _referring(rng: Rng, scene: Scene) -> tuple[str, Thing | None]:
    alone = unique(scene)
    if not scene.things:
        return "", None
    lot = rng.random()
    if lot < 0.4 and alone:
        thing = alone[int(rng.integers(len(alone)))]
        return f"the {thing.name}", thing
    side = int(rng.integers(4))
    order = sorted(scene.things, key=lambda t: t.centre[side % 2])
    thing = order[0] if side < 2 else order[-1]
    return f"the {('leftmost', 'topmost', 'rightmost', 'lowest')[side]} shape", thing


def point(rng: Rng, scene: Scene) -> Dialogue:
    query = some_query(rng, scene, 0.85)
    ask = _pick(
        rng, f"Point to {query.words}.", f"Point to the {query.words}.", f"Point at all {query.plural}."
    )
    answer = "".join(region(thing.name, thing.centre) for thing in query.found)
    return Dialogue("point", ((ask, answer or f"There is no {query.words}."),))


def count_by_pointing(rng: Rng, scene: Scene) -> Dialogue:
    query = some_query(rng, scene, 0.85)
    ask = _pick(rng, f"Count {query.words}.", f"Count the {query.plural}.")
    return Dialogue("count_points", ((ask, _counted(query.found)),))


def _counted(things: Sequence[Thing]) -> str:
    """Point at each, then say how many: a count is the number of points."""
    return f"{''.join(region(thing.name, thing.centre) for thing in things)} Total: {len(things)}."


def count(rng: Rng, scene: Scene) -> Dialogue:
    if rng.random() < 0.25:
        ask = _pick(rng, "How many shapes are there?", "How many objects are there?", "Number of shapes?")
        return Dialogue("count", ((ask, _counted(scene.things)),))
    query = some_query(rng, scene, 0.85)
    many = query.plural
    ask = _pick(
        rng,
        f"How many {many} are there?",
        f"How many {many} do you see?",
        f"How many {many}?",
        f"Number of {many}?",
    )
    return Dialogue("count", ((ask, _counted(query.found)),))


def existence(rng: Rng, scene: Scene) -> Dialogue:
    query = some_query(rng, scene, 0.5)
    thing = article(query.words)
    ask = _pick(
        rng,
        f"Is there {thing}?",
        f"Do you see {thing}?",
        f"Is there {thing} in the image?",
        f"Can you see {thing}?",
    )
    return Dialogue("existence", ((ask, "Yes." if query.found else "No."),))


def attribute(rng: Rng, scene: Scene) -> Dialogue | None:
    """Colour of the only thing of its shape, shape of the only thing of its colour, its size.

    The answer first says where the thing is: what it is can then be read off that place.
    """
    shapes = [thing.shape for thing in scene.things]
    hues = [thing.colour for thing in scene.things]
    by_shape = [thing for thing in scene.things if shapes.count(thing.shape) == 1]
    by_colour = [thing for thing in scene.things if hues.count(thing.colour) == 1]
    lot = rng.random()
    if lot < 0.55 and by_shape:
        thing = by_shape[int(rng.integers(len(by_shape)))]
        ask = _pick(
            rng,
            f"What colour is the {thing.shape}?",
            f"Which color is the {thing.shape}?",
            f"Colour of the {thing.shape}?",
        )
        return Dialogue("colour", ((ask, f"The {region(thing.shape, thing.box)} is {thing.colour}."),))
    if lot < 0.9 and by_colour:
        thing = by_colour[int(rng.integers(len(by_colour)))]
        ask = _pick(
            rng,
            f"What shape is the {thing.colour} thing?",
            f"What is {thing.colour}?",
            f"Which shape is {thing.colour}?",
        )
        return Dialogue(
            "shape", ((ask, f"The {region(thing.colour + ' thing', thing.box)} is {article(thing.shape)}."),)
        )
    if alone := unique(scene):
        thing = alone[int(rng.integers(len(alone)))]
        answer = f"The {region(thing.name, thing.box)} is {thing.size_word}."
        return Dialogue("size", ((f"How big is the {thing.name}?", answer),))
    return None


_RELATIONS: tuple[tuple[str, Callable[[Thing, Thing], float]], ...] = (
    ("left of", lambda a, b: b.centre[0] - a.centre[0]),
    ("right of", lambda a, b: a.centre[0] - b.centre[0]),
    ("above", lambda a, b: b.centre[1] - a.centre[1]),
    ("below", lambda a, b: a.centre[1] - b.centre[1]),
)


def relation(rng: Rng, scene: Scene) -> Dialogue | None:
    """Is one thing left of, right of, above or below another? Near ties are not asked.

    The answer places both, says how they lie, and then yes or no.
    """
    alone = unique(scene)
    if len(alone) < 2:
        return None
    one, other = (alone[int(i)] for i in rng.choice(len(alone), 2, replace=False))
    asked = int(rng.integers(4))
    words, measure = _RELATIONS[asked]
    margin = measure(one, other)
    if abs(margin) < 0.05:
        return None
    here, there = f"The {region(one.name, one.box)} is", f"the {region(other.name, other.box)}"
    if rng.random() < 0.2:
        side = [name for name, m in _RELATIONS if m(one, other) > 0.05]
        ask = f"Where is the {one.name}, seen from the {other.name}?"
        return Dialogue("relation_words", ((ask, f"{here} {' and '.join(side)} {there}."),))
    ask = _pick(
        rng,
        f"Is the {one.name} {words} the {other.name}?",
        f"Is there {article(one.name)} {words} the {other.name}?",
    )
    if margin > 0:
        return Dialogue("relation", ((ask, f"{here} {words} {there}, so yes."),))
    opposite = _RELATIONS[asked ^ 1][0]
    return Dialogue("relation", ((ask, f"{here} {opposite} {there}, so no."),))


def caption(rng: Rng, scene: Scene) -> Dialogue:
    """One sentence that names everything, with boxes half of the time."""
    grounded = rng.random() < 0.35
    names = [(region(article(t.name), t.box) if grounded else article(t.name)) for t in scene.things]
    for sign in scene.signs:
        label = f'the words "{sign.text}"' if " " in sign.text else f'the word "{sign.text}"'
        names.append(region(label, sign.box) if grounded else label)
    listed = ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)
    ask = (
        _pick(rng, "Describe the image with boxes.", "Describe the image and show each thing.")
        if grounded
        else _pick(
            rng, "Describe the image.", "What is in the image?", "What do you see?", "Caption this image."
        )
    )
    return Dialogue("caption", ((ask, f"I see {listed}." if listed else "I see an empty ground."),))


def follow_up(rng: Rng, scene: Scene) -> Dialogue | None:
    """Two turns; the second one is only understood with the first."""
    alone = unique(scene)
    shapes = [thing.shape for thing in scene.things]
    alone = [thing for thing in alone if shapes.count(thing.shape) == 1]
    if not alone:
        return None
    thing = alone[int(rng.integers(len(alone)))]
    first = (f"Is there {article(thing.shape)}?", "Yes.")
    second = [
        ("What colour is it?", f"The {region(thing.shape, thing.box)} is {thing.colour}."),
        ("Where is it?", region(thing.name, thing.box)),
        ("Point to it.", region(thing.name, thing.centre)),
    ][int(rng.integers(3))]
    return Dialogue("follow_up", (first, second))


def read(rng: Rng, scene: Scene) -> Dialogue:
    ask = _pick(rng, "Read the text.", "What does the sign say?", "What is written here?", "Read all text.")
    text = "\n".join(sign.text for sign in scene.signs)
    return Dialogue("ocr", ((ask, text or "There is no text."),))


def read_regions(rng: Rng, scene: Scene) -> Dialogue:
    ask = _pick(rng, "Read the text with places.", "Read the text with boxes.", "Where is the text?")
    text = "".join(region(sign.text, sign.box) for sign in scene.signs)
    return Dialogue("ocr_regions", ((ask, text or "There is no text."),))


def spoken_box(rng: Rng, scene: Scene) -> Dialogue | None:
    """Where is one printed word?"""
    texts = [sign.text for sign in scene.signs]
    if not texts or len(set(texts)) < len(texts):
        return None
    sign = scene.signs[int(rng.integers(len(texts)))]
    return Dialogue("find_text", ((f'Find the word "{sign.text}".', region(sign.text, sign.box)),))


def chart(rng: Rng, scene: Scene) -> Dialogue:
    assert scene.chart is not None
    bars = scene.chart.bars
    bar = bars[int(rng.integers(len(bars)))]
    values = [b.value for b in bars]
    lot = int(rng.integers(7))
    if lot == 0 and values.count(max(values)) == 1:
        best = bars[values.index(max(values))]
        return Dialogue(
            "chart_most",
            (
                (
                    _pick(rng, "Which bar is the tallest?", "Which value is the largest?"),
                    f"{region(best.label, best.box)}.",
                ),
            ),
        )
    if lot == 1:
        return Dialogue(
            "chart_count", ((_pick(rng, "How many bars are there?", "How many bars?"), f"{len(bars)}."),)
        )
    if lot == 2:
        return Dialogue(
            "chart_detect", (("Detect the bars.", "".join(region(b.label, b.box) for b in bars)),)
        )
    if lot == 3:
        return Dialogue(
            "chart_caption",
            (
                (
                    "Describe the image.",
                    f"I see a bar chart with {len(bars)} bars: {', '.join(b.label for b in bars)}.",
                ),
            ),
        )
    if lot == 4:
        return Dialogue(
            "chart_colour", ((f"What colour is the bar {bar.label}?", f"{bar.colour.capitalize()}."),)
        )
    ask = _pick(
        rng, f"What is the value of {bar.label}?", f"How much is {bar.label}?", f"Value of {bar.label}?"
    )
    # The scale first, then how far the bar reaches up on it: the number follows from both.
    answer = f"On a scale to {scene.chart.top}, {region(bar.label, bar.box)} is at {bar.value}."
    return Dialogue("chart_value", ((ask, answer),))


def about(rng: Rng, scene: Scene) -> Dialogue:
    ask = _pick(rng, "Who are you?", "What can you do?", "Hello!", "Hi.", "What do you know?")
    return Dialogue("about", ((ask, "I am Pebble. I know drawn shapes, signs and bar charts."),))


# --- the mixture -------------------------------------------------------------------------

_SHAPES = (
    (detect_all, 1.0), (detect, 2.0), (ground, 1.2), (point, 1.0), (count_by_pointing, 0.5), (count, 3.0),
    (existence, 2.4), (attribute, 2.2), (relation, 2.2), (caption, 0.8), (follow_up, 0.6), (read, 0.1),
    (about, 0.1),
)  # fmt: skip
_SIGNS = (
    (read, 1.0), (read_regions, 1.0), (spoken_box, 0.6), (detect, 0.8), (existence, 0.6), (count, 0.5),
    (caption, 0.6),
)  # fmt: skip
_PAGE = ((read, 1.0), (spoken_box, 3.0), (read_regions, 1.0))
_CHART = ((chart, 1.0),)
_ONCE = {"detect_all", "caption", "ocr", "ocr_regions", "chart_detect", "chart_caption"}


def dialogues(rng: Rng, scene: Scene, number: int) -> Iterator[Dialogue]:
    """`number` dialogues about the scene (fewer where it offers fewer), no question twice."""
    mixture = {"shapes": _SHAPES, "signs": _SIGNS, "page": _PAGE, "chart": _CHART}[scene.kind]
    shares = np.array([share for _, share in mixture])
    seen: set[str] = set()
    for index in rng.choice(len(mixture), 2 * number + 4, p=shares / shares.sum()):
        dialogue = mixture[index][0](rng, scene)
        if dialogue is None:
            continue
        # One of each kind of long answer is enough: the second would only cost time.
        key = dialogue.skill if dialogue.skill in _ONCE else dialogue.turns[-1][0]
        if key not in seen:
            seen.add(key)
            yield dialogue
        if len(seen) == number:
            return
