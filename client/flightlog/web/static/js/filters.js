// Fields by which a view is narrowed. What they hold lives in the address; they only show and change it.
import { h } from "./dom.js";

const TYPING_MS = 250;

/** Call with the last value when a person has stopped typing for a moment. */
export function typed(listener) {
  let timer = 0;
  return (event) => {
    clearTimeout(timer);
    const { value } = event.target;
    timer = setTimeout(() => listener(value.trim()), event.type === "change" ? 0 : TYPING_MS);
  };
}

/**
 * A text field.
 * @returns {{node: HTMLElement, set: (value: string) => void}}
 */
export function field(label, name, placeholder, listener, attributes = {}) {
  const listen = typed(listener);
  const input = h("input", {
    type: "search", name, placeholder, "aria-label": label, autocomplete: "off", spellcheck: "false", "data-keep": name,
    on: { input: listen, change: listen }, ...attributes,
  });
  const set = (value) => {
    // What is being typed is newer than the address.
    if (document.activeElement !== input) input.value = value;
  };
  return { node: h("span.field", {}, input), set };
}

/**
 * A choice of one.
 * @param {[string, string][]} options text, value
 * @returns {{node: HTMLElement, set: (value: string) => void}}
 */
export function choices(label, name, options, listener) {
  const node = h("select", { name, "aria-label": label, on: { change: () => listener(node.value) } },
    options.map(([text, value]) => h("option", { value }, text)));
  const set = (value) => {
    // An address may hold what the choice does not offer.
    if (![...node.options].some((option) => option.value === value)) node.append(h("option", { value }, value));
    node.value = value;
  };
  return { node, set };
}
