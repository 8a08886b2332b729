// How an execution or a task stands: a sign, a word and a tone, so that colour is never alone in saying it.
import { h } from "./dom.js";

const LOOKS = {
  pending: ["·", "is-dim"],
  running: ["…", "is-busy"],
  waiting: ["‖", "is-warn"],
  succeeded: ["✓", "is-good"],
  partial: ["◐", "is-warn"],
  failed: ["✗", "is-bad"],
  cancelled: ["⊘", "is-dim"],
  timed_out: ["◷", "is-bad"],
  lost: ["?", "is-bad"],
  active: ["…", "is-busy"],
  completed: ["✓", "is-good"],
};

export const ACTIVE = ["pending", "running", "waiting"];
export const isActive = (status) => ACTIVE.includes(status);
export const tone = (status) => LOOKS[status]?.[1] ?? "is-dim";
export const word = (status) => status.replace("_", " ");

/** @param {string} status */
export function chip(status) {
  const live = status === "running" || status === "active" ? ".is-live" : "";
  return h(`span.chip.${tone(status)}${live}`, {}, h("span.sign", { "aria-hidden": "true" }, LOOKS[status]?.[0] ?? "·"), word(status));
}
