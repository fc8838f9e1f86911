"""How soon Pebble answers: `python -m benchmarks.first_answer [--busy N] [--json FILE]`.

Asks the engine for one short and one longer answer about a scene, again and again, and
prints the seconds to the first token and to the end (median and worst). With `--busy`
other programs keep so many cores busy meanwhile.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vlm_app.engine import Engine, engine
from vlm_app.media import picture_from
from vlm_app.pebble.world import draw_scene
from vlm_app.types import Answer, Request, Role, Turn

QUESTIONS = ("How many shapes are there?", "Describe the image.", "Detect everything.")


@contextmanager
def busy(cores: int) -> Iterator[None]:
    """Other programs at work, each in a session of its own, by which Linux shares the cores."""
    command = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(command, start_new_session=True) for _ in range(cores)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def ask(engine: Engine, question: str, seed: int) -> Answer:
    """One answer of Pebble about the scene of `seed`."""
    picture = picture_from(draw_scene(seed, kind="shapes", most=4).image)
    request = Request((Turn(Role.USER, (picture, question)),), model="pebble")
    return [delta.answer for delta in engine.answer(request) if delta.answer][-1]


def measure(rounds: int) -> list[dict[str, float | str]]:
    """One row a question: its seconds over `rounds` scenes."""
    models = engine()
    ask(models, QUESTIONS[0], 0)  # loads the model
    rows: list[dict[str, float | str]] = []
    for question in QUESTIONS:
        answers = [ask(models, question, seed) for seed in range(rounds)]
        first = [answer.timings.first_token for answer in answers]
        total = [answer.timings.total for answer in answers]
        rows.append(
            {
                "question": question,
                "tokens": statistics.median(answer.usage.completion_tokens for answer in answers),
                "first token": statistics.median(first),
                "first token, worst": max(first),
                "whole answer": statistics.median(total),
                "whole answer, worst": max(total),
            }
        )
    models.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how soon Pebble answers.")
    parser.add_argument("--rounds", type=int, default=20, help="scenes for each question")
    parser.add_argument("--busy", type=int, default=0, help="cores that other programs keep busy")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    args = parser.parse_args()
    with busy(args.busy):
        rows = measure(args.rounds)
    print(" | ".join(rows[0]))
    for row in rows:
        print(
            " | ".join(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values())
        )
    if args.json:
        args.json.write_text(json.dumps({"machine": platform.machine(), "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
