"""The parts of the tab that never change: the browser fills them."""

from __future__ import annotations

from vlm_app.ui.addresses import under_root


def empty(pages: int) -> str:
    """The first screen of the tab, for who may open documents of so many pages."""
    shapes, signs = under_root("/examples/shapes.png"), under_root("/examples/signs.png")
    many = "1 page" if pages == 1 else f"{pages:,} pages"
    return f"""
<section class="bench-empty">
  <h1>See what a model finds. Check it, fix it, take it along.</h1>
  <button type="button" class="drop" data-bench="pick-files">
    <i class="ico open"></i><strong>Drop images, a PDF or a video here</strong>
    <span>or choose files: several images together, one PDF of up to {many}, or one video.</span>
  </button>
  <p class="or">or try one of these</p>
  <div class="cards">
    <button type="button" class="card" data-bench="example" data-name="shapes">
      <img src="{shapes}" alt="" width="640" height="480"><span>Find shapes</span></button>
    <button type="button" class="card" data-bench="example" data-name="signs">
      <img src="{signs}" alt="" width="640" height="480"><span>Read signs</span></button>
  </div>
</section>
"""


STRIP = """
<nav class="bench-strip" aria-label="Pages">
  <div class="heads"><span id="strip-count"></span>
    <button type="button" class="inline" data-bench="all">Select all</button></div>
  <ol id="strip-pages"></ol>
</nav>
"""

STAGE = """
<div class="bench-stage">
  <div id="bench-video" hidden>
    <video controls muted playsinline preload="metadata"></video>
    <p class="unplayable" hidden>This browser cannot play the file; its frames can be taken all the same.</p>
    <div class="scrub"><input type="range" min="0" max="1" step="0.04" value="0" aria-label="Time">
      <output>0:00</output>
      <button type="button" class="plain" data-bench="frame">Take this frame</button></div>
    <div class="sample">
      <label>Take <input type="number" id="sample-count" min="1" max="64" value="8"> frames</label>
      <button type="button" class="plain" data-bench="sample-count">Spread evenly</button>
      <label>or every <input type="number" id="sample-every" min="0.1" step="0.1" value="5"> s</label>
      <button type="button" class="plain" data-bench="sample-every">Take them</button></div>
    <p class="few" id="few-frames" hidden>Questions are about the frames that were taken: take more to ask
      about more of the video.</p>
  </div>
  <div class="tools" role="toolbar" aria-label="Tools">
    <span class="group">
      <button type="button" class="tool" data-bench="tool" data-tool="select" aria-pressed="true"
        title="Select, move and resize (V)" aria-label="Select"><i class="ico select"></i></button>
      <button type="button" class="tool" data-bench="tool" data-tool="box" aria-pressed="false"
        title="Add a box (B)" aria-label="Add a box"><i class="ico box"></i></button>
      <button type="button" class="tool" data-bench="tool" data-tool="point" aria-pressed="false"
        title="Add a point (P)" aria-label="Add a point"><i class="ico point"></i></button>
      <button type="button" class="tool" data-bench="tool" data-tool="describe" aria-pressed="false"
        title="Draw a part and have it described (D)" aria-label="Describe a part"
        ><i class="ico describe"></i></button>
    </span>
    <span class="group">
      <button type="button" class="tool" data-bench="undo" title="Undo" aria-label="Undo"
        ><i class="ico undo"></i></button>
      <button type="button" class="tool" data-bench="redo" title="Redo" aria-label="Redo"
        ><i class="ico redo"></i></button>
    </span>
    <span class="group">
      <button type="button" class="tool" data-bench="zoom-out" aria-label="Zoom out">−</button>
      <button type="button" class="tool" data-bench="fit" title="The whole picture">Fit</button>
      <button type="button" class="tool" data-bench="zoom-in" aria-label="Zoom in">+</button>
    </span>
    <span id="stage-title"></span>
    <button type="button" class="tool wide" id="own-text" data-bench="own-text" aria-pressed="false" hidden
      >The file’s own text</button>
  </div>
  <div class="overlays">
    <figure><vlm-overlay id="bench-overlay"></vlm-overlay>
      <figcaption id="first-name" hidden></figcaption></figure>
    <figure id="beside-figure" hidden><vlm-overlay id="bench-beside"></vlm-overlay>
      <figcaption id="second-name"></figcaption></figure>
  </div>
</div>
"""

RUN = """
<div class="bench-run">
  <button type="button" class="run" id="bench-go" data-bench="run">Run</button>
  <button type="button" class="plain danger" id="bench-stop" data-bench="stop" hidden>Stop</button>
  <button type="button" class="plain" id="bench-too" data-bench="second" hidden>Ask it the same</button>
  <span id="run-about"></span>
</div>
"""

REPORT = """
<details class="bench-fold" id="report-fold"><summary>Report <small id="report-count"></small></summary>
  <p class="hint" id="report-hint">Nothing chosen yet: select a region and press “Add to report”.</p>
  <div id="report-body" hidden>
    <label class="field">Title <input type="text" id="report-title" value="Report" maxlength="200"></label>
    <ol id="report-list"></ol>
    <p class="hint" id="report-problem" role="status" hidden></p>
    <p class="ways"><button type="button" class="plain" data-bench="report" data-format="pdf">PDF</button>
      <button type="button" class="plain" data-bench="report" data-format="html">HTML</button>
      <button type="button" class="inline quiet" data-bench="report-clear">Remove all</button></p>
  </div>
</details>
"""
