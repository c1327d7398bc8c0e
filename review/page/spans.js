// @ts-check
// Arithmetic on spans of frames.

/** @import {Span, ObjectSpan} from './types.js' */

/**
 * Returns how many frames the spans cover; a frame counts once for each object.
 * @param {Span[]} spans
 */
export const total = (spans) => spans.reduce((sum, { first, last }) => sum + last - first + 1, 0);

/**
 * Returns how many different frames the spans cover.
 * @param {Span[]} spans
 */
export function distinct(spans) {
  const sorted = [...spans].sort((a, b) => a.first - b.first);
  let count = 0, end = -1;
  for (const { first, last } of sorted) {
    const from = Math.max(first, end + 1);
    if (last >= from) count += last - from + 1;
    end = Math.max(end, last);
  }
  return count;
}

/**
 * Returns true if a span covers this frame of this object; spans of `null` hold for all objects.
 * @param {ObjectSpan[]} spans
 * @param {number} object
 * @param {number} frame
 */
export const covers = (spans, object, frame) =>
  spans.some((span) => (span.object === object || span.object === null) && span.first <= frame && frame <= span.last);

/**
 * Returns the next start after `frame`, or the last one before it if `direction` is -1.
 * @param {number[]} starts
 * @param {number} frame
 * @param {number} direction
 * @returns {number | null}
 */
export function beyond(starts, frame, direction) {
  let found = /** @type {number | null} */ (null);
  for (const start of starts) {
    if (direction > 0 ? start > frame && (found === null || start < found) : start < frame && (found === null || start > found)) found = start;
  }
  return found;
}
