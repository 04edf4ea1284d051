// The verdict: where the runs part, why that may be, and what was not compared.

import { fill, h } from "../dom.js";
import { capital, count, factor } from "../format.js";
import { sameWrong } from "../same_wrong.js";
import { jump, runColumn, runName, table, unfolding } from "../tables.js";

const SHOWN = 6;
const BY_ELEMENT = "The elements differ, which distributions and norms need not show";
const LEVELS = { guess: "badge warn" };
const MARKS = { 0: "good", 1: "bad", 2: "warn" };

export function divergencePanel(context) {
  const verdict = h("p", { role: "status" });
  const rest = h("div", {});
  const element = h("div", {}, verdict, rest);
  return {
    id: "divergence", title: "Where the runs part", element,
    async update(changed) {
      if (!changed.has("data") && !changed.has("theme")) return markChosen(context, element);
      const found = await context.comparison();
      const shown = new Set(context.shown());
      const alone = !found || found.names.length < 2;
      verdict.className = alone ? "" : `verdict ${MARKS[found.code] || "warn"}`;
      verdict.textContent = alone ? "" : found.verdict;
      if (alone) {
        fill(rest, h("p", { class: "empty" }, context.runs.runs.length > 1
          ? "Show a second run: it is compared with the baseline."
          : "One run alone is not compared. Its curves and distributions are below."));
        return;
      }
      const of = (rows) => (rows || []).filter((row) => shown.has(row.run));
      fill(rest, diagnoses(context, found, of(found.diagnoses)), first(context, found, of(found.divergence)),
        sameWrong(context, found, several(context), percent), gate(context, of(found.gate)),
        notes(context, of(found.notes)), alignments(context, found, shown), basis(found));
      markChosen(context, element);
    },
  };
}

function diagnoses(context, found, rows) {
  return rows.map((one) => h("article", { class: "diagnosis" },
    h("h3", {}, capital(one.title), place(context, found, one), several(context) && runName(context, one.run)),
    h("p", {}, one.text),
    Boolean(one.evidence?.length) && h("details", {}, h("summary", {}, "Evidence"),
      h("ul", {}, one.evidence.map((text) => h("li", {}, text))))));
}

// Return where and since when something is wrong, as a link to the map if it has the layer.
function place(context, found, one) {
  const known = one.step !== null && one.step !== undefined;
  const text = [one.layer, known && `from step ${one.step} on`].filter(Boolean).join(", ");
  if (!text) return null;
  const maps = Object.entries(found.maps?.[one.run] || {});
  const [kind, map] = maps.find(([, { rows }]) => one.layer && rows.some((row) => row.layer === one.layer)) || [];
  if (!map) return h("span", { class: "where mono" }, text);
  const row = map.rows.find((candidate) => candidate.layer === one.layer);
  return h("button", { class: "where mono link", title: "Show it in the map", onclick() {
    context.state.set({ run: one.run, kind, layer: row.name, ...(known ? { step: one.step } : {}) });
    jump("layers");
  } }, text);
}

function first(context, found, rows) {
  if (!rows.length) return null;
  const others = several(context);
  const columns = [
    ...(others ? [runColumn(context)] : []),
    { title: "Step", num: true, cell: (row) => row.step },
    { title: "What", cell: (row) => (row.exact ? [row.kind, h("span", { class: "badge", title: BY_ELEMENT }, "by element")] : row.kind) },
    { title: "Name", name: true, cell: (row) => row.name },
    { title: "Difference", num: true, cell: (row) => percent(row.distance) },
    { title: "Limit", num: true, cell: (row) => percent(row.limit) },
    { title: "Over", num: true, cell: (row) => over(row) },
    { title: "Baseline", num: true, cell: (row) => row.a },
    { title: "Other run", num: true, cell: (row) => row.b },
  ];
  const shown = others ? rows : rows.slice(0, SHOWN);
  return [h("h3", {}, "First differences, the cause before what follows from it"),
    table(columns, shown, { link: (row) => open(context, row, found), key: (row) => JSON.stringify([row.kind, row.name]) })];
}

function markChosen(context, element) {
  const chosen = JSON.stringify([context.state.get("kind", ""), context.state.get("layer", "")]);
  for (const row of element.querySelectorAll("tr.link")) row.ariaCurrent = String(row.dataset.key === chosen);
}

function open(context, row, found) {
  if (found.maps?.[row.run]?.[row.kind]?.rows.some((one) => one.name === row.name)) {
    context.state.set({ run: row.run, kind: row.kind, layer: row.name, step: row.step, measure: null });
    jump("layers");
  } else {
    context.state.set({ tag: row.name, step: row.step });
    jump("scalars");
  }
}

function gate(context, rows) {
  if (!rows.length) return null;
  return [h("h3", {}, "Not the same before the first step"), table([
    ...(several(context) ? [runColumn(context)] : []),
    { title: "What", cell: (row) => row.what },
    { title: "Name", name: true, cell: (row) => row.name },
    { title: "Baseline", name: true, cell: (row) => row.a },
    { title: "Other run", name: true, cell: (row) => row.b },
    { title: "", cell: (row) => row.fails && h("span", { class: "badge bad" }, "fails") },
  ], rows)];
}

function notes(context, rows) {
  if (!rows.length) return null;
  return h("details", { class: "more", open: rows.some((row) => row.missing) },
    h("summary", {}, `Not compared: ${count(rows.length, "note")}`),
    h("ul", {}, rows.map((row) => h("li", {}, several(context) && [runName(context, row.run), ": "], row.text,
      row.missing && h("span", { class: "badge warn" }, "missing")))));
}

function alignments(context, found, shown) {
  return Object.entries(found.alignments || {}).filter(([run]) => shown.has(run)).map(([run, one]) => {
    const guesses = one.pairs.filter((pair) => pair.level === "guess");
    const parts = [
      `${count(one.pairs.length, "pair")} of layers`, guesses.length && `${count(guesses.length, "guess", "guesses")} among them`,
      one.only_a.length && `${one.only_a.length} only in the baseline`,
      one.only_b.length && `${one.only_b.length} only in the other run`,
    ];
    return unfolding([several(context) && [runName(context, run), ": "], parts.filter(Boolean).join(", ")],
      () => table([
        { title: "Baseline", name: true, cell: (row) => row.a },
        { title: "Other run", name: true, cell: (row) => row.b },
        { title: "How sure", cell: (row) => row.level && h("span", { class: LEVELS[row.level] || "badge" }, row.level) },
        { title: "Because of", cell: (row) => (row.evidence || []).join(", ") },
      ], [...guesses, ...one.pairs.filter((pair) => pair.level !== "guess"),
        ...one.only_a.map((layer) => ({ a: layer.path, b: "–", evidence: ["no partner"] })),
        ...one.only_b.map((layer) => ({ a: "–", b: layer.path, evidence: ["no partner"] }))]));
  });
}

function basis(found) {
  const limits = Object.entries(found.tolerances || {}).map(([kind, limit]) => `${kind} ${percent(limit)}`);
  const mapped = Object.keys(found.user_layers || {}).length;
  return h("p", { class: "soft basis" }, `${capital(found.noise)}. `, limits.length > 0 && `Tolerances: ${limits.join(", ")}. `,
    mapped > 0 && `${count(mapped, "layer")} joined by hand.`);
}

function several(context) {
  return context.shown().length > 2;
}

function over(row) {
  return Number.isFinite(row.distance) && row.limit > 0 ? factor(row.distance / row.limit) : "–";
}

function percent(value) {
  if (typeof value !== "number" || !Number.isFinite(value)) return value;
  const shown = value * 100;
  return `${shown >= 0.001 || shown === 0 ? Number(shown.toPrecision(3)) : shown.toExponential(1)} %`;
}
