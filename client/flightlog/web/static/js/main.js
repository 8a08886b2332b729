// The page: which view is where, and what is around them all.
import { h, swap } from "./dom.js";
import { keys } from "./keys.js";
import { go, here, to } from "./router.js";
import { themeButton } from "./theme.js";
import { tick } from "./ticks.js";
import { executionView } from "./execution.js";
import { listView } from "./list.js";
import { planView, projectsView } from "./plan.js";
import { searchView } from "./search.js";
import { daemonView } from "./daemon.js";
import { hostsView } from "./hosts.js";

const NAV = [["Executions", []], ["Plans", ["plans"]], ["Search", ["search"]], ["Hosts", ["hosts"]], ["Status", ["status"]]];

/**
 * A view is `(place, route, signal) => {update?}`: it fills a place, listens until the signal, and may take a
 * new route of the same kind without being made again.
 */
function chosen({ path: [first, second, tab] }) {
  if (first === "executions" && second) return { key: `execution/${second}`, make: executionView, part: "" };
  if (first === "plans" && second) return { key: `plan/${second}`, make: planView, part: "plans" };
  if (first === "plans") return { key: "plans", make: projectsView, part: "plans" };
  if (first === "search") return { key: "search", make: searchView, part: "search" };
  if (first === "hosts") return { key: "hosts", make: hostsView, part: "hosts" };
  if (first === "status") return { key: "status", make: daemonView, part: "status" };
  if (first === undefined || (first === "executions" && !tab)) return { key: "list", make: listView, part: "" };
  return { key: "nowhere", make: nowhere, part: null };
}

function nowhere(place) {
  document.title = "Not found · flightlog";
  swap(place, h("div.empty", {}, h("strong", {}, "There is no such page."), h("a", { href: "#/" }, "All executions")));
  return {};
}

const place = document.getElementById("main");
let shown = { key: null, view: {}, control: new AbortController() };

function show() {
  const route = here();
  const { key, make, part } = chosen(route);
  swap(document.getElementById("nav"), NAV.map(([name, path]) =>
    h("a", { href: to(path), "aria-current": (path[0] ?? "") === part ? "page" : null, "data-keep": name }, name)));
  if (key === shown.key && shown.view.update) return shown.view.update(route);
  shown.control.abort();
  const control = new AbortController();
  const first = shown.key === null;
  shown = { key, view: {}, control };
  place.replaceChildren();
  scrollTo(0, 0);
  shown.view = make(place, route, control.signal);
  // A screen reader goes on where the new view begins; on the first load the page itself is news enough.
  if (!first) place.focus({ preventScroll: true });
}

const find = document.getElementById("find");
find.addEventListener("submit", (event) => {
  event.preventDefault();
  const q = find.elements.q.value.trim();
  if (q) go(to(["search"], { q }));
});
themeButton(document.getElementById("theme"));
keys();
setInterval(tick, 1000);
document.addEventListener("visibilitychange", tick);
addEventListener("hashchange", show);
show();
