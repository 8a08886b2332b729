// The raw events of an execution, as they were stored.
import { get, part } from "./api.js";
import { h } from "./dom.js";
import { clock, day, stamp } from "./format.js";
import { live } from "./live.js";
import { empty } from "./parts.js";
import { withParams } from "./router.js";
import { json, oneLine } from "./text.js";

const PAGE = 200;

export function eventsPart(place, subject, params, signal) {
  const logs = h("input", { type: "checkbox", on: { change: () => withParams({ logs: logs.checked ? "1" : null, after: null }) } });
  place.append(h("label.check", {}, logs, "Log lines, too"));
  return live(place, subject, params, signal, async (after, current) => {
    logs.checked = current.has("logs");
    const page = await get(`/executions/${part(subject.id)}/events`, { limit: PAGE, after, logs: logs.checked ? "true" : null }, signal);
    if (!page.events.length) return { node: empty("No events.", "Nothing was recorded after this position."), next: null };
    return { node: h("ol.sheet.events", { "aria-label": "Events" }, page.events.map(item)), next: page.next ?? null };
  });
}

function item(record) {
  const { event } = record;
  // Its own time is microseconds, as the program wrote it; without one it is when the daemon got it.
  const time = Number.isInteger(event.time) ? new Date(event.time / 1000).toISOString() : record.received;
  const about = [event.from_phase && `${event.from_phase} → ${event.to_phase}`, event.outcome, event.status, event.task_id, event.agent_id,
    event.path, event.message, event.reason].filter((part) => typeof part === "string").join(" · ");
  const whole = h("pre");
  // Laid out when it is asked for: a page of large events would be slow otherwise.
  const fill = (opened) => { whole.textContent = opened.target.open ? json(event) : ""; };
  return h("li", {}, h("details", { "data-keep": `event-${record.seq}`, on: { toggle: fill } },
    h("summary", {},
      h("span.seq.num.soft", {}, String(record.seq)), h("time.mono", { datetime: time, title: stamp(time) }, `${day(Date.parse(time))} ${clock(Date.parse(time))}`),
      h("code.type", {}, oneLine(event.type, 60)), h("span.about.soft", {}, oneLine(about, 160))),
    whole));
}
