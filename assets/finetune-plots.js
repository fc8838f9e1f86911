// The curves of runs: drawn side by side over their steps, with the values where the pointer is.
// What a person named only ever becomes text here.
const vlmPlots = (() => {
  const at = (id) => document.getElementById(id);
  const near = (event, selector) => event.target instanceof Element ? event.target.closest(selector) : null;
  const made = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const short = (number) => {
    if (number === 0) return "0";
    const size = Math.abs(number);
    if (size >= 1e9) return `${+(number / 1e9).toPrecision(3)} G`;
    if (size >= 1e6) return `${+(number / 1e6).toPrecision(3)} M`;
    if (size < 1e-3) return number.toExponential(1).replace(/\.0e/, "e");
    return String(+number.toPrecision(3));
  };
  const bytes = (count) => count >= 1e9 ? `${(count / 1e9).toFixed(2)} GB` : `${Math.round(count / 1e6)} MB`;
  const MAIN = "var(--accent)", OTHER = "#d55e00", HELD = "#0072b2", HELD_OTHER = "#cc79a7";
  const series = (run, mine) => ({
    loss: [
      { name: "training", colour: mine ? MAIN : OTHER, faint: true, dots: run.points.map((p) => [p[0], p[1]]) },
      { name: "training, mean", colour: mine ? MAIN : OTHER, dots: run.points.map((p) => [p[0], p[2]]) },
      { name: "held out", colour: mine ? "var(--held)" : HELD_OTHER, marks: true, dots: run.held.map((p) => [p[0], p[1]]) },
    ],
    rate: [{ name: "", colour: mine ? MAIN : OTHER, dots: run.points.map((p) => [p[0], p[3]]) }],
    memory: [{ name: "", colour: mine ? MAIN : OTHER, dots: run.points.map((p) => [p[0], p[4]]) }],
    speed: [{ name: "", colour: mine ? MAIN : OTHER, dots: run.points.map((p) => [p[0], p[5]]) }],
    scores: Object.entries(run.scores).map(([name, dots], at) => ({
      name, colour: [MAIN, "#e69f00", HELD, "#009e73", "#cc79a7"][at % 5], dashed: !mine, marks: true, dots })),
  });
  const TITLES = { loss: "Loss", rate: "Learning rate", memory: "Memory", speed: "Examples per second", scores: "Held-out score" };
  const SHOWN = { loss: short, rate: short, memory: bytes, speed: short, scores: short };
  /** The curves of one run, or of two: the first one's in the main colour. */
  const draw = (runs) => {
    const lines = {};
    runs.forEach((run, place) => {
      for (const [kind, each] of Object.entries(series(run, place === 0)))
        (lines[kind] ||= []).push(...each.map((one) => ({ ...one, of: runs.length > 1 ? run.name : "" })));
    });
    const last = Math.max(1, ...runs.map((run) => Math.max(run.steps, run.points.at(-1)?.[0] ?? 0)));
    for (const figure of document.querySelectorAll("#run-plots .plot")) {
      const kind = figure.dataset.plot;
      figure.hidden = !lines[kind].some((each) => each.dots.length);
      if (!figure.hidden) plot(figure, kind, lines[kind], last);
    }
    legend(lines.loss);
  };
  const legend = (lines) => at("plot-legend").replaceChildren(...lines.filter((each) => !each.faint && each.dots.length).map((each) => {
    const mark = made("i", { className: each.marks ? "dot" : "" });
    mark.style.setProperty("--c", each.colour);
    return made("span", {}, mark, `${each.of ? `${each.of}: ` : ""}${each.name.replace(", mean", "")}`);
  }));

  const SVG = "http://www.w3.org/2000/svg";
  const shape = (tag, attributes = {}, text = "") => {
    const node = document.createElementNS(SVG, tag);
    for (const [key, each] of Object.entries(attributes)) node.setAttribute(key, each);
    if (text) node.textContent = text;
    return node;
  };
  /** Round numbers that cut a range into a few equal parts. */
  const ticks = (low, high, count) => {
    const span = high - low || 1, rough = span / count, ten = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((each) => each * ten).find((each) => each >= rough) || rough;
    const found = [];
    for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step * 1e-9; value += step) found.push(+value.toPrecision(12));
    return found;
  };
  const scales = (kind, lines, last, box) => {
    const values = lines.flatMap((each) => each.dots.map((dot) => dot[1])).filter((each) => each !== null);
    const logarithmic = kind === "loss" && at("run-log-scale").checked && values.some((each) => each > 0);
    const good = logarithmic ? values.filter((each) => each > 0) : values;
    let low = Math.min(...good), high = Math.max(...good);
    if (!good.length) [low, high] = [0, 1];
    if (logarithmic) { if (low === high) { low /= 2; high *= 2; } }
    else { if (kind !== "loss" || low < high / 3) low = Math.min(0, low); if (low === high) high = low + (Math.abs(low) || 1); high += (high - low) * 0.05; }
    const map = logarithmic ? Math.log10 : (each) => each;
    const [from, to] = [map(low), map(high)];
    return {
      x: (step) => box.left + (step / last) * (box.right - box.left),
      y: (each) => box.bottom - ((map(each) - from) / (to - from)) * (box.bottom - box.top),
      fits: (each) => each !== null && (!logarithmic || each > 0),
      marks: logarithmic
        ? ticks(from, to, 3).map((each) => 10 ** each)
        : ticks(low, high, kind === "loss" ? 5 : 3),
    };
  };
  const path = (dots, scale) => {
    let text = "", pen = "M";
    for (const [step, value] of dots) {
      if (!scale.fits(value)) { pen = "M"; continue; }
      text += `${pen}${scale.x(step).toFixed(1)} ${scale.y(value).toFixed(1)}`;
      pen = "L";
    }
    return text;
  };
  const plot = (figure, kind, lines, last) => {
    const width = Math.max(figure.clientWidth, 240), height = kind === "loss" ? 280 : 132;
    const box = { left: kind === "memory" ? 60 : 52, right: width - 12, top: 12, bottom: height - 26 };
    const scale = scales(kind, lines, last, box);
    const svg = shape("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": TITLES[kind] });
    for (const value of scale.marks) {
      const y = Math.round(scale.y(value)) + 0.5;
      if (y < box.top - 1 || y > box.bottom + 1) continue;
      svg.append(shape("path", { class: "grid", d: `M${box.left} ${y}H${box.right}` }), shape("text", { class: "y", x: box.left - 8, y: y + 4 }, SHOWN[kind](value)));
    }
    for (const step of ticks(0, last, Math.max(2, Math.floor(width / 110))).filter((each) => Number.isInteger(each)))
      svg.append(shape("text", { class: "x", x: scale.x(step), y: height - 8 }, step.toLocaleString("en")));
    for (const each of lines) {
      const style = `stroke:${each.colour}`;
      svg.append(shape("path", { class: `line${each.faint ? " faint" : ""}${each.dashed ? " dashed" : ""}`, d: path(each.dots, scale), style }));
      if (each.marks && each.dots.length <= 60) for (const [step, value] of each.dots.filter((dot) => scale.fits(dot[1])))
        svg.append(shape("circle", { class: "mark", cx: scale.x(step), cy: scale.y(value), r: 3, style: `fill:${each.colour}` }));
    }
    const cross = shape("path", { class: "cross" });
    svg.append(cross);
    const title = made("figcaption", {}, made("strong", { textContent: TITLES[kind] }), made("span", {}));
    figure.replaceChildren(title, svg);
    Object.assign(figure, { vlm: { scale, box, lines, last, cross, kind, say: title.lastChild } });
    if (figure.matches(":hover") && hovered !== null) hover(figure, hovered);
    else latest(figure);
  };
  const latest = (figure) => {
    const { lines, kind, say } = figure.vlm;
    const line = lines.find((each) => each.dots.length && !each.faint);
    const dot = line?.dots.findLast((each) => each[1] !== null);
    say.textContent = dot && kind !== "loss" && kind !== "scores" ? SHOWN[kind](dot[1]) : "";
  };
  let hovered = null;
  const hover = (figure, step) => {
    const { scale, box, lines, kind, cross, say } = figure.vlm, told = [];
    for (const each of lines) {
      if (each.faint && each.of) continue;  // of two runs their means: the caption keeps to one line
      const near = each.dots.filter((dot) => dot[1] !== null).reduce((best, dot) =>
        !best || Math.abs(dot[0] - step) < Math.abs(best[0] - step) ? dot : best, null);
      if (near) told.push([each, near]);
    }
    if (!told.length) return;
    const place = told.reduce((best, each) => Math.abs(each[1][0] - step) < Math.abs(best - step) ? each[1][0] : best, told[0][1][0]);
    cross.setAttribute("d", `M${scale.x(place).toFixed(1)} ${box.top}V${box.bottom}`);
    const words = told.map(([each, [, value]]) => {
      const mark = made("i");
      mark.style.setProperty("--c", each.colour);
      return made("span", { title: each.of }, mark, `${each.of ? "" : each.name} ${SHOWN[kind](value)}`.trim());
    });
    const where = kind === "loss" || kind === "scores" ? [made("b", { textContent: `step ${place.toLocaleString("en")}` })] : [];
    say.replaceChildren(...where, ...words);
  };
  document.addEventListener("pointermove", (event) => {
    const figure = near(event, "#run-plots .plot");
    if (!figure?.vlm) return;
    const { box, last } = figure.vlm, left = figure.querySelector("svg").getBoundingClientRect().left;
    hovered = Math.min(Math.max((event.clientX - left - box.left) / (box.right - box.left), 0), 1) * last;
    for (const each of document.querySelectorAll("#run-plots .plot")) if (each.vlm && !each.hidden) hover(each, hovered);
  });
  document.addEventListener("pointerout", (event) => {
    const plots = near(event, "#run-plots");
    if (!plots || (event.relatedTarget instanceof Node && plots.contains(event.relatedTarget))) return;
    hovered = null;
    for (const each of plots.querySelectorAll(".plot")) if (each.vlm) { each.vlm.cross.setAttribute("d", ""); latest(each); }
  });
  return { draw };
})();
