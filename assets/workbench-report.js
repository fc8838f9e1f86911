// The report of the workbench: what was chosen for it, kept in this browser, and its list on the page.
const vlmReport = (() => {
  const KEPT = "vlm-report";
  const at = (id) => document.getElementById(id);
  const made = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const report = { title: "Report", items: [] };
  try {
    const { title, items } = JSON.parse(localStorage.getItem(KEPT) || "{}");
    if (typeof title === "string" && Array.isArray(items)) Object.assign(report, { title, items: items.filter((each) => each?.finding) });
  } catch { /* it begins anew */ }
  const keep = () => { try { localStorage.setItem(KEPT, JSON.stringify(report)); } catch { /* a private window */ } };
  const changed = () => { keep(); draw(); };

  const add = (item) => {
    const same = (each) => each.finding === item.finding && each.mark === item.mark && each.page === item.page;
    if (!report.items.some(same)) report.items.push(item);
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
    list.replaceChildren(...report.items.map(row));
  };
  const download = async (format) => {
    const items = report.items.map(({ finding, mark, page }) => ({ finding, mark, page }));
    const answer = await fetch(`${vlmRoot}/report.${format}`, { method: "POST", headers: { "content-type": "application/json" },
      body: JSON.stringify({ title: report.title, items }) }).catch(() => null);
    if (!answer?.ok) {
      at("report-hint").hidden = false;
      at("report-hint").textContent = answer ? await answer.text() : "The app could not be reached: try again when it is back.";
      return;
    }
    const link = made("a", { href: URL.createObjectURL(await answer.blob()), download: `report.${format}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  };
  document.addEventListener("input", (event) => {
    if (event.target.id === "report-title") { report.title = event.target.value; keep(); }
  });
  return {
    add, draw, download,
    open: () => { changed(); at("report-fold").open = true; },
    remove: (number) => { report.items.splice(number, 1); changed(); },
    clear: () => { report.items = []; changed(); },
  };
})();
