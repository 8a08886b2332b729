// How the daemon is: its state, its lags, its sizes.
import { get } from "./api.js";
import { h, swap } from "./dom.js";
import { bytes, counted, duration, number } from "./format.js";
import { onBack } from "./health.js";
import { filled, table } from "./parts.js";
import { coalesced } from "./stream.js";
import { harmless } from "./text.js";

const EVERY_MS = 2000;

export function daemonView(place, route, signal) {
  document.title = "Status · flightlog";
  const body = h("div");
  place.append(h("div.head", {}, h("h1", {}, "Status of the daemon")), body);
  const load = () => filled(body, async () => swap(body, picture(await get("/status", {}, signal))));
  const refresh = coalesced(load, 200);
  refresh();
  onBack(refresh, signal);
  const timer = setInterval(() => { if (!document.hidden) refresh(); }, EVERY_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
  return {};
}

function picture(status) {
  const { search, projections, connections } = status;
  const lag = Math.max(0, ...projections.map((item) => item.lag));
  const broken = projections.filter((item) => item.error).length;
  const ok = status.state === "ok";
  return [
    h("div.tiles", {},
      tile("State", ok ? "ok" : status.state.replace("_", " "), ok ? "is-good" : "is-bad", status.state_reason ?? `writer: ${status.phase}`),
      tile("Up", duration(status.uptime_us), "", `version ${status.version}, process ${status.pid}`),
      tile("Head", number(status.head_seq), "", "events recorded"),
      tile("Running", number(status.running), "", `${number(status.watched)} with a watched owner`),
      tile("Read models", broken ? `${broken} broken` : lag ? `${number(lag)} behind` : "in step", broken ? "is-bad" : lag ? "is-warn" : "is-good", `${projections.length} of them`),
      tile("Search", search.state, search.state === "ok" ? "is-good" : "is-warn", search.reason ?? `${number(search.lag)} behind, ${bytes(search.index_bytes)}`),
      tile("Database", bytes(status.database_bytes), status.damaged_wal ? "is-warn" : "", status.damaged_wal ? `a WAL was damaged, kept as ${status.damaged_wal}` : `WAL ${bytes(status.wal_bytes)}`),
      tile("Memory", bytes(status.memory_bytes), "", `${counted(status.queued_lines, "line")} queued`),
      tile("Connections", number(Object.values(connections).reduce((sum, count) => sum + count, 0)), "", Object.entries(connections).map(([name, count]) => `${count} ${name}`).join(", ")),
      tile("Followers", number(status.followers), "", `${counted(status.cursors, "cursor")}, ${number(status.cursor_lag)} behind`),
      tile("Refused", number(status.refused), status.refused ? "is-warn" : "", `${counted(status.line_gaps, "gap")}, ${number(status.masked_lines)} masked`)),
    h("h2", {}, "Read models"),
    table([
      ["Name", (item) => item.name],
      ["Position", (item) => number(item.position), "right"],
      ["Behind", (item) => number(item.lag), "right"],
      ["State", (item) => (item.error ? h("span.is-bad.toned", {}, `stopped at ${number(item.broken_at)}: ${harmless(item.error)}`) : "ok")],
    ], projections, "Read models"),
    h("h2", {}, "Sizes"), sizes(status.table_bytes),
    h("p.soft", {}, "State in ", h("code", {}, status.state_dir), ", sockets in ", h("code", {}, status.runtime_dir), ", log ", h("code", {}, status.log_id), "."),
  ];
}

function tile(name, figure, classes, about) {
  return h("div.tile", {}, h("div.soft", {}, name), h(`div.figure.num${classes ? `.${classes}.toned` : ""}`, {}, figure), h("div.about.soft", {}, harmless(about)));
}

function sizes(tables) {
  const entries = Object.entries(tables).sort((a, b) => b[1] - a[1]).slice(0, 12);
  const most = Math.max(1, ...entries.map(([, size]) => size));
  return h("ul.sheet.sizes", {}, entries.map(([name, size]) => h("li", {},
    h("code", {}, name), h("span.track", { "aria-hidden": "true" }, h("span", { style: { width: `${(size / most) * 100}%` } })), h("span.num", {}, bytes(size)))));
}
