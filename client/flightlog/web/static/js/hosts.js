// The machines whose logs are here: how much of each, how its executions stand, how late it is.
import { get } from "./api.js";
import { h, swap } from "./dom.js";
import { duration, number } from "./format.js";
import { onBack } from "./health.js";
import { filled, pageLink, table } from "./parts.js";
import { to } from "./router.js";
import { coalesced } from "./stream.js";
import { oneLine } from "./text.js";
import { ago } from "./ticks.js";

const PAGE = 200;
const EVERY_MS = 10000;

export function hostsView(place, route, signal) {
  document.title = "Hosts · flightlog";
  const body = h("div");
  const pager = h("nav.pager", { "aria-label": "Pages" });
  place.append(h("div.head", {}, h("h1", {}, "Hosts")), body, pager);
  let after = route.params.get("after");

  const load = () => filled(body, async () => {
    const { hosts, next } = await get("/hosts", { limit: PAGE, after }, signal);
    swap(body, picture(hosts), hosts.length === 1 && hosts[0].here
      ? h("p.soft", {}, "Only this machine. What others recorded comes by flightlog collect, or by an import.") : null);
    swap(pager, after || next ? [
      after ? h("a.button", { href: to(["hosts"]), "data-page": "previous", "data-keep": "first" }, "« First") : null,
      pageLink("next", next ? to(["hosts"], { after: next }) : null, "Next ›"),
    ] : []);
  });
  const refresh = coalesced(load, 200);
  refresh();
  onBack(refresh, signal);
  const timer = setInterval(() => { if (!document.hidden) refresh(); }, EVERY_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
  return { update: (next) => { after = next.params.get("after"); refresh(); } };
}

function picture(hosts) {
  const none = () => h("span.soft", {}, "–");
  const count = (item, name, classes, status) => (item[name]
    ? h(`a${classes}`, { href: to([], { host: item.host, status }) }, number(item[name])) : h("span.soft", {}, "0"));
  return table([
    ["Host", (item) => [h("a", { href: to([], { host: item.host }) }, oneLine(item.host, 60)), item.here ? h("span.soft", {}, " this one") : null]],
    ["Events", (item) => number(item.events), "right"],
    ["Executions", (item) => count(item, "executions", ""), "right"],
    ["Running", (item) => count(item, "running", "", "running"), "right"],
    ["Failed", (item) => count(item, "failed", ".is-bad.toned", "failed,timed_out,lost"), "right"],
    ["First", (item) => (item.first_at ? ago(item.first_at) : none())],
    ["Last", (item) => (item.last_at ? ago(item.last_at) : none())],
    ["Delay", (item) => (item.lag_us === null ? none() : h("span", { title: "how long after it was recorded there the last event came here" }, duration(item.lag_us))), "right"],
  ], hosts, "Hosts");
}
