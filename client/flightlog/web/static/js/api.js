// Asking the server. What goes wrong becomes an ApiError with what the server says of it; that the server or the
// daemon is away is told to `health`, which brings the views back when it is over.
import { away, back, loggedOut } from "./health.js";

export class ApiError extends Error {
  /** @param {number} status @param {{code?: string, reason?: string, hint?: string|null}} error */
  constructor(status, { code = "failed", reason = "the request failed", hint = null }) {
    super(reason);
    this.status = status;
    this.code = code;
    this.hint = hint;
  }
}

/**
 * @param {string} path under /api
 * @param {Object<string, *>} [params] arrays are joined by commas; empty ones are left out
 */
export function address(path, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value === null || value === undefined || value === "" || value === false) continue;
    query.set(name, Array.isArray(value) ? value.join(",") : String(value));
  }
  const text = query.toString();
  return `/api${path}${text ? `?${text}` : ""}`;
}

/** A segment of a path. */
export const part = (text) => encodeURIComponent(text);

/**
 * GET JSON.
 * @param {AbortSignal} [signal] of the view that asks
 * @throws {ApiError|DOMException} the latter when the view was left
 */
export async function get(path, params, signal) {
  return ask(address(path, params), { signal });
}

/** Send JSON by another method. */
export async function send(method, path, body, signal) {
  return ask(address(path), {
    method, signal, headers: { "content-type": "application/json" }, body: JSON.stringify(body),
  });
}

async function ask(url, options) {
  let response;
  let answer;
  try {
    response = await fetch(url, { ...options, cache: "no-store", credentials: "same-origin" });
    const text = await response.text();
    answer = response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : {};
  } catch (error) {
    if (error.name === "AbortError") throw error;
    away("The flightlog web server cannot be reached.");
    throw new ApiError(0, { code: "unreachable", reason: "the server cannot be reached" });
  }
  if (response.ok) {
    back();
    return answer;
  }
  if (response.status === 401) loggedOut();
  const error = new ApiError(response.status, answer.error ?? { reason: `${response.status} ${response.statusText}` });
  if (response.status === 503) away(`The daemon is away: ${error.message}.`, error.hint);
  throw error;
}
