// @ts-check
// Prompts: every change sends the whole prompt of an object on a frame.

/** @import {Box, Point} from './types.js' */
/** @import {Draft} from './store.js' */
import { act } from './actions.js';
import { say } from './dom.js';
import { trackIfAsked } from './tracking.js';
import { blocked, draftOf, nameOf, on, store, tell, thing } from './store.js';

/**
 * Sends the prompt of an object on a frame, and shows its three candidates when they come.
 * @param {number} frame
 * @param {number} object
 * @param {Draft} draft
 * @param {string} label
 */
async function send(frame, object, draft, label) {
  const key = `${frame}:${object}`;
  const { points, box, candidate } = draft;
  if (!points.length && !box && !draft.runs && !draft.mask) {
    await remove(frame, object);
    return null;
  }
  const { runs } = draft;
  store.drafts.set(key, draft);
  tell('draft');
  // A painted mask stays the base of later clicks; the server has it.
  const action = { type: 'prompt', object, frame, points, box, runs, candidate, ...(draft.mask && !runs ? { keepMask: true } : {}) };
  const done = await act(action, label, key);
  if (!done) return null;
  const list = done.candidates ?? [];
  if (candidate === null) store.candidates = list.length > 1 && !draft.mask ? { frame, object, list, preview: null } : null;
  tell('candidates');
  trackIfAsked();
  return done;
}

/** Returns true if a prompt can be made for the selected object here; says why not otherwise. */
export function canPrompt() {
  const why = blocked();
  if (why) say(`Nothing was changed. ${why}`, { kind: 'bad' });
  else if (!thing(store.selected)) say('Add an object first: the button with + above the list of objects.');
  else return true;
  return false;
}

/**
 * Adds a click to the prompt of the selected object on the frame on display.
 * @param {Point} point
 */
export function addPoint(point) {
  if (!canPrompt()) return;
  const { shown: frame, selected: object } = store;
  const draft = draftOf(frame, object);
  draft.points.push(point);
  draft.candidate = null;
  void send(frame, object, draft, `${point.positive ? 'Adding' : 'Excluding'}: ${nameOf(object)}, frame ${frame}`);
}

/**
 * Sets the box of the selected object on the frame on display.
 * @param {Box} box
 */
export function setBox(box) {
  if (!canPrompt()) return;
  const { shown: frame, selected: object } = store;
  const draft = draftOf(frame, object);
  draft.box = box;
  draft.candidate = null;
  void send(frame, object, draft, `Box: ${nameOf(object)}, frame ${frame}`);
}

/**
 * Sends a painted mask in place of the prompt.
 * @param {number} frame
 * @param {number} object
 * @param {number[]} runs
 */
export const setMask = (frame, object, runs) =>
  send(frame, object, { points: [], box: null, runs, candidate: null, mask: true }, `Painted mask: ${nameOf(object)}, frame ${frame}`);

/**
 * Deletes one point of a prompt, or its box (`index` -1).
 * @param {number} frame
 * @param {number} object
 * @param {number} index
 */
export function deletePart(frame, object, index) {
  const why = blocked();
  if (why) return say(`Nothing was changed. ${why}`, { kind: 'bad' });
  const draft = draftOf(frame, object);
  if (index < 0) draft.box = null;
  else draft.points.splice(index, 1);
  draft.candidate = null;
  void send(frame, object, draft, `Deleting a ${index < 0 ? 'box' : 'point'}: ${nameOf(object)}, frame ${frame}`);
}

/**
 * Removes the whole prompt of an object on a frame.
 * @param {number} frame
 * @param {number} object
 */
export async function remove(frame, object) {
  const key = `${frame}:${object}`;
  const there = store.state.prompts.some((one) => one.frame === frame && one.object === object);
  if (!there && !store.drafts.has(key)) {
    say(`${nameOf(object)} has no prompt on frame ${frame}.`);
    return;
  }
  store.drafts.set(key, { points: [], box: null, runs: null, candidate: null, mask: false });
  store.candidates = null;
  tell('candidates');
  const done = await act({ type: 'unprompt', object, frame }, `Clearing the prompt: ${nameOf(object)}, frame ${frame}`, key);
  if (done) trackIfAsked();
}

/**
 * Takes one of the three candidates, counted from 0.
 * @param {number} index
 */
export function take(index) {
  const { candidates } = store;
  if (!candidates || !candidates.list[index] || !canPrompt()) return;
  const { frame, object } = candidates;
  const draft = draftOf(frame, object);
  draft.candidate = index;
  void send(frame, object, draft, `Taking candidate ${index + 1}`);
}

/** Prompts the selected object with the body parts of the pose track. */
export async function fromTrack() {
  if (!canPrompt()) return;
  const { shown: frame, selected: object } = store;
  const done = await act({ type: 'fromTrack', object, frame }, `Prompting from the pose track: ${nameOf(object)}`);
  if (done) trackIfAsked();
}

/** Closes the candidates when they no longer belong to what is on display. */
export function watchCandidates() {
  on(['selected'], () => {
    if (store.candidates && store.candidates.object !== store.selected) {
      store.candidates = null;
      tell('candidates');
    }
  });
}
