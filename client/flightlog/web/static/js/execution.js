// One execution: its header, which is live, and the parts of it behind tabs.
import { get, part } from "./api.js";
import { announce, h, swap } from "./dom.js";
import { agentsPart } from "./agents.js";
import { artifactsPart } from "./artifacts.js";
import { auditPart } from "./audit.js";
import { eventsPart } from "./events.js";
import { header } from "./header.js";
import { number } from "./format.js";
import { onBack } from "./health.js";
import { logPart } from "./log.js";
import { overviewPart } from "./overview.js";
import { filled } from "./parts.js";
import { to } from "./router.js";
import { isActive, word } from "./status.js";
import { coalesced, follow } from "./stream.js";
import { oneLine } from "./text.js";

const REST_MS = 500;
// Lines of the log are counted and have no event of their own on this stream.
const COUNT_MS = 5000;
const FAMILIES = ["execution.", "task.", "agent.", "artifact.", "audit."];
const TABS = [
  ["", "Overview", overviewPart, () => null],
  ["log", "Log", logPart, (item) => item.log_count],
  ["agents", "Agents", agentsPart, (item) => item.agent_count],
  ["artifacts", "Artifacts", artifactsPart, () => null],
  ["audit", "Audit", auditPart, () => null],
  ["events", "Events", eventsPart, () => null],
];

/**
 * @typedef {Object} Subject what a part is told of the execution that it shows
 * @property {string} id
 * @property {() => Object|null} item the execution as it was last heard of
 */
export function executionView(place, route, signal) {
  const id = route.path[1];
  const head = h("header.subject");
  const tabs = h("nav.tabs", { "aria-label": "Parts of the execution" });
  const body = h("div.part");
  place.append(head, tabs, body);

  let item = null;
  let shown = { name: null, view: {}, control: new AbortController() };
  let params = route.params;
  const subject = { id, item: () => item };
  document.title = `${id} · flightlog`;

  const load = async () => {
    await filled(head, async () => {
      const fresh = await get(`/executions/${part(id)}`, {}, signal);
      if (item && fresh.status !== item.status) announce(`This execution is now ${word(fresh.status)}`);
      item = fresh;
      document.title = `${oneLine(item.name ?? id, 80)} · ${word(item.status)} · flightlog`;
      swap(head, header(item));
      showTabs();
    });
    shown.view.changed?.();
  };

  const showTabs = () => {
    const at = TABS.findIndex(([name]) => name === shown.name);
    const mark = { [at - 1]: "previous", [at + 1]: "next" };
    swap(tabs, TABS.map(([name, text, , count], index) => {
      const figure = item && count(item);
      return h("a", {
        href: to(["executions", id, name].filter(Boolean)), "aria-current": index === at ? "page" : null,
        "data-tab": mark[index], "data-keep": text,
      }, text, figure ? h("span.figure.num", {}, number(figure)) : null);
    }));
  };

  const update = (next) => {
    params = next.params;
    const name = next.path[2] ?? "";
    const [, , make] = TABS.find(([known]) => known === name) ?? TABS[0];
    if (name === shown.name && shown.view.update) return shown.view.update(params);
    shown.control.abort();
    shown = { name, view: {}, control: new AbortController() };
    place.dataset.part = name || "overview";
    showTabs();
    body.replaceChildren();
    shown.view = make(body, subject, params, shown.control.signal) ?? {};
  };

  signal.addEventListener("abort", () => {
    shown.control.abort();
    delete place.dataset.part;
  });
  const refresh = coalesced(load, REST_MS);
  update(route);
  refresh();
  onBack(refresh, signal);
  follow("/stream", { execution_id: id, type: FAMILIES }, {
    on: { tail: refresh }, opened: (again) => again && refresh(), signal,
  });
  const counting = setInterval(() => { if (item && isActive(item.status) && !document.hidden) refresh(); }, COUNT_MS);
  signal.addEventListener("abort", () => clearInterval(counting));
  return { update };
}
