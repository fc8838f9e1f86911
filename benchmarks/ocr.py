"""How well and how fast RapidOCR reads pages here: `python -m benchmarks.ocr [--json FILE] [--pages 0,3,7]`.

Thirty pages of `benchmarks.ocr_pages` go through the engine, as a user's do. The character error
rate (CER) is the Levenshtein distance between the answer's text and what was drawn, in the order
in which it is read, over the length of what was drawn. In both every run of white space counts
as one space, so that it does not matter where a line breaks or how far cells stand apart; case,
accents and punctuation count, and so do a missing space and a wrong order. Rates of several
pages are of all their characters together. Memory is what this process takes more than before
the engine was loaded, and at most while it read; the first figure holds the libraries too.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from benchmarks.ocr_pages import DEGRADED, PLAN, Drawn, pages
from vlm_app.catalog import catalog
from vlm_app.engine import Engine, LocalBackend
from vlm_app.media import picture_from
from vlm_app.types import Answer, Request, Role, Task, Turn

MOST_CLEAN, MOST_DEGRADED = 0.02, 0.08  # what is promised
LARGEST = (6000, 4000)  # a picture of 24 megapixels, as a telephone takes it


@dataclass(frozen=True, slots=True)
class Measured:
    """One page: how many of its characters were wrong, and the seconds that it took."""

    page: Drawn
    wrong: int
    characters: int
    seconds: float
    note: str


def errors(truth: str, read: str) -> tuple[int, int]:
    """(wrong, all) characters: see above."""
    wanted, found = (" ".join(text.split()) for text in (truth, read))
    return distance(wanted, found), len(wanted)


def distance(one: str, other: str) -> int:
    """The least number of characters to insert, delete or replace (Levenshtein, 1966)."""
    letters = np.array([ord(letter) for letter in other])
    places = np.arange(len(other) + 1)
    row = places
    for number, letter in enumerate(one, 1):
        changed = np.minimum(row[1:] + 1, row[:-1] + (letters != ord(letter)))
        row = np.minimum.accumulate(np.concatenate([[number], changed]) - places) + places
    return int(row[-1])


def read(models: Engine, image: Image.Image) -> Answer:
    """What RapidOCR answers about an image."""
    turn = Turn(Role.USER, (picture_from(image),))
    deltas = models.answer(Request((turn,), "rapidocr", Task.OCR_REGIONS))
    return [delta.answer for delta in deltas if delta.answer][-1]


def measure(models: Engine, numbers: Iterable[int] = range(len(PLAN))) -> list[Measured]:
    """Read pages of the plan, each once."""
    found = []
    for page in pages(numbers):
        answer = read(models, page.image)
        wrong, characters = errors(page.text, answer.text)
        seconds = answer.timings.total - answer.timings.load
        found.append(Measured(page, wrong, characters, seconds, answer.seen.note))
        print(f"  {page.kind}, {page.state}: {wrong} of {characters}, {seconds:.1f} s", file=sys.stderr)
    return found


def rate(found: Iterable[Measured]) -> float:
    """The CER of several pages together."""
    all_of_them = list(found)
    return sum(each.wrong for each in all_of_them) / max(sum(each.characters for each in all_of_them), 1)


def clean(found: Iterable[Measured]) -> list[Measured]:
    """The pages to which nothing was done."""
    return [each for each in found if each.page.state == "clean"]


def degraded(found: Iterable[Measured]) -> list[Measured]:
    """The pages that were turned, put askew, scanned or photographed."""
    return [each for each in found if each.page.state in DEGRADED]


def table(found: list[Measured]) -> list[dict[str, str | float | int]]:
    """A row for each state, each kind, and for all that is clean or degraded."""
    groups = {state: [each for each in found if each.page.state == state] for _, state in PLAN}
    groups |= {kind: [each for each in found if each.page.kind == kind] for kind, _ in PLAN}
    groups |= {"all clean": clean(found), "all degraded": degraded(found)}
    return [
        {
            "pages": name,
            "number": len(group),
            "CER %": round(100 * rate(group), 2),
            "worst page %": round(100 * max(rate([each]) for each in group), 2),
            "seconds a page": round(statistics.median(each.seconds for each in group), 2),
        }
        for name, group in groups.items()
        if group
    ]


@contextmanager
def peak() -> Iterator[list[int]]:
    """Watches this process; the list ends with the most bytes that it took."""
    process, seen, over = psutil.Process(), [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            seen[0] = max(seen[0], process.memory_info().rss)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def memory(models: Engine) -> dict[str, float]:
    """Seconds to load, and MB: of the loaded engine, and at most on top of it for three pictures."""
    process = psutil.Process()
    models.devices()  # which imports torch
    empty, began = process.memory_info().rss, time.monotonic()
    read(models, Image.new("RGB", (64, 64), "white"))
    loading, loaded = time.monotonic() - began, process.memory_info().rss
    page = next(pages([2]))
    large = page.image.resize((LARGEST[1], LARGEST[0]))
    found = {"seconds to load": round(loading, 2), "loaded MB": round((loaded - empty) / 1e6)}
    pictures = {"A4 at 150 dpi": page.image, "24 megapixels": large}
    for name, image in pictures.items():
        with peak() as seen:
            read(models, image)
        found[f"{name} MB"] = round((seen[0] - loaded) / 1e6)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how well RapidOCR reads pages.")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    parser.add_argument("--pages", help="numbers of pages, 0 to 29, with commas between; all if not given")
    args = parser.parse_args()
    numbers = [int(number) for number in args.pages.split(",")] if args.pages else range(len(PLAN))
    models = Engine(catalog(), LocalBackend())
    taken = memory(models)
    found = measure(models, numbers)
    rows = table(found)
    print(" | ".join(rows[0]))
    for row in rows:
        print(" | ".join(str(value) for value in row.values()))
    print(", ".join(f"{name}: {value}" for name, value in taken.items()))
    if args.json:
        notes = [
            {"kind": each.page.kind, "state": each.page.state, "wrong": each.wrong, "note": each.note}
            for each in found
        ]
        told = {"machine": platform.machine(), "rows": rows, "memory": taken, "pages": notes}
        args.json.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    models.close()


if __name__ == "__main__":
    main()
