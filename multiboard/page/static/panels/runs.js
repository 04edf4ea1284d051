// Facts and settings of the runs side by side.

import { copyButton, search, toggle } from "../controls.js";
import { fill, h } from "../dom.js";
import { count, duration, moment, number } from "../format.js";
import { runName } from "../tables.js";

const DRAWN_FROM = ["data", "theme", "differencesOnly", "facts"];
const LONG = 60;
const SUMMARY = [
  ["started", (run) => moment(run.started)],
  ["duration", (run) => duration(run.seconds)],
  ["status", (run) => run.status],
  ["framework", (run) => run.framework],
  ["last step", (run) => number(run.steps)],
  ["parameters", (run) => (run.parameters === null ? null : number(run.parameters))],
  ["captures", (run) => number(run.captures)],
  ["lost", (run) => lost(run.losses || {})],
];

export function runsPanel(context) {
  const { state } = context;
  const only = toggle("Differences only", true, (value) => state.set({ differencesOnly: value ? null : false }));
  const find = search("Search keys and values", "", (text) => state.set({ facts: text || null }));
  const total = h("span", { class: "soft" });
  const body = h("div", { class: "scroll" });
  const element = h("div", {}, h("div", { class: "controls" }, only.element, find.element, total), body);

  function update(changed) {
    if (!DRAWN_FROM.some((key) => changed.has(key))) return;
    const wanted = state.get("facts", "").toLowerCase();
    const runs = context.shown().map(context.info);
    const differences = runs.length > 1 && state.get("differencesOnly", true);
    only.element.hidden = runs.length < 2;
    only.set(differences);
    find.set(state.get("facts", ""));
    const known = groups(runs);
    const rows = known.map(([title, all]) => [title, all.filter((row) => keep(row, differences, wanted))]);
    const shown = rows.reduce((sum, [, kept]) => sum + kept.length, 0);
    const all = known.reduce((sum, [, every]) => sum + every.length, 0);
    total.textContent = shown === all ? count(all, "row") : `${shown} of ${count(all, "row")}`;
    fill(body, shown ? grid(context, runs, rows, !differences) : h("p", { class: "empty" }, differences && !wanted
      ? "Nothing differs: all facts and settings of these runs are the same." : "No key and no value holds this text."));
  }

  return { id: "runs", title: "Runs", element, update };
}

function keep(row, differences, wanted) {
  if (differences && row.values.every((value) => value === row.values[0])) return false;
  return !wanted || [row.key, ...row.values].some((text) => String(text ?? "").toLowerCase().includes(wanted));
}

function groups(runs) {
  return [
    ["Run", SUMMARY.map(([key, value]) => ({ key, values: runs.map((run) => value(run)) }))],
    ["Settings", rowsOf(runs, "config")],
    ["Facts", rowsOf(runs, "facts")],
  ];
}

function rowsOf(runs, field) {
  const keys = [...new Set(runs.flatMap((run) => Object.keys(run[field] || {})))].sort();
  return keys.map((key) => ({ key, values: runs.map((run) => plain(own(run[field], key))) }));
}

function own(values, key) {
  return values && Object.hasOwn(values, key) ? values[key] : null;
}

function plain(value) {
  if (value === null || value === undefined) return null;
  return typeof value === "object" ? JSON.stringify(value) : typeof value === "number" ? number(value) : String(value);
}

function lost(losses) {
  const parts = Object.entries(losses).filter(([, times]) => times > 0);
  return parts.length ? parts.map(([what, times]) => `${number(times)} ${what}`).join(", ") : "nothing";
}

function grid(context, runs, groupsOfRows, marked) {
  return h("table", { class: "table facts" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }),
      runs.map((run) => h("th", { scope: "col" }, runName(context, run.name))))),
    groupsOfRows.filter(([, rows]) => rows.length).map(([title, rows]) => h("tbody", {},
      h("tr", { class: "group" }, h("th", { colspan: runs.length + 1, scope: "rowgroup" }, title)),
      rows.map((row) => h("tr", {}, h("th", { class: "fact", scope: "row" }, row.key),
        row.values.map((value) => h("td", { class: marked && value !== row.values[0] ? "differs" : null }, shortened(value))))))));
}

function shortened(value) {
  if (value === null || value === undefined) return h("span", { class: "faint" }, "–");
  if (value.length <= LONG) return value;
  return h("details", { class: "value" }, h("summary", {}, `${value.slice(0, LONG)}…`), h("pre", {}, value), copyButton(value));
}
