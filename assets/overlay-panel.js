// What stands around the picture: the card of one region, the legend, the tools.
// Labels and texts are data from models and files: they only ever become text.
((overlay) => {
  const { clamp, bounds, told } = overlay.shapes;
  const MARKS = {
    agreed: "Both models found it", only: "Only this model found it", differs: "The readings differ here",
  };
  const CROP = [224, 120];  // pixels of the page
  const TOOLS = { select: "Select and move (V)", box: "Draw a box (B)", point: "Set a point (P)" };

  const make = (tag, className, more = {}) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    for (const [name, value] of Object.entries(more))
      if (name in made) made[name] = value;
      else made.setAttribute(name, value);
    return made;
  };
  const button = (act, label, icon) => {
    const made = make("button", icon ? "act" : "plain", { type: "button", title: icon ? label : "" });
    if (icon) made.setAttribute("aria-label", label);
    made.dataset.ov = act;
    made.append(icon ? make("i", `ico ov-${icon}`, { "aria-hidden": "true" }) : label);
    return made;
  };
  /** A name for regions of a label: located text often has none. */
  const labelName = (region) => region.label || (region.text ? "text" : "no label");
  const isPerson = ({ maker }) => maker === "you" || maker === "person";
  const makerOf = (region) => {
    if (isPerson(region)) return "you";
    const { maker = "", edited } = region;
    return edited && maker && !maker.endsWith("changed by you") ? `${maker}, changed by you` : maker;
  };
  /** A region in one line, for a screen reader. */
  const spoken = (region) =>
    [labelName(region), region.text, region.kind, makerOf(region), MARKS[region.mark]].filter(Boolean).join(", ");

  // --- the card --------------------------------------------------------------------------
  class Card {
    constructor(host, listId) {
      this.host = host;
      this.listId = listId;
      this.key = null;
      this.node = make("div", "ov-card", { role: "dialog", hidden: true });
    }
    get open() { return !this.node.hidden; }
    get busy() {
      const at = document.activeElement;
      return this.open && this.node.contains(at) && at.matches("input, textarea");
    }

    show(region) {
      if (this.busy && this.key === region.key) return;  // somebody is typing in it
      this.key = region.key;
      const fields = this.host.editable ? this._fields(region) : this._words(region);
      this.node.setAttribute("aria-label", labelName(region));
      this.node.replaceChildren(this._crop(region), ...fields, this._facts(region), this._close());
      this.node.hidden = false;
    }
    hide() {
      if (this.busy) document.activeElement.blur();  // what was typed counts
      this.node.hidden = true;
      this.key = null;
    }
    _close() {
      const made = button("close", "Close (Escape)", "close");
      made.classList.add("ov-x");
      return made;
    }
    _crop(region) {
      const canvas = make("canvas", "ov-crop", { role: "img", "aria-label": "This part of the picture" });
      drawCrop(canvas, this.host, region);
      return canvas;
    }
    _words(region) {
      const label = make("p", "ov-name");
      label.append(swatch(region), make("span", "", { textContent: labelName(region), dir: "auto" }));
      return region.text ? [label, make("p", "ov-text", { textContent: region.text, dir: "auto" })] : [label];
    }
    _fields(region) {
      const label = make("input", "ov-label", { value: region.label, placeholder: "Label", "aria-label": "Label" });
      label.setAttribute("list", this.listId);
      Object.assign(label, { autocomplete: "off", dir: "auto" });
      const row = make("p", "ov-name");
      row.append(swatch(region), label);
      const text = make("textarea", "ov-text", { value: region.text ?? "", rows: 2, "aria-label": "Text" });
      text.dir = "auto";
      for (const [field, name] of [[label, "label"], [text, "text"]]) this._keeps(field, name);
      return typeof region.text === "string" ? [row, text] : [row];
    }
    _keeps(field, name) {
      const before = field.value, keep = () => this.host.rewrite(this.key, { [name]: field.value });
      field.addEventListener("change", keep);
      field.addEventListener("keydown", (event) => {
        if (event.isComposing || event.keyCode === 229) return;  // the keys choose a word of Chinese or Japanese
        if (event.key === "Escape") field.value = before;
        if (event.key === "Escape" || (event.key === "Enter" && !event.shiftKey)) {
          event.preventDefault();
          event.stopPropagation();
          keep();
          this.host.shapesNode.focus();
        }
      });
    }
    _facts(region) {
      const facts = make("div", "ov-facts");
      const lines = told(region, this.host.size);
      const score = Number.isFinite(region.score) ? `score ${region.score.toFixed(2)}` : "";
      lines.push([makerOf(region), score].filter(Boolean).join(" · "), MARKS[region.mark] ?? "");
      for (const line of lines) if (line) facts.append(make("p", "", { textContent: line }));
      if (this.host.editable) facts.append(button("delete", "Delete"));
      return facts;
    }
    edit(name = "label") {
      const field = this.node.querySelector(name === "text" ? "textarea" : "input") ?? this.node.querySelector("input");
      field?.focus();
      field?.select();
    }
    /** Beside its region where there is room, else in a corner; under the picture on a phone. */
    place(at, [width, height]) {
      const narrow = width < 520;
      this.node.classList.toggle("under", narrow);
      this.node.style.maxHeight = narrow ? "" : `${Math.max(height - 16, 200)}px`;
      if (narrow || !this.open) return;
      const wide = this.node.offsetWidth, high = this.node.offsetHeight, gap = 16;
      const [x0, y0, x1, y1] = at;
      const left = clamp(x0, 8, Math.max(width - wide - 8, 8)), top = clamp(y0, 8, Math.max(height - high - 8, 8));
      const places = [[x1 + gap, top], [x0 - wide - gap, top], [left, y1 + gap], [left, y0 - high - gap]];
      const fits = places.find(([x, y]) => x >= 8 && y >= 8 && x + wide <= width - 8 && y + high <= height - 8);
      const [x, y] = fits ?? [(x0 + x1) / 2 < width / 2 ? width - wide - 8 : 8, 8];
      this.node.style.left = `${x}px`;
      this.node.style.top = `${y}px`;
    }
  }
  const swatch = (region) => {
    const made = make("i", "ov-swatch", { "aria-hidden": "true" });
    made.style.setProperty("--c", region.colour);
    return made;
  };
  const drawCrop = (canvas, host, region) => {
    const [wide, high] = host.size, [x0, y0, x1, y1] = bounds(region);
    const longest = Math.max((x1 - x0) * wide, (y1 - y0) * high);
    const around = region.kind === "point" ? 0.04 * Math.max(wide, high) : 0.08 * longest;
    const from = [Math.max(x0 * wide - around, 0), Math.max(y0 * high - around, 0)];
    const side = [Math.min(x1 * wide + around, wide) - from[0], Math.min(y1 * high + around, high) - from[1]];
    const factor = Math.min(CROP[0] / side[0], CROP[1] / side[1], 8), sharp = window.devicePixelRatio || 1;
    const shown = side.map((length) => Math.max(1, Math.round(length * factor)));
    Object.assign(canvas, { width: shown[0] * sharp, height: shown[1] * sharp });
    Object.assign(canvas.style, { width: `${shown[0]}px`, height: `${shown[1]}px` });
    const image = host.image;
    if (!image.complete || !image.naturalWidth) return;
    const [across, down] = [image.naturalWidth / wide, image.naturalHeight / high];
    const part = [from[0] * across, from[1] * down, side[0] * across, side[1] * down];
    canvas.getContext("2d").drawImage(image, ...part, 0, 0, canvas.width, canvas.height);
  };

  // --- the legend ------------------------------------------------------------------------
  class Legend {
    constructor(host) {
      this.host = host;
      this.node = make("div", "ov-legend", { role: "group", "aria-label": "Labels" });
      this.list = make("datalist", "", { id: `${host.uid}-labels` });
      this.rows = new Map();
      this.all = button("all", "Show all");
    }
    draw(regions, hidden) {
      const groups = new Map();
      for (const region of regions) {
        const group = groups.get(region.label) ?? { region, count: 0 };
        groups.set(region.label, { ...group, count: group.count + 1 });
      }
      for (const [label, row] of this.rows) if (!groups.has(label)) { row.remove(); this.rows.delete(label); }
      for (const [label, group] of groups) this._row(label, group, hidden.has(label), groups.size > 1);
      this.all.hidden = ![...hidden].some((label) => groups.has(label));
      this.node.append(...[...this.rows.values()].filter((row) => row.parentNode !== this.node), this.all);
      const labels = [...groups.keys()].filter(Boolean);
      if (String(labels) === this.labels) return;
      this.labels = String(labels);
      this.list.replaceChildren(...labels.map((value) => make("option", "", { value })));
    }
    /** Makes the row of a label, or brings it up to date: a double click needs it to stay. */
    _row(label, { region, count }, off, several) {
      const row = this.rows.get(label) ?? this._new(label, region);
      row.classList.toggle("off", off);
      row.title = several ? "Double-click: only this label" : "";
      row.querySelector("input").checked = !off;
      row.querySelector(".ov-swatch").style.setProperty("--c", region.colour);
      row.querySelector(".ov-count").textContent = count;
    }
    _new(label, region) {
      const row = make("label", "ov-kind"), box = make("input", "unseen", { type: "checkbox" });
      box.dataset.label = label;
      const name = make("span", "ov-kind-name", { textContent: labelName(region), dir: "auto" });
      row.append(box, swatch(region), name, make("span", "ov-count"));
      this.rows.set(label, row);
      return row;
    }
  }

  // --- the tools -------------------------------------------------------------------------
  class Bar {
    constructor() {
      this.node = make("div", "ov-bar", { role: "toolbar", "aria-label": "Picture" });
      this.tools = make("div", "ov-tools");
      for (const [name, label] of Object.entries(TOOLS)) this.tools.append(button(`tool-${name}`, label, name));
      this.back = button("undo", "Undo (Ctrl+Z)", "undo");
      this.forth = button("redo", "Redo (Ctrl+Shift+Z)", "redo");
      this.tools.append(make("i", "ov-rule"), this.back, this.forth);
      this.scale = button("actual", "", "");
      this.scale.title = "Show one pixel of the picture as one of the page";
      this.scale.className = "ov-scale";
      const zoom = make("div", "ov-zoom");
      zoom.append(button("out", "Zoom out (−)", "minus"), this.scale, button("in", "Zoom in (+)", "plus"));
      zoom.append(button("fit", "Fit (0)", "fit"));
      this.node.append(this.tools, zoom);
    }
    draw(host) {
      this.tools.hidden = !host.editable;
      this.back.disabled = !host.state.past.length;
      this.forth.disabled = !host.state.future.length;
      for (const each of this.tools.querySelectorAll("[data-ov^=tool-]"))
        each.setAttribute("aria-pressed", String(each.dataset.ov === `tool-${host.mode}`));
    }
    drawScale(scale) {
      const told = `${scale < 0.1 ? (scale * 100).toFixed(1) : Math.round(scale * 100)} %`;
      if (this.scale.textContent === told) return;
      this.scale.textContent = told;
      this.scale.setAttribute("aria-label", `Zoom ${told}, show actual pixels`);
    }
  }

  Object.assign(overlay, { Card, Legend, Bar, make, spoken, isPerson });
})(window.vlmOverlay ??= {});
