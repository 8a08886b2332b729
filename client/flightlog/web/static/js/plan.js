// The plan of a project: a graph of its batches, what may get in whose way, and how it went.
import { get, part, send } from "./api.js";
import { announce, h, swap } from "./dom.js";
import { counted, number } from "./format.js";
import { graph } from "./graph.js";
import { onBack } from "./health.js";
import { empty, filled, table } from "./parts.js";
import { scored } from "./score.js";
import { to } from "./router.js";
import { coalesced, follow } from "./stream.js";
import { baseName, harmless, oneLine } from "./text.js";
import { ago } from "./ticks.js";

const REST_MS = 500;
const MOST_NAMES = 12;
const KINDS = { same_file: ["same file", "is-bad"], same_directory: ["same directory", "is-warn"], potential: ["potential", "is-dim"] };

/** All projects that have something to plan, or that ran something. */
export function projectsView(place, route, signal) {
  document.title = "Plans · flightlog";
  const body = h("div");
  place.append(h("div.head", {}, h("h1", {}, "Projects and their plans")), body);
  const refresh = coalesced(() => filled(body, async () => {
    const { projects } = await get("/projects", { limit: 500 }, signal);
    if (!projects.length) return swap(body, empty("No projects.", "An execution with a project, or a declared task, makes one."));
    swap(body, table([
      ["Project", (item) => h("a", { href: to(["plans", item.project_id]), "data-row": "" }, h("strong", {}, baseName(item.project)))],
      ["Root", (item) => harmless(item.project), "path"],
      ["Executions", (item) => h("a", { href: to([], { project: item.project }) }, number(item.executions)), "right"],
      ["Active", (item) => number(item.active), "right"],
      ["Tasks declared", (item) => number(item.tasks), "right"],
      ["Plans", (item) => number(item.plans), "right"],
    ], projects, "Projects"));
  }), REST_MS);
  refresh();
  onBack(refresh, signal);
  return { update: refresh };
}

export function planView(place, route, signal) {
  const id = route.path[1];
  const path = `/projects/${part(id)}/execution-plan`;
  document.title = "Plan · flightlog";
  const title = h("h1", {}, "Plan");
  const build = h("button", { type: "button", hidden: true }, "Build a plan");
  const said = h("span.soft", { role: "status" });
  const body = h("div");
  place.append(h("div.head", {}, title, said, h("div.filters", {}, build)), body);
  const open = new Set();
  let shown = null;

  const draw = (answer, actual) => {
    const { plan } = answer;
    build.textContent = "Build again";
    build.hidden = false;
    title.textContent = `Plan of ${baseName(plan.project)}`;
    document.title = `Plan of ${baseName(plan.project)} · flightlog`;
    swap(body, standing(answer), picture(plan, actual, open, () => draw(answer, actual)));
  };
  const load = () => filled(body, async () => {
    try {
      shown = await get(path, {}, signal);
      // How it went is told beside the plan; that it cannot be told yet is no reason not to show the plan.
      const actual = await get(`${path}/actual`, {}, signal).catch((error) => {
        if (error.name === "AbortError") throw error;
        return null;
      });
      draw(shown, actual?.actual);
    } catch (error) {
      if (error.status !== 404) throw error;
      build.hidden = error.code !== "no_plan";
      if (build.hidden) return swap(body, empty("There is no such project.", h("a", { href: to(["plans"]) }, "All projects")));
      swap(body, empty("This project has no plan yet.", error.hint ?? error.message));
    }
  });
  const refresh = coalesced(load, REST_MS);
  build.addEventListener("click", async () => {
    build.disabled = true;
    try {
      await send("POST", `${path}/build`, {}, signal);
      said.textContent = "Being built…";
    } catch (error) {
      if (error.name !== "AbortError") said.textContent = `Not built: ${error.message}`;
    } finally {
      build.disabled = false;
    }
  });
  const heard = ({ event }) => {
    if (shown && event.project !== shown.project) return;
    if (event.type === "plan.built") said.textContent = "Built just now.";
    if (event.type === "plan.failed") said.textContent = `Not built: ${harmless(event.error?.message ?? "it failed")}`;
    if (event.type === "plan.built") announce("The plan was built");
    refresh();
  };
  refresh();
  onBack(refresh, signal);
  follow("/stream", { type: ["plan.", "task.ended"] }, { on: { tail: heard }, opened: (again) => again && refresh(), signal });
  return { update: refresh };
}

/** How the project stands with its plan: a newer one that is asked for, one that could not be built. */
function standing({ pending, failure }) {
  return [
    pending ? h("p.soft", { role: "status" }, "A newer plan is asked for and not built yet.") : null,
    failure ? h("section.failure.is-bad", {}, h("strong", {}, "The last attempt to build a newer one failed"), ` ${harmless(failure.reason)}`) : null,
  ];
}

function picture(plan, actual, open, again) {
  const { metadata } = plan;
  return [
    h("p.soft.num", {}, "Built ", ago(plan.created_at), `: ${counted(metadata.total_tasks, "task")} in ${counted(metadata.total_batches, "batch", "batches")}, `,
      `${number(metadata.parallel_batches)} of them parallel, ${counted(metadata.conflicts, "predicted conflict")}`,
      metadata.estimated_duration_s ? `, about ${seconds(metadata.estimated_duration_s)}` : "",
      metadata.manually_modified ? ", changed by hand" : "", "."),
    warnings(metadata),
    metadata.reason ? empty("The plan is empty.", harmless(metadata.reason)) : [graph(plan, open, again), legend()],
    actual ? scored(actual) : null,
    conflicts(plan),
    worktrees(plan),
  ];
}

const seconds = (value) => (value < 90 ? `${Math.round(value)} s` : `${Math.round(value / 60)} min`);

function warnings(metadata) {
  const items = [
    ...metadata.warnings,
    ...metadata.cycles.map((ids) => knot("task", ids)),
    ...metadata.epic_cycles.map((epics) => knot("epic", epics)),
    leftOut(metadata),
    ...metadata.missing.map(({ task_id: id, depends_on: other }) => `${id} depends on ${other}, which nobody declared`),
    ...metadata.missing_epics.map(({ epic, depends_on: other }) => `Epic ${epic} depends on ${other}, which nobody declared and no task has`),
  ].filter(Boolean);
  if (!items.length) return null;
  return h("section.warnings.is-warn", { "aria-label": "Warnings" }, h("strong", {}, "To look at"), h("ul", {}, items.slice(0, 40).map((text) => h("li", {}, oneLine(text, 400)))),
    items.length > 40 ? h("p", {}, `and ${items.length - 40} more`) : null);
}

const someOf = (ids) => ids.slice(0, MOST_NAMES).join(", ") + (ids.length > MOST_NAMES ? ` and ${number(ids.length - MOST_NAMES)} more` : "");

/** Some that wait for each other, or one that waits for itself. */
function knot(kind, ids) {
  return `${ids.length === 1 ? `This ${kind} waits for itself` : `These ${kind}s wait for each other`}: ${someOf(ids)}`;
}

function leftOut({ excluded }) {
  if (!excluded.length) return null;
  return `${counted(excluded.length, "task")} left out, in a cycle or waiting for one: ${someOf(excluded)}`;
}

function legend() {
  return h("ul.legend.soft", {},
    h("li", {}, h("i.dependency"), "depends on"), h("li", {}, h("i.same_file"), "same file"),
    h("li", {}, h("i.same_directory"), "same directory"), h("li", {}, h("i.potential"), "potential conflict"));
}

function conflicts(plan) {
  if (!plan.predicted_conflicts.length) return null;
  const some = plan.predicted_conflicts.slice(0, 200);
  return [h("h2", {}, "Predicted conflicts"), table([
    ["Kind", (item) => h(`span.chip.${KINDS[item.kind]?.[1] ?? "is-dim"}`, {}, KINDS[item.kind]?.[0] ?? item.kind)],
    ["Where", (item) => oneLine(item.path ?? item.hint ?? "–", 160), "path"],
    ["Tasks", (item) => oneLine(someOf(item.task_ids), 300)],
  ], some, "Predicted conflicts")];
}

function worktrees(plan) {
  if (!plan.worktree_assignments.length) return null;
  return [h("h2", {}, "Worktrees"), table([
    ["Worktree", (item) => h("code", {}, oneLine(item.worktree, 80))],
    ["Batch", (item) => number(item.batch_id), "right"],
    ["Epics", (item) => oneLine(item.epics.join(", ") || "–", 120)],
    ["Tasks", (item) => oneLine(someOf(item.task_ids), 300)],
  ], plan.worktree_assignments.slice(0, 200), "Worktrees")];
}
