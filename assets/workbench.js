// The workbench in the browser: the strip of pages, what the stage shows, the tools.
// The server tells what there is as data; what a person or a model wrote only ever becomes text here.
(() => {
  const at = (id) => document.getElementById(id);
  const near = (event, selector) => event.target instanceof Element ? event.target.closest(selector) : null;
  let acted = false;  // whoever is quick opens something before the tab has looked for what was open
  const quick = (act, more = {}) => {
    acted ||= !["restore", "recent"].includes(act);
    send({ act, ...more });
  };
  // A press may come before the tab can hear of its answer: it waits until then.
  let ready = false;
  const send = (data, tries = 100) => {
    if (ready && window.vlmBench) window.vlmBench.quick(data);
    else if (tries) setTimeout(() => send(data, tries - 1), 100);
  };
  const made = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  // What this tab shows. `page` is the key of the page on the stage, `picked` the keys that are asked about.
  const now = { sheet: null, finding: null, beside: null, names: null, page: "", picked: new Set(), run: "",
    own: "", hidden: new Set(), dataset: null };
  const shown = () => now.sheet?.pages.find((page) => page.key === now.page);
  const address = (key) => `${vlmRoot}/bench/${encodeURIComponent(now.sheet.id)}/${encodeURIComponent(key)}`;
  const regionsOn = (finding) => (finding?.regions || []).filter((region) => region.page === now.page);

  // --- news from the server --------------------------------------------------------------
  let gone = false;  // something was deleted: lines of the report may be about it
  window.vlmBenchTell = (text) => {
    const news = JSON.parse(text || "{}");
    if ("datasets" in news) return drawDatasets(news.datasets);
    if ("refused" in news) return refused();
    if ("of" in news && news.of !== now.sheet?.id) return;  // an answer about a sheet that was left
    if ("edited" in news) { if (now.finding?.id === news.edited) now.finding.updated = news.updated; }
    if ("sheet" in news) openSheet(news.sheet);
    if ("finding" in news) now.finding = news.finding;
    if ("beside" in news) Object.assign(now, { beside: news.beside, names: news.names || null, own: news.own ? news.page : "" });
    if (news.page && now.sheet?.pages.some((page) => page.key === news.page)) choose(news.page);
    else if ("sheet" in news && now.finding && !now.finding.pages.includes(now.page) && now.finding.pages.length)
      choose(now.finding.pages[0]);
    draw();
    if ("edited" in news || "sheet" in news) edits.done();
    if (gone && "sheet" in news) { gone = false; vlmReport.look(); }
  };
  const openSheet = (sheet) => {
    const same = sheet && now.sheet?.id === sheet.id;
    now.sheet = sheet;
    const keys = new Set((sheet?.pages || []).map((page) => page.key));
    if (!same) Object.assign(now, { page: "", picked: new Set(), hidden: new Set() });
    now.picked = new Set([...now.picked].filter((key) => keys.has(key)));
    if (!keys.has(now.page)) now.page = sheet?.pages[0]?.key || "";
    if (!now.picked.size && now.page) now.picked.add(now.page);
  };
  const choose = (key) => {
    now.page = key;
    if (!now.picked.has(key)) now.picked = new Set([key]);
  };

  // --- drawing ---------------------------------------------------------------------------
  const draw = () => {
    document.body.classList.toggle("bench-open", Boolean(now.sheet));
    const bench = at("bench");
    if (!bench || !at("bench-overlay")) return;
    bench.setAttribute("data-overlay-scope", "");
    bench.dataset.kind = now.sheet?.kind || "";
    bench.classList.toggle("one-page", now.sheet?.kind !== "video" && (now.sheet?.pages.length || 0) < 2);
    drawStrip();
    drawVideo();
    drawStage();
    drawRun();
    vlmReport.draw();
    remember();
  };
  const count = (number) => {
    const what = { video: "frame", document: "page" }[now.sheet?.kind] || "image";
    return `${number} ${what}${number === 1 ? "" : "s"}`;
  };
  const drawStrip = () => {
    const list = at("strip-pages"), pages = now.sheet?.pages || [];
    const found = new Set((now.finding?.regions || []).map((region) => region.page));
    const drawn = JSON.stringify([now.sheet?.id, pages.map((page) => page.key)]);
    if (list.dataset.drawn !== drawn) {
      list.replaceChildren(...pages.map(thumbnail));
      list.dataset.drawn = drawn;
    }
    for (const each of list.children) {
      const key = each.dataset.key, button = each.firstElementChild;
      each.classList.toggle("picked", now.picked.has(key));
      each.classList.toggle("found", found.has(key));
      button.setAttribute("aria-pressed", String(now.picked.has(key)));
      if (key === now.page) button.setAttribute("aria-current", "true"); else button.removeAttribute("aria-current");
    }
    document.querySelector("#bench-strip [data-bench=all]").hidden = pages.length < 2;
    at("strip-count").textContent = now.picked.size > 1 ? `${now.picked.size} of ${count(pages.length)}` : count(pages.length);
  };
  const thumbnail = (page) => {
    const image = made("img", { loading: "lazy", alt: "", width: page.width, height: page.height });
    image.src = `${address(page.key)}?side=160`;
    const button = made("button", { type: "button", title: page.title }, image, made("span", { textContent: page.title }));
    button.dataset.bench = "page";
    const item = made("li", {}, button);
    item.dataset.key = page.key;
    return item;
  };
  const drawStage = () => {
    const page = shown(), overlay = at("bench-overlay"), beside = at("bench-beside");
    const several = Boolean(now.beside);
    at("stage-title").textContent = page && now.sheet.pages.length > 1 ? page.title : "";
    at("own-text").hidden = now.sheet?.kind !== "document";
    at("own-text").setAttribute("aria-pressed", String(Boolean(now.own)));
    at("beside-figure").hidden = !several;
    at("first-name").hidden = !several;
    overlay.closest(".overlays").hidden = !page;
    if (!page) return;
    overlay.closest(".overlays").classList.toggle("stacked", several && page.width > page.height);
    if (several) [at("first-name").textContent, at("second-name").textContent] = now.names || ["", ""];
    overlay.data = data(page, now.finding, !now.own && !now.finding?.live);
    if (several) beside.data = data(page, now.beside, false);
  };
  const data = (page, finding, editable) => ({
    picture: { src: address(page.key), width: page.width, height: page.height, name: page.title },
    answer: finding?.id || "", regions: regionsOn(finding), editable, hidden: [...now.hidden],
  });
  const NOBODY = "Compare with …";
  window.vlmBenchDrawRun = () => { if (at("bench-go")) drawRun(); };
  const drawRun = () => {
    const running = Boolean(now.run), about = at("run-about"), picked = now.picked.size;
    at("bench-go").hidden = running;
    at("bench-stop").hidden = !running;
    at("bench-go").disabled = !now.page;
    const second = document.querySelector("#bench-second input")?.value || NOBODY;
    at("bench-too").hidden = running || second === NOBODY || !now.finding?.id || Boolean(now.beside);
    at("bench-too").textContent = `Ask ${second} the same`;
    about.textContent = running || picked < 2 ? "" : `about ${count(picked)}`;
    for (const each of document.querySelectorAll("#bench-ready button")) {
      each.disabled = running || !now.page;
      each.hidden = !each.dataset.kinds.split(" ").includes(now.sheet?.kind || "images");
    }
  };

  // --- pages -----------------------------------------------------------------------------
  let last = "";
  const turnTo = (key) => {
    now.page = key;
    if (now.own && now.own !== key) dropOwn();
    draw();
  };
  const dropOwn = () => now.finding?.id ? quick("show", { finding: now.finding.id, page: now.page })
    : quick("restore", { sheet: now.sheet.id, finding: "" });
  const pickPage = (key, event) => {
    const keys = now.sheet.pages.map((page) => page.key);
    if (event.shiftKey && keys.includes(last)) {
      const [from, to] = [keys.indexOf(last), keys.indexOf(key)].sort((one, other) => one - other);
      now.picked = new Set(keys.slice(from, to + 1));
    } else if (event.ctrlKey || event.metaKey) {
      if (now.picked.has(key) && now.picked.size > 1) now.picked.delete(key); else now.picked.add(key);
      last = key;
    } else {
      now.picked = new Set([key]);
      last = key;
    }
    turnTo(now.picked.has(key) ? key : [...now.picked][0]);
  };
  const goTo = (key) => {
    if (!now.sheet?.pages.some((page) => page.key === key)) return;
    turnTo(key);
    at("strip-pages").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  };

  // --- video -----------------------------------------------------------------------------
  const drawVideo = () => vlmVideo.draw(now.sheet?.kind === "video"
    ? { source: address("file"), seconds: now.sheet.seconds, few: now.sheet.pages.length <= 1 } : null);
  const jump = (seconds) => {
    vlmVideo.go(seconds);
    const close = (now.sheet?.pages || []).find((page) => Math.abs((page.seconds ?? 1e9) - seconds) < 0.05);
    if (close) goTo(close.key); else quick("frame", { seconds });
  };

  // --- asking ----------------------------------------------------------------------------
  const ask = (act, more = {}) => {
    if (now.run || !now.page) return;
    now.run = crypto.randomUUID?.() ?? String(Math.random());
    const keys = now.sheet.pages.map((page) => page.key).filter((key) => now.picked.has(key));
    window.vlmBench.ask({ act, run: now.run, keys, page: now.page, ...more });
    drawRun();
  };
  window.vlmBenchRun = () => ask("run");
  window.vlmBenchRan = () => { now.run = ""; window.vlmBenchDrawRun(); };

  // --- edits -----------------------------------------------------------------------------
  const change = ([act, more]) => {
    const mine = now.finding?.pages.includes(more.page ?? now.finding.pages[0]);
    if (act === "edit" && !mine) quick("begin", more);  // drawn where no answer is: a finding of one's own
    else quick(act, { ...more, finding: now.finding.id, updated: now.finding.updated });
  };
  const lost = () => {
    edits.waiting.length = 0;
    quick("restore", { sheet: now.sheet?.id, finding: now.finding?.id || "" });
  };
  const edits = vlmPresses(change, lost);
  const edit = (act, more) => edits.push([act, more]);
  const refused = () => {
    if (edits.under()) lost();
    edits.done();
  };
  document.addEventListener("overlay-change", (event) => {
    if (event.target.id !== "bench-overlay" || now.own || now.finding?.live) return;
    const page = now.page, regions = event.detail.regions;
    if (now.finding?.pages.includes(page)) {
      const others = now.finding.regions.filter((region) => region.page !== page);
      now.finding.regions = [...others, ...regions.map((region) => ({ ...region, page }))];
    }
    const { waiting } = edits;
    while (waiting.length && waiting.at(-1)[0] === "edit" && waiting.at(-1)[1].page === page) waiting.pop();
    edit("edit", { page, regions });
  });
  document.addEventListener("overlay-drawn", (event) => {
    if (event.target.id !== "bench-overlay") return;
    now.picked = new Set([now.page]);
    drawStrip();
    ask("describe", { region: event.detail.box });
    useTool("select");
  });
  document.addEventListener("overlay-tool", (event) => { if (event.target.id === "bench-overlay") pressed(event.detail.tool); });
  document.addEventListener("overlay-hidden", (event) => {
    if (event.target.id !== "bench-overlay") return;
    now.hidden = new Set(event.detail.hidden);
    drawHidden();
  });
  const useTool = (name) => {
    at("bench-overlay").tool(name);
    pressed(name);
  };
  const pressed = (name) => {
    for (const each of document.querySelectorAll("#bench .tool[data-tool]"))
      each.setAttribute("aria-pressed", String(each.dataset.tool === name));
  };

  // --- the text of an answer ----------------------------------------------------------------
  const correct = (on, opened) => {
    const found = on.closest(".bench-found"), area = found.querySelector("textarea.correct");
    found.querySelector(".prose-text").hidden = opened;
    area.hidden = !opened;
    area.style.height = "auto";
    if (opened && area.dataset.of !== area.defaultValue) {  // what was typed for this answer stays, if it was refused
      area.value = area.dataset.of = area.defaultValue;
    }
    if (opened) { area.style.height = `${area.scrollHeight + 4}px`; area.focus(); }
    for (const [act, shows] of [["correct", !opened], ["correct-keep", opened], ["correct-drop", opened]])
      found.querySelector(`[data-bench=${act}]`).hidden = !shows;
    return area.value;
  };

  // --- datasets ---------------------------------------------------------------------------
  const drawDatasets = (datasets) => at("dataset-list")?.replaceChildren(...datasets.map((each) => {
    const button = made("button", { type: "button", textContent: each.name });
    button.dataset.bench = "dataset";
    button.dataset.dataset = each.id;
    return button;
  }));
  document.addEventListener("submit", (event) => {
    const form = near(event, "[data-bench-form]");
    if (!form) return;
    event.preventDefault();
    quick("new-dataset", { name: form.elements.name.value });
    form.reset();
    at("bench-datasets").hidePopover();
  });

  // --- the report: a line is about what stands in the list, whatever else is on its way ------------
  const clip = ({ dataset: { key, page, words } }, finding) => {
    const title = now.sheet.pages.find((each) => each.key === page)?.title || "";
    vlmReport.add({ finding, mark: key || "", page, sheet: now.sheet.id, words: words || title,
      place: now.sheet.kind === "images" ? title : `${now.sheet.name}, ${title}` });
  };
  const found = (on) => on.closest("[data-finding]");

  // --- buttons ------------------------------------------------------------------------------
  const overlay = () => at("bench-overlay");
  const hide = (label) => {
    if (now.hidden.has(label)) now.hidden.delete(label); else now.hidden.add(label);
    for (const each of [overlay(), at("bench-beside")]) each.toggle?.(label);
    drawHidden();
  };
  const drawHidden = () => {
    for (const each of document.querySelectorAll("#bench [data-bench=toggle]"))
      each.setAttribute("aria-pressed", String(!now.hidden.has(each.dataset.label)));
  };
  const acts = {
    "pick-files": () => document.querySelector("#bench-open input[type=file], input#bench-open")?.click() ?? at("bench-open").click(),
    example: (on) => quick("example", { name: on.dataset.name }),
    open: (on) => { at("bench-recent")?.hidePopover(); quick("open", { sheet: on.dataset.sheet }); },
    delete: () => { if (now.run) window.vlmBench.stop({ run: now.run }); gone = true; quick("delete"); },
    page: (on, event) => pickPage(on.parentElement.dataset.key, event),
    all: () => { now.picked = new Set(now.sheet.pages.map((page) => page.key)); draw(); },
    frame: () => quick("frame", { seconds: vlmVideo.time() }),
    "sample-count": () => quick("sample", { count: at("sample-count").value }),
    "sample-every": () => quick("sample", { every: at("sample-every").value }),
    run: () => ask("run"),
    ready: (on) => ask("ready", { name: on.dataset.name }),
    second: () => ask("second", { finding: now.finding.id }),
    stop: () => window.vlmBench.stop({ run: now.run }),
    tool: (on) => useTool(on.dataset.tool),
    undo: () => overlay().undo(),
    redo: () => overlay().redo(),
    fit: () => { overlay().fit(); at("bench-beside").fit?.(); },
    "zoom-in": () => overlay().zoom(1.5),
    "zoom-out": () => overlay().zoom(1 / 1.5),
    "own-text": () => { if (now.own) dropOwn(); else quick("own-text", { page: now.page }); },
    show: (on) => quick("show", { finding: on.dataset.finding }),
    forget: (on) => { gone = true; quick("forget", { finding: on.dataset.finding }); },
    toggle: (on) => hide(on.dataset.label),
    select: (on) => {
      if (on.dataset.page && on.dataset.page !== now.page) goTo(on.dataset.page);
      overlay().select(on.dataset.key);
    },
    correct: (on) => correct(on, true),
    "correct-drop": (on) => {
      const area = on.closest(".bench-found").querySelector("textarea.correct");
      area.value = area.defaultValue;
      correct(on, false);
    },
    "correct-keep": (on) => {
      const text = on.closest(".bench-found").querySelector("textarea.correct").value;
      correct(on, false);
      edit("text", { text });
    },
    dataset: (on) => { at("bench-datasets")?.hidePopover?.(); quick("dataset", { dataset: on.dataset.dataset || "" }); },
    datasets: () => quick("datasets"),
    clip: (on) => { clip(on, found(on).dataset.finding); vlmReport.open(); },
    "clip-all": (on) => {
      const its = found(on), lines = [...its.querySelectorAll("[data-bench=clip]")].filter((each) => found(each) === its);
      for (const each of lines.length ? lines : [on]) clip(each, its.dataset.finding);
      vlmReport.open();
    },
    // The list closes up: the second press of a double click would be one on the next line.
    unclip: (on, event) => { if (event.detail < 2) vlmReport.remove(Number(on.dataset.number)); },
    "report-clear": () => vlmReport.clear(),
    report: (on) => vlmReport.download(on.dataset.format),
    chat: (on) => openTab(() => quick("chat", { chat: window.vlmChat(), message: on.dataset.message,
      given: on.dataset.given ? Number(on.dataset.given) : null })),
  };
  document.addEventListener("click", (event) => {
    const on = near(event, "[data-bench]"), link = near(event, "#bench .phrase");
    if (on) {
      if (!on.hasAttribute("popovertarget")) event.preventDefault();
      acts[on.dataset.bench]?.(on, event);
    } else if (link?.dataset.r?.startsWith("page:")) goTo(link.dataset.r.slice(5).split(" ")[0]);
    else if (link?.dataset.r?.startsWith("time:")) jump(Number(link.dataset.r.slice(5).split(" ")[0]));
    else if (link) {
      const region = now.finding?.regions.find((each) => link.dataset.r.split(" ").includes(each.key));
      if (region) { goTo(region.page); overlay().select(region.key); }
    }
  });
  document.addEventListener("keydown", (event) => {
    const typing = near(event, "input, textarea, select, [contenteditable]");
    if (event.key === "Enter" && near(event, "#bench .phrase")) event.target.click();
    if (typing || !now.sheet || !at("bench-stage")?.checkVisibility() || event.ctrlKey || event.metaKey || event.altKey) return;
    const tool = { v: "select", b: "box", p: "point", d: "describe" }[event.key];
    if (tool) useTool(tool);
  });
  // A menu lies in the top layer, where it knows nothing of its button's place.
  document.addEventListener("beforetoggle", (event) => {
    if (!event.target.classList?.contains("bench-menu") || event.newState !== "open") return;
    const button = document.querySelector(`[popovertarget=${event.target.id}]`)?.getBoundingClientRect();
    if (!button) return;
    const up = button.bottom > innerHeight / 2;
    Object.assign(event.target.style, {
      left: `${Math.max(8, Math.min(button.left, innerWidth - 304))}px`,
      top: up ? "auto" : `${button.bottom + 4}px`,
      bottom: up ? `${innerHeight - button.top + 4}px` : "auto",
      maxHeight: `${(up ? button.top : innerHeight - button.bottom) - 16}px`,
    });
  }, true);

  // --- files dropped anywhere on the tab are opened -----------------------------------------
  const dragging = (event) => document.body.classList.toggle("bench-drag",
    Boolean(event?.dataTransfer?.types.includes("Files") && at("bench")?.checkVisibility()));
  document.addEventListener("dragover", dragging);
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) dragging(null); });
  document.addEventListener("drop", (event) => {
    dragging(null);
    if (!event.dataTransfer?.files.length || !at("bench")?.checkVisibility()) return;
    const picker = document.querySelector("#bench-open input[type=file], input#bench-open, button#bench-open + input[type=file]")
      || at("bench-open")?.parentElement?.querySelector("input[type=file]");
    if (!picker) return;
    event.preventDefault();
    event.stopImmediatePropagation();  // the chat takes what is dropped elsewhere
    picker.files = event.dataTransfer.files;
    picker.dispatchEvent(new Event("change", { bubbles: true }));
  }, true);

  // --- a reload comes back to what is open ----------------------------------------------------
  const TAB = "vlm-bench";
  const tabs = () => [...document.querySelectorAll("#tabs [role=tab]")];
  const visible = () => Boolean(at("bench")?.checkVisibility());
  const remember = () => {
    const kept = now.sheet ? { sheet: now.sheet.id, finding: now.finding?.id || "" } : null;
    if (!now.finding?.live) try { sessionStorage.setItem(TAB, JSON.stringify(kept)); } catch { /* a private window */ }
    name();
  };
  const name = () => {
    const url = new URL(location.href);
    const open = visible() && (now.sheet?.id || "new");
    if (open) url.searchParams.set("bench", open); else url.searchParams.delete("bench");
    history.replaceState(history.state, "", url);
  };
  const linked = new URL(location.href).searchParams.get("bench");  // a press on the tab names another
  const kept = () => {
    let mine = null;
    try { mine = JSON.parse(sessionStorage.getItem(TAB) || "null"); } catch { /* nothing was kept */ }
    return linked && linked !== "new" && mine?.sheet !== linked ? { sheet: linked, finding: "" } : mine;
  };
  const openTab = (then) => {
    after = then;
    const tab = tabs().find((each) => each.textContent.trim() === "Workbench");
    if (visible()) window.vlmBenchOpened(); else tab?.click();
  };
  let after = null;
  window.vlmBenchOpened = () => {
    const then = after;
    after = null;
    ready = true;
    if (then) then();
    else if (!now.sheet && !acted) {
      const before = kept();
      if (before?.sheet) quick("restore", before); else quick("recent");
    }
    draw();
    name();
  };
  window.vlmBenchStart = () => {
    vlmReport.look();
    if (new URL(location.href).searchParams.has("bench")) openTab(null);
  };
  document.addEventListener("click", (event) => {
    if (near(event, "#tabs [role=tab]")) setTimeout(name, 100);
  });
})();
