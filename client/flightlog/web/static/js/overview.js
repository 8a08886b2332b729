// The overview of an execution: when its tasks ran, and what they said and left.
import { get, part } from "./api.js";
import { h, swap } from "./dom.js";
import { onBack } from "./health.js";
import { logLine } from "./logline.js";
import { filled, pageLink } from "./parts.js";
import { to } from "./router.js";
import { coalesced } from "./stream.js";
import { timeline } from "./timeline.js";

const PAGE = 200;
const LAST_LINES = 8;
const LAST_LINES_ALONE = 40;
const REST_MS = 500;

/** @param {import("./execution.js").Subject} subject */
export function overviewPart(place, subject, params, signal) {
  const picture = h("section", { "aria-label": "Timeline" });
  const pager = h("nav.pager", { "aria-label": "Pages of the timeline" });
  const lines = h("ol.log.brief", { "aria-label": "Last log lines" });
  const tail = h("section", {}, h("h2", {}, "Last of the log ", h("a", { href: to(["executions", subject.id, "log"]) }, "the whole log")), h("div.sheet", {}, lines));
  tail.hidden = true;
  const title = h("h2", {}, "Timeline");
  place.append(title, picture, pager, tail);
  const open = new Set();
  let after = params.get("after");
  let page = null;

  const draw = () => {
    if (!page || !subject.item()) return;
    title.hidden = !page.tasks.length;
    if (!page.tasks.length) return swap(picture, h("p.soft", {}, "No tasks: what an execution does in steps shows here as bars."));
    swap(picture, timeline(page.tasks, subject.item(), open));
  };

  const load = async () => {
    await filled(picture, async () => {
      page = await get(`/executions/${part(subject.id)}/tasks`, { limit: PAGE, after }, signal);
      draw();
      const address = (next) => to(["executions", subject.id], { after: next });
      const more = page.next ?? null;
      swap(pager, after || more ? [
        after ? h("a.button", { href: address(null), "data-page": "previous", "data-keep": "first" }, "« First") : null,
        pageLink("next", more === null ? null : address(more), "Later ›"),
      ] : []);
    });
    const { logs } = await get(`/executions/${part(subject.id)}/logs`, { last: page.tasks.length ? LAST_LINES : LAST_LINES_ALONE }, signal);
    tail.hidden = logs.length === 0;
    swap(lines, logs.map((line) => logLine(line, { brief: true })));
  };

  const refresh = coalesced(load, REST_MS);
  refresh();
  onBack(refresh, signal);
  // What runs is open to the right, and the axis with it.
  const growing = setInterval(() => {
    if (!document.hidden && page?.tasks.some((task) => task.status === "running")) draw();
  }, 1000);
  signal.addEventListener("abort", () => clearInterval(growing));
  return {
    changed: refresh,
    update: (next) => {
      after = next.get("after");
      refresh();
    },
  };
}
