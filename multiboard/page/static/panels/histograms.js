// One tensor in all runs: its histograms at one step in one chart, and how its distribution moves over the steps.

import { axisOf } from "../axis.js";
import { chartKey, lineChart } from "../chart.js";
import { nearestIndex, segmented, stepSlider } from "../controls.js";
import { barsOf, densities, quantile, thresholdOf } from "../densities.js";
import { fill, h } from "../dom.js";
import { number } from "../format.js";
import { selectedTensor, tensorPicker } from "../selection.js";
import { runName } from "../tables.js";

const BANDS = [[0, 8], [2, 6], [3, 5]];
const MEDIAN = 4;

export function histogramsPanel(context) {
  const { state } = context;
  const picker = tensorPicker(context);
  const scale = () => state.get("values", "log", ["log", "linear"]);
  const axis = segmented("Values", [{ value: "log", label: "Logarithmic" }, { value: "linear", label: "Linear" }], "log",
    (value) => state.set({ values: value === "log" ? null : value }));
  const slider = stepSlider("Step of the histograms", (step) => state.set({ step }));
  const message = h("p", { class: "empty", hidden: true });
  const chart = lineChart({ series: [], height: 260, title: "Histograms of all runs at one step", yLabel: "density", xName: "value",
    syncKey: "histogram" });
  const key = h("div", {});
  const note = h("p", { class: "soft" });
  const bands = h("div", { class: "charts fit" });
  const bandCharts = new Map();
  const body = h("div", {}, key, chart.element, note,
    h("h3", {}, "Distribution over the steps: all, 5 to 95 %, 25 to 75 %, median"), bands);
  const element = h("div", {}, h("div", { class: "controls" }, picker.element, axis.element, slider.element), message, body);

  function say(text) {
    message.textContent = text;
    message.hidden = !text;
    body.hidden = slider.element.hidden = Boolean(text);
  }

  async function update(changed) {
    const selected = selectedTensor(context, await context.comparison());
    picker.element.hidden = axis.element.hidden = !selected;
    if (!selected) return say("No histograms here: log parameters, gradients or activations.");
    picker.offer(selected);
    const part = await context.source.get("histogram", { kind: selected.kind, name: selected.name });
    const series = (part?.series || []).filter((one) => context.shown().includes(one.run));
    if (!series.length) return say("No histograms of this tensor are held here; its norms may be, below.");
    say("");
    axis.set(scale());
    const steps = [...new Set(series.flatMap((one) => Array.from(one.shown, (at) => one.step[at])))].sort((a, b) => a - b);
    slider.offer(steps);
    const step = steps[nearestIndex(steps, selected.step ?? steps[steps.length - 1])];
    slider.set(step);
    overlay(series, step);
    if (changed.size > 1 || !changed.has("step")) await showBands(series);
  }

  function overlay(series, step) {
    const held = series.map((one) => {
      const index = nearestIndex(Array.from(one.shown, (at) => one.step[at]), step);
      return { one, bars: barsOf(one, index), at: one.step[one.shown[index]] };
    });
    const threshold = scale() === "log" ? thresholdOf(held.map(({ bars }) => bars)) : null;
    const found = densities(held.map(({ bars }) => bars), threshold);
    const lines = held.map(({ one }, index) => ({
      label: one.run, color: context.color(one.run), stepped: true, points: false, x: found.x, ...found.lines[index],
      ...(one.run === context.baseline() ? { fill: 0.22, width: 1 } : { fill: 0.04 }),
    }));
    const late = held.filter(({ at }) => at !== step);
    note.textContent = late.map(({ one, at }) => `${one.run} has no histogram at step ${step}: shown is step ${at}.`).join(" ");
    fill(key, chartKey(lines.map((line) => ({ color: line.color, label: line.label + exactly(line.same) }))));
    chart.update({ series: lines, xAsinh: threshold, yRange: [0, found.top > 0 ? found.top * 1.1 : null],
      xLabel: `value at step ${step}` });
  }

  async function showBands(series) {
    const axisNow = await axisOf(context);
    const low = Math.min(...series.map((one) => least(quantile(one, 0))));
    const high = -Math.min(...series.map((one) => least(quantile(one, 8).map((y) => -y))));
    const room = (high - low) * 0.04 || 1;
    forget(series.map((one) => one.run));
    fill(bands, series.map((one) => {
      const shown = bandCharts.get(one.run) || titled(one.run);
      bandCharts.set(one.run, shown);
      shown.chart.update({ series: layers(context, one, axisNow.at(one)), xLabel: axisNow.label, yRange: [low - room, high + room],
        onPick: axisNow.label === "step" ? (step) => state.set({ step }) : null });
      fill(shown.name, runName(context, one.run), one.name !== series[0].name && h("span", { class: "mono soft" }, ` · ${one.name}`),
        one.level === "guess" && h("span", { class: "badge warn" }, "guess"));
      return shown.element;
    }));
  }

  function forget(kept) {
    for (const [run, shown] of bandCharts) {
      if (kept.includes(run)) continue;
      shown.chart.destroy();
      bandCharts.delete(run);
    }
  }

  return { id: "histograms", title: "Histograms", element, update };
}

function titled(run) {
  const chart = lineChart({ series: [], height: 170, title: `Distribution in ${run} over the steps` });
  const name = h("p", { class: "chart-title" });
  return { chart, name, element: h("div", {}, name, chart.element) };
}

function layers(context, one, x) {
  const color = context.color(one.run);
  const median = { label: "median", color, x, y: quantile(one, MEDIAN), gaps: true };
  return [...BANDS.map(([low, high]) => ({
    ...median, width: 0, hidden: true, points: false, band: { low: quantile(one, low), high: quantile(one, high) },
  })), median];
}

function least(values) {
  return values.reduce((most, value) => (Number.isFinite(value) && value < most ? value : most), Infinity);
}

function exactly(same) {
  return same ? `: ${number(Number((100 * same[1]).toPrecision(3)))} % are exactly ${number(same[0])}` : "";
}
