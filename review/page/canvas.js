// @ts-check
// The stage: the picture and what lies on it, zoom and pan.

/** @import {Box} from './types.js' */
/** @import {Frame} from './frames.js' */
import { byId, nextFrame, within } from './dom.js';
import { shownFrame } from './frames.js';
import { Mask } from './masks.js';
import { colourOf, on, promptsOn, store } from './store.js';

const stage = byId('stage', HTMLElement);
const picture = byId('picture', HTMLCanvasElement);
const overlay = byId('overlay', HTMLCanvasElement);

/** Where the recording lies on the stage: `screen = offset + scale * pixel`, in CSS pixels. */
export const view = { scale: 1, x: 0, y: 0, fitted: true, width: 0, height: 0 };

/** What tools draw while the pointer moves. */
export const temporary = {
  box: /** @type {Box | null} */ (null),
  /** Middle of the brush in pixels of the recording. */
  brush: /** @type {{x: number, y: number} | null} */ (null),
  /** A painted mask that replaces the one of `object` on `frame`. */
  paint: /** @type {{frame: number, object: number, canvas: OffscreenCanvas} | null} */ (null),
  /** The prompt mark below the pointer or selected: `object:index`, or `object:box`. */
  mark: '',
  chosen: '',
  /** Masks before the last tracking, by frame. */
  before: /** @type {{frame: number, masks: {id: number, mask: Mask}[]} | null} */ (null),
};

/** Where prompt marks were drawn, in CSS pixels of the stage. @type {{key: string, object: number, index: number, x: number, y: number}[]} */
export let marks = [];

/** Largest scale: one pixel of the recording on 64 of the screen. */
const MOST_SCALE = 64;

/** Fits the recording into the stage. */
export function fit() {
  const { width, height } = store.run;
  const scale = Math.min(view.width / width, view.height / height) || 1;
  view.scale = scale;
  view.x = (view.width - width * scale) / 2;
  view.y = (view.height - height * scale) / 2;
  view.fitted = true;
  changed();
}

/**
 * Zooms around a place on the stage.
 * @param {number} factor
 * @param {number} [x] CSS pixels from the stage's left edge; the middle if not given
 * @param {number} [y]
 */
export function zoom(factor, x = view.width / 2, y = view.height / 2) {
  const least = Math.min(view.width / store.run.width, view.height / store.run.height, 1) / 4;
  const scale = within(view.scale * factor, least, MOST_SCALE);
  view.x = x - (x - view.x) * scale / view.scale;
  view.y = y - (y - view.y) * scale / view.scale;
  view.scale = scale;
  view.fitted = false;
  keepInSight();
}

/** Shows each pixel of the recording as large as one of the screen. */
export function actualSize() {
  zoom(1 / view.scale / (devicePixelRatio || 1));
}

/**
 * Moves the recording on the stage.
 * @param {number} dx
 * @param {number} dy
 */
export function pan(dx, dy) {
  view.x += dx;
  view.y += dy;
  view.fitted = false;
  keepInSight();
}

/** Keeps a part of the recording on the stage. */
function keepInSight() {
  const margin = 60;
  view.x = within(view.x, margin - store.run.width * view.scale, view.width - margin);
  view.y = within(view.y, margin - store.run.height * view.scale, view.height - margin);
  changed();
}

/** Called after zoom and pan. */
let changed = () => { draw(); drawPictureSoon(); };
/** @param {() => void} work */
export function onView(work) {
  const before = changed;
  changed = () => { before(); work(); };
}

/**
 * Returns the place of a pointer in pixels of the recording.
 * @param {{clientX: number, clientY: number}} event
 */
export function toPixels(event) {
  const box = stage.getBoundingClientRect();
  return { x: (event.clientX - box.left - view.x) / view.scale, y: (event.clientY - box.top - view.y) / view.scale };
}

/**
 * Returns a place on the stage in CSS pixels.
 * @param {{clientX: number, clientY: number}} event
 */
export function toStage(event) {
  const box = stage.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

/** Fits canvases to the stage's size and the screen's density. */
function resize() {
  const box = stage.getBoundingClientRect();
  if (!box.width || !box.height) return;
  const density = devicePixelRatio || 1;
  for (const canvas of [picture, overlay]) {
    canvas.width = Math.round(box.width * density);
    canvas.height = Math.round(box.height * density);
  }
  const [dx, dy] = [(box.width - view.width) / 2, (box.height - view.height) / 2];
  view.width = box.width;
  view.height = box.height;
  if (view.fitted) fit();
  else pan(dx, dy);
  drawPicture();
  drawOverlay();
}

/** @param {HTMLCanvasElement} canvas */
function prepared(canvas) {
  const context = canvas.getContext('2d');
  if (!context) throw new Error('this browser has no canvas');
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  const density = devicePixelRatio || 1;
  context.setTransform(density * view.scale, 0, 0, density * view.scale, density * view.x, density * view.y);
  context.imageSmoothingEnabled = view.scale * density < 2;
  return context;
}

/** Draws the picture of the frame on display. */
function drawPicture() {
  const frame = shownFrame();
  const context = prepared(picture);
  if (store.run.hasPictures === false) {
    context.fillStyle = '#15191d';
    context.fillRect(0, 0, store.run.width, store.run.height);
  }
  if (frame?.bitmap) context.drawImage(frame.bitmap, 0, 0, store.run.width, store.run.height);
}

/**
 * Draws one mask.
 * @param {CanvasRenderingContext2D} context
 * @param {Mask} mask
 * @param {string} colour
 * @param {{fill: number, line: number, dashed?: boolean}} how `line` in CSS pixels
 */
function drawMask(context, mask, colour, { fill, line, dashed = false }) {
  if (!mask.box) return;
  const layer = fill > 0 ? mask.filled(colour) : null;
  if (layer) {
    context.globalAlpha = fill;
    context.drawImage(layer, mask.box[0], mask.box[1]);
    context.globalAlpha = 1;
  }
  if (line > 0) {
    context.strokeStyle = colour;
    context.lineWidth = line / view.scale;
    context.setLineDash(dashed ? [6 / view.scale, 4 / view.scale] : []);
    context.stroke(mask.outline());
    context.setLineDash([]);
  }
}

/** @param {number} id */
export const visible = (id) => (store.solo ? store.solo === id : !store.hidden.has(id));

/** Draws everything above the picture. */
function drawOverlay() {
  const context = prepared(overlay);
  marks = [];
  const frame = shownFrame();
  if (!frame) return;
  const scale = view.scale;
  if (store.masks) drawMasks(context, frame);
  if (store.parts && store.masks) drawParts(context, frame);
  if (store.masks) drawPrompts(context);
  const { box, brush } = temporary;
  if (box) drawBox(context, box, '#fff', [6, 4]);
  if (brush) {
    for (const [width, style] of /** @type {[number, string][]} */ ([[3, '#000a'], [1.2, '#fff']])) {
      context.lineWidth = width / scale;
      context.strokeStyle = style;
      context.beginPath();
      context.arc(brush.x, brush.y, store.brush / 2, 0, 2 * Math.PI);
      context.stroke();
    }
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Frame} frame
 */
function drawMasks(context, frame) {
  const fill = store.outline ? 0 : store.opacity;
  const { before, paint } = temporary;
  if (store.before) {
    if (before?.frame === frame.number) {
      for (const { id, mask } of before.masks) if (visible(id)) drawMask(context, mask, colourOf(id), { fill, line: 1.5 });
    }
    return;
  }
  const preview = store.candidates?.frame === frame.number && store.candidates.preview !== null ? store.candidates : null;
  const candidate = preview ? preview.list[preview.preview ?? 0] : null;
  // The selected object comes last, so that it lies on top.
  const order = [...(frame.masks ?? [])].sort((a, b) => Number(a.info.id === store.selected) - Number(b.info.id === store.selected));
  for (const { info, mask } of order) {
    if (!visible(info.id)) continue;
    if (preview?.object === info.id || (paint?.frame === frame.number && paint.object === info.id)) continue;
    const selected = info.id === store.selected;
    drawMask(context, mask, colourOf(info.id), { fill, line: selected ? 2 : 1.25, dashed: info.stale });
    if (mask.box) drawNumber(context, info.id, mask.box);
  }
  if (preview && candidate) {
    const mask = new Mask(candidate.runs, store.run.width);
    drawMask(context, mask, colourOf(preview.object), { fill: Math.max(fill, 0.3), line: 2 });
  }
  if (paint?.frame === frame.number && visible(paint.object)) {
    context.globalAlpha = Math.max(store.opacity, 0.35);
    context.drawImage(paint.canvas, 0, 0);
    context.globalAlpha = 1;
  }
}

/**
 * Writes an object's number above its mask.
 * @param {CanvasRenderingContext2D} context
 * @param {number} id
 * @param {[number, number, number, number]} box
 */
function drawNumber(context, id, [left, top, right]) {
  const size = 12 / view.scale;
  const y = Math.max(top - 5 / view.scale, size);
  context.font = `700 ${size}px system-ui, sans-serif`;
  context.textAlign = 'center';
  context.textBaseline = 'alphabetic';
  context.lineJoin = 'round';
  context.lineWidth = 3 / view.scale;
  context.strokeStyle = '#000b';
  context.fillStyle = '#fff';
  context.strokeText(String(id), (left + right) / 2, y);
  context.fillText(String(id), (left + right) / 2, y);
}

/**
 * Draws the pose track. Parts of which the track is not sure are hollow.
 * @param {CanvasRenderingContext2D} context
 * @param {Frame} frame
 */
function drawParts(context, frame) {
  const radius = 3 / view.scale;
  for (const { object, name, x, y, likelihood } of frame.track) {
    if (!visible(object)) continue;
    context.beginPath();
    context.moveTo(x, y - 1.4 * radius);
    context.lineTo(x + 1.4 * radius, y);
    context.lineTo(x, y + 1.4 * radius);
    context.lineTo(x - 1.4 * radius, y);
    context.closePath();
    context.lineWidth = 3 / view.scale;
    context.strokeStyle = '#000b';
    context.stroke();
    context.lineWidth = 1.2 / view.scale;
    context.strokeStyle = '#fff';
    context.stroke();
    if (likelihood >= 0.6) {
      context.fillStyle = colourOf(object);
      context.fill();
    }
    if (view.scale >= 2.5) {
      const size = 11 / view.scale;
      context.font = `${size}px system-ui, sans-serif`;
      context.textAlign = 'left';
      context.textBaseline = 'middle';
      context.lineWidth = 3 / view.scale;
      context.strokeStyle = '#000b';
      context.strokeText(name, x + 2.4 * radius, y);
      context.fillStyle = '#fff';
      context.fillText(name, x + 2.4 * radius, y);
    }
  }
}

/**
 * Draws a dashed box on a dark one, so that it shows on every picture.
 * @param {CanvasRenderingContext2D} context
 * @param {[number, number, number, number]} box left, top, right, bottom
 * @param {string} colour
 * @param {[number, number]} dashes lengths on the screen
 */
function drawBox(context, [left, top, right, bottom], colour, dashes) {
  const { scale } = view;
  context.lineWidth = 3 / scale;
  context.strokeStyle = '#000a';
  context.strokeRect(left, top, right - left, bottom - top);
  context.lineWidth = 1.5 / scale;
  context.strokeStyle = colour;
  context.setLineDash(dashes.map((length) => length / scale));
  context.strokeRect(left, top, right - left, bottom - top);
  context.setLineDash([]);
}

/**
 * Draws points as + and -, and boxes. Prompts of other objects are small; those on the way are pale.
 * @param {CanvasRenderingContext2D} context
 */
function drawPrompts(context) {
  const scale = view.scale;
  for (const { object, points, box, pending } of promptsOn(store.shown)) {
    if (!visible(object)) continue;
    const own = object === store.selected;
    context.globalAlpha = pending ? 0.55 : 1;
    if (box) {
      const [, top, right] = box;
      drawBox(context, box, colourOf(object), [5, 3]);
      mark(context, { key: `${object}:box`, object, index: -1, x: right, y: top }, colourOf(object), own);
    }
    points.forEach(({ x, y, positive }, index) => {
      const key = `${object}:${index}`;
      const radius = mark(context, { key, object, index, x, y }, positive ? '#12803c' : '#c62828', own);
      context.lineWidth = 1.6 / scale;
      context.strokeStyle = '#fff';
      context.beginPath();
      context.moveTo(x - radius * 0.55, y);
      context.lineTo(x + radius * 0.55, y);
      if (positive) {
        context.moveTo(x, y - radius * 0.55);
        context.lineTo(x, y + radius * 0.55);
      }
      context.stroke();
    });
    context.globalAlpha = 1;
  }
}

/**
 * Draws the disc of a prompt mark and remembers its place. Returns its radius in pixels of the recording.
 * @param {CanvasRenderingContext2D} context
 * @param {{key: string, object: number, index: number, x: number, y: number}} place
 * @param {string} colour
 * @param {boolean} own of the selected object
 */
function mark(context, { key, object, index, x, y }, colour, own) {
  const hot = temporary.mark === key || temporary.chosen === key;
  const radius = (index < 0 ? 4.5 : own ? 7 : 5) / view.scale * (hot ? 1.25 : 1);
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
  context.lineWidth = (temporary.chosen === key ? 2.6 : 1.3) / view.scale;
  context.strokeStyle = temporary.chosen === key ? '#ffe04d' : '#fff';
  context.stroke();
  marks.push({ key, object, index, x: view.x + x * view.scale, y: view.y + y * view.scale });
  return radius;
}

/** Draws both canvases in the next animation frame. */
const drawPictureSoon = nextFrame(drawPicture);
/** Draws what lies above the picture in the next animation frame. */
export const draw = nextFrame(drawOverlay);

/** Called after a new frame was drawn, with the time; for tests. */
export const drawn = { at: 0, frame: -1 };

/** Applies contrast and gamma in the page, if the server does not. */
export function applyTone() {
  const { run, low, high, gamma } = store;
  const plain = run.deep || (low === 0 && high === 1 && gamma === 1);
  const slope = 1 / Math.max(0.004, high - low);
  for (const one of document.querySelectorAll('#tone-linear > *')) {
    one.setAttribute('slope', String(slope));
    one.setAttribute('intercept', String(-low * slope));
  }
  for (const one of document.querySelectorAll('#tone-gamma > *')) one.setAttribute('exponent', String(1 / gamma));
  picture.style.filter = plain ? '' : 'url(#tone)';
}

/** Starts drawing. */
export function startCanvas() {
  new ResizeObserver(resize).observe(stage);
  const both = nextFrame(() => {
    drawPicture();
    drawOverlay();
    drawn.at = performance.now();
    drawn.frame = store.shown;
  });
  on(['shown'], both);
  on(['masks', 'selected', 'draft', 'view', 'state', 'candidates', 'run'], draw);
  on(['masks'], drawPictureSoon);
  resize();
}
