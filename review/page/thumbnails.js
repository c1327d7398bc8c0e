// @ts-check
// Small pictures of queue items: a crop around the mask, read only while the item is in sight.

/** @import {MasksAnswer, QueueItem} from './types.js' */
import { request, URGENCY } from './api.js';
import { shownOf } from './masks.js';
import { colourOf, store } from './store.js';

export const WIDTH = 64, HEIGHT = 48;
/** Thumbnails that are kept, each with its JPEG: at most some 10 MB. */
const MOST = 100;

/**
 * @typedef {object} Kept
 * @property {ImageBitmap} bitmap
 * @property {Blob | null} jpeg so that only the masks are read again after a change
 * @property {number} epoch in which the masks were read
 */

/** Finished thumbnails by item, in the order of their last use. @type {Map<string, Kept>} */
const kept = new Map();
/** @type {Map<string, AbortController>} */
const reading = new Map();

/**
 * Draws an item's thumbnail once it is there. After a change the old one stays until the new masks come.
 * @param {QueueItem} item
 * @param {HTMLCanvasElement} canvas
 */
export async function thumbnail(item, canvas) {
  const density = Math.min(2, devicePixelRatio || 1);
  canvas.width = WIDTH * density;
  canvas.height = HEIGHT * density;
  const { id, worst } = item;
  const there = kept.get(id);
  if (there) {
    kept.delete(id);
    kept.set(id, there);
    canvas.getContext('2d')?.drawImage(there.bitmap, 0, 0, canvas.width, canvas.height);
    if (there.epoch === store.epoch) return;
  }
  giveUpThumbnail(item);
  const cancel = new AbortController();
  reading.set(id, cancel);
  // Rows that fly past while scrolling ask for nothing.
  await new Promise((wait) => { setTimeout(wait, there ? 600 : 120); });
  const { signal } = cancel;
  const { epoch } = store;
  try {
    if (signal.aborted) return;
    const [jpeg, answer] = await Promise.all([
      store.run.hasPictures === false ? null : there?.jpeg ?? request(`frame/${worst}.jpg`, URGENCY.thumbnail, (one) => one.blob(), { signal }).promise,
      request(`masks/${worst}`, URGENCY.thumbnail, (one) => one.json(), { signal }).promise,
    ]);
    const picture = jpeg ? await createImageBitmap(jpeg) : null;
    const bitmap = drawThumbnail(item, picture, /** @type {MasksAnswer} */ (answer), canvas.width, canvas.height);
    picture?.close();
    if (!bitmap) return;
    kept.get(id)?.bitmap.close();
    kept.delete(id);
    kept.set(id, { bitmap, jpeg, epoch });
    for (const [old, one] of kept) {
      if (kept.size <= MOST) break;
      one.bitmap.close();
      kept.delete(old);
    }
    if (!signal.aborted) canvas.getContext('2d')?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  } catch { /* An empty thumbnail is no obstacle. */ } finally {
    if (reading.get(id) === cancel) reading.delete(id);
  }
}

/** Stops reading a thumbnail that went out of sight. @param {QueueItem} item */
export function giveUpThumbnail(item) {
  reading.get(item.id)?.abort();
  reading.delete(item.id);
}

/**
 * @param {QueueItem} item
 * @param {ImageBitmap | null} picture
 * @param {MasksAnswer} answer
 * @param {number} width
 * @param {number} height
 */
function drawThumbnail(item, picture, answer, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  if (!context) return null;
  const { width: w, height: h } = store.run;
  const own = answer.objects.find(({ id }) => id === item.object);
  const mask = own ? shownOf(own, w).mask : null;
  let [x, y, span] = [w / 2, h / 2, w];
  if (mask?.box) {
    const [left, top, right, bottom] = mask.box;
    x = (left + right) / 2;
    y = (top + bottom) / 2;
    span = Math.min(w, Math.max(48, 1.9 * Math.max(right - left, (bottom - top) * width / height)));
  }
  const scale = width / span;
  const dx = Math.min(0, Math.max(width - w * scale, width / 2 - x * scale)), dy = Math.min(0, Math.max(height - h * scale, height / 2 - y * scale));
  context.fillStyle = '#15191d';
  context.fillRect(0, 0, width, height);
  context.setTransform(scale, 0, 0, scale, dx, dy);
  if (picture) context.drawImage(picture, 0, 0, w, h);
  if (mask?.box) {
    const layer = mask.filled(colourOf(item.object));
    context.globalAlpha = 0.35;
    if (layer) context.drawImage(layer, mask.box[0], mask.box[1]);
    context.globalAlpha = 1;
    context.strokeStyle = colourOf(item.object);
    context.lineWidth = 1.5 / scale;
    context.stroke(mask.outline());
  }
  return canvas.transferToImageBitmap();
}
