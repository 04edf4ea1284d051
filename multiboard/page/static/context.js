// What every panel is given. A panel module exports `xxxPanel(context)`, which returns {id, title, element, update(changed)}.
//
// The page puts `element` under a heading with the title. It calls update() when the panel first comes near what is seen,
// and again after a change of the state or a reload (changed: a set of state keys; "data" after a reload or another choice
// of runs; "theme"). A panel that is far away is told when it comes near. update() may be async; what it raises is shown as
// one sentence. Shared: dom.js (h), chart.js (lineChart), controls.js (segmented, toggle, select, …), format.js (number, …),
// theme.js (cssColor), and the classes at the top of style.css.

import { onTheme, runColor, theme } from "./theme.js";

// Return a context over a source of parts and a state; load() must have been awaited before the runs are used.
export function createContext(source, state) {
  const listeners = new Set();
  const notify = (changed) => [...listeners].forEach((fn) => fn(changed));
  let runs = { runs: [], axes: [], thinned: [], fixed: true };
  let compared = null;
  let shownBefore = "";

  const context = {
    source,
    state,
    // Part 1, `runs`: {fixed, runs: [{name, color, …}], axes, thinned}.
    get runs() {
      return runs;
    },
    // Return the names of the runs that are shown, the baseline first.
    shown() {
      const names = runs.runs.map((run) => run.name);
      const baseline = context.baseline();
      const wanted = new Set(state.get("runs", runs.fixed ? names : names.slice(0, FIRST_SHOWN)));
      return names.length ? [baseline, ...names.filter((name) => name !== baseline && wanted.has(name))] : [];
    },
    // Return the name of the run that the others are compared with; a report has a fixed one.
    baseline() {
      const names = runs.runs.map((run) => run.name);
      const wanted = runs.fixed ? undefined : state.get("baseline", "");
      return names.includes(wanted) ? wanted : names[0];
    },
    // Return what part 1 tells of a run, or undefined.
    info: (name) => runs.runs.find((run) => run.name === name),
    // Return the colour of a run, as CSS and canvas take it.
    color: (name) => runColor(context.info(name)?.color ?? 0),
    // Return a promise of part 2, `comparison`; null where there is none.
    comparison() {
      if (!compared) {
        compared = source.get("comparison");
        compared.catch(() => (compared = null));
      }
      return compared;
    },
    theme,
    // Call fn(changed) after each change.
    onChange: (fn) => listeners.add(fn),
    // Read part 1 anew, and with it everything else.
    async load() {
      source.forget();
      compared = null;
      runs = (await source.get("runs")) || runs;
      choose();
      notify(new Set(["data"]));
    },
  };

  function choose() {
    const shown = context.shown();
    if (!runs.fixed) source.choose(shown);
    const changed = JSON.stringify(shown) !== shownBefore;
    shownBefore = JSON.stringify(shown);
    if (changed && !runs.fixed) compared = null;
    return changed;
  }

  state.onChange((changed) => {
    const all = new Set(changed);
    if ((changed.has("runs") || changed.has("baseline")) && choose()) all.add("data");
    notify(all);
  });
  onTheme(() => notify(new Set(["theme"])));
  return context;
}

const FIRST_SHOWN = 6;
