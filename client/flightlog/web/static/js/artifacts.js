// The files that an execution wrote, in the order in which it did.
import { get, part } from "./api.js";
import { h } from "./dom.js";
import { bytes } from "./format.js";
import { live } from "./live.js";
import { empty, table } from "./parts.js";
import { harmless, oneLine } from "./text.js";
import { ago } from "./ticks.js";

const PAGE = 300;

export function artifactsPart(place, subject, params, signal) {
  return live(place, subject, params, signal, async (after) => {
    const page = await get(`/executions/${part(subject.id)}/artifacts`, { limit: PAGE, after }, signal);
    if (!page.artifacts.length) return { node: empty("No artifacts.", "Files that this execution writes would be listed here."), next: null };
    const columns = [
      ["Path", (item) => harmless(item.path), "path"],
      ["Type", (item) => oneLine(item.type, 40)],
      ["Phase", (item) => (item.phase ? oneLine(item.phase, 40) : "–")],
      ["By", (item) => oneLine([item.agent_id, item.task_id].filter(Boolean).join(" · ") || "–", 80)],
      ["Size", (item) => (item.size_bytes === null ? "–" : bytes(item.size_bytes)), "right"],
      ["SHA-256", (item) => (item.sha256 ? h("code", { title: item.sha256 }, `${item.sha256.slice(0, 12)}…`) : "–")],
      ["Written", (item) => ago(item.created_at), "right"],
    ];
    return { node: table(columns, page.artifacts, "Artifacts"), next: page.next ?? null };
  });
}
