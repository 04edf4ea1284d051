// Line charts: drawn by uPlot when they come near what is seen, with one cursor for all charts of one x axis.

import { aligned } from "./chart_data.js";
import { drawLost, drawMarks } from "./chart_marks.js";
import { plotOptions } from "./chart_options.js";
import { announce, fill, h, inNextFrame, whenVisible } from "./dom.js";
import { number } from "./format.js";
import { onTheme } from "./theme.js";
import { uPlot } from "./vendor/uplot.js";

const ROWS = 12;

// Return {element, update(options), destroy()}; update replaces the options that it is given and keeps the others.
// series: [{label, color, x, y, width, dash, alpha, points, stepped, fill, hidden, gaps, band: {low, high}}], each with its own
//   x, sorted or not; null is a gap, values that are not finite are marked at the edge in the colour of their series, or left out
//   with gaps: true; hidden: true leaves a series out of the values at the cursor; fill is an opacity between 0 and 1;
//   band is drawn in the colour of the series, between two lists as long as x.
// xLabel, yLabel: texts; xName: what the values at the cursor call x; charts of one xLabel (or syncKey) share their cursor.
// logY: powers of ten. xAsinh: x is linear up to this size and logarithmic beyond. yRange: [low, high], null for open ends.
// height: pixels. marks: [{x, label, color, dash}], vertical lines. y: a function that formats a value. title: what the chart
// shows, for screen readers. onPick(x): after a click or Enter. empty: sentence where there is nothing to draw.
export function lineChart(options) {
  const box = h("div", { class: "hover", hidden: true });
  const element = h("div", { class: "chart", tabindex: 0, role: "application", "aria-roledescription": "line chart",
    "aria-label": options.title }, box);
  let now = { height: 220, series: [], ...options };
  let plot = null;
  let near = false;
  const view = { zoom: null };

  const draw = inNextFrame(() => {
    erase();
    const width = element.clientWidth;
    if (!near || !width) return;
    const data = aligned(now.series, now.logY);
    if (!data.columns[0].length) {
      element.replaceChildren(h("p", { class: "empty" }, now.empty || "Nothing to draw here."));
      return;
    }
    const hooks = {
      draw: [(drawn) => drawMarks(drawn, now.marks || []), (drawn) => drawLost(drawn, data.lost)],
      setCursor: [(drawn) => showValues(drawn, box, element, data, now)],
      setSelect: [({ select, posToVal }) => {
        if (select.width > 0) view.zoom = [posToVal(select.left, "x"), posToVal(select.left + select.width, "x")];
      }],
    };
    plot = new uPlot(plotOptions(now, data, width, hooks, view), data.columns, element);
    plot.over.addEventListener("click", () => pick(plot, now));
    element.append(box);
  });

  function erase() {
    if (plot) plot.destroy();
    plot = null;
    box.hidden = true;
    element.replaceChildren(box);
    element.style.minHeight = `${now.height}px`;
  }

  element.addEventListener("keydown", (event) => plot && onKey(event, plot, now, box));
  element.addEventListener("dblclick", () => (view.zoom = null), true);
  element.addEventListener("blur", () => (box.hidden = true));
  const resized = new ResizeObserver(() => {
    if (plot && Math.abs(plot.width - element.clientWidth) > 1) draw();
    else if (!plot && near) draw();
  });
  resized.observe(element);
  const ends = [onTheme(draw), whenVisible(element, (seen) => {
    near = seen;
    draw();
  }, 500)];
  element.style.minHeight = `${now.height}px`;

  return {
    element,
    update(changes) {
      if (changes.xLabel !== undefined && changes.xLabel !== now.xLabel) view.zoom = null;
      now = { ...now, ...changes };
      if (now.title) element.setAttribute("aria-label", now.title);
      draw();
    },
    destroy() {
      ends.forEach((end) => end());
      resized.disconnect();
      erase();
    },
  };
}

// Return the key of a chart: the colour and name of each series; names: [{label, color, dash}]; note: what else is to be known.
export function chartKey(names, note) {
  return h("div", { class: "key" }, names.map((one) => h("span", { class: "key-run", title: one.label },
    h("i", { class: one.dash ? "swatch dashed" : "swatch", style: { "--c": one.color } }), one.label)), note);
}

function showValues(plot, box, element, data, now) {
  const { left, idx } = plot.cursor;
  const own = element.matches(":hover") || element === document.activeElement;
  box.hidden = !own || idx === null || idx === undefined || left < 0;
  if (box.hidden) return;
  const valueOf = (column) => data.columns[column][plot.cursor.idxs[column]];
  const rows = now.series.map((one, index) => ({ ...one, value: valueOf(data.first[index]) }))
    .filter((one) => !one.hidden && Number.isFinite(one.value)).sort((a, b) => b.value - a.value);
  const x = number(data.columns[0][idx]);
  fill(box, h("b", {}, `${now.xName || now.xLabel || "x"} ${x}`), rows.slice(0, ROWS).map((one) => valueRow(one, now)),
    rows.length > ROWS && h("div", { class: "soft" }, `and ${rows.length - ROWS} more`));
  moveBox(plot, box, element, now);
}

function valueRow(one, now) {
  return h("div", {}, h("i", { class: "swatch", style: { "--c": one.color } }), h("span", {}, one.label),
    h("data", {}, (now.y || number)(one.value)));
}

function moveBox(plot, box, element, now) {
  const x = plot.cursor.left + plot.over.offsetLeft;
  const right = x > element.clientWidth * 0.55;
  Object.assign(box.style, {
    left: right ? "auto" : `${x + 14}px`, right: right ? `${element.clientWidth - x + 14}px` : "auto",
    top: `${Math.max(0, Math.min(plot.cursor.top, now.height - 60))}px`,
  });
}

function pick(plot, now) {
  const { idx } = plot.cursor;
  if (now.onPick && idx !== null && idx !== undefined) now.onPick(plot.data[0][idx]);
}

function onKey(event, plot, now, box) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (event.key === "Enter") pick(plot, now);
  if (!step) return;
  event.preventDefault();
  const at = plot.cursor.idx ?? (step > 0 ? -1 : plot.data[0].length);
  const x = plot.data[0][Math.min(plot.data[0].length - 1, Math.max(0, at + step))];
  plot.setCursor({ left: plot.valToPos(x, "x"), top: plot.over.clientHeight / 2 });
  announce(Array.from(box.querySelectorAll("b, span, data"), (one) => one.textContent).join(" "));
}
