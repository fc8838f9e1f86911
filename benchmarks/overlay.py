"""How fast regions are seen: `python -m benchmarks.overlay [--regions N] [--side PIXELS] [--json FILE]`.

Opens a page with nothing but the overlay in a headless Chromium, as the app delivers it, and
measures milliseconds:

- first paint: from setting the data, with the picture already loaded, until the frame with all
  regions was presented (the browser's Element Timing), for each kind of region;
- hover: from the mouse event to the end of the frame in which the region is lit;
- zoom and pan: between two frames while every frame has another zoom or place.

Beside them stands the processor time of the page's main thread for each, which says the same
on a busy machine; the file also has the machine's load over the last minute.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import shutil
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import FLAGS, NAMES
from tests.browser.overlay_page import data, page_html, region, scene, served

KINDS = ("box", "point", "polygon", "mask", "mixed")

PAINT = """async (given) => {
  const image = new Image();
  image.src = given.picture.src;
  await image.decode();
  const overlay = document.createElement("vlm-overlay");
  document.querySelector("vlm-overlay").replaceWith(overlay);
  overlay.image.setAttribute("elementtiming", "picture");
  const presented = new Promise((done) => new PerformanceObserver((list) =>
    done(list.getEntries().at(-1).renderTime)).observe({ type: "element" }));
  await new Promise(requestAnimationFrame);
  const start = performance.now();
  overlay.data = given;
  return (await presented) - start;
}"""

WATCH = """() => {
  window.hovers = [];
  addEventListener("pointermove", (event) => {
    const { port1, port2 } = new MessageChannel();
    const lit = () => document.querySelectorAll(".ov-region.lit").length;
    port1.onmessage = () => { if (lit()) window.hovers.push(performance.now() - event.timeStamp); };
    requestAnimationFrame(() => port2.postMessage(null));  // it arrives when the frame is painted
  }, true);
}"""

FRAMES = """async (way) => {
  const overlay = document.querySelector("vlm-overlay"), times = [];
  overlay.fit();
  if (way === "panning") overlay.zoom(6);
  for (let step = 0; step < 60; step += 1) {
    if (way === "zooming") overlay.zoom(step < 40 ? 1.06 : 0.9);
    else overlay.pan(step < 30 ? -9 : 9, step % 20 < 10 ? 5 : -5);
    times.push(await new Promise(requestAnimationFrame));
  }
  overlay.fit();
  return times.slice(1).map((time, index) => time - times[index]);
}"""


def crowd(count: int, kind: str = "box", seed: int = 0) -> list[dict[str, Any]]:
    """Regions of 1 to 6 % of the picture's side in random places; 'mixed' has all kinds."""
    chance = random.Random(seed)
    kinds = ("box", "box", "point", "polygon", "mask")
    made = []
    for index in range(count):
        x, y = chance.uniform(0, 0.94), chance.uniform(0, 0.94)
        wide, high = chance.uniform(0.01, 0.06), chance.uniform(0.01, 0.06)
        one = kinds[index % len(kinds)] if kind == "mixed" else kind
        number = chance.randrange(7)
        made.append(region(f"r{index}", f"thing {number}", number, **{one: _shape(one, x, y, wide, high)}))
    return made


def _shape(kind: str, x: float, y: float, wide: float, high: float) -> Any:
    box = [x, y, x + wide, y + high]
    if kind == "point":
        return box[:2]
    if kind == "polygon":
        turns = [index * math.tau / 12 for index in range(12)]
        return [[x + wide * (1 + math.cos(t)) / 2, y + high * (1 + math.sin(t)) / 2] for t in turns]
    return {"box": box, "size": [48, 48], "runs": _disc(48)} if kind == "mask" else box


def _disc(side: int) -> list[int]:
    """A round mask in run lengths."""
    runs, last, middle = [0], 0, (side - 1) / 2
    for index in range(side * side):
        bit = int(math.hypot(index % side - middle, index // side - middle) < side / 2)
        if bit != last:
            runs.append(0)
            last = bit
        runs[-1] += 1
    return runs


def paint_time(page: Page, given: dict[str, Any]) -> float:
    """Seconds from setting the data in a new overlay to the presented frame; the picture is loaded."""
    return float(page.evaluate(PAINT, given)) / 1000


def hover_times(page: Page, count: int) -> list[float]:
    """Seconds from each of `count` mouse events over a region to the end of its frame."""
    page.evaluate(WATCH)
    places = page.evaluate(
        """() => [...document.querySelectorAll(".ov-region .line")].map((line) => {
          const at = line.getBoundingClientRect();
          return [at.left + at.width / 2, at.top + at.height / 2];
        })"""
    )
    for x, y in random.Random(1).sample(places, count):
        page.mouse.move(2, 2)
        page.evaluate("() => new Promise(requestAnimationFrame)")
        page.mouse.move(x, y)
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 20)))")
    return [float(each) / 1000 for each in page.evaluate("window.hovers")]


def measure(page: Page, regions: int, side: int, rounds: int) -> list[dict[str, Any]]:
    """One row a figure, in milliseconds."""
    thread = MainThread(page)
    rows = []
    for kind in KINDS:
        given = data(crowd(regions, kind), (side, side))
        paints = [1000 * paint_time(page, given) for _ in range(rounds)]
        rows.append(_row(f"first paint, {kind}", paints, thread.spent()))
    hovers = [1000 * each for each in hover_times(page, min(regions, 60))]
    rows.append(_row("hover to lit frame", hovers, thread.spent()))
    for way in ("zooming", "panning"):
        rows.append(_row(f"a frame while {way}", page.evaluate(FRAMES, way), thread.spent()))
    return rows


class MainThread:
    """The processor time of the page's main thread: it says the same on a busy machine."""

    def __init__(self, page: Page) -> None:
        self.session = page.context.new_cdp_session(page)
        self.session.send("Performance.enable", {"timeDomain": "threadTicks"})
        self.before = 0.0
        self.spent()

    def spent(self) -> float:
        """Milliseconds since it was last asked."""
        metrics = self.session.send("Performance.getMetrics")["metrics"]
        now = next(float(each["value"]) for each in metrics if each["name"] == "TaskDuration")
        before, self.before = self.before, now
        return 1000 * (now - before)


def _row(figure: str, times: Sequence[float], spent: float) -> dict[str, Any]:
    return {
        "figure": figure,
        "median ms": statistics.median(times),
        "worst ms": max(times),
        "main thread ms": spent / len(times),
        "of": len(times),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how fast regions are drawn and lit.")
    parser.add_argument("--regions", type=int, default=500)
    parser.add_argument("--side", type=int, default=4000, help="pixels of the picture's sides")
    parser.add_argument("--rounds", type=int, default=7, help="first paints of each kind")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    args = parser.parse_args()
    found = next(path for name in NAMES if (path := shutil.which(name)))
    picture = {"scene.png": scene(args.side, args.side)}
    with served(page_html(), picture) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url)
        rows = measure(page, args.regions, args.side, args.rounds)
        browser.close()
    print(" | ".join(rows[0]))
    for row in rows:
        print(" | ".join(f"{each:.1f}" if isinstance(each, float) else str(each) for each in row.values()))
    if args.json:
        made = {"machine": platform.machine(), "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
        made |= {"regions": args.regions, "side": args.side, "rows": rows}
        args.json.write_text(json.dumps(made, indent=2))


if __name__ == "__main__":
    main()
