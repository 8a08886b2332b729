// A time axis: where a time lies on it, and where marks with round numbers stand. Pure.
import { duration } from "./format.js";

const STEPS_MS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 10e3, 20e3, 30e3, 60e3, 120e3, 300e3, 600e3, 1200e3, 1800e3,
  3600e3, 7200e3, 14400e3, 43200e3, 86400e3, 172800e3, 604800e3,
];
const MOST_MARKS = 7;

/**
 * @param {number} start milliseconds since the epoch
 * @param {number} end
 * @returns {{at: (time: number) => number, step: number, marks: {at: number, text: string}[]}} `at` and `step` are 0 to 1
 */
export function axis(start, end) {
  const length = Math.max(end - start, 1);
  const step = STEPS_MS.find((size) => length / size <= MOST_MARKS) ?? Math.ceil(length / MOST_MARKS);
  const marks = [];
  // The last mark stays clear of the edge, where its text would be cut.
  for (let time = 0; time <= length * 0.96; time += step) marks.push({ at: time / length, text: time ? duration(time * 1000) : "0s" });
  return { at: (time) => Math.min(Math.max((time - start) / length, 0), 1), step: step / length, marks };
}
