"""Which examples a run can learn from, known before it starts: a stage takes right answers, or pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from vlm_app.errors import BadInput
from vlm_app.finetune.examples import Example
from vlm_app.finetune.run_config import RunConfig, Stage

_TAUGHT = 10  # examples; a handful of pictures has too little in common with the next one
_HELD = 3  # with fewer the interval of every score holds 0
Known = tuple[bool, bool]  # whether the right answer of an example is known, and whether a wrong one is


def counts(examples: Iterable[Example]) -> Mapping[Known, int]:
    """How many examples hold which answers."""
    return Counter((each.chosen is not None, each.rejected is not None) for each in examples)


def fitting(config: RunConfig, counts: Mapping[Known, int]) -> int:
    """How many of the examples that hold such answers the run learns from."""
    return sum(count for each, count in counts.items() if _fits(config, each))


def lessons(config: RunConfig, counts: Mapping[Known, int]) -> int:
    """How many rows it makes of them: KTO takes each answer of an example by itself."""
    by_itself = config.stage is Stage.PREFERENCE and config.preference == "kto"
    return sum(
        count * (sum(each) if by_itself else 1) for each, count in counts.items() if _fits(config, each)
    )


def check(config: RunConfig, name: str, counts: Mapping[Known, int]) -> None:
    """Raises `BadInput` where the run learns from no example of the dataset `name`."""
    if not sum(counts.values()):
        raise BadInput(f"The dataset '{name}' has no examples: add some before a run starts.")
    if not fitting(config, counts):
        raise BadInput(_missing(config, name))


def check_taught(config: RunConfig, train: Iterable[Example]) -> None:
    """Raises `BadInput` where all that the run could learn from is held out."""
    if not fitting(config, counts(train)):
        raise BadInput(
            f"Every example with {wanted(config)} would be held out: add more, or hold out a smaller share."
        )


def too_few(taught: int, held: int) -> str:
    """What to beware of in a dataset as small as this, in a sentence or two; '' where it is large enough."""
    said = []
    if taught < _TAUGHT:
        said.append(
            f"{_examples(taught)} taught: so few are learned by heart rather than understood, so add some "
            f"until there are {_TAUGHT} or more."
        )
    if 0 < held < _HELD:  # that nothing is held out the split says, with why
        said.append(f"{_examples(held)} held out: with fewer than {_HELD} nobody can tell whether it helped.")
    return " ".join(said)


def _examples(count: int) -> str:
    return "1 example is" if count == 1 else f"{count} examples are"


def wanted(config: RunConfig) -> str:
    """What an example holds from which the run learns."""
    if config.stage is not Stage.PREFERENCE:
        return "a right answer"
    return "a right and a wrong answer" if config.preference == "dpo" else "a right or a wrong answer"


def _fits(config: RunConfig, known: Known) -> bool:
    right, wrong = known
    if config.stage is not Stage.PREFERENCE:
        return right
    return right and wrong if config.preference == "dpo" else right or wrong


def _missing(config: RunConfig, name: str) -> str:
    if config.stage is Stage.PREFERENCE:
        return (
            f"Preferences are learned from pairs of a right and a wrong answer, and '{name}' has none: "
            "correct answers in the chat or choose the better of two, or take another preset."
        )
    return (
        f"The dataset '{name}' has wrong answers only: say in the chat what would have been right, "
        "or let KTO learn from what was wrong."
    )
