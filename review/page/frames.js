// @ts-check
// Pictures and masks of frames: a bounded cache, and reading ahead.

/** @import {MasksAnswer, BodyPart} from './types.js' */
/** @import {Shown} from './masks.js' */
import { aborted, Refused, request, URGENCY } from './api.js';
import { shownOf } from './masks.js';
import { inRun, store } from './store.js';

/** Frames whose JPEG and masks are kept. */
const MOST = 200;
/** Bytes of decoded pictures; the JPEGs of the others are decoded again when needed. */
const MOST_BYTES = 72 << 20;

/**
 * A request that may serve several callers.
 * @typedef {{promise: Promise<void>, raise: (urgency: number) => void, cancel: AbortController, tag: string | number}} Loading
 */

/** What is known of one frame. */
export class Frame {
  /** @param {number} number */
  constructor(number) {
    this.number = number;
    /** @type {Blob | null} */
    this.jpeg = null;
    /** The contrast that the server applied to `jpeg`. */
    this.tone = '';
    /** @type {ImageBitmap | null} */
    this.bitmap = null;
    /** @type {Shown[] | null} */
    this.masks = null;
    /** @type {BodyPart[]} */
    this.track = [];
    this.seconds = /** @type {number | null} */ (null);
    /** Why the frame or its masks cannot be shown. */
    this.trouble = /** @type {string | null} */ (null);
    this.epoch = -1;
    /** True if the run had no masks of the frame yet. */
    this.unfinished = false;
    /** @type {Loading | null} */
    this.picture = null;
    /** @type {Loading | null} */
    this.answer = null;
  }

  /** True if everything is there and up to date. */
  get ready() {
    const picture = store.run.hasPictures === false || (this.bitmap !== null && this.tone === toneQuery());
    return picture && this.masks !== null && this.epoch === store.epoch;
  }

  /** Frees the decoded picture and the drawn masks. */
  shrink() {
    this.bitmap?.close();
    this.bitmap = null;
    for (const { mask } of this.masks ?? []) mask.forget();
  }
}

/** Frames in the order of their last use. @type {Map<number, Frame>} */
const kept = new Map();

/** Returns the part of a frame's address that asks for a contrast; empty if the page applies it. */
export function toneQuery() {
  const { run, low, high, gamma } = store;
  if (!run.deep || (low === 0 && high === 1 && gamma === 1)) return '';
  return `?low=${low.toFixed(3)}&high=${high.toFixed(3)}&gamma=${gamma.toFixed(2)}`;
}

/**
 * Returns the frame's entry and marks it as used.
 * @param {number} number
 */
function touch(number) {
  const frame = kept.get(number) ?? new Frame(number);
  kept.delete(number);
  kept.set(number, frame);
  return frame;
}

/** Evicts what was not used for the longest time. The frame on the canvas stays. */
function evict() {
  for (const [number, frame] of kept) {
    if (kept.size <= MOST) break;
    if (number === store.shown || number === store.wanted) continue;
    frame.picture?.cancel.abort();
    frame.answer?.cancel.abort();
    frame.shrink();
    kept.delete(number);
  }
  let bytes = 0, count = 0;
  for (const frame of [...kept.values()].reverse()) {
    if (!frame.bitmap) continue;
    bytes += frame.bitmap.width * frame.bitmap.height * 4;
    count += 1;
    if (bytes > MOST_BYTES && count > 6 && frame.number !== store.shown && frame.number !== store.wanted) frame.shrink();
  }
}

/**
 * Reads the picture of a frame unless it is there.
 * @param {Frame} frame
 * @param {number} urgency
 * @returns {Promise<void>}
 */
async function loadPicture(frame, urgency) {
  const tone = toneQuery();
  if (store.run.hasPictures === false || (frame.bitmap && frame.tone === tone)) return;
  if (frame.picture && frame.picture.tag === tone && !frame.picture.cancel.signal.aborted) {
    frame.picture.raise(urgency);
    return frame.picture.promise;
  }
  frame.picture?.cancel.abort();
  const cancel = new AbortController();
  let raise = (/** @type {number} */ _) => {};
  const work = async () => {
    if (!frame.jpeg || frame.tone !== tone) {
      const job = request(`frame/${frame.number}.jpg${tone}`, urgency, (answer) => answer.blob(), { signal: cancel.signal });
      raise = job.raise;
      const jpeg = await job.promise;
      frame.jpeg = jpeg;
    }
    const bitmap = await createImageBitmap(frame.jpeg);
    if (cancel.signal.aborted) {
      bitmap.close();
      throw new DOMException('no longer needed', 'AbortError');
    }
    frame.bitmap?.close();
    frame.bitmap = bitmap;
    frame.tone = tone;
  };
  const promise = work().finally(() => { if (frame.picture?.cancel === cancel) frame.picture = null; });
  frame.picture = { promise, raise: (to) => raise(to), cancel, tag: tone };
  return promise;
}

/**
 * Reads the masks of a frame unless they are there and up to date.
 * @param {Frame} frame
 * @param {number} urgency
 * @returns {Promise<void>}
 */
async function loadMasks(frame, urgency) {
  const { epoch } = store;
  if (frame.masks && frame.epoch === epoch) return;
  if (frame.answer && frame.answer.tag === epoch && !frame.answer.cancel.signal.aborted) {
    frame.answer.raise(urgency);
    return frame.answer.promise;
  }
  frame.answer?.cancel.abort();
  if (frame.number - store.run.first >= store.state.finished) return fillEmpty(frame, epoch);
  const cancel = new AbortController();
  const job = request(`masks/${frame.number}`, urgency, (answer) => answer.json(), { signal: cancel.signal });
  const promise = job.promise.then((/** @type {MasksAnswer} */ answer) => fill(frame, answer, epoch), (error) => {
    // A frame that is not computed yet has no masks; that is no trouble.
    if (!(error instanceof Refused) || error.status !== 404) throw error;
    fillEmpty(frame, epoch);
  })
    .finally(() => { if (frame.answer?.cancel === cancel) frame.answer = null; });
  frame.answer = { promise, raise: job.raise, cancel, tag: epoch };
  return promise;
}

/**
 * @param {Frame} frame
 * @param {MasksAnswer} answer
 * @param {number} epoch
 */
function fill(frame, answer, epoch) {
  frame.masks = answer.objects.map((one) => shownOf(one, store.run.width));
  frame.unfinished = false;
  frame.track = answer.track ?? [];
  frame.seconds = answer.seconds;
  frame.epoch = epoch;
}

/**
 * Notes that a frame has no masks yet.
 * @param {Frame} frame
 * @param {number} epoch
 */
function fillEmpty(frame, epoch) {
  fill(frame, { frame: frame.number, revision: 0, seconds: null, objects: [] }, epoch);
  frame.unfinished = true;
}

/** Forgets which frames had no masks: the job has gone on. */
export function outdateUnfinished() {
  for (const frame of kept.values()) if (frame.unfinished) frame.epoch = -1;
}

/**
 * Returns a frame with its picture and masks.
 * @param {number} number
 * @param {number} [urgency]
 */
export async function load(number, urgency = URGENCY.shown) {
  const frame = touch(number);
  const both = await Promise.allSettled([loadPicture(frame, urgency), loadMasks(frame, urgency)]);
  evict();
  frame.trouble = null;
  for (const one of both) {
    if (one.status !== 'rejected') continue;
    if (aborted(one.reason)) throw one.reason;
    frame.trouble = one.reason instanceof Error ? one.reason.message : String(one.reason);
  }
  return frame;
}

/**
 * Returns a frame if all of it is there.
 * @param {number} number
 */
export function ready(number) {
  const frame = kept.get(number);
  return frame?.ready ? frame : null;
}

/** Returns the frame on the canvas. */
export const shownFrame = () => kept.get(store.shown) ?? null;

/**
 * Takes over masks that came with the answer to a change.
 * @param {MasksAnswer} answer
 */
export function giveMasks(answer) {
  const frame = kept.get(answer.frame);
  if (!frame) return;
  frame.answer?.cancel.abort();
  fill(frame, answer, store.epoch);
}

/**
 * Forgets that the masks of a frame are up to date; they stay on display until the new ones come.
 * @param {number} number
 */
export function outdate(number) {
  const frame = kept.get(number);
  if (!frame) return;
  frame.epoch = -1;
  frame.answer?.cancel.abort();
}

/** Frames that are being read ahead. @type {Set<number>} */
let ahead = new Set();

/**
 * Reads these frames ahead of need, and gives up others that were asked for earlier.
 * @param {number[]} numbers the nearest first
 */
export function readAhead(numbers) {
  const next = new Set(numbers.filter((one) => inRun(one) === one));
  for (const number of ahead) {
    if (next.has(number) || number === store.wanted) continue;
    giveUp(number);
  }
  ahead = next;
  for (const number of next) {
    if (kept.get(number)?.ready) continue;
    load(number, URGENCY.ahead).catch(() => {}).finally(() => {
      if (ahead === next) next.delete(number);
    });
  }
}

/**
 * Gives up reading a frame that the person no longer waits for.
 * @param {number} number
 */
export function giveUp(number) {
  const frame = kept.get(number);
  frame?.picture?.cancel.abort();
  frame?.answer?.cancel.abort();
}

/** Returns how much is kept, for tests. */
export const sizes = () => ({ frames: kept.size, bitmaps: [...kept.values()].filter(({ bitmap }) => bitmap).length });
