// @ts-check
// The three masks that the model offers after a prompt.

import { draw } from './canvas.js';
import { byId, grouped, icon, make } from './dom.js';
import { shownFrame } from './frames.js';
import { Mask } from './masks.js';
import { take } from './prompts.js';
import { blocked, colourOf, on, promptAt, store, tell } from './store.js';

const box = byId('candidates', HTMLElement);
const WIDTH = 108, HEIGHT = 81;

/** Closes the candidates. */
export function closeCandidates() {
  if (!store.candidates) return false;
  store.candidates = null;
  tell('candidates');
  return true;
}

/** Shows a candidate on the stage. @param {number | null} index */
function preview(index) {
  if (!store.candidates || store.candidates.preview === index) return;
  store.candidates.preview = index;
  draw();
}

/** Draws the thumbnails, all with the same crop, so that they can be compared. */
function show() {
  const { candidates } = store;
  box.hidden = !candidates;
  box.replaceChildren();
  if (!candidates) return;
  const { list, object, frame } = candidates;
  const masks = list.map(({ runs }) => new Mask(runs, store.run.width));
  let [left, top, right, bottom] = [Infinity, Infinity, -1, -1];
  for (const { box: one } of masks) {
    if (!one) continue;
    [left, top, right, bottom] = [Math.min(left, one[0]), Math.min(top, one[1]), Math.max(right, one[2]), Math.max(bottom, one[3])];
  }
  if (right < 0) [left, top, right, bottom] = [0, 0, store.run.width, store.run.height];
  const span = Math.max(32, 1.25 * Math.max(right - left, (bottom - top) * WIDTH / HEIGHT));
  const density = devicePixelRatio || 1, scale = WIDTH * density / span;
  const taken = promptAt(frame, object)?.candidate ?? null;
  const picture = shownFrame()?.bitmap;
  box.append(make('p', {}, make('span', { text: 'Which mask?' }), make('button', { type: 'button', class: 'bare', 'aria-label': 'Close the candidates', title: 'Close (Esc)', onclick: closeCandidates }, icon('cross'))));
  masks.forEach((mask, index) => {
    const canvas = make('canvas', { width: WIDTH * density, height: HEIGHT * density, 'aria-hidden': 'true' });
    canvas.style.width = `${WIDTH}px`;
    canvas.style.height = `${HEIGHT}px`;
    const context = canvas.getContext('2d');
    if (context) {
      context.setTransform(scale, 0, 0, scale, canvas.width / 2 - (left + right) / 2 * scale, canvas.height / 2 - (top + bottom) / 2 * scale);
      if (picture) context.drawImage(picture, 0, 0, store.run.width, store.run.height);
      const layer = mask.filled(colourOf(object));
      context.globalAlpha = 0.45;
      if (layer && mask.box) context.drawImage(layer, mask.box[0], mask.box[1]);
      context.globalAlpha = 1;
      context.strokeStyle = colourOf(object);
      context.lineWidth = 1.5 * density / scale;
      context.stroke(mask.outline());
    }
    const { iou, area } = list[index];
    const button = make('button', { type: 'button', class: 'candidate', 'aria-pressed': String(taken === index), disabled: Boolean(blocked()),
      'aria-label': `Candidate ${index + 1}: predicted IoU ${iou.toFixed(2)}, ${grouped(area)} pixels`, title: `Take this mask (${index + 1})`, onclick: () => take(index) },
    canvas, make('span', {}, make('kbd', { text: String(index + 1) }), ` IoU ${iou.toFixed(2)}`, make('small', { text: `${grouped(area)} px` })));
    for (const on of ['pointerenter', 'focus']) button.addEventListener(on, () => preview(index));
    for (const off of ['pointerleave', 'blur']) button.addEventListener(off, () => preview(null));
    box.append(button);
  });
}

/** Starts listening. */
export function startCandidates() {
  on(['candidates'], show);
}
