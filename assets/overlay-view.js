// How a picture lies on its stage (zoom, pan, fit), and where labels find room.
((overlay) => {
  const { clamp } = overlay.shapes;
  const MARGIN = 12;  // pixels around a fitted picture: room for handles at its edge
  const CLOSEST = 40;  // pixels of the page for one of the picture
  const SLACK = 64;  // pixels that a large picture can be pulled away from the stage's edge

  class View {
    constructor() { Object.assign(this, { size: [1, 1], stage: [1, 1], scale: 1, x: 0, y: 0, fitted: true }); }

    /** The scale at which the whole picture is seen. */
    get whole() {
      const [wide, high] = this.size, [width, height] = this.stage;
      return Math.max(Math.min((width - 2 * MARGIN) / wide, (height - 2 * MARGIN) / high, 8), 1e-4);
    }
    fit() {
      this.scale = this.whole;
      this.fitted = true;
      this._settle();
    }
    /** The picture or the stage has another size. */
    resize(size, stage) {
      const middle = this.toPicture(this.stage[0] / 2, this.stage[1] / 2);
      Object.assign(this, { size, stage });
      if (this.fitted) this.fit();
      else this.show(middle);
    }
    /** Zooms by a factor; the place of the picture under (x, y) of the stage stays there. */
    zoom(factor, x = this.stage[0] / 2, y = this.stage[1] / 2) {
      const scale = clamp(this.scale * factor, Math.min(this.whole, 1), Math.max(CLOSEST, this.whole));
      this.x = x - (x - this.x) * scale / this.scale;
      this.y = y - (y - this.y) * scale / this.scale;
      this.scale = scale;
      this.fitted = Math.abs(scale / this.whole - 1) < 1e-3;
      this._settle();
    }
    /** As it was at `start`, zoomed by a factor, with what lay at `from` of the stage now at `to`. */
    pinch(start, factor, from, to) {
      Object.assign(this, start);
      this.scale = clamp(start.scale * factor, Math.min(this.whole, 1), Math.max(CLOSEST, this.whole));
      this.x = to[0] - (from[0] - start.x) * this.scale / start.scale;
      this.y = to[1] - (from[1] - start.y) * this.scale / start.scale;
      this.fitted = false;
      this._settle();
    }
    pan(dx, dy) {
      this.x += dx;
      this.y += dy;
      this.fitted = false;
      this._settle();
    }
    /** Brings a place of the picture into the middle. */
    show([x, y]) {
      this.x = this.stage[0] / 2 - x * this.scale;
      this.y = this.stage[1] / 2 - y * this.scale;
      this._settle();
    }
    toPicture(x, y) { return [(x - this.x) / this.scale, (y - this.y) / this.scale]; }
    toStage([x, y]) { return [x * this.scale + this.x, y * this.scale + this.y]; }
    /** A rectangle of fractions as [x0, y0, x1, y1] on the stage. */
    rectangle([x0, y0, x1, y1]) {
      const [wide, high] = this.size;
      return [...this.toStage([x0 * wide, y0 * high]), ...this.toStage([x1 * wide, y1 * high])];
    }
    sees([x0, y0, x1, y1]) { return x1 >= 0 && y1 >= 0 && x0 <= this.stage[0] && y0 <= this.stage[1]; }

    _settle() {
      this.x = settled(this.x, this.size[0] * this.scale, this.stage[0]);
      this.y = settled(this.y, this.size[1] * this.scale, this.stage[1]);
    }
  }
  /** A small picture lies in the middle; a large one cannot be lost. */
  const settled = (at, length, room) => length + 2 * MARGIN <= room + 1
    ? (room - length) / 2 : clamp(at, room - length - SLACK, SLACK);

  // --- labels ----------------------------------------------------------------------------
  const HEIGHT = 22, WIDEST = 220;
  const pen = document.createElement("canvas").getContext("2d");
  const widths = new Map();
  const widthOf = (text) => {
    if (widths.size > 5000) widths.clear();
    if (!widths.has(text)) {
      pen.font = "550 12px system-ui, sans-serif";
      widths.set(text, Math.min(pen.measureText(text).width + 16, WIDEST));
    }
    return widths.get(text);
  };
  const touch = (one, other) => one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3];

  /** Where labels go: for each {text, at: rectangle} its rectangle, beside the region where there is room. */
  const placed = (wanted, stage, regions) => {
    const taken = [];
    for (const each of wanted) {
      const place = roomFor(each, stage, taken, regions.filter((other) => other !== each.at));
      taken.push(place);
    }
    return taken;
  };
  const roomFor = ({ text, at, gap = 3 }, [width, height], taken, others) => {
    const wide = widthOf(text);
    const [x0, y0, x1, y1] = [Math.max(at[0], 0), Math.max(at[1], 0), Math.min(at[2], width), Math.min(at[3], height)];
    const left = x0 + wide <= width ? x0 : Math.max(x1 - wide, 0);
    const tops = [[left, y0 - HEIGHT - gap], [left, y1 + gap], [x1 + gap, y0], [x0 - wide - gap, y0]];
    const places = tops.map(([x, y]) => [x, y, x + wide, y + HEIGHT])
      .filter(([x, y, right, bottom]) => x >= 0 && y >= 0 && right <= width && bottom <= height);
    for (const avoided of [[...taken, ...others], taken])
      for (const place of places) if (!avoided.some((other) => touch(place, other))) return place;
    const y = clamp(y0 + 2, 0, height - HEIGHT);  // no room beside it
    return [left, y, left + wide, y + HEIGHT];
  };

  overlay.View = View;
  overlay.placed = placed;
})(window.vlmOverlay ??= {});
