"""The parts of the place that never change."""

from __future__ import annotations

from vlm_app.ui.addresses import under_root


def empty() -> str:
    """The first screen of the place."""
    hearts = under_root("/examples/hearts.png")
    return f"""
<section class="bench-empty tune-empty">
  <h1>Collect what a model should learn, and see exactly what it is taught.</h1>
  <button type="button" class="drop" data-tune="pick">
    <i class="ico open"></i><strong>Drop a dataset here</strong>
    <span>or choose files: a zip, JSONL, JSON, parquet or CSV, also with their pictures beside them.</span>
  </button>
  <p class="or">or try it with an example dataset</p>
  <div class="cards">
    <button type="button" class="card" data-tune="hearts">
      <img src="{hearts}" alt="" width="640" height="480">
      <span>40 hearts: a shape that Pebble has never seen</span></button>
  </div>
  <p class="or">Answers that you correct in a chat or on the workbench are collected here, too.</p>
</section>
"""


TOP = """
<div class="tune-top">
  <button type="button" class="plain" data-tune="pick"><i class="ico open"></i> Upload…</button>
  <button type="button" class="plain" data-tune="ask-name">New, empty</button>
  <form class="tune-form" id="tune-new" data-tune-form="create" hidden>
    <input type="text" name="name" maxlength="80" required placeholder="Name of the dataset"
      aria-label="Name of the dataset">
    <button type="submit" class="plain strong">Create</button>
  </form>
  <input type="file" id="tune-files" multiple hidden
    accept=".zip,.jsonl,.json,.parquet,.csv,.tsv,.png,.jpg,.jpeg,.webp,.gif,.bmp,.tif,.tiff">
  <p class="notice failed" id="tune-problem" role="alert" hidden><span></span>
    <button type="button" class="plain" data-tune="hide-problem">Close</button></p>
</div>
"""
