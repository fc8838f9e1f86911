"""How long a PDF's pages take: `python -m benchmarks.documents [--pages N] [--json FILE]`.

Opens a letter-like document of text, one of scanned pages and one of vector drawings, draws each
page at 144 dpi and reads its text, and prints the seconds of a page (median and worst) with what
the worker and the app hold in memory after the first quarter and after the last page.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import psutil
from fpdf import FPDF
from PIL import Image

from vlm_app.media import documents
from vlm_app.media.documents import Document, open_document
from vlm_app.settings import settings

Row = dict[str, float | str]


def letters(pages: int) -> bytes:
    """Pages of 43 lines of text."""
    file = FPDF()
    file.set_font("Helvetica", size=11)
    for page in range(pages):
        file.add_page()
        for line in range(43):
            words = f"Page {page + 1}, line {line + 1}: the quick brown fox jumps over 12.50 EUR of dogs."
            file.cell(0, 6, words, new_x="LMARGIN", new_y="NEXT")
    return bytes(file.output())


def scans(pages: int) -> bytes:
    """Pages that are pictures of A4 at 200 dpi, as JPEG; ten pictures take turns."""
    file = FPDF()
    noise = Image.effect_noise((1654, 2339), 40)
    several = []
    for turn in range(10):
        several.append(BytesIO())
        noise.rotate(18 * turn).save(several[-1], "JPEG", quality=40)
    for page in range(pages):
        file.add_page()
        file.image(several[page % 10], x=0, y=0, w=210)
    return bytes(file.output())


def drawings(pages: int) -> bytes:
    """Pages of 500 lines each."""
    file = FPDF()
    for page in range(pages):
        file.add_page()
        for line in range(500):
            file.line(10 + line % 190, 10, 200 - (line * (page + 7)) % 190, 280)
    return bytes(file.output())


def resident(document: Document) -> tuple[float, float]:
    """What the worker and this process hold, in MB."""
    worker = next(each for each in documents._pool()._workers if each.pid)
    there, here = (psutil.Process(pid).memory_info().rss / 1e6 for pid in (worker.pid, None))
    return there, here


def measure(name: str, make: Callable[[int], bytes], pages: int, folder: Path) -> Row:
    """One document: the seconds of its pages, and the memory."""
    path = folder / f"{name}.pdf"
    path.write_bytes(make(pages))
    began = time.monotonic()
    document = open_document(path)
    opened = time.monotonic() - began
    drawn, read, held = [], [], []
    for number in range(1, document.pages + 1):
        began = time.monotonic()
        document.picture(number)
        drawn.append(time.monotonic() - began)
        began = time.monotonic()
        document.lines(number)
        read.append(time.monotonic() - began)
        held.append(resident(document))
    early, late = held[len(held) // 4], held[-1]
    return {
        "document": name,
        "pages": document.pages,
        "file, MB": path.stat().st_size / 1e6,
        "open, s": opened,
        "draw, s": statistics.median(drawn),
        "draw, worst": max(drawn),
        "text, s": statistics.median(read),
        "worker, MB": late[0],
        "worker grew, MB": late[0] - early[0],
        "app grew, MB": late[1] - early[1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how long a PDF's pages take.")
    parser.add_argument("--pages", type=int, default=settings().max_pages, help="of each document")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure("warm", letters, 2, Path(folder))
        rows = [measure(make.__name__, make, args.pages, Path(folder)) for make in (letters, scans, drawings)]
    print(" | ".join(rows[0]))
    for row in rows:
        print(
            " | ".join(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values())
        )
    if args.json:
        args.json.write_text(json.dumps({"machine": platform.machine(), "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
