// Clips with their waveform. They are decoded here, for the dashboard's policy lets no page play what it made itself by address.

import { h } from "./dom.js";
import { cssColor } from "./theme.js";

const RATE = 48000;
let output = null;
let playing = null;

// Return {element, stop()} of a clip, an encoded file.
export function audioPlayer(bytes, label) {
  const canvas = h("canvas", { class: "wave", "aria-hidden": "true" });
  const seek = h("input", { type: "range", min: 0, max: 1, step: "any", value: 0, disabled: true, "aria-label": `Position in ${label}`, oninput() {
    const wasPlaying = Boolean(source);
    stop();
    if (wasPlaying) play();
    show();
  } });
  const button = h("button", { class: "plain play", disabled: true, "aria-label": `Play ${label}`, onclick: () => (source ? stop() : play()) }, "▶");
  const time = h("output", { class: "soft" });
  const element = h("div", { class: "clip" }, canvas, h("div", { class: "slider" }, button, seek, time));
  let buffer = null;
  let source = null;
  let began = 0;

  const at = () => Number(seek.value) * buffer.duration;

  function play() {
    if (playing) playing();
    output = output || new AudioContext();
    output.resume();
    if (Number(seek.value) >= 1) seek.value = 0;
    source = output.createBufferSource();
    source.buffer = buffer;
    source.connect(output.destination);
    source.onended = () => {
      seek.value = 1;
      stop();
    };
    began = output.currentTime - at();
    source.start(0, at());
    playing = stop;
    button.textContent = "❚❚";
    requestAnimationFrame(follow);
  }

  function stop() {
    if (!source) return;
    source.onended = null;
    source.stop();
    source = null;
    playing = null;
    button.textContent = "▶";
    show();
  }

  function follow() {
    if (!source) return;
    if (!element.isConnected) return stop();
    seek.value = Math.min(1, (output.currentTime - began) / buffer.duration);
    show();
    requestAnimationFrame(follow);
  }

  function show() {
    time.textContent = `${at().toFixed(2)} / ${buffer.duration.toFixed(2)} s`;
    seek.setAttribute("aria-valuetext", time.textContent);
    draw(canvas, buffer, Number(seek.value));
  }

  const decoder = new OfflineAudioContext(1, 1, RATE);
  decoder.decodeAudioData(bytes.slice().buffer).then((decoded) => {
    buffer = decoded;
    button.disabled = seek.disabled = false;
    new ResizeObserver(show).observe(canvas);
  }, () => element.replaceChildren(h("p", { class: "empty" }, "This browser cannot decode the clip.")));
  return { element, stop };
}

function draw(canvas, buffer, part) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((size) => Math.round(size * devicePixelRatio));
  if (!width) return;
  Object.assign(canvas, { width, height });
  const ink = canvas.getContext("2d");
  const samples = buffer.getChannelData(0);
  const every = samples.length / width;
  for (let x = 0; x < width; x++) {
    let [low, high] = [0, 0];
    for (let i = Math.floor(x * every); i < (x + 1) * every && i < samples.length; i++) {
      low = Math.min(low, samples[i]);
      high = Math.max(high, samples[i]);
    }
    ink.fillStyle = cssColor(x < part * width ? "--accent" : "--soft");
    ink.fillRect(x, ((1 - high) / 2) * height, 1, Math.max(1, ((high - low) / 2) * height));
  }
}
