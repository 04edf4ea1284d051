// Numbers as colours that people with a colour vision deficiency can tell apart: cool within the limit, warm beyond it.

import { number } from "./format.js";

const STOPS = {
  light: {
    limit: [[0, "#f3f6f9"], [0.39, "#9cc3e4"], [0.4, "#ffe39a"], [0.55, "#f7a325"], [0.78, "#cf4520"], [1, "#5e0f33"]],
    size: [[0, "#f3f6f9"], [0.5, "#8fbad9"], [0.8, "#3c78b0"], [1, "#12365f"]],
    signed: [[0, "#1b5fa8"], [0.3, "#8fbfe6"], [0.5, "#f3f5f7"], [0.7, "#f5b36b"], [1, "#b3400c"]],
    infinite: "#c218b4",
  },
  dark: {
    limit: [[0, "#222830"], [0.39, "#32587c"], [0.4, "#80510f"], [0.55, "#cf6f14"], [0.78, "#ffb03b"], [1, "#fff3cf"]],
    size: [[0, "#222830"], [0.5, "#2f6696"], [0.8, "#5fb0ec"], [1, "#dff1ff"]],
    signed: [[0, "#7cc0ff"], [0.3, "#2d618f"], [0.5, "#252b33"], [0.7, "#8f5314"], [1, "#ffb458"]],
    infinite: "#f25be6",
  },
};
const BELOW = 2; // powers of ten below the limit that have a colour of their own
const ABOVE = 3; // and above it
const DECADES = 4;
export const NOT_MEASURED = 256;
export const INFINITE = 257;

// Return how values of a map are coloured: {code(at), rank(code), table, legend}; value and limit: of all cells; kind: "limit"
// for value over limit, "size" for sizes from 0 on, "signed" for numbers around 0. code is 0 to 255, NOT_MEASURED or INFINITE.
export function colouring(kind, value, limit, theme) {
  const span = kind === "limit" ? 0 : spanOf(value, kind);
  const position = {
    limit: (at) => (BELOW + Math.log10(value[at] / limit[at])) / (BELOW + ABOVE),
    size: (at) => 1 + Math.log10(value[at] / span) / DECADES,
    signed: (at) => 0.5 + value[at] / span / 2,
  }[kind];
  const colours = STOPS[theme];
  return {
    code(at) {
      if (Number.isNaN(value[at])) return NOT_MEASURED;
      if (Math.abs(value[at]) === Infinity) return INFINITE;
      return value[at] === 0 && kind !== "signed" ? 0 : Math.round(255 * Math.min(1, Math.max(0, position(at) || 0)));
    },
    // Of cells that share a pixel the one of the highest rank is seen.
    rank: (code) => (code === NOT_MEASURED ? -1 : code === INFINITE || kind !== "signed" ? code : Math.abs(code - 127.5)),
    table: tableOf(colours[kind], colours.infinite),
    legend: { gradient: gradient(colours[kind]), ticks: ticks(kind, span), infinite: colours.infinite },
  };
}

function spanOf(value, kind) {
  const sizes = Float32Array.from(value.filter((one) => Number.isFinite(one) && one !== 0), Math.abs).sort();
  if (!sizes.length) return 1;
  return kind === "size" ? sizes[sizes.length - 1] : sizes[Math.floor(0.98 * (sizes.length - 1))];
}

function ticks(kind, span) {
  const at = (power) => (BELOW + power) / (BELOW + ABOVE);
  if (kind === "limit") return [[0, "≤ 1 %"], [at(0), "limit"], [at(1), "10 ×"], [at(2), "100 ×"], [1, "1000 ×"]];
  if (kind === "size") return [[0, number(span / 10 ** DECADES)], [0.5, number(span / 10 ** (DECADES / 2))], [1, number(span)]];
  return [[0, number(-span)], [0.5, "0"], [1, `+${number(span)}`]];
}

function gradient(stops) {
  return `linear-gradient(90deg, ${stops.map(([at, colour]) => `${colour} ${at * 100}%`).join(", ")})`;
}

// Return the colours of all codes as the words of an ImageData, whose bytes are red, green, blue, opacity.
function tableOf(stops, infinite) {
  const table = new Uint32Array(258);
  for (let code = 0; code < 256; code += 1) table[code] = word(mixed(stops, code / 255));
  table[INFINITE] = word(rgb(infinite));
  return table;
}

function mixed(stops, at) {
  const next = Math.max(1, stops.findIndex(([stop]) => stop >= at));
  const [[low, from], [high, to]] = [stops[next - 1], stops[next]];
  const share = (at - low) / (high - low);
  return rgb(from).map((part, index) => part + share * (rgb(to)[index] - part));
}

function rgb(colour) {
  return [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));
}

function word([red, green, blue]) {
  return ((255 << 24) | (Math.round(blue) << 16) | (Math.round(green) << 8) | Math.round(red)) >>> 0;
}
