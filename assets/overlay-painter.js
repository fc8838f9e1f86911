// Draws the regions of an overlay: one SVG over the picture, whose strokes keep their width at any
// zoom, and the labels. Masks are filled outlines, and canvases where an outline would be too fine.
// Hovering fades that SVG as a whole, and copies what is lit into a second one above it.
((overlay) => {
  const { bounds, area, painted, path } = overlay.shapes;
  const SVG = "http://www.w3.org/2000/svg";
  const CROWD = 14;  // more regions in sight than this show their label when they are looked at
  const MANY = 100;  // more regions than this draw masks without their hairline: it costs a third of the time
  const NEIGHBOURS = 60;  // regions that labels make way for
  const GLYPHS = { agreed: "✓", only: "○", differs: "≠" };

  const shape = (tag, className) => {
    const made = document.createElementNS(SVG, tag);
    if (className) made.setAttribute("class", className);
    return made;
  };

  class Painter {
    constructor(host) {
      Object.assign(this, { host, nodes: new Map(), tags: new Map(), count: 0, selected: null });
      this.lit = new Set();
      this.svg = shape("svg", "ov-shapes");
      this.svg.setAttribute("role", "listbox");
      this.svg.setAttribute("tabindex", "0");
      this.group = shape("g");
      this.svg.append(this.group);
      this.over = shape("svg", "ov-over");
      this.over.setAttribute("aria-hidden", "true");
      this.copies = shape("g");
      this.sketch = shape("path", "ov-sketch");
      this.copies.append(this.sketch);
      this.grips = shape("g", "ov-grips");
      this.over.append(this.copies, this.grips);
      this.masks = overlay.make("div", "ov-masks");
      this.litMasks = overlay.make("div", "ov-masks");
      this.labels = overlay.make("div", "ov-tags", { "aria-hidden": "true" });
    }

    // --- regions -------------------------------------------------------------------------
    /** Draws what is new or changed, and takes away what is gone. */
    draw(regions) {
      const keys = new Set(regions.map((region) => region.key));
      let ordered = true;
      for (const [key, node] of this.nodes) if (!keys.has(key)) this._drop(key, node);
      regions.forEach((region, index) => {
        const node = this.nodes.get(region.key) ?? this._new(region.key);
        if (node.region !== region) { this._shape(node, region); ordered = false; }
        if (node.index !== index) node.group.setAttribute("aria-posinset", index + 1);
        node.index = index;
      });
      this.host.stage.classList.toggle("many", regions.length > MANY);
      if (!ordered) this._order(regions);
    }
    /** Small regions lie over large ones, points over all. */
    _order(regions) {
      const sizes = new Map(regions.map((region) => [region.key, region.kind === "point" ? -1 : area(region)]));
      const sorted = [...sizes.keys()].sort((one, other) => sizes.get(other) - sizes.get(one));
      this.group.append(...sorted.map((key) => this.nodes.get(key).group));
    }
    _new(key) {
      const node = { group: shape("g"), halo: shape("path", "halo"), line: shape("path", "line"), region: null };
      node.group.append(node.halo, node.line);
      node.group.id = `${this.host.uid}-${(this.count += 1)}`;
      node.group.setAttribute("role", "option");
      node.group.setAttribute("aria-selected", "false");
      node.group.dataset.key = key;
      this.nodes.set(key, node);
      return node;
    }
    _drop(key, node) {
      for (const each of [node.group, node.copy, node.canvas]) each?.remove();
      this.nodes.delete(key);
      this.lit.delete(key);
    }
    _shape(node, region) {
      const { group } = node, [where, laid] = path(region, this.host.size);
      for (const each of [node.halo, node.line]) {
        if (each.getAttribute("d") !== where) each.setAttribute("d", where);
        if (laid || each.hasAttribute("transform")) each.setAttribute("transform", laid);
      }
      const speckled = region.kind === "mask" && !laid;  // too fine for an outline
      const kinds = ["ov-region", region.kind, region.mark in GLYPHS && region.mark, speckled && "speckled"];
      group.setAttribute("class", kinds.filter(Boolean).join(" "));
      group.classList.toggle("lit", this.lit.has(region.key));
      group.classList.toggle("selected", this.selected === region.key);
      group.setAttribute("aria-label", overlay.spoken(region));
      group.style.setProperty("--c", region.colour);
      group.style.setProperty("--h", region.ink === "#FFFFFF" ? "rgb(255 255 255 / .9)" : "rgb(17 17 17 / .75)");
      if (speckled) this._mask(node, region);
      node.region = region;
      if (this.lit.has(region.key)) this._lit(region.key, true);
    }
    _mask(node, region) {
      const same = node.region?.mask?.runs === region.mask.runs && node.region.colour === region.colour;
      if (!same) {
        node.canvas?.remove();
        node.canvas = painted(region.mask, region.colour);
        if (node.canvas) (this.lit.has(region.key) ? this.litMasks : this.masks).append(node.canvas);
      }
      if (!node.canvas) return;
      const [x0, y0, x1, y1] = region.mask.box, [wide, high] = this.host.size;
      const at = { left: x0 * wide, top: y0 * high, width: (x1 - x0) * wide, height: (y1 - y0) * high };
      for (const [name, value] of Object.entries(at)) node.canvas.style[name] = `${value}px`;
    }
    /** One region as it is while it is dragged. */
    redraw(region) {
      const node = this.nodes.get(region.key);
      if (node && node.region !== region) this._shape(node, region);
    }

    // --- lit, selected -------------------------------------------------------------------
    /** Lights regions and dims the others; changes only what differs. */
    light(keys) {
      for (const key of this.lit) if (!keys.has(key)) this._lit(key, false);
      for (const key of keys) if (!this.lit.has(key)) this._lit(key, true);
      this.lit = keys;
      this.host.stage.classList.toggle("has-lit", keys.size > 0);
    }
    _lit(key, on) {
      const node = this.nodes.get(key);
      if (!node) return;
      node.copy?.remove();
      node.group.classList.toggle("lit", on);
      node.copy = on ? node.group.cloneNode(true) : null;
      if (node.canvas) (on ? this.litMasks : this.masks).append(node.canvas);
      if (!on) return;
      for (const name of ["id", "role", "aria-selected", "data-key"]) node.copy.removeAttribute(name);
      node.copy.classList.replace("ov-region", "ov-copy");
      this.copies.prepend(node.copy);
    }
    select(key, active) {
      const before = this.nodes.get(this.selected), now = this.nodes.get(key), at = this.nodes.get(key ?? active);
      before?.group.classList.remove("selected");
      before?.group.setAttribute("aria-selected", "false");
      before?.copy?.classList.remove("selected");
      now?.group.classList.add("selected");
      now?.group.setAttribute("aria-selected", "true");
      now?.copy?.classList.add("selected");
      this.selected = key;
      if (at) this.svg.setAttribute("aria-activedescendant", at.group.id);
      else this.svg.removeAttribute("aria-activedescendant");
    }

    // --- where the view puts it all ------------------------------------------------------
    place(view) {
      const { scale, x, y } = view;
      this.host.world.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
      const laid = `matrix(${scale} 0 0 ${scale} ${x} ${y})`;
      for (const each of [this.group, this.copies]) each.setAttribute("transform", laid);
      this.grip(view);
      this.label(view);
    }
    grip(view) {
      const region = this.host.editable && this.host.mode === "select" ? this.host.selectedRegion : null;
      const grips = region ? overlay.handles(region, view) : [];
      this.grips.style.setProperty("--c", region?.ink === "#FFFFFF" ? region.colour : "#111111");
      this.grips.replaceChildren(...grips.map(({ name, at: [x, y] }) => {
        const made = shape("rect"), round = region.kind === "polygon" ? 5 : 2;
        const at = { x: x - 5, y: y - 5, width: 10, height: 10, rx: round, "data-grip": name };
        for (const [key, value] of Object.entries(at)) made.setAttribute(key, value);
        return made;
      }));
    }
    drawSketch(box) {
      this.sketch.setAttribute("d", box ? path({ kind: "box", box }, this.host.size)[0] : "");
    }

    // --- labels --------------------------------------------------------------------------
    label(view) {
      const seen = [];
      for (const { region } of this.nodes.values()) {
        const at = view.rectangle(bounds(region));
        if (view.sees(at)) seen.push({ region, at, index: this.nodes.get(region.key).index });
      }
      const crowd = seen.length > CROWD, many = this.lit.size > CROWD;
      const wanted = seen.sort((one, other) => one.index - other.index).map((each) => {
        const looked = (this.lit.has(each.region.key) && !many) || each.region.key === this.selected;
        return { ...each, looked, text: this._text(each.region, looked), gap: each.region.kind === "point" ? 9 : 3 };
      }).filter((each) => each.text && (each.looked || !crowd));
      this._tags(wanted, overlay.placed(wanted, view.stage, seen.slice(0, NEIGHBOURS).map((each) => each.at)));
    }
    _text(region, looked) {
      const text = looked && region.text ? [region.label, region.text].filter(Boolean).join(": ") : region.label;
      const glyph = GLYPHS[region.mark];
      return glyph && text ? `${glyph} ${text}` : text;
    }
    _tags(wanted, places) {
      const left = new Map(this.tags);
      wanted.forEach(({ region, text }, index) => {
        const tag = left.get(region.key) ?? overlay.make("span", "ov-tag", { dir: "auto" });
        left.delete(region.key);
        this.tags.set(region.key, tag);
        if (tag.textContent !== text) tag.textContent = text;
        tag.style.transform = `translate(${places[index][0].toFixed(1)}px, ${places[index][1].toFixed(1)}px)`;
        tag.style.setProperty("--c", region.colour);
        tag.style.color = region.ink;
        tag.classList.toggle("lit", this.lit.has(region.key));
        if (!tag.isConnected) this.labels.append(tag);
      });
      for (const [key, tag] of left) { tag.remove(); this.tags.delete(key); }
    }
  }

  overlay.Painter = Painter;
})(window.vlmOverlay ??= {});
