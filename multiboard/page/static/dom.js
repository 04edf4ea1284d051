// Elements without markup: text of a run only ever becomes a text node or the value of an attribute that runs nothing.

const SVG = "http://www.w3.org/2000/svg";

// Return a new element; "svg:path" makes one of SVG.
// attributes: on… functions listen; class and title are texts; dataset, style and props are objects; true and false set and
// omit an attribute, null omits it. children: elements, texts, numbers, lists of these; null and false are left out.
export function h(tag, attributes, ...children) {
  const element = tag.startsWith("svg:") ? document.createElementNS(SVG, tag.slice(4)) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) setAttribute(element, name, value);
  append(element, children);
  return element;
}

// Replace all that an element holds; return the element.
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2).toLowerCase(), value);
  else if (name === "dataset") Object.assign(element.dataset, value);
  else if (name === "props") Object.assign(element, value);
  else if (name === "style") for (const [key, one] of Object.entries(value)) setStyle(element, key, one);
  else element.setAttribute(name, value === true ? "" : String(value));
}

function setStyle(element, name, value) {
  if (name.startsWith("--")) element.style.setProperty(name, value);
  else element.style[name] = value;
}

let spoken = null;

// Have screen readers say a text that is not at the focus, such as the values at a cursor.
export function announce(text) {
  if (!spoken?.isConnected) document.body.append((spoken = h("p", { class: "offscreen", "aria-live": "polite" })));
  spoken.textContent = text;
}

// Call a function once, in the frame after the last of several calls; returns what to call.
export function inNextFrame(fn) {
  let waiting = 0;
  return () => {
    waiting = waiting || requestAnimationFrame(() => {
      waiting = 0;
      fn();
    });
  };
}

// Call fn(true) when an element comes near what is seen, and fn(false) when it has gone far away. Returns what ends this.
export function whenVisible(element, fn, margin = 300) {
  const observer = new IntersectionObserver((entries) => fn(entries[entries.length - 1].isIntersecting), {
    rootMargin: `${margin}px 0px`,
  });
  observer.observe(element);
  return () => observer.disconnect();
}
