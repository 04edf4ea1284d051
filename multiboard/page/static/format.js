// Numbers, times and shortened texts as people read them.

// Return a number with four significant digits; NaN, inf and -inf as such, null as a dash.
export function number(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value;
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "−inf";
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (Number.isInteger(value) && size < 1e7) return signed(value.toLocaleString("en"));
  if (size >= 1e6 || size < 1e-4) return signed(Number(value.toPrecision(3)).toExponential().replace("e+", "e"));
  return signed(String(Number(value.toPrecision(4))));
}

// Return a ratio as a factor, e.g. "3.2 ×".
export function factor(value) {
  return Number.isFinite(value) ? `${number(Number(value.toPrecision(3)))} ×` : number(value);
}

// Return a text with a capital letter.
export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

// Return a count with its noun.
export function count(value, one, many = `${one}s`) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

// Return a duration in seconds, e.g. "2 min 5 s".
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 59.5) return `${number(Number(seconds.toPrecision(3)))} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

// Return the local day and time of seconds since 1970.
export function moment(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const two = (part) => String(part).padStart(2, "0");
  const at = new Date(seconds * 1000);
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

// Return a text of at most so many characters: its start and, more of it, its end, for paths differ at the end.
export function shorten(text, length) {
  if (text.length <= length) return text;
  const start = Math.floor((length - 1) / 3);
  return `${text.slice(0, start)}…${text.slice(text.length - (length - 1 - start))}`;
}

// Return a test of texts by a regular expression that a person types; one that is not finished matches as plain text, and so does
// one with a group that repeats, which may take for ever on a long name: a link from a stranger can hold it.
export function matcher(pattern) {
  if (!pattern) return () => true;
  try {
    if (/\)[*+{]/.test(pattern)) throw new SyntaxError("a group repeats");
    const expression = new RegExp(pattern, "i");
    return (text) => expression.test(text);
  } catch {
    return (text) => text.toLowerCase().includes(pattern.toLowerCase());
  }
}

function signed(text) {
  return text.replaceAll("-", "−");
}
