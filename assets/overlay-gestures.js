// Mouse, touch, pen and keys on an overlay: walking through regions, drawing, moving, resizing.
((overlay) => {
  const { bounds, area, holds, nearestEdge, between, snapped } = overlay.shapes;
  const { moved, resized, cornerMoved, cornerAdded, cornerRemoved } = overlay.shapes;
  const STILL = 4;  // pixels of the page that a click may slip
  const REACH = { mouse: 5, pen: 7, touch: 14 };  // pixels beside a region that still mean it
  const ROOM = 30;  // pixels between opposite handles, so that each has a target of its own
  const CURSORS = { n: "ns", s: "ns", e: "ew", w: "ew", ne: "nesw", sw: "nesw", nw: "nwse", se: "nwse" };
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  /** The handles of a region on the stage: [{name, at}]; a polygon's are the numbers of its corners. */
  const handles = (region, view) => {
    if (region.kind === "polygon")
      return region.polygon.map(([x, y], name) => ({ name, at: view.toStage([x * view.size[0], y * view.size[1]]) }));
    if (region.kind !== "box") return [];
    let [x0, y0, x1, y1] = view.rectangle(region.box);
    const [wider, higher] = [Math.max(0, ROOM - x1 + x0) / 2, Math.max(0, ROOM - y1 + y0) / 2];
    [x0, y0, x1, y1] = [x0 - wider, y0 - higher, x1 + wider, y1 + higher];
    const [x, y] = [(x0 + x1) / 2, (y0 + y1) / 2];
    const corners = { nw: [x0, y0], ne: [x1, y0], se: [x1, y1], sw: [x0, y1] };
    const at = { ...corners, n: [x, y0], e: [x1, y], s: [x, y1], w: [x0, y] };
    return Object.entries(at).map(([name, place]) => ({ name, at: place }));
  };

  class Gestures {
    constructor(host) {
      Object.assign(this, { host, pointers: new Map(), drag: null, pinch: null, spacing: false });
      const on = (name, act, options) => host.stage.addEventListener(name, (event) => act.call(this, event), options);
      on("pointerdown", this._down);
      on("pointermove", this._move);
      on("pointerup", this._up);
      on("pointercancel", this._cancel);
      on("pointerleave", this._leave);
      on("dblclick", this._double);
      on("wheel", this._wheel, { passive: false });
      host.addEventListener("keydown", (event) => this._key(event));
      host.addEventListener("keyup", (event) => { if (event.key === " ") this._space(false); });
    }

    // --- what lies where -----------------------------------------------------------------
    _at(event) {
      const { left, top } = this.host.stage.getBoundingClientRect();
      return [event.clientX - left, event.clientY - top];
    }
    _place(event) { return this.host.view.toPicture(...this._at(event)); }

    /** The region under the pointer: a point before others, then the smallest. */
    hit(event) {
      const place = this._place(event), { view, size } = this.host;
      const reach = (REACH[event.pointerType] ?? REACH.mouse) / view.scale;
      let best = null, least = Infinity;
      for (const region of this.host.shown) {
        const its = region.kind === "point" ? -1 : area(region);
        if (its < least && holds(region, place, size, reach)) [best, least] = [region, its];
      }
      return best;
    }
    _handle(event) {
      const { selectedRegion, view, editable } = this.host;
      if (!editable || !selectedRegion) return null;
      const [x, y] = this._at(event), reach = event.pointerType === "touch" ? 18 : 9;
      const near = handles(selectedRegion, view)
        .map((each) => ({ ...each, far: Math.hypot(each.at[0] - x, each.at[1] - y) }))
        .filter((each) => each.far <= reach).sort((one, other) => one.far - other.far);
      return near[0] ?? null;
    }

    // --- pointers ------------------------------------------------------------------------
    _down(event) {
      if (event.button > 1 || !this.host.ready) return;
      if (event.target.closest("a, button, input")) return;
      this.host.shapesNode.focus({ preventScroll: true, focusVisible: false });
      this.host.stage.setPointerCapture(event.pointerId);
      if (event.button === 1) event.preventDefault();
      this.pointers.set(event.pointerId, this._at(event));
      if (this.pointers.size === 2) this._pinchStart();
      else if (this.pointers.size === 1) this.drag = this._begin(event);
    }
    /** What this press may become: {kind, …}; `slipped` once it is more than a click. */
    _begin(event) {
      const { host } = this, from = this._at(event), place = this._place(event);
      const drag = { from, place, last: from, slipped: false, kind: "pan", region: null };
      if (event.button === 1 || this.spacing) return { ...drag, free: true };
      if (host.mode === "box" || host.mode === "describe") return { ...drag, kind: "draw" };
      if (host.mode === "point") return { ...drag, kind: "point" };
      const handle = this._handle(event);
      if (handle && event.altKey && host.selectedRegion.kind === "polygon") {
        host.put(cornerRemoved(host.selectedRegion, handle.name));
        return null;
      }
      if (handle) return { ...drag, kind: "handle", name: handle.name, region: host.selectedRegion };
      const region = this.hit(event), mine = region && region.key === host.selected;
      const moves = host.editable && region && (mine || event.pointerType !== "touch");
      return { ...drag, kind: moves ? "move" : "pan", region };
    }
    _move(event) {
      if (!this.host.ready) return;
      if (this.pointers.has(event.pointerId)) this.pointers.set(event.pointerId, this._at(event));
      if (this.pinch) this._pinchMove();
      else if (this.drag) this._dragTo(event);
      else if (event.pointerType !== "touch") this._hover(event);
    }
    _hover(event) {
      const { host } = this, drawing = host.mode !== "select";
      const handle = drawing ? null : this._handle(event), region = drawing ? null : this.hit(event);
      host.hover(region?.key ?? null);
      host.cursor(this.spacing ? "grab" : drawing ? "crosshair" : handle ? this._cursorOf(handle)
        : region ? (host.editable ? "move" : "pointer") : host.view.fitted ? "" : "grab");
    }
    _cursorOf({ name }) { return name in CURSORS ? `${CURSORS[name]}-resize` : "grab"; }

    _dragTo(event) {
      const { host, drag } = this, at = this._at(event);
      if (!drag.slipped && Math.hypot(at[0] - drag.from[0], at[1] - drag.from[1]) < STILL) return;
      if (!drag.slipped && drag.kind === "move") host.select(drag.region.key);
      drag.slipped = true;
      const place = host.view.toPicture(...at), by = [place[0] - drag.place[0], place[1] - drag.place[1]];
      if (drag.kind === "pan") host.pan(at[0] - drag.last[0], at[1] - drag.last[1]);
      if (drag.kind === "draw") host.sketch(between(drag.place, place, host.size));
      if (drag.kind === "move") host.preview(moved(drag.region, by, host.size));
      if (drag.kind === "handle") {
        const change = drag.region.kind === "box" ? resized : cornerMoved;
        const [x, y] = this._grip(drag);  // the edge follows the pointer as it was taken
        host.preview(change(drag.region, drag.name, [x + by[0], y + by[1]], host.size));
      }
      if (drag.kind === "pan") host.cursor("grabbing");
      drag.last = at;
    }
    _grip({ region, name }) {
      const [wide, high] = this.host.size;
      if (region.kind === "polygon") return [region.polygon[name][0] * wide, region.polygon[name][1] * high];
      const [x0, y0, x1, y1] = region.box;
      return [(name.includes("w") ? x0 : x1) * wide, (name.includes("n") ? y0 : y1) * high];
    }

    _up(event) {
      const { host, drag } = this;
      this.pointers.delete(event.pointerId);
      if (this.pinch) { if (this.pointers.size < 2) this.pinch = null; return; }
      this.drag = null;
      if (!drag) return;
      if (!drag.slipped) this._click(event, drag);
      else if (drag.kind === "draw") this._drawn(between(drag.place, this._place(event), host.size), event);
      else if (drag.kind === "move" || drag.kind === "handle") host.settle();
      else if (drag.kind === "point") host.add("point", snapped(this._place(event), host.size));
      host.cursor("");
    }
    _click(event, drag) {
      const { host } = this;
      if (drag.kind === "point") host.add("point", snapped(drag.place, host.size));
      else if (drag.kind === "draw" || drag.kind === "handle" || drag.free) return;
      else if (drag.region) host.open(drag.region.key);
      else host.select(null);
    }
    _drawn(box, event) {
      const { host } = this;
      host.sketch(host.mode === "describe" ? box : null);
      if (!box) return;
      if (host.mode === "describe") host.asked(box);
      else host.add("box", box, event.shiftKey);
    }
    _cancel(event) {
      this.pointers.delete(event.pointerId);
      if (this.pointers.size < 2) this.pinch = null;
      this.stop();
    }
    _leave(event) {
      if (!this.drag && event.pointerType !== "touch") this.host.hover(null);
    }
    /** Ends what is going on without keeping it. */
    stop() {
      if (this.drag?.kind === "draw") this.host.sketch(null);
      this.host.preview(null);
      this.drag = null;
    }

    _double(event) {
      const { host } = this, region = host.selectedRegion, place = this._place(event);
      if (host.mode !== "select") return;
      if (host.editable && region?.kind === "polygon" && !this._handle(event)) {
        const edge = nearestEdge(region.polygon, place, host.size);
        if (edge.distance * host.view.scale <= 8) return host.put(cornerAdded(region, edge.index, place, host.size));
      }
      if (!this.hit(event) && !event.target.closest("button")) host.zoom(2, ...this._at(event));
    }

    // --- zooming -------------------------------------------------------------------------
    _pinchStart() {
      const { scale, x, y } = this.host.view;
      this.stop();
      this.pinch = { ...this._fingers(), view: { scale, x, y } };
    }
    _fingers() {
      const [[ax, ay], [bx, by]] = [...this.pointers.values()];
      return { middle: [(ax + bx) / 2, (ay + by) / 2], apart: Math.max(Math.hypot(ax - bx, ay - by), 1) };
    }
    _pinchMove() {
      if (this.pointers.size < 2) return;
      const { middle, apart } = this._fingers(), { view } = this.host;
      view.pinch(this.pinch.view, apart / this.pinch.apart, this.pinch.middle, middle);
      this.host.pan(0, 0);
    }
    _wheel(event) {
      if (!(event.ctrlKey || event.metaKey) || !this.host.ready) return;  // the page scrolls
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      const by = Math.max(-60, Math.min(60, event.deltaY * lines));
      this.host.zoom(Math.exp(-by * 0.006), ...this._at(event));
    }

    // --- keys ----------------------------------------------------------------------------
    _space(down) {
      this.spacing = down;
      this.host.cursor(down ? "grab" : "");
    }
    _key(event) {
      const { host } = this;
      if (event.target.matches("input:not([type=checkbox]), textarea") || !host.ready) return;
      const done = event.ctrlKey || event.metaKey ? this._command(event) : this._plain(event);
      if (!done) return;
      event.preventDefault();
      event.stopPropagation();
    }
    _command(event) {
      const { host } = this, key = event.key.toLowerCase();
      if (event.key in ARROWS) return this._pan(event);
      if (!host.editable || !["z", "y"].includes(key)) return false;
      if (key === "y" || event.shiftKey) host.redo();
      else host.undo();
      return true;
    }
    _plain(event) {
      const { host } = this, key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      if (key === "Escape") return this._escape();
      if (key === "+" || key === "=") return host.zoom(1.25), true;
      if (key === "-") return host.zoom(0.8), true;
      if (key === "0") return host.fit(), true;
      if (event.target !== host.shapesNode) return false;  // the rest is for the picture, not its buttons
      if (key === " ") return this._space(true), true;
      if (key in ARROWS) return this._arrow(event);
      if (key === "Home" || key === "End") return host.walk(key === "Home" ? -Infinity : Infinity), true;
      if (key === "PageDown" || key === "PageUp") return host.walk(key === "PageDown" ? 1 : -1), true;
      if (key === "Enter") return this._enter();
      return host.editable && this._edit(key);
    }
    _edit(key) {
      const { host } = this, tool = { v: "select", b: "box", p: "point" }[key];
      if (tool) return host.tool(tool), true;
      const at = host.selected ?? host.active;
      if (at === null) return false;
      if (key === "Delete" || key === "Backspace") return host.remove(at), true;
      if (key === "e") return host.open(at, "edit"), true;
      return false;
    }
    _enter() {
      const { host } = this, at = host.selected ?? host.active;
      if (host.mode !== "select") this._drawByKey();
      else if (at !== null) host.open(at, "focus");
      return true;
    }
    /** Without a mouse a region begins in the middle of what is seen; arrows and Alt+arrows bring it home. */
    _drawByKey() {
      const { host } = this, [width, height] = host.view.stage;
      const [one, middle, other] = [0.4, 0.5, 0.6].map((part) => host.view.toPicture(width * part, height * part));
      const box = between(one, other, host.size);
      if (host.mode === "point") host.add("point", snapped(middle, host.size));
      else if (box && host.mode === "describe") { host.sketch(box); host.asked(box); }
      else if (box) host.add("box", box);
    }
    _escape() {
      const { host } = this;
      if (this.drag) this.stop();
      else if (host.mode !== "select" || host.sketched) host.tool("select");
      else if (host.card.open) host.close();
      else if (host.selected !== null) host.select(null);
      else if (host.contains(document.activeElement)) document.activeElement.blur();
      return true;
    }
    _arrow(event) {
      const { host } = this, [dx, dy] = ARROWS[event.key], step = event.shiftKey ? 10 : 1;
      if (this.spacing || !host.shown.length) return this._pan(event);
      const region = host.editable ? host.selectedRegion : null;
      if (!region) return host.walk(dx + dy), true;
      const [wide, high] = host.size, [, , x1, y1] = bounds(region);
      const corner = [x1 * wide + dx * step, y1 * high + dy * step];
      if (event.altKey && region.kind === "box") host.put(resized(region, "se", corner, host.size));
      else host.put(moved(region, [dx * step, dy * step], host.size));
      return true;
    }
    _pan(event) {
      const [dx, dy] = ARROWS[event.key];
      this.host.pan(-60 * dx, -60 * dy);
      return true;
    }
  }

  overlay.Gestures = Gestures;
  overlay.handles = handles;
})(window.vlmOverlay ??= {});
