// @ts-check
// Playing: frames follow the clock; those that are not there in time are left out.

import { byId, clock, grouped, icon } from './dom.js';
import { readAhead, ready } from './frames.js';
import { inRun, on, store, tell } from './store.js';
import { go, showIfReady } from './travel.js';

const play = byId('play', HTMLButtonElement);
const back = byId('play-back', HTMLButtonElement);
const speed = byId('speed', HTMLSelectElement);
const loop = byId('loop', HTMLButtonElement);
const field = byId('frame-field', HTMLInputElement);
const time = byId('frame-time', HTMLElement);

/** Frames a second that the display draws at most; faster play leaves frames out evenly. */
const MOST_DRAWN = 30;
/** Recordings that do not tell their rate play at this one. */
const RATE = 25;
/** If nothing arrived for this long, the clock waits instead of running away. */
const PATIENCE = 250;

let began = 0, from = 0, lastShown = 0, stride = 1, planned = -1, misses = 0;
/** The last frame drawn since the clock began; a loop begins anew. */
let latest = -1;

/** Returns the frames between which play runs. */
function bounds() {
  const { first, last } = store.run;
  return store.loop && store.span ? store.span : { first, last };
}

/**
 * Starts or stops playing.
 * @param {number} direction 1 or -1
 */
export function toggle(direction = 1) {
  if (store.playing) return stop();
  const { first, last } = bounds();
  store.playing = direction;
  store.direction = direction;
  let at = store.shown;
  if (at < first || at > last || (direction > 0 ? at === last : at === first)) at = direction > 0 ? first : last;
  misses = 0;
  start(at);
  tell('play');
  requestAnimationFrame(tick);
}

/** Stops playing. */
export function stop() {
  if (!store.playing) return;
  store.playing = 0;
  readAhead([]);
  tell('play');
  go(store.shown);
}

/** Lets the clock begin at a frame. @param {number} frame */
function start(frame) {
  began = performance.now();
  lastShown = began;
  from = frame;
  latest = -1;
  planned = -1;
  const perSecond = (store.run.rate ?? RATE) * Number(speed.value);
  stride = Math.max(1, Math.round(perSecond / MOST_DRAWN)) * 2 ** Math.min(3, misses);
}

/** @param {number} now */
function tick(now) {
  if (!store.playing) return;
  const direction = store.playing;
  const { first, last } = bounds();
  const perSecond = (store.run.rate ?? RATE) * Number(speed.value);
  const exact = from + direction * Math.max(0, now - began) / 1000 * perSecond;
  const target = from + direction * Math.floor(Math.abs(exact - from) / stride) * stride;
  if (target > last || target < first) {
    if (store.loop && store.span) start(direction > 0 ? first : last);
    else {
      const end = direction > 0 ? last : first;
      stop();
      go(end);
      return;
    }
  } else {
    // The latest frame that is there and not behind what was shown.
    let shown = false;
    for (let frame = target, tries = 0; tries < 12 && (latest < 0 || (direction > 0 ? frame > latest : frame < latest)) && frame >= first && frame <= last; frame -= direction * stride, tries += 1) {
      if (!ready(frame)) continue;
      shown = showIfReady(frame);
      if (shown) latest = frame;
      break;
    }
    if (shown || latest === target) {
      if (shown) lastShown = now;
      else if (stride > 1 || perSecond < 4) lastShown = Math.max(lastShown, now - 100);
    } else if (now - lastShown > PATIENCE) {
      misses += 1;
      start(store.shown >= first && store.shown <= last ? store.shown : first);
    }
    if (planned !== target) {
      planned = target;
      const numbers = [];
      for (let index = 0; index < 16; index += 1) {
        let frame = target + direction * stride * index;
        if (store.loop && store.span && frame > last) frame = first + (frame - last - 1);
        if (frame >= first && frame <= last) numbers.push(frame);
      }
      readAhead(numbers);
    }
  }
  requestAnimationFrame(tick);
}

/** Changes the speed by steps of the list. @param {number} steps */
export function faster(steps) {
  speed.selectedIndex = Math.min(speed.options.length - 1, Math.max(0, speed.selectedIndex + steps));
  speed.dispatchEvent(new Event('change'));
}

/** Loops the selected span, or not. */
export function toggleLoop() {
  store.loop = !store.loop && store.span !== null;
  tell('span');
  tell('play');
  if (store.loop && !store.playing) toggle(1);
}

/** Shows the frame's number and time, and the state of the player. */
function draw() {
  if (document.activeElement !== field) field.value = String(store.wanted);
  const { rate, last } = store.run;
  time.textContent = `of ${grouped(last)}${rate ? `  \u00b7  ${clock(store.wanted / rate)}` : ''}`;
}

function drawButtons() {
  play.replaceChildren(icon(store.playing > 0 ? 'pause' : 'play'));
  play.setAttribute('aria-label', store.playing > 0 ? 'Pause' : 'Play');
  back.replaceChildren(icon(store.playing < 0 ? 'pause' : 'back'));
  back.setAttribute('aria-label', store.playing < 0 ? 'Pause' : 'Play backwards');
  loop.disabled = store.span === null;
  loop.setAttribute('aria-pressed', String(store.loop));
}

/** Puts the keyboard into the field for a frame's number. */
export function focusField() {
  field.focus();
  field.select();
}

/** Starts listening. */
export function startPlayer() {
  const { first, last } = store.run;
  field.min = String(first);
  field.max = String(last);
  play.addEventListener('click', () => (store.playing < 0 ? (stop(), toggle(1)) : toggle(1)));
  back.addEventListener('click', () => (store.playing > 0 ? (stop(), toggle(-1)) : toggle(-1)));
  loop.addEventListener('click', toggleLoop);
  speed.addEventListener('change', () => {
    misses = 0;
    if (store.playing) start(store.shown);
  });
  const leave = () => {
    const number = Number(field.value);
    if (field.value.trim() !== '' && Number.isFinite(number)) {
      if (store.playing) stop();
      go(number);
    }
    field.value = String(inRun(Number.isFinite(number) && field.value.trim() !== '' ? number : store.wanted));
  };
  field.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') {
      leave();
      field.blur();
    } else if (event.key === 'Escape') {
      field.value = String(store.wanted);
      field.blur();
    }
    event.stopPropagation();
  });
  field.addEventListener('focus', () => field.select());
  field.addEventListener('change', leave);
  for (const [id, by] of /** @type {[string, number][]} */ ([['step-back', -1], ['step-forward', 1]])) {
    byId(id, HTMLButtonElement).addEventListener('click', () => go(store.wanted + by));
  }
  byId('go-first', HTMLButtonElement).addEventListener('click', () => go(store.run.first));
  byId('go-last', HTMLButtonElement).addEventListener('click', () => go(store.run.last));
  on(['wanted', 'run'], draw);
  on(['play', 'span'], drawButtons);
  draw();
  drawButtons();
}
