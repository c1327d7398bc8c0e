// @ts-check
// Changes: one at a time, in order, and never sent twice.

/** @import {Action, Done, State, History} from './types.js' */
import { get, post, Refused, sentence, Unreachable, URGENCY } from './api.js';
import { say } from './dom.js';
import { giveMasks } from './frames.js';
import { blocked, store, takeState, tell } from './store.js';

/**
 * @typedef {object} Waiting
 * @property {Action} action
 * @property {string} label
 * @property {string} key draft that this change belongs to; empty if none
 * @property {(done: Done | null) => void} settle
 */

// More than a person can click while one answer is on the way; the bound only guards the memory.
const MOST_WAITING = 200;

/** @type {Waiting[]} */
const queue = [];
let busy = false;

/**
 * Sends a change after those that wait. Returns the answer, or `null` if it was not made; the person has been told why.
 * @param {Action} action
 * @param {string} label what the page shows meanwhile
 * @param {string} [key]
 * @returns {Promise<Done | null>}
 */
export function act(action, label, key = '') {
  const why = blocked();
  if (why || queue.length >= MOST_WAITING) {
    say(why ? `Nothing was changed. ${why}` : 'Too many changes wait. Wait for the server to answer.', { kind: 'bad' });
    if (key && !queue.some((one) => one.key === key)) store.drafts.delete(key);
    return Promise.resolve(null);
  }
  return new Promise((settle) => {
    queue.push({ action, label, key, settle });
    store.waiting = queue.length;
    void run();
  });
}

/** Sends what waits, one change after the other. */
async function run() {
  if (busy) return;
  busy = true;
  for (let next = queue.shift(); next; next = queue.shift()) {
    store.busy = next.label;
    store.waiting = queue.length;
    tell('ready');
    const done = await send(next.action);
    // The draft goes once nothing that builds on it waits.
    if (next.key && !queue.some(({ key }) => key === next.key)) {
      store.drafts.delete(next.key);
      tell('draft');
    }
    if (!done) dropWaiting();
    next.settle(done);
  }
  store.busy = null;
  store.waiting = 0;
  busy = false;
  tell('ready');
}

/** Gives up changes that were made on top of one that failed. */
function dropWaiting() {
  const rest = queue.splice(0);
  for (const one of rest) {
    if (one.key) store.drafts.delete(one.key);
    one.settle(null);
  }
  if (rest.length) say(`${rest.length === 1 ? 'The change' : `${rest.length} changes`} after it did not reach the server either. Make them again.`, { kind: 'bad' });
  tell('draft');
}

/**
 * @param {Action} action
 * @returns {Promise<Done | null>}
 */
async function send(action) {
  // The server does an action with an id only once, however often it arrives. One that was restarted knows no ids any more, and sees
  // by the revision whether the first try had an effect.
  const id = [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const { revision } = store.state;
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const began = performance.now();
    try {
      const done = /** @type {Done} */ (await post('act', { revision, action, frame: store.shown, id }));
      store.took = performance.now() - began;
      takeState(done.state);
      if (done.masks) giveMasks(done.masks);
      tell('masks');
      return done;
    } catch (error) {
      if (error instanceof Unreachable) {
        if (await stateAfterSilence()) continue;
        return null;
      }
      if (error instanceof Refused && error.status === 409) {
        await readState();
        await tellNewest(attempt ? 'The connection broke while a change was sent, and the run has changed since.' : 'Another tab or person has changed the run.');
        return null;
      }
      if (error instanceof Refused && error.status === 423) {
        store.readOnly = sentence(error);
        tell('ready');
      }
      say(`Nothing was changed. ${sentence(error)}`, { kind: 'bad' });
      return null;
    }
  }
  say('The change could not be made. Make it again once the server answers.', { kind: 'bad' });
  return null;
}

/** Reads the state and takes it over. @returns {Promise<State | null>} */
export async function readState() {
  try {
    const state = /** @type {State} */ (await get('state', { urgency: URGENCY.act }));
    takeState(state, true);
    return state;
  } catch {
    return null;
  }
}

/** Waits for the server, for at most ten minutes, and reads its state. */
async function stateAfterSilence() {
  for (let attempt = 0; attempt < 60; attempt += 1) {
    const state = await readState();
    if (state) return state;
    await new Promise((wait) => { setTimeout(wait, Math.min(10_000, 500 * 2 ** attempt)); });
  }
  return null;
}

/** Names the newest change on the server, so that the person can see whether theirs arrived. @param {string} why */
async function tellNewest(why) {
  let newest = '';
  try {
    const { entries } = /** @type {History} */ (await get('history'));
    const last = entries.reduce((a, b) => (b.number > (a?.number ?? -1) ? b : a), entries[0]);
    if (last) newest = ` The newest change is: \u201c${last.text}\u201d.`;
  } catch { /* The message is shown without it. */ }
  say(`${why}${newest} The display is up to date. If that is not your change, yours was not made: make it again.`, { kind: 'bad' });
}

/** @param {'undo' | 'redo'} type */
export async function step(type) {
  const { state } = store;
  if (!store.waiting && !store.busy && !(type === 'undo' ? state.canUndo : state.canRedo)) {
    say(type === 'undo' ? 'There is nothing to undo.' : 'There is nothing to redo.');
    return null;
  }
  const done = await act({ type }, type === 'undo' ? 'Undoing' : 'Redoing');
  if (done) {
    const text = (type === 'undo' ? done.state.nextRedo : done.state.nextUndo) ?? '';
    say(`${type === 'undo' ? 'Undone' : 'Made again'}: ${text}`, { topic: 'undo' });
  }
  return done;
}
