// Controls that all panels share; each can be used with the keyboard alone.

import { h, fill } from "./dom.js";

let groups = 0;

// Return a row of choices, of which one holds; options: [{value, label, title}]. set(value) changes it, offer(options) replaces
// them.
export function segmented(label, options, value, onChange) {
  const name = `choice${(groups += 1)}`;
  const element = h("fieldset", { class: "segmented", "aria-label": label });
  const same = remembering();
  const control = {
    element,
    set(chosen) {
      for (const input of element.querySelectorAll("input")) input.checked = input.value === chosen;
    },
    offer(offered) {
      if (same(offered)) return;
      element.hidden = !offered.length;
      fill(element, offered.map((one) => h("label", { title: one.title }, h("input", {
        type: "radio", name, value: one.value, onchange: () => onChange(one.value),
      }), h("span", {}, one.label))));
    },
  };
  control.offer(options);
  control.set(value);
  return control;
}

// Return a check box with its text.
export function toggle(label, value, onChange, title) {
  const input = h("input", { type: "checkbox", onchange: () => onChange(input.checked), props: { checked: value } });
  return { element: h("label", { class: "toggle", title }, input, label), set: (checked) => (input.checked = checked) };
}

// Return a list to choose from; options: [{value, label}] or texts.
export function select(label, options, value, onChange) {
  const element = h("select", { "aria-label": label, onchange: () => onChange(element.value) });
  const same = remembering();
  const control = {
    element,
    set: (chosen) => (element.value = chosen),
    offer(offered) {
      if (same(offered)) return;
      fill(element, offered.map((one) => (typeof one === "string" ? h("option", { value: one }, one)
        : h("option", { value: one.value }, one.label))));
    },
  };
  control.offer(options);
  control.set(value);
  return control;
}

// Return a field for a search or a filter; onChange is called a moment after the last letter.
export function search(label, value, onChange) {
  let waiting = 0;
  const element = h("input", { type: "search", class: "search", placeholder: label, "aria-label": label, spellcheck: "false",
    props: { value }, oninput() {
      clearTimeout(waiting);
      waiting = setTimeout(() => {
        waiting = 0;
        onChange(element.value);
      }, 150);
    } });
  // What is being typed stays: the state that is shown may be that of some letters ago.
  return { element, set: (text) => !waiting && element.value !== text && (element.value = text) };
}

// Return a slider over steps with a button that plays them; onChange gets the step. offer(steps) replaces them, set(step) moves.
export function stepSlider(label, onChange) {
  let steps = [];
  let playing = 0;
  const input = h("input", { type: "range", min: 0, step: 1, "aria-label": label, oninput: () => pick(Number(input.value)) });
  const shown = h("output", { class: "step" });
  const button = h("button", { class: "plain play", title: "Play the steps", "aria-label": "Play the steps", onclick: play },
    "▶");
  function show(at) {
    input.value = at;
    shown.textContent = steps.length ? `step ${steps[at]}` : "no step";
    input.setAttribute("aria-valuetext", shown.textContent);
  }
  function pick(at) {
    show(at);
    onChange(steps[at]);
  }
  function stop() {
    clearInterval(playing);
    playing = 0;
    button.textContent = "▶";
  }
  function play() {
    if (playing) return stop();
    button.textContent = "❚❚";
    if (Number(input.value) >= steps.length - 1) pick(0);
    playing = setInterval(() => {
      const at = Number(input.value) + 1;
      if (at >= steps.length || !input.isConnected) stop();
      else pick(at);
    }, 250);
  }
  return {
    element: h("div", { class: "slider" }, button, input, shown),
    offer(offered) {
      steps = offered;
      input.max = Math.max(0, steps.length - 1);
      input.disabled = button.disabled = steps.length < 2;
    },
    set: (step) => show(nearestIndex(steps, step)),
  };
}

// Return the index of the last step that is not after this one, 0 if there is none; steps ascend.
export function nearestIndex(steps, step) {
  let [low, high] = [0, steps.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (steps[middle] <= step) low = middle;
    else high = middle - 1;
  }
  return Math.max(0, low);
}

// Return a test of whether the options are those of the last call: a control that has the focus must not be made anew.
function remembering() {
  let last = null;
  return (options) => {
    const now = JSON.stringify(options);
    const same = now === last;
    last = now;
    return same;
  };
}

// Return a button that copies a text.
export function copyButton(text) {
  const button = h("button", { class: "plain copy", title: "Copy the whole value", "aria-label": "Copy the whole value",
    async onclick() {
      await copy(text);
      button.textContent = "copied";
      setTimeout(() => (button.textContent = "copy"), 1200);
    } }, "copy");
  return button;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { class: "offscreen", props: { value: text } });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}
