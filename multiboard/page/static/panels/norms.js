// One tensor in all runs: its norm and update ratio over the steps, and all its numbers at one step.

import { axisOf } from "../axis.js";
import { chartKey, lineChart } from "../chart.js";
import { segmented } from "../controls.js";
import { fill, h } from "../dom.js";
import { selectedTensor, tensorPicker } from "../selection.js";
import { runColumn, table } from "../tables.js";

const CHARTS = [["norm", "Norm"], ["update_ratio", "Update ratio: norm of the update over norm of the parameter"],
  ["nonfinite", "Values that are NaN or infinite"]];
const MEASURES = [["distance", "Difference"], ["limit", "Limit"], ["emd", "Earth mover's distance"], ["octaves", "Octaves"],
  ["norm_ratio", "log2 norm ratio"], ["update_ratio", "log2 update ratio"], ["nonfinite", "Non-finite"]];
const UNGROUPED = "histograms";

export function normsPanel(context) {
  const { state } = context;
  const picker = tensorPicker(context);
  const chosen = () => state.get("normScale", "linear", ["linear", "log"]);
  const scale = segmented("Scale", [{ value: "linear", label: "Linear" }, { value: "log", label: "Logarithmic" }], "linear",
    (value) => state.set({ normScale: value === "linear" ? null : value }));
  const message = h("p", { class: "empty", hidden: true });
  const key = h("div", {});
  const shown = CHARTS.map(([measure, title]) => {
    const chart = lineChart({ series: [], height: 200, title });
    return { measure, chart, element: h("div", {}, h("p", { class: "chart-title" }, title), chart.element) };
  });
  const charts = h("div", { class: "charts fit" }, shown.map((one) => one.element));
  const numbers = h("div", {});
  const element = h("div", {}, h("div", { class: "controls" }, picker.element, scale.element), message, key, charts, numbers);

  async function update() {
    const found = await context.comparison();
    const selected = selectedTensor(context, found);
    picker.element.hidden = scale.element.hidden = !selected;
    message.hidden = Boolean(selected);
    message.textContent = "No tensors here: log parameters, gradients or activations.";
    if (!selected) return;
    picker.offer(selected);
    scale.set(chosen());
    await Promise.all([curves(selected), showNumbers(found, selected)]);
  }

  async function curves(selected) {
    const part = selected.kind !== UNGROUPED && await context.source.get("norms", { kind: selected.kind, name: selected.name });
    const axis = await axisOf(context);
    const all = (part?.series || []).filter((one) => context.shown().includes(one.run));
    message.hidden = all.length > 0;
    message.textContent = "No norms of this tensor are held here.";
    fill(key, chartKey([...new Set(all.map((one) => one.run))].map((run) => ({ label: run, color: context.color(run) }))));
    for (const { measure, chart, element: box } of shown) {
      const lines = all.filter((one) => one.measure === measure);
      box.hidden = !lines.length || (measure === "nonfinite" && lines.every((one) => one.value.every((value) => value === 0)));
      chart.update({
        series: lines.map((one) => ({ label: one.run, color: context.color(one.run), x: axis.at(one), y: one.value,
          ...(one.run === context.baseline() ? { width: 4, alpha: 0.45 } : {}) })),
        xLabel: axis.label,
        logY: chosen() === "log" && measure !== "nonfinite",
        marks: axis.label === "step" && selected.step !== undefined ? [{ x: selected.step }] : [],
        onPick: axis.label === "step" ? (step) => state.set({ step }) : null,
      });
    }
  }

  async function showNumbers(found, selected) {
    const has = (run) => found.maps?.[run]?.[selected.kind]?.rows.some((row) => row.name === selected.name);
    const others = context.shown().slice(1).filter(has);
    if (!others.length) return fill(numbers);
    const rows = await Promise.all(others.map((run) => measured(context, found, selected, run)));
    const known = rows.filter(Boolean);
    const step = known[0]?.step;
    const columns = MEASURES.filter(([measure]) => known.some((row) => row[measure] !== undefined));
    fill(numbers, known.length > 0 && [h("h3", {}, `Against the baseline at step ${step}`), table([
      runColumn(context),
      { title: "Its name", name: true, cell: (row) => row.other },
      ...columns.map(([measure, title]) => ({ title, num: true, cell: (row) => row[measure] ?? "–" })),
    ], known)], await exactTable(context, selected));
  }

  return { id: "norms", title: "Norms and differences", element, update };
}

// Return all measures of a tensor in a run at the chosen step, where it parts, or at the last compared one.
async function measured(context, found, { kind, name, step }, run) {
  const rows = found.maps[run][kind].rows;
  const row = rows.findIndex((one) => one.name === name);
  if (row < 0) return null;
  const names = MEASURES.map(([measure]) => measure).filter((measure) => measure !== "limit");
  const parts = await Promise.all(names.map((measure) => context.source.get("heat", { kind, measure, run })));
  const steps = parts.find(Boolean)?.step;
  if (!steps?.length) return null;
  const column = Math.max(0, steps.findLastIndex((one) => one <= (step ?? steps[steps.length - 1])));
  const at = row * steps.length + column;
  const values = { run, other: rows[row].other, step: steps[column] };
  parts.forEach((part, index) => {
    if (part) values[names[index]] = given(part.value[at]);
    if (part?.limit) values.limit = given(part.limit[at]);
  });
  return values;
}

function given(value) {
  return Number.isNaN(value) ? undefined : value;
}

async function exactTable(context, { kind, name }) {
  const part = await context.source.get("exact");
  const rows = (part?.rows || []).filter((row) => row.kind === kind && row.name === name && context.shown().includes(row.run))
    .sort((a, b) => a.step - b.step);
  if (!rows.length) return null;
  return [h("h3", {}, "Exact captures"), table([
    runColumn(context),
    { title: "Step", num: true, cell: (row) => row.step },
    { title: "Cosine", num: true, cell: (row) => row.cosine },
    { title: "Relative L2", num: true, cell: (row) => row.relative_l2 },
    { title: "Largest error", num: true, cell: (row) => row.max_error },
    { title: "ULP, median", num: true, cell: (row) => row.ulp_median },
    { title: "ULP, largest", num: true, cell: (row) => row.ulp_max },
  ], rows)];
}
