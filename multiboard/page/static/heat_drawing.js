// How a map of rows and steps is drawn; `map` is what heatMap's update takes.

import { shorten } from "./format.js";
import { NOT_MEASURED } from "./heat_colors.js";
import { cssColor } from "./theme.js";

export const HEAD = 22;
export const ROW = 17;
export const TALLEST = 560;
const WIDEST_CELL = 60;
const MONO = "11px ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace";
const SANS = "11px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

// Return how wide the names are.
export function gutterOf(width, map) {
  const longest = map.rows.reduce((most, row) => Math.max(most, row.name.length), 8);
  return Math.round(Math.min(width * 0.36, 330, longest * 6.7 + 26));
}

// Return the colours of the cells as a canvas of one pixel each; of several cells in one pixel the worst.
export function pictureOf(map, wide, tall) {
  const [columns, rows] = [map.steps.length, map.order.length];
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.max(1, wide), Math.max(1, tall)];
  const codes = new Uint16Array(canvas.width * canvas.height).fill(NOT_MEASURED);
  for (let row = 0; row < rows; row += 1) {
    const line = Math.floor((row * tall) / rows) * wide;
    const from = map.order[row] * columns;
    for (let column = 0; column < columns; column += 1) {
      const at = line + Math.floor((column * wide) / columns);
      const code = map.codes[from + column];
      if (map.rank(code) > map.rank(codes[at])) codes[at] = code;
    }
  }
  const image = new ImageData(canvas.width, canvas.height);
  const words = new Uint32Array(image.data.buffer);
  for (let at = 0; at < codes.length; at += 1) words[at] = map.table[codes[at]];
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

// Return where everything lies: widths, heights, and which rows are in sight.
export function placed(map, scroller) {
  const gutter = gutterOf(scroller.clientWidth, map);
  const rows = map.order.length;
  const row = map.whole ? Math.min(ROW, (TALLEST - HEAD) / Math.max(1, rows)) : ROW;
  const width = Math.min(scroller.clientWidth - gutter - 8, map.steps.length * WIDEST_CELL);
  const height = Math.ceil(HEAD + rows * row);
  const seen = Math.min(height, TALLEST);
  scroller.style.height = `${seen}px`;
  const top = Math.max(0, Math.min(scroller.scrollTop, height - seen));
  const first = Math.floor(top / row);
  return { gutter, row, width, height, seen, top, cell: width / map.steps.length,
    first, last: Math.min(rows, Math.ceil((top + seen - HEAD) / row) + 1) };
}

// Draw what is in sight of a map; cursor: [place in the order, column] or null.
export function drawMap(canvas, map, picture, place, cursor) {
  const scale = devicePixelRatio || 1;
  const wide = place.gutter + place.width + 8;
  canvas.width = Math.round(wide * scale);
  canvas.height = Math.round(place.seen * scale);
  Object.assign(canvas.style, { width: `${wide}px`, height: `${place.seen}px` });
  const ctx = canvas.getContext("2d");
  ctx.scale(scale, scale);
  ctx.save();
  ctx.beginPath();
  ctx.rect(0, HEAD, wide, place.seen - HEAD);
  ctx.clip();
  ctx.translate(0, HEAD - place.top);
  ctx.fillStyle = hatch(ctx, cssColor("--line"), 5);
  ctx.fillRect(place.gutter, 0, place.width, map.order.length * place.row);
  ctx.imageSmoothingEnabled = false;
  ctx.drawImage(picture, 0, 0, picture.width, picture.height, place.gutter, 0, place.width, map.order.length * place.row);
  drawLines(ctx, map, place);
  drawNames(ctx, map, place, cursor);
  (map.marks || []).forEach(([row, column]) => outline(ctx, map, place, row, column, cssColor("--ink"), 1.5));
  if (map.selected) drawSelected(ctx, map, place);
  if (cursor) outline(ctx, map, place, map.order[cursor[0]], cursor[1], cssColor("--ink"), 1.5);
  ctx.restore();
  drawSteps(ctx, map, place, cursor);
}

function drawLines(ctx, map, place) {
  ctx.fillStyle = cssColor("--panel");
  if (place.row >= 10) {
    for (let at = place.first; at <= place.last; at += 1) ctx.fillRect(place.gutter, at * place.row - 0.5, place.width, 1);
  }
  if (place.cell >= 7) {
    for (let at = 0; at <= map.steps.length; at += 1) {
      ctx.fillRect(place.gutter + at * place.cell - 0.5, place.first * place.row, 1, (place.last - place.first) * place.row);
    }
  }
  ctx.fillStyle = hatch(ctx, cssColor("--faint"), 8);
  for (let at = place.first; at < place.last; at += 1) {
    if (map.rows[map.order[at]].guess) ctx.fillRect(place.gutter, at * place.row, place.width, place.row);
  }
}

function drawNames(ctx, map, place, cursor) {
  const fits = Math.floor((place.gutter - 14) / 6.7);
  const every = Math.max(1, Math.ceil(13 / place.row));
  ctx.textBaseline = "middle";
  ctx.textAlign = "right";
  const start = place.row < 13 ? Math.floor(every / 2) : 0;
  for (let at = start + Math.max(0, Math.ceil((place.first - start) / every) * every); at < place.last; at += every) {
    const row = map.rows[map.order[at]];
    const strong = (cursor && cursor[0] === at) || (map.selected && map.selected[0] === map.order[at]);
    ctx.fillStyle = cssColor(strong ? "--ink" : "--soft");
    ctx.font = (row.guess ? "italic " : "") + (strong ? "600 " : "") + MONO;
    ctx.fillText(shorten(row.guess ? `~ ${row.name}` : row.name, fits), place.gutter - 8, (at + 0.5) * place.row + 0.5);
  }
}

function drawSelected(ctx, map, place) {
  const [row, column] = map.selected;
  const at = map.order.indexOf(row);
  if (at < 0) return;
  ctx.strokeStyle = cssColor("--accent");
  ctx.lineWidth = 1;
  ctx.strokeRect(place.gutter - 0.5, at * place.row, place.width + 1, place.row);
  if (column >= 0) outline(ctx, map, place, row, column, cssColor("--accent"), 2.5);
}

function outline(ctx, map, place, row, column, colour, width) {
  const at = map.order.indexOf(row);
  if (at < 0 || column < 0) return;
  for (const [stroke, wide] of [[cssColor("--panel"), width + 2], [colour, width]]) {
    ctx.strokeStyle = stroke;
    ctx.lineWidth = wide;
    ctx.strokeRect(place.gutter + column * place.cell, at * place.row, Math.max(3, place.cell), Math.max(3, place.row));
  }
}

function drawSteps(ctx, map, place, cursor) {
  ctx.font = SANS;
  ctx.textBaseline = "middle";
  ctx.textAlign = "center";
  const widest = String(map.steps[map.steps.length - 1] ?? "").length * 6.5 + 16;
  const every = Math.max(1, Math.ceil(widest / place.cell));
  const chosen = new Set([cursor?.[1], map.selected?.[1]].filter((column) => column >= 0));
  const text = (column) => ctx.fillText(map.steps[column], place.gutter + (column + 0.5) * place.cell, HEAD / 2);
  ctx.fillStyle = cssColor("--soft");
  for (let column = 0; column < map.steps.length; column += every) {
    if (![...chosen].some((one) => one !== column && Math.abs(one - column) * place.cell < widest)) text(column);
  }
  ctx.fillStyle = cssColor("--ink");
  ctx.font = `600 ${SANS}`;
  chosen.forEach(text);
  ctx.textAlign = "right";
  ctx.fillStyle = cssColor("--faint");
  ctx.font = SANS;
  ctx.fillText("step", place.gutter - 8, HEAD / 2);
}

function hatch(ctx, colour, size) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = size;
  const one = tile.getContext("2d");
  one.strokeStyle = colour;
  one.lineWidth = 1;
  one.beginPath();
  for (const shift of [-size, 0, size]) {
    one.moveTo(shift, size);
    one.lineTo(shift + size, 0);
  }
  one.stroke();
  return ctx.createPattern(tile, "repeat");
}
