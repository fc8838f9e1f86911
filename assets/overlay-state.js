// What an overlay holds: its regions, the steps to undo, and how news from the server are taken in
// without losing what a person has changed meanwhile. Regions are never changed, only replaced.
((overlay) => {
  const STEPS = 500;  // that can be undone
  const LOOKS = ["colour", "ink", "score", "mark", "maker"];  // what a server may change beside the content

  const signatures = new WeakMap();
  /** A region's content in one string; equal also after a round trip through the server. */
  const signature = (region) => {
    if (!signatures.has(region)) {
      const shape = JSON.stringify(region[region.kind], (_, value) =>
        typeof value === "number" ? Math.round(value * 1e5) / 1e5 : value);
      signatures.set(region, JSON.stringify([region.kind, region.label, region.text ?? "", shape]));
    }
    return signatures.get(region);
  };

  class State {
    constructor() { this.begin(); }

    /** Starts anew: another picture, or another answer about it. */
    begin() {
      Object.assign(this, { regions: [], past: [], future: [], base: new Map(), sent: new Map() });
    }
    find(key) { return this.regions.find((region) => region.key === key); }

    // --- changes by the person ---
    /** Makes `regions` the state; what it was can be undone. */
    change(regions) {
      this.past = [...this.past, this.regions].slice(-STEPS);
      this.future = [];
      this._set(regions);
    }
    undo() { return this._turn("past", "future"); }
    redo() { return this._turn("future", "past"); }

    _turn(from, to) {
      if (!this[from].length) return false;
      this[to].push(this.regions);
      this._set(this[from].pop());
      return true;
    }
    _set(regions) {
      const before = new Map(this.regions.map((region) => [region.key, region]));
      this.regions = regions;
      for (const region of regions)
        if (before.get(region.key) !== region) this._sentOf(region.key).push(signature(region));
    }
    _sentOf(key) {
      if (!this.sent.has(key)) this.sent.set(key, []);
      return this.sent.get(key);
    }

    // --- news from the server ---
    /** Takes in the server's regions; gives the new names of regions as a Map. */
    merge(news) {
      const old = this.base, mine = new Set(this.regions.map((region) => region.key));
      this.base = new Map(news.map((region) => [region.key, signature(region)]));
      const renamed = this._renamed(news, mine);
      const arrived = new Set(renamed.values());
      const taken = new Map(), added = [];
      for (const region of news) {
        const sign = signature(region), known = old.has(region.key) || mine.has(region.key);
        if (arrived.has(region.key)) continue;
        if (!known) added.push(region);
        else if (old.get(region.key) !== sign && !this._isEcho(region.key, sign)) taken.set(region.key, region);
      }
      // What the person took away is no news: it may be brought back by redoing.
      const gone = new Set([...old.keys()].filter((key) => mine.has(key) && !this.base.has(key) && !renamed.has(key)));
      const looks = new Map(news.map((region) => [region.key, region]));
      const patch = (regions) => [
        ...regions.filter((region) => !gone.has(region.key)).map((region) => {
          const key = renamed.get(region.key) ?? region.key;
          const named = key === region.key ? region : { ...region, key };
          return taken.get(key) ?? dressed(named, looks.get(key));
        }),
        ...added,
      ];
      this.regions = patch(this.regions);  // steps to undo know the news, too: undoing is about edits only
      this.past = this.past.map(patch);
      this.future = this.future.map(patch);
      return renamed;
    }

    /** A region that the person made comes back under the server's own key. */
    _renamed(news, mine) {
      const renamed = new Map();
      const missing = [...this.sent.keys()].filter((key) => mine.has(key) && !this.base.has(key));
      for (const region of news) {
        if (mine.has(region.key) || !missing.length) continue;
        const at = missing.findIndex((key) => this.sent.get(key).includes(signature(region)));
        if (at < 0) continue;
        const [key] = missing.splice(at, 1);
        renamed.set(key, region.key);
        this.sent.set(region.key, this.sent.get(key));
        this.sent.delete(key);
        this._isEcho(region.key, signature(region));
      }
      return renamed;
    }

    /** Whether some of the news are what the person made here. */
    echoed(news) {
      const made = new Set([...this.sent.values()].flat());
      return news.some((region) => made.has(signature(region)));
    }

    /** Whether the server repeats what it was told: then later edits are on their way, and stand. */
    _isEcho(key, sign) {
      const sent = this.sent.get(key) ?? [], at = sent.indexOf(sign);
      if (at < 0) this.sent.delete(key);
      else sent.splice(0, at + 1);
      return at >= 0;
    }
  }

  /** A region as it is, in the colours and with the score that came for it. */
  const dressed = (region, news) => {
    if (!news || news.label !== region.label || LOOKS.every((name) => news[name] === region[name])) return region;
    return { ...region, ...Object.fromEntries(LOOKS.map((name) => [name, news[name]])) };
  };

  // --- what arrives ------------------------------------------------------------------------
  const PALETTE = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442"];  // Okabe, Ito
  const DARK = "#111111", LIGHT = "#FFFFFF", COLOUR = /^#[0-9a-f]{6}$/i;

  /** Dark or white, whichever reads better on a colour (WCAG 2.2, as `vlm_app.grounding.palette`). */
  const inkOn = (colour) => {
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    const light = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    return (light + 0.05) ** 2 > 1.05 * (0.0056 + 0.05) ? DARK : LIGHT;
  };
  const coloured = (region) => {
    const colour = COLOUR.test(region.colour) ? region.colour : PALETTE[0];
    const ink = COLOUR.test(region.ink) ? region.ink.toUpperCase() : inkOn(colour);
    return { ...region, key: String(region.key), label: String(region.label ?? ""), colour, ink };
  };
  /** The regions that can be drawn, each key once, with colours that are colours. */
  const readable = (regions) =>
    [...new Map(regions.filter(overlay.shapes.sound).map((region) => [String(region.key), coloured(region)])).values()];

  Object.assign(overlay, { State, readable, inkOn, PALETTE });
})(window.vlmOverlay ??= {});
