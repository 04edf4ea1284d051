// The series of a chart as uPlot takes them: columns over one x.

import { uPlot } from "./vendor/uplot.js";

// Return {columns, first, lost}: x and all values over it, where the columns of each series begin, and what is not finite.
export function aligned(series, logY) {
  const lost = [];
  const tables = series.map((one) => table(one, logY, lost));
  const shared = tables.length && tables.every((columns) => sameValues(columns[0], tables[0][0]));
  const columns = shared ? [tables[0][0], ...tables.flatMap((one) => one.slice(1))] : join(tables);
  const widths = tables.map((one) => one.length - 1);
  const first = widths.map((_, index) => 1 + widths.slice(0, index).reduce((sum, width) => sum + width, 0));
  return { columns, first, lost };
}

function join(tables) {
  const filled = tables.filter((columns) => columns[0].length);
  if (!filled.length) return [[]];
  return uPlot.join(tables.map((columns) => columns.map((column) => (column.length ? column : []))));
}

// Return [x, y] or [x, y, low, high] of a series, sorted by x, with null for what cannot be drawn.
function table(one, logY, lost) {
  const drawable = (value) => (Number.isFinite(value) && (!logY || value > 0) ? value : null);
  const columns = [one.y, ...(one.band ? [one.band.low, one.band.high] : [])];
  const order = [];
  let sorted = true;
  for (let at = 0; at < one.x.length; at += 1) {
    if (!Number.isFinite(one.x[at])) continue;
    if (order.length && one.x[at] < one.x[order[order.length - 1]]) sorted = false;
    order.push(at);
    if (!one.gaps && one.y[at] !== null && !Number.isFinite(one.y[at])) lost.push({ x: one.x[at], value: one.y[at], color: one.color });
  }
  if (!sorted) order.sort((a, b) => one.x[a] - one.x[b]);
  return [order.map((at) => one.x[at]), ...columns.map((column) => order.map((at) => drawable(column[at])))];
}

function sameValues(a, b) {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return false;
  return true;
}
