// How uPlot draws a chart of ours.

import { cssColor } from "./theme.js";
import { number } from "./format.js";
import { uPlot } from "./vendor/uplot.js";

const FONT = "11px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
const NEAR = 40;
const WHOLE = Array.from({ length: 48 }, (_, at) => [1, 2, 5][at % 3] * 10 ** Math.floor(at / 3));

// Return the options of uPlot; data: what `aligned` returns; view.zoom: [low, high] of x, or null for all.
export function plotOptions(now, data, width, hooks, view) {
  const series = [{}];
  const stepped = new Set(now.series.flatMap((one, index) => (one.stepped ? [data.first[index]] : [])));
  const bands = [];
  now.series.forEach((one, index) => {
    series.push(seriesOptions(one, data.columns[data.first[index]]));
    if (!one.band) return;
    const at = data.first[index];
    series.push({ stroke: "transparent", points: { show: false } }, { stroke: "transparent", points: { show: false } });
    bands.push({ series: [at + 2, at + 1], fill: faded(one.color, 0.16) });
  });
  return {
    width, height: now.height, series, bands, hooks,
    legend: { show: false },
    padding: [10, 12, 0, 0],
    cursor: {
      drag: { x: true, y: false, dist: 5 },
      points: { size: 6 },
      focus: { prox: 24 },
      sync: { key: now.syncKey || now.xLabel || "x", setSeries: false, scales: ["x", null] },
      dataIdx: (plot, seriesAt, at, x) => (stepped.has(seriesAt) ? covering(plot.data[seriesAt], at) : nearest(plot, seriesAt, at, x)),
    },
    focus: { alpha: now.series.length > 12 ? 0.35 : 1 },
    scales: {
      x: { time: false, ...(now.xAsinh ? { distr: 4, asinh: now.xAsinh } : {}), ...xRange(data, view) },
      y: { ...(now.logY ? { distr: 3 } : {}), ...yRange(now) },
    },
    axes: [{ ...axis(now.xLabel, number, 28, 60), ...(now.xLabel === "step" ? { incrs: WHOLE } : {}) },
      { ...axis(now.yLabel, now.y || number, 0, now.logY || now.height < 190 ? 24 : 34), size: ySize }],
  };
}

function xRange(data, view) {
  const x = data.columns[0];
  return { range: (plot, min, max) => {
    const whole = min === null || (min === x[0] && max === x[x.length - 1]);
    const [from, to] = whole ? view.zoom || [x[0], x[x.length - 1]] : [min, max];
    return from === to ? [from - 1, to + 1] : [from, to];
  } };
}

function yRange(now) {
  if (now.logY) return {};
  const [bottom, top] = now.yRange || [null, null];
  return { range: (plot, min, max) => {
    if (min === null) return [bottom ?? 0, top ?? 1];
    const room = (max - min || Math.abs(max) || 1) * 0.06;
    return [bottom ?? min - room, top ?? max + room];
  } };
}

function seriesOptions(one, y) {
  let drawn = 0;
  for (const value of y) drawn += value !== null && value !== undefined;
  return {
    label: one.label, stroke: one.color, width: one.width || 1.5, dash: one.dash, alpha: one.alpha ?? 1,
    fill: one.fill ? faded(one.color, one.fill) : undefined,
    ...(one.stepped ? { paths: uPlot.paths.stepped({ align: 1 }) } : {}),
    points: { show: one.points ?? drawn < 3, size: 5, fill: one.color },
  };
}

function axis(label, format, size, space) {
  return {
    stroke: cssColor("--soft"), font: FONT, space, label, labelSize: label ? 18 : 0, labelFont: FONT, gap: 4,
    ...(size ? { size } : {}),
    grid: { stroke: cssColor("--grid"), width: 1 },
    ticks: { show: false },
    values: (plot, splits) => splits.map((value) => (value === null ? "" : format(value))),
  };
}

function ySize(plot, values) {
  return 12 + Math.max(18, ...(values || []).map((text) => 6.4 * String(text).length));
}

// Return the point at which the bar under the cursor begins, or null if it is before the first one.
function covering(column, at) {
  while (at >= 0 && (column[at] === null || column[at] === undefined)) at -= 1;
  return at < 0 ? null : at;
}

// Return the point with a value nearest to the cursor, or null if it is far away.
function nearest(plot, seriesAt, at, x) {
  const column = plot.data[seriesAt];
  if (seriesAt === 0 || (column[at] !== null && column[at] !== undefined)) return at;
  const distance = (index) => Math.abs(plot.valToPos(plot.data[0][index], "x") - plot.valToPos(x, "x"));
  for (let away = 1; away < column.length; away += 1) {
    const near = [at - away, at + away].filter((index) => index >= 0 && index < column.length && distance(index) < NEAR);
    if (!near.length) return null;
    const found = near.find((index) => column[index] !== null && column[index] !== undefined);
    if (found !== undefined) return found;
  }
  return null;
}

// Return a colour, #rrggbb, with an opacity.
function faded(color, alpha) {
  return color + Math.round(alpha * 255).toString(16).padStart(2, "0");
}
