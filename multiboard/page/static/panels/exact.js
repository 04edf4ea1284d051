// Tensors of which both runs kept the elements: how far they are apart, not their distributions.

import { segmented, select } from "../controls.js";
import { fill, h } from "../dom.js";
import { count, matcher, number } from "../format.js";
import { jump, table } from "../tables.js";

const ALL = "all";
const EVERY = -1; // step that stands for all
const LOWEST = -8; // power of ten at which bars begin: about the rounding of float32
const COLUMNS = [
  { key: "kind", title: "Kind", cell: (row) => row.kind },
  { key: "name", title: "Tensor", name: true, cell: names },
  { key: "step", title: "Step", num: true, cell: (row) => row.step },
  { key: "relative_l2", title: "Relative L2", num: true, cell: apart, help: "Norm of the difference over the norm of the baseline; the bar goes from 1e−8 to 1 by powers of ten" },
  { key: "cosine", title: "Cosine", num: true, cell: (row) => nearOne(row.cosine), help: "Of the angle between both: 1 for the same direction" },
  { key: "max_error", title: "Max error", num: true, cell: (row) => row.max_error, help: "The largest absolute difference" },
  { key: "ulp_median", title: "ULP median", num: true, cell: (row) => row.ulp_median, help: "Units in the last place of the coarser type of both" },
  { key: "ulp_max", title: "ULP max", num: true, cell: (row) => row.ulp_max, help: "The largest distance in units in the last place" },
];
const TEXTS = ["kind", "name"];
const WHY = "Where the weights are equal, at the first step, only rounding tells two runs apart. Later each element goes its own way "
  + "while distributions stay alike.";

// Tell whether two runs or more have kept elements.
export function hasExact(context) {
  return context.runs.runs.filter((run) => run.exact).length > 1;
}

export function exactPanel(context) {
  const { state } = context;
  const run = select("Run", [], "", (name) => state.set({ run: name }));
  const kind = segmented("Kind of tensor", [], ALL, (name) => state.set({ exactKind: name === ALL ? null : name }));
  const step = select("Step", [], "", (name) => state.set({ exactStep: name === ALL ? EVERY : Number(name) }));
  const steps = h("label", { class: "labelled" }, "Step", step.element);
  const total = h("span", { class: "soft" });
  const body = h("div", { class: "elements" });
  const controls = h("div", { class: "controls" }, run.element, kind.element, steps, total);
  const element = h("div", {}, controls, body, h("p", { class: "soft basis" }, WHY));

  async function update() {
    const part = await context.source.get("exact");
    const all = (part?.rows || []).filter((row) => context.shown().includes(row.run));
    controls.hidden = !all.length;
    if (!all.length) {
      fill(body, h("p", { class: "empty" }, "The runs that are shown have no elements of the same tensors at the same steps."));
      return;
    }
    const found = choose(all);
    const match = matcher(state.get("filter", ""));
    const rows = found.rows.filter((row) => match(row.name) || match(row.other));
    total.textContent = told(found, rows.length, part.counts?.[found.run]);
    draw(found, rows);
  }

  // Return the rows of what is chosen; the first step if nothing is.
  function choose(all) {
    const runs = context.shown().filter((name) => all.some((row) => row.run === name));
    const name = state.get("run", runs[0], runs);
    run.element.hidden = runs.length < 2;
    run.offer(runs);
    run.set(name);
    const mine = all.filter((row) => row.run === name);
    const kinds = [...new Set(mine.map((row) => row.kind))].sort();
    const ofKind = state.get("exactKind", ALL, [ALL, ...kinds]);
    kind.offer(kinds.length > 1 ? [{ value: ALL, label: "All" }, ...kinds.map((value) => ({ value, label: value }))] : []);
    kind.set(ofKind);
    const known = [...new Set(mine.map((row) => row.step))].sort((a, b) => a - b);
    const at = state.get("exactStep", known[0], [EVERY, ...known]);
    steps.hidden = known.length < 2;
    step.offer([...known.map(String), { value: ALL, label: "all" }]);
    step.set(at === EVERY ? ALL : String(at));
    const rows = mine.filter((row) => (ofKind === ALL || row.kind === ofKind) && (at === EVERY || row.step === at));
    return { run: name, rows, held: mine.length, same: { kind: ofKind !== ALL || kinds.length < 2, step: at !== EVERY } };
  }

  function draw(found, rows) {
    const focused = body.contains(document.activeElement) && document.activeElement.dataset.sort;
    const { key, down } = order(state);
    const columns = COLUMNS.filter((column) => !found.same[column.key]);
    const shown = table(columns.map((column) => ({ ...column, title: header(column, key, down) })), sorted(rows, key, down), {
      link: (row) => {
        state.set({ run: row.run, kind: row.kind, layer: row.name, step: row.step });
        jump("norms");
      },
    });
    shown.querySelectorAll("th").forEach((cell, index) => {
      if (columns[index].key === key) cell.ariaSort = down ? "descending" : "ascending";
    });
    fill(body, rows.length ? shown : h("p", { class: "empty" }, "No tensor matches the filter."));
    if (focused) body.querySelector(`[data-sort="${focused}"]`)?.focus();
  }

  function header({ key, title, help }, chosen, down) {
    const mark = key === chosen ? (down ? " ↓" : " ↑") : "";
    const turned = key === chosen ? !down : !TEXTS.includes(key);
    return h("button", { class: "sort", title: help, dataset: { sort: key },
      onclick: () => state.set({ exactOrder: `${turned ? "-" : ""}${key}` }) }, title, mark);
  }

  function told(found, shown, logged) {
    const cut = logged > found.held;
    const text = shown === found.held ? count(shown, "row") : `${number(shown)} of ${count(found.held, "row")}`;
    return [text, cut && `the most different of ${number(logged)}`].filter(Boolean).join(" · ");
  }

  return { id: "exact", title: "Element by element", element, update };
}

function order(state) {
  const known = COLUMNS.flatMap(({ key }) => [key, `-${key}`]);
  const chosen = state.get("exactOrder", "-relative_l2", known);
  return { key: chosen.replace("-", ""), down: chosen.startsWith("-") };
}

function sorted(rows, key, down) {
  const sign = down ? -1 : 1;
  if (TEXTS.includes(key)) return [...rows].sort((a, b) => sign * a[key].localeCompare(b[key], "en", { numeric: true }));
  return [...rows].sort((a, b) => sign * (size(a[key]) - size(b[key]) || 0));
}

// Infinite numbers arrive as texts, and NaN as null, which comes behind all others.
function size(value) {
  return value === null ? -Number.MAX_VALUE : value === "inf" ? Number.MAX_VALUE : value;
}

function names(row) {
  return row.other === row.name ? row.name : [row.name, h("span", { class: "other" }, row.other)];
}

function apart(row) {
  const value = row.relative_l2;
  const share = value === "inf" ? 1 : Math.min(1, Math.max(0, 1 - Math.log10(value) / LOWEST)) || 0;
  const part = `${Math.round(100 * share)}%`;
  return h("div", { class: "apart" }, h("div", { class: "meter" },
    h("i", { style: { left: 0, width: part, background: `color-mix(in srgb, var(--bad) ${part}, var(--accent))` } })), h("span", {}, number(value)));
}

// Return a cosine with what it lacks to 1, for there all of them are.
function nearOne(value) {
  const rest = 1 - value;
  return value !== null && rest > 0 && rest < 1e-3 ? `1 − ${rest.toExponential(1).replace("-", "−")}` : value;
}
