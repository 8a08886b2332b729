// A part of an execution that is asked for again whenever the execution changes, a page at a time.
import { h, swap } from "./dom.js";
import { onBack } from "./health.js";
import { filled, pageLink } from "./parts.js";
import { here, to } from "./router.js";
import { coalesced } from "./stream.js";

const REST_MS = 800;

/**
 * @param {(after: string|null, params: URLSearchParams) => Promise<{node: any, next: string|number|null}>} ask
 *   for the page after a position: what to show, and where the next page begins
 */
export function live(place, subject, params, signal, ask) {
  const body = h("div");
  const pager = h("nav.pager", { "aria-label": "Pages" });
  place.append(body, pager);
  let current = params;

  const load = async () => {
    const asked = current;
    await filled(body, async () => {
      const after = asked.get("after");
      const { node, next } = await ask(after, asked);
      if (asked !== current) return;
      swap(body, node);
      const { path } = here();
      const address = (to_) => {
        const changed = new URLSearchParams(asked);
        to_ === null ? changed.delete("after") : changed.set("after", to_);
        return to(path, changed);
      };
      swap(pager, after || next !== null ? [
        after ? h("a.button", { href: address(null), "data-page": "previous", "data-keep": "first" }, "« First") : null,
        pageLink("next", next === null ? null : address(next), "Later ›"),
      ] : []);
    });
  };

  const refresh = coalesced(load, REST_MS);
  refresh();
  onBack(refresh, signal);
  return {
    changed: refresh,
    update: (next) => {
      current = next;
      refresh();
    },
  };
}
