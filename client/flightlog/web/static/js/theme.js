// Light, dark, or as the system has it: a button that goes through the three, and remembers.
import { drawing } from "./dom.js";

const KEY = "flightlog.theme";
const ORDER = ["auto", "light", "dark"];
const LOOKS = {
  auto: "M8 2.5v11M8 2.5a5.5 5.5 0 0 1 0 11a5.5 5.5 0 0 1 0-11M10 4v8M12 6v4",
  light: "M8 5.2a2.8 2.8 0 1 0 .01 0M8 1.5v1.2M8 13.3v1.2M1.5 8h1.2M13.3 8h1.2M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9",
  dark: "M13 9.6A5.6 5.6 0 0 1 6.4 3a5.6 5.6 0 1 0 6.6 6.6z",
};

/** @param {HTMLButtonElement} button */
export function themeButton(button) {
  const current = () => document.documentElement.dataset.theme ?? "auto";
  const show = () => {
    const theme = current();
    const next = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
    button.replaceChildren(drawing("0 0 16 16", LOOKS[theme]));
    button.title = `Theme: ${theme} (t)`;
    button.setAttribute("aria-label", `Theme is ${theme}; switch to ${next}`);
  };
  button.addEventListener("click", () => {
    const next = ORDER[(ORDER.indexOf(current()) + 1) % ORDER.length];
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      if (next === "auto") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, next);
    } catch { /* forbidden storage: it holds until the page is closed */ }
    show();
  });
  show();
}
