// The audit trail: what changed, from what to what, why, and who by the kernel's word.
import { get, part } from "./api.js";
import { h } from "./dom.js";
import { clock, day, stamp } from "./format.js";
import { live } from "./live.js";
import { empty, table } from "./parts.js";
import { word } from "./status.js";
import { harmless, json, oneLine } from "./text.js";

const PAGE = 300;
const BAD = /FAILED|TIMEOUT|LOST|ANOMALY|BLOCKED/;

export function auditPart(place, subject, params, signal) {
  return live(place, subject, params, signal, async (after) => {
    const page = await get(`/executions/${part(subject.id)}/audit`, { limit: PAGE, after }, signal);
    if (!page.audit.length) return { node: empty("No entries.", "Each change of this execution's state leaves one."), next: null };
    const columns = [
      ["When", (entry) => h("time.num.mono", { datetime: entry.time, title: stamp(entry.time) }, `${day(Date.parse(entry.time))} ${clock(Date.parse(entry.time))}`)],
      ["What", (entry) => h(BAD.test(entry.event_type) ? "strong.is-bad.toned" : "strong", {}, oneLine(entry.event_type, 60))],
      ["Task", (entry) => (entry.task_id ? oneLine(entry.task_id, 60) : "–")],
      ["From", (entry) => (entry.from_state ? word(oneLine(entry.from_state, 40)) : "–")],
      ["To", (entry) => (entry.to_state ? word(oneLine(entry.to_state, 40)) : "–")],
      ["Why", (entry) => [entry.reason ? harmless(entry.reason) : "", detail(entry)]],
      ["Who", (entry) => `uid ${entry.uid}, pid ${entry.pid}`],
      ["Position", (entry) => String(entry.seq), "right"],
    ];
    return { node: table(columns, page.audit, "Audit trail"), next: page.next ?? null };
  });
}

function detail(entry) {
  if (!entry.detail || !Object.keys(entry.detail).length) return null;
  return h("details", { "data-keep": `audit-${entry.seq}-${entry.event_type}` }, h("summary", {}, Object.keys(entry.detail).map((name) => oneLine(name, 30)).join(", ")), h("pre", {}, json(entry.detail)));
}
