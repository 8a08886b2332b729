// The agents of an execution, with what they used.
import { get, part } from "./api.js";
import { h } from "./dom.js";
import { money, number } from "./format.js";
import { live } from "./live.js";
import { empty, table } from "./parts.js";
import { chip } from "./status.js";
import { oneLine } from "./text.js";
import { ago } from "./ticks.js";

const PAGE = 500;

export function agentsPart(place, subject, params, signal) {
  return live(place, subject, params, signal, async (after) => {
    const page = await get(`/executions/${part(subject.id)}/agents`, { limit: PAGE, after }, signal);
    const { agents } = page;
    if (!agents.length) return { node: empty("No agents.", "Agents that work in this execution would be listed here."), next: null };
    const names = new Map(agents.map((agent) => [agent.agent_id, agent.name ?? agent.agent_id]));
    const columns = [
      ["Agent", (agent) => [h("strong", {}, oneLine(names.get(agent.agent_id), 80)), " ", h("code.soft", {}, oneLine(agent.agent_id, 60))]],
      ["Status", (agent) => chip(agent.status)],
      ["Model", (agent) => (agent.model ? oneLine(agent.model, 60) : oneLine(agent.agent_type, 60))],
      ["Works for", (agent) => (agent.parent_agent_id ? oneLine(names.get(agent.parent_agent_id) ?? agent.parent_agent_id, 60) : "–")],
      ["Tokens in", (agent) => number(agent.input_tokens), "right"],
      ["Tokens out", (agent) => number(agent.output_tokens), "right"],
      ["Cost", (agent) => [share(agent, agents), money(agent.cost_usd)], "right"],
      ["Heard of", (agent) => ago(agent.updated_at), "right"],
    ];
    return { node: [table(columns, agents, "Agents"), sums(agents)], next: page.next ?? null };
  });
}

/** How much of the whole cost is this one's. */
function share(agent, agents) {
  const most = Math.max(...agents.map((other) => other.cost_usd));
  return most > 0 ? h("span.share", { "aria-hidden": "true" }, h("span", { style: { width: `${(agent.cost_usd / most) * 100}%` } })) : null;
}

function sums(agents) {
  const sum = (name) => agents.reduce((all, agent) => all + agent[name], 0);
  return h("p.soft.num", {}, `${agents.length} shown: ${number(sum("input_tokens"))} tokens in, ${number(sum("output_tokens"))} out, ${money(sum("cost_usd"))}`);
}
