// A map of rows and steps on one canvas: names stay in sight, only what is in sight is drawn, and the arrow keys move a cursor.

import { announce, fill, h, inNextFrame } from "./dom.js";
import { drawMap, gutterOf, HEAD, pictureOf, placed, ROW, TALLEST } from "./heat_drawing.js";
import { onTheme } from "./theme.js";

// Return {element, update(map)}. map: {rows: [{name, guess}], steps, codes, table, rank, order, whole, selected: [row, column],
// marks: [[row, column]], describe(row, column), label}; codes: of all cells, row by row; order: the rows that are shown, in
// their order; whole: all rows at once, however thin; describe returns [[name, text]]. onPick(row, column) is called for a
// click and Enter.
export function heatMap(onPick) {
  const canvas = h("canvas", { "aria-hidden": "true" });
  const space = h("div", {}, canvas);
  const scroller = h("div", {
    class: "map-scroll", tabindex: 0, role: "application", "aria-roledescription": "map of layers and steps",
  }, space);
  const box = h("div", { class: "hover", hidden: true });
  const element = h("div", { class: "map" }, scroller, box);
  let map = null;
  let picture = null;
  let drawn = {};
  let place = null;
  let cursor = null;

  const draw = inNextFrame(() => {
    if (!map || !scroller.clientWidth) return;
    place = placed(map, scroller);
    space.style.height = `${place.height}px`;
    drawMap(canvas, map, picture, place, cursor);
  });

  function arrange() {
    if (!map || !scroller.clientWidth) return;
    const key = [scroller.clientWidth, map.whole, ...map.order].join();
    if (drawn.codes === map.codes && drawn.table === map.table && drawn.key === key) return draw();
    drawn = { codes: map.codes, table: map.table, key };
    const wide = Math.max(1, Math.min(map.steps.length, Math.floor(scroller.clientWidth - gutterOf(scroller.clientWidth, map))));
    const tall = map.whole ? Math.min(map.order.length, TALLEST - HEAD) : map.order.length;
    picture = pictureOf(map, wide, tall);
    draw();
  }

  function cellAt(event) {
    const bounds = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - bounds.left - place.gutter, event.clientY - bounds.top - HEAD + scroller.scrollTop];
    const [column, row] = [Math.floor((x / place.width) * map.steps.length), Math.floor(y / place.row)];
    const inside = row >= 0 && row < map.order.length && event.clientY - bounds.top >= HEAD && column < map.steps.length;
    return inside ? [row, Math.max(-1, column)] : null;
  }

  function point(cell, keyboard) {
    cursor = cell;
    draw();
    box.hidden = !cell;
    if (!cell) return;
    const told = map.describe(map.order[cell[0]], Math.max(0, cell[1]));
    const line = ([name, text]) => h("div", {}, h("span", {}, name), h("data", {}, text));
    fill(box, h("b", { class: "mono" }, told[0][1]), told.slice(1).map(line));
    if (keyboard) announce(told.map(([name, text]) => `${name} ${text}`).join(", "));
    const left = place.gutter + (Math.max(0, cell[1]) + 0.5) * (place.width / map.steps.length);
    const right = left > scroller.clientWidth * 0.6;
    const top = HEAD + cell[0] * place.row - scroller.scrollTop;
    Object.assign(box.style, {
      left: right ? "auto" : `${left + 16}px`, right: right ? `${scroller.clientWidth - left + 16}px` : "auto",
      top: `${Math.max(0, Math.min(top + place.row + 6, scroller.clientHeight - 60))}px`,
    });
  }

  function move(rows, columns) {
    const [row, column] = cursor || [0, 0];
    const clamp = (value, count) => Math.max(0, Math.min(count - 1, value));
    const next = [clamp(row + rows, map.order.length), clamp(column + columns, map.steps.length)];
    const top = next[0] * place.row;
    const room = scroller.clientHeight - HEAD - place.row;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    if (top > scroller.scrollTop + room) scroller.scrollTop = top - room;
    point(next, true);
  }

  scroller.addEventListener("scroll", draw);
  canvas.addEventListener("pointermove", (event) => map && place && point(cellAt(event)));
  canvas.addEventListener("pointerleave", () => map && point(null));
  canvas.addEventListener("click", (event) => {
    const cell = map && place && cellAt(event);
    if (cell) onPick(map.order[cell[0]], Math.max(0, cell[1]));
  });
  scroller.addEventListener("blur", () => map && point(null));
  scroller.addEventListener("keydown", (event) => {
    if (!map || !place || !map.order.length) return;
    const far = 10 ** 9;
    const page = Math.floor((scroller.clientHeight - HEAD) / place.row);
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], PageUp: [-page, 0],
      PageDown: [page, 0], Home: event.ctrlKey ? [-far, 0] : [0, -far], End: event.ctrlKey ? [far, 0] : [0, far] };
    const picks = (event.key === "Enter" || event.key === " ") && cursor;
    if (picks) onPick(map.order[cursor[0]], Math.max(0, cursor[1]));
    else if (moves[event.key]) move(...moves[event.key]);
    else return;
    event.preventDefault();
  });
  new ResizeObserver(inNextFrame(arrange)).observe(scroller);
  onTheme(draw);

  return {
    element,
    update(given) {
      map = given;
      cursor = null;
      box.hidden = true;
      scroller.setAttribute("aria-label", map.label);
      arrange();
    },
    // Scroll to where a row is in sight.
    reveal(row) {
      const at = map ? map.order.indexOf(row) : -1;
      const tall = map?.whole ? 0 : ROW;
      if (at >= 0 && tall) {
        const top = at * tall;
        const seen = top >= scroller.scrollTop && top <= scroller.scrollTop + scroller.clientHeight - 2 * HEAD;
        if (!seen) scroller.scrollTop = top - TALLEST / 3;
      }
    },
  };
}
