// Texts of runs: tables, headings, lists, code and bold words of Markdown as elements; all else stays as it was written.

import { h } from "./dom.js";

const RULE = /^\s*\|?(\s*:?-+:?\s*\|)+(\s*:?-+:?\s*)?$/;
const INLINE = /(\x60[^\x60]+\x60|\*\*[^*]+\*\*)/;
const FENCE = /^\s*\x60{3}/;
const STARTS = /^\s*(\x60{3}|#{1,6}\s|[-*+]\s|\d+[.)]\s)/;

// Return the blocks of a text: {kind: "table", head, right, rows}, "code", "heading", "item" or "text" with text.
export function blocks(text) {
  const lines = text.split(/\r\n|\r|\n/);
  const found = [];
  for (let i = 0; i < lines.length; ) {
    const [block, next] = blockAt(lines, i);
    if (block) found.push(block);
    i = next;
  }
  return found;
}

function blockAt(lines, i) {
  const line = lines[i];
  if (!line.trim()) return [null, i + 1];
  if (i + 1 < lines.length && line.includes("|") && RULE.test(lines[i + 1])) return table(lines, i);
  if (FENCE.test(line)) {
    let end = i + 1;
    while (end < lines.length && !FENCE.test(lines[end])) end += 1;
    return [{ kind: "code", text: lines.slice(i + 1, end).join("\n") }, end + 1];
  }
  const heading = /^\s*#{1,6}\s+(.*)$/.exec(line);
  if (heading) return [{ kind: "heading", text: heading[1] }, i + 1];
  const item = /^\s*(?:[-*+]|\d+[.)])\s+(.*)$/.exec(line);
  if (item) return [{ kind: "item", text: item[1] }, i + 1];
  let end = i + 1;
  while (end < lines.length && lines[end].trim() && !STARTS.test(lines[end])) end += 1;
  return [{ kind: "text", text: lines.slice(i, end).join("\n") }, end];
}

function cells(line) {
  const inner = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function table(lines, start) {
  let end = start + 2;
  while (end < lines.length && lines[end].includes("|")) end += 1;
  const right = cells(lines[start + 1]).map((rule) => rule.endsWith(":") && !rule.startsWith(":"));
  return [{ kind: "table", head: cells(lines[start]), right, rows: lines.slice(start + 2, end).map(cells) }, end];
}

function inline(text) {
  return text.split(INLINE).map((part, i) => {
    if (i % 2 === 0) return part;
    return part[0] === "\x60" ? h("code", {}, part.slice(1, -1)) : h("strong", {}, part.slice(2, -2));
  });
}

// Return a block as an element.
export function blockElement(block) {
  if (block.kind === "table") {
    const cell = (tag) => (text, column) => h(tag, { class: block.right[column] ? "num" : null }, inline(text));
    const rows = block.rows.map((row) => h("tr", {}, row.map(cell("td"))));
    return h("div", { class: "scroll" }, h("table", { class: "table" }, h("thead", {}, h("tr", {}, block.head.map(cell("th")))), h("tbody", {}, rows)));
  }
  if (block.kind === "code") return h("pre", {}, block.text);
  if (block.kind === "heading") return h("h4", {}, inline(block.text));
  return h("p", { class: "md" }, block.kind === "item" ? "• " : null, inline(block.text));
}

// Return a text as elements.
export function rendered(text) {
  return blocks(text).map(blockElement);
}
