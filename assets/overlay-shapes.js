// Shapes of regions on a picture: where they lie, what they look like, moved and resized.
// A shape is in fractions (0..1) of the picture, as `vlm_app.grounding.export` writes it; a place
// is [x, y] in the picture's pixels and `size` its [width, height].
((overlay) => {
  const LEAST = 2;  // pixels of the picture that a box keeps on each side
  const LARGEST_MASK = 50_000_000;  // pixels; a few run lengths can claim any size
  const DRAWN_MASK = 1_000_000;  // pixels of a mask that are drawn; larger ones are thinned out
  const LONGEST_EDGE = 10_000;  // rows in a mask's outline; a finer one shows its colour and a box

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const numbers = (list, count) =>
    Array.isArray(list) && (!count || list.length === count) && list.every(Number.isFinite);

  /** Whether a region can be drawn. */
  const sound = (region) => {
    if (!region || region.key === undefined) return false;
    if (region.kind === "point") return numbers(region.point, 2);
    if (region.kind === "polygon")
      return Array.isArray(region.polygon) && region.polygon.length > 2 && region.polygon.every((at) => numbers(at, 2));
    if (region.kind === "box") return numbers(region.box, 4);
    const { box, size, runs } = (region.kind === "mask" && region.mask) || {};
    return numbers(box, 4) && numbers(size, 2) && numbers(runs);
  };

  /** [x0, y0, x1, y1] around a region, in fractions. */
  const bounds = (region) => {
    if (region.kind === "point") return [...region.point, ...region.point];
    if (region.kind === "mask") return region.mask.box;
    if (region.kind === "box") return region.box;
    const xs = region.polygon.map((at) => at[0]), ys = region.polygon.map((at) => at[1]);
    return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  };
  const area = (region) => {
    const [x0, y0, x1, y1] = bounds(region);
    return (x1 - x0) * (y1 - y0);
  };

  // --- masks -----------------------------------------------------------------------------
  const grids = new WeakMap();  // by the list of runs, which stays the same when a mask is moved
  /** A mask's bits as {width, height, bits}, thinned out where there are very many, or null. */
  const grid = (mask) => {
    if (!grids.has(mask.runs)) grids.set(mask.runs, decoded(mask));
    return grids.get(mask.runs);
  };
  const decoded = ({ size: [width, height], runs }) => {
    const total = runs.reduce((sum, run) => sum + run, 0);
    if (!(width > 0 && height > 0) || width * height > LARGEST_MASK || total !== width * height) return null;
    const full = new Uint8Array(total);
    let at = 0;
    runs.forEach((run, index) => {
      if (index % 2) full.fill(1, at, at + run);
      at += run;
    });
    const step = Math.ceil(Math.sqrt(total / DRAWN_MASK));
    if (step === 1) return { width, height, bits: full };
    const w = Math.ceil(width / step), h = Math.ceil(height / step), bits = new Uint8Array(w * h);
    for (let y = 0; y < h; y += 1)
      for (let x = 0; x < w; x += 1) bits[y * w + x] = full[y * step * width + x * step];
    return { width: w, height: h, bits };
  };

  /** A canvas with the mask's bits in a colour (#rrggbb); null where there is nothing to draw. */
  const painted = (mask, colour) => {
    const its = grid(mask);
    if (!its) return null;
    const canvas = Object.assign(document.createElement("canvas"), { width: its.width, height: its.height });
    const context = canvas.getContext("2d"), image = context.createImageData(its.width, its.height);
    const parts = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    const pixels = new Uint32Array(image.data.buffer);
    const ink = new Uint32Array(new Uint8ClampedArray([...parts, 255]).buffer)[0];
    its.bits.forEach((bit, index) => { if (bit) pixels[index] = ink; });
    context.putImageData(image, 0, 0);
    return canvas;
  };

  const contours = new WeakMap();
  /** The outline of a mask's bits as an SVG path in columns and rows of its grid; "" where it is too fine. */
  const contour = (mask) => {
    if (!contours.has(mask.runs)) contours.set(mask.runs, traced(grid(mask)));
    return contours.get(mask.runs);
  };
  /** Rings around the bits: sides that run along rows, each followed by the one along a column. */
  const traced = (its) => {
    if (!its) return "";
    const { width, height, bits } = its, rows = [], columns = new Map();
    const bit = (x, y) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : bits[y * width + x]);
    const sides = (lines, length, step, keep) => {  // with the bits on the right hand
      for (let line = 0; line <= lines; line += 1)
        for (let at = 0, from = 0, turn = 0; at <= length; at += 1) {
          const now = at < length ? step(line, at) : 0;
          if (now === turn) continue;
          if (turn) keep(line, ...(turn > 0 ? [from, at] : [at, from]));
          [from, turn] = [at, now];
        }
    };
    sides(height, width, (y, x) => bit(x, y) - bit(x, y - 1), (y, x0, x1) => rows.push([x0, y, x1]));
    sides(width, height, (x, y) => bit(x - 1, y) - bit(x, y), (x, y0, y1) => {
      const key = y0 * (width + 1) + x;
      if (columns.has(key)) columns.get(key).push(y1);
      else columns.set(key, [y1]);
    });
    if (rows.length > LONGEST_EDGE) return "";
    const next = new Map(rows.map(([x0, y]) => [y * (width + 1) + x0, []]));
    for (const row of rows) next.get(row[1] * (width + 1) + row[0]).push(row);
    const rings = [];
    for (const first of rows) {
      const ring = [];
      for (let row = next.get(first[1] * (width + 1) + first[0]).pop(); row; ) {
        const [, y, x1] = row, down = columns.get(y * (width + 1) + x1).pop();
        ring.push(`H${x1}V${down}`);
        row = next.get(down * (width + 1) + x1)?.pop();
      }
      if (ring.length) rings.push(`M${first[0]} ${first[1]}${ring.join("")}Z`);
    }
    return rings.join("");
  };

  // --- looks -----------------------------------------------------------------------------
  const ring = (corners, [wide, high]) =>
    `M${corners.map(([x, y]) => `${(x * wide).toFixed(2)} ${(y * high).toFixed(2)}`).join("L")}Z`;
  const corners = ([x0, y0, x1, y1]) => [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];

  /** The outline of a region as an SVG path, and the transform that lays it on the picture's pixels. */
  const path = (region, size) => {
    if (region.kind === "mask") return maskPath(region.mask, size);
    if (region.kind === "polygon") return [ring(region.polygon, size), ""];
    if (region.kind === "box") return [ring(corners(region.box), size), ""];
    const [x, y] = region.point;  // a stroke of no length: its round cap has the same size at any zoom
    return [`M${(x * size[0]).toFixed(2)} ${(y * size[1]).toFixed(2)}h0.01`, ""];
  };
  const maskPath = (mask, size) => {
    const outline = contour(mask), its = grid(mask), [x0, y0, x1, y1] = mask.box, [wide, high] = size;
    if (!outline) return [ring(corners(mask.box), size), ""];
    const [across, down] = [(x1 - x0) * wide / its.width, (y1 - y0) * high / its.height];
    return [outline, `matrix(${across} 0 0 ${down} ${x0 * wide} ${y0 * high})`];
  };

  // --- what lies under the pointer -------------------------------------------------------
  /** The nearest edge of a polygon to a place: {index of the corner before it, distance in pixels}. */
  const nearestEdge = (polygon, [x, y], [wide, high]) => {
    let best = { index: 0, distance: Infinity };
    polygon.forEach((start, index) => {
      const end = polygon[(index + 1) % polygon.length];
      const [ax, ay, bx, by] = [start[0] * wide, start[1] * high, end[0] * wide, end[1] * high];
      const length = (bx - ax) ** 2 + (by - ay) ** 2;
      const along = length ? clamp(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0, 1) : 0;
      const distance = Math.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay));
      if (distance < best.distance) best = { index, distance };
    });
    return best;
  };
  const inPolygon = (polygon, [x, y], [wide, high]) => {
    let inside = false;
    polygon.forEach(([ax, ay], index) => {
      const [bx, by] = polygon[(index + 1) % polygon.length];
      const crosses = ay * high > y !== by * high > y;
      if (crosses && x < wide * (ax + (bx - ax) * (y - ay * high) / (by * high - ay * high))) inside = !inside;
    });
    return inside;
  };
  const inMask = (mask, [x, y], [wide, high], reach) => {
    const its = grid(mask), [x0, y0, x1, y1] = mask.box;
    if (!its) return true;
    return [[0, 0], [reach, 0], [-reach, 0], [0, reach], [0, -reach]].some(([dx, dy]) => {
      const column = Math.floor(((x + dx) / wide - x0) / (x1 - x0) * its.width);
      const row = Math.floor(((y + dy) / high - y0) / (y1 - y0) * its.height);
      return its.bits[row * its.width + column] === 1 && column >= 0 && column < its.width;
    });
  };

  /** Whether a place lies on a region, or at most `reach` pixels beside it. */
  const holds = (region, place, size, reach) => {
    const [x0, y0, x1, y1] = bounds(region), [x, y] = place, [wide, high] = size;
    const far = region.kind === "point" ? 2 * reach : reach;
    if (x < x0 * wide - far || x > x1 * wide + far || y < y0 * high - far || y > y1 * high + far) return false;
    if (region.kind === "mask") return inMask(region.mask, place, size, reach);
    if (region.kind !== "polygon") return true;
    return inPolygon(region.polygon, place, size) || nearestEdge(region.polygon, place, size).distance <= reach;
  };

  // --- changes (each gives a new region) -------------------------------------------------
  /** Moved by whole pixels, and no further than the picture's edge. */
  const moved = (region, [dx, dy], [wide, high]) => {
    const [x0, y0, x1, y1] = bounds(region);
    const right = clamp(Math.round(dx) / wide, Math.min(-x0, 0), Math.max(1 - x1, 0));
    const down = clamp(Math.round(dy) / high, Math.min(-y0, 0), Math.max(1 - y1, 0));
    const at = ([x, y]) => [clamp(x + right, 0, 1), clamp(y + down, 0, 1)];
    const box = (its) => [...at(its.slice(0, 2)), ...at(its.slice(2))];
    if (region.kind === "point") return { ...region, point: at(region.point) };
    if (region.kind === "polygon") return { ...region, polygon: region.polygon.map(at) };
    if (region.kind === "mask") return { ...region, mask: { ...region.mask, box: box(region.mask.box) } };
    return { ...region, box: box(region.box) };
  };
  /** A place in whole pixels, inside the picture, as fractions. */
  const snapped = ([x, y], [wide, high]) =>
    [clamp(Math.round(x), 0, wide) / wide, clamp(Math.round(y), 0, high) / high];

  /** A box with the sides that `handle` names ('n', 'se', …) laid at a place. */
  const resized = (region, handle, place, size) => {
    let [x0, y0, x1, y1] = region.box;
    const [x, y] = snapped(place, size), [least, low] = [LEAST / size[0], LEAST / size[1]];
    if (handle.includes("w")) x0 = clamp(x, 0, Math.max(x1 - least, 0));
    if (handle.includes("e")) x1 = clamp(x, Math.min(x0 + least, 1), 1);
    if (handle.includes("n")) y0 = clamp(y, 0, Math.max(y1 - low, 0));
    if (handle.includes("s")) y1 = clamp(y, Math.min(y0 + low, 1), 1);
    return { ...region, box: [x0, y0, x1, y1] };
  };
  /** A polygon with one of its corners laid at a place, added after `index`, or taken away. */
  const cornerMoved = (region, index, place, size) =>
    ({ ...region, polygon: region.polygon.with(index, snapped(place, size)) });
  const cornerAdded = (region, index, place, size) =>
    ({ ...region, polygon: region.polygon.toSpliced(index + 1, 0, snapped(place, size)) });
  const cornerRemoved = (region, index) =>
    region.polygon.length > 3 ? { ...region, polygon: region.polygon.toSpliced(index, 1) } : region;

  /** The box between two places, in fractions; null where it would be smaller than a box may be. */
  const between = (one, other, size) => {
    const [a, b] = [snapped(one, size), snapped(other, size)];
    const box = [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])];
    return (box[2] - box[0]) * size[0] < LEAST || (box[3] - box[1]) * size[1] < LEAST ? null : box;
  };

  /** Where a region lies and how large it is, in words with pixels: a list of lines. */
  const told = (region, [wide, high]) => {
    const [x0, y0, x1, y1] = bounds(region).map((value, index) => Math.round(value * (index % 2 ? high : wide)));
    if (region.kind === "point") return [`x ${x0}, y ${y0} px`];
    const corners = region.kind === "polygon" ? ` · ${region.polygon.length} corners` : "";
    return [`x ${x0}–${x1}, y ${y0}–${y1}`, `${x1 - x0} × ${y1 - y0} px${corners}`];
  };

  overlay.shapes = {
    clamp, sound, bounds, area, painted, path, nearestEdge, holds, moved, snapped, resized,
    cornerMoved, cornerAdded, cornerRemoved, between, told,
  };
})(window.vlmOverlay ??= {});
