// The executions, newest first, a page at a time. The first page is live: what happens shows by itself.
import { get } from "./api.js";
import { announce, h, keyed, swap } from "./dom.js";
import { choices, field } from "./filters.js";
import { compact, counted, moment, money, number } from "./format.js";
import { onBack } from "./health.js";
import { empty, filled, pageLink } from "./parts.js";
import { here, to, withParams } from "./router.js";
import { ACTIVE, chip, isActive } from "./status.js";
import { coalesced, follow } from "./stream.js";
import { baseName, oneLine, split } from "./text.js";
import { ago, took } from "./ticks.js";

const PAGE = 50;
const REST_MS = 400;
// Lines of logs are counted and have no event of their own on this stream.
const COUNT_MS = 10000;
const GROUPS = [
  ["All", ""],
  ["Active", ACTIVE.join(",")],
  ["Failed", "failed,timed_out,lost"],
  ["Succeeded", "succeeded,partial"],
  ["Cancelled", "cancelled"],
];
const SINCE = [["Any time", ""], ["Last hour", "1h"], ["Last 24 hours", "24h"], ["Last 7 days", "7d"], ["Last 30 days", "30d"]];
const NAMES = ["status", "project", "name", "host", "since", "before"];

/** @type {(place: HTMLElement, route: import("./router.js").Route, signal: AbortSignal) => Object} */
export function listView(place, route, signal) {
  document.title = "Executions · flightlog";
  const rows = h("tbody", { role: "rowgroup" });
  const list = h("div.sheet", {}, frame(rows));
  const body = h("div", {}, list);
  const pager = h("nav.pager", { "aria-label": "Pages" });
  const project = projectField(signal);
  const name = field("Name", "name", "Name", (value) => withParams({ name: value, before: null }, { replace: true }));
  const since = choices("Started", "since", SINCE, (value) => withParams({ since: value, before: null }));
  const hosts = hostChoice(signal);
  const statuses = h("div.segments", { role: "group", "aria-label": "Status" });
  place.append(
    h("div.head", {}, h("h1", {}, "Executions"), h("div.filters", {}, statuses, hosts.node, project.node, name.node, since.node)),
    body, pager);

  let params = route.params;
  let known = null;
  let running = false;

  const load = async () => {
    const asked = params;
    const query = Object.fromEntries(NAMES.map((key) => [key, asked.get(key)]));
    await filled(body, async () => {
      const page = await get("/executions", { ...query, limit: PAGE }, signal);
      if (asked !== params) return;
      show(page, asked);
    });
  };

  const show = (page, asked) => {
    const { executions } = page;
    const first = !asked.get("before");
    if (first && known && executions.length && executions[0].execution_id !== known) {
      announce(`New execution: ${executions[0].name ?? executions[0].execution_id}, ${executions[0].status}`);
    }
    running = executions.some((item) => isActive(item.status));
    known = executions[0]?.execution_id ?? known;
    if (executions.length) {
      keyed(rows, executions, (item) => item.execution_id, row);
      if (body.firstChild !== list) body.replaceChildren(list);
    } else body.replaceChildren(nothing(asked));
    const { path } = here();
    const next = page.next ? to(path, with_(asked, { before: page.next })) : null;
    swap(pager,
      first ? null : h("a.button", { href: to(path, with_(asked, { before: null })), "data-page": "previous", "data-keep": "newest" }, "« Newest"),
      next || !first ? pageLink("next", next, "Older ›") : null,
      h("span.soft.num", {}, executions.length ? span(executions, first) : ""));
  };

  const refresh = coalesced(load, REST_MS);
  const update = (next) => {
    const moved = next.params.get("before") !== params.get("before");
    params = next.params;
    swap(statuses, groups(params));
    project.set(params.get("project") ?? "");
    name.set(params.get("name") ?? "");
    since.set(params.get("since") ?? "");
    hosts.set(params.get("host") ?? "");
    if (moved) scrollTo(0, 0);
    refresh();
  };

  update(route);
  onBack(refresh, signal);
  follow("/stream", { type: ["execution.", "agent."] }, {
    on: { tail: refresh }, opened: refresh, signal,
  });
  const counting = setInterval(() => { if (running && !document.hidden) refresh(); }, COUNT_MS);
  signal.addEventListener("abort", () => clearInterval(counting));
  return { update };
}

function groups(params) {
  const current = params.get("status") ?? "";
  const { path } = here();
  return GROUPS.map(([text, status]) =>
    h("a", { href: to(path, with_(params, { status, before: null })), "aria-current": current === status ? "true" : null, "data-keep": text }, text));
}

/** A choice of the machines there are; nothing to see where there is only one. */
function hostChoice(signal) {
  const node = h("span.hosts");
  let made = null;
  let value = "";
  get("/hosts", { limit: 200 }, signal)
    .then(({ hosts }) => {
      const names = [...new Set(hosts.map(({ host }) => host))];
      if (names.length < 2) return;
      made = choices("Host", "host", [["Any host", ""], ...names.map((host) => [oneLine(host, 40), host])], (host) => withParams({ host, before: null }));
      made.set(value);
      swap(node, made.node);
    })
    .catch(() => { /* without it one can still see whose each is */ });
  return { node, set: (next) => { value = next; made?.set(next); } };
}

/** A field that offers the projects there are. */
function projectField(signal) {
  const offers = h("datalist", { id: "projects" });
  const made = field("Project", "project", "Project", (value) => withParams({ project: value, before: null }, { replace: true }));
  made.node.append(offers);
  made.node.querySelector("input").setAttribute("list", "projects");
  get("/projects", { limit: 200 }, signal)
    .then(({ projects }) => offers.replaceChildren(...projects.map(({ project }) => h("option", { value: project }))))
    .catch(() => { /* without offers one can still type */ });
  return made;
}

const HEADINGS = ["Status", "Execution", "Project", "Started", "Took", "Log", "Agents"];

/** Roles are said aloud, for on a phone this is no table to the browser any more. */
function frame(rows) {
  const heads = HEADINGS.map((text, at) => h("th", { scope: "col", role: "columnheader", class: at > 3 ? "right" : "" }, text));
  return h("table.runs", { role: "table", "aria-label": "Executions, newest first" },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)), rows);
}

function row(item) {
  const { levels, execution_id: id } = item;
  const title = item.name ?? split(id).id;
  const bad = levels.ERROR + levels.FATAL;
  const said = item.error ? `${item.error.type ?? "error"}: ${item.error.message ?? ""}` : item.outcome_reason ?? item.goal ?? "";
  const cell = (name, ...children) => h(`td.${name}`, { role: "cell" }, children);
  return h("tr", { role: "row" },
    cell("state", chip(item.status)),
    cell("what",
      h("a", { href: to(["executions", id]), "data-row": "" }, oneLine(title, 120)),
      split(id).mark ? h("a.host", { href: to([], { host: item.host }), title: `recorded by ${item.host}` }, oneLine(item.host ?? "?", 40)) : null,
      item.phase ? h("span.phase", { title: "phase" }, oneLine(item.phase, 40)) : null,
      item.name ? h("code.id", {}, oneLine(split(id).id, 60)) : null,
      said ? h(item.error ? "div.said.is-bad" : "div.said", {}, oneLine(said, 200)) : null),
    cell("project", item.project ? h("a", { href: to([], { project: item.project }), title: item.project }, baseName(item.project)) : h("span.soft", {}, "–")),
    cell("when", ago(item.started_at)),
    cell("took.right", took(item.duration_us, item.started_at, isActive(item.status))),
    cell("lines.right",
      bad ? h("span.count.is-bad", { title: counted(bad, "error") }, `${compact(bad)} err`) : null,
      levels.WARN ? h("span.count.is-warn", { title: counted(levels.WARN, "warning") }, `${compact(levels.WARN)} warn`) : null,
      h("span.num", { title: `${number(item.log_count)} log lines` }, compact(item.log_count), h("span.unit", {}, item.log_count === 1 ? " line" : " lines"))),
    cell("agents.right", item.agent_count
      ? h("span", { title: counted(item.input_tokens + item.output_tokens, "token") }, `${item.agent_count} · ${money(item.cost_usd)}`)
      : h("span.soft", {}, "–")));
}

function nothing(params) {
  return [...params.keys()].some((key) => NAMES.includes(key))
    ? empty("Nothing matches these filters.", h("a", { href: to([]) }, "Show all executions"))
    : empty("Nothing was recorded yet.", h("code", {}, "flightlog exec -- make"));
}

function span(executions, first) {
  const oldest = executions.at(-1).started_at;
  return `${executions.length} shown${first ? ", live" : ""}${oldest ? `, back to ${moment(Date.parse(oldest))}` : ""}`;
}

function with_(params, changes) {
  const changed = new URLSearchParams(params);
  for (const [name, value] of Object.entries(changes)) value ? changed.set(name, value) : changed.delete(name);
  return changed;
}
