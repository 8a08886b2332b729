// What is known of an execution at a glance.
import { h } from "./dom.js";
import { compact, money, number } from "./format.js";
import { copyable } from "./parts.js";
import { to } from "./router.js";
import { chip, isActive } from "./status.js";
import { baseName, harmless, oneLine, split } from "./text.js";
import { ago, took } from "./ticks.js";

// What is longer scrolls by itself, and has to be reached by keyboard for that.
const LONG_CHARS = 400;
const MANY_FACTS = 30;

/** @param {Object} item an execution as the API has it */
export function header(item) {
  return [
    h("div.title", {},
      h("h1", {}, oneLine(item.name ?? item.execution_id, 200)), chip(item.status),
      h("span.id", {}, copyable(item.execution_id, "id"))),
    item.goal ? h("p.goal", { tabindex: item.goal.length > LONG_CHARS ? "0" : null }, harmless(item.goal)) : null,
    phases(item),
    listed(facts(item).filter(Boolean)),
    item.error ? failure(item) : null,
  ];
}

function listed(items) {
  return h("dl.facts", { tabindex: items.length > MANY_FACTS ? "0" : null }, items);
}

function facts(item) {
  const { execution_id: id, levels } = item;
  const log = (level) => to(["executions", id, "log"], { level });
  const bad = levels.ERROR + levels.FATAL;
  return [
    fact("Started", ago(item.started_at)),
    fact("Took", took(item.duration_us, item.started_at, isActive(item.status))),
    item.finished_at && fact("Ended", ago(item.finished_at)),
    isActive(item.status) && item.deadline && fact("Deadline", ago(item.deadline)),
    split(id).mark && fact("Host", h("a", { href: to([], { host: item.host }) }, oneLine(item.host ?? "?", 60))),
    item.project && fact("Project", h("a", { href: to([], { project: item.project }), title: item.project }, baseName(item.project))),
    item.tool && fact("Tool", oneLine([item.tool, item.tool_version].filter(Boolean).join(" "), 60)),
    item.trigger && item.trigger !== "manual" && fact("Trigger", item.trigger),
    item.parent_id && fact("Parent", h("a", { href: to(["executions", item.parent_id]) }, oneLine(item.parent_id, 60))),
    item.exit_status !== null && fact("Exit status", String(item.exit_status)),
    item.outcome_reason && fact("Reason", oneLine(item.outcome_reason, 300)),
    item.owner && isActive(item.status) && fact("Owner", `process ${item.owner.pid}`),
    bad > 0 && fact("Errors", h("a.is-bad.toned", { href: log("ERROR+") }, number(bad))),
    levels.WARN > 0 && fact("Warnings", h("a.is-warn.toned", { href: log("WARN+") }, number(levels.WARN))),
    item.agent_count > 0 && fact("Agents", h("span", { title: `${number(item.input_tokens)} tokens in, ${number(item.output_tokens)} out` },
      `${item.agent_count} · ${compact(item.input_tokens + item.output_tokens)} tokens · ${money(item.cost_usd)}`)),
    ...Object.entries(item.counts).map(([name, count]) => fact(name.replaceAll("_", " "), number(count))),
    ...Object.entries(item.labels).map(([name, value]) => fact(name, h("span.label", {}, oneLine(value, 80)))),
  ];
}

function fact(name, value) {
  return h("div", {}, h("dt", {}, oneLine(name, 40)), h("dd.num", {}, value));
}

/** The chain of phases: which are done, where it is, what comes. */
function phases(item) {
  if (!item.phases || !item.phase) return null;
  const at = item.phases.indexOf(item.phase);
  return h("ol.phases", { "aria-label": "Phases" }, item.phases.map((name, index) => {
    const state = index < at || (index === at && !isActive(item.status) && index === item.phases.length - 1) ? "done" : index === at ? "now" : "next";
    return h(`li.${state}`, { "aria-current": index === at ? "step" : null }, oneLine(name, 40),
      h("span.unseen", {}, state === "done" ? ", done" : state === "now" ? ", now" : ", to come"));
  }));
}

function failure(item) {
  const { type, message, stack } = item.error;
  return h("section.failure.is-bad", { "aria-label": "Error", tabindex: (message ?? "").length > LONG_CHARS ? "0" : null },
    h("strong", {}, oneLine(type ?? "Error", 120)), message ? h("span", {}, ` ${harmless(message)}`) : null,
    stack ? h("details", { "data-keep": "stack" }, h("summary", {}, "Stack"), h("pre", {}, harmless(stack))) : null);
}
