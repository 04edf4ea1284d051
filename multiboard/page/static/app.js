// The page: a bar of choices that hold for everything, and the panels below each other, each filled when it comes near.

import { axisName } from "./axis.js";
import { createContext } from "./context.js";
import { search, select } from "./controls.js";
import { announce, fill, h, inNextFrame, whenVisible } from "./dom.js";
import { count } from "./format.js";
import { divergencePanel } from "./panels/divergence.js";
import { exactPanel, hasExact } from "./panels/exact.js";
import { graphPanel } from "./panels/graph.js";
import { histogramsPanel } from "./panels/histograms.js";
import { layersPanel } from "./panels/layers.js";
import { mediaPanel } from "./panels/media.js";
import { normsPanel } from "./panels/norms.js";
import { profilePanel } from "./panels/profile.js";
import { runsPanel } from "./panels/runs.js";
import { scalarsPanel } from "./panels/scalars.js";
import { archiveSource } from "./source.js";
import { createState } from "./state.js";
import { jump } from "./tables.js";
import { chooseTheme, watchTheme } from "./theme.js";

const PANELS = [
  divergencePanel, runsPanel, layersPanel, histogramsPanel, normsPanel, exactPanel, scalarsPanel, graphPanel, profilePanel,
  mediaPanel,
];
const CHIPS_FROM = ["data", "theme", "runs", "baseline"];
const THEMES = [{ value: "auto", label: "Auto" }, { value: "light", label: "Light" }, { value: "dark", label: "Dark" }];
const LOSSES = { dropped: ["record was dropped", "records were dropped"], errors: ["error while writing", "errors while writing"],
  damaged: ["damaged record", "damaged records"] };
const NOTHING = "Nothing to compare yet: no run here has written anything that this page shows. "
  + "Reload when training has made its first steps.";

// Show the page over an archive, an element of the document that holds all parts; for reports and notebooks.
export function startReport(archive) {
  return start(archiveSource(archive), document.body);
}

// Show the page over a source of parts in an element.
export async function start(source, root, store) {
  const state = createState(store);
  chooseTheme(themeOf(state));
  watchTheme();
  const context = createContext(source, state);
  const trouble = h("p", { class: "panel empty bad", role: "alert", hidden: true });
  const main = h("main", { class: "panels" }, trouble, h("p", { class: "panel empty loading" }, "Reading the runs"));
  let panels = null;

  async function read() {
    try {
      await context.load();
      trouble.hidden = true;
    } catch (error) {
      if (!panels) fill(main, trouble);
      trouble.textContent = sentence(error);
      trouble.hidden = false;
    }
    const wanted = PANELS.filter((panel) => panel !== exactPanel || hasExact(context));
    if (panels?.length === wanted.length || !trouble.hidden) return;
    panels = wanted.map((panel) => panel(context));
    const sections = panels.map((panel) => section(context, panel));
    root.querySelector(".contents")?.remove();
    root.querySelector(".bar").append(contents(panels, sections));
    fill(main, trouble, notices(context), sections);
  }

  fill(root, bar(context, read), main);
  announce("");
  await read();
}

function themeOf(state) {
  return state.get("theme", "auto", THEMES.map((one) => one.value));
}

function section(context, panel) {
  const trouble = h("p", { class: "empty bad", role: "alert", hidden: true });
  const element = h("section", { class: "panel", id: `panel-${panel.id}`, "aria-label": panel.title, "aria-busy": "true" },
    h("h2", {}, panel.title), trouble, panel.element);
  let pending = new Set(["data"]);
  let failed = [];
  let near = false;
  let busy = false;

  async function refresh() {
    if (!near || busy || !pending.size) return;
    const changed = new Set([...failed, ...pending]);
    pending = new Set();
    failed = [];
    busy = true;
    element.setAttribute("aria-busy", "true");
    const late = setTimeout(() => element.classList.add("loading"), 200);
    try {
      await panel.update(changed);
      trouble.hidden = true;
    } catch (error) {
      failed = changed;
      trouble.textContent = sentence(error);
      trouble.hidden = false;
    }
    clearTimeout(late);
    element.classList.remove("loading");
    element.setAttribute("aria-busy", "false");
    busy = false;
    refresh();
  }

  const soon = inNextFrame(refresh);
  context.onChange((changed) => {
    changed.forEach((key) => pending.add(key));
    soon();
  });
  whenVisible(element, (seen) => {
    near = seen;
    soon();
  }, 600);
  return element;
}

// Return links to all panels, of which the one that is read is marked.
function contents(panels, sections) {
  const links = panels.map((panel) => h("button", { onclick: () => jump(panel.id) }, panel.title));
  const mark = inNextFrame(() => {
    const ended = scrollY > 0 && scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
    const read = ended ? links.length - 1 : sections.findLastIndex((element) => element.getBoundingClientRect().top < 180);
    links.forEach((link, index) => link.setAttribute("aria-current", String(index === Math.max(0, read))));
  });
  addEventListener("scroll", mark, { passive: true });
  new ResizeObserver(mark).observe(document.body);
  return h("nav", { class: "contents", "aria-label": "Panels" }, links);
}

function sentence(error) {
  return error instanceof Error ? error.message : String(error);
}

// Return what is missing here, kept up to date.
function notices(context) {
  const element = h("div", {});
  const show = () => {
    const { runs, thinned } = context.runs;
    const lost = runs.map(lostBy).filter(Boolean);
    fill(element, !runs.length && h("p", { class: "panel empty" }, NOTHING),
      lost.map((text) => h("p", { class: "panel notices warn" }, text)),
      Boolean(thinned?.length) && h("details", { class: "panel notices" },
        h("summary", {}, "Not everything that was logged is shown here"), h("ul", {}, thinned.map((text) => h("li", {}, text)))));
  };
  context.onChange((changed) => changed.has("data") && show());
  show();
  return element;
}

function lostBy({ name, losses }) {
  const parts = Object.entries(LOSSES).filter(([key]) => losses?.[key] > 0).map(([key, what]) => count(losses[key], ...what));
  return parts.length ? `${name} is not complete: ${parts.join(", ")}.` : null;
}

function bar(context, read) {
  const { state } = context;
  const baseline = select("Baseline", [], "", (name) => state.set({ baseline: name, run: null }));
  const chips = h("div", { class: "chips", role: "group", "aria-label": "Runs shown" });
  const x = select("Horizontal axis", [], "", (name) => state.set({ x: name === "step" ? null : name }));
  const filter = search("Filter layers and tags", state.get("filter", ""), (text) => state.set({ filter: text || null }));
  const reload = h("button", { class: "plain", title: "Read the runs again", onclick: () => again(read, reload) }, "Reload");
  const theme = select("Theme", THEMES, themeOf(state), (name) => state.set({ theme: name === "auto" ? null : name }));
  const chosen = h("label", { class: "labelled" }, "Baseline", baseline.element);
  const element = h("header", { class: "bar" }, h("h1", { class: "offscreen" }, "Runs compared"), chosen, chips,
    h("label", { class: "labelled" }, "x", x.element), filter.element, reload, theme.element);

  function show(changed) {
    const names = context.runs.runs.map((run) => run.name);
    chosen.hidden = context.runs.fixed;
    reload.hidden = context.runs.fixed;
    if (changed.has("theme")) chooseTheme(themeOf(state));
    theme.set(themeOf(state));
    filter.set(state.get("filter", ""));
    baseline.offer(names);
    baseline.set(context.baseline());
    x.offer(axes(context.runs.axes || []));
    x.set(axisName(context));
    if (CHIPS_FROM.some((key) => changed.has(key))) fill(chips, names.map((name) => chip(context, name)));
  }

  context.onChange(show);
  return element;
}

function axes(known) {
  const all = known.map((one) => ({ value: one.name, label: one.label || one.name }));
  const missing = [{ value: "step", label: "step" }, { value: "time", label: "time" }];
  return [...missing.filter((one) => !all.some((found) => found.value === one.value)), ...all];
}

function chip(context, name) {
  const shown = context.shown();
  const baseline = name === context.baseline();
  return h("button", {
    class: baseline ? "chip baseline" : "chip", "aria-pressed": String(shown.includes(name)), "aria-disabled": String(baseline),
    style: { "--c": context.color(name) }, dataset: { name },
    title: baseline ? `${name}: the baseline, with which the others are compared` : `${name}: show or hide`,
    onclick() {
      if (baseline) return;
      context.state.set({ runs: shown.includes(name) ? shown.filter((one) => one !== name) : [...shown, name] });
      [...document.querySelectorAll(".chip")].find((one) => one.dataset.name === name)?.focus();
    },
  }, h("span", {}, name));
}

// The button is not disabled meanwhile, for it would lose the focus.
async function again(read, button) {
  if (button.ariaBusy === "true") return;
  button.ariaBusy = "true";
  await read();
  button.ariaBusy = "false";
}
