// Where in the page one is: `#/executions/ID/log?level=WARN`. Everything that can be linked to is in there.

/** @typedef {{path: string[], params: URLSearchParams}} Route */

/** @returns {Route} */
export function here() {
  const [path, query = ""] = location.hash.replace(/^#/, "").split("?", 2);
  return { path: path.split("/").filter(Boolean).map(decoded), params: new URLSearchParams(query) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** An address. @param {string[]} path @param {Object<string, *>|URLSearchParams} [params] */
export function to(path, params = {}) {
  const pairs = params instanceof URLSearchParams ? [...params] : Object.entries(params);
  const query = new URLSearchParams(pairs.filter(([, value]) => value !== null && value !== undefined && value !== ""));
  const text = query.toString();
  return `#/${path.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

/** Go there; `replace` leaves no step for the back button, for what is typed letter by letter. */
export function go(address, { replace = false } = {}) {
  if (address === location.hash) return;
  if (!replace) location.hash = address;
  else {
    history.replaceState(null, "", address);
    dispatchEvent(new HashChangeEvent("hashchange"));
  }
}

/** The same place with other parameters. */
export function withParams(changes, { replace = false } = {}) {
  const { path, params } = here();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") params.delete(name);
    else params.set(name, value);
  }
  go(to(path, params), { replace });
}
