// The map of layers and steps: what is how far from the baseline, and when.

import { segmented, select, toggle } from "../controls.js";
import { fill, h } from "../dom.js";
import { count, factor, matcher, number } from "../format.js";
import { colouring, INFINITE } from "../heat_colors.js";
import { heatMap } from "../heat_map.js";

const MEASURES = [
  { value: "distance", label: "Over limit", scale: "limit", title: "Difference over its limit, the largest that rounding or the tolerance explains" },
  { value: "emd", label: "Distance", scale: "size", title: "Earth mover's distance: how far values moved, over the mean |x| of the baseline" },
  { value: "octaves", label: "Octaves", scale: "size", title: "How many powers of two sizes moved: earth mover's distance of log2 |x|" },
  { value: "norm_ratio", label: "Norm", scale: "signed", title: "log2 of the norm over that of the baseline" },
  { value: "update_ratio", label: "Update ratio", scale: "signed", title: "log2 of the update ratio over that of the baseline" },
  { value: "nonfinite", label: "Non-finite", scale: "signed", title: "How many more values are NaN or infinite" },
];
const ORDERS = [{ value: "call", label: "Call order" }, { value: "worst", label: "Worst first" }];
const MANY = 80;

export function layersPanel(context) {
  const { state } = context;
  const sort = () => state.get("order", "call", ORDERS.map((one) => one.value));
  const run = select("Run", [], "", (name) => state.set({ run: name }));
  const kind = segmented("What is compared", [], "", (name) => state.set({ kind: name }));
  const measure = segmented("Measure", MEASURES, "distance", (name) => state.set({ measure: name === "distance" ? null : name }));
  const order = segmented("Order", ORDERS, "call",
    (name) => state.set({ order: name === "call" ? null : name }));
  const whole = toggle("Whole map", false, (value) => state.set({ whole: value }), "All layers at once, however thin");
  const message = h("p", { class: "empty", hidden: true });
  const legend = h("div", { class: "legend" });
  const map = heatMap((row, column) => state.set({
    run: shown.run, kind: shown.kind, layer: shown.rows[row].name, step: shown.steps[column],
  }));
  const body = h("div", {}, map.element, legend);
  const element = h("div", {}, h("div", { class: "controls" }, kind.element, measure.element),
    h("div", { class: "controls" }, run.element, order.element, whole.element), message, body);
  let shown = {};
  let last = {};

  function say(text) {
    message.textContent = text;
    message.hidden = !text;
    body.hidden = Boolean(text);
  }

  async function update() {
    const found = await context.comparison();
    const target = chosen(context, found);
    for (const control of [run, kind, measure, order, whole]) control.element.hidden = !target;
    if (!target) return say(reason(context));
    order.set(sort());
    offer(target, { run, kind, measure });
    const part = await context.source.get("heat", { kind: target.kind, measure: target.measure, run: target.run });
    if (!part) return say("This report does not hold this measure. Choose another one.");
    shown = { ...target, rows: found.maps[target.run][target.kind].rows, steps: part.step };
    show(found, part);
  }

  function show(found, part) {
    const { rows, steps } = shown;
    const scale = MEASURES.find((one) => one.value === shown.measure).scale;
    const { colours, codes } = coloured(part, scale);
    const match = matcher(state.get("filter", ""));
    const kept = rows.map((_, row) => row).filter((row) => match(rows[row].name) || match(rows[row].other || ""));
    const worst = (row) => worstOf(codes.subarray(row * steps.length, (row + 1) * steps.length), colours.rank);
    const sorting = sort() === "worst"
      ? new Map(kept.map((row) => [row, -worst(row)])) : new Map(kept.map((row) => [row, rows[row].order ?? row]));
    say(kept.length ? "" : "No layer matches the filter.");
    const marked = marks(found, shown, rows, steps);
    const selected = [rows.findIndex((row) => row.name === state.get("layer", "")), steps.indexOf(state.get("step", -1))];
    map.update({
      rows: rows.map((row) => ({ name: row.name, guess: row.level === "guess" })), steps,
      codes, table: colours.table, rank: colours.rank, order: kept.sort((a, b) => sorting.get(a) - sorting.get(b) || a - b), whole: state.get("whole", kept.length > MANY),
      selected: selected[0] >= 0 ? selected : null, marks: marked,
      describe: (row, column) => describe(shown, part, row, column),
      label: `${count(rows.length, "tensor")} of ${shown.kind} at ${count(steps.length, "step")}: arrow keys move, Enter selects`,
    });
    whole.element.hidden = kept.length * 17 < 560;
    whole.set(state.get("whole", kept.length > MANY));
    map.reveal(selected[0]);
    showLegend(colours.legend, codes.includes(INFINITE), marked.length, rows.some((row) => row.level === "guess"));
  }

  function coloured(part, scale) {
    const theme = context.theme();
    if (last.part === part && last.theme === theme) return last;
    const colours = colouring(scale, part.value, part.limit, theme);
    last = { part, theme, colours, codes: Uint16Array.from(part.value, (_, at) => colours.code(at)) };
    return last;
  }

  function showLegend({ gradient, ticks, infinite }, lost, parts, guesses) {
    const name = MEASURES.find((one) => one.value === shown.measure).title;
    const tick = ([at, text]) => h("span", { class: { 0: "first", 1: "last" }[at], style: { left: `${at * 100}%` } }, text);
    fill(legend, h("span", {}, name),
      h("div", { class: "scale" }, h("div", { class: "colours", style: { background: gradient } }), ticks.map(tick)),
      lost && h("span", {}, h("i", { class: "box", style: { background: infinite } }), "NaN or infinite in one run"),
      h("span", {}, h("i", { class: "box hatched" }), "not measured"),
      parts > 0 && h("span", {}, h("i", { class: "box outlined" }), "where the runs part"),
      guesses && h("span", { class: "italic" }, "~ a guess that they belong together"));
  }

  return { id: "layers", title: "Layers and steps", element, update };
}

function chosen(context, found) {
  const others = context.shown().slice(1).filter((name) => Object.keys(found?.maps?.[name] || {}).length);
  if (!others.length) return null;
  const run = context.state.get("run", others[0], others);
  const kinds = Object.keys(found.maps[run]);
  const kind = context.state.get("kind", first(found, run, kinds), kinds);
  return { run, kind, others, kinds, measure: context.state.get("measure", "distance", MEASURES.map((one) => one.value)) };
}

// Return the kind of the first divergence, for that is what one wants to see.
function first(found, run, kinds) {
  return (found.divergence || []).find((one) => one.run === run && kinds.includes(one.kind))?.kind || kinds[0];
}

function reason(context) {
  if (context.shown().length < 2) return "A map needs a second run that is compared with the baseline.";
  return "No tensor of these runs was compared: log parameters, gradients or activations at the same steps.";
}

function offer(target, controls) {
  controls.run.offer(target.others);
  controls.run.set(target.run);
  controls.run.element.hidden = target.others.length < 2;
  controls.kind.offer(target.kinds.map((value) => ({ value, label: value })));
  controls.kind.set(target.kind);
  controls.measure.set(target.measure);
}

function worstOf(codes, rank) {
  return codes.reduce((most, code) => Math.max(most, rank(code)), -1);
}

function marks(found, shown, rows, steps) {
  const first = (found.divergence || []).find((one) => one.run === shown.run && one.kind === shown.kind);
  const row = first ? rows.findIndex((one) => one.name === first.name) : -1;
  const column = first ? Array.from(steps).findIndex((step) => step >= first.beyond) : -1;
  return row >= 0 && column >= 0 ? [[row, column]] : [];
}

function describe(shown, part, row, column) {
  const { name, other, level } = shown.rows[row];
  const at = row * shown.steps.length + column;
  const value = part.value[at];
  const measure = MEASURES.find((one) => one.value === shown.measure);
  const lines = [["", name], ...(other && other !== name ? [[`in ${shown.run}`, other]] : []),
    ["step", String(shown.steps[column])], [shown.measure === "distance" ? "distance" : measure.label.toLowerCase(), Number.isNaN(value) ? "not measured" : number(value)]];
  if (part.limit && Number.isFinite(value)) {
    lines.push(["limit", number(part.limit[at])], ["over limit", factor(value / part.limit[at])]);
  }
  return level === "guess" ? [...lines, ["", "a guess"]] : lines;
}
