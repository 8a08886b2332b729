// Whether the server and the daemon behind it are there. While they are not, a banner says so and one small
// question is asked again and again; when it is answered, whoever listens starts over.

const RETRY_MS = 1500;
const GOOD_NEWS_MS = 3000;

const listeners = new Set();
let reason = null;
let timer = 0;

/** Call back each time that it is all there again, until the signal says stop. */
export function onBack(listener, signal) {
  listeners.add(listener);
  signal.addEventListener("abort", () => listeners.delete(listener));
}

/** Something is not there. @param {string} text @param {string|null} [hint] */
export function away(text, hint = null) {
  const changed = reason !== text;
  reason = text;
  if (changed) show(`${text}${hint ? ` ${hint}` : ""} Trying again…`, false);
  if (!timer) timer = setTimeout(check, RETRY_MS);
}

/** It is there. */
export function back() {
  if (reason === null) return;
  reason = null;
  clearTimeout(timer);
  timer = 0;
  show("Back again.", true);
  setTimeout(() => { if (reason === null) banner().hidden = true; }, GOOD_NEWS_MS);
  for (const listener of [...listeners]) listener();
}

/** The token is another one by now, or the cookie too old: in place of the page there is the way to log in. */
export const loggedOut = () => location.reload();

/** Ask whether all is there. */
export async function check() {
  clearTimeout(timer);
  timer = 0;
  try {
    const response = await fetch("/api/status", { cache: "no-store", credentials: "same-origin" });
    if (response.ok) return void back();
    if (response.status === 401) return loggedOut();
    const { error } = await response.json();
    away(`The daemon is away: ${error.reason}.`, error.hint);
  } catch {
    away("The flightlog web server cannot be reached.");
  }
}

const banner = () => document.getElementById("banner");

function show(text, good) {
  banner().textContent = text;
  banner().classList.toggle("is-good", good);
  banner().hidden = false;
}
