// All scalars as small charts: curves, differences from the baseline, means of repeats.

import { axisName, axisOf } from "../axis.js";
import { chartKey, lineChart } from "../chart.js";
import { segmented, select, toggle } from "../controls.js";
import { BANDS, curvesOf, smoothing } from "../curves.js";
import { fill, h, whenVisible } from "../dom.js";
import { matcher } from "../format.js";
import { groupingOf, groupKeys, groupsOf } from "../groups.js";
import { cssColor } from "../theme.js";

const AT_ONCE = 24;
const FOLDED = /^(perf|system|profile|multiboard|norm|nonfinite|update_ratio)$/;
const DRAWN_FROM = ["data", "theme", "x", "smoothing", "log", "difference", "group", "band", "members"];

// Return the panel of scalars.
export function scalarsPanel(context) {
  const tools = controlsOf(context);
  const said = h("p", { class: "soft" });
  const left = h("p", { class: "soft" });
  const list = h("div");
  const groups = new Map();
  let heads = "";

  async function update(changed) {
    const part = await context.source.get("scalars");
    tools.show();
    firstOf(context).then(tools.show);
    const { label, lacking } = await axisOf(context);
    fill(left, lacking.length > 0 && `Not drawn, for they do not log ${label}: ${lacking.join(", ")}.`);
    const wanted = matcher(context.state.get("filter", ""));
    const entries = (part ? part.tags : []).filter(({ tag }) => wanted(tag));
    fill(said, !part ? "This page does not hold scalars." : !part.tags.length ? "No run holds scalars."
      : !entries.length && "No tag fits the filter.");
    const byHead = new Map();
    for (const entry of entries) {
      if (!byHead.has(headOf(entry))) byHead.set(headOf(entry), []);
      byHead.get(headOf(entry)).push(entry);
    }
    const late = (head) => (FOLDED.test(head) ? 2 : head ? 0 : 1);
    const ordered = [...byHead.keys()].sort((a, b) => late(a) - late(b));
    for (const head of ordered) if (!groups.has(head)) groups.set(head, groupOf(context, head));
    if (heads !== JSON.stringify(ordered)) fill(list, ordered.map((head) => groups.get(head).element));
    heads = JSON.stringify(ordered);
    const redraw = DRAWN_FROM.some((key) => changed.has(key));
    for (const [head, group] of groups) group.update(byHead.get(head) || [], redraw);
  }
  return { id: "scalars", title: "Scalars", element: h("div", {}, tools.element, left, said, list), update };
}

function firstOf(context) {
  return context.comparison().then((compared) => compared?.divergence[0], () => undefined);
}

function headOf({ tag }) {
  return tag.includes("/") ? tag.split("/")[0] : "";
}

function controlsOf(context) {
  const { state } = context;
  const set = (key) => (value) => state.set({ [key]: value || null });
  const value = h("output", { class: "soft" });
  const slide = h("input", { type: "range", min: 0, max: 0.99, step: 0.01, "aria-label": "Smoothing", oninput: () => set("smoothing")(Number(slide.value)) });
  const mode = segmented("What is drawn", [{ value: "", label: "Values" }, { value: "yes", label: "Difference from the baseline",
    title: "of the values at equal steps, relative to the larger one" }], "", (chosen) => set("difference")(chosen === "yes"));
  const log = toggle("log y", false, set("log"));
  const group = select("Groups of runs", [], "", set("group"));
  const band = segmented("Band", [{ value: BANDS[0], label: "min to max" }, { value: BANDS[1], label: "± 1 sd" }], "", set("band"));
  const members = toggle("members", false, set("members"), "the curve of each run, faintly");
  const key = h("div");
  function show(first) {
    const infos = context.shown().map(context.info);
    const by = groupingOf(context);
    slide.value = smoothing(state);
    value.textContent = Number(slide.value).toFixed(2);
    mode.set(state.get("difference", false) ? "yes" : "");
    log.set(state.get("log", false));
    group.offer([{ value: "", label: "each run" }, { value: "auto", label: "repeats (all but the seed)" },
      ...groupKeys(infos).map((name) => ({ value: name, label: `by ${name}` }))]);
    group.set(by);
    band.set(state.get("band", "range", BANDS));
    members.set(state.get("members", false));
    mode.element.hidden = group.element.hidden = infos.length < 2;
    band.element.hidden = members.element.hidden = !by;
    const groups = by ? groupsOf(infos, by) : [];
    const named = groups.map((one) => ({ label: one.members.length > 1 ? `${one.label} (${one.members.length})` : one.label,
      color: context.color(one.members[0]) }));
    const mark = first ? [{ label: `first divergence, step ${first.step}`, color: cssColor("--faint"), dash: true }] : [];
    const meant = infos.length < 2 || by ? null : state.get("difference", false) ? "dashed: the limit" : "shaded: allowed around the baseline";
    fill(key, chartKey([...named, ...mark], meant));
  }
  const element = h("div", {}, h("div", { class: "controls" }, mode.element, h("label", { class: "toggle" }, "smoothing", slide, value), log.element,
    group.element, band.element, members.element), key);
  return { element, show };
}

// Return the charts of the tags that begin alike; they are made when they are unfolded.
function groupOf(context, head) {
  const grid = h("div", { class: "charts" });
  const size = h("span", { class: "soft" });
  const more = h("button", { class: "plain", onclick: () => show(most + 2 * AT_ONCE) });
  const element = h("details", { class: "group", open: !FOLDED.test(head), ontoggle: () => show(most) },
    h("summary", {}, h("b", {}, head || "without a group"), size), grid, more);
  const cards = new Map();
  let entries = [];
  let most = AT_ONCE;

  function show(wanted) {
    most = wanted;
    size.textContent = ` ${entries.length}`;
    if (!element.open) return;
    const shown = entries.slice(0, most);
    for (const entry of shown) if (!cards.has(entry.tag)) cards.set(entry.tag, cardOf(context, entry));
    const elements = shown.map((entry) => cards.get(entry.tag).element);
    if (elements.length !== grid.children.length || elements.some((one, i) => one !== grid.children[i])) fill(grid, elements);
    more.hidden = entries.length <= most;
    more.textContent = `show more of ${entries.length}`;
  }

  function forget(tag, card) {
    card.destroy();
    cards.delete(tag);
  }

  return {
    element,
    update(given, redraw) {
      entries = given;
      const kept = new Set(entries.map(({ tag }) => tag));
      for (const [tag, card] of cards) if (!kept.has(tag)) forget(tag, card);
      show(most);
      for (const entry of entries) cards.get(entry.tag)?.update(entry, redraw);
    },
  };
}

function cardOf(context, first) {
  const { state } = context;
  const { tag } = first;
  const isWide = () => state.get("tag", "") === tag;
  const wide = h("button", { class: "plain zoom", title: "Larger or smaller", "aria-label": `Make ${tag} larger or smaller`,
    onclick: () => state.set({ tag: isWide() ? null : tag }) }, "⤢");
  const chart = lineChart({ title: tag, height: 190, onPick: (x) => axisName(context) === "step" && state.set({ step: x }) });
  const notes = h("p", { class: "soft notes" });
  const element = h("div", { class: "card" }, h("header", {}, h("h3", { class: "chart-title" }, tag), wide), chart.element, notes);
  let entry = first;
  let stale = true;
  let near = false;
  let asked = 0;

  async function draw() {
    if (!near || !stale) return;
    stale = false;
    const mine = (asked += 1);
    try {
      const found = await curvesOf(context, entry);
      if (mine !== asked) return;
      chart.update({ ...found, height: isWide() ? 420 : 190 });
      fill(notes, found.notes.join(" "));
    } catch (error) {
      fill(notes, error.message);
    }
  }

  function update(given, redraw) {
    entry = given;
    const resized = element.classList.contains("wide") !== isWide();
    element.classList.toggle("wide", isWide());
    wide.setAttribute("aria-pressed", String(isWide()));
    stale = stale || redraw || resized;
    draw();
  }
  const end = whenVisible(element, (seen) => {
    near = seen;
    draw();
  });

  function destroy() {
    asked += 1;
    end();
    chart.destroy();
  }
  return { element, update, destroy };
}
