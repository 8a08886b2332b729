// A drawing of a plan: a column for each batch, a box for each task, lines for what waits and what collides.
import { h, s } from "./dom.js";
import { counted } from "./format.js";
import { oneLine } from "./text.js";

const BOX = { width: 172, height: 40, gap: 10 };
const COLUMN = { gap: 60, head: 44, pad: 10 };
const MOST_TASKS = 10;
// More lines than that are a carpet, and slow; the tables below have all of them.
const MOST_LINES = 400;
// Where at a box's side a line of a kind ends, from its middle: two of the same tasks lie side by side.
const SHIFT = { dependency: -6, same_file: 2, same_directory: 8, potential: 14 };

/**
 * @param {Object} plan
 * @param {Set<number>} open batches that are shown with all their tasks
 * @param {() => void} again draws anew after `open` has changed
 */
export function graph(plan, open, again) {
  const tasks = new Map(plan.tasks.map((task) => [task.task_id, task]));
  const trees = worktreesOf(plan);
  const boxes = new Map();
  const columns = plan.batches.map((batch, index) => column(batch, index, open, boxes));
  const width = columns.length * (BOX.width + 2 * COLUMN.pad + COLUMN.gap) - COLUMN.gap;
  const height = Math.max(...columns.map((one) => one.height));

  const lines = [...dependencies(plan, boxes), ...conflicts(plan, boxes)];
  const drawn = lines.slice(0, MOST_LINES).map(line);
  const nodes = [...boxes.values()].map((box) => node(box, tasks.get(box.id), trees.get(box.id)));
  const svg = s("svg.graph", { viewBox: `-1 -1 ${width + 2} ${height + 2}`, width, height, role: "group", "aria-label": `Plan with ${counted(plan.batches.length, "batch", "batches")}` },
    columns.map((one) => frame(one, open, again)), s("g.lines", { "aria-hidden": "true" }, drawn), nodes);
  emphasise(svg);
  return h("div.sheet.wide.graphframe", { tabindex: "0", role: "region", "aria-label": "Graph of the plan" }, svg,
    lines.length > MOST_LINES ? h("p.soft", {}, `${MOST_LINES} of ${lines.length} lines are drawn.`) : null);
}

function worktreesOf(plan) {
  const found = new Map();
  for (const { worktree, task_ids: ids } of plan.worktree_assignments) for (const id of ids) found.set(id, worktree);
  return found;
}

function column(batch, index, open, boxes) {
  const x = index * (BOX.width + 2 * COLUMN.pad + COLUMN.gap);
  const folds = batch.task_ids.length > MOST_TASKS;
  const shown = folds && !open.has(batch.batch_id) ? batch.task_ids.slice(0, MOST_TASKS - 1) : batch.task_ids;
  shown.forEach((id, row) => boxes.set(id, {
    id, batch: batch.batch_id, x: x + COLUMN.pad, y: COLUMN.head + row * (BOX.height + BOX.gap),
  }));
  const rows = shown.length + (folds ? 1 : 0);
  return { batch, x, rows, folds, shown: shown.length, height: COLUMN.head + Math.max(rows, 1) * (BOX.height + BOX.gap) };
}

function frame({ batch, x, height, folds, shown }, open, again) {
  const about = [`${batch.task_ids.length} task${batch.task_ids.length === 1 ? "" : "s"}`, batch.can_parallel ? "parallel" : null,
    batch.estimated_duration_s ? `~${Math.round(batch.estimated_duration_s)} s` : null].filter(Boolean).join(", ");
  const parts = [
    s("rect.batch", { x, y: 0, width: BOX.width + 2 * COLUMN.pad, height, rx: 8 }),
    s("text.batchname", { x: x + COLUMN.pad, y: 18 }, `Batch ${batch.batch_id}`),
    s("text.about", { x: x + COLUMN.pad, y: 34 }, about),
  ];
  if (folds) parts.push(fold(batch, x, shown, open, again));
  return s("g", {}, parts);
}

function fold(batch, x, shown, open, again) {
  const unfolded = open.has(batch.batch_id);
  const toggle = () => {
    unfolded ? open.delete(batch.batch_id) : open.add(batch.batch_id);
    again();
  };
  const y = COLUMN.head + shown * (BOX.height + BOX.gap);
  return s("g.fold", {
    role: "button", tabindex: "0", "aria-expanded": String(unfolded), "data-keep": `fold-${batch.batch_id}`,
    on: { click: toggle, keydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); toggle(); } } },
  }, s("rect", { x: x + COLUMN.pad, y, width: BOX.width, height: BOX.height, rx: 6 }),
  s("text", { x: x + COLUMN.pad + BOX.width / 2, y: y + 24, "text-anchor": "middle" }, unfolded ? "show fewer" : `${batch.task_ids.length - shown} more`));
}

function node({ id, x, y }, task, worktree) {
  const about = [task?.epic, worktree].filter(Boolean).map((text) => oneLine(text, 60)).join(" · ");
  const seen = task?.epic ?? worktree ?? "–";
  const files = task?.predicted_files?.length ? `\n${task.predicted_files.join("\n")}` : "";
  return s("g.task", { tabindex: "0", "data-task": id, "data-row": "", role: "img", "aria-label": `Task ${oneLine(id, 100)}${about ? `, ${about}` : ""}` },
    s("title", {}, `${oneLine(id, 200)}${about ? `\n${about}` : ""}${oneLine(files, 600)}`),
    s("rect", { x, y, width: BOX.width, height: BOX.height, rx: 6 }),
    s("text.name", { x: x + 10, y: y + 17 }, oneLine(id, 22)),
    s("text.about", { x: x + 10, y: y + 32 }, oneLine(seen, 26)));
}

function dependencies(plan, boxes) {
  return plan.tasks.flatMap((task) => (task.depends_on ?? []).map((other) => ({ kind: "dependency", from: boxes.get(other), to: boxes.get(task.task_id) })))
    .filter(({ from, to }) => from && to);
}

/** One line between each two neighbours of a conflict, for all pairs of many tasks would hide everything. */
function conflicts(plan, boxes) {
  return plan.predicted_conflicts.flatMap(({ kind, task_ids: ids }) => {
    const known = ids.map((id) => boxes.get(id)).filter(Boolean);
    return known.slice(1).map((to, index) => ({ kind, from: known[index], to }));
  });
}

function line({ kind, from, to }) {
  const middle = (box) => box.y + BOX.height / 2 + SHIFT[kind];
  let path;
  if (from.x === to.x) {
    // In one column they bow out to the right, and the further apart the more.
    const x = from.x + BOX.width;
    const bow = Math.min(14 + Math.abs(to.y - from.y) / 6, COLUMN.gap - 8);
    path = `M${x} ${middle(from)}C${x + bow} ${middle(from)} ${x + bow} ${middle(to)} ${x} ${middle(to)}`;
  } else {
    const [left, right] = from.x < to.x ? [from, to] : [to, from];
    const [start, end] = [left.x + BOX.width, right.x];
    const bend = Math.min((end - start) / 2, COLUMN.gap);
    path = `M${start} ${middle(left)}C${start + bend} ${middle(left)} ${end - bend} ${middle(right)} ${end} ${middle(right)}`;
  }
  return s(`path.${kind}`, { d: path, "data-a": from.id, "data-b": to.id });
}

/** What a task is connected with stands out while it is pointed at or has the focus. */
function emphasise(svg) {
  const mark = (id) => {
    svg.classList.toggle("asked", id !== null);
    for (const path of svg.querySelectorAll(".lines path")) path.classList.toggle("its", path.dataset.a === id || path.dataset.b === id);
  };
  const asked = (event) => mark(event.target.closest("[data-task]")?.dataset.task ?? null);
  svg.addEventListener("pointerover", asked);
  svg.addEventListener("pointerleave", () => mark(null));
  svg.addEventListener("focusin", asked);
  svg.addEventListener("focusout", () => mark(null));
}
