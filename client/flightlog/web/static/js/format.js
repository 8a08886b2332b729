// Numbers and times as people read them. Pure, but for what the browser's zone and language are.

const UNITS = [["d", 86400, "h", 3600], ["h", 3600, "m", 60], ["m", 60, "s", 1]];
const AGES = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const SIZES = ["B", "KiB", "MiB", "GiB", "TiB"];

/** `850us`, `500ms`, `2.5s`, `1m 30s`, `2h 5m`, `3d 4h`: as the command line writes them, cut and not rounded. */
export function duration(us) {
  if (us < 1000) return `${us}us`;
  if (us < 1e6) return `${Math.floor(us / 1000)}ms`;
  if (us < 60e6) return `${Math.floor(us / 1e5) / 10}s`;
  const seconds = Math.floor(us / 1e6);
  const [large, size, small, part] = UNITS.find((unit) => seconds >= unit[1]);
  const rest = Math.floor((seconds % size) / part);
  return `${Math.floor(seconds / size)}${large}${rest ? ` ${rest}${small}` : ""}`;
}

/** `5 min. ago`; times are milliseconds since the epoch. */
export function age(at, now) {
  const seconds = Math.round((at - now) / 1000);
  if (Math.abs(seconds) < 5) return "now";
  const [unit, size] = AGES.find(([, least]) => Math.abs(seconds) >= least);
  return RELATIVE.format(Math.trunc(seconds / size), unit);
}

const two = (number) => String(number).padStart(2, "0");

/** `14:03:22.118`, local. */
export function clock(at) {
  const time = new Date(at);
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${String(time.getMilliseconds()).padStart(3, "0")}`;
}

/** `21 Nov 14:03`, local. */
export function moment(at) {
  return new Date(at).toLocaleString(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hour12: false });
}

/** The local day, `2026-11-21`. */
export function day(at) {
  const time = new Date(at);
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
}

/** RFC 3339 with the local offset; microseconds are those of the text that came. */
export function stamp(text) {
  const at = Date.parse(text);
  if (Number.isNaN(at)) return String(text);
  const time = new Date(at);
  const offset = -time.getTimezoneOffset();
  const zone = offset === 0 ? "Z" : `${offset < 0 ? "-" : "+"}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  const micros = /\.(\d{1,9})/.exec(text)?.[1]?.slice(0, 6) ?? "0";
  return `${day(at)}T${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${micros.padEnd(6, "0")}${zone}`;
}

/** `12,408`. */
export const number = (value) => value.toLocaleString("en");

/** `1 task`, `12 tasks`. */
export const counted = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

/** `12.4k`: for where there is little room. */
export function compact(value) {
  return value < 10000 ? number(value) : Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(value);
}

export function bytes(value) {
  let at = 0;
  let size = value;
  while (size >= 1024 && at < SIZES.length - 1) { size /= 1024; at += 1; }
  return `${at && size < 100 ? size.toFixed(1) : Math.round(size)} ${SIZES[at]}`;
}

/** `$0.0042`, `$12.40`. */
export const money = (value) => `$${value.toFixed(value && value < 0.1 ? 4 : 2)}`;
