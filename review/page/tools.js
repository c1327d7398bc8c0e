// @ts-check
// What pointers do on the stage: clicks, boxes, brush, pan and pinch.

/** @import {Tool} from './types.js' */
import { draw, marks, onView, pan, temporary, toPixels, toStage, view, visible, zoom } from './canvas.js';
import { byId, copy, say, within } from './dom.js';
import { shownFrame } from './frames.js';
import { channels, toBytes, toRuns } from './masks.js';
import { addPoint, canPrompt, deletePart, setBox, setMask } from './prompts.js';
import { blocked, colourOf, nameOf, on, select, setTool, store, tell } from './store.js';

const stage = byId('stage', HTMLElement);
const deleter = byId('delete-mark', HTMLButtonElement);
const options = byId('brush-options', HTMLElement);
const size = byId('brush-size', HTMLInputElement);
const where = byId('where', HTMLElement);

/** Pointers that move less than this many CSS pixels click. */
const CLICK = 5;
/** A prompt mark is hit within this many CSS pixels. */
const HIT = 9;

/** Pointers on the stage, for pinching. @type {Map<number, {x: number, y: number}>} */
const pointers = new Map();
/** @type {{kind: 'pan' | 'click' | 'box' | 'paint', x: number, y: number, moved: boolean, negative: boolean, from: {x: number, y: number}} | null} */
let drag = null;
let pinched = false;
/** True while the space key is held, which pans. */
export const held = { space: false, dragged: false };
/** Last place of the pointer, in pixels of the recording. */
let last = { x: 0, y: 0, inside: false };

/** A mask that is painted. It lives until the server has answered the last stroke. */
const paint = {
  key: '', bytes: new Uint8Array(0), canvas: /** @type {OffscreenCanvas | null} */ (null), strokes: 0, empty: false, turn: 0,
};

/** Coordinates as the server and `--point` take them: a tenth of a pixel. @param {number} value */
const tenth = (value) => Math.round(value * 10) / 10;

/** @param {{x: number, y: number}} place */
const onRecording = ({ x, y }) => x >= 0 && y >= 0 && x < store.run.width && y < store.run.height;

/**
 * Returns the prompt mark at a place of the stage.
 * @param {{x: number, y: number}} place
 */
function markAt({ x, y }) {
  let best = null, least = HIT;
  for (const one of marks) {
    const distance = Math.hypot(one.x - x, one.y - y);
    if (distance <= least) [best, least] = [one, distance];
  }
  return best;
}

/** Puts the button that deletes a point next to the chosen mark. */
function placeDeleter() {
  const found = marks.find(({ key }) => key === temporary.chosen);
  deleter.hidden = !found || Boolean(blocked());
  if (!found) return;
  deleter.style.left = `${within(found.x + 14, 4, view.width - 110)}px`;
  deleter.style.top = `${within(found.y - 12, 4, view.height - 30)}px`;
  deleter.textContent = found.index < 0 ? 'Delete box' : 'Delete point';
}

/** Deletes the chosen point or box. Returns false if none is chosen. */
export function deleteChosen() {
  const found = marks.find(({ key }) => key === temporary.chosen);
  if (!found) return false;
  temporary.chosen = '';
  deleter.hidden = true;
  deletePart(store.shown, found.object, found.index);
  return true;
}

/** Takes back the choice of a mark. */
export function choose(key = '') {
  temporary.chosen = key;
  draw();
  requestAnimationFrame(placeDeleter);
}

/** @param {PointerEvent} event */
function down(event) {
  if (event.target instanceof HTMLButtonElement) return;
  stage.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, toStage(event));
  if (pointers.size === 2) {
    drag = null;
    temporary.box = null;
    pinched = true;
    return;
  }
  if (pointers.size > 1) return;
  pinched = false;
  const place = toStage(event), from = toPixels(event);
  const { tool } = store;
  const base = { x: place.x, y: place.y, moved: false, negative: event.button === 2 || event.altKey, from };
  if (event.button === 1 || held.space || (tool === 'look' && event.button === 0)) {
    drag = { ...base, kind: 'pan' };
    held.dragged = held.space;
    stage.classList.add('panning');
  } else if (tool === 'box' && event.button === 0 && !event.altKey && !markAt(place)) {
    drag = { ...base, kind: 'box' };
  } else if ((tool === 'brush' || tool === 'eraser') && event.button !== 1) {
    if (!canPrompt() || !startStroke()) return;
    drag = { ...base, kind: 'paint', negative: (tool === 'eraser') !== base.negative };
    dab(from, from, !drag.negative);
  } else {
    drag = { ...base, kind: 'click' };
  }
  event.preventDefault();
  // Buttons and fields give up the keyboard, so that keys work on the picture.
  stage.focus({ preventScroll: true });
}

/** @param {PointerEvent} event */
function move(event) {
  const place = toStage(event), at = toPixels(event);
  const before = pointers.get(event.pointerId);
  if (pointers.size === 2 && before) {
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const was = Math.hypot(before.x - other.x, before.y - other.y), is = Math.hypot(place.x - other.x, place.y - other.y);
      pan((place.x - before.x) / 2, (place.y - before.y) / 2);
      if (was > 10) zoom(is / was, (place.x + other.x) / 2, (place.y + other.y) / 2);
    }
    pointers.set(event.pointerId, place);
    return;
  }
  showPlace(at);
  if (!drag) return hover(place, at, event.pointerType);
  if (Math.hypot(place.x - drag.x, place.y - drag.y) > CLICK) drag.moved = true;
  if (drag.kind === 'pan' && drag.moved && before) pan(place.x - before.x, place.y - before.y);
  if (drag.kind === 'box' && drag.moved) {
    temporary.box = box(drag.from, at);
    draw();
  }
  if (drag.kind === 'paint') {
    for (const step of event.getCoalescedEvents?.() ?? [event]) {
      const to = toPixels(step);
      dab(drag.from, to, !drag.negative);
      drag.from = to;
    }
    temporary.brush = at;
    draw();
  }
  // A click tool that is dragged moves the picture: an accidental drag must not set a point elsewhere.
  if (drag.kind === 'click' && drag.moved && before) pan(place.x - before.x, place.y - before.y);
  pointers.set(event.pointerId, place);
}

/**
 * @param {{x: number, y: number}} a
 * @param {{x: number, y: number}} b
 * @returns {[number, number, number, number]}
 */
function box(a, b) {
  const { width, height } = store.run;
  const x = (/** @type {number} */ value) => tenth(within(value, 0, width)), y = (/** @type {number} */ value) => tenth(within(value, 0, height));
  return [x(Math.min(a.x, b.x)), y(Math.min(a.y, b.y)), x(Math.max(a.x, b.x)), y(Math.max(a.y, b.y))];
}

/** @param {PointerEvent} event */
function up(event) {
  const mine = pointers.delete(event.pointerId);
  stage.classList.remove('panning');
  const ended = drag;
  if (!mine || !ended || pinched) {
    if (!pointers.size) drag = null;
    return;
  }
  drag = null;
  const place = toStage(event), at = toPixels(event);
  if (ended.kind === 'box' && ended.moved) {
    temporary.box = null;
    const [left, top, right, bottom] = box(ended.from, at);
    if (right - left >= 2 && bottom - top >= 2) setBox([left, top, right, bottom]);
    draw();
    return;
  }
  if (ended.kind === 'paint') return endStroke();
  if (ended.moved) return;
  const found = markAt(place);
  if (found) {
    select(found.object);
    return choose(found.key);
  }
  if (temporary.chosen) return choose();
  if (ended.kind === 'pan') {
    if (event.button === 0 && !held.space) selectAt(at);
    return;
  }
  if (!onRecording(at)) return;
  if (store.tool === 'look') return say('Choose the tool "Add" (A) or "Subtract" (D) to correct with clicks.');
  if (store.tool === 'box' && !ended.negative) return say('Drag from one corner of the box to the opposite one.');
  // The frame on display must be the one that the person waits for, or the click hits the wrong one.
  if (store.shown !== store.wanted) return say('The frame is still being read. Click once it is there.');
  addPoint({ x: tenth(at.x), y: tenth(at.y), positive: !(ended.negative || store.tool === 'subtract') });
}

/**
 * Selects the object at a place; the smallest one if several are there.
 * @param {{x: number, y: number}} at
 */
function selectAt(at) {
  const found = (shownFrame()?.masks ?? []).filter(({ info, mask }) => visible(info.id) && mask.has(at.x, at.y)).sort((a, b) => a.mask.area - b.mask.area)[0];
  if (found) select(found.info.id);
}

/**
 * Shows what the pointer would hit.
 * @param {{x: number, y: number}} place
 * @param {{x: number, y: number}} at
 * @param {string} kind of pointer
 */
function hover(place, at, kind) {
  const key = markAt(place)?.key ?? '';
  const painting = (store.tool === 'brush' || store.tool === 'eraser') && kind !== 'touch';
  temporary.brush = painting && !held.space ? at : null;
  stage.classList.toggle('on-mark', key !== '');
  if (key !== temporary.mark || painting) {
    temporary.mark = key;
    draw();
  }
}

/** Writes the pointer's place and what lies there. @param {{x: number, y: number}} at */
function showPlace(at) {
  if (!onRecording(at)) {
    last.inside = false;
    where.hidden = true;
    return;
  }
  where.hidden = false;
  last = { x: tenth(at.x), y: tenth(at.y), inside: true };
  const there = (shownFrame()?.masks ?? []).filter(({ mask }) => mask.has(at.x, at.y)).map(({ info }) => nameOf(info.id));
  where.textContent = `x ${last.x.toFixed(1)}  y ${last.y.toFixed(1)}  \u00b7  pixel ${Math.floor(at.x)}, ${Math.floor(at.y)}${there.length ? `  \u00b7  ${there.join(', ')}` : ''}`;
  byId('copy-point', HTMLButtonElement).disabled = false;
}

/** Copies the pointer's last place as the command line takes it. */
export function copyPoint() {
  const text = `--point ${store.shown}:${last.x},${last.y}:${store.selected || 1}:${store.tool === 'subtract' ? '-' : '+'}`;
  void copy(text);
}

/** Prepares the mask that strokes change. Returns false if that is impossible. */
function startStroke() {
  const { shown: frame, selected: object, run } = store;
  if (frame !== store.wanted) {
    say('The frame is still being read. Paint once it is there.');
    return false;
  }
  const key = `${frame}:${object}`;
  // Strokes on top of one that is on the way go on with it.
  if (paint.key === key && paint.strokes > 0) return true;
  const current = paint.empty ? null : shownFrame()?.masks?.find(({ info }) => info.id === object)?.mask;
  paint.empty = false;
  paint.key = key;
  const pixels = run.width * run.height;
  paint.bytes = current ? toBytes(current.runs, pixels) : new Uint8Array(pixels);
  paint.canvas = new OffscreenCanvas(run.width, run.height);
  if (current?.box) {
    const layer = current.filled(colourOf(object));
    if (layer) paint.canvas.getContext('2d')?.drawImage(layer, current.box[0], current.box[1]);
  }
  temporary.paint = { frame, object, canvas: paint.canvas };
  return true;
}

/**
 * Paints from one place to another with a round brush.
 * @param {{x: number, y: number}} from
 * @param {{x: number, y: number}} to
 * @param {boolean} on false erases
 */
function dab(from, to, on) {
  const { width, height } = store.run;
  const context = paint.canvas?.getContext('2d');
  if (!context) return;
  const radius = Math.max(0.5, store.brush / 2);
  const [r, g, b] = channels(colourOf(store.selected));
  context.fillStyle = `rgb(${r} ${g} ${b})`;
  const left = Math.max(0, Math.floor(Math.min(from.x, to.x) - radius)), right = Math.min(width - 1, Math.ceil(Math.max(from.x, to.x) + radius));
  const top = Math.max(0, Math.floor(Math.min(from.y, to.y) - radius)), bottom = Math.min(height - 1, Math.ceil(Math.max(from.y, to.y) + radius));
  const [dx, dy] = [to.x - from.x, to.y - from.y], length = dx * dx + dy * dy;
  const inside = (/** @type {number} */ x, /** @type {number} */ y) => {
    const along = length ? within(((x - from.x) * dx + (y - from.y) * dy) / length, 0, 1) : 0;
    return Math.hypot(x - from.x - along * dx, y - from.y - along * dy) <= radius;
  };
  for (let y = top; y <= bottom; y += 1) {
    let start = -1;
    for (let x = left; x <= right + 1; x += 1) {
      const hit = x <= right && inside(x + 0.5, y + 0.5);
      if (hit && start < 0) start = x;
      if (hit || start < 0) continue;
      paint.bytes.fill(on ? 1 : 0, y * width + start, y * width + x);
      if (on) context.fillRect(start, y, x - start, 1);
      else context.clearRect(start, y, x - start, 1);
      start = -1;
    }
  }
  draw();
}

/** Sends the painted mask. */
async function endStroke() {
  const [frame, object] = paint.key.split(':').map(Number);
  const { turn } = paint;
  if (!paint.bytes.includes(1)) {
    // A mask without a pixel is not a prompt.
    say('The mask is empty now. If the object is not there, say so with "Absent" in the list of objects.');
    if (!paint.strokes) endPaint();
    return;
  }
  paint.strokes += 1;
  await setMask(frame, object, toRuns(paint.bytes));
  if (paint.turn !== turn) return;
  paint.strokes -= 1;
  if (!paint.strokes && drag?.kind !== 'paint') endPaint();
}

/** Shows the server's mask in place of the painted one. */
function endPaint() {
  paint.key = '';
  paint.turn += 1;
  paint.strokes = 0;
  paint.canvas = null;
  paint.bytes = new Uint8Array(0);
  temporary.paint = null;
  draw();
}

/**
 * Changes the size of the brush.
 * @param {number} factor
 */
export function resizeBrush(factor) {
  setBrush(factor > 1 ? Math.max(store.brush + 1, store.brush * factor) : Math.min(store.brush - 1, store.brush * factor));
}

/** @param {number} value pixels of the recording */
function setBrush(value) {
  store.brush = within(Math.round(value), 1, 200);
  size.value = String(store.brush);
  byId('brush-value', HTMLElement).textContent = `${store.brush} px`;
  draw();
}

/** Shows which tool is chosen, and why tools cannot be used. */
function show() {
  const why = blocked();
  for (const button of document.querySelectorAll('[data-tool]')) {
    if (!(button instanceof HTMLButtonElement)) continue;
    const tool = button.dataset.tool;
    button.setAttribute('aria-pressed', String(tool === store.tool));
    button.disabled = Boolean(why) && tool !== 'look';
  }
  stage.dataset.tool = why ? 'look' : store.tool;
  options.hidden = store.tool !== 'brush' && store.tool !== 'eraser';
  byId('tool-hint', HTMLElement).textContent = why ? '' : hints[store.tool];
  if (options.hidden) temporary.brush = null;
  draw();
}

/** @type {Record<Tool, string>} */
const hints = {
  look: 'Drag to move, wheel to zoom, click to select',
  add: 'Click the object; right-click what is not part of it',
  subtract: 'Click what is not part of the object',
  box: 'Drag a box around the object',
  // The size of the brush needs the room.
  brush: '',
  eraser: '',
};

/** Starts listening to pointers. */
export function startTools() {
  stage.addEventListener('pointerdown', down);
  stage.addEventListener('pointermove', move);
  stage.addEventListener('pointerup', up);
  stage.addEventListener('pointercancel', (event) => {
    pointers.delete(event.pointerId);
    if (drag?.kind === 'paint' && !paint.strokes) endPaint();
    drag = null;
    temporary.box = null;
    draw();
  });
  stage.addEventListener('pointerleave', () => {
    temporary.brush = null;
    draw();
  });
  stage.addEventListener('contextmenu', (event) => event.preventDefault());
  // Browsers scroll with the middle button otherwise.
  stage.addEventListener('mousedown', (event) => { if (event.button === 1) event.preventDefault(); });
  stage.addEventListener('wheel', (event) => {
    event.preventDefault();
    if (event.shiftKey && !options.hidden) return resizeBrush(event.deltaY + event.deltaX < 0 ? 1.15 : 1 / 1.15);
    const lines = event.deltaMode === 1 ? 16 : 1;
    const { x, y } = toStage(event);
    zoom(1.0018 ** -(within(event.deltaY * lines, -200, 200) * (event.ctrlKey ? 4 : 1)), x, y);
  }, { passive: false });
  for (const button of document.querySelectorAll('[data-tool]')) {
    if (button instanceof HTMLButtonElement) button.addEventListener('click', () => setTool(/** @type {Tool} */ (button.dataset.tool)));
  }
  size.addEventListener('input', () => setBrush(Number(size.value)));
  byId('start-empty', HTMLButtonElement).addEventListener('click', () => {
    if (paint.strokes) return;
    paint.empty = true;
    say('The next stroke starts from an empty mask.');
  });
  deleter.addEventListener('click', deleteChosen);
  byId('copy-point', HTMLButtonElement).addEventListener('click', copyPoint);
  on(['tool', 'ready', 'run'], show);
  on(['shown', 'draft', 'state'], () => {
    if (temporary.chosen) requestAnimationFrame(placeDeleter);
  });
  on(['shown', 'selected'], () => {
    paint.empty = false;
    if (temporary.chosen) choose();
    // A painted mask of another frame is on the way; its answer brings it back.
    if (paint.key && paint.key !== `${store.shown}:${store.selected}`) endPaint();
    temporary.brush = null;
  });
  onView(() => { if (temporary.chosen) requestAnimationFrame(placeDeleter); });
  setBrush(store.brush);
  show();
  tell('tool');
}
