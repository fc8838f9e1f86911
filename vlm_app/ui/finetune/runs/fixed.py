"""The parts of the place that never change; `assets/finetune-runs.js` draws in them."""

TOP = """
<div class="tune-top">
  <button type="button" class="plain strong" data-run="new">New run</button>
  <button type="button" class="plain" data-run="bring"
    title="a zip with adapter_config.json and adapter_model.safetensors">Bring an adapter…</button>
  <input type="file" id="adapter-file" accept=".zip" hidden>
  <p id="adapter-brought" role="status" hidden></p>
</div>
"""

PLOTS = """
<section id="run-plots" class="run-plots" hidden>
  <header><h2>How it goes</h2>
    <label>Compare with <select id="run-other"></select></label>
    <label class="check"><input type="checkbox" id="run-log-scale">log scale</label>
  </header>
  <p id="plot-legend"></p>
  <figure class="plot large" data-plot="loss"></figure>
  <div class="plots">
    <figure class="plot" data-plot="scores" hidden></figure>
    <figure class="plot" data-plot="rate"></figure>
    <figure class="plot" data-plot="memory"></figure>
    <figure class="plot" data-plot="speed"></figure>
  </div>
</section>
"""

SAMPLES = """
<section id="run-samples" class="run-samples" hidden>
  <header><h2>Answers to held-out images</h2>
    <label id="sample-when"><input type="range" id="sample-step" min="0" max="0" step="1" value="0"
      aria-label="Step"><output></output></label>
    <button type="button" class="plain" data-run="right" aria-pressed="false">Show the right answers</button>
  </header>
  <div id="sample-list"></div>
</section>
"""
