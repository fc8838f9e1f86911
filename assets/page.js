// What the page does in the browser by itself: one delegated listener for the buttons in
// messages and lists, phrases and regions that light up together, editing in place, the address.
(() => {
  const send = (way, data) => way === "quick" ? quick(data) : window.vlmBridge?.[way]?.(data);

  // --- presses: the same one twice is one ------------------------------------------------
  const presses = vlmPresses((press) => window.vlmBridge ? window.vlmBridge.quick(JSON.parse(press)) : false);
  const quick = (data) => {
    const press = JSON.stringify(data);
    if (![presses.under(), ...presses.waiting].includes(press)) presses.push(press);
  };
  window.vlmActed = () => presses.done();
  const CHOOSING = 30000;  // milliseconds in which the server has said what another model can do
  let chosen = -Infinity;
  window.vlmChooses = () => { chosen = performance.now(); };
  window.vlmChose = () => { chosen = -Infinity; };
  window.vlmActing = () => presses.busy() || performance.now() - chosen < CHOOSING;
  const near = (event, selector) => event.target instanceof Element ? event.target.closest(selector) : null;

  // --- phrases and regions ---------------------------------------------------------------
  // Gradio writes a new state of an answer over the old one, which takes the marks off a phrase that the
  // mouse still rests on; nothing enters or leaves it then. So what is looked at is marked again.
  let over = null, at = [0, 0];  // what the pointer is on, and where it is
  const mark = (each, name, on) => { if (each.classList.contains(name) !== on) each.classList.toggle(name, on); };
  const light = () => {
    const on = over ?? document.querySelector(".turn [data-r]:focus-visible");
    const scope = on?.closest(".side, .turn"), keys = new Set(on?.dataset.r.split(" "));
    const mine = (each) => scope?.contains(each) && each.dataset.r.split(" ").some((key) => keys.has(key));
    for (const each of document.querySelectorAll(".turn .lit")) if (!mine(each)) mark(each, "lit", false);
    for (const each of document.querySelectorAll(".has-lit:is(.turn, .side)")) mark(each, "has-lit", each === scope);
    if (!scope) return;
    for (const each of scope.querySelectorAll("[data-r]")) mark(each, "lit", mine(each));
    mark(scope, "has-lit", true);
  };
  const look = (on) => { if (on !== over) { over = on; light(); } };
  for (const name of ["pointerover", "pointermove"])
    document.addEventListener(name, (event) => {
      at = [event.clientX, event.clientY];
      look(near(event, ".turn [data-r]"));
    });
  document.addEventListener("pointerout", (event) => { if (!event.relatedTarget) look(null); });
  for (const name of ["focusin", "focusout"]) document.addEventListener(name, light);
  new MutationObserver(() => {
    const there = over?.isConnected && over.matches(".turn [data-r]");
    if (over && !there) over = document.elementFromPoint(...at)?.closest(".turn [data-r]") ?? null;
    if (over || document.querySelector(".has-lit:is(.turn, .side)")) light();
  }).observe(document, { childList: true, subtree: true, attributes: true, attributeFilter: ["class", "data-r"] });

  // --- a refused upload: Gradio puts the number of the answer before its sentence -----------
  const plain = (toast) => {
    const text = toast.firstChild;
    if (text?.nodeType === Node.TEXT_NODE) text.data = text.data.replace(/^HTTP 4\d\d: /, "");
  };
  new MutationObserver(() => document.querySelectorAll('[data-testid="toast-text"]').forEach(plain))
    .observe(document.documentElement, { childList: true, subtree: true });

  // --- copying ---------------------------------------------------------------------------
  const copy = async (button) => {
    const turn = button.closest(".side, .turn");
    const text = [...turn.querySelectorAll(".said, .prose-text")].map((each) => each.innerText).join("\n").trim();
    try {
      await navigator.clipboard.writeText(text);
    } catch {  // a page that is not served over https has no clipboard of its own
      const area = Object.assign(document.createElement("textarea"), { value: text });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), 1500);
  };

  // --- editing a message in place --------------------------------------------------------
  const button = (label, kind, act) => {
    const made = Object.assign(document.createElement("button"), { type: "button", textContent: label });
    made.className = kind;
    made.dataset.act = act;
    return made;
  };
  const grow = (area) => { area.style.height = "auto"; area.style.height = `${area.scrollHeight + 2}px`; };
  const edit = (turn) => {
    if (turn.classList.contains("editing")) return;
    turn.classList.add("editing");
    const parts = turn.querySelector(".parts");
    const said = [...parts.querySelectorAll(".said")];
    const fields = said.length ? said : [Object.assign(document.createElement("div"), { className: "said added" })];
    if (!said.length) parts.append(fields[0]);
    for (const each of fields) {
      const area = document.createElement("textarea");
      area.rows = 1;
      area.value = each.textContent;
      area.dataset.part = each.dataset.part || "";
      area.setAttribute("aria-label", "Message text");
      each.after(area);
      grow(area);
      area.addEventListener("input", () => { grow(area); keepEdit(turn); });
    }
    const row = document.createElement("div");
    row.className = "edit-row";
    row.append(button("Cancel", "plain", "edit-cancel"), button("Send", "plain strong", "edit-send"));
    parts.after(row);
    const first = parts.querySelector("textarea");
    first.focus();
    first.setSelectionRange(first.value.length, first.value.length);
  };
  // Gradio loads the page again where a press could not reach the server: what was rewritten is kept for the tab.
  const EDIT = "vlm-app edit";
  const written = (turn) => [...turn.querySelectorAll("textarea")].map((area) => [area.dataset.part, area.value]);
  const keepEdit = (turn) =>
    sessionStorage.setItem(EDIT, JSON.stringify({ message: turn.dataset.message, texts: written(turn) }));
  const kept = JSON.parse(sessionStorage.getItem(EDIT) || "null");
  const reopening = kept && setInterval(() => {
    if (!document.querySelector(".turn, .welcome")) return;
    clearInterval(reopening);
    sessionStorage.removeItem(EDIT);
    const turn = document.querySelector(`.turn.asked[data-message="${CSS.escape(kept.message)}"]`);
    if (!turn) return;  // it was taken, or another chat is open
    edit(turn);
    for (const [part, text] of kept.texts) {
      const area = turn.querySelector(`textarea[data-part="${CSS.escape(part)}"]`);
      area.value = text;
      area.dispatchEvent(new Event("input"));
    }
  }, 100);
  const endEdit = (turn) => {
    sessionStorage.removeItem(EDIT);
    turn.classList.remove("editing");
    turn.querySelectorAll("textarea, .edit-row, .said.added").forEach((each) => each.remove());
  };
  const sendEdit = (turn) => {  // the turn leaves for a new one once it is taken: until then the text is here
    send("ask", { act: "edit", message: turn.dataset.message, texts: written(turn) });
  };

  // --- what would be left out ---------------------------------------------------------------
  // Several events ask the server; one that was overtaken by a later one says nothing any more.
  const notice = { asked: 0, said: 0, html: "" };
  window.vlmAsksLeft = () => (notice.asked += 1);
  window.vlmLeft = (text) => {
    const news = JSON.parse(text || "{}");
    if (news.number > notice.said) Object.assign(notice, { said: news.number, html: news.html });
    return notice.html;
  };

  // --- the list of chats -----------------------------------------------------------------
  const rename = (row) => {
    const link = row.querySelector("a");
    const field = Object.assign(document.createElement("input"), { value: link.textContent, className: "rename" });
    field.setAttribute("aria-label", "Name of the chat");
    row.classList.add("renaming");
    link.before(field);
    field.focus();
    field.select();
    let ended = false;  // a field that goes says that it lost the focus, while it is still there
    const end = (keep) => {
      if (ended) return;
      ended = true;
      const title = field.value.trim();
      field.remove();
      row.classList.remove("renaming");
      if (keep && title && title !== link.textContent) send("quick", { act: "rename", chat: row.dataset.chat, title });
    };
    field.addEventListener("blur", () => end(true));
    field.addEventListener("keydown", (event) => {
      if (vlmComposes(event)) return;
      if (event.key === "Enter") end(true);
      if (event.key === "Escape") end(false);
    });
  };
  const closeSidebarOnPhone = () => {
    if (window.innerWidth < 768) document.querySelector(".sidebar.open .toggle-button")?.click();
  };

  window.vlmNew = () => { send("quick", { act: "new" }); closeSidebarOnPhone(); };

  // A phone starts with the chat, not with the list over it: closed as soon as the page is alive.
  const closing = setInterval(() => {
    const sidebar = document.querySelector(".sidebar");
    if (!sidebar || !document.querySelector(".turn, .welcome")) return;
    if (window.innerWidth >= 768 || !sidebar.classList.contains("open")) clearInterval(closing);
    else closeSidebarOnPhone();
  }, 100);

  // --- the table of models ---------------------------------------------------------------
  const models = () => [...document.querySelectorAll("#model-table tbody[data-model]")];
  window.vlmShow = (ids) => {
    const shown = new Set(JSON.parse(ids || "[]"));
    for (const each of models()) each.hidden = !shown.has(each.dataset.model);
  };
  const compare = (one, other) => one !== "" && other !== "" && !isNaN(one) && !isNaN(other)
    ? one - other : one.localeCompare(other);
  const sort = (on) => {
    const head = on.closest("th"), before = head.getAttribute("aria-sort");
    const order = { null: "ascending", ascending: "descending", descending: null }[before];
    for (const each of head.parentElement.children) each.removeAttribute("aria-sort");
    if (order) head.setAttribute("aria-sort", order);
    sorted(head, order);
  };
  const sorted = (head, order) => {
    const key = head.querySelector("button").dataset.key, sign = order === "descending" ? -1 : 1;
    const rows = models().sort((one, other) => {
      const [a, b] = [one.dataset[key], other.dataset[key]];
      if (order && a !== b) return a === "" ? 1 : b === "" ? -1 : sign * compare(a, b);  // unknown comes last
      return one.dataset.at - other.dataset.at;
    });
    head.closest("table").append(...rows);
  };
  document.addEventListener("steady-drawn", () => {  // with a new row, in the server's order
    const head = document.querySelector("#model-table th[aria-sort]");
    if (head) sorted(head, head.getAttribute("aria-sort"));
  });
  const unfold = (on) => {
    const more = document.getElementById(on.getAttribute("aria-controls"));
    more.hidden = !more.hidden;
    on.setAttribute("aria-expanded", String(!more.hidden));
    if (!more.hidden && more.querySelector(".estimate-slot")) engine("estimate", on);
  };
  const toFold = (fold, first) => {
    const its = document.querySelector(fold);
    if (!its.querySelector("input")?.checkVisibility()) its.querySelector("button").click();
    its.scrollIntoView({ block: "center" });
    setTimeout(() => its.querySelector(first)?.focus(), 50);
  };
  const toSignIn = () => toFold("#sign-in", "input[type=password]");
  const toServers = () => toFold("#add-a-server", "#server-name input");

  // --- servers ---------------------------------------------------------------------------
  let asked = 0;  // presses that wait for their answer
  const server = (act, on, more = {}) => {
    asked += 1;
    window.vlmServers?.({ act, server: on.closest("[data-server]").dataset.server, ...more });
  };
  window.vlmServed = () => {  // a family that was refused goes back to what the server wrote
    asked -= 1;
    if (asked) return;
    for (const each of document.querySelectorAll("[data-family] option")) each.selected = each.defaultSelected;
  };
  document.addEventListener("change", (event) => {
    const on = near(event, "[data-family]");
    if (on) server("family", on, { model: on.dataset.family, family: on.value });
  });
  // Another kind of server: what nobody typed by hand changes with it.
  window.vlmKind = (kinds, kind, name, url) => {
    const [named, usual, about] = kinds[kind], all = Object.values(kinds);
    const own = (text, at) => text.trim() && !all.some((each) => each[at] === text.trim());
    return [own(name, 0) ? name : named, own(url, 1) ? url : usual, about];
  };
  const sure = (on, asks) => {
    const ways = on.closest(".ways");
    ways.classList.toggle("asking", asks);
    ways.querySelector(asks ? "[data-act=server-keep]" : "[data-act=server-ask]").focus();
  };

  // --- the engine: verdicts in the table, loading and unloading ---------------------------
  const engine = (act, on) => {
    const its = on.closest("[data-model]");
    window.vlmEngine?.({ act, model: its?.dataset.model || "", precision: its?.dataset.precision || "" });
  };
  const told = { cells: {}, estimates: {} };  // by the model's id; the table may be drawn anew
  window.vlmTell = (text) => {
    const news = JSON.parse(text || "{}");
    Object.assign(told.cells, news.cells);
    if (news.estimate) told.estimates[news.estimate.model] = news.estimate.html;
    for (const row of models()) {
      const cell = told.cells[row.dataset.model], place = row.querySelector(".line .runs");
      if (cell) Object.assign(row.dataset, { runs: cell.key, state: cell.state });
      if (cell && place.innerHTML !== cell.html) place.innerHTML = cell.html;
      const slot = row.querySelector(".estimate-slot"), html = told.estimates[row.dataset.model];
      if (html && slot.innerHTML !== html) slot.innerHTML = html;
    }
  };
  window.vlmSees = (selector) => Boolean(document.querySelector(selector)?.checkVisibility());
  // A list closes up when a model leaves it: a double click must not unload the next one, too.
  let left = 0;
  const once = (act) => (on, event) => {
    if (event.timeStamp - left > 800) engine(act, on);
    left = event.timeStamp;
  };
  // The chip's fold lies in the top layer, where it knows nothing of the chip's place.
  document.addEventListener("beforetoggle", (event) => {
    if (event.target.id !== "chip-more" || event.newState !== "open") return;
    const at = document.querySelector("#chip .chip").getBoundingClientRect();
    document.documentElement.style.setProperty("--chip-left", `${Math.max(8, Math.min(at.left, innerWidth - 328))}px`);
    document.documentElement.style.setProperty("--chip-top", `${at.bottom + 8}px`);
  }, true);
  const toModels = () => {
    document.querySelector("#chip-more")?.hidePopover?.();
    [...document.querySelectorAll("#tabs [role=tab]")].find((tab) => tab.textContent.trim() === "Models")?.click();
  };

  // --- one listener for all buttons ------------------------------------------------------
  const acts = {
    copy: (on) => copy(on),
    edit: (on) => edit(on.closest(".turn")),
    "edit-cancel": (on) => endEdit(on.closest(".turn")),
    "edit-send": (on) => sendEdit(on.closest(".turn")),
    regenerate: () => send("ask", { act: "regenerate" }),
    continue: () => send("ask", { act: "continue" }),
    switch: (on) => send("ask", { act: "switch", model: on.dataset.model }),
    again: (on) => {
      document.querySelector("#again-menu")?.hidePopover?.();
      send("ask", { act: "again", model: on.dataset.model, adapter: on.dataset.adapter || "" });
      showLive();
    },
    choose: (on) => pickAnswer("choose", on),
    "go-on": (on) => pickAnswer("go-on", on),
    example: (on) => send("ask", { act: "example", name: on.dataset.name }),
    open: (on) => { send("quick", { act: "open", chat: on.closest("[data-chat]").dataset.chat }); closeSidebarOnPhone(); },
    rename: (on) => rename(on.closest("[data-chat]")),
    "ask-delete": (on) => on.closest("[data-chat]").classList.add("deleting"),
    "keep": (on) => on.closest("[data-chat]").classList.remove("deleting"),
    delete: (on) => send("quick", { act: "delete", chat: on.closest("[data-chat]").dataset.chat }),
  };
  Object.assign(acts, {
    sort,
    unfold,
    "to-sign-in": toSignIn,
    "to-servers": toServers,
    "to-models": toModels,
    "server-look": (on) => server("look", on),
    "server-ask": (on) => sure(on, true),
    "server-keep": (on) => sure(on, false),
    "server-remove": (on) => { server("remove", on); sure(on, false); },
    unload: once("unload"),
    cancel: once("cancel"),
    load: (on) => engine("load", on),
    offer: once("offer"),
    pick: (on) => window.vlmEngine?.({ act: "pick", model: on.dataset.model }),
    "chat-with": (on) => window.vlmModels?.({ act: "chat", model: on.closest("[data-model]").dataset.model }),
    "add-found": (on) => window.vlmModels?.({ act: "add", model: on.dataset.model }),
  });
  // The column that is being written comes into sight: on a phone it stands below the first.
  const showLive = () => {
    const look = setInterval(() => {
      const side = document.querySelector(".side.live");
      if (!side) return;
      clearInterval(look);
      side.scrollIntoView({ block: innerWidth < 768 ? "start" : "nearest" });
    }, 100);
    setTimeout(() => clearInterval(look), 5000);
  };
  const pickAnswer = (act, on) =>
    send("quick", { act, message: on.closest(".turn").dataset.message, index: Number(on.dataset.index) });
  // The menu of other models lies in the top layer: above or below its button, where there is more room.
  document.addEventListener("beforetoggle", (event) => {
    if (event.target.id !== "again-menu" || event.newState !== "open") return;
    const at = document.querySelector("[popovertarget=again-menu]").getBoundingClientRect();
    const [above, below] = [at.top - 64, innerHeight - at.bottom - 16];
    const up = above > below;
    Object.assign(event.target.style, {
      left: `${Math.max(8, Math.min(at.left, innerWidth - 296))}px`,
      top: up ? "auto" : `${at.bottom + 4}px`,
      bottom: up ? `${innerHeight - at.top + 4}px` : "auto",
      maxHeight: `${Math.min(360, up ? above : below)}px`,
    });
  }, true);
  document.addEventListener("click", (event) => {
    const on = near(event, "[data-act]");
    for (const menu of document.querySelectorAll("details.menu[open]"))
      if (!menu.contains(event.target) || near(event, "details.menu a")) menu.removeAttribute("open");
    if (!on || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    acts[on.dataset.act]?.(on, event);
  });
  document.addEventListener("keydown", (event) => {
    const area = near(event, ".turn.editing textarea");
    if (!area || vlmComposes(event)) return;
    if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); sendEdit(area.closest(".turn")); }
    if (event.key === "Escape") endEdit(area.closest(".turn"));
  });

  // --- files dropped anywhere go to the message ------------------------------------------
  document.addEventListener("dragover", (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    if (!event.dataTransfer?.files.length || near(event, "#message")) return;
    event.preventDefault();
    const picker = document.querySelector("#message input[type=file]");
    if (!picker) return;
    picker.files = event.dataTransfer.files;
    picker.dispatchEvent(new Event("change", { bubbles: true }));
  });

  // --- the address names the chat, so that a reload finds it -----------------------------
  window.vlmAddress = (chat) => {
    const url = new URL(location.href);
    if (chat) url.searchParams.set("chat", chat); else url.searchParams.delete("chat");
    history.replaceState(history.state, "", url);
  };
  window.vlmChat = () => new URL(location.href).searchParams.get("chat") || "";
})();
