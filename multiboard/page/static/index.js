// The entry of TensorBoard's tab: its dynamic plugins load this module, with all others in it, in a frame of their own, and call
// render.

import { start } from "./app.js";
import { serverSource } from "./source.js";
import { fragmentStore } from "./state.js";
import { whenLeft } from "./theme.js";

const KEY = "p.multiboard.view";

// Show the page. TensorBoard's <base> makes relative addresses count from the plugin.
export async function render() {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = "static/style.css";
  document.head.append(link);
  document.documentElement.lang = "en";
  await start(serverSource("part/"), document.body, parent === window ? fragmentStore() : dashboardStore(parent));
}

// Return a place for the state in the address of the dashboard, beside what it keeps there itself: the frame's own is never seen.
function dashboardStore(outer) {
  const pieces = () => outer.location.hash.slice(1).split("&").filter(Boolean);
  return {
    read: () => new URLSearchParams(outer.location.hash.slice(1)).get(KEY) || "",
    write(text) {
      const others = pieces().filter((piece) => !piece.startsWith(`${KEY}=`));
      const hash = [...others, ...(text ? [`${KEY}=${encodeURIComponent(text)}`] : [])].join("&");
      outer.history.replaceState(outer.history.state, "", `${outer.location.href.split("#")[0]}#${hash}`);
    },
    onExternal(fn) {
      outer.addEventListener("hashchange", fn);
      whenLeft(() => outer.removeEventListener("hashchange", fn));
    },
  };
}
