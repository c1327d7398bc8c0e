// @ts-check
// Masks: from runs to something that can be drawn, and back.

/** @import {MaskAnswer, Candidate} from './types.js' */

/**
 * Parses `#rrggbb`.
 * @param {string} colour
 * @returns {[number, number, number]}
 */
export function channels(colour) {
  const value = parseInt(colour.slice(1), 16);
  return Number.isNaN(value) ? [136, 136, 136] : [value >> 16, (value >> 8) & 255, value & 255];
}

/** A mask of one object on one frame. Pictures of it are made when they are first drawn. */
export class Mask {
  /**
   * @param {ArrayLike<number>} runs lengths, background first
   * @param {number} width of the recording
   */
  constructor(runs, width) {
    this.width = width;
    this.runs = Int32Array.from(runs);
    /** Left, top, right and bottom of the mask, the latter two exclusive; `null` if it is empty. */
    this.box = /** @type {[number, number, number, number] | null} */ (null);
    this.area = 0;
    /** @type {OffscreenCanvas | null} */
    this.layer = null;
    this.layerColour = '';
    /** @type {Path2D | null} */
    this.path = null;
    this.measure();
  }

  /** Finds the bounding box and the area. */
  measure() {
    let left = Infinity, top = Infinity, right = -1, bottom = -1;
    this.each((y, from, to) => {
      if (y < top) top = y;
      bottom = y + 1;
      if (from < left) left = from;
      if (to > right) right = to;
      this.area += to - from;
    });
    if (this.area) this.box = /** @type {[number, number, number, number]} */ ([left, top, right, bottom]);
  }

  /**
   * Calls `work` for every piece of a row, in order, with the row and the columns `from` to before `to`.
   * @param {(y: number, from: number, to: number) => void} work
   */
  each(work) {
    const { runs, width } = this;
    let at = 0;
    for (let index = 0; index < runs.length; index += 1) {
      const end = at + runs[index];
      if (index % 2) {
        while (at < end) {
          const y = Math.floor(at / width), stop = Math.min(end, (y + 1) * width);
          work(y, at - y * width, stop - y * width);
          at = stop;
        }
      }
      at = end;
    }
  }

  /**
   * Returns the filled mask in a colour, as large as its bounding box.
   * @param {string} colour
   */
  filled(colour) {
    if (!this.box) return null;
    if (this.layer && this.layerColour === colour) return this.layer;
    const [left, top, right, bottom] = this.box;
    const image = new ImageData(right - left, bottom - top);
    const pixels = new Uint32Array(image.data.buffer);
    const [r, g, b] = channels(colour);
    const value = ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
    this.each((y, from, to) => pixels.fill(value, (y - top) * image.width + from - left, (y - top) * image.width + to - left));
    this.layer = new OffscreenCanvas(image.width, image.height);
    this.layer.getContext('2d')?.putImageData(image, 0, 0);
    this.layerColour = colour;
    return this.layer;
  }

  /** Returns the edges between pixels of the mask and others, in pixels of the recording. */
  outline() {
    if (this.path) return this.path;
    const path = new Path2D();
    // Vertical edges grow downwards while the next row has one at the same column.
    let open = /** @type {Map<number, number>} */ (new Map());
    let above = /** @type {number[]} */ ([]), row = /** @type {number[]} */ ([]);
    let y = this.box ? this.box[1] : 0;
    const flush = () => {
      const next = new Map();
      for (const x of row) {
        next.set(x, open.get(x) ?? y);
        open.delete(x);
      }
      for (const [x, from] of open) {
        path.moveTo(x, from);
        path.lineTo(x, y);
      }
      open = next;
      // Where exactly one of both rows has the mask, a horizontal edge lies between them.
      const borders = [...above, ...row].sort((a, b) => a - b);
      for (let index = 0; index + 1 < borders.length; index += 2) {
        if (borders[index] === borders[index + 1]) continue;
        path.moveTo(borders[index], y);
        path.lineTo(borders[index + 1], y);
      }
      above = row;
      row = [];
    };
    this.each((line, from, to) => {
      while (y < line) {
        flush();
        y += 1;
      }
      row.push(from, to);
    });
    flush();
    y += 1;
    flush();
    this.path = path;
    return path;
  }

  /**
   * Returns true if the pixel belongs to the mask.
   * @param {number} x
   * @param {number} y
   */
  has(x, y) {
    if (!this.box || x < this.box[0] || y < this.box[1] || x >= this.box[2] || y >= this.box[3]) return false;
    const at = Math.floor(y) * this.width + Math.floor(x);
    let end = 0;
    for (let index = 0; index < this.runs.length; index += 1) {
      end += this.runs[index];
      if (at < end) return index % 2 === 1;
    }
    return false;
  }

  /** Frees the pictures; they are made again when needed. */
  forget() {
    this.layer = null;
    this.path = null;
  }
}

/**
 * Returns one byte a pixel, 1 in the mask.
 * @param {ArrayLike<number>} runs
 * @param {number} size
 */
export function toBytes(runs, size) {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (let index = 0; index < runs.length; index += 1) {
    if (index % 2) bytes.fill(1, at, at + runs[index]);
    at += runs[index];
  }
  return bytes;
}

/**
 * Returns runs of bytes, background first, adding up to all pixels.
 * @param {Uint8Array} bytes
 */
export function toRuns(bytes) {
  const runs = [];
  let value = 0, from = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    if (bytes[at] !== value) {
      runs.push(at - from);
      from = at;
      value = bytes[at];
    }
  }
  runs.push(bytes.length - from);
  return runs;
}

/**
 * @typedef {object} Shown
 * @property {MaskAnswer} info what the server tells about the mask, without its runs
 * @property {Mask} mask
 */

/**
 * @param {MaskAnswer} answer
 * @param {number} width
 * @returns {Shown}
 */
export const shownOf = (answer, width) => ({ info: { ...answer, runs: [] }, mask: new Mask(answer.runs, width) });

/**
 * @param {Candidate} candidate
 * @param {number} width
 */
export const candidateMask = (candidate, width) => new Mask(candidate.runs, width);
