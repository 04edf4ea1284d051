// Light and dark: the choice of the page, else of the page around it, else of the system.

const DARK_ABOVE = ".dark-mode, .vscode-dark, [data-jp-theme-light='false'], [theme='dark']";

// Colours that people with a colour vision deficiency can tell apart, for lines on white and on black.
const RUNS = {
  light: ["#3d4654", "#d9480f", "#1c7ed6", "#2b8a3e", "#9c36b5", "#b08800", "#0b7285", "#c2255c", "#5f3dc4", "#74614a"],
  dark: ["#c9d1dc", "#ff8a4c", "#5ab0f7", "#5bc878", "#d680ea", "#e3b341", "#4cc9d9", "#f78bb0", "#a594f9", "#c9b18f"],
};

const listeners = new Set();
let current = "light";
let chosen = "auto";

// Return "light" or "dark".
export function theme() {
  return current;
}

// Return the colour of the nth run in the present theme.
export function runColor(index) {
  return RUNS[current][((index % RUNS.light.length) + RUNS.light.length) % RUNS.light.length];
}

// Return the value of a custom property of style.css, e.g. cssColor("--line"); for what is drawn on a canvas.
export function cssColor(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// Call a function when the theme changes; returns what ends this.
export function onTheme(fn) {
  listeners.add(fn);
  return () => listeners.delete(fn);
}

// Choose "auto", "light" or "dark".
export function chooseTheme(choice) {
  chosen = choice;
  apply();
}

// Follow the system and the page around this one from now on.
export function watchTheme() {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  const body = outerBody();
  if (body) {
    const observer = new MutationObserver(apply);
    observer.observe(body, { attributes: true, attributeFilter: ["class", "data-jp-theme-light", "theme"] });
    whenLeft(() => observer.disconnect());
  }
  apply();
}

// Call a function when this page goes for good; what it left in the page around it would keep all of it in memory.
export function whenLeft(fn) {
  addEventListener("pagehide", (event) => event.persisted || fn());
}

function apply() {
  const before = current;
  current = chosen === "auto" ? surroundings() : chosen;
  document.documentElement.dataset.theme = current;
  if (before !== current) [...listeners].forEach((fn) => fn(current));
}

function surroundings() {
  const body = outerBody();
  if (body) {
    if (body.matches(DARK_ABOVE) || body.ownerDocument.documentElement.matches(DARK_ABOVE)) return "dark";
    // These pages have a theme of their own; the system's does not count for what lies in them.
    if (body.querySelector("tb-webapp") || body.matches("[data-jp-theme-light], .vscode-light")) return "light";
  }
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

function outerBody() {
  try {
    return parent === window ? null : parent.document.body;
  } catch {
    return null;
  }
}
