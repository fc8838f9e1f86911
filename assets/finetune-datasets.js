// Datasets in the browser: which one is open, its pages, uploads, drag and drop.
// The server tells what there is; what a person or a file wrote only ever becomes text here.
(() => {
  let ready = false;
  const act = (act, more = {}, tries = 100) => {
    if (ready && window.vlmTune) window.vlmTune.act({ act, ...more });
    else if (tries) setTimeout(() => window.vlmTune ? (ready = true, window.vlmTune.act({ act, ...more })) : null, 100);
  };
  window.vlmTuneTell = () => {};
  window.vlmTuneOpened = () => { ready = true; act("look"); };
  window.vlmTuneStart = () => {};
})();
