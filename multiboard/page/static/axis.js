// The x axis of charts: steps, times, or a scalar that never falls, such as the samples seen.

const UNITS = [[86400, "days"], [3600, "hours"], [60, "minutes"], [1, "seconds"]];

// Return the values at given places: on the line between two points, and for one interval beyond both ends at the rate of the
// last one; NaN farther away. Points that do not ascend or are not finite are left out.
export function interpolate(xs, ys, at) {
  const kept = [];
  for (let i = 0; i < xs.length; i++) {
    if (Number.isFinite(ys[i]) && (!kept.length || xs[i] > xs[kept[kept.length - 1]])) kept.push(i);
  }
  const last = kept.length - 1;
  let right = 1;
  return Float64Array.from(at, (x) => {
    if (last < 1) return last === 0 && xs[kept[0]] === x ? ys[kept[0]] : NaN;
    if (x < xs[kept[right - 1]]) right = 1;
    while (right < last && xs[kept[right]] < x) right += 1;
    const [a, b] = [kept[right - 1], kept[right]];
    const part = (x - xs[a]) / (xs[b] - xs[a]);
    return part >= -1 && part <= 2 ? ys[a] + part * (ys[b] - ys[a]) : NaN;
  });
}

function unitOf(runs) {
  const longest = Math.max(0, ...runs.runs.map((run) => run.seconds || 0));
  return UNITS.find(([size]) => longest >= 3 * size) || UNITS[3];
}

// Return the name of the chosen x axis; one that no run has counts as not chosen.
export function axisName({ runs, state }) {
  return state.get("x", "step", ["time", ...(runs.axes || []).map((one) => one.name)]);
}

// Return the chosen x axis: {label, at(series), lacking}.
// `at` gives the places of a series {run, step, wall}, NaN where the run does not tell them; `lacking` are the names of runs that
// do not have the axis at all.
export async function axisOf(context) {
  const name = axisName(context);
  const { runs } = context;
  if (name === "step") return { label: "step", at: (series) => Float64Array.from(series.step), lacking: [] };
  if (name === "time") {
    const [size, unit] = unitOf(runs);
    const started = new Map(runs.runs.map((run) => [run.name, run.started]));
    const at = (series) => Float64Array.from(series.wall, (wall) => (wall - (started.get(series.run) ?? series.wall[0])) / size);
    return { label: unit, at, lacking: [] };
  }
  const curve = await context.source.get("curve", { tag: name });
  const known = new Map((curve ? curve.series : []).map((series) => [series.run, series]));
  const at = (series) => {
    const own = known.get(series.run);
    return own ? interpolate(own.step, own.value, series.step) : new Float64Array(series.step.length).fill(NaN);
  };
  return { label: name, at, lacking: context.shown().filter((run) => !known.has(run)) };
}
