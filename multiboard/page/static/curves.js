// What is drawn of a scalar: smoothed curves, differences from the baseline, means of repeats, and what is allowed.

import { axisOf } from "./axis.js";
import { nearestIndex } from "./controls.js";
import { count, number } from "./format.js";
import { broken, groupingOf, groupsOf, meanBand } from "./groups.js";
import { cssColor } from "./theme.js";

const VISIBLE = 1e-3;
export const BANDS = ["range", "sd"];

// Return a curve as its moving average, without the pull to zero at its start; what is not finite stays as it is.
// weight: of the average before each point, from 0 to below 1.
export function smoothed(y, weight) {
  let [sum, share] = [0, 0];
  return Float64Array.from(y, (value) => {
    if (!Number.isFinite(value)) return value;
    sum = sum * weight + (1 - weight) * value;
    share = share * weight + 1 - weight;
    return sum / share;
  });
}

function relative(a, b) {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return 0;
  if (!Number.isFinite(a) || !Number.isFinite(b)) return Infinity;
  const largest = Math.max(Math.abs(a), Math.abs(b));
  return b / largest - a / largest;
}

// Return b - a over the larger of |a| and |b| at the steps that both have, as a series like b; infinite where one is not finite.
export function differences(a, b) {
  const base = new Map(Array.from(a.step, (step, i) => [step, a.value[i]]));
  const shared = [...b.step.keys()].filter((i) => base.has(b.step[i]));
  const taken = (list) => Float64Array.from(shared, (i) => list[i]);
  const value = Float64Array.from(shared, (i) => relative(base.get(b.step[i]), b.value[i]));
  return { run: b.run, step: taken(b.step), wall: taken(b.wall), value };
}

// Return a promise of what lineChart draws of a tag, an entry of the part `scalars`: its options, and notes, which are sentences.
export async function curvesOf(context, entry) {
  const [part, axis, compared] = await Promise.all([
    context.source.get("curve", { tag: entry.tag }), axisOf(context), context.comparison().catch(() => null)]);
  const shown = context.shown();
  const series = part ? shown.map((run) => part.series.find((one) => one.run === run)).filter(Boolean) : [];
  const base = series.find((one) => one.run === shown[0]);
  const options = choices(context, shown.length > 1);
  const drawn = options.difference && base ? series.filter((one) => one !== base).map((one) => differences(base, one)) : series;
  const lines = options.difference && !base ? [] : drawn.map((one) => lineOf(one, axis, options));
  const allowed = base && shown.length > 1 && lines.length ? limitOf(part, entry, base) : null;
  return {
    series: [...limitLine(context, base, allowed, axis, options), ...grouped(context, lines, options)
      .map((one) => (one.run === shown[0] ? emphasised(one, allowed, options.difference) : one))],
    marks: base ? marksOf(context, compared, entry, base, axis) : [],
    notes: notesOf(axis, lines),
    empty: part ? options.difference && `Only ${base ? "the baseline has" : "other runs have"} it.` : "This page does not hold this curve.",
    xLabel: axis.label, logY: options.log, y: options.difference ? percent : undefined,
  };
}

function choices(context, several) {
  const { state } = context;
  return {
    difference: several && state.get("difference", false), log: state.get("log", false), weight: smoothing(state),
    group: groupingOf(context), band: state.get("band", "range", BANDS), members: state.get("members", false),
  };
}

// Return the chosen weight of smoothing, from 0 to 0.99.
export function smoothing(state) {
  const weight = state.get("smoothing", 0);
  return weight >= 0 && weight <= 0.99 ? weight : 0;
}

function percent(value) {
  return `${number(100 * value)} %`;
}

function lineOf(series, axis, { difference, log, weight }) {
  const raw = difference && log ? series.value.map(Math.abs) : series.value;
  return { run: series.run, x: axis.at(series), raw, y: weight ? smoothed(raw, weight) : raw };
}

function grouped(context, lines, options) {
  const faint = (line) => ({ label: line.run, color: context.color(line.run), x: line.x, alpha: 0.3, width: 1, hidden: true, gaps: true });
  if (!options.group) {
    return lines.flatMap((line) => [...(options.weight ? [{ ...faint(line), y: line.raw }] : []),
      { run: line.run, label: line.run, color: context.color(line.run), x: line.x, y: line.y }]);
  }
  return groupsOf(context.shown().map(context.info), options.group).flatMap(({ label, members }) => {
    const own = lines.filter((line) => members.includes(line.run));
    if (!own.length) return [];
    const { x, mean, low, high } = broken(meanBand(own, options.band));
    const color = context.color(members[0]);
    const band = own.length > 1 ? { low, high } : undefined;
    return [...(options.members && band ? own.map((line) => ({ ...faint(line), color, y: line.y })) : []),
      { label: band ? `${label} (${own.length})` : label, color, x, y: mean, width: 2, band }];
  });
}

// Return the largest relative differences that are allowed, at the steps of the baseline; null if it is not compared.
function limitOf(part, entry, base) {
  const own = (part.limits || []).reduce((most, one) => (one.step.length > (most ? most.step.length : 0) ? one : most), null);
  if (own) return Float64Array.from(base.step, (step) => own.limit[nearestIndex(own.step, step)]);
  return entry.limit === null ? null : new Float64Array(base.step.length).fill(entry.limit);
}

function emphasised(line, allowed, difference) {
  if (difference || !allowed || allowed.every((one) => one < VISIBLE)) return { ...line, width: 2.5 };
  const away = (up) => Float64Array.from(line.y, (value, i) => value * (value > 0 === up ? 1 / (1 - Math.min(allowed[i], 0.99)) : 1 - allowed[i]));
  return { ...line, width: 2.5, band: { low: away(false), high: away(true) } };
}

function limitLine(context, base, allowed, axis, { difference, log }) {
  if (!difference || !allowed) return [];
  const line = { label: "limit", color: cssColor("--soft"), x: axis.at(base), dash: [4, 3], width: 1, gaps: true };
  if (log) return [{ ...line, y: allowed }];
  return [{ ...line, label: context.baseline(), y: allowed.map(() => 0), hidden: true, band: { low: allowed.map((one) => -one), high: allowed } },
    { ...line, y: allowed }, { ...line, y: allowed.map((one) => -one), hidden: true }];
}

function marksOf(context, compared, entry, base, axis) {
  const found = compared ? compared.divergence : [];
  const place = (step) => (step < base.step[0] ? NaN
    : axis.at({ run: base.run, step: [step], wall: [base.wall[nearestIndex(base.step, step)]] })[0]);
  const own = new Map(found.filter((one) => one.name === entry.tag && context.shown().includes(one.run))
    .map((one) => [one.step, { x: place(one.step), label: `parts at step ${one.step}`, color: context.color(one.run) }]).reverse());
  const first = found.length && entry.kind && !own.size ? [{ x: place(found[0].step), color: cssColor("--faint") }] : [];
  return [...own.values(), ...first];
}

function notesOf(axis, lines) {
  return lines.filter((line) => !axis.lacking.includes(line.run))
    .map((line) => [line.run, line.x.reduce((sum, x) => sum + Number.isNaN(x), 0)]).filter(([, lost]) => lost)
    .map(([run, lost]) => `${count(lost, "point")} of ${run} lie outside of the steps that have ${axis.label}.`);
}
