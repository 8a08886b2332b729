// Search over the logs of all executions, newest first.
import { get } from "./api.js";
import { h, swap } from "./dom.js";
import { choices, field } from "./filters.js";
import { onBack } from "./health.js";
import { logLine } from "./logline.js";
import { empty, filled, pageLink } from "./parts.js";
import { here, to, withParams } from "./router.js";
import { coalesced } from "./stream.js";

const PAGE = 50;
const LEVELS = [["All levels", ""], ["WARN and up", "WARN+"], ["ERROR and up", "ERROR+"]];
const SINCE = [["Any time", ""], ["Last hour", "1h"], ["Last 24 hours", "24h"], ["Last 7 days", "7d"]];
const NAMES = ["q", "level", "since", "project", "before"];

export function searchView(place, route, signal) {
  document.title = "Search · flightlog";
  const set = (name) => (value) => withParams({ [name]: value, before: null }, { replace: true });
  const fields = {
    q: field("Words", "q", 'Words, "words in a row", begin*, -not', set("q"), { "data-find": "" }),
    level: choices("Level", "level", LEVELS, set("level")),
    since: choices("Since", "since", SINCE, set("since")),
    project: field("Project", "project", "Project", set("project")),
  };
  fields.q.node.classList.add("large");
  const body = h("div", { "aria-live": "polite" });
  const pager = h("nav.pager", { "aria-label": "Pages" });
  place.append(h("div.head", {}, h("h1", {}, "Search"), h("div.filters", {}, Object.values(fields).map(({ node }) => node))), body, pager);
  let params = route.params;

  const load = async () => {
    const asked = params;
    if (!asked.get("q")) {
      swap(body, empty("Words in the logs of all executions.", "Whole words, whatever their case; begin* finds beginnings, -not leaves out."));
      return swap(pager);
    }
    await filled(body, async () => {
      const page = await get("/search", { ...Object.fromEntries(NAMES.map((name) => [name, asked.get(name)])), limit: PAGE }, signal);
      if (asked !== params) return;
      const needles = asked.get("q").split(/\s+/).map((word) => word.replace(/["*]/g, "")).filter((word) => word && !word.startsWith("-"));
      swap(body, page.logs.length
        ? h("div.sheet", {}, h("ol.log.found", { "aria-label": "Lines found" }, page.logs.map((line) => logLine(line, { needles, named: true }))))
        : empty("Nothing found.", page.next ? "Older lines were not looked at yet." : ""));
      const { path } = here();
      const address = (before) => to(path, new URLSearchParams([...[...asked].filter(([name]) => name !== "before"), ["before", before ?? ""]]));
      swap(pager,
        asked.get("before") ? h("a.button", { href: address(null), "data-page": "previous", "data-keep": "newest" }, "« Newest") : null,
        page.next || asked.get("before") ? pageLink("next", page.next ? address(page.next) : null, "Older ›") : null);
    });
  };

  const refresh = coalesced(load, 150);
  const update = (next) => {
    params = next.params;
    for (const [name, { set: put }] of Object.entries(fields)) put(params.get(name) ?? "");
    refresh();
  };
  update(route);
  onBack(refresh, signal);
  if (!params.get("q")) fields.q.node.querySelector("input").focus();
  return { update };
}
