// @ts-check
// Going from frame to frame: the latest wish wins, and what comes next is read ahead.

import { aborted, post } from './api.js';
import { giveUp, load, outdateUnfinished, readAhead, ready, shownFrame } from './frames.js';
import { blocked, inRun, on, store, tell } from './store.js';

/** Frames that are read ahead in the direction of travel, and against it. */
const AHEAD = 10;
const BEHIND = 2;
/** A person who rests on a frame for this long may click there: its features are computed ahead. */
const REST = 400;
/** A read that is further away than this from the wish is given up. */
const FAR = 300;

/** Frame that is being read for display; -1 if none. */
let reading = -1;
let rest = 0;
let restless = 0;

/**
 * Goes to a frame. It is drawn as soon as its picture and its masks are there.
 * @param {number} frame
 * @param {{step?: number}} [how] `step` is how far the person goes at a time, for reading ahead
 */
export function go(frame, { step = 1 } = {}) {
  frame = inRun(frame);
  if (frame !== store.wanted) store.direction = frame > store.wanted ? 1 : -1;
  store.step = step;
  store.wanted = frame;
  tell('wanted');
  const there = ready(frame);
  if (there) show(frame);
  else void pursue();
}

/** Reads the wanted frame; if the wish changes meanwhile, what was read is shown, then the next wish is read. */
async function pursue() {
  if (reading >= 0 && Math.abs(reading - store.wanted) <= FAR) return;
  const number = store.wanted;
  if (reading >= 0) giveUp(reading);
  reading = number;
  try {
    const frame = await load(number);
    // Without the server, what is on display stays: an empty stage would look like a lost recording.
    if (!frame.ready && !store.online) return;
    // Pictures that arrive while a key is held are shown, so that the display follows.
    if (Math.abs(number - store.wanted) <= FAR && reading === number) show(number);
  } catch (error) {
    if (!aborted(error)) throw error;
  } finally {
    if (reading === number) {
      reading = -1;
      if (store.wanted !== store.shown && store.online) void pursue();
    }
  }
}

/** @param {number} number */
function show(number) {
  const changed = store.shown !== number;
  store.shown = number;
  if (changed) {
    if (store.candidates && store.candidates.frame !== number) {
      store.candidates = null;
      tell('candidates');
    }
    tell('shown');
  }
  if (store.playing) return;
  plan();
  clearTimeout(rest);
  rest = setTimeout(warm, REST);
}

/** Reads ahead what the person will probably want next. */
function plan() {
  const { shown, direction, step } = store;
  if (shown !== store.wanted) return;
  const numbers = [];
  for (let index = 1; index <= AHEAD; index += 1) {
    numbers.push(shown + direction * step * index);
    if (index <= BEHIND) numbers.push(shown - direction * step * index);
  }
  // The item of the queue after this one is a likely jump.
  const next = nextItem();
  if (next >= 0) numbers.splice(4, 0, next);
  readAhead([...new Set(numbers)]);
}

/** Returns the worst frame of the open item after the one on display, or -1. */
function nextItem() {
  const items = store.queue?.items ?? [];
  const at = items.findIndex(({ worst }) => worst === store.shown);
  return at < 0 ? -1 : items.slice(at + 1).find(({ state }) => state === 'open')?.worst ?? -1;
}

/** Asks the server to get the frame ready for clicks. */
function warm() {
  if (blocked() || store.tool === 'look' || store.playing || store.warm.has(store.shown) || store.state.tracking) return;
  post('warm', { frame: store.shown }).catch(() => { /* It only saves time. */ });
}

/** Reads the masks on display again if they are out of date. */
async function refresh() {
  const number = store.shown;
  if (number < 0 || restless === number) return;
  const frame = shownFrame();
  if (!frame || frame.ready) return;
  restless = number;
  try {
    await load(number);
    if (store.shown === number) tell('masks');
  } catch (error) {
    if (!aborted(error)) throw error;
  } finally {
    restless = -1;
    const now = shownFrame();
    if (now && !now.ready && !now.trouble) setTimeout(() => void refresh(), 50);
  }
}

/** Follows changes of the state. */
export function follow() {
  restless = -1;
  let finished = store.state.finished;
  on(['state'], () => {
    if (store.shown < 0) return;
    // Frames beyond the finished ones had no masks when they were read.
    if (store.state.finished !== finished) {
      outdateUnfinished();
      finished = store.state.finished;
    }
    void refresh();
  });
  on(['tool'], () => {
    clearTimeout(rest);
    rest = setTimeout(warm, REST);
  });
  on(['ready'], () => {
    if (!store.online) return;
    if (store.wanted !== store.shown) void pursue();
    else void refresh();
  });
}

/** Reads the frame on display again after masks of it were computed. @param {number} number */
export function recomputed(number) {
  if (number === store.shown) void refresh();
}

/** Draws the frame with another contrast; on deep recordings the server applies it. */
export const toneChanged = () => void refresh();

/**
 * Shows a frame during play, if all of it is there. Returns false otherwise.
 * @param {number} number
 */
export function showIfReady(number) {
  if (!ready(number)) return false;
  store.wanted = number;
  tell('wanted');
  show(number);
  return true;
}
