// A plan against what happened.
import { h } from "./dom.js";
import { counted, number } from "./format.js";
import { table } from "./parts.js";
import { oneLine } from "./text.js";

const share = (value) => (value === null || value === undefined ? "–" : `${Math.round(value * 100)} %`);
const seconds = (value) => (value === null || value === undefined ? "–" : `${Math.round(value * 10) / 10} s`);

/** @param {Object} actual as the API has it */
export function scored(actual) {
  const tile = (name, figure, about) => h("div.tile", {}, h("div.soft", {}, name), h("div.figure.num", {}, figure), h("div.about.soft", {}, about));
  const { conflicts, whole } = actual;
  const timed = actual.batches.filter((batch) => batch.actual_s !== null || batch.estimated_s !== null);
  return [
    h("h2", {}, "How it went"),
    h("div.tiles", {},
      tile("Score", share(actual.score), `${number(actual.finished_tasks)} of ${counted(actual.total_tasks, "task")} finished`),
      tile("Files", share(actual.files_f1), `${number(actual.files.length)} predicted or written`),
      tile("Conflicts", share(actual.conflicts_f1), `${conflicts.both.length} of ${conflicts.happened.length} that happened were predicted`),
      tile("Duration", share(actual.duration_accuracy), `${seconds(whole.actual_s)}, estimated ${seconds(whole.estimated_s)}`),
      tile("At once", actual.parallelism === null ? "–" : `${Math.round(actual.parallelism * 10) / 10}×`, "tasks on average")),
    timed.length ? table([
      ["Batch", (item) => `Batch ${item.batch_id}`],
      ["Estimated", (item) => seconds(item.estimated_s), "right"],
      ["Took", (item) => seconds(item.actual_s), "right"],
    ], timed, "Batches, estimated and actual") : null,
    conflicts.happened.length ? h("p", {}, "Written by several tasks: ", h("code", {}, oneLine(conflicts.happened.join(", "), 400))) : null,
  ];
}
