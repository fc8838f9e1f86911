// A press that comes while the answer to another one ends is answered, too: see `vlm_app/api/streams.py`.
// Gradio's client hears of a press only after it has heard that the stream before it has ended, if it has.
(() => {
  const LATE = 3000;  // milliseconds: then the end is not coming
  const tab = crypto.randomUUID?.() ?? String(Math.random()).slice(2);
  const ask = window.fetch.bind(window);
  const last = { number: 0, ended: Promise.resolve() };  // of this tab's streams
  const named = (request) => {
    request.headers.set("x-stream", `${tab}.${last.number}`);
    return request;
  };
  window.fetch = async (address, options) => {
    const { pathname } = new URL(address.url ?? address, location.href);
    if (pathname.endsWith("/queue/data")) {
      const request = new Request(address, options);
      last.number += 1;
      // The client ends a stream of which it has heard that it is over.
      last.ended = new Promise((done) => request.signal.addEventListener("abort", done, { once: true }));
      return ask(named(request));
    }
    if (!pathname.endsWith("/queue/join")) return ask(address, options);
    const answer = await ask(named(new Request(address, options)));
    if (Number(answer.headers.get("x-stream-ended")) >= last.number)
      await Promise.race([last.ended, new Promise((done) => setTimeout(done, LATE))]);
    return answer;
  };
})();
