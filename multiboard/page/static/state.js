// What a person has chosen, kept in the fragment of the address, so that a view can be sent to somebody.

// Return the state: get(key, fallback, allowed), set({key: value, …}), onChange(fn). What is not of the type of the fallback, or
// not among the values that are allowed, was written by hand and counts as not there. Keys in use: baseline, runs, theme, x,
// filter, kind, measure, run, layer, step, order; scalars: smoothing, log, difference, group, tag; media: mediaStep. Further ones
// as panels need them.
export function createState(store = fragmentStore()) {
  let values = parse(store.read());
  const listeners = new Set();
  const notify = (changed) => changed.size && [...listeners].forEach((fn) => fn(changed));
  store.onExternal(() => {
    const before = values;
    values = parse(store.read());
    notify(new Set([...before.keys(), ...values.keys()].filter((key) => !same(before.get(key), values.get(key)))));
  });
  return {
    get(key, fallback, allowed) {
      const value = values.get(key);
      return value === undefined || !ofType(value, fallback) || (allowed && !allowed.includes(value)) ? fallback : value;
    },
    // null takes a value back to its default; fn of onChange gets the set of keys that really changed.
    set(changes) {
      const changed = new Set();
      for (const [key, value] of Object.entries(changes)) {
        const wanted = value === null ? undefined : value;
        if (same(values.get(key), wanted)) continue;
        changed.add(key);
        if (wanted === undefined) values.delete(key);
        else values.set(key, wanted);
      }
      if (changed.size) store.write(format(values));
      notify(changed);
    },
    onChange: (fn) => listeners.add(fn),
  };
}

// Return the fragment of this document as a place to keep the state in.
export function fragmentStore() {
  return {
    read: () => location.hash.slice(1),
    write(text) {
      // An absolute address: a relative one would count from <base>, which is another page.
      const address = `${location.href.split("#")[0]}#${text}`;
      try {
        history.replaceState(null, "", address);
      } catch {
        location.hash = text;
      }
    },
    onExternal: (fn) => addEventListener("hashchange", fn),
  };
}

function same(a, b) {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

function ofType(value, fallback) {
  if (fallback === undefined || fallback === null) return true;
  return typeof value === typeof fallback && Array.isArray(value) === Array.isArray(fallback);
}

function parse(text) {
  return new Map([...new URLSearchParams(text)].map(([key, value]) => [key, parseValue(value)]));
}

function parseValue(text) {
  try {
    const value = JSON.parse(text);
    return value === null ? text : value;
  } catch {
    return text;
  }
}

function formatValue(value) {
  return typeof value === "string" && parseValue(value) === value ? value : JSON.stringify(value);
}

function format(values) {
  return new URLSearchParams([...values].map(([key, value]) => [key, formatValue(value)])).toString();
}
