// Repeats of one training: which runs belong together, and the mean of their curves with a band.

const SEEDS = /(^|[^a-z])(seed|random_state|rng|prng)([^a-z]|$)|[a-z]Seed$/i;
const NAMES = /^((run|exp|experiment|job|trial)[_./-]?)?(name|id|uuid)$|^(notes?|tags?|date|time(stamp)?|host(name)?|user)$/i;
const PLACES = /(log|out|output|save|run|work|checkpoint|ckpt)[a-z]*[_-]?(dir|directory|folder|path)$/i;

// Tell whether a hyper-parameter may differ between repeats: a seed, a name, a place.
export function isOwn(key) {
  return [SEEDS, NAMES, PLACES].some((pattern) => pattern.test(key));
}

function told(run) {
  const kept = Object.entries(run.config).filter(([key]) => !isOwn(key)).map(([key, value]) => [key, String(value)]);
  return run.framework ? [["framework", run.framework], ...kept.filter(([key]) => key !== "framework")] : kept;
}

function label(facts, differing, members, all, by) {
  if (by !== "auto" && facts.length) return facts[0].join(" ");
  if (members.length === 1) return members[0];
  const named = facts.filter(([key]) => differing.has(key)).map(([key, value]) => (key === "framework" ? value : `${key} ${value}`));
  return named.join(", ") || (members.length === all ? `all ${all} runs` : `${members[0]} and ${members.length - 1} more`);
}

// Return the keys that runs can be grouped by: those of their hyper-parameters with more than one value.
export function groupKeys(runs) {
  const keys = [...new Set(runs.flatMap((run) => Object.keys(run.config)))].sort();
  return keys.filter((key) => new Set(runs.map((run) => String(run.config[key]))).size > 1);
}

// Return by what the runs that are shown are grouped: "" for not at all, "auto", or one of their keys.
export function groupingOf(context) {
  const runs = context.shown().map(context.info);
  return runs.length > 1 ? context.state.get("group", "", ["auto", ...groupKeys(runs)]) : "";
}

// Return groups of runs as [{label, members: [name]}], in the order of their first members.
// By 'auto' those belong together whose hyper-parameters are the same but for seeds and names; by another key those with the same
// value of it. Without hyper-parameters a run is alone.
export function groupsOf(runs, by) {
  const facts = runs.map((run) => (!Object.keys(run.config).length ? [] : by === "auto" ? told(run) : [[by, String(run.config[by] ?? "none")]]));
  const groups = new Map();
  runs.forEach((run, index) => {
    const key = facts[index].length === 0 ? `alone ${index}` : JSON.stringify([...facts[index]].sort());
    if (!groups.has(key)) groups.set(key, { facts: facts[index], members: [] });
    groups.get(key).members.push(run.name);
  });
  const values = new Map();
  for (const group of groups.values()) {
    for (const [key, value] of group.members.length > 1 ? group.facts : []) values.set(key, (values.get(key) || new Set()).add(value));
  }
  const differing = new Set([...values].filter(([, found]) => found.size > 1).map(([key]) => key));
  return [...groups.values()].map(({ facts: own, members }) => ({ label: label(own, differing, members, runs.length, by), members }));
}

function valueAt(member, x, from) {
  let i = from;
  while (i < member.x.length && !(member.x[i] >= x)) i += 1;
  if (i === member.x.length) return [NaN, from];
  if (member.x[i] === x) return [member.y[i], i];
  const part = i ? (x - member.x[i - 1]) / (member.x[i] - member.x[i - 1]) : NaN;
  return [i ? member.y[i - 1] + part * (member.y[i] - member.y[i - 1]) : NaN, Math.max(i - 1, 0)];
}

// Return the mean of curves at all their places, and the band: {x, mean, low, high, count}.
// A curve counts between its first and its last point, on the line between two of them. What is not finite does not count.
// members: curves {x, y} with ascending x. band: 'range' from the least to the largest, 'sd' one standard deviation (of a sample)
// to both sides.
export function meanBand(members, band) {
  const x = Float64Array.from(new Set(members.flatMap((member) => [...member.x].filter(Number.isFinite)))).sort();
  const from = members.map(() => 0);
  const found = { x, mean: [], low: [], high: [], count: [] };
  for (const place of x) {
    const values = members.map((member, i) => {
      const [value, next] = valueAt(member, place, from[i]);
      from[i] = next;
      return value;
    }).filter(Number.isFinite);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const sd = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1));
    found.mean.push(mean);
    found.low.push(band === "sd" ? mean - sd : Math.min(...values));
    found.high.push(band === "sd" ? mean + sd : Math.max(...values));
    found.count.push(values.length);
  }
  return found;
}

// Return a mean with a gap wherever another number of curves counts: there it jumps though no curve does.
export function broken({ x, mean, low, high, count }) {
  const parts = { x: [], mean: [], low: [], high: [] };
  const add = (place, values) => {
    parts.x.push(place);
    Object.entries(values).forEach(([name, value]) => parts[name].push(value));
  };
  count.forEach((members, i) => {
    if (i && members !== count[i - 1]) add((x[i - 1] + x[i]) / 2, { mean: null, low: null, high: null });
    add(x[i], { mean: mean[i], low: low[i], high: high[i] });
  });
  return parts;
}
