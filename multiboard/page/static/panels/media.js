// Pictures, clips and texts of all runs at one step, side by side.

import { audioPlayer } from "../audio.js";
import { nearestIndex, select, stepSlider } from "../controls.js";
import { fill, h } from "../dom.js";
import { number } from "../format.js";
import { rendered } from "../markdown.js";
import { runName } from "../tables.js";

const DRAWN_FROM = ["data", "theme", "media", "mediaStep"];
const SMALL = 96;
const WIDE = 176;
const NARROW = 112;
const NOUNS = { images: "pictures", audios: "clips", texts: "texts" };

// Return the panel of pictures, clips and texts.
export function mediaPanel(context) {
  const { state, source } = context;
  const choice = select("What is shown", [], "", (tag) => state.set({ media: tag }));
  const slider = stepSlider("Step of what is shown", (step) => state.set({ mediaStep: step }));
  const bar = h("div", { class: "controls" }, choice.element, slider.element);
  const grid = h("div", { class: "media" });
  const light = lightbox((by) => {
    const next = steps[steps.indexOf(now) + by];
    if (next !== undefined) state.set({ mediaStep: next });
  });
  const element = h("div", {}, bar, grid, light.element);
  let steps = [];
  let now = 0;
  let leave = () => {};

  async function update(changed) {
    if (!DRAWN_FROM.some((key) => changed.has(key))) return;
    const part = await source.get("media");
    const entries = part ? Object.keys(NOUNS).flatMap((kind) => part.tags.filter((entry) => entry.kind === kind)) : [];
    bar.hidden = !entries.length;
    if (!entries.length) return show([{ element: h("p", { class: "empty" }, part
      ? "No run holds pictures, clips or texts." : "This page does not hold pictures, clips or texts."), pictures: [], leave() {} }]);
    const entry = entries.find(({ tag }) => tag === state.get("media", "")) || entries[0];
    choice.offer(entries.map(({ tag, kind }) => ({ value: tag, label: `${tag} · ${NOUNS[kind]}` })));
    choice.set(entry.tag);
    const runs = context.shown();
    steps = [...new Set(runs.flatMap((run) => [...(entry.runs[run] || [])]))].sort((a, b) => a - b);
    now = steps[nearestIndex(steps, state.get("mediaStep", Infinity))];
    slider.offer(steps);
    slider.set(now);
    const found = await Promise.all(runs.map((run) => foundOf(run, entry, now)));
    show(found.map((one) => cellOf(one, entry, now)));
  }

  function show(cells) {
    leave();
    leave = () => cells.forEach((cell) => cell.leave());
    fill(grid, cells.map((cell) => cell.element));
    light.offer(cells.flatMap((cell) => cell.pictures));
  }

  // All answers are awaited before anything is made, so that nothing is left over if one of them is an error.
  async function foundOf(run, entry, step) {
    const own = entry.runs[run] || [];
    const found = own.length ? own[nearestIndex(own, step)] : undefined;
    const has = found !== undefined && found <= step;
    return { run, own, found, has, medium: has ? await source.get("medium", { run, step: found, tag: entry.tag }) : null };
  }

  function cellOf({ run, own, found, has, medium }, entry, step) {
    const head = h("header", {}, h("b", {}, runName(context, run)),
      h("span", { class: found === step ? "soft" : "late" }, has ? `step ${number(found)}` : null, has && found !== step && ", the last one before"));
    const shown = medium ? contentOf(medium, entry, `${run}, ${entry.tag}, step ${found}`) : { pictures: [], leave() {},
      body: h("p", { class: "empty" }, has ? "This page does not hold it." : own.length ? "Nothing up to this step." : "This run does not have it.") };
    return { ...shown, element: h("article", {}, head, shown.body) };
  }

  function contentOf(medium, entry, label) {
    if (medium.text !== undefined) return { body: h("div", { class: "text" }, rendered(medium.text)), pictures: [], leave() {} };
    const several = medium.items.length > 1;
    const named = medium.items.map((bytes, i) => [bytes, several ? `${label}, ${i + 1} of ${medium.items.length}` : label]);
    if (entry.kind === "audios") {
      const players = named.map(([bytes, name]) => audioPlayer(bytes, name));
      return { body: players.map((player) => player.element), pictures: [], leave: () => players.forEach((player) => player.stop()) };
    }
    const pictures = named.map(([bytes, name]) => picture(bytes, medium.mime, name, light, named.length > 2 ? NARROW : WIDE));
    return { body: h("div", { class: "shots" }, pictures.map((one) => one.element)), pictures, leave: () => pictures.forEach((one) => one.leave()) };
  }
  return { id: "media", title: "Media", element, update };
}

function picture(bytes, mime, label, light, wide) {
  const address = URL.createObjectURL(new Blob([bytes], { type: /^image\/[a-z+.-]+$/.test(mime) ? mime : "image/png" }));
  const image = h("img", { alt: label, onload() {
    const times = Math.max(image.naturalWidth, image.naturalHeight) <= SMALL ? Math.max(1, Math.floor(wide / image.naturalWidth)) : 1;
    image.style.width = `${times * image.naturalWidth}px`;
    image.classList.toggle("pixels", times > 1);
    button.title = `${label}: ${image.naturalWidth} × ${image.naturalHeight}`;
  }, onerror: () => button.replaceWith(h("p", { class: "empty" }, "This browser cannot show the picture.")) });
  const button = h("button", { class: "plain shot", onclick: () => light.open(one) }, image);
  const one = { element: button, image, address, label, leave: () => URL.revokeObjectURL(address) };
  image.src = address;
  return one;
}

// Return {element, open(picture), offer(pictures)} of a window with one picture, as large as it goes in whole pixels.
function lightbox(onStep) {
  const image = h("img", { alt: "" });
  const caption = h("p", {});
  const close = h("button", { class: "plain", onclick: () => element.close() }, "close");
  const keys = h("span", { class: "soft" }, "← → other pictures, ↑ ↓ other steps");
  const element = h("dialog", { class: "light", "aria-label": "One picture", onkeydown: onKey, onclick: (event) => event.target === element && element.close() },
    h("header", {}, caption, keys, close), image);
  let pictures = [];
  let at = 0;

  function show() {
    const one = pictures[at];
    if (!one) return element.close();
    const { naturalWidth, naturalHeight } = one.image;
    const fits = Math.min((innerWidth - 80) / naturalWidth, (innerHeight - 140) / naturalHeight);
    image.src = one.address;
    image.alt = one.label;
    image.style.width = `${naturalWidth * (fits > 1 ? Math.floor(fits) : fits)}px`;
    image.classList.toggle("pixels", fits >= 2);
    fill(caption, h("b", {}, one.label), ` ${naturalWidth} × ${naturalHeight}`);
  }

  function onKey(event) {
    const [by, step] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] || [0, 0];
    if (!by && !step) return;
    event.preventDefault();
    if (step) return onStep(step);
    at = (at + by + pictures.length) % pictures.length;
    show();
  }
  return {
    element,
    open(one) {
      at = pictures.indexOf(one);
      element.showModal();
      show();
    },
    offer(offered) {
      pictures = offered;
      if (!element.open) return;
      at = Math.min(at, pictures.length - 1);
      Promise.all(pictures.map((one) => one.image.decode().catch(() => {}))).then(show);
    },
  };
}
