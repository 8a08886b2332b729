// Keys for the whole page. None of them works while one types, and none is the only way to do a thing.
import { h, swap } from "./dom.js";
import { go, to } from "./router.js";

const GOTO = { e: [], p: ["plans"], s: ["search"], d: ["status"] };
const HELP = [
  [["/"], "search, or the filter of a log"],
  [["j", "k", "↓", "↑"], "next and previous row of a list"],
  [["Enter"], "open it"],
  [["n", "N"], "next and previous page of a list"],
  [["[", "]"], "previous and next part of an execution"],
  [["f"], "follow the log, or stop"],
  [["g e", "g p", "g s", "g d"], "executions, plans, search, the daemon's status"],
  [["t"], "light, dark, as the system"],
  [["?"], "these keys"],
];

export function keys() {
  const dialog = document.getElementById("keys");
  swap(dialog,
    h("h2", { id: "keys-title" }, "Keys"),
    h("dl", {}, HELP.map(([names, what]) => [h("dt", {}, names.map((name) => [h("kbd", {}, name), " "])), h("dd", {}, what)])),
    h("form", { method: "dialog" }, h("button.main", { autofocus: true }, "Close")));
  document.getElementById("help").addEventListener("click", () => dialog.showModal());

  let prefix = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || dialog.open) return;
    const typing = event.target.closest("input, select, textarea, [contenteditable]");
    if (typing) {
      if (event.key === "Escape") typing.blur();
      return;
    }
    if (event.timeStamp - prefix < 1000 && GOTO[event.key]) go(to(GOTO[event.key]));
    else if (!act(event, dialog)) {
      prefix = event.key === "g" ? event.timeStamp : 0;
      return;
    }
    prefix = 0;
    event.preventDefault();
  });
}

function act(event, dialog) {
  switch (event.key) {
    case "/": return focus(document.querySelector("main [data-find]") ?? document.querySelector("#find input"));
    case "?": dialog.showModal(); return true;
    case "t": return click("#theme");
    case "f": return click("[data-follow]");
    case "n": return click("[data-page=next]");
    case "N": return click("[data-page=previous]");
    case "[": return click("[data-tab=previous]");
    case "]": return click("[data-tab=next]");
    case "j": case "ArrowDown": return move(1, event);
    case "k": case "ArrowUp": return move(-1, event);
    default: return false;
  }
}

function focus(node) {
  node?.focus();
  node?.select?.();
  return Boolean(node);
}

function click(selector) {
  const node = document.querySelector(selector);
  node?.click();
  return Boolean(node);
}

/** Go through whatever a view marks as its rows. Arrows still scroll where no row has the focus. */
function move(step, event) {
  const rows = [...document.querySelectorAll("main [data-row]")];
  const at = rows.indexOf(document.activeElement);
  if (!rows.length || (at < 0 && event.key.startsWith("Arrow"))) return false;
  const next = rows[at < 0 ? 0 : Math.min(Math.max(at + step, 0), rows.length - 1)];
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
  return true;
}
