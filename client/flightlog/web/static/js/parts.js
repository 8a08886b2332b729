// Small things that several views show: tables, troubles, pagers, places to be filled.
import { h } from "./dom.js";

/**
 * A table.
 * @param {[string, (item: any) => any, string?][]} columns heading, content of a cell, classes
 * @param {any[]} items
 * @param {string} label for who cannot see it
 */
export function table(columns, items, label) {
  return h("div.sheet.wide", { role: "region", "aria-label": label, tabindex: "0" },
    h("table", {},
      h("thead", {}, h("tr", {}, columns.map(([heading, , classes]) => h("th", { scope: "col", class: classes }, heading)))),
      h("tbody", {}, items.map((item) => h("tr", {}, columns.map(([, cell, classes]) => h("td", { class: classes }, cell(item))))))));
}

/** Nothing is there, and why. */
export function empty(what, why) {
  return h("div.sheet.empty", {}, h("strong", {}, what), why);
}

/** Why there is no answer. @param {import("./api.js").ApiError} error */
export function trouble(error) {
  const hint = error.hint ? h("div", {}, error.hint) : null;
  return h("div.sheet.empty", { role: "alert" }, h("strong", {}, sentence(error.message)), hint);
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** A link to another page of a list. @param {"previous"|"next"} which */
export function pageLink(which, address, text) {
  return address === null
    ? h("button.button", { disabled: true, type: "button" }, text)
    : h("a.button", { href: address, "data-page": which, "data-keep": `page-${which}` }, text);
}

/** A short value that can be copied. */
export function copyable(text, label) {
  const button = h("button.text", { type: "button", title: `Copy ${label}`, "aria-label": `Copy ${label} ${text}`, "data-keep": `copy-${label}` }, h("code", {}, text));
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.dataset.done = "";
      setTimeout(() => delete button.dataset.done, 1200);
    } catch { /* no clipboard here: the text can still be selected */ }
  });
  return button;
}

/** Run something that asks the server; what it answers with, or why it cannot, goes into a place. */
export async function filled(place, work) {
  place.setAttribute("aria-busy", "true");
  try {
    await work();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    // Where something is shown, an older answer is better than none: the banner says that it is old.
    if (!place.hasChildNodes() || (error.status && error.status !== 503)) place.replaceChildren(trouble(error));
    throw error;
  } finally {
    place.removeAttribute("aria-busy");
  }
}
