// Presses go to the server one at a time, each on what the one before it left. `send` is told a press once
// the one before it was answered, and says no while it cannot reach the server yet; `lost` is told one
// whose answer is not coming.
const vlmPresses = (send, lost = () => {}) => {
  const LATE = 30000, AGAIN = 100;  // milliseconds: the server was asked and is gone; it is not there yet
  const waiting = [];
  let under = null, late = 0;  // the press that is under way
  const next = () => {
    clearTimeout(late);
    if (under || !waiting.length) return;
    if (send(waiting[0]) === false) late = setTimeout(next, AGAIN);
    else {
      under = waiting.shift();
      late = setTimeout(() => { lost(under); done(); }, LATE);
    }
  };
  const done = () => { under = null; next(); };
  return {
    waiting, done,
    under: () => under,
    busy: () => Boolean(under || waiting.length),
    push: (press) => { waiting.push(press); if (!under) next(); },
  };
};
