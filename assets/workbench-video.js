// The video of the workbench: its player, and the slider that goes through it where it cannot be played, too.
const vlmVideo = (() => {
  const at = (id) => document.getElementById(id);
  const near = (event, selector) => event.target instanceof Element ? event.target.closest(selector) : null;
  const clock = (seconds) => {
    const whole = Math.floor(seconds), two = (number) => String(number).padStart(2, "0");
    const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
    return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  };
  let length = 0;  // seconds

  /** What `video` tells: its address, its seconds, and whether few of its frames are pages; null for none. */
  const draw = (video) => {
    const place = at("bench-video"), player = place.querySelector("video");
    place.hidden = !video;
    length = video?.seconds || 0;
    if (!video) { if (player.src) player.removeAttribute("src"); return; }
    if (player.getAttribute("src") !== video.source) {
      place.querySelector(".unplayable").hidden = true;
      player.hidden = false;
      player.src = video.source;
    }
    at("few-frames").hidden = !video.few;
    const range = place.querySelector("input[type=range]");
    range.max = video.seconds;
    setTime(Number(range.value), false);
  };
  const setTime = (seconds, seek = true) => {
    const place = at("bench-video"), range = place.querySelector("input[type=range]"), player = place.querySelector("video");
    range.value = seconds;
    place.querySelector("output").textContent = `${clock(range.value)} / ${clock(length)}`;
    if (seek && !player.hidden && Math.abs(player.currentTime - seconds) > 0.02) player.currentTime = seconds;
  };
  const time = () => Number(at("bench-video").querySelector("input[type=range]").value);
  document.addEventListener("error", (event) => {
    if (!(event.target instanceof HTMLVideoElement) || !event.target.closest("#bench-video")) return;
    event.target.hidden = true;
    at("bench-video").querySelector(".unplayable").hidden = false;
  }, true);
  document.addEventListener("timeupdate", (event) => {
    if (event.target instanceof HTMLVideoElement && event.target.closest("#bench-video")) setTime(event.target.currentTime, false);
  }, true);
  document.addEventListener("input", (event) => {
    if (near(event, "#bench-video input[type=range]")) setTime(Number(event.target.value));
  });
  return { draw, time, go: setTime };
})();
