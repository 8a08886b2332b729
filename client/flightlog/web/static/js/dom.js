// Making nodes. Text goes in as text and links lead only where links may: there is no other way in this page.

const SVG = "http://www.w3.org/2000/svg";
const LINK = /^(#|https?:\/\/)/;

/**
 * Make an element.
 * @param {string} name tag, with classes after dots: `span.chip.is-good`
 * @param {Object<string, *>} [attributes] `on` holds listeners; null and false leave an attribute out
 * @param {...(Node|string|number|null|undefined|false|Array)} children
 * @returns {HTMLElement}
 */
export function h(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  assign(node, attributes);
  add(node, children);
  return node;
}

/** Make an SVG element; as `h`. @returns {SVGElement} */
export function s(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const node = document.createElementNS(SVG, tag);
  if (classes.length) node.setAttribute("class", classes.join(" "));
  assign(node, attributes);
  add(node, children);
  return node;
}

/** A picture of one path, for buttons. */
export function drawing(viewBox, path) {
  return s("svg", { viewBox, "aria-hidden": "true" }, s("path", { d: path }));
}

function assign(node, attributes) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (key === "style") for (const [name, text] of Object.entries(value)) node.style.setProperty(name, text);
    else if (key === "value" || key === "checked" || key === "disabled") node[key] = value;
    else if (key === "href" && !LINK.test(value)) continue;
    else node.setAttribute(key, value === true ? "" : String(value));
  }
}

function add(node, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) add(node, child);
    else node.append(child instanceof Node ? child : String(child));
  }
}

let pressed = null;
const waiting = new Map();

document.addEventListener("pointerdown", ({ target }) => { pressed = target; }, true);
for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, released, true);

/**
 * What is pressed must still be there when it is released, else there is no click; what is marked must stay to
 * be copied. Changes of their places wait for that.
 */
function heldIn(place, change) {
  const selection = getSelection();
  const marked = !selection.isCollapsed && place.contains(selection.anchorNode);
  if (!marked && (pressed === null || !place.contains(pressed))) return false;
  waiting.set(place, change);
  return true;
}

document.addEventListener("selectionchange", () => {
  if (pressed === null && waiting.size && getSelection().isCollapsed) released();
});

function released() {
  pressed = null;
  const changes = [...waiting.values()];
  waiting.clear();
  setTimeout(() => changes.forEach((change) => change()));
}

/**
 * Put other content into a place without losing what the person has there: focus and opened details stay with
 * whatever has the same `data-keep`, focus else with what looks the same.
 */
export function swap(place, ...children) {
  if (heldIn(place, () => swap(place, ...children))) return;
  const active = document.activeElement;
  const focused = active !== place && place.contains(active) ? looks(active) : null;
  const open = [...place.querySelectorAll("details[open][data-keep]")].map((node) => node.dataset.keep);
  place.replaceChildren();
  add(place, children);
  for (const node of place.querySelectorAll("details[data-keep]")) if (open.includes(node.dataset.keep)) node.open = true;
  if (focused === null) return;
  [...place.querySelectorAll(active.localName)].find((node) => looks(node) === focused)?.focus({ preventScroll: true });
}

const looks = (node) => node.dataset.keep ?? node.getAttribute("href") ?? node.getAttribute("aria-label") ?? node.textContent;

/**
 * Make the children of a place be those of a list, moving and making as few as possible.
 * @template T
 * @param {HTMLElement} place
 * @param {T[]} items
 * @param {(item: T) => string} key
 * @param {(item: T) => HTMLElement} make called for what is new or has changed
 */
export function keyed(place, items, key, make) {
  if (heldIn(place, () => keyed(place, items, key, make))) return;
  const old = new Map([...place.children].map((node) => [node.dataset.key, node]));
  let at = place.firstElementChild;
  for (const item of items) {
    const name = key(item);
    const print = JSON.stringify(item);
    let node = old.get(name);
    old.delete(name);
    if (!node || node.print !== print) {
      const fresh = make(item);
      fresh.dataset.key = name;
      fresh.print = print;
      const focused = node?.contains(document.activeElement);
      if (node) {
        if (at === node) at = fresh;
        node.replaceWith(fresh);
        if (focused) fresh.querySelector("a, button")?.focus({ preventScroll: true });
      }
      node = fresh;
    }
    if (node !== at) place.insertBefore(node, at);
    else at = at.nextElementSibling;
  }
  for (const node of old.values()) node.remove();
}

/** Put a text into a node, where it is another: what is set anew is drawn, and read out, anew. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

let announced = -Infinity;

/** Say something to a screen reader, at most every two seconds: what comes in between is left out. */
export function announce(text) {
  const now = performance.now();
  if (now - announced < 2000) return;
  announced = now;
  document.getElementById("announcer").textContent = text;
}
