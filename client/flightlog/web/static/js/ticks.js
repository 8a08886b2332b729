// Times that move by themselves: one timer for the whole page, which rests while nobody looks.
import { h, setText } from "./dom.js";
import { age, duration, stamp } from "./format.js";

/** How long ago, with the exact time in its title. @param {string|null} text RFC 3339 */
export function ago(text) {
  if (!text) return h("span.soft", {}, "–");
  return h("time.num", { datetime: text, title: stamp(text), "data-ago": "" }, age(Date.parse(text), Date.now()));
}

/** How long something took, or takes: without an end it grows. */
export function took(durationUs, startedAt, running) {
  if (durationUs !== null && durationUs !== undefined) return h("span.num", {}, duration(durationUs));
  if (!startedAt || !running) return h("span.soft", {}, "–");
  return h("span.num", { "data-since": startedAt }, since(startedAt));
}

const since = (text) => duration(Math.max(0, Math.floor((Date.now() - Date.parse(text)) / 1000)) * 1e6);

/** Bring all times of the page up to date. */
export function tick() {
  if (document.hidden) return;
  const now = Date.now();
  for (const node of document.querySelectorAll("[data-ago]")) setText(node, age(Date.parse(node.dateTime), now));
  for (const node of document.querySelectorAll("[data-since]")) setText(node, since(node.dataset.since));
}
