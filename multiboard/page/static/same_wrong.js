// What a reference that computes more exactly tells of the runs: above all, where they agree and are wrong alike.

import { h } from "./dom.js";
import { runColumn, table } from "./tables.js";

// Return a heading with rows and sentences, null without a reference; found is part 2, `comparison`.
export function sameWrong(context, found, several, percent) {
  if (!found.reference) return null;
  const rows = (found.same_wrong || []).filter((row) => context.shown().includes(row.run));
  const sentences = (found.oracle || []).filter((text) => !text.startsWith("same wrong"));
  return [h("h3", {}, `Against ${found.reference}, which computes more exactly`),
    rows.length > 0 && table([
      ...(several ? [runColumn(context)] : []),
      { title: "Step", num: true, cell: (row) => row.step },
      { title: "What", cell: (row) => row.kind },
      { title: "Name", name: true, cell: (row) => row.name },
      { title: "Baseline off by", num: true, cell: (row) => percent(row.error_a) },
      { title: "Other run off by", num: true, cell: (row) => percent(row.error_b) },
      { title: "Both apart", num: true, cell: (row) => percent(row.apart) },
      { title: "Limit", num: true, cell: (row) => percent(row.limit) },
      { title: "", cell: () => h("span", { class: "badge bad" }, "same wrong") },
    ], rows),
    sentences.length > 0 && h("ul", { class: "soft" }, sentences.map((text) => h("li", {}, text)))];
}
