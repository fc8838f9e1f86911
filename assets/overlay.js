// <vlm-overlay>: a picture with regions that can be looked at, trusted and changed.
//
// Its property `data` (or the attribute data-json) is
//   {answer?, picture: {src, width, height, name}, editable, hidden: [labels],
//    regions: [{key, label, text?, kind, box | point | polygon | mask, colour, ink, score?, maker, edited, mark?}]}
// with shapes as `vlm_app.grounding.export` writes them and `mark` one of agreed, only, differs.
// Data may be set again at any time: selection, zoom and edits stay. `answer` is the id of what is
// shown: another one without a region that is known begins anew, and going back brings its edits back,
// also in a new element. The attribute `controls` shows zoom, tools and legend under the picture.
//
// Events (they bubble): overlay-change {regions} after each finished edit (keys of new regions begin
// with 'new-'), overlay-select {key}, overlay-hover {key}, overlay-drawn {box} in the tool 'describe',
// overlay-tool {tool}, overlay-hidden {hidden}. Methods: select, open, light, tool, undo, redo, toggle,
// only, fit, zoom. Elements with data-r="key key" in the same [data-overlay-scope] light up with their regions.
((overlay) => {
  const { View, State, Painter, Gestures, Card, Legend, Bar, make, readable } = overlay;
  const { bounds } = overlay.shapes;
  const KEPT = 20;  // answers whose zoom and edits are remembered when their element is made anew
  const kept = new Map();
  let count = 0;

  class Overlay extends overlay.editing(HTMLElement) {
    static observedAttributes = ["data-json"];

    constructor() {
      super();
      Object.assign(this, { uid: `ov${(count += 1)}`, size: [1, 1], mode: "select", editable: false, identity: null });
      Object.assign(this, { state: new State(), view: new View(), hiddenLabels: new Set(), outer: new Set() });
      Object.assign(this, { selected: null, active: null, hovered: null });
      Object.assign(this, { previewed: null, sketched: null, lastLabel: null });
    }
    connectedCallback() {
      if (!this.stage) this._build();
      this.watcher = new ResizeObserver(() => this._resized());
      this.watcher.observe(this.stage);
      const early = Object.hasOwn(this, "data") ? this.data : null;  // set before the element was known
      if (early) { delete this.data; this.data = early; }
      else if (this.waiting) this.data = this.waiting;
    }
    disconnectedCallback() {
      this.watcher.disconnect();
      this._keep();
    }
    attributeChangedCallback(name, before, text) {
      if (text && text !== before) this.data = JSON.parse(text);
    }

    _build() {
      this.painter = new Painter(this);
      this.shapesNode = this.painter.svg;
      this.image = make("img", "", { draggable: false });
      this.world = make("div", "ov-world");
      this.world.append(this.image, this.painter.masks, this.painter.litMasks);
      this.stage = make("div", "ov-stage");
      this.stage.append(this.world, this.shapesNode, this.painter.over, this.painter.labels);
      this.legend = new Legend(this);
      this.card = new Card(this, this.legend.list.id);
      this.bar = new Bar();
      this.told = make("p", "ov-told", { role: "status" });
      this.replaceChildren(this.stage, this.card.node, this.bar.node, this.legend.node, this.legend.list, this.told);
      this.gestures = new Gestures(this);
      this._listen();
    }
    _listen() {
      this.image.addEventListener("load", () => this._loaded());
      this.image.addEventListener("error", () => {
        this.told.textContent = "The picture could not be loaded: reload the page.";
      });
      this.addEventListener("click", (event) => {
        const act = event.target.closest("[data-ov]")?.dataset.ov;
        if (act) this._act(act);
        const row = event.target.closest(".ov-kind");
        if (row && event.altKey) { event.preventDefault(); this.only(row.querySelector("input").dataset.label); }
      });
      this.addEventListener("dblclick", (event) => {
        const row = event.target.closest(".ov-kind");
        if (row) this.only(row.querySelector("input").dataset.label);
      });
      this.legend.node.addEventListener("change", (event) => this.toggle(event.target.dataset.label));
      this.shapesNode.addEventListener("focus", () => this._lights());
      this.shapesNode.addEventListener("blur", () => {
        this.gestures.spacing = false;
        this.active = null;
        this._lights();
      });
      const fingers = (event) => { if (event.touches.length > 1) event.preventDefault(); };  // no zoom of the page
      for (const name of ["touchstart", "touchmove"]) this.stage.addEventListener(name, fingers, { passive: false });
    }
    _act(act) {
      const acts = {
        in: () => this.zoom(1.5), out: () => this.zoom(1 / 1.5), fit: () => this.fit(),
        actual: () => this.zoom(1 / this.view.scale), all: () => this._hide(new Set()),
        close: () => this.close(), delete: () => this.remove(this.card.key),
        undo: () => this.undo(), redo: () => this.redo(),
      };
      if (act.startsWith("tool-")) this.tool(act.slice(5));
      else acts[act]();
    }

    // --- data ----------------------------------------------------------------------------
    get data() {
      return { ...this.given, regions: this.state.regions, hidden: [...this.hiddenLabels], editable: this.editable };
    }
    set data(data) {
      if (!this.stage) { this.waiting = data; return; }
      this.waiting = null;
      const news = readable(data.regions ?? []);
      this._identify(data, news);
      this.given = data;
      this.editable = Boolean(data.editable);
      this._picture(data.picture);
      const hidden = JSON.stringify(data.hidden ?? []);
      if (hidden !== this.hiddenGiven) this.hiddenLabels = new Set(data.hidden);
      this.hiddenGiven = hidden;
      this._rename(this.state.merge(news));
      this._changed();
    }
    /** Another answer begins anew; what was done to one that was shown before comes back. */
    _identify(data, news) {
      const identity = JSON.stringify([data.answer ?? "", data.picture.src]), { base } = this.state;
      const known = news.some((region) => base.has(region.key) || this.state.find(region.key));
      const moved = this.given && this.given.picture.src !== data.picture.src;
      const other = identity !== this.identity || (base.size > 0 && news.length > 0);
      const begun = !this.given?.answer && this.state.echoed(news);  // by the person, who may still be at it
      if (this.identity !== null && !moved && (known || begun || !other)) {
        this.identity = identity;
        return;
      }
      this._keep();
      const before = kept.get(identity);
      this.identity = identity;
      this.select(null);
      this.sketch(null);
      this.gestures.stop();
      this.state = before?.state ?? new State();
      if (!before) return;
      const { hiddenLabels, hiddenGiven, selected } = before;
      Object.assign(this, { hiddenLabels, hiddenGiven, selected });
      Object.assign(this.view, before.view);
    }
    _keep() {
      if (!this.given?.answer) return;
      const { state, hiddenLabels, hiddenGiven, selected, view: { scale, x, y, fitted } } = this;
      kept.delete(this.identity);
      kept.set(this.identity, { state, hiddenLabels, hiddenGiven, selected, view: { scale, x, y, fitted } });
      if (kept.size > KEPT) kept.delete(kept.keys().next().value);
    }
    _picture({ src, width, height, name }) {
      this.name = name ?? "";
      if (this.image.getAttribute("src") === src) return;
      if (this.image.getAttribute("src") !== null && !kept.has(this.identity)) this.view.fitted = true;  // all of it
      this.told.textContent = "";
      this.image.src = src;
      if (width && height) this._sized([width, height]);
    }
    _loaded() {
      const { width, height } = this.given.picture;
      if (!width || !height) this._sized([this.image.naturalWidth, this.image.naturalHeight]);
      this.painter.nodes.forEach((node) => { node.region = null; });
      this._changed();
    }
    _sized(size) {
      this.size = size;
      Object.assign(this.image.style, { width: `${size[0]}px`, height: `${size[1]}px` });
      this.stage.style.aspectRatio = `${size[0]} / ${size[1]}`;
      this._resized();
    }
    _resized() {
      const { clientWidth, clientHeight } = this.stage;
      if (!clientWidth || !clientHeight) return;  // in a tab that is not shown
      this.view.resize(this.size, [clientWidth, clientHeight]);
      this._place();
    }
    get ready() { return this.size[0] > 1 || this.size[1] > 1 || this.image.complete; }
    get shown() { return this.state.regions.filter((region) => !this.hiddenLabels.has(region.label)); }
    get selectedRegion() {
      return this.previewed?.key === this.selected ? this.previewed : this.state.find(this.selected) ?? null;
    }
    _rename(renamed) {
      for (const name of ["selected", "active", "hovered"]) this[name] = renamed.get(this[name]) ?? this[name];
      const key = renamed.get(this.previewed?.key);
      if (key) this.previewed = { ...this.previewed, key };
      if (this.gestures.drag?.region && renamed.has(this.gestures.drag.region.key))
        this.gestures.drag.region = { ...this.gestures.drag.region, key: renamed.get(this.gestures.drag.region.key) };
      this.card.key = renamed.get(this.card.key) ?? this.card.key;
    }

    // --- drawing -------------------------------------------------------------------------
    /** Regions, labels or what is hidden changed: everything follows. */
    _changed() {
      const { shown } = this, keys = new Set(shown.map((region) => region.key));
      const held = this.previewed && keys.has(this.previewed.key) ? this.previewed : null;
      this.painter.draw(held ? shown.map((region) => (region.key === held.key ? held : region)) : shown);
      if (!keys.has(this.selected)) this._selects(null);
      if (!keys.has(this.active)) this.active = null;
      if (!keys.has(this.hovered)) this.hovered = null;
      this.painter.select(this.selected, this.active);
      this.legend.draw(this.state.regions, this.hiddenLabels);
      const told = `${this.name ? `${this.name}, ` : ""}${shown.length} region${shown.length === 1 ? "" : "s"}`;
      this.shapesNode.setAttribute("aria-label", told);
      this.image.alt = told;
      if (this.card.open) this.card.show(this.selectedRegion);
      this._lights();
      this._place();
    }
    _place() {
      this.bar.draw(this);
      this.bar.drawScale(this.view.scale);
      this.painter.place(this.view);
      const grabs = !this.view.fitted || this.mode !== "select" || (this.editable && this.selected !== null);
      this.stage.classList.toggle("grabs", grabs);
      if (this.card.open) this.card.place(this.view.rectangle(bounds(this.selectedRegion)), this.view.stage);
    }
    _later() {  // at most once a frame
      this.frame ??= requestAnimationFrame(() => { this.frame = null; this._place(); });
    }
    _lights() {
      const known = [...this.outer].filter((key) => this.painter.nodes.has(key));
      const seen = this.shapesNode.matches(":focus-visible") ? this.active : null;
      const own = this.hovered ?? seen;
      const keys = new Set(known.length ? known : own === null ? [] : [own]);
      this.painter.light(keys);
      this.painter.label(this.view);
      const scope = this.closest("[data-overlay-scope]");
      if (!scope) return;
      const now = new Set([...keys].flatMap((key) => [...scope.querySelectorAll(`[data-r~="${CSS.escape(key)}"]`)]));
      for (const phrase of this.phrases ?? []) if (!now.has(phrase)) phrase.classList.remove("lit");
      for (const phrase of now) phrase.classList.add("lit");
      this.phrases = now;
    }
    cursor(name) { this.stage.style.cursor = name; }
    _fire(name, detail) { this.dispatchEvent(new CustomEvent(`overlay-${name}`, { bubbles: true, detail })); }

    // --- looking -------------------------------------------------------------------------
    hover(key) {
      if (key === this.hovered) return;
      this.hovered = key;
      this._lights();
      this._fire("hover", { key });
    }
    /** Lights regions from outside; an empty list or null ends it. */
    light(keys) {
      this.outer = new Set(keys ?? []);
      this._lights();
    }
    select(key) {
      const next = key !== null && this.state.find(key) ? key : null;
      if (next !== this.selected) this.close();
      this._selects(next);
      if (!this.stage) return;
      this.painter.select(this.selected, this.active);
      if (next !== null) this._reveal(next);
      this._place();
    }
    _selects(key) {
      if (key === this.selected) return;
      this.selected = key;
      if (key === null) this.card.hide();
      this._fire("select", { key });
    }
    /** Selects a region and shows its card; `how` is 'focus' or 'edit' to go on with the keyboard. */
    open(key, how) {
      this.select(key);
      if (this.selected === null) return;
      this.card.show(this.selectedRegion);
      this._place();
      const text = typeof this.selectedRegion.text === "string" && !this.selectedRegion.label;
      if (how === "edit" && this.editable) this.card.edit(text ? "text" : "label");
      else if (how === "focus") this.card.node.querySelector("button").focus();
    }
    close() {
      const inside = this.card?.node.contains(document.activeElement);
      this.card?.hide();
      if (inside) this.shapesNode.focus();
    }
    /** Goes to the next or an earlier region, around the end. */
    walk(by) {
      const { shown } = this, at = shown.findIndex((region) => region.key === (this.selected ?? this.active));
      if (!shown.length) return;
      const last = shown.length - 1, start = at < 0 ? (by > 0 ? -1 : 0) : at;
      const next = Number.isFinite(by) ? (start + by + shown.length) % shown.length : by > 0 ? last : 0;
      this.active = shown[next].key;
      this.hover(null);
      if (this.card.open) this.open(this.active);
      else if (this.selected !== null) this.select(this.active);
      this._reveal(this.active);
      this.painter.select(this.selected, this.active);
      this._lights();
    }
    _reveal(key) {
      const [x0, y0, x1, y1] = this.view.rectangle(bounds(this.state.find(key))), [width, height] = this.view.stage;
      const [x, y] = [(x0 + x1) / 2, (y0 + y1) / 2];
      if (this.view.fitted || (x >= 0 && y >= 0 && x <= width && y <= height)) return;
      this.view.show(this.view.toPicture(x, y));
      this._later();
    }
    zoom(factor, x, y) {
      this.view.zoom(factor, x, y);
      this._later();
    }
    pan(dx, dy) {
      this.view.pan(dx, dy);
      this._later();
    }
    fit() {
      this.view.fit();
      this._later();
    }
    toggle(label) {
      const hidden = new Set(this.hiddenLabels);
      if (!hidden.delete(label)) hidden.add(label);
      this._hide(hidden);
    }
    only(label) {
      this._hide(new Set(this.state.regions.map((region) => region.label).filter((each) => each !== label)));
    }
    _hide(hidden) {
      this.hiddenLabels = hidden;
      this._changed();
      this._fire("hidden", { hidden: [...hidden] });
    }
  }

  // --- phrases on the page -----------------------------------------------------------------
  const beside = (event) => {
    const phrase = event.target instanceof Element ? event.target.closest("[data-r]") : null;
    const scope = phrase?.closest("[data-overlay-scope]");
    return scope ? { keys: phrase.dataset.r.split(" "), overlays: scope.querySelectorAll("vlm-overlay") } : null;
  };
  for (const [name, on] of [["pointerover", true], ["pointerout", false], ["focusin", true], ["focusout", false]])
    document.addEventListener(name, (event) => {
      const its = beside(event);
      its?.overlays.forEach((each) => each.light(on ? its.keys : null));
    });
  document.addEventListener("click", (event) => {
    const its = beside(event);
    its?.overlays.forEach((each) => {
      const key = its.keys.find((known) => each.state.find(known));
      if (key !== undefined) each.open(key);
    });
  });

  customElements.define("vlm-overlay", Overlay);
})(window.vlmOverlay ??= {});
