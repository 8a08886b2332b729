// When attempts at tasks ran: bars on a common axis. Retries stand under the first attempt, what runs is open.
import { axis } from "./axis.js";
import { h } from "./dom.js";
import { duration, stamp } from "./format.js";
import { ACTIVE, chip, tone, word } from "./status.js";
import { harmless, json, oneLine } from "./text.js";
import { took } from "./ticks.js";

/**
 * @param {Object[]} attempts of one execution
 * @param {Object} execution
 * @param {Set<string>} open keys of those whose details are shown; changed by clicks
 */
export function timeline(attempts, execution, open) {
  const now = Date.now();
  const ordered = grouped(attempts);
  const starts = ordered.map(startOf).concat(execution.started_at ? [Date.parse(execution.started_at)] : []);
  const scale = axis(Math.min(...starts), Math.max(...ordered.map((task) => endOf(task, now)), Math.min(...starts) + 1));
  return h("div.sheet.timeline", { style: { "--step": `${scale.step * 100}%` } },
    h("div.axis", { "aria-hidden": "true" }, h("span"), h("div.track", {}, scale.marks.map(({ at, text }) => mark(at, text))), h("span")),
    overlap(ordered, scale, now),
    h("ul.bars", {}, ordered.map((task) => bar(task, scale, now, open))));
}

const keyOf = (task) => `${task.task_id} ${task.attempt} ${task.seq}`;
const startOf = (task) => Date.parse(task.started_at ?? task.created_at);
const runs = (task) => ACTIVE.includes(task.status) && task.started_at !== null;

function endOf(task, now) {
  if (task.finished_at) return Date.parse(task.finished_at);
  return runs(task) ? now : startOf(task);
}

/** Attempts at one task together, tasks in the order in which they began. */
function grouped(attempts) {
  const groups = new Map();
  for (const task of attempts) {
    if (!groups.has(task.task_id)) groups.set(task.task_id, []);
    groups.get(task.task_id).push(task);
  }
  const lists = [...groups.values()];
  for (const list of lists) list.sort((a, b) => a.attempt - b.attempt || a.seq - b.seq);
  return lists.sort((a, b) => startOf(a[0]) - startOf(b[0])).flat();
}

function mark(at, text) {
  return h("span.mark", { style: { left: `${at * 100}%` } }, text);
}

function bar(task, scale, now, open) {
  const key = keyOf(task);
  const name = task.name ?? task.task_id;
  const from = scale.at(startOf(task));
  const to = scale.at(endOf(task, now));
  const again = task.attempt > 1;
  const span = h(`span.span.${tone(task.status)}`, {
    class: `span ${tone(task.status)}${runs(task) ? " open" : ""}${task.started_at ? "" : " planned"}`,
    style: { left: `${from * 100}%`, width: `${(to - from) * 100}%` },
  });
  const details = h("div.details", { hidden: !open.has(key) });
  const button = h("button.row", {
    type: "button", "aria-expanded": String(open.has(key)), "data-row": "", "data-keep": key,
    title: `${harmless(name)}: ${word(task.status)}${task.started_at ? `, began ${stamp(task.started_at)}` : ""}`,
  },
  h("span.name", {}, again ? h("span.retry", {}, `retry ${task.attempt}`) : oneLine(name, 90)),
  h("span.track", { "aria-hidden": "true" }, span),
  h("span.result", {}, chip(task.status), took(task.duration_us, task.started_at, runs(task))));
  const fill = () => details.replaceChildren(...(open.has(key) ? parts(task) : []));
  button.addEventListener("click", () => {
    open.has(key) ? open.delete(key) : open.add(key);
    button.setAttribute("aria-expanded", String(open.has(key)));
    details.hidden = !open.has(key);
    fill();
  });
  fill();
  return h("li", {}, button, details);
}

function parts(task) {
  const line = (name, value) => (value === null || value === undefined || value === "" ? null : [h("dt", {}, name), h("dd", {}, value)]);
  const block = (name, value) => (value === null || value === undefined ? null : [h("dt", {}, name), h("dd", {}, h("pre", {}, json(value)))]);
  const { error } = task;
  return [h("dl", {},
    line("Task", h("code", {}, harmless(task.task_id))),
    line("Attempt", task.attempt > 1 ? `${task.attempt}, retry of ${task.retry_of}` : null),
    line("Reason", task.reason && harmless(task.reason)),
    line("Began", task.started_at && stamp(task.started_at)),
    line("Ended", task.finished_at && `${stamp(task.finished_at)}${task.inferred ? ", with its execution" : ""}`),
    line("Agent", task.agent_id && harmless(task.agent_id)),
    line("Trace", task.trace_id && h("code", {}, task.trace_id)),
    error ? [h("dt", {}, "Error"), h("dd.is-bad.toned", {}, h("strong", {}, harmless(error.type ?? "Error")), ` ${harmless(error.message ?? "")}`,
      error.stack ? h("pre", {}, harmless(error.stack)) : null)] : null,
    block("Inputs", task.inputs), block("Outputs", task.outputs), block("Retrieval", task.retrieval), block("Wrote", task.io))];
}

/** How many ran at once, as heights; where never two did, nothing. */
function overlap(attempts, scale, now) {
  const steps = attempts.filter((task) => task.started_at).flatMap((task) => [[startOf(task), 1], [endOf(task, now), -1]]);
  steps.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let running = 0;
  let most = 0;
  const pieces = [];
  steps.forEach(([at, change], index) => {
    running += change;
    most = Math.max(most, running);
    const until = steps[index + 1]?.[0];
    if (running && until > at) pieces.push([at, until, running]);
  });
  if (most < 2) return null;
  const busy = pieces.reduce((sum, [from, to, count]) => sum + (to - from) * count, 0);
  return h("div.overlap", { title: `At most ${most} at once; ${duration(busy * 1000)} of work in all` },
    h("span.name", {}, "at once"),
    h("span.track", { "aria-hidden": "true" }, pieces.map(([from, to, count]) => h("span.step", {
      style: { left: `${scale.at(from) * 100}%`, width: `${(scale.at(to) - scale.at(from)) * 100}%`, height: `${(count / most) * 100}%` },
    }))),
    h("span.result", {}, `max ${most}`));
}
