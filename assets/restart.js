// A tab outlives the server it came from. After a restart Gradio draws the page anew, blank; so the
// tab asks whether the server is still the same, and otherwise loads itself again. What was typed and
// not sent is kept for the tab, through any reload. The same question brings whether a model changed by
// itself: only then are its chips asked for, which costs a page that nobody touches far more.
(() => {
  const KEPT = "vlm-app draft", EVERY = 2000, OFTEN = 10;  // milliseconds; looks after which the chips are asked for in any case
  const box = () => document.querySelector("#message textarea");

  // --- what was typed --------------------------------------------------------------------
  const keep = (text) => text ? sessionStorage.setItem(KEPT, text) : sessionStorage.removeItem(KEPT);
  document.addEventListener("input", (event) => { if (event.target === box()) keep(event.target.value); }, true);
  let leaving;
  const send = () => {  // the server empties the box once it has the message: until then it is not sent
    clearInterval(leaving);
    leaving = setInterval(() => {
      if (!box() || box().value) return;
      clearInterval(leaving);
      keep("");
    }, 100);
  };
  document.addEventListener("keydown", (event) => {
    if (event.target === box() && event.key === "Enter" && !event.shiftKey) send();
  }, true);
  document.addEventListener("click", (event) => {
    if (event.target instanceof Element && event.target.closest("#message .submit-button")) send();
  }, true);
  const kept = sessionStorage.getItem(KEPT);
  const waiting = kept && setInterval(() => {
    if (!box() || !document.querySelector(".turn, .welcome")) return;
    clearInterval(waiting);
    if (box().value) return;
    box().value = kept;
    box().dispatchEvent(new Event("input", { bubbles: true }));
  }, 100);

  // --- another server, and other models --------------------------------------------------
  let started = null, news = null, looks = 0;
  const look = async () => {
    if (document.hidden) return;
    let found;
    try {
      found = await (await fetch(`${vlmRoot}/news`, { cache: "no-store" })).json();
    } catch {  // it is away: the next look may find it again
      return;
    }
    if (started !== null && found.started !== started) location.reload();
    if (news !== null && (found.news !== news || ++looks % OFTEN === 0)) window.vlmNews?.();
    ({ started, news } = found);
  };
  setInterval(look, EVERY);
  document.addEventListener("visibilitychange", look);
  look();
})();
