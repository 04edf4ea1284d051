// Histograms as lines: the share of the values per unit of the axis, so that bars of unequal width can be compared.

const CELLS = 180;

// Return the bars of the capture at an index of `shown`: [[left, right, count], …], ascending.
export function barsOf(series, index) {
  const bars = [];
  for (let at = series.offsets[index]; at < series.offsets[index + 1]; at += 1) {
    bars.push(Array.from(series.rows.subarray(3 * at, 3 * at + 3)));
  }
  return bars.filter(([left, right, count]) => count > 0 && right >= left);
}

// Return the size, a power of ten, up to which an axis for these bars is best linear; beyond it, it is logarithmic.
export function thresholdOf(allBars) {
  const ends = allBars.flat().map(([left, right, count]) => [Math.max(Math.abs(left), Math.abs(right)), count])
    .filter(([size]) => size > 0).sort((a, b) => a[0] - b[0]);
  const half = ends.reduce((sum, [, count]) => sum + count, 0) / 20;
  let passed = 0;
  const small = ends.find(([, count]) => (passed += count) >= half);
  return small ? 10 ** Math.floor(Math.log10(Math.max(small[0], ends[ends.length - 1][0] * 1e-6))) : 1;
}

// Return {x, top, lines: [{y, same}, …]} of several histograms as lines in steps over the same cells, so that thin bars, of
// which single ones are chance, are seen together. threshold: of an axis of asinh(x / threshold), null of a linear one. Bars
// without width are values that are all the same: same has the largest of them as [value, share], top is the largest density of
// the others.
export function densities(allBars, threshold) {
  const place = threshold ? (x) => Math.asinh(x / threshold) : (x) => x;
  const back = threshold ? (x) => Math.sinh(x) * threshold : (x) => x;
  const [low, high] = range(allBars.flat().flatMap(([left, right]) => [place(left), place(right)]));
  const size = (high - low) / CELLS;
  const cellOf = (x) => Math.min(CELLS - 1, Math.max(0, Math.floor((x - low) / size)));
  const lines = allBars.map((bars) => {
    const total = bars.reduce((sum, [, , count]) => sum + count, 0);
    const spread = new Float64Array(CELLS + 1);
    const points = new Float64Array(CELLS + 1);
    let same = null;
    for (const [left, right, count] of bars) {
      const [from, to, share] = [place(left), place(right), count / total];
      if (!(to > from)) {
        points[cellOf(from)] += share / size;
        if (!same || share > same[1]) same = [left, share];
        continue;
      }
      for (let cell = cellOf(from); cell <= cellOf(to); cell += 1) {
        const inside = Math.min(to, low + (cell + 1) * size) - Math.max(from, low + cell * size);
        if (inside > 0) spread[cell] += (share * inside) / (to - from) / size;
      }
    }
    return { spread, y: spread.map((value, cell) => value + points[cell]), same };
  });
  const top = lines.reduce((most, { spread }) => Math.max(most, ...spread), 0);
  return { x: Float64Array.from({ length: CELLS + 1 }, (_, cell) => back(low + cell * size)), top, lines };
}

function range(places) {
  const [low, high] = places.reduce(([least, most], x) => [Math.min(least, x), Math.max(most, x)], [Infinity, -Infinity]);
  return high > low ? [low, high] : high === low ? [low - 0.5, high + 0.5] : [0, 1];
}

// Return quantile number `which` of all captures of a series.
export function quantile(series, which) {
  return Float64Array.from(series.step, (_, at) => series.quantiles[9 * at + which]);
}
