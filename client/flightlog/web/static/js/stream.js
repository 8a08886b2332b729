// A stream of server-sent events that survives what befalls it: it goes on after the last position it had, and
// rests while the page is hidden, for browsers have only six connections to a server and many tabs.
import { address } from "./api.js";
import { check } from "./health.js";

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 8000;

/**
 * @param {string} path under /api
 * @param {Object<string, *>} params
 * @param {Object} how
 * @param {Object<string, (data: any, id: number) => void>} how.on by name of event
 * @param {(resumed: boolean) => void} [how.opened] each time that it flows (again)
 * @param {() => void} [how.reset] positions mean other events from now on; default: as opened again
 * @param {AbortSignal} how.signal ends it
 * @returns {{stop: () => void}}
 */
export function follow(path, params, { on, opened = () => {}, reset = () => opened(true), signal }) {
  let source = null;
  let last = params.after ?? null;
  let retryMs = FIRST_RETRY_MS;
  let timer = 0;
  let flowed = false;
  let stopped = false;

  const open = () => {
    clearTimeout(timer);
    if (stopped || source || document.hidden) return;
    source = new EventSource(address(path, { ...params, after: last }));
    source.addEventListener("open", () => {
      retryMs = FIRST_RETRY_MS;
      opened(flowed);
      flowed = true;
    });
    // The log is another one, restored perhaps: what is shown is of one that is gone.
    source.addEventListener("reset", () => {
      last = null;
      reset();
    });
    for (const [name, listener] of Object.entries(on)) {
      source.addEventListener(name, (event) => {
        const id = event.lastEventId ? Number(event.lastEventId) : null;
        if (id !== null && !Number.isNaN(id)) last = id;
        listener(JSON.parse(event.data), id);
      });
    }
    source.addEventListener("error", (event) => {
      // An event that the server named `error` has data; without, the connection broke.
      if (event.data !== undefined) return;
      close();
      check();
      timer = setTimeout(open, retryMs);
      retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
    });
  };
  const close = () => {
    source?.close();
    source = null;
  };
  const seen = () => {
    if (!document.hidden) return open();
    clearTimeout(timer);
    close();
  };
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
    close();
  };
  document.addEventListener("visibilitychange", seen, { signal });
  signal.addEventListener("abort", stop);
  open();
  return { stop };
}

/**
 * Run something soon, however often it is asked for in between: at most once in a while, never twice at once.
 * @param {() => Promise<void>} work
 * @param {number} restMs between the end of one run and the start of the next
 */
export function coalesced(work, restMs) {
  let wanted = false;
  let busy = false;
  const run = async () => {
    busy = true;
    while (wanted) {
      wanted = false;
      await work().catch((error) => { if (error.name !== "AbortError" && error.status === undefined) console.error(error); });
      await new Promise((done) => setTimeout(done, restMs));
    }
    busy = false;
  };
  return () => {
    wanted = true;
    if (!busy) run();
  };
}
