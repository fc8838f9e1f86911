"""Ready questions: what people often want of a picture, asked in the way that a model does best."""

from __future__ import annotations

from dataclasses import dataclass

from vlm_app.types import Checkpoint, Task
from vlm_app.workbench.sheet import Kind, Question

ALT_LENGTH = 125  # characters: screen readers pause or break off there, as accessibility guides say
_ALL = frozenset(Kind)
_PICTURES = frozenset({Kind.IMAGES, Kind.VIDEO})
_OWN_WORLD = frozenset({"pebble"})  # families that know the words of a small world only
_ALT = (
    "Write alt text for a reader who cannot see this image: one plain sentence of at most "
    f"{ALT_LENGTH} characters that says what is shown and what matters about it. Do not begin with "
    "'image of' or 'picture of'. Answer with the sentence only."
)
_DEFECTS = "scratch, crack, dent, chip, hole, tear, stain, rust, missing part"
_DEFECTS_ASKED = (
    f"Inspect this for defects such as these: {_DEFECTS}. Name each defect that you see and where it "
    "is, one on a line. If you see none, say so."
)
_ELEMENTS = "button, link, text field, checkbox, menu, icon, tab"


@dataclass(frozen=True, slots=True)
class Ready:
    """One ready question, as a certain model is asked it.

    `name` is its key, `title` what its button says, `about` one sentence for a person. `kinds`
    are those of sheets on which it makes sense.
    """

    name: str
    title: str
    about: str
    task: Task
    query: str
    kinds: frozenset[Kind]

    @property
    def question(self) -> Question:
        """The question, which has yet to name its model."""
        return Question(self.task, self.query)


def ready(row: Checkpoint) -> tuple[Ready, ...]:
    """The ready questions that a model can be asked, always in the same order."""
    found = (_alt_text(row), _defects(row), _elements(row))
    return tuple(each for each in found if each is not None)


def _open(row: Checkpoint, task: Task) -> bool:
    """Whether a model does a task with any words."""
    return task in row.tasks and row.family not in _OWN_WORLD


def _told(row: Checkpoint) -> bool:
    """Whether a model follows an instruction in words: a base model only goes on writing."""
    return _open(row, Task.CHAT) and row.chat


def _alt_text(row: Checkpoint) -> Ready | None:
    about = f"One sentence of at most {ALT_LENGTH} characters for a reader who cannot see the picture."
    if _told(row):
        return Ready("alt_text", "Alt text", about, Task.CHAT, _ALT, _ALL)
    if Task.CAPTION in row.tasks:
        return Ready(
            "alt_text", "Alt text", "One sentence on what is shown, to shorten.", Task.CAPTION, "", _ALL
        )
    return None


def _defects(row: Checkpoint) -> Ready | None:
    title = "Find defects"
    if _open(row, Task.DETECT):
        about = "Boxes around scratches, cracks, dents, stains and other damage."
        return Ready("defects", title, about, Task.DETECT, _DEFECTS, _PICTURES)
    if _told(row):
        about = "Scratches, cracks, dents, stains and other damage, named with their places."
        return Ready("defects", title, about, Task.CHAT, _DEFECTS_ASKED, _PICTURES)
    return None


def _elements(row: Checkpoint) -> Ready | None:
    title, about = "Screen elements", "What can be clicked on a screenshot: a {} for each element."
    if _open(row, Task.POINT):
        return Ready("elements", title, about.format("point"), Task.POINT, _ELEMENTS, _PICTURES)
    if _open(row, Task.DETECT):
        return Ready("elements", title, about.format("box"), Task.DETECT, _ELEMENTS, _PICTURES)
    return None
