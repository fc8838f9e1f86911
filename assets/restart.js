// A tab outlives the server it came from. After a restart Gradio draws the page anew, blank; so the
// tab asks whether the server is still the same, and otherwise loads itself again. The same question
// brings whether a model changed by itself: only then are its chips asked for, which costs a page that
// nobody touches far more.
(() => {
  const EVERY = 2000, OFTEN = 10;  // milliseconds; looks after which the chips are asked for in any case
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
