// Datasets in the browser: what is open, which page of it, uploads, drag and drop.
// The server tells what there is; what a person or a file wrote only ever becomes text here.
(() => {
  const at = (id) => document.getElementById(id);
  const near = (event, selector) => event.target instanceof Element ? event.target.closest(selector) : null;
  const KEPT = "vlm-tune", MODEL = "vlm-tune-model";

  // What this tab shows; the server gets it with every press and draws it.
  const now = { dataset: "", page: 0, task: "", label: "", side: "", example: "", model: "" };
  let ready = false, arrival = null, sending = null, one = null, picture = 0;
  const everything = { page: 0, task: "", label: "", side: "", example: "" };

  // --- presses ---------------------------------------------------------------------------
  const presses = vlmPresses((press) => ready && window.vlmTune ? window.vlmTune.act({ ...now, ...press }) : false);
  const act = (name, more = {}) => {
    const same = name === "look" && presses.waiting.find((each) => each.act === "look");
    if (same) Object.assign(same, more);
    else presses.push({ act: name, ...more });
  };
  const show = (changes) => {  // a press carries what it changes: the answer to an earlier one says what was
    Object.assign(now, changes);
    act("look", changes);
  };

  // --- news from the server --------------------------------------------------------------
  let again = 0;
  window.vlmTuneTell = (text) => {
    const news = JSON.parse(text || "{}"), before = arrival;
    if ("dataset" in news) opened(news);
    if ("arrival" in news) arrival = news.arrival;
    if ("datasets" in news) at("tune").dataset.datasets = news.datasets;
    draw();
    const live = arrival?.live, ended = before?.live && !live;
    clearTimeout(again);
    if (ended && arrival?.dataset) show({ dataset: arrival.dataset, ...everything });
    else if (ended && !arrival) act("look");
    else if (live) again = setTimeout(() => act("progress"), 400);
    else if (news.making) again = setTimeout(() => act("look"), 1000);
    presses.done();
  };
  const opened = (news) => {
    now.dataset = news.dataset;
    one = news.example;
    now.example = one?.id || "";
    if (news.chosen) Object.assign(now, news.chosen);
    if (one?.model) now.model = one.model;
    if (one?.teach) teach();
  };
  const teach = () => window.vlmTune?.teach({ ...now });

  // --- drawing ---------------------------------------------------------------------------
  const draw = () => {
    const tune = at("tune");
    if (!tune) return;
    tune.dataset.view = one ? "example" : now.dataset ? "dataset" : "empty";
    remember();
    drawSend();
    const drawn = setInterval(() => {  // Gradio puts the HTML in when it comes to it
      const overlay = at("tune-overlay");
      if (!one || overlay?.closest("[data-example]")?.dataset.example === one.id) {
        clearInterval(drawn);
        if (one) { picture = one.pictures.length - 1; drawPicture(); }
        if ((one?.id || "") !== drawnOne) toTop();
        drawnOne = one?.id || "";
      }
    }, 30);
    setTimeout(() => clearInterval(drawn), 5000);
  };
  let drawnOne = "";
  const toTop = () => { at("tune-main").scrollTo({ top: 0 }); if (scrollY) scrollTo({ top: 0 }); };
  const drawPicture = () => {
    const overlay = at("tune-overlay");
    if (!overlay || !one) return;
    overlay.data = { picture: one.pictures[picture], answer: `${one.id}-${picture}`, editable: false, hidden: [],
      regions: one.regions.filter((region) => region.image === picture) };
    for (const each of document.querySelectorAll("#tune [data-picture]"))
      each.setAttribute("aria-pressed", String(Number(each.dataset.picture) === picture));
  };

  // --- uploads: the files go one after the other; the server says how far they are ------------
  const send = async (files, dataset) => {
    if (!files.length) return;
    if (sending) return problem("Another upload is still on its way: add these files when it is through, or stop it first.");
    const total = files.reduce((sum, file) => sum + file.size, 0);
    const name = files.length === 1 ? files[0].name : `${files[0].name} and ${files.length - 1} more`;
    sending = new AbortController();
    let begun = "";
    try {
      const asked = new URLSearchParams({ name, dataset, total });
      const { id } = await (await told(`/arrivals?${asked}`, { method: "POST" })).json();
      arrival = { id: begun = id, live: true };
      act("progress");
      for (const file of files)
        await told(`/arrivals/${id}/file?${new URLSearchParams({ name: file.name })}`, { method: "PUT", body: file });
      await told(`/arrivals/${id}/came`, { method: "POST" });
    } catch (error) {
      const gone = "The app could not be reached: try again when it is back.";
      if (error.name !== "AbortError" && !(begun && error.sentence)) problem(error.sentence || gone);  // else its card says it
    }
    sending = null;
    act("progress");
  };
  const told = async (address, options) => {
    const answer = await fetch(vlmRoot + address, { ...options, signal: sending.signal });
    if (!answer.ok) throw Object.assign(new Error(), { sentence: await answer.text() });
    return answer;
  };
  let sentence = "";
  const problem = (text) => { sentence = text; drawSend(); };
  const drawSend = () => {
    const line = at("tune-problem");
    if (!line) return;
    line.hidden = !sentence;
    line.querySelector("span").textContent = sentence;
  };
  addEventListener("beforeunload", (event) => { if (sending) event.preventDefault(); });

  let into = "";
  const pick = (dataset) => { into = dataset; sentence = ""; at("tune-files").click(); };
  document.addEventListener("change", (event) => {
    if (event.target.id === "tune-files") {
      send([...event.target.files], into);
      event.target.value = "";
    }
    const model = near(event, "[data-tune-model]");
    if (model) {
      now.model = model.value;
      try { localStorage.setItem(MODEL, now.model); } catch { /* a private window */ }
      teach();
    }
  });

  // --- files that are dropped: on the open dataset they are added to it ------------------------
  const visible = () => Boolean(at("tune")?.checkVisibility());
  const target = (event) => near(event, "#tune-main") && now.dataset ? now.dataset : "";
  const dragging = (event) => {
    const files = event?.dataTransfer?.types.includes("Files") && visible();
    document.body.classList.toggle("tune-drag", Boolean(files));
    document.body.classList.toggle("tune-drag-into", Boolean(files && target(event)));
  };
  document.addEventListener("dragover", dragging);
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) dragging(null); });
  document.addEventListener("drop", (event) => {
    dragging(null);
    if (!event.dataTransfer?.files.length || !visible()) return;
    event.preventDefault();
    event.stopImmediatePropagation();  // the chat takes what is dropped elsewhere
    sentence = "";
    send([...event.dataTransfer.files], target(event));
  }, true);

  // --- buttons ------------------------------------------------------------------------------
  const reveal = (on, selector, shown) => {
    const place = on.closest("section, article, .tune-top").querySelector(selector);
    place.hidden = !shown;
    if (shown) place.querySelector("input, button")?.focus();
    if (shown) place.querySelector("input")?.select();
  };
  const acts = {
    pick: () => pick(""),
    "pick-more": () => pick(now.dataset),
    hearts: () => act("hearts"),
    "ask-name": (on) => reveal(on, "[data-tune-form=create]", at("tune-new").hidden),
    open: (on) => show({ dataset: on.dataset.dataset, ...everything }),
    rename: (on) => reveal(on, "[data-tune-form=rename]", true),
    "drop-name": (on) => reveal(on, "[data-tune-form=rename]", false),
    "ask-delete": (on) => reveal(on, ".tune-sure", true),
    "ask-drop": (on) => reveal(on, ".tune-sure", true),
    keep: (on) => { on.closest(".tune-sure").hidden = true; },
    delete: () => act("delete"),
    drop: (on) => { const drop = now.example; now.example = on.dataset.next; act("drop", { drop }); },
    teach: (on) => {
      const runs = [...document.querySelectorAll("#tune-places [role=tab]")].find((tab) => tab.textContent.trim() === "Runs");
      runs?.click();
      document.dispatchEvent(new CustomEvent("vlm-teach", { detail: { dataset: now.dataset, name: on.dataset.name } }));
    },
    filter: (on) => {
      const { task, label } = on.dataset, same = now.task === task && now.label === label;
      show({ task: same ? "" : task, label: same ? "" : label, page: 0, example: "" });
    },
    side: (on) => show({ side: now.side === on.dataset.side ? "" : on.dataset.side, page: 0, example: "" }),
    all: () => show(everything),
    page: (on) => { show({ page: Number(on.dataset.page) }); at("tune-gallery").scrollIntoView(); },
    example: (on) => show({ example: on.dataset.example }),
    back: () => show({ example: "" }),
    picture: (on) => { picture = Number(on.dataset.picture); drawPicture(); },
    add: (on) => act("add", { arrival: arrival.id }),
    stop: () => { sending?.abort(); act("stop", { arrival: arrival.id }); },
    dismiss: () => act("dismiss", { arrival: arrival.id }),
    "hide-problem": () => problem(""),
  };
  document.addEventListener("click", (event) => {
    const on = near(event, "[data-tune]");
    if (on && !on.disabled) acts[on.dataset.tune]?.(on, event);
  });
  document.addEventListener("submit", (event) => {
    const form = near(event, "[data-tune-form]");
    if (!form) return;
    event.preventDefault();
    act(form.dataset.tuneForm, { name: form.elements.name.value });
    form.hidden = true;
    if (form.dataset.tuneForm === "create") form.reset();
  });
  document.addEventListener("keydown", (event) => {
    const form = near(event, "[data-tune-form]");
    if (event.key === "Escape" && form) form.hidden = true;
    if (near(event, "input, textarea, select") || !one || !visible() || event.ctrlKey || event.metaKey || event.altKey) return;
    if (near(event, "vlm-overlay")) return;
    const label = { ArrowLeft: "Previous example", ArrowRight: "Next example" }[event.key];
    if (label) document.querySelector(`#tune-example [aria-label="${label}"]`)?.click();
    if (event.key === "Escape") show({ example: "" });
  });

  // --- a reload comes back to what is open ----------------------------------------------------
  const remember = () => {
    try { sessionStorage.setItem(KEPT, JSON.stringify(now)); } catch { /* a private window */ }
    name();
  };
  const name = () => {
    const url = new URL(location.href);
    if (at("tune-places")?.checkVisibility()) url.searchParams.set("tune", now.dataset || "new");
    else url.searchParams.delete("tune");
    history.replaceState(history.state, "", url);
  };
  try {
    Object.assign(now, JSON.parse(sessionStorage.getItem(KEPT) || "{}"));
    now.model = localStorage.getItem(MODEL) || "";
  } catch { /* nothing was kept */ }
  const linked = new URL(location.href).searchParams.get("tune");  // a press on the tab names another
  if (linked && linked !== "new" && linked !== now.dataset) Object.assign(now, { dataset: linked, ...everything });
  window.vlmTuneOpened = () => {
    ready = true;
    act("look");
    name();
  };
  window.vlmTuneStart = () => {
    if (!linked) return;
    [...document.querySelectorAll("#tabs [role=tab]")].find((tab) => tab.textContent.trim() === "Fine-tune")?.click();
  };
  document.addEventListener("click", (event) => {
    if (near(event, "#tabs [role=tab]")) setTimeout(name, 100);
  });
})();
