// The API for people: a list of what /openapi.json says.

/**
 * Return an element.
 * @param {string} name
 * @param {string} text
 * @param {Node[]} children
 */
function element(name, text = "", children = []) {
  const made = document.createElement(name);
  made.textContent = text;
  made.append(...children);
  return made;
}

/** Return in a few words what a schema allows. */
function kind(schema) {
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.type === "array") return `${kind(schema.items ?? {})}, repeated`;
  if (schema.anyOf) return schema.anyOf.map(kind).join(" or ");
  const bounds = [schema.minimum, schema.maximum];
  return (schema.type ?? "") + (bounds.some((b) => b !== undefined) ? ` ${bounds[0] ?? ""}..${bounds[1] ?? ""}` : "");
}

/** Return what an operation is, and its parameters. */
function operation(path, method, said) {
  const rows = (said.parameters ?? []).map((parameter) => {
    const needed = parameter.required ? "needed; " : "";
    const cells = [parameter.name, kind(parameter.schema), needed + (parameter.description ?? "")];
    return element("tr", "", cells.map((text) => element("td", text)));
  });
  const parts = [
    element("h2", `${method.toUpperCase()} ${path}`),
    element("p", `${said.summary}. ${said.description}`),
  ];
  if (rows.length) parts.push(element("table", "", [element("tbody", "", rows)]));
  return parts;
}

const place = document.getElementById("paths");
try {
  const said = await (await fetch("/openapi.json")).json();
  for (const [path, methods] of Object.entries(said.paths)) {
    for (const [method, what] of Object.entries(methods)) place.append(...operation(path, method, what));
  }
} catch (error) {
  place.append(element("p", `The description did not come: ${error}`));
}
