// What tells two graphs apart: the layers of both in one tree, with classes, shapes and parameters.

import { search, select, toggle } from "../controls.js";
import { fill, h } from "../dom.js";
import { count, matcher, number } from "../format.js";
import { runName } from "../tables.js";

const DRAWN_FROM = ["data", "theme", "run", "graphDifferences", "graphFind"];
const MOST = 400;
const OPEN = 60;

// Return the panel of what tells the graph of another run from the baseline's.
export function graphPanel(context) {
  const { state } = context;
  const tree = graphTree(context);
  const runs = select("Compared run", [], "", (run) => state.set({ run }));
  const only = toggle("differences only", false, (on) => state.set({ graphDifferences: on || null }));
  const find = search("find a layer", "", (text) => state.set({ graphFind: text || null }));
  const depth = (label, to) => h("button", { class: "plain", onclick: () => tree.unfold(to) }, label);
  const said = h("p", { class: "soft" });
  const bar = h("div", { class: "controls" }, runs.element, only.element, find.element, depth("fold all", false), depth("unfold all", true));
  const element = h("div", {}, bar, said, tree.element);

  async function update(changed) {
    if (!DRAWN_FROM.some((key) => changed.has(key))) return;
    const [baseline, ...others] = context.shown();
    const run = state.get("run", others[0], others);
    runs.offer(others);
    runs.set(run);
    runs.element.hidden = others.length < 2;
    only.set(state.get("graphDifferences", false));
    find.set(state.get("graphFind", ""));
    const part = run === undefined ? null : await context.source.get("graph", { run });
    const missing = run === undefined ? "There is one run only; a graph is compared with that of another run."
      : part ? part.missing : "This page does not hold the graphs.";
    bar.hidden = tree.element.hidden = Boolean(missing);
    fill(said, missing || part.summary);
    if (!missing) tree.show(part, [baseline, run], state.get("graphDifferences", false), state.get("graphFind", ""));
  }
  return { id: "graph", title: "Graph", element, update };
}

function graphTree(context) {
  const body = h("tbody", { onkeydown: onKey, onclick: onClick });
  const head = h("thead");
  const more = h("p", { class: "soft" });
  const table = h("table", { class: "table graph", role: "treegrid", "aria-label": "Layers of both graphs" }, head, body);
  const element = h("div", {}, h("div", { class: "scroll" }, table), more);
  let nodes = [];
  let part = null;
  let shown = [];
  let wanted = null;
  let differing = false;

  function draw(focused) {
    shown = visible(nodes, differing, wanted);
    const rows = shown.slice(0, MOST);
    fill(body, rows.map((node) => rowOf(node, part)));
    fill(more, shown.length > MOST && `${number(shown.length - MOST)} more layers: fold some, or search.`,
      !shown.length && (differing ? "No layer differs." : "No layer has this name."));
    const target = Math.max(0, rows.findIndex((node) => node.index === focused));
    if (body.rows[target]) body.rows[target].tabIndex = 0;
    if (focused !== undefined && body.rows[target]) body.rows[target].focus();
  }

  function turn(node, open) {
    if (!node.children.length || node.open === open) return;
    node.open = open;
    draw(node.index);
  }

  function onClick(event) {
    const row = event.target.closest("tr");
    if (row) turn(shown[row.sectionRowIndex], !shown[row.sectionRowIndex].open);
  }

  function onKey(event) {
    const at = event.target.closest("tr").sectionRowIndex;
    const node = shown[at];
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -Infinity, End: Infinity }[event.key];
    if (step) move(at, Math.min(body.rows.length - 1, Math.max(0, at + step)));
    else if (event.key === "ArrowRight") node.open || !node.children.length ? move(at, at + 1) : turn(node, true);
    else if (event.key === "ArrowLeft") node.open && node.children.length ? turn(node, false) : move(at, shown.indexOf(node.parent));
    else if (event.key === "Enter" || event.key === " ") turn(node, !node.open);
    else return;
    event.preventDefault();
  }

  function move(from, to) {
    if (!body.rows[to]) return;
    body.rows[from].tabIndex = -1;
    body.rows[to].tabIndex = 0;
    body.rows[to].focus();
  }

  return {
    element,
    unfold(open) {
      for (const node of nodes) node.open = open;
      draw();
    },
    show(given, names, onlyDiffering, text) {
      const matches = matcher(text);
      wanted = text ? (row) => [row.a, row.b].some((side) => side && matches(`${side.path} ${side.cls}`)) : null;
      if (given !== part) nodes = linked(given.rows);
      part = given;
      differing = onlyDiffering;
      fill(head, headOf(context, names));
      draw();
    },
  };
}

// Return nodes {row, index, parent, children, open, differs} from rows with depths, those near the top unfolded.
function linked(rows) {
  const above = [];
  const nodes = rows.map((row, index) => {
    const node = { row, index, parent: row.depth > 0 ? above[row.depth - 1] : undefined, children: [], differs: row.status !== "same" };
    above[row.depth] = node;
    above.length = row.depth + 1;
    if (node.parent) node.parent.children.push(node);
    return node;
  });
  for (const node of [...nodes].reverse()) node.below = node.children.some((child) => child.differs || child.below);
  const shallow = nodes.filter((node) => node.row.depth < 2).length;
  for (const node of nodes) node.open = nodes.length <= OPEN || node.below || (shallow <= OPEN && node.row.depth < 1);
  return nodes;
}

function visible(nodes, differing, wanted) {
  const kept = new Set();
  for (const node of nodes) {
    if ((differing && !node.differs) || (wanted && !wanted(node.row))) continue;
    for (let up = node; up && !kept.has(up); up = up.parent) kept.add(up);
  }
  const folded = (node) => {
    for (let up = node.parent; up; up = up.parent) if (!up.open) return true;
    return false;
  };
  return nodes.filter((node) => kept.has(node) && (wanted || !folded(node)));
}

function headOf(context, names) {
  const columns = ["layer", "class", "result", "parameters"];
  return [
    h("tr", {}, names.map((name, i) => h("th", { colspan: 4, scope: "colgroup", class: i ? "side" : null }, runName(context, name))), h("th")),
    h("tr", {}, [...columns, ...columns].map((name, i) => h("th", { class: i % 4 === 3 ? "num" : i === 4 ? "side" : null }, name)),
      h("th", {}, "what differs")),
  ];
}

function rowOf(node, { a, b }) {
  const { row, children, open } = node;
  const only = { only_a: `only in ${a}`, only_b: `only in ${b}` }[row.status];
  const what = only || row.what.join("; ");
  return h("tr", {
    class: `is-${row.status}`, tabindex: -1, "aria-level": row.depth + 1, "aria-expanded": children.length ? String(open) : null,
  }, sideOf(row, "a", children.length ? (open ? "▾" : "▸") : ""), sideOf(row, "b", ""),
  h("td", { class: row.status === "same" ? "soft" : "what" }, what, !open && node.below && !node.differs ? "differs below" : null,
    !open && children.length ? h("span", { class: "soft" }, ` ${count(children.length, "layer")} inside`) : null));
}

function sideOf(row, which, sign) {
  const [side, other, edge] = which === "a" ? [row.a, row.b, ""] : [row.b, row.a, "side "];
  const twig = h("span", { class: "twig", style: { "--d": row.depth } }, sign);
  if (!side) return h("td", { colspan: 4, class: `${edge}none` }, twig, "–");
  const cell = (key, text, plain = "") => h("td", {
    class: row.status === "changed" && other && String(other[key]) !== String(side[key]) ? `${plain} differs` : plain || null }, text);
  return [
    h("td", { class: `${edge}name`, title: side.path }, twig, side.path.split("/").pop() || side.cls),
    cell("cls", side.cls || side.op), cell("shape", side.shape), cell("params", side.params ? number(side.params) : "", "num"),
  ];
}
