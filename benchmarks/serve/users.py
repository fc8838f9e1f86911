"""What one user feels, and what many feel: the rows that every machine has."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from benchmarks.serve.asked import Asked, spread
from benchmarks.serve.models import first_turn, follow_up, picture
from benchmarks.serve.ours import Ours
from benchmarks.serve.peer import Peer
from benchmarks.serve.plain import Plain
from benchmarks.serve.rows import PLAIN, SERVED, Row, alone, compared
from vlm_app.types import Checkpoint, Request

Ask = Callable[[Request], Asked]
USERS = 8


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    rounds: int = 5
    tokens: int = 64  # of an answer
    long: int = 256  # of the answers that a ninth user finds running
    after: int = 16  # of the answer to a second question


def conversation(row: Checkpoint, ours: Ours, plain: Plain, side: int, size: Size, wanted: bool) -> list[Row]:
    """Speed of an answer, and the wait for its first token: of a new image, and of a second question.

    Whoever is first in a round is last in the next. The first round only warms up. Without
    `wanted` the wait for a second answer is for the record: its image has few visual tokens.
    """
    firsts: list[dict[str, Asked]] = []
    seconds: list[dict[str, Asked]] = []
    with Peer(row) as peer:
        candidates: dict[str, Ask] = {"ours": ours.ask, PLAIN: plain.ask, SERVED: peer.ask}
        for number in range(size.rounds + 1):
            request = first_turn(row, picture(1000 + number, side), size.tokens, question=1)
            firsts.append({name: candidates[name](request) for name in _turned(candidates, number)})
            second = follow_up(request, firsts[-1]["ours"].text, size.after)
            seconds.append({name: candidates[name](second) for name in _turned(candidates, number)})
    tokens = firsts[0]["ours"].prompt_tokens
    about = f"{row.name}, prompt of {tokens} tokens"
    limits = {PLAIN: 0.15, SERVED: 0.15} if wanted else None
    rates, waits = {PLAIN: 1.0, SERVED: 1.1}, ("time to first token", "s")
    return [
        _row(f"one user, decode ({about}, {size.tokens} new)", "tokens/s", firsts, "rate", rates, True),
        _row(f"new image, {waits[0]} ({about})", waits[1], firsts, "first", None, False),
        _row(f"follow-up on the same image, {waits[0]} ({about})", waits[1], seconds, "first", limits, False),
    ]


def looks(row: Checkpoint, ours: Ours, side: int, tokens: int, adapters: Sequence[str]) -> list[Row]:
    """How often the vision encoder runs again for an image that it has seen."""
    request = first_turn(row, picture(2000, side), tokens)
    counts = []
    for asked in (request, request, *(replace(request, adapter=name) for name in adapters)):
        before = ours.encoded
        ours.ask(asked)
        counts.append(ours.encoded - before)
    if not counts[0]:
        raise RuntimeError("the vision encoder did not run for a new image: it is not counted where it runs")
    return [
        alone(f"regenerate ({row.name})", "runs of the vision encoder", counts[1], 0),
        alone(f"two adapters compared ({row.name})", "runs of the vision encoder", sum(counts[2:]), 0),
    ]


def crowd(row: Checkpoint, ours: Ours, plain: Plain, size: Size, side: int, of_one: float) -> list[Row]:
    """Eight users at once against one batch of the same prompts, and against one user alone."""
    several: list[float] = []
    batched: list[float] = []
    single: list[float] = []
    spreads: list[float] = []
    for number in range(size.rounds + 1):
        seed = 3000 + 10 * number
        requests = [first_turn(row, picture(seed + n, side), size.tokens, n) for n in range(USERS)]
        if number % 2:
            batched.append(_rate(*plain.batch(requests)))
        seconds, answers = ours.crowd(requests)
        several.append(_rate(seconds, sum(answer.tokens for answer in answers)))
        spreads.append(spread(answers))
        if not number % 2:
            batched.append(_rate(*plain.batch(requests)))
        alone_ = ours.ask(first_turn(row, picture(seed + 9, side), size.tokens, 1))
        single.append(_rate(alone_.total, alone_.tokens))
    what = f"{USERS} users at once ({row.name}, {size.tokens} new tokens each, prompts read)"
    rows = [
        compared(what, "tokens/s of all", several[1:], {PLAIN: batched[1:]}, {PLAIN: 0.85}),
        compared(
            f"{what}, against one user",
            "tokens/s of all",
            several[1:],
            {"one user": single[1:]},
            {"one user": of_one},
        ),
        alone(f"{what}: the slowest user's time / the median", "×", statistics.median(spreads[1:]), 1.5),
    ]
    return rows


def ninth(row: Checkpoint, ours: Ours, size: Size, side: int) -> list[Row]:
    """A user who joins while eight long answers are written."""
    waits: list[float] = []
    drained: list[float] = []
    for number in range(max(size.rounds // 2, 1)):
        seed = 4000 + 10 * number
        requests = [first_turn(row, picture(seed + n, side), size.long, n) for n in range(USERS)]
        late, end = ours.joined(requests, first_turn(row, picture(seed + 9, side), size.after, 1))
        waits.append(late.first)
        drained.append(end)
    about = f"{USERS} answers of {size.long} tokens ({row.name})"
    what = f"a ninth user's first token, against the first end of {about}"
    return [compared(what, "s", waits, {"their end": drained}, {"their end": 1.0}, least=False)]


def _turned(candidates: dict[str, Ask], number: int) -> Iterator[str]:
    names = list(candidates)
    start = number % len(names)
    yield from (*names[start:], *names[:start])


def _row(
    what: str,
    unit: str,
    rounds: list[dict[str, Asked]],
    value: str,
    wanted: dict[str, float] | None,
    least: bool,
) -> Row:
    ours, *others = ([getattr(each[name], value) for each in rounds[1:]] for name in ("ours", PLAIN, SERVED))
    return compared(what, unit, ours, dict(zip((PLAIN, SERVED), others, strict=True)), wanted, least)


def _rate(seconds: float, tokens: int) -> float:
    return tokens / seconds
