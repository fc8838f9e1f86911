"""How soon things lie on the workbench: `python -m benchmarks.workbench [--json FILE]`.

Opens photos of 12 megapixels together, a PDF of 200 pages and a video, then makes what the page
shows of them. Prints seconds, and the most memory that the app's own process had (megabytes).
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

from PIL import Image

from vlm_app.store import Store
from vlm_app.types import Delta, Request
from vlm_app.workbench.bench import Bench
from vlm_app.workbench.sheet import Page, Sheet

OWNER = "somebody"
PHOTO = (4000, 3000)
MOST_PHOTOS = 8  # that are different; the rest are these turned
Row = dict[str, float | str]


def photos(folder: Path, count: int) -> list[tuple[Path, str]]:
    """JPEG files of a real photograph, enlarged, with the grain of a camera."""
    import numpy as np
    from skimage import data

    folder.mkdir()
    image = Image.fromarray(data.astronaut()).resize(PHOTO, Image.Resampling.LANCZOS)
    files = []
    for number in range(count):
        if number < MOST_PHOTOS:
            grain = np.random.default_rng(number).integers(-6, 7, (PHOTO[1], PHOTO[0], 3))
            grained = Image.fromarray((np.asarray(image).astype(int) + grain).clip(0, 255).astype("uint8"))
        path = folder / f"photo-{number}.jpg"
        grained.rotate(number // MOST_PHOTOS).save(path, quality=92)
        files.append((path, path.name))
    return files


def document(folder: Path, pages: int) -> list[tuple[Path, str]]:
    """A PDF of pages full of text."""
    from fpdf import FPDF

    pdf = FPDF(format="A4")
    for number in range(pages):
        pdf.add_page()
        pdf.set_font("helvetica", size=11)
        for line in range(40):
            words = f"Page {number + 1}, line {line}: what is printed here is read again and again."
            pdf.cell(0, 6, words, new_x="LMARGIN", new_y="NEXT")
    path = folder / "report.pdf"
    pdf.output(str(path))
    return [(path, path.name)]


def film(folder: Path, seconds: int) -> list[tuple[Path, str]]:
    """A video of 1280 × 720 at 25 frames a second."""
    import av
    import numpy as np
    from skimage import data

    path = folder / "film.mp4"
    still = np.asarray(Image.fromarray(data.astronaut()).resize((1280, 720)))
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for number in range(25 * seconds):
            frame = av.VideoFrame.from_ndarray(np.roll(still, number, axis=1), format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return [(path, path.name)]


def peak() -> float:
    """The most memory that this process has had since it was last cleared, in megabytes."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return float(line.split()[1]) / 1000


def measured(name: str, began: float) -> Row:
    return {"what": name, "seconds": time.perf_counter() - began, "peak MB": peak()}


def opened(bench: Bench, files: list[tuple[Path, str]], name: str, rows: list[Row]) -> Sheet:
    Path("/proc/self/clear_refs").write_text("5")  # begins the peak again
    began = time.perf_counter()
    sheet = bench.open(OWNER, files)
    rows.append(measured(name, began))
    return sheet


def looked_at(bench: Bench, sheet: Sheet, thing: str, rows: list[Row]) -> None:
    """The strip of thumbnails, and pages in full for the first and for a second time."""
    began = time.perf_counter()
    for page in sheet.pages:
        bench.thumbnail(OWNER, sheet.id, page.key, 160)
    rows.append(measured(f"{len(sheet.pages)} thumbnails of {thing}", began))
    for when in ("first", "again"):
        began = time.perf_counter()
        for page in _some(sheet):
            bench.shown(OWNER, sheet.id, page.key)
        row = measured(f"one of {thing} in full, {when}", began)
        rows.append({**row, "seconds": float(row["seconds"]) / len(_some(sheet))})


def _some(sheet: Sheet) -> tuple[Page, ...]:
    return sheet.pages[:: max(len(sheet.pages) // 5, 1)][:5]


def measure(images: int, pages: int, seconds: int) -> list[Row]:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        store = Store(folder / "data")
        bench = Bench(store, _NoModel())
        sheet = opened(bench, photos(folder / "photos", images), f"{images} photos opened", rows)
        looked_at(bench, sheet, "photos", rows)
        sheet = opened(bench, document(folder, pages), f"PDF of {pages} pages opened", rows)
        looked_at(bench, sheet, "PDF pages", rows)
        sheet = opened(bench, film(folder, seconds), f"video of {seconds} s opened", rows)
        began = time.perf_counter()
        sheet = bench.sample(OWNER, sheet.id)
        rows.append(measured(f"{len(sheet.pages)} frames sampled", began))
        looked_at(bench, sheet, "frames", rows)
        store.close()
    return rows


class _NoModel:
    """Nothing is asked here."""

    def answer(self, request: Request, stop: Event | None = None) -> Iterator[Delta]:
        return iter(())


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how soon things lie on the workbench.")
    parser.add_argument("--images", type=int, default=40, help="photos opened together")
    parser.add_argument("--pages", type=int, default=200, help="of the PDF")
    parser.add_argument("--seconds", type=int, default=60, help="of the video")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    args = parser.parse_args()
    rows = measure(args.images, args.pages, args.seconds)
    print(" | ".join(rows[0]))
    for row in rows:
        print(f"{row['what']} | {row['seconds']:.2f} | {row['peak MB']:.0f}")
    if args.json:
        args.json.write_text(json.dumps({"machine": platform.machine(), "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
