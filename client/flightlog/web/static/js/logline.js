// One line of a log. What is long is folded, and can be unfolded; what it says is only ever text.
import { h } from "./dom.js";
import { clock, moment, stamp } from "./format.js";
import { to } from "./router.js";
import { around, harmless, json, oneLine } from "./text.js";

const FOLD_CHARS = 700;
const FOLD_LINES = 10;
const FIELDS_CHARS = 160;

/**
 * @param {Object} line as the API has it
 * @param {Object} [how]
 * @param {boolean} [how.brief] with the first line of its text only
 * @param {string[]} [how.needles] what is marked in it
 * @param {boolean} [how.named] with the execution that it is of
 */
export function logLine(line, { brief = false, needles = [], named = false } = {}) {
  const { level, seq, source } = line;
  const text = brief ? oneLine(line.message, 300) : harmless(line.message);
  return h(`li.line.at-${level.toLowerCase()}`, { "data-seq": seq },
    h("a.time", { href: to(["executions", line.execution_id, "log"], { at: seq }), title: `${stamp(line.time)}, position ${seq}`, tabindex: named ? null : "-1", "data-row": named }, (named ? moment : clock)(Date.parse(line.time))),
    h("span.level", {}, level),
    h("span.origin", { title: [source, line.task_id].filter(Boolean).map((name) => oneLine(name, 120)).join(" · ") },
      named ? h("a", { href: to(["executions", line.execution_id, "log"], { at: seq }) }, oneLine(line.execution_id, 60)) : null,
      source ? h("span", {}, oneLine(source, 60)) : null, line.task_id ? h("span.task", {}, oneLine(line.task_id, 60)) : null),
    h("div.message", {}, folded(text, needles), line.fields && !brief ? fields(line.fields) : null));
}

function folded(text, needles) {
  const lines = text.split("\n");
  if (text.length <= FOLD_CHARS && lines.length <= FOLD_LINES) return h("span.text", {}, marked(text, needles));
  let start = lines.slice(0, FOLD_LINES - 2).join("\n");
  if (start.length > FOLD_CHARS) start = start.slice(0, FOLD_CHARS);
  const shown = h("span.text", {}, marked(start, needles), "…");
  const what = lines.length > FOLD_LINES ? `${lines.length} lines` : `${text.length.toLocaleString("en")} characters`;
  const button = h("button.text", { type: "button", "aria-expanded": "false" }, `show all ${what}`);
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") === "true";
    shown.replaceChildren(...(open ? [...marked(start, needles), "…"] : marked(text, needles)));
    button.setAttribute("aria-expanded", String(!open));
    button.textContent = open ? `show all ${what}` : "fold";
  });
  return [shown, " ", button];
}

function marked(text, needles) {
  return around(text, needles[0]).map((piece, index) => (index % 2 ? h("mark", {}, piece) : piece));
}

function fields(values) {
  const entries = Object.entries(values);
  if (!entries.length) return null;
  const flat = entries.map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`).join(" ");
  if (flat.length <= FIELDS_CHARS) return h("span.fields", {}, oneLine(flat, FIELDS_CHARS));
  return h("details.fields", {}, h("summary", {}, oneLine(flat, FIELDS_CHARS)), h("pre", {}, json(values)));
}
