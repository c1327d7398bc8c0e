// @ts-check
// The server's events, and what happens when it does not answer.

/** @import {State, Run} from './types.js' */
import { readState } from './actions.js';
import { get, onContact } from './api.js';
import { byId, copy, say } from './dom.js';
import { outdate } from './frames.js';
import { sshCommand, store, takeState, tell } from './store.js';

const LONGEST_WAIT = 15_000;
let wait = 1000;
let timer = 0;
let due = 0;
/** @type {EventSource | null} */
let source = null;
/** Called for every frame that was computed again. @type {(frame: number) => void} */
let recomputed = () => {};
let spoken = '';

/**
 * Connects to the server's events and keeps the connection.
 * @param {(frame: number) => void} onFrame
 */
export function listen(onFrame) {
  recomputed = onFrame;
  onContact((online) => {
    if (!online) lost();
  });
  byId('retry', HTMLButtonElement).addEventListener('click', () => {
    wait = 1000;
    connect();
  });
  byId('copy-ssh', HTMLButtonElement).addEventListener('click', () => void copy(sshCommand()));
  // A tab that slept reads what it missed at once.
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible' && !store.online) connect();
  });
  addEventListener('online', () => { if (!store.online) connect(); });
  connect();
  setInterval(countDown, 1000);
}

/** Opens the stream of events, in place of an earlier one. */
function connect() {
  clearTimeout(timer);
  timer = 0;
  source?.close();
  const stream = new EventSource('events');
  source = stream;
  stream.addEventListener('open', () => void opened());
  stream.addEventListener('error', () => {
    if (source === stream) lost();
  });
  stream.addEventListener('state', (event) => {
    const state = /** @type {State} */ (JSON.parse(event.data));
    const old = store.state;
    takeState(state);
    if (old.running && !state.running) void readRun();
    if (state.message && state.message !== spoken) say(state.message, { kind: 'bad' });
    spoken = state.message ?? '';
  });
  stream.addEventListener('frame', (event) => {
    const { frame } = JSON.parse(event.data);
    outdate(frame);
    recomputed(frame);
  });
  stream.addEventListener('warm', (event) => {
    store.warm = new Set(JSON.parse(event.data).frames);
    tell('warm');
  });
}

/** Reads the state after the connection came back: events may have been missed. */
async function opened() {
  wait = 1000;
  const back = !store.online;
  store.online = true;
  // The first state comes with the page itself.
  if (back) {
    await readState();
    await readRun();
    say('The server answers again. The display is up to date.');
  }
  tell('ready');
}

/** Tries again, each time after a longer wait. */
function lost() {
  if (store.online) {
    store.online = false;
    tell('ready');
  }
  source?.close();
  source = null;
  if (timer) return;
  due = Date.now() + wait;
  timer = setTimeout(connect, wait);
  wait = Math.min(LONGEST_WAIT, wait * 2);
  countDown();
}

/** Shows when the next try is made. */
function countDown() {
  if (store.online) return;
  const seconds = Math.max(0, Math.ceil((due - Date.now()) / 1000));
  byId('retry-in', HTMLElement).textContent = seconds ? `Next try in ${seconds} s.` : 'Trying now.';
}

/** Reads what a finished job or a restarted server has changed: read-only, frames, batches. */
export async function readRun() {
  try {
    store.run = /** @type {Run} */ (await get('run'));
    store.readOnly = store.run.readOnly;
    tell('run');
    tell('ready');
  } catch { /* The banner tells that the server does not answer. */ }
}
