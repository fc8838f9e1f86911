// The report of the workbench: what was chosen for it, kept in this browser, and its list on the page.
const vlmReport = (() => {
  const KEPT = "vlm-report";
  const at = (id) => document.getElementById(id);
  const made = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const TITLE = "Report";
  const report = { title: TITLE, items: [] };
  // What this browser kept is shown once the server said what of it is there for who looks: others may
  // have sat here before, and what they chose is theirs.
  let earlier = [];
  const read = () => {
    try {
      const { title, items } = JSON.parse(localStorage.getItem(KEPT) || "{}");
      if (typeof title !== "string" || !Array.isArray(items)) return;
      report.title = title;
      earlier = items.filter((each) => each?.finding);
      report.items = [];
    } catch { /* it begins anew */ }
  };
  read();
  const kept = () => [...earlier, ...report.items];
  const keep = () => {
    try { localStorage.setItem(KEPT, JSON.stringify({ title: report.title, items: kept() })); } catch { /* a private window */ }
  };
  const changed = () => { keep(); draw(); };
  const send = (format, items) => fetch(`${vlmRoot}/report.${format}`, { method: "POST", headers: { "content-type": "application/json" },
    body: JSON.stringify({ title: report.title, items: items.map(({ finding, mark, page }) => ({ finding, mark, page })) }) }).catch(() => null);

  const add = (item) => {
    const at = report.items.findIndex((each) => each.finding === item.finding && each.mark === item.mark && each.page === item.page);
    if (at < 0) report.items.push(item); else report.items[at] = item;  // it may have another label by now
  };
  const look = async () => {
    const asked = kept(), answer = asked.length ? await send("json", asked) : null;
    if (asked.length && !answer?.ok) return;
    const there = new Set(asked.length ? await answer.json() : []);
    const gone = new Set(asked.filter((_, at) => !there.has(at)));
    const left = kept().filter((each) => !gone.has(each));
    earlier = [];
    report.items = [];
    left.forEach(add);
    if (!left.length) report.title = TITLE;
    changed();
  };
  const row = (item, number) => {
    const image = made("img", { alt: "", loading: "lazy" });
    image.src = `${vlmRoot}/bench/${encodeURIComponent(item.sheet)}/${encodeURIComponent(item.page)}?side=80`;
    const drop = made("button", { type: "button", className: "act", title: "Remove" }, made("i", { className: "ico delete" }));
    drop.setAttribute("aria-label", `Remove: ${item.words}`);
    Object.assign(drop.dataset, { bench: "unclip", number });
    const words = made("span", {}, made("strong", { textContent: item.words }), made("small", { textContent: item.place }));
    return made("li", {}, image, words, drop);
  };
  const draw = () => {
    const list = at("report-list"), size = report.items.length;
    if (!list) return;
    at("report-count").textContent = size || "";
    at("report-hint").hidden = size > 0;
    at("report-body").hidden = !size;
    if (document.activeElement !== at("report-title")) at("report-title").value = report.title;
    const drawn = JSON.stringify(report.items);
    if (list.dataset.drawn !== drawn) list.replaceChildren(...report.items.map(row));
    list.dataset.drawn = drawn;
  };
  const download = async (format) => {
    const answer = await send(format, report.items), problem = at("report-problem");
    problem.hidden = Boolean(answer?.ok);
    problem.textContent = answer ? "" : "The app could not be reached: try again when it is back.";
    if (answer && !answer.ok) problem.textContent = await answer.text();
    if (!answer?.ok) return;
    const link = made("a", { href: URL.createObjectURL(await answer.blob()), download: `report.${format}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  };
  document.addEventListener("input", (event) => {
    if (event.target.id === "report-title") { report.title = event.target.value; keep(); }
  });
  addEventListener("storage", (event) => {  // another tab of this browser wrote
    if (event.key !== KEPT) return;
    read();
    look();
  });
  return {
    add, draw, download, look,
    open: () => { changed(); at("report-fold").open = true; },
    remove: (number) => { report.items.splice(number, 1); changed(); },
    clear: () => { report.items = []; changed(); },
  };
})();
