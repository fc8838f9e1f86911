// A tab outlives the server it came from. After a restart Gradio draws the page anew, blank; so the
// tab asks whether the server is still the same, and otherwise loads itself again. What was typed and
// not sent is kept for the tab, through any reload.
(() => {
  const KEPT = "vlm-app draft", EVERY = 3000;
  const box = () => document.querySelector("#message textarea");

  // --- what was typed --------------------------------------------------------------------
  const keep = (text) => text ? sessionStorage.setItem(KEPT, text) : sessionStorage.removeItem(KEPT);
  document.addEventListener("input", (event) => { if (event.target === box()) keep(event.target.value); }, true);
  document.addEventListener("keydown", (event) => {
    if (event.target === box() && event.key === "Enter" && !event.shiftKey) keep("");
  }, true);
  document.addEventListener("click", (event) => {
    if (event.target instanceof Element && event.target.closest("#message .submit-button")) keep("");
  }, true);
  const kept = sessionStorage.getItem(KEPT);
  const waiting = kept && setInterval(() => {
    if (!box() || !document.querySelector(".turn, .welcome")) return;
    clearInterval(waiting);
    if (box().value) return;
    box().value = kept;
    box().dispatchEvent(new Event("input", { bubbles: true }));
  }, 100);

  // --- another server --------------------------------------------------------------------
  let started = null;
  const look = async () => {
    if (document.hidden) return;
    let found;
    try {
      found = (await (await fetch(`${vlmRoot}/health`, { cache: "no-store" })).json()).started;
    } catch {  // it is away: the next look may find it again
      return;
    }
    if (started !== null && found !== started) location.reload();
    started = found;
  };
  setInterval(look, EVERY);
  document.addEventListener("visibilitychange", look);
  look();
})();
