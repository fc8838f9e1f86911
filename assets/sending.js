// The message box. What was typed and not sent is kept for the tab, through any reload. What is sent while
// another chat is being opened, or another model was just chosen, waits for it: there it belongs.
(() => {
  const KEPT = "vlm-app draft";
  const BOX = "#message textarea", BUTTON = "#message .submit-button";
  const box = () => document.querySelector(BOX);
  const keep = (text) => text ? sessionStorage.setItem(KEPT, text) : sessionStorage.removeItem(KEPT);
  document.addEventListener("input", (event) => { if (event.target === box()) keep(event.target.value); }, true);

  const LATE = 2000;  // milliseconds: then nobody says that the message before is through
  let through = true;  // the message before: Gradio takes none until then, also where its answer is whole
  window.vlmSent = () => { through = true; };
  const waits = () => window.vlmActing() || (!through && document.querySelector(BUTTON));

  let leaving;
  const leaves = () => {  // the server empties the box once it has the message: until then it is not sent
    if (box().value || document.querySelector("#message .thumbnail-item")) through = false;
    clearInterval(leaving);
    leaving = setInterval(() => {
      if (!box() || box().value) return;
      clearInterval(leaving);
      keep("");
    }, 100);
  };
  let held;
  const hold = () => {
    const since = performance.now();
    clearInterval(held);
    held = setInterval(() => {
      if (window.vlmActing() || (waits() && performance.now() - since < LATE)) return;
      clearInterval(held);
      through = true;
      document.querySelector(BUTTON)?.click();
    }, 50);
  };
  const sends = (event) => {
    if (!waits()) return leaves();
    event.preventDefault();
    event.stopImmediatePropagation();
    hold();
  };
  document.addEventListener("keydown", (event) => {
    if (event.target === box() && event.key === "Enter" && !event.shiftKey && !vlmComposes(event)) sends(event);
  }, true);
  document.addEventListener("click", (event) => {
    if (event.target instanceof Element && event.target.closest(BUTTON)) sends(event);
  }, true);

  const kept = sessionStorage.getItem(KEPT);
  const waiting = kept && setInterval(() => {
    if (!box() || !document.querySelector(".turn, .welcome")) return;
    clearInterval(waiting);
    if (box().value) return;
    box().value = kept;
    box().dispatchEvent(new Event("input", { bubbles: true }));
  }, 100);
})();
