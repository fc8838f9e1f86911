"""What training will show the model: the text of an example, and which of it carries loss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from vlm_app import families
from vlm_app.finetune.examples import Example
from vlm_app.finetune.split import labels
from vlm_app.finetune.writing import written_for
from vlm_app.types import Checkpoint, Task

_IMAGES = ("image_token", "video_token")  # names that processors give to what stands for an image
_PLACES = "image_embeds_position_mask"  # KOSMOS-2 gives each piece of an image an id of its own


@dataclass(frozen=True, slots=True)
class Preview:
    """An example as one model is taught it.

    `text` is the training text with its control tokens, the many tokens of an image as one.
    `learned` are the (start, end) of its characters that carry loss. `tokens` counts all tokens,
    `visual` those of images among them, `taught` those that carry loss. `rejected` is the wrong
    answer of a pair as the model would write it; `wrong` says that the text itself ends with a wrong
    answer, because no right one is known. `note` says what of the example is not taught, or is empty.
    """

    text: str
    learned: tuple[tuple[int, int], ...]
    tokens: int
    visual: int
    taught: int
    rejected: str | None = None
    wrong: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many examples there are of each task, and of each task and label, the most frequent first."""

    tasks: Mapping[Task, int]
    labels: Mapping[tuple[Task, str], int]


def counts(examples: Iterable[Example]) -> Counts:
    """The examples counted; one with several labels counts for each."""
    tasks, named = Counter[Task](), Counter[tuple[Task, str]]()
    for example in examples:
        tasks[example.task] += 1
        named.update((example.task, label) for label in labels(example))
    return Counts(dict(tasks.most_common()), dict(named.most_common()))


def preview(example: Example, checkpoint: Checkpoint, processor: Any, pixels: int | None = None) -> Preview:
    """The example as that model is taught it. Raises as `writing.written` does."""
    family = families.get(checkpoint.family)
    made = written_for(example, family, processor, pixels)
    answer = made.rejected if made.answer is None else made.answer
    inputs, _ = family.encode(processor, made.turns, task=made.task, pixels=pixels, answer=answer)
    ids: list[int] = inputs["input_ids"][0].tolist()
    targets: list[int] = inputs["labels"][0].tolist()
    taught = [label != -100 for label in targets]
    pairs = zip(ids, targets, strict=False)
    if len(ids) != len(targets) or any(target not in (-100, token) for token, target in pairs):
        # An encoder-decoder writes apart from what it reads.
        ids, taught = ids + targets, [False] * len(ids) + taught
    visual = _visual(ids, inputs, processor)
    first = _PLACES not in inputs  # else there are a beginning and an end of an image beside them
    shown = [at for at, piece in enumerate(visual) if not piece or (first and not (at and visual[at - 1]))]
    text, learned = _text(processor.tokenizer, [ids[one] for one in shown], [taught[one] for one in shown])
    return Preview(
        text=text,
        learned=learned,
        tokens=len(ids),
        visual=sum(visual),
        taught=sum(taught),
        rejected=made.rejected if made.answer is not None else None,
        wrong=made.answer is None,
        note=made.note,
    )


def _visual(ids: Sequence[int], inputs: Mapping[str, Any], processor: Any) -> list[bool]:
    """Which tokens stand for a piece of an image."""
    names = (getattr(processor, name, None) for name in _IMAGES)
    tokens = {processor.tokenizer.convert_tokens_to_ids(str(name)) for name in names if name}
    visual = [token in tokens for token in ids]
    places = inputs.get(_PLACES)
    if places is not None:
        visual = [bool(place) for place in places[0].tolist()]
    return visual + [False] * (len(ids) - len(visual))


def _text(
    tokenizer: Any, ids: Sequence[int], taught: Sequence[bool]
) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The tokens as text, and the spans of what is taught."""
    text, learned, position = "", list[tuple[int, int]](), 0
    for carries, group in groupby(taught):
        begin, position = position, position + sum(1 for _ in group)
        longer = _decoded(tokenizer, ids[:position])
        if not longer.startswith(text):  # a tokenizer that joins pieces in its own way
            longer = text + _decoded(tokenizer, ids[begin:position])
        if carries:
            learned.append((len(text), len(longer)))
        text = longer
    return text, tuple(learned)


def _decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))
