// The log of an execution: what is there, then what comes. It follows while its end is in sight; scrolled up it
// stands still and counts. Filters are the daemon's, so that what is not shown is not sent.
import { get, part } from "./api.js";
import { announce, h, setText } from "./dom.js";
import { choices, field } from "./filters.js";
import { number } from "./format.js";
import { onBack } from "./health.js";
import { logLine } from "./logline.js";
import { LIMIT_LINES, LogWindow } from "./logwindow.js";
import { empty, trouble } from "./parts.js";
import { withParams } from "./router.js";
import { follow } from "./stream.js";

const PAGE = 500;
const BEFORE_AT = 60;
const NEAR_PX = 300;
const REST_MS = 100;
const LEVELS = [["All levels", ""], ["DEBUG and up", "DEBUG+"], ["INFO and up", "INFO+"], ["WARN and up", "WARN+"], ["ERROR and up", "ERROR+"]];
const FILTERS = ["level", "task", "source", "agent", "grep", "exclude"];

/** @param {import("./execution.js").Subject} subject */
export function logPart(place, subject, params, signal) {
  const list = h("ol.log", { "aria-label": "Log lines" });
  const note = h("div.logstate");
  const frame = h("div.logframe", { tabindex: "0", role: "region", "aria-label": "Log" }, list, note);
  const jump = h("button.main.jump", { type: "button", hidden: true });
  const state = h("span.soft.num", { role: "status" });
  const toggle = h("button", { type: "button", "data-follow": "", title: "Follow (f)" }, "Follow");
  const bar = filterBar();
  place.append(h("div.filters.logbar", {}, bar.nodes, toggle, state), h("div.sheet.logsheet", {}, frame, jump));

  const lines = new LogWindow(list, frame, (line) => make(line));
  let current = params;
  let needles = [];
  let stream = null;
  let control = new AbortController();
  let pending = [];
  let scheduled = false;
  let flushed = 0;
  let loading = false;
  /** Newest position that the daemon has told of; what lies between the window and it is fetched when asked for. */
  let told = 0;
  let missed = 0;
  let following = true;
  let ended = false;
  let reachedStart = false;

  const make = (line) => {
    const node = logLine(line, { needles });
    if (current.get("at") === String(line.seq)) node.classList.add("here");
    return node;
  };
  const path = `/executions/${part(subject.id)}/logs`;
  const query = (more) => ({ ...Object.fromEntries(FILTERS.map((name) => [name, current.get(name)])), ...more });
  const ask = (more) => get(path, query(more), control.signal);
  const behind = () => told > (lines.last ?? 0);

  const show = () => {
    toggle.setAttribute("aria-pressed", String(following));
    jump.hidden = following || (!behind() && lines.atEnd);
    setText(jump, missed ? `${number(missed)} new line${missed === 1 ? "" : "s"} ↓` : "To the end ↓");
    setText(state, ended ? "ended, all lines shown" : following ? "live" : "standing still");
    if (!ended || !behind()) note.replaceChildren();
    if (!lines.size && !loading) note.replaceChildren(empty("No lines.", filtered() ? "None matches these filters so far." : "None has come so far."));
  };
  const filtered = () => FILTERS.some((name) => current.get(name));

  /** One turn at the window; a newer one makes it give up. */
  const turn = async (work) => {
    if (loading) return;
    loading = true;
    try {
      await work();
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!lines.size && error.status && error.status !== 503) note.replaceChildren(trouble(error));
      else if (error.status === undefined) throw error;
      return;
    } finally {
      loading = false;
    }
    show();
  };

  const toEnd = () => turn(async () => {
    const page = await ask({ last: PAGE });
    lines.clear();
    lines.append(page.logs);
    told = Math.max(told, lines.last ?? 0);
    reachedStart = page.logs.length < PAGE;
    missed = 0;
    following = true;
    lines.toEnd();
    listen();
  });

  const toPosition = (at) => turn(async () => {
    const before = await ask({ before: at, limit: BEFORE_AT });
    const page = await ask({ after: at - 1, limit: PAGE });
    lines.clear();
    lines.append([...before.logs.reverse(), ...page.logs]);
    reachedStart = before.logs.length < BEFORE_AT;
    following = false;
    told = page.next === null || page.next === undefined ? lines.last ?? 0 : Math.max(told, (lines.last ?? 0) + 1);
    list.querySelector(".here")?.scrollIntoView({ block: "center" });
    listen();
  });

  const older = () => turn(async () => {
    const page = await ask({ before: lines.first, limit: PAGE });
    reachedStart = page.logs.length < PAGE;
    if (lines.prepend(page.logs.reverse())) told = Math.max(told, lines.last + 1);
  });

  const newer = () => turn(async () => {
    const page = await ask({ after: lines.last ?? 0, limit: PAGE });
    if (lines.append(page.logs, true)) reachedStart = false;
    if (page.next === null || page.next === undefined) told = lines.last ?? 0;
    missed = behind() ? Math.max(missed - page.logs.length, 1) : 0;
  });

  const listen = () => {
    stream?.stop();
    ended = false;
    // With lines in between that nobody scrolled to yet, only what is new is told of; they are asked for then.
    const after = behind() ? null : lines.last ?? 0;
    stream = follow("/stream", query({ execution_id: subject.id, logs: "true", after }), {
      signal: control.signal,
      reset: () => start(),
      on: {
        head: ({ seq }) => {
          if (behind()) told = Math.max(told, seq);
        },
        log: (line) => {
          pending.push(line);
          if (pending.length > 2 * LIMIT_LINES) pending = pending.slice(-LIMIT_LINES);
          missed += following ? 0 : 1;
          told = line.seq;
          schedule();
        },
        end: () => {
          stream.stop();
          ended = true;
          show();
        },
      },
    });
  };

  /** A line shows in the next frame; many share one, for each costs a layout of the whole window. */
  const schedule = () => {
    if (scheduled) return;
    scheduled = true;
    setTimeout(() => requestAnimationFrame(flush), Math.max(0, flushed + REST_MS - performance.now()));
  };

  /** All that came since the last time, at once. */
  const flush = () => {
    scheduled = false;
    flushed = performance.now();
    const fresh = pending.filter((line) => line.seq > (lines.last ?? 0));
    pending = [];
    if (following) {
      if (lines.append(fresh)) reachedStart = false;
      lines.toEnd();
    } else if (missed === fresh.length) announce("New lines below");
    show();
  };

  const start = () => {
    control.abort();
    control = new AbortController();
    loading = false;
    pending = [];
    told = 0;
    missed = 0;
    following = !current.get("at");
    lines.clear();
    needles = [current.get("grep")].filter(Boolean);
    bar.set(current);
    const at = Number(current.get("at"));
    at ? toPosition(at) : toEnd();
  };

  frame.addEventListener("scroll", () => {
    const { scrollTop, scrollHeight, clientHeight } = frame;
    if (following && !lines.atEnd) following = false;
    if (!following && !loading && lines.atEnd && !behind() && !current.get("at")) {
      following = true;
      missed = 0;
    }
    if (scrollTop < NEAR_PX && !reachedStart && lines.size) older();
    else if (scrollHeight - scrollTop - clientHeight < NEAR_PX && !following && behind()) newer();
    show();
  }, { passive: true });
  const resume = () => (current.get("at") ? withParams({ at: null }) : toEnd());
  jump.addEventListener("click", resume);
  toggle.addEventListener("click", () => {
    if (!following) return resume();
    following = false;
    show();
  });
  signal.addEventListener("abort", () => control.abort());
  onBack(() => { if (!lines.size) start(); }, signal);
  start();
  return {
    update: (next) => {
      current = next;
      start();
    },
  };
}

function filterBar() {
  const set = (name) => (value) => withParams({ [name]: value, at: null }, { replace: true });
  const fields = {
    grep: field("Text in the message", "grep", "Text", set("grep"), { "data-find": "" }),
    exclude: field("Text that is not in the message", "exclude", "Not this text", set("exclude")),
    level: choices("Level", "level", LEVELS, set("level")),
    task: field("Task", "task", "Task", set("task")),
    source: field("Source", "source", "Source", set("source")),
  };
  return {
    nodes: Object.values(fields).map(({ node }) => node),
    set: (params) => { for (const [name, { set: put }] of Object.entries(fields)) put(params.get(name) ?? ""); },
  };
}
