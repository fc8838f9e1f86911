// Teaching in the chat: thumbs, a correction in place, the choice between two answers, the dataset
// that examples go to. What anybody wrote only ever becomes text here.
(() => {
  const near = (event, selector) => event.target instanceof Element ? event.target.closest(selector) : null;
  const made = (tag, properties = {}, ...inside) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...inside);
    return element;
  };

  // --- the dataset that this browser teaches ----------------------------------------------
  const KEPT = "vlm-dataset";
  const dataset = () => { try { return localStorage.getItem(KEPT) || ""; } catch { return ""; } };
  const keepDataset = (id) => { try { localStorage.setItem(KEPT, id); } catch { /* a private window */ } };

  const send = (act, on, more = {}) => window.vlmTeach?.({
    act, message: on.closest(".turn").dataset.message, index: Number(on.dataset.index || 0), dataset: dataset(), ...more,
  });

  // --- the menu of datasets ---------------------------------------------------------------
  let chosenFor = null;  // the button for whose answer the menu is open
  const menu = () => {
    const there = document.getElementById("teach-menu");
    if (there) return there;
    const name = made("input", { type: "text", name: "name", placeholder: "New dataset", maxLength: 80 });
    name.setAttribute("aria-label", "Name of a new dataset");
    const form = made("form", {}, name, made("button", { className: "plain", textContent: "Add" }));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (name.value.trim()) pick({ name: name.value });
      form.reset();
    });
    const menu = made("div", { id: "teach-menu", className: "bench-menu", popover: "auto" }, made("div", { id: "teach-datasets" }), form);
    menu.setAttribute("aria-label", "Dataset of this example");
    document.querySelector(".gradio-container").append(menu);
    return menu;
  };
  const pick = (to) => {
    menu().hidePopover();
    if (chosenFor?.isConnected) send("dataset", chosenFor, to);
  };
  const openMenu = (on) => {
    const at = on.getBoundingClientRect(), up = at.bottom > innerHeight / 2;
    chosenFor = on;
    menu().showPopover();
    Object.assign(menu().style, {
      left: `${Math.max(8, Math.min(at.left, innerWidth - 296))}px`,
      top: up ? "auto" : `${at.bottom + 4}px`,
      bottom: up ? `${innerHeight - at.top + 4}px` : "auto",
    });
    send("datasets", on);
  };
  const drawDatasets = (datasets) => document.getElementById("teach-datasets")?.replaceChildren(
    ...datasets.map(({ id, name }) => {
      const button = made("button", { type: "button", textContent: name });
      button.addEventListener("click", () => pick({ dataset: id }));
      return button;
    }));

  // --- a correction in place --------------------------------------------------------------
  let keeping = null;  // ends the one whose keeping was asked for last
  const grow = (area) => { area.style.height = "auto"; area.style.height = `${area.scrollHeight + 2}px`; };
  const correct = (on) => {
    const part = on.closest(".side, .turn"), said = part.querySelector(".prose-text"), index = on.dataset.index;
    if (part.querySelector(".correcting")) return;
    const area = made("textarea", { rows: 2, value: on.dataset.text, dir: "auto" });
    area.setAttribute("aria-label", "The right answer");
    const drop = made("button", { type: "button", className: "plain", textContent: "Cancel" });
    const keep = made("button", { type: "button", className: "plain strong", textContent: "Keep correction" });
    const row = made("div", { className: "edit-row" }, drop, keep);
    if (on.dataset.pictures) {
      const places = made("button", { type: "button", className: "link", textContent: "Correct its places on the workbench" });
      Object.assign(places.dataset, { bench: "chat", message: on.closest(".turn").dataset.message, given: on.dataset.index });
      row.append(places);
    }
    const form = made("div", { className: "correcting" }, area, row);
    said.after(form);
    said.hidden = true;
    const end = () => {
      document.removeEventListener("steady-drawn", drawn);
      form.remove();
      said.hidden = false;
    };
    const drawn = () => { if (on.dataset.index !== index || !form.isConnected) end(); };  // another answer is shown
    document.addEventListener("steady-drawn", drawn);
    drop.addEventListener("click", end);
    keep.addEventListener("click", () => { keeping = end; send("correct", on, { text: area.value }); });
    area.addEventListener("input", () => grow(area));
    area.addEventListener("keydown", (event) => {
      if (event.key === "Escape") end();
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) keep.click();
    });
    grow(area);
    area.focus();
  };

  // --- news from the server ---------------------------------------------------------------
  window.vlmTaught = (text) => {
    const news = JSON.parse(text || "{}");
    if (news.datasets) drawDatasets(news.datasets);
    if (news.done === "correct") keeping?.();
    if (news.dataset) last = news.dataset;
    if (news.done === "dataset") keepDataset(news.dataset);
  };

  // A new run on the tab Fine-tune, with this dataset chosen.
  const tab = (place, title) => [...document.querySelectorAll(`${place} [role=tab]`)].find((each) => each.textContent.trim() === title);
  const toFinetune = (id) => {
    tab("#tabs", "Fine-tune")?.click();
    let tries = 100;
    const look = setInterval(() => {
      const runs = tab("#tune-places", "Runs");
      if (!runs?.checkVisibility() && (tries -= 1)) return;
      clearInterval(look);
      runs?.click();
      document.dispatchEvent(new CustomEvent("vlm-teach", { detail: { dataset: id } }));
    }, 50);
  };
  let last = "";  // the dataset that was last added to
  const acts = {
    up: (on) => send("up", on),
    down: (on) => send("down", on),
    better: (on) => send("better", on, { against: Number(on.dataset.against) }),
    back: (on) => send("back", on),
    datasets: openMenu,
    correct,
    finetune: (on) => toFinetune(on.dataset.dataset),
  };
  document.addEventListener("click", (event) => {
    const on = near(event, "[data-teach]"), link = near(event, 'a[href="#finetune"]');
    if (link) { event.preventDefault(); toFinetune(last); }
    if (on) acts[on.dataset.teach]?.(on);
  });
})();
