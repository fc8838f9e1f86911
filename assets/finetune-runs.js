// Runs in the browser: the form that starts one, curves, answers over the steps, two runs compared.
// The server tells what there is; what a person or a model wrote only ever becomes text here.
(() => {
  const at = (id) => document.getElementById(id);
  const near = (event, selector) => event.target instanceof Element ? event.target.closest(selector) : null;
  const made = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const store = (key, value) => { try { sessionStorage.setItem(key, JSON.stringify(value)); } catch { /* a private window */ } };
  const stored = (key) => { try { return JSON.parse(sessionStorage.getItem(key) || "null"); } catch { return null; } };

  // What this tab shows: the id of the run that is open ("" for the form), and what the server told of it.
  const now = { runs: [], open: "", other: "", has: {}, run: null, compared: null, samples: [], right: false, adapters: [] };
  let ready = false;  // a press may come before the tab can hear of its answer: it waits until then
  const send = (way, data, tries = 100) => {
    if (ready && window.vlmRuns) window.vlmRuns[way]({ ...data, look: look() });
    else if (tries) setTimeout(() => send(way, data, tries - 1), 100);
  };
  const act = (name, more = {}) => send("act", { act: name, ...more });
  const look = () => ({ open: now.open, other: now.other, has: now.has });
  const visible = () => Boolean(at("runs")?.checkVisibility());
  window.vlmRunsLook = () => visible() ? JSON.stringify(look()) : "";

  // --- news from the server --------------------------------------------------------------
  window.vlmRunsTell = (text) => {
    const news = JSON.parse(text || "{}");
    if (news.datasets) fill(news);
    if (news.fields) { setFields(news.fields); check(); }  // again: they may come after the first look at the form
    if (news.opened) { forget(); open(news.opened); }
    if (news.deleted || news.gone) { if (now.open === (news.deleted || news.gone)) open(""); }
    if ("number" in news) checked(news);
    else if ("measured" in news) measured(news);
    else if (news.sentence && !("adapter" in news)) refuse(news.wrong, news.sentence);
    if ("adapter" in news) adapterSaid(news.adapter, news.said || news.sentence || "", Boolean(news.sentence));
    if (news.has) Object.assign(now.has, news.has);
    if (news.runs) others(news.runs);
    if (news.run && news.run.id === now.open) { now.run = news.run; now.samples = news.samples; drawRun(); }
    if (news.other && news.other.id === now.other) { now.compared = news.other; drawPlots(); }
  };

  // --- which run is open -------------------------------------------------------------------
  const open = (id) => {
    const changed = now.open !== id;
    now.open = id;
    if (changed) {
      for (const name of ["head", "curve", "helped", "then"]) delete now.has[name];
      Object.assign(now, { run: null, samples: [], step: null });
      if (now.other === id) compare("");
    }
    others(now.runs);
    if (id) act("open", { run: id });
    else if (!at("run-form").elements.dataset.options.length) act("new", kept() || {});
  };
  const show = () => {
    document.body.classList.toggle("run-open", Boolean(now.open));
    for (const each of document.querySelectorAll("#runs-list [data-run-id]"))
      each.querySelector("button").setAttribute("aria-current", each.dataset.runId === now.open);
    const drawn = now.run?.id === now.open && now.open;
    at("run-plots").hidden = !drawn || !now.run.points.length;
    at("run-samples").hidden = !drawn || !now.samples.length;
    store("vlm-run", now.open);
    name();
  };
  const name = () => {
    const url = new URL(location.href);
    if (visible()) url.searchParams.set("run", now.open || "new"); else url.searchParams.delete("run");
    history.replaceState(history.state, "", url);
  };
  const others = (runs) => {
    const select = at("run-other");
    const options = runs.filter((run) => run.id !== now.open).map((run) => made("option", { value: run.id, textContent: run.name }));
    now.runs = runs;
    select.replaceChildren(made("option", { value: "", textContent: "no other run" }), ...options);
    if (now.other && !runs.some((run) => run.id === now.other)) compare("");
    select.value = now.other;
    select.closest("label").hidden = !options.length;
    show();
  };
  const compare = (id) => {
    now.other = id;
    now.compared = null;
    delete now.has.other;
    at("run-other").value = id;
    if (id) act("look"); else drawPlots();
  };

  // --- the form ------------------------------------------------------------------------------
  const FORM = "vlm-run-form";
  const touched = new Set();  // settings that a person changed: what suits another dataset leaves them alone
  const form = () => at("run-form");
  const fields = () => [...form().querySelectorAll("[data-field]")];
  const value = (field) => {
    const inputs = [...field.querySelectorAll("input, select")];
    if (field.classList.contains("boxes")) return inputs.filter((each) => each.checked).map((each) => each.value);
    return inputs[0].type === "checkbox" ? inputs[0].checked : inputs[0].value;
  };
  const values = () => Object.fromEntries(fields().map((field) => [field.dataset.field, value(field)]));
  const chosen = () => form().querySelector("[name=preset]:checked")?.value || "";
  const setFields = (given, all = false) => {
    for (const field of fields()) {
      const name = field.dataset.field;
      if (!(name in given) || (touched.has(name) && !all)) continue;
      const inputs = [...field.querySelectorAll("input, select")];
      if (field.classList.contains("boxes")) for (const each of inputs) each.checked = given[name].includes(each.value);
      else if (inputs[0].type === "checkbox") inputs[0].checked = given[name];
      else inputs[0].value = given[name];
    }
    usual = given;
    changed();
  };
  let usual = {};  // the settings as the preset has them
  const options = (select, rows, words) => select.replaceChildren(...rows.map((row) =>
    made("option", { value: row.id, textContent: words(row), disabled: Boolean(row.why) })));
  const fill = (news) => {
    const elements = form().elements, again = kept();
    options(elements.dataset, news.datasets, (row) => `${row.name} (${row.size.toLocaleString("en")})`);
    const able = news.bases.filter((row) => !row.why), not = news.bases.filter((row) => row.why);
    const group = (label, rows) => {
      const whole = made("optgroup", { label });
      options(whole, rows, (row) => row.why ? `${row.name}: ${row.why}` : row.name);
      return whole;
    };
    elements.base.replaceChildren(group("Can be taught here", able), group("Cannot be taught here", not));
    now.adapters = news.adapters;
    const { preset, base, dataset, name } = news.form;
    touched.clear();
    for (const radio of form().querySelectorAll("[name=preset]")) radio.checked = radio.value === preset;
    Object.assign(elements.base, { value: base });
    if (dataset) elements.dataset.value = dataset;
    elements.name.value = name;
    drawAdapters();
    if (!preset && news.fields) for (const key of Object.keys(news.fields)) touched.add(key);
    if (again) restore(again); else setTimeout(check);
    at("run-empty").hidden = news.datasets.length > 0;
  };
  const drawAdapters = () => {
    const select = form().elements.adapter, mine = now.adapters.filter((each) => each.bases.includes(form().elements.base.value));
    select.replaceChildren(select.options[0], ...mine.map((each) => made("option", { value: each.id, textContent: each.name })));
  };
  const changed = () => {
    const count = [...touched].length && fields().filter((field) => field.dataset.field in usual
      && JSON.stringify(value(field)) !== JSON.stringify(usual[field.dataset.field])).length;
    at("run-changed").textContent = count ? `${count} changed` : "";
    keep();
  };
  // What was entered is kept for the tab, through any reload.
  const keep = () => store(FORM, { preset: chosen(), values: values(), touched: [...touched], dataset: form().elements.dataset.value,
    base: form().elements.base.value });
  const kept = () => stored(FORM);
  const forget = () => { try { sessionStorage.removeItem(FORM); } catch { /* a private window */ } touched.clear(); };
  const restore = (again) => {
    if (!again.values) return check();
    const has = (select, id) => [...select.options].some((each) => each.value === id);
    const { dataset, base } = form().elements;
    if (has(dataset, again.dataset)) dataset.value = again.dataset;
    for (const each of again.touched) touched.add(each);
    form().elements.name.value = again.values.name;
    if (has(base, again.base)) base.value = again.base;
    setFields(again.values, true);
    setTimeout(check);
  };

  let number = 0, later = 0;
  const check = () => {
    clearTimeout(later);
    later = setTimeout(() => { number += 1; send("check", { number, form: values() }); }, 300);
  };
  const checked = (news) => {
    if (news.number !== number) return;
    refuse(news.wrong, news.sentence);
    at("run-before").classList.toggle("old", !news.before);
    if (news.before) at("run-before").innerHTML = news.before;  // numbers and words of the app alone
  };
  const refuse = (wrong, sentence) => {
    const line = at("run-refusal");
    line.hidden = !sentence;
    line.textContent = sentence || "";
    for (const field of fields()) field.classList.toggle("wrong", Boolean(wrong) && field.dataset.field === wrong);
    const field = wrong ? form().querySelector(`[data-field="${CSS.escape(wrong)}"]`) : null;
    if (field?.closest(".run-settings")) field.closest(".run-settings").open = true;
    form().querySelector(".go").disabled = Boolean(sentence);
  };
  let trial = 0;  // the settings that are tried: what is measured of others is not said
  const measured = (news) => {
    if (news.of === trial) at("run-measured").textContent = news.measured || news.sentence || "";
    form().querySelector("[data-run=measure]").disabled = false;
  };
  const unmeasured = () => { trial += 1; at("run-measured").textContent = ""; };
  const adapterSaid = (id, words, failed) => {
    const place = document.querySelector(`[data-adapter="${CSS.escape(id)}"] #adapter-said`);
    if (!place) return;
    place.textContent = words;
    place.classList.toggle("failed", failed);
  };
  const suit = () => act("preset", { preset: chosen(), base: form().elements.base.value, dataset: form().elements.dataset.value });

  document.addEventListener("input", (event) => {
    const field = near(event, "#run-form [data-field]"), name = event.target.name;
    if (near(event, "#run-form [name=preset]")) { touched.clear(); unmeasured(); suit(); return check(); }
    if (field) {
      if (!["dataset", "base", "name"].includes(name)) touched.add(field.dataset.field);
      if (name === "base") drawAdapters();
      if (name === "dataset" || name === "base") suit();
      if (name === "dataset" && / adapter$/.test(form().elements.name.value))
        form().elements.name.value = `${event.target.selectedOptions[0].textContent.replace(/ \([\d,]+\)$/, "")} adapter`.slice(0, 80);
      if (name !== "name") unmeasured();
      changed();
      check();
    }
    if (event.target.id === "run-other") compare(event.target.value);
    if (event.target.id === "run-log-scale") drawPlots();
    if (event.target.id === "sample-step") { now.step = Number(event.target.value); drawSamples(); }
  });
  document.addEventListener("submit", (event) => {
    if (event.target.id !== "run-form") return;
    event.preventDefault();
    act("start", { form: values() });
  });
  document.addEventListener("submit", (event) => {
    const push = near(event, "[data-run-push]");
    if (!push) return;
    event.preventDefault();
    const { repo, token, private: hidden, merged } = push.elements;
    send("slow", { act: "push", run: now.open, repo: repo.value, token: token.value, private: hidden.checked,
      merged: Boolean(merged?.checked) });
    token.value = "";
  });

  // --- a run: its curves -----------------------------------------------------------------------
  const drawRun = () => { show(); drawPlots(); drawSamples(); };
  const drawPlots = () => { if (now.run) vlmPlots.draw([now.run, now.compared].filter(Boolean)); };
  addEventListener("resize", () => { if (visible() && now.run) drawPlots(); });

  // --- a run: answers over its steps -------------------------------------------------------------
  const drawSamples = () => {
    const steps = [...new Set(now.samples.flatMap((each) => each.answers.map((answer) => answer.step)))].sort((a, b) => a - b);
    if (!steps.length) return;
    const range = at("sample-step"), following = now.step == null || now.step >= Number(range.max);
    range.max = steps.length - 1;
    if (following) now.step = steps.length - 1;
    range.value = now.step;
    at("sample-when").hidden = steps.length < 2;
    const step = steps[Math.min(now.step, steps.length - 1)];
    at("sample-when").querySelector("output").textContent = `after step ${step.toLocaleString("en")}`;
    const list = at("sample-list");
    const keys = now.samples.map((each) => each.key).join(" ");
    if (list.dataset.keys !== keys) {
      list.replaceChildren(...now.samples.map((each) => made("article", { className: "sample" }, made("h3", { textContent: each.asked }),
        document.createElement("vlm-overlay"), made("p", { className: "said" }), made("p", { className: "right" }))));
      list.dataset.keys = keys;
    }
    now.samples.forEach((each, place) => drawSample(list.children[place], each, step));
  };
  const drawSample = (card, sample, step) => {
    const answer = sample.answers.findLast((each) => each.step <= step) || sample.answers[0];
    const shown = now.right && sample.right ? sample.right : answer;
    const said = JSON.stringify([sample.key, answer.step, now.right]);
    if (card.dataset.said === said) return;
    card.dataset.said = said;
    card.querySelector("vlm-overlay").data = { answer: said, picture: sample.picture, regions: shown.regions, editable: false };
    card.querySelector(".said").textContent = answer.text || "nothing";
    const right = card.querySelector(".right");
    right.hidden = !sample.right;
    right.replaceChildren(made("small", { textContent: "Right" }), ` ${sample.right?.text || "nothing"}`);
  };

  // --- buttons -------------------------------------------------------------------------------------
  const openHead = () => document.querySelector("#run-head [data-state]");
  const copy = async (text) => {
    try { await navigator.clipboard.writeText(text); } catch {  // a page that is not served over https
      const area = made("textarea", { value: text });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };
  const sure = (on, asks) => on.closest(".run-sure").classList.toggle("asking", asks);
  const acts = {
    new: () => { open(""); act("new", kept() || {}); },
    open: (on) => open(on.closest("[data-run-id]").dataset.runId),
    stop: () => act("stop", { run: now.open }),
    resume: () => act("resume", { run: now.open }),
    again: () => { forget(); const run = now.open; open(""); act("again", { run }); },
    "ask-delete": (on) => sure(on, true),
    keep: (on) => sure(on, false),
    delete: () => act("delete", { run: now.open, state: openHead().dataset.state }),
    chat: () => send("chat", { run: now.open }),
    merge: () => { adapterSaid(now.open, "Merging…", false); send("slow", { act: "merge", run: now.open }); },
    "add-merged": () => send("slow", { act: "add-merged", run: now.open }),
    bring: () => at("adapter-file").click(),
    "delete-adapter": () => act("delete-adapter", { run: now.open }),
    copy: async (on) => {
      await copy(on.closest(".run-repeat").querySelector(".toml").textContent);
      on.textContent = "Copied";
      setTimeout(() => { on.textContent = "Copy the file"; }, 1500);
    },
    measure: (on) => {
      on.disabled = true;
      at("run-measured").textContent = "A few steps are tried…";
      send("slow", { act: "measure", form: values(), number: trial += 1 });
    },
    right: (on) => {
      now.right = !now.right;
      on.setAttribute("aria-pressed", String(now.right));
      on.textContent = now.right ? "Show the model’s answers" : "Show the right answers";
      drawSamples();
    },
  };
  // --- an adapter from elsewhere ------------------------------------------------------------------
  const brought = (words, failed = false) => {
    const place = at("adapter-brought");
    place.hidden = !words;
    place.textContent = words;
    place.classList.toggle("failed", failed);
  };
  const bring = async (file) => {
    const button = document.querySelector("[data-run=bring]"), name = file.name.replace(/\.zip$/i, "").slice(0, 80);
    button.disabled = true;
    brought(`Receiving ${name}…`);
    try {
      const answer = await fetch(`${vlmRoot}/adapter?${new URLSearchParams({ name })}`, { method: "POST", body: file });
      if (!answer.ok) brought(await answer.text(), true);
      else {
        brought(`“${name}” is here: pick it in the chat, in the settings of its base, or go on from it in a new run.`);
        if (!now.open) act("new", kept() || {});
      }
    } catch { brought("The app could not be reached: try again when it is back.", true); }
    button.disabled = false;
  };
  document.addEventListener("change", (event) => {
    if (event.target.id !== "adapter-file" || !event.target.files.length) return;
    bring(event.target.files[0]);
    event.target.value = "";
  });
  document.addEventListener("click", (event) => {
    const on = near(event, "[data-run]");
    if (!on) return;
    acts[on.dataset.run]?.(on, event);
  });
  document.addEventListener("toggle", async (event) => {
    const log = event.target;
    if (!(log instanceof HTMLElement) || !log.matches("[data-run-log]") || !log.open) return;
    const answer = await fetch(`${vlmRoot}/runs/${encodeURIComponent(now.open)}/log`).catch(() => null);
    log.querySelector("pre").textContent = answer ? await answer.text() : "The app could not be reached: try again when it is back.";
  }, true);

  // --- the tab, a reload, and a dataset that is handed over ------------------------------------------
  const tab = (place, title) => [...document.querySelectorAll(`${place} [role=tab]`)].find((each) => each.textContent.trim() === title);
  const linked = new URL(location.href).searchParams.get("run");
  let begun = false, handed = "";
  window.vlmRunsOpened = () => {
    if (!visible()) return;
    ready = true;
    if (!begun) {
      begun = true;
      const before = linked && linked !== "new" ? linked : stored("vlm-run");
      if (handed) teach(); else open(before || "");
    } else if (handed) teach();
    else if (!now.open) act("new", kept() || {});  // datasets may have come or grown since
    show();
  };
  const teach = () => {
    forget();
    open("");
    act("new", { dataset: handed });
    handed = "";
  };
  document.addEventListener("vlm-teach", (event) => {
    handed = String(event.detail?.dataset || "");
    if (visible()) window.vlmRunsOpened();
  });
  window.vlmRunsStart = () => {
    if (!linked) return;
    let tries = 100;
    const look = setInterval(() => {
      if (visible() || !(tries -= 1)) return clearInterval(look);
      (tab("#tune-places", "Runs")?.checkVisibility() ? tab("#tune-places", "Runs") : tab("#tabs", "Fine-tune"))?.click();
    }, 100);
  };
  document.addEventListener("click", (event) => {
    if (near(event, "[role=tab]")) setTimeout(() => at("runs") && name(), 100);
  });
})();
