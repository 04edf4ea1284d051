// Tables and marks that several panels show.

import { h } from "./dom.js";
import { number } from "./format.js";

// Return a table in a box that scrolls; columns: [{title, cell(row), num, name}]; link(row) is called when a row is chosen,
// key(row) is its data-key.
export function table(columns, rows, { link, key } = {}) {
  const className = (column) => (column.num ? "num" : column.name ? "name" : null);
  return h("div", { class: "scroll" }, h("table", { class: "table" },
    h("thead", {}, h("tr", {}, columns.map((column) => h("th", { class: className(column), scope: "col" }, column.title)))),
    h("tbody", {}, rows.map((row) => h("tr", link ? linked(() => link(row), key?.(row)) : {},
      columns.map((column) => h("td", { class: className(column) }, cell(column, row))))))));
}

// Return the column of a table that names the run of each row.
export function runColumn(context) {
  return { title: "Run", cell: (row) => runName(context, row.run) };
}

// Return a run's name with its dot.
export function runName(context, name) {
  return h("span", { class: "run", title: name, style: { "--c": context.color(name) } }, name);
}

// Return something to unfold, which is made when it is first unfolded.
export function unfolding(summary, make) {
  const element = h("details", { class: "more" }, h("summary", {}, summary));
  element.addEventListener("toggle", () => element.append(make()), { once: true });
  return element;
}

// Scroll a panel to where it is seen.
export function jump(id) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  document.getElementById(`panel-${id}`)?.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
}

function cell(column, row) {
  const value = column.cell(row);
  return typeof value === "number" || (column.num && value === null) ? number(value) : value;
}

function linked(act, key) {
  return {
    class: "link", tabindex: 0, onclick: act, dataset: { key: key ?? "" },
    onkeydown(event) {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      act();
    },
  };
}
