// The lines that are in the page: a window on the log that never holds more than a limit. What is appended
// pushes the oldest out, what is prepended the newest; the log itself is the daemon's.

export const LIMIT_LINES = 2000;

export class LogWindow {
  /**
   * @param {HTMLElement} list where the lines are
   * @param {HTMLElement} frame what scrolls it
   * @param {(line: Object) => HTMLElement} make
   */
  constructor(list, frame, make) {
    this.list = list;
    this.frame = frame;
    this.make = make;
  }

  get size() {
    return this.list.childElementCount;
  }

  /** Position of the first line, null without one. */
  get first() {
    return position(this.list.firstElementChild);
  }

  get last() {
    return position(this.list.lastElementChild);
  }

  /** Is the end of what is here in sight? */
  get atEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.frame;
    return scrollHeight - scrollTop - clientHeight < 32;
  }

  clear() {
    this.list.replaceChildren();
  }

  toEnd() {
    this.frame.scrollTop = this.frame.scrollHeight;
  }

  /**
   * Add newer lines; without `keep` the window is at its end anyway, and what is in sight may move. Returns
   * whether older ones had to go.
   */
  append(lines, keep = false) {
    const full = lines.length >= LIMIT_LINES;
    if (full) this.clear();
    this.list.append(...lines.slice(-LIMIT_LINES).map(this.make));
    const surplus = this.size - LIMIT_LINES;
    if (surplus <= 0) return full;
    const before = this.frame.scrollHeight;
    const top = this.frame.scrollTop;
    remove(this.list, this.list.firstElementChild, this.list.children[surplus - 1]);
    if (keep) this.frame.scrollTop = top - (before - this.frame.scrollHeight);
    return true;
  }

  /** Add older lines above, without moving what is in sight. Returns whether newer ones had to go. */
  prepend(lines) {
    const before = this.frame.scrollHeight;
    const top = this.frame.scrollTop;
    this.list.prepend(...lines.map(this.make));
    this.frame.scrollTop = top + this.frame.scrollHeight - before;
    if (this.size <= LIMIT_LINES) return false;
    remove(this.list, this.list.children[LIMIT_LINES], this.list.lastElementChild);
    return true;
  }
}

const position = (node) => (node ? Number(node.dataset.seq) : null);

/** Many neighbours at once: one change for the browser. */
function remove(list, first, last) {
  const range = document.createRange();
  range.setStartBefore(first);
  range.setEndAfter(last);
  range.deleteContents();
}
