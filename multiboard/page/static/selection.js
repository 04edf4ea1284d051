// The tensor that is looked at: chosen in the map or by its name, else the first that parts.

import { select } from "./controls.js";
import { h } from "./dom.js";

// Return {kind, name, step, kinds, names} of the tensor that is chosen, or null if no run has any; found is part 2, `comparison`.
// step is the chosen one, else where the tensor parts, else undefined.
export function selectedTensor(context, found) {
  const known = tensorsOf(context, found);
  const kinds = Object.keys(known);
  if (!kinds.length) return null;
  const first = (found.divergence || []).find((one) => known[one.kind]?.includes(one.name));
  const kind = context.state.get("kind", first?.kind || kinds[0], kinds);
  const name = context.state.get("layer", first?.kind === kind ? first.name : known[kind][0], known[kind]);
  const parts = (found.divergence || []).find((one) => one.kind === kind && one.name === name);
  const step = context.state.get("step", NaN);
  return { kind, name, step: Number.isNaN(step) ? parts?.step : step, kinds, names: known[kind] };
}

// Return a pair of lists to choose a tensor from: {element, offer(selected)}.
export function tensorPicker(context) {
  const kind = select("Kind of tensor", [], "", (value) => context.state.set({ kind: value }));
  const name = select("Tensor", [], "", (value) => context.state.set({ kind: shown.kind, layer: value }));
  name.element.classList.add("mono", "wide");
  let shown = {};
  return {
    element: h("div", { class: "picker" }, kind.element, name.element),
    offer(selected) {
      name.offer(selected.names);
      kind.offer(selected.kinds);
      kind.set(selected.kind);
      name.set(selected.name);
      shown = selected;
    },
  };
}

function tensorsOf(context, found) {
  const known = new Map();
  const add = (kind, names) => names.length && known.set(kind, [...new Set([...(known.get(kind) || []), ...names])]);
  for (const run of context.shown().slice(1)) {
    for (const [kind, map] of Object.entries(found?.maps?.[run] || {})) add(kind, map.rows.map((row) => row.name));
  }
  for (const [kind, names] of Object.entries(found?.tensors || {})) add(kind, names);
  return Object.fromEntries(known);
}
