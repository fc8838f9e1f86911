// HTML that the server draws again while somebody is at work in it. Gradio makes the elements of the page
// like those of the new HTML one by one by their place: what a person opened or typed goes, and a button
// turns into its neighbour under the mouse. Here the page changes where the server's own HTML did.
const vlmSteady = (() => {
  // What an element is about: those with other values are other elements, wherever they stand.
  const ABOUT = ["key", "server", "chat", "message", "model", "runId", "adapter", "dataset", "example", "finding", "sheet",
    "act", "bench", "tune", "run", "teach", "label", "r"];
  const about = (node) => node.dataset ? ABOUT.filter((each) => each in node.dataset).map((each) => [each, node.dataset[each]]).join() : "";
  const name = (node) => `${node.nodeName} ${about(node)}`;

  const shown = new WeakMap();  // of a node as the server wrote it: the node of the page
  const put = (written) => {
    const node = document.importNode(written, false);
    shown.set(written, node);
    for (const each of written.childNodes) node.appendChild(put(each));
    return node;
  };
  const move = (place, node, before) => {  // where the browser can, without taking it out: it keeps the focus
    if (node.isConnected && place.isConnected && place.moveBefore) place.moveBefore(node, before);
    else place.insertBefore(node, before);
  };

  const change = (was, is) => {
    if (was.isEqualNode(is)) return;
    if (was instanceof CharacterData) shown.get(was).data = was.data = is.data;
    else {
      attributes(was, is, shown.get(was));
      inside(was, is, shown.get(was));
    }
  };
  const attributes = (was, is, node) => {
    for (const { name } of [...was.attributes]) if (!is.hasAttribute(name)) set(was, node, name, null);
    for (const { name, value } of is.attributes) if (was.getAttribute(name) !== value) set(was, node, name, value);
  };
  const set = (was, node, name, value) => {
    const follows = name === "selected" || untouched(was, node, name);
    if (name === "class") classes(node, was.classList, (value || "").split(/\s+/).filter(Boolean));
    else if (value === null) node.removeAttribute(name);
    else node.setAttribute(name, value);
    if (follows) node[name] = name === "value" ? value ?? "" : value !== null;
    if (value === null) was.removeAttribute(name); else was.setAttribute(name, value);
  };
  const untouched = (was, node, name) => name === "value" ? node.value === (was.getAttribute(name) ?? "")
    : name === "checked" && node.checked === was.hasAttribute(name);  // what a person entered stays
  const classes = (node, before, now) => {  // the page's own stay
    node.classList.remove(...[...before].filter((each) => !now.includes(each)));
    node.classList.add(...now.filter((each) => !before.contains(each)));
  };

  const inside = (was, is, place) => {
    const before = [...was.childNodes], after = [...is.childNodes];
    const theirs = before.every((each) => shown.get(each).parentNode === place);
    if (!theirs) place.replaceChildren();  // the browser put something else here: the server's is new
    const alone = before.length === 1 && after.length === 1 && before[0].nodeName === after[0].nodeName && !about(before[0]);
    const there = theirs ? Map.groupBy(before, name) : new Map();
    const now = after.map((each) => {
      const same = there.get(alone ? name(before[0]) : name(each))?.shift();  // an answer is named once it is whole
      if (!same) put(each);
      else change(same, each);
      return same || each;
    });
    for (const gone of [...there.values()].flat()) shown.get(gone).remove();
    was.replaceChildren(...now);
    arrange(place, now.map((each) => shown.get(each)));
  };
  const arrange = (place, nodes) => {
    const ours = new Set(nodes);
    let next = place.firstChild;
    for (const node of nodes) {
      while (next && !ours.has(next)) next = next.nextSibling;  // what the browser put there itself
      if (node === next) next = next.nextSibling;
      else move(place, node, next);
    }
  };

  const pages = new WeakMap();  // of a place: what the server wrote there
  const draw = (place, html) => {
    const is = Object.assign(document.createElement("template"), { innerHTML: html ?? "" }).content;
    if (!pages.has(place)) pages.set(place, document.createDocumentFragment());
    const was = pages.get(place);
    if (was.isEqualNode(is)) return;
    inside(was, is, place);
    place.dispatchEvent(new Event("steady-drawn", { bubbles: true }));
  };
  return (place, props, watch) => {
    const now = () => draw(place, props.value);
    watch("value", now);
    now();
  };
})();
