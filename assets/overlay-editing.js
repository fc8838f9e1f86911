// What a person does to the regions of an overlay: tools, drawing, moving, naming, deleting, undoing.
((overlay) => {
  const TOOLS = ["select", "box", "point", "describe"];
  let added = 0;

  /** An overlay's element with the methods that change regions. */
  overlay.editing = (Base) => class extends Base {
    /** Takes a tool; without editing there are only 'select' and 'describe'. */
    tool(wanted) {
      const name = this.editable || wanted === "describe" ? wanted : "select";
      if (!TOOLS.includes(name)) return;
      this.sketch(null);
      if (name !== wanted) this._fire("tool", { tool: name });
      if (name === this.mode) return;
      this.mode = name;
      this.hover(null);
      this.cursor(name === "select" ? "" : "crosshair");
      if (name !== "select") this.select(null);
      this._place();
      this._fire("tool", { tool: name });
    }
    sketch(box) {
      this.sketched = box;
      this.painter.drawSketch(box);
    }
    asked(box) {
      const drawn = this.sketched;
      this.tool("select");
      this.sketch(drawn);  // it stays until something else is done
      this._fire("drawn", { box });
    }
    /** A region as it is while it is dragged; null puts it back. */
    preview(region) {
      const before = this.previewed;
      this.previewed = region;
      if (region) this.painter.redraw(region);
      else if (before) this._changed();
      this.card.node.classList.toggle("aside", region !== null);
      this._later();
    }
    settle() {
      const region = this.previewed;
      this.previewed = null;
      this.card.node.classList.remove("aside");
      if (region) this.put(region);
    }
    /** Keeps a changed region. */
    put(region) {
      const before = this.state.find(region.key);
      if (before && JSON.stringify(before) === JSON.stringify(region)) { this._changed(); return; }
      const next = before && !overlay.isPerson(before) ? { ...region, edited: true } : region;
      const regions = this.state.regions.map((each) => (each.key === region.key ? next : each));
      this._commit(before ? regions : [...regions, next]);
    }
    /** Adds a box or a point; `stay` keeps the tool. */
    add(kind, place, stay = kind === "point") {
      if (!this.editable) return;
      const like = this.state.regions.find((region) => region.label === this.lastLabel) ?? this.state.regions[0];
      const label = this.lastLabel ?? like?.label ?? "", key = `new-${Date.now().toString(36)}-${(added += 1)}`;
      const region = { key, label, kind, [kind]: place, ...this._coloursOf(label), maker: "you", edited: false };
      if (kind === "box" && typeof like?.text === "string") region.text = "";
      this.hiddenLabels = new Set([...this.hiddenLabels].filter((each) => each !== label));
      this._commit([...this.state.regions, region]);
      if (!stay) this.tool("select");
      if (!stay) this.open(key, "edit");
    }
    remove(key) {
      if (!this.editable || !this.state.find(key)) return;
      if (key === this.selected) this.close();
      this._commit(this.state.regions.filter((region) => region.key !== key));
    }
    /** Corrects the label or the text of a region. */
    rewrite(key, changes) {
      const region = this.state.find(key);
      if (!region || !this.editable) return;
      const text = { ...changes };
      if ("label" in text) Object.assign(text, { label: text.label.trim() }, this._coloursOf(text.label.trim()));
      if ((text.label ?? region.label) === region.label && (text.text ?? region.text) === region.text) return;
      if ("label" in text) this.lastLabel = text.label;
      this.put({ ...region, ...text });
    }
    undo() { if (this.editable && this.state.undo()) this._moved(); }
    redo() { if (this.editable && this.state.redo()) this._moved(); }
    _commit(regions) {
      this.state.change(regions);
      this._moved();
    }
    _moved() {
      this.previewed = null;
      this._changed();
      this._fire("change", { regions: this.state.regions.map((region) => ({ ...region })) });
    }
    /** The colour of a label that is there, or the first that no label has. */
    _coloursOf(label) {
      const same = this.state.regions.find((region) => region.label === label);
      if (same) return { colour: same.colour, ink: same.ink };
      const used = new Set(this.state.regions.map((region) => region.colour.toUpperCase()));
      const { PALETTE } = overlay;
      const colour = PALETTE.find((each) => !used.has(each)) ?? PALETTE[used.size % PALETTE.length];
      return { colour, ink: overlay.inkOn(colour) };
    }
  };
})(window.vlmOverlay ??= {});
