// Text as it was recorded, made harmless: it comes from programs that nobody vouches for.

// Colours and titles of a terminal go away, as the command line has it.
const COLOURING = /\x1b(?:\[[0-9;:]*m|\][^\x07\x1b]*(?:\x07|\x1b\\))/g;
// Other control characters, and those that turn the direction of writing, become visible.
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** @param {string} text */
export function harmless(text) {
  return text.replace(COLOURING, "").replace(CONTROL, escape);
}

function escape(char) {
  const code = char.codePointAt(0);
  return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
}

/** As a line that fits: made harmless, line ends shown, cut. */
export function oneLine(text, limitChars = 200) {
  const flat = harmless(text.slice(0, limitChars * 2)).replace(/\n/g, "⏎");
  return flat.length > limitChars || text.length > limitChars * 2 ? `${flat.slice(0, limitChars)}…` : flat;
}

/** A value of JSON, laid out. */
export function json(value) {
  return harmless(JSON.stringify(value, null, 2) ?? "");
}

/** The last part of a path, which is what people call a project. */
export function baseName(path) {
  return harmless(path.replace(/\/+$/, "").split("/").pop() || path);
}

/**
 * Split text where a needle occurs, whatever its case: even parts do not hold it, odd parts are it.
 * @returns {string[]}
 */
export function around(text, needle) {
  if (!needle) return [text];
  const lower = text.toLowerCase();
  const wanted = needle.toLowerCase();
  // A letter may change its length with its case; then marks would be off, and there are none.
  if (lower.length !== text.length) return [text];
  const parts = [];
  let from = 0;
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, from)) {
    parts.push(text.slice(from, at), text.slice(at, at + wanted.length));
    from = at + wanted.length;
  }
  return [...parts, text.slice(from)];
}

/** An execution's id as its own machine has it, and the mark of that machine's log where it is another one. */
export function split(id) {
  const [, own, mark] = /^(.+)(~[0-9a-f]{12})$/s.exec(id) ?? [null, id, ""];
  return { id: own, mark };
}
