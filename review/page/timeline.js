// @ts-check
// The timeline: an overview of the recording, a ruler, and one lane for each object.

/** @import {Lanes, Lane, Measure, ObjectSpan} from './types.js' */
import { aborted, get, sentence } from './api.js';
import { byId, clock, grouped, make, nextFrame, say, settled, within } from './dom.js';
import { colour, flagLabel, flagMeaning, onTheme, readable } from './flags.js';
import { colourOf, inRun, nameOf, on, select, setSpan, store, tell, things } from './store.js';
import { go } from './travel.js';

const overview = byId('overview', HTMLCanvasElement);
const ruler = byId('ruler', HTMLCanvasElement);
const lanes = byId('lanes', HTMLCanvasElement);
const scroller = byId('lanes-scroll', HTMLElement);
const body = byId('timeline-body', HTMLElement);
const measure = byId('measure', HTMLSelectElement);
const readout = byId('lane-readout', HTMLElement);
const legend = byId('legend', HTMLElement);
const heads = { overview: byId('head-overview', HTMLElement), lanes: byId('head-lanes', HTMLElement), ruler: byId('head-ruler', HTMLElement) };
const cursor = byId('lane-cursor', HTMLElement);

/** Visible frames: `start` and `length` may be fractions while zooming. */
export const window_ = { start: 0, length: 1 };

/** @type {{whole: Lanes | null, detail: Lanes | null}} */
const data = { whole: null, detail: null };
/** @type {{whole: AbortController | null, detail: AbortController | null}} */
const reading = { whole: null, detail: null };
let width = 0, gutter = 104, lane = 24;
/** Frames that the pointer dragged over on the ruler. @type {{first: number, last: number} | null} */
let dragged = null;

const OVERVIEW = 16, RULER = 22;

/** @param {number} frame its left edge */
const xOf = (frame) => gutter + (frame - window_.start) / window_.length * (width - gutter);
/** @param {number} x CSS pixels from the left edge of the canvas */
const frameAt = (x) => inRun(Math.floor(window_.start + (x - gutter) / (width - gutter) * window_.length));
/** @param {number} frame */
const wholeX = (frame) => gutter + (frame - store.run.first) / (store.run.last - store.run.first + 1) * (width - gutter);

/**
 * Shows other frames.
 * @param {number} start
 * @param {number} length
 */
export function look(start, length) {
  const { first, last } = store.run;
  const all = last - first + 1;
  window_.length = within(length, Math.min(all, 1), all);
  window_.start = within(start, first, last + 1 - window_.length);
  drawSoon();
  readDetail();
}

/**
 * Zooms around a frame.
 * @param {number} factor above 1 shows fewer frames
 * @param {number} [frame]
 */
export function zoomTime(factor, frame = store.wanted + 0.5) {
  const share = within((frame - window_.start) / window_.length, 0, 1);
  const length = window_.length / factor;
  look(frame - share * length, length);
}

/** Moves the window so that the wanted frame is visible. */
function keepVisible() {
  const frame = store.wanted, { start, length } = window_;
  if (frame >= start && frame + 1 <= start + length) return;
  // Steps over the edge turn the page; jumps put the frame into the middle.
  if (frame < start && frame > start - length) look(frame + 1 - length * 0.9, length);
  else if (frame >= start + length && frame < start + 2 * length) look(frame - length * 0.1, length);
  else look(frame - length / 2, length);
}

/** Reads lanes for the visible frames, one bucket a pixel. */
const readDetail = settled(90, () => void read('detail'));
/** Reads lanes for the overview. */
const readWhole = settled(250, () => void read('whole'));

/** @param {'whole' | 'detail'} which */
async function read(which) {
  if (width <= gutter || !store.online) return;
  const { first, last } = store.run;
  const from = which === 'whole' ? first : Math.floor(window_.start);
  const to = which === 'whole' ? last : Math.min(last, Math.ceil(window_.start + window_.length) - 1);
  reading[which]?.abort();
  const cancel = new AbortController();
  reading[which] = cancel;
  const buckets = Math.max(1, Math.min(Math.round(width - gutter), to - from + 1));
  try {
    const answer = /** @type {Lanes} */ (await get(`lanes?first=${from}&last=${to}&buckets=${buckets}`, { signal: cancel.signal }));
    data[which] = answer;
    if (answer.flagNames && answer.flagNames.join() !== store.flagNames.join()) store.flagNames = answer.flagNames;
    if (which === 'whole') drawLegend();
    drawSoon();
  } catch (error) {
    if (!aborted(error) && store.online) say(`The timeline could not be read. ${sentence(error)}`, { kind: 'bad' });
  } finally {
    if (reading[which] === cancel) reading[which] = null;
  }
}

/** Measures the timeline and fits the canvases. */
function resize() {
  width = body.clientWidth;
  if (!width) return;
  gutter = width < 600 ? 64 : 112;
  const count = Math.max(1, things().length);
  const room = Math.max(72, Math.min(innerHeight * 0.26, 230));
  lane = Math.floor(within(room / count, 11, 46));
  scroller.style.maxHeight = `${Math.max(room, 72)}px`;
  const most = Math.max(room, 72);
  const bar = count * lane > most ? 14 : 0;
  size(overview, OVERVIEW);
  size(ruler, RULER);
  size(lanes, count * lane);
  scroller.style.paddingRight = bar ? '0' : '';
  drawSoon();
  readDetail();
  readWhole();
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {number} height
 */
function size(canvas, height) {
  const density = devicePixelRatio || 1;
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
}

/** @param {HTMLCanvasElement} canvas */
function prepared(canvas) {
  const context = canvas.getContext('2d');
  if (!context) throw new Error('this browser has no canvas');
  const density = devicePixelRatio || 1;
  context.setTransform(density, 0, 0, density, 0, 0);
  context.clearRect(0, 0, width, canvas.height / density);
  context.textBaseline = 'middle';
  return context;
}

/** Returns the first frame of a bucket. @param {Lanes} part @param {number} index */
const bucketStart = (part, index) => part.first + Math.floor(index * (part.last - part.first + 1) / part.buckets);

/**
 * Cuts a text to a width.
 * @param {CanvasRenderingContext2D} context
 * @param {string} text
 * @param {number} room CSS pixels
 */
function cut(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  let end = text.length;
  while (end > 1 && context.measureText(`${text.slice(0, end)}\u2026`).width > room) end -= 1;
  return `${text.slice(0, end)}\u2026`;
}

/** Draws all canvases. */
function drawAll() {
  if (!width) return;
  drawLanes();
  drawOverview();
  drawRuler();
  placeHeads();
}
const drawSoon = nextFrame(drawAll);

/** Draws one lane for each object. */
function drawLanes() {
  const context = prepared(lanes);
  const list = things();
  const { detail, whole } = data;
  const { state, run } = store;
  list.forEach(({ id }, row) => {
    const top = row * lane, height = lane - 2;
    context.fillStyle = colour('soft');
    context.fillRect(gutter, top, width - gutter, height);
    context.save();
    context.beginPath();
    context.rect(gutter, top, width - gutter, height);
    context.clip();
    const covered = detail && detail.first <= window_.start && detail.last + 1 >= window_.start + window_.length - 1e-6;
    if (whole && !covered) drawLane(context, whole, id, top, height);
    if (detail) {
      if (!covered) {
        context.fillStyle = colour('soft');
        context.fillRect(xOf(detail.first), top, xOf(detail.last + 1) - xOf(detail.first), height);
      }
      drawLane(context, detail, id, top, height);
    }
    const mine = (/** @type {ObjectSpan} */ one) => one.object === id || one.object === null;
    for (const span of state.absent.filter(mine)) bar(context, span, top, height, colour('muted'), 0.3, 'hatch');
    for (const span of state.stale.filter(mine)) bar(context, span, top, height, colour('look'), 0.55, 'back');
    for (const span of state.locks.filter(mine)) {
      bar(context, span, top, height, colour('good'), 0.1, 'fill');
      bar(context, span, top, 2.5, colour('good'), 1, 'fill');
    }
    drawPrompts(context, id, top, height);
    context.restore();
    drawName(context, id, top, height);
  });
  context.save();
  context.beginPath();
  context.rect(gutter, 0, width - gutter, list.length * lane);
  context.clip();
  const end = run.first + state.finished;
  if (end <= run.last) {
    context.fillStyle = colour('page');
    context.globalAlpha = 0.75;
    context.fillRect(xOf(end), 0, width, list.length * lane);
    context.globalAlpha = 1;
  }
  // Borders of batches are faint, and left out where they would cover the lanes.
  if (window_.length / (width - gutter) * 12 < run.last - run.first + 1) {
    let before = -Infinity;
    context.fillStyle = colour('muted');
    context.globalAlpha = 0.2;
    for (const { first } of run.batches) {
      const x = Math.round(xOf(first));
      if (x - before < 6 || x < gutter || first === run.first) continue;
      context.fillRect(x, 0, 1, list.length * lane);
      before = x;
    }
    context.globalAlpha = 1;
  }
  const span = dragged ?? store.span;
  if (span) {
    context.fillStyle = colour('link');
    context.globalAlpha = 0.16;
    context.fillRect(xOf(span.first), 0, xOf(span.last + 1) - xOf(span.first), list.length * lane);
    context.globalAlpha = 1;
  }
  context.restore();
}

/**
 * Draws the chosen measure and the flags of an object.
 * @param {CanvasRenderingContext2D} context
 * @param {Lanes} part
 * @param {number} id
 * @param {number} top
 * @param {number} height
 */
function drawLane(context, part, id, top, height) {
  const found = part.objects.find((one) => one.id === id);
  if (!found) return;
  const strip = height >= 22 ? 6 : height >= 14 ? 4 : 3;
  const room = height - strip - 2;
  const values = found[/** @type {Measure} */ (measure.value)];
  // One frame with a huge mask would flatten all others, so areas are drawn relative to the largest one in sight.
  const scale = measure.value === 'area' ? Math.max(1, largest(data.whole, id), largest(data.detail, id)) : 255;
  const base = top + 2 + room;
  const buckets = part.buckets;
  const stretch = (width - gutter) / window_.length;
  const path = new Path2D();
  let open = false, from = Math.max(0, firstBucket(part)), x = xOf(bucketStart(part, from));
  for (let index = from; index < buckets; index += 1) {
    const right = xOf(bucketStart(part, index + 1));
    const y = base - Math.min(1, values[index] / scale) * room;
    if (!open) path.moveTo(x, base);
    open = true;
    path.lineTo(x, y);
    path.lineTo(right, y);
    x = right;
    if (x > width) break;
  }
  if (open) path.lineTo(x, base);
  const line = readable(colourOf(id));
  context.fillStyle = line;
  context.globalAlpha = 0.5;
  context.fill(path);
  context.globalAlpha = 1;
  // Flags: one colour each; several in a bucket share its height.
  const bottom = top + height;
  let start = from, bits = found.flags[from];
  for (let index = from; index <= buckets; index += 1) {
    if (index < buckets && found.flags[index] === bits) continue;
    if (bits) {
      const left = xOf(bucketStart(part, start));
      const wide = Math.max(stretch > 3 ? 2 : 1.5, xOf(bucketStart(part, index)) - left);
      const names = store.flagNames.filter((_, bit) => (bits >> bit) & 1);
      names.forEach((name, number) => {
        context.fillStyle = colour(name);
        context.fillRect(left, bottom - strip + number * strip / names.length, wide, strip / names.length);
      });
    }
    start = index;
    bits = found.flags[index] ?? 0;
    if (xOf(bucketStart(part, start)) > width) break;
  }
}

/**
 * Returns the largest area of an object in some lanes.
 * @param {Lanes | null} part
 * @param {number} id
 */
const largest = (part, id) => Math.max(0, ...(part?.objects.find((one) => one.id === id)?.area ?? []));

/** Returns the first bucket that is visible. @param {Lanes} part */
const firstBucket = (part) => Math.floor((window_.start - part.first) * part.buckets / (part.last - part.first + 1));

/**
 * Draws a span of frames over a lane.
 * @param {CanvasRenderingContext2D} context
 * @param {{first: number, last: number}} span
 * @param {number} top
 * @param {number} height
 * @param {string} style
 * @param {number} alpha
 * @param {'fill' | 'hatch' | 'back'} kind
 */
function bar(context, { first, last }, top, height, style, alpha, kind) {
  const left = Math.max(gutter, xOf(first)), right = Math.min(width, Math.max(xOf(last + 1), xOf(first) + 1.5));
  if (right <= left) return;
  context.globalAlpha = alpha;
  if (kind === 'fill') {
    context.fillStyle = style;
    context.fillRect(left, top, right - left, height);
  } else {
    context.save();
    context.beginPath();
    context.rect(left, top, right - left, height);
    context.clip();
    context.strokeStyle = style;
    context.lineWidth = 1.4;
    context.beginPath();
    const lean = kind === 'hatch' ? height : -height;
    for (let x = Math.floor((left - height) / 6) * 6; x < right + height; x += 6) {
      context.moveTo(x, top + height);
      context.lineTo(x + lean, top);
    }
    context.stroke();
    context.globalAlpha = alpha * 0.3;
    context.fillStyle = style;
    context.fillRect(left, top, right - left, height);
    context.restore();
  }
  context.globalAlpha = 1;
}

/**
 * Marks prompts: a line with a triangle as computed, with a disc if a person corrected it.
 * @param {CanvasRenderingContext2D} context
 * @param {number} id
 * @param {number} top
 * @param {number} height
 */
function drawPrompts(context, id, top, height) {
  for (const { frame, object, corrected } of store.state.prompts) {
    if (object !== id || frame < window_.start - 1 || frame > window_.start + window_.length) continue;
    const x = (xOf(frame) + xOf(frame + 1)) / 2;
    context.fillStyle = colour(corrected ? 'text' : 'prompted');
    context.globalAlpha = 0.75;
    context.fillRect(x - 0.75, top, 1.5, height);
    context.globalAlpha = 1;
    const s = height >= 22 ? 4 : 3;
    context.beginPath();
    if (corrected) context.arc(x, top + s + 1, s, 0, 2 * Math.PI);
    else {
      context.moveTo(x - s, top);
      context.lineTo(x + s, top);
      context.lineTo(x, top + 1.6 * s);
    }
    context.fill();
    if (corrected) {
      context.strokeStyle = colour('card');
      context.lineWidth = 1;
      context.stroke();
    }
  }
}

/**
 * Writes an object's name next to its lane.
 * @param {CanvasRenderingContext2D} context
 * @param {number} id
 * @param {number} top
 * @param {number} height
 */
function drawName(context, id, top, height) {
  const selected = id === store.selected;
  if (selected) {
    context.fillStyle = colour('link');
    context.globalAlpha = 0.14;
    context.fillRect(0, top, gutter - 4, height);
    context.globalAlpha = 1;
    context.fillStyle = colour('link');
    context.fillRect(0, top, 2, height);
  }
  context.fillStyle = colourOf(id);
  const side = Math.min(9, height - 3);
  context.fillRect(8, top + (height - side) / 2, side, side);
  context.font = `${selected ? 600 : 400} ${height < 14 ? 10.5 : 12}px system-ui, sans-serif`;
  context.fillStyle = colour(selected ? 'text' : 'muted');
  context.fillText(cut(context, nameOf(id), gutter - 30), 22, top + height / 2 + 0.5);
}

/** Draws all frames in one strip, with the visible ones framed. */
function drawOverview() {
  const context = prepared(overview);
  const { whole } = data;
  const { run, state } = store;
  context.fillStyle = colour('soft');
  context.fillRect(gutter, 1, width - gutter, OVERVIEW - 3);
  if (whole) {
    for (let index = 0; index < whole.buckets; index += 1) {
      let bits = 0;
      for (const { flags } of whole.objects) bits |= flags[index];
      if (!bits) continue;
      const name = store.flagNames.find((_, bit) => (bits >> bit) & 1) ?? 'lost';
      const x = wholeX(bucketStart(whole, index));
      context.fillStyle = colour(name);
      context.fillRect(x, 3, Math.max(1.2, wholeX(bucketStart(whole, index + 1)) - x), OVERVIEW - 7);
    }
  }
  for (const { first, last } of state.stale) {
    context.fillStyle = colour('look');
    context.fillRect(wholeX(first), OVERVIEW - 4, Math.max(2, wholeX(last + 1) - wholeX(first)), 2);
  }
  for (const { first, last } of state.locks) {
    context.fillStyle = colour('good');
    context.fillRect(wholeX(first), 1, Math.max(1.5, wholeX(last + 1) - wholeX(first)), 2);
  }
  if (run.first + state.finished <= run.last) {
    context.fillStyle = colour('page');
    context.globalAlpha = 0.75;
    context.fillRect(wholeX(run.first + state.finished), 0, width, OVERVIEW);
    context.globalAlpha = 1;
  }
  const left = wholeX(window_.start), right = Math.max(left + 5, wholeX(window_.start + window_.length));
  context.fillStyle = colour('page');
  context.globalAlpha = 0.55;
  context.fillRect(gutter, 1, left - gutter, OVERVIEW - 3);
  context.fillRect(right, 1, width - right, OVERVIEW - 3);
  context.globalAlpha = 1;
  context.strokeStyle = colour('link');
  context.lineWidth = 1.5;
  context.strokeRect(left + 0.75, 1.25, right - left - 1.5, OVERVIEW - 3);
}

/** Returns a round number of at least `rough`. @param {number} rough */
function round(rough) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, rough)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough * 0.999) ?? 10 * power;
}

/** Draws frame numbers, and times if there is room. */
function drawRuler() {
  const context = prepared(ruler);
  const { rate } = store.run;
  const each = round(window_.length / ((width - gutter) / (rate ? 130 : 90)));
  context.font = '11px system-ui, sans-serif';
  context.textAlign = 'left';
  for (let frame = Math.ceil(window_.start / each) * each; frame < window_.start + window_.length; frame += each) {
    const x = Math.round(xOf(frame));
    context.fillStyle = colour('line');
    context.fillRect(x, RULER - 8, 1, 8);
    context.fillStyle = colour('text');
    const text = grouped(frame);
    const wide = context.measureText(text).width;
    if (x + wide + 4 > width) continue;
    context.fillText(text, x + 3, RULER / 2);
    if (!rate) continue;
    const time = clock(frame / rate, each < rate);
    context.fillStyle = colour('muted');
    if (x + wide + 60 < width) context.fillText(time, x + 9 + wide, RULER / 2);
  }
  context.fillStyle = colour('muted');
  context.fillText('frame', 8, RULER / 2);
  for (const { first } of store.run.batches) {
    const x = xOf(first);
    if (x < gutter || x > width || window_.length > 60 * (width - gutter)) continue;
    context.fillStyle = colour('muted');
    context.fillRect(Math.round(x), RULER - 4, 1, 4);
  }
  const span = dragged ?? store.span;
  if (span) {
    context.fillStyle = colour('link');
    context.globalAlpha = 0.25;
    context.fillRect(Math.max(gutter, xOf(span.first)), 0, xOf(span.last + 1) - Math.max(gutter, xOf(span.first)), RULER);
    context.globalAlpha = 1;
  }
}

/** Moves the lines that mark the frame on display. Cheap, so that stepping does not draw the lanes. */
function placeHeads() {
  const frame = store.wanted;
  const x = (xOf(frame) + xOf(frame + 1)) / 2;
  const inside = x >= gutter && x <= width;
  for (const head of [heads.lanes, heads.ruler]) {
    head.hidden = !inside;
    head.style.transform = `translateX(${x}px)`;
  }
  heads.overview.style.transform = `translateX(${wholeX(frame + 0.5)}px)`;
  body.setAttribute('aria-valuenow', String(frame));
  body.setAttribute('aria-valuetext', `frame ${frame}`);
}

/** Lists the flags that occur. */
function drawLegend() {
  let bits = 0;
  for (const { flags } of data.whole?.objects ?? []) for (const one of flags) bits |= one;
  const names = store.flagNames.filter((_, bit) => (bits >> bit) & 1);
  if (legend.dataset.names === names.join()) return;
  legend.dataset.names = names.join();
  legend.replaceChildren(...names.map((name) => make('span', { class: `key flag-${name}`, title: flagMeaning(name) }, make('i'), flagLabel(name))));
}

/**
 * Writes what lies below the pointer.
 * @param {number} x
 * @param {number} y on the lanes
 */
function read_(x, y) {
  const frame = frameAt(x);
  const object = things()[Math.floor(y / lane)];
  const part = data.detail && frame >= data.detail.first && frame <= data.detail.last ? data.detail : data.whole;
  const values = object && part?.objects.find(({ id }) => id === object.id);
  const parts = [];
  if (part && values) {
    const n = part.last - part.first + 1;
    const index = within(Math.floor(((frame - part.first + 1) * part.buckets - 1) / n), 0, part.buckets - 1);
    const [from, to] = [bucketStart(part, index), Math.max(bucketStart(part, index), bucketStart(part, index + 1) - 1)];
    const share = (/** @type {keyof Lane} */ name) => (/** @type {number[]} */ (values[name])[index] / 255).toFixed(2);
    parts.push(nameOf(object.id), from === to ? `frame ${grouped(from)}` : `frames ${grouped(from)}\u2013${grouped(to)}`);
    if (store.run.rate) parts.push(clock(frame / store.run.rate));
    const least = from === to ? '' : 'least ';
    parts.push(`${least}area ${grouped(values.area[index] / 255 * values.areaMost)} px`, `score ${share('score')}`, `IoU ${share('iou')}`, `agreement ${share('agreement')}`);
    parts.push(...store.flagNames.filter((_, bit) => (values.flags[index] >> bit) & 1).map(flagLabel));
  } else parts.push(`frame ${grouped(frame)}`);
  readout.textContent = parts.join('  \u00b7  ');
}

/** Starts drawing and listening. */
export function startTimeline() {
  const { first, last } = store.run;
  window_.start = first;
  window_.length = last - first + 1;
  body.setAttribute('aria-valuemin', String(first));
  body.setAttribute('aria-valuemax', String(last));
  new ResizeObserver(resize).observe(body);
  addEventListener('resize', resize);
  let count = things().length, shown = '', computing = false, lastRead = 0;
  on(['state', 'run', 'selected'], () => {
    const { state } = store;
    if (things().length !== count) {
      count = things().length;
      resize();
    }
    const now = performance.now();
    // While frames are computed, the lanes follow slowly; other changes are shown at once.
    const version = [state.head, state.revision, state.finished, state.known, Boolean(state.tracking)].join();
    if (version !== shown || (computing && now - lastRead > 1500)) {
      [shown, computing, lastRead] = [version, Boolean(state.tracking), now];
      readDetail();
      readWhole();
    }
    drawSoon();
  });
  on(['wanted'], () => {
    if (!pressed && !store.loop) keepVisible();
    placeHeads();
  });
  on(['span'], drawSoon);
  on(['ready'], () => {
    if (store.online && !data.whole) resize();
  });
  onTheme(drawSoon);
  measure.addEventListener('change', drawSoon);
  byId('time-in', HTMLButtonElement).addEventListener('click', () => zoomTime(2));
  byId('time-out', HTMLButtonElement).addEventListener('click', () => zoomTime(0.5));
  byId('time-all', HTMLButtonElement).addEventListener('click', () => look(store.run.first, store.run.last - store.run.first + 1));
  listenToPointers();
  resize();
}

/** What the pointer that is down does. @type {{kind: 'overview' | 'span' | 'lanes', x: number, start: number, frame: number, moved: boolean, id: number} | null} */
let pressed = null;

/** Pointers: click goes, dragging lanes pans, dragging the ruler selects, dragging the overview moves the window. */
function listenToPointers() {
  const place = (/** @type {PointerEvent | WheelEvent} */ event) => {
    const box = (event.currentTarget instanceof Element ? event.currentTarget : lanes).getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  for (const [canvas, kind] of /** @type {[HTMLCanvasElement, 'overview' | 'span' | 'lanes'][]} */ ([[overview, 'overview'], [ruler, 'span'], [lanes, 'lanes']])) {
    canvas.addEventListener('pointerdown', (event) => {
      if (event.button > 1) return;
      const { x, y } = place(event);
      if (x < gutter) {
        const object = things()[Math.floor(y / lane)];
        if (kind === 'lanes' && object) select(object.id);
        return;
      }
      canvas.setPointerCapture(event.pointerId);
      event.preventDefault();
      body.focus({ preventScroll: true });
      pressed = { kind, x, start: window_.start, frame: frameAt(x), moved: false, id: event.pointerId };
      if (kind === 'overview') moveWindow(x);
    });
    canvas.addEventListener('pointermove', (event) => {
      const { x, y } = place(event);
      if (kind === 'lanes' && x >= gutter) read_(x, y);
      cursor.hidden = x < gutter || kind === 'overview' || event.pointerType === 'touch';
      cursor.style.transform = `translateX(${x}px)`;
      if (!pressed || pressed.id !== event.pointerId) return;
      if (Math.abs(x - pressed.x) > 4) pressed.moved = true;
      if (!pressed.moved) return;
      if (pressed.kind === 'overview') moveWindow(x);
      if (pressed.kind === 'lanes') look(pressed.start - (x - pressed.x) / (width - gutter) * window_.length, window_.length);
      if (pressed.kind === 'span') {
        const frame = frameAt(Math.max(gutter, x));
        dragged = { first: Math.min(frame, pressed.frame), last: Math.max(frame, pressed.frame) };
        readout.textContent = `frames ${grouped(dragged.first)} to ${grouped(dragged.last)}: ${grouped(dragged.last - dragged.first + 1)}`;
        drawSoon();
      }
    });
    canvas.addEventListener('pointerup', (event) => {
      const ended = pressed;
      pressed = null;
      if (!ended || ended.id !== event.pointerId) return;
      const { x, y } = place(event);
      if (ended.kind === 'overview') {
        if (!ended.moved) go(overviewFrame(x));
        return;
      }
      if (dragged) {
        setSpan(dragged);
        readout.textContent = '';
        dragged = null;
      } else if (!ended.moved) {
        if (ended.kind === 'lanes') {
          const object = things()[Math.floor(y / lane)];
          if (object) select(object.id);
        }
        go(snapped(x));
      }
      drawSoon();
    });
    canvas.addEventListener('pointercancel', () => {
      pressed = null;
      dragged = null;
      drawSoon();
    });
    canvas.addEventListener('pointerleave', () => {
      cursor.hidden = true;
      readout.textContent = '';
    });
    canvas.addEventListener('wheel', (event) => {
      const { x } = place(event);
      if (x < gutter) return;
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        const by = (event.deltaX || event.deltaY) * lines;
        return look(window_.start + by / (width - gutter) * window_.length, window_.length);
      }
      const at = kind === 'overview' ? store.wanted + 0.5 : window_.start + (x - gutter) / (width - gutter) * window_.length;
      zoomTime(1.0025 ** -within(event.deltaY * lines, -300, 300), at);
    }, { passive: false });
  }
}

/** @param {number} x */
const overviewFrame = (x) => inRun(Math.floor(store.run.first + (x - gutter) / (width - gutter) * (store.run.last - store.run.first + 1)));

/** Puts the middle of the window below the pointer. @param {number} x */
function moveWindow(x) {
  look(overviewFrame(x) - window_.length / 2, window_.length);
}

/**
 * Returns the frame of a click. Where a pixel stands for many frames, a prompt or a flagged frame near the pointer wins.
 * @param {number} x
 */
function snapped(x) {
  const frame = frameAt(x), reach = 4 * window_.length / (width - gutter);
  if (reach < 4) return frame;
  const near = [...store.state.prompts.map((one) => one.frame), ...(store.queue?.items ?? []).map(({ worst }) => worst)]
    .filter((one) => Math.abs(one - frame) <= reach).sort((a, b) => Math.abs(a - frame) - Math.abs(b - frame))[0];
  return near ?? frame;
}

/** Shows another measure. @param {Measure} name */
export function showMeasure(name) {
  measure.value = name;
  drawSoon();
}

/** Selects from or up to the frame on display. @param {'first' | 'last'} end */
export function spanEnd(end) {
  const frame = store.shown, old = store.span ?? { first: frame, last: frame };
  const span = { ...old, [end]: frame };
  setSpan(span.first <= span.last ? span : { first: frame, last: frame });
  tell('span');
}
