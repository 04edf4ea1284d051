// Profiles of all runs beside each other: their numbers against the baseline's, and their tables.

import { segmented, select } from "../controls.js";
import { fill, h } from "../dom.js";
import { number } from "../format.js";
import { blockElement, blocks } from "../markdown.js";
import { runName } from "../tables.js";

const DRAWN_FROM = ["data", "theme", "captures", "profileTable"];
const ORDER = ["step_ms", "device_step_ms", "input_pct", "device_busy_pct", "comm_pct", "host_only_pct", "mem_peak_bytes", "live_bytes"];
const TABLES = ["Operations", "Memory", "Live buffers"];
const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

// Return the panel of profiles.
export function profilePanel(context) {
  const { state } = context;
  const numbers = h("div", { class: "scroll" });
  const lacking = h("p", { class: "soft" });
  const which = segmented("Table", [], "", (title) => state.set({ profileTable: title }));
  const sides = h("div", { class: "sides" });
  const bar = h("div", { class: "controls" }, which.element);
  const element = h("div", {}, numbers, lacking, bar, sides);

  async function update(changed) {
    if (!DRAWN_FROM.some((key) => changed.has(key))) return;
    const part = await context.source.get("profile");
    const known = new Map((part ? part.runs : []).map((one) => [one.run, one.captures]));
    const shown = context.shown().filter((run) => known.get(run)?.length);
    const wanted = state.get("captures", {});
    const found = shown.map((run) => {
      const captures = known.get(run);
      return { run, captures, capture: captures.find(({ step }) => step === wanted[run]) || captures[captures.length - 1] };
    });
    const titles = [...new Set(found.flatMap(({ capture }) => Object.keys(capture.tables)))].sort(by(TABLES));
    const title = state.get("profileTable", titles[0], titles);
    bar.hidden = !titles.length;
    which.offer(titles.map((one) => ({ value: one, label: one })));
    which.set(title);
    const focused = numbers.contains(document.activeElement) && document.activeElement.getAttribute("aria-label");
    fill(numbers, found.length > 0 && numbersTable(context, found, part.labels));
    [...numbers.querySelectorAll("select")].find((one) => one.getAttribute("aria-label") === focused)?.focus();
    fill(lacking, saidOf(part, context.shown().filter((run) => !shown.includes(run)), found));
    fill(sides, title !== undefined && found.map(({ run, capture }) => h("article", {}, h("header", {}, runName(context, run)),
      capture.tables[title] === undefined ? h("p", { class: "empty" }, "This profile has no such table.") : tablesOf(capture.tables[title]))));
  }
  return { id: "profile", title: "Profiles", element, update };
}

function saidOf(part, without, found) {
  if (!part) return "This page does not hold profiles.";
  if (!found.length) return "No run has a profile; mb.Profiler(run, start=500) makes one.";
  return without.length > 0 && `Without a profile: ${without.join(", ")}.`;
}

// Return an order in which what is listed comes first.
function by(listed) {
  const place = (one) => (listed.includes(one) ? listed.indexOf(one) : listed.length);
  return (a, b) => place(a) - place(b);
}

// Links lead to XProf's tab, which is not there in a file.
function tablesOf(text) {
  return blocks(text).filter(({ kind, text: words }) => kind === "table" || !/^\[[^\]]*\]\([^)]*\)$/.test(words)).map(blockElement);
}

function numbersTable(context, found, labels) {
  const tags = Object.keys(labels).sort(by(ORDER.map((name) => `profile/${name}`))).filter((tag) => found.some(({ capture }) => tag in capture.values));
  const head = found.map(({ run, captures, capture }) => h("th", { scope: "col" }, runName(context, run), stepOf(context, run, captures, capture)));
  const rows = tags.map((tag) => h("tr", {}, h("th", { scope: "row" }, labels[tag].title),
    found.map(({ capture }) => cellOf(found.map((one) => one.capture.values[tag]), capture.values[tag], labels[tag].unit, capture === found[0].capture))));
  return h("table", { class: "table profile" }, h("thead", {}, h("tr", {}, h("th"), head)), h("tbody", {}, rows));
}

function stepOf(context, run, captures, capture) {
  if (captures.length === 1) return h("span", { class: "soft" }, ` step ${number(capture.step)}`);
  const steps = captures.map(({ step }) => ({ value: String(step), label: `step ${number(step)}` }));
  const chosen = (step) => context.state.set({ captures: { ...context.state.get("captures", {}), [run]: Number(step) } });
  return select(`Profile of ${run}`, steps, String(capture.step), chosen).element;
}

function cellOf(all, value, unit, isBase) {
  if (value === undefined) return h("td", { class: "soft" }, "–");
  const largest = unit === "%" ? 100 : Math.max(...all.filter(Number.isFinite), 0);
  const share = (one) => `${largest > 0 && Number.isFinite(one) ? (100 * one) / largest : 0}%`;
  const mark = !isBase && Number.isFinite(all[0]) && h("i", { class: "tick", style: { left: share(all[0]) } });
  return h("td", {}, h("div", { class: "figure" }, h("span", {}, sized(value, unit)),
    h("span", { class: "soft" }, isBase ? null : against(all[0], value, unit))),
  h("div", { class: "meter" }, h("i", { style: { width: share(value) } }), mark));
}

// Return how a value stands to the baseline's: percentages by their difference, all else by its ratio.
function against(base, value, unit) {
  if (!Number.isFinite(base) || !Number.isFinite(value)) return "";
  const sign = (change, digits) => (Math.abs(change) < 0.5 * 10 ** -digits ? "±" : change > 0 ? "+" : "−") + Math.abs(change).toFixed(digits);
  if (unit === "%") return `${sign(value - base, 1)} points`;
  return base > 0 ? `${sign(100 * (value / base - 1), 0)} %` : "";
}

function sized(value, unit) {
  if (unit !== "bytes") return `${number(unit === "%" ? Number(value.toFixed(1)) : value)}${unit ? ` ${unit}` : ""}`;
  const power = value > 0 ? Math.min(UNITS.length - 1, Math.floor(Math.log2(value) / 10)) : 0;
  return `${number(Number((value / 1024 ** power).toPrecision(4)))} ${UNITS[power]}`;
}
