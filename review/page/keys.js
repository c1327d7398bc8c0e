// @ts-check
// Keys: one table that both acts and fills the sheet of keys.

import { step } from './actions.js';
import { actualSize, fit, zoom } from './canvas.js';
import { closeCandidates } from './candidates.js';
import { openExport, openSheet } from './dialogs.js';
import { addObject, absent, goodToHere, hide, neighbour, rename, solo, swapMenu } from './objects.js';
import { faster, focusField, stop, toggle, toggleLoop } from './player.js';
import { fromTrack, remove, take } from './prompts.js';
import { markCurrent, nextFlag, nextItem } from './queue.js';
import { showTab } from './history.js';
import { beyond } from './spans.js';
import { select, setSpan, setTool, store, things } from './store.js';
import { byId, say } from './dom.js';
import { spanEnd, zoomTime } from './timeline.js';
import { toggleTone, toggleView } from './tone.js';
import { choose, copyPoint, deleteChosen, held, resizeBrush } from './tools.js';
import { showAfter, showBefore, trackOrStop } from './tracking.js';
import { go } from './travel.js';

/** @typedef {{keys: string[], shown: string[], text: string, press: () => unknown, release?: () => void, repeats?: boolean}} Key */

/** @param {number} by */
const walk = (by) => {
  if (store.playing) stop();
  go(store.wanted + by, { step: Math.abs(by) });
};
/**
 * Goes to the next of some starts.
 * @param {number[]} starts
 * @param {number} direction
 * @param {string} what
 */
const jump = (starts, direction, what) => {
  const frame = beyond(starts, store.wanted, direction);
  if (frame === null) return say(`No ${what} ${direction > 0 ? 'follows' : 'comes before'}.`);
  if (store.playing) stop();
  go(frame);
};
/** @param {number} number */
const digit = (number) => {
  if (store.candidates && number <= store.candidates.list.length) return take(number - 1);
  const one = things()[number - 1];
  if (one) select(one.id);
};
const escape = () => {
  if (!byId('tone-box', HTMLElement).hidden) return toggleTone(false);
  if (closeCandidates()) return;
  choose();
  if (store.span) setSpan(null);
  else setTool('look');
};

/** @type {{title: string, keys: Key[]}[]} */
const table = [
  { title: 'Go', keys: [
    { keys: ['ArrowRight'], shown: ['\u2192'], text: 'next frame', press: () => walk(1), repeats: true },
    { keys: ['ArrowLeft'], shown: ['\u2190'], text: 'previous frame', press: () => walk(-1), repeats: true },
    { keys: ['Shift+ArrowRight'], shown: ['Shift \u2192'], text: '10 frames on', press: () => walk(10), repeats: true },
    { keys: ['Shift+ArrowLeft'], shown: ['Shift \u2190'], text: '10 frames back', press: () => walk(-10), repeats: true },
    { keys: ['Ctrl+ArrowRight', 'PageDown'], shown: ['Ctrl \u2192', 'PgDn'], text: '100 frames on', press: () => walk(100), repeats: true },
    { keys: ['Ctrl+ArrowLeft', 'PageUp'], shown: ['Ctrl \u2190', 'PgUp'], text: '100 frames back', press: () => walk(-100), repeats: true },
    { keys: ['Home'], shown: ['Home'], text: 'first frame', press: () => go(store.run.first) },
    { keys: ['End'], shown: ['End'], text: 'last frame', press: () => go(store.run.last) },
    { keys: ['j'], shown: ['J'], text: 'type a frame\u2019s number', press: focusField },
    { keys: ['f'], shown: ['F'], text: 'next flag (Shift: previous)', press: () => nextFlag(1) },
    { keys: ['Shift+f'], shown: [], text: '', press: () => nextFlag(-1) },
    { keys: ['p'], shown: ['P'], text: 'next prompt (Shift: previous)', press: () => jump(store.state.prompts.map(({ frame }) => frame), 1, 'prompt') },
    { keys: ['Shift+p'], shown: [], text: '', press: () => jump(store.state.prompts.map(({ frame }) => frame), -1, 'prompt') },
    { keys: ['s'], shown: ['S'], text: 'next stale span (Shift: previous)', press: () => jump(store.state.stale.map(({ first }) => first), 1, 'stale span') },
    { keys: ['Shift+s'], shown: [], text: '', press: () => jump(store.state.stale.map(({ first }) => first), -1, 'stale span') },
    { keys: ['b'], shown: ['B'], text: 'next batch (Shift: previous)', press: () => jump(store.run.batches.map(({ first }) => first), 1, 'batch') },
    { keys: ['Shift+b'], shown: [], text: '', press: () => jump(store.run.batches.map(({ first }) => first), -1, 'batch') },
  ] },
  { title: 'Review', keys: [
    { keys: ['n'], shown: ['N'], text: 'next open item of the queue (Shift: previous)', press: () => nextItem(1) },
    { keys: ['Shift+n'], shown: [], text: '', press: () => nextItem(-1) },
    { keys: ['r'], shown: ['R'], text: 'mark as reviewed, go to the next item', press: () => void markCurrent(true) },
    { keys: ['Shift+r'], shown: ['Shift R'], text: 'take the mark back', press: () => void markCurrent(false) },
    { keys: ['g'], shown: ['G'], text: 'good to here: lock all objects up to this frame', press: () => void goodToHere(null) },
    { keys: ['Shift+g'], shown: ['Shift G'], text: 'the same for the selected object only', press: () => void goodToHere(store.selected) },
    { keys: ['x'], shown: ['X'], text: 'hold: masks before the last tracking', press: () => void showBefore(), release: showAfter },
    { keys: ['t'], shown: ['T'], text: 'track again what is stale; stop', press: () => void trackOrStop() },
    { keys: ['y'], shown: ['Y'], text: 'show queue or history', press: () => showTab(byId('panel-history', HTMLElement).hidden ? 'history' : 'queue') },
  ] },
  { title: 'Correct', keys: [
    { keys: ['v'], shown: ['V'], text: 'look: move and select', press: () => setTool('look') },
    { keys: ['a'], shown: ['A'], text: 'add: click what belongs to the object', press: () => setTool('add') },
    { keys: ['d'], shown: ['D'], text: 'subtract: click what does not', press: () => setTool('subtract') },
    { keys: ['w'], shown: ['W'], text: 'box', press: () => setTool('box') },
    { keys: ['q'], shown: ['Q'], text: 'brush', press: () => setTool('brush') },
    { keys: ['e'], shown: ['E'], text: 'eraser', press: () => setTool('eraser') },
    { keys: ['<'], shown: ['<'], text: 'smaller brush', press: () => resizeBrush(1 / 1.2), repeats: true },
    { keys: ['>'], shown: ['>'], text: 'larger brush', press: () => resizeBrush(1.2), repeats: true },
    { keys: [], shown: ['Right click', 'Alt click'], text: 'the opposite of the tool', press: () => {} },
    { keys: ['Delete', 'Backspace'], shown: ['Del'], text: 'delete the chosen point, or clear the prompt here', press: () => { if (!deleteChosen()) void remove(store.shown, store.selected); } },
    { keys: ['Ctrl+z'], shown: ['Ctrl Z'], text: 'undo', press: () => void step('undo'), repeats: true },
    { keys: ['Ctrl+Shift+z', 'Ctrl+y'], shown: ['Ctrl Y'], text: 'redo', press: () => void step('redo'), repeats: true },
    { keys: ['k'], shown: ['K'], text: 'prompt from the pose track', press: () => void fromTrack() },
    { keys: ['c'], shown: ['C'], text: 'copy the pointer\u2019s place as --point', press: copyPoint },
    { keys: ['Escape'], shown: ['Esc'], text: 'close candidates, forget the span, look', press: escape },
  ] },
  { title: 'Objects', keys: [
    { keys: [], shown: ['1', '\u2026', '9'], text: 'select an object, or take a candidate while they are open', press: () => {} },
    { keys: ['ArrowDown'], shown: ['\u2193'], text: 'next object', press: () => neighbour(1) },
    { keys: ['ArrowUp'], shown: ['\u2191'], text: 'previous object', press: () => neighbour(-1) },
    { keys: ['o'], shown: ['O'], text: 'add an object', press: addObject },
    { keys: ['F2'], shown: ['F2'], text: 'rename', press: () => rename(store.selected) },
    { keys: ['i'], shown: ['I'], text: 'show only the selected object', press: () => solo(store.selected) },
    { keys: ['Shift+h'], shown: ['Shift H'], text: 'hide the selected object', press: () => hide(store.selected) },
    { keys: ['Shift+x'], shown: ['Shift X'], text: 'swap with another from here on', press: () => swapMenu(byId('act-swap', HTMLButtonElement)) },
    { keys: ['Shift+a'], shown: ['Shift A'], text: 'absent on the span or this frame', press: () => { if (store.selected) void absent(true); } },
  ] },
  { title: 'Play', keys: [
    { keys: [], shown: ['Space'], text: 'play or pause; hold and drag to move the picture', press: () => {} },
    { keys: ['Shift+ '], shown: ['Shift Space'], text: 'play backwards', press: () => toggle(-1) },
    { keys: [','], shown: [','], text: 'slower', press: () => faster(-1) },
    { keys: ['.'], shown: ['.'], text: 'faster', press: () => faster(1) },
    { keys: ['['], shown: ['['], text: 'the span begins here', press: () => spanEnd('first') },
    { keys: [']'], shown: [']'], text: 'the span ends here', press: () => spanEnd('last') },
    { keys: ['l'], shown: ['L'], text: 'loop the span', press: toggleLoop },
  ] },
  { title: 'View', keys: [
    { keys: ['h'], shown: ['H'], text: 'hide or show masks', press: () => toggleView('masks') },
    { keys: ['u'], shown: ['U'], text: 'outlines only', press: () => toggleView('outline') },
    { keys: ['m'], shown: ['M'], text: 'body parts of the pose track', press: () => toggleView('parts') },
    { keys: ['+', '='], shown: ['+'], text: 'larger', press: () => zoom(1.25), repeats: true },
    { keys: ['-'], shown: ['\u2212'], text: 'smaller', press: () => zoom(0.8), repeats: true },
    { keys: ['0'], shown: ['0'], text: 'fit the picture', press: fit },
    { keys: ['z'], shown: ['Z'], text: 'one pixel on one of the screen', press: actualSize },
    { keys: ['Shift+c'], shown: ['Shift C'], text: 'contrast and gamma', press: () => toggleTone() },
    { keys: ['Shift+w'], shown: ['Shift W'], text: 'timeline: zoom in', press: () => zoomTime(2), repeats: true },
    { keys: ['Shift+q'], shown: ['Shift Q'], text: 'timeline: zoom out', press: () => zoomTime(0.5), repeats: true },
    { keys: ['Shift+e'], shown: ['Shift E'], text: 'export', press: openExport },
    { keys: ['?'], shown: ['?'], text: 'this sheet', press: openSheet },
  ] },
];

/** Returns the keys for the sheet. */
export const groups = () => table.map(({ title, keys }) => ({ title, keys: keys.filter(({ shown }) => shown.length) }));

/** @type {Map<string, Key>} */
const byName = new Map();
for (const { keys } of table) for (const key of keys) for (const name of key.keys) byName.set(name, key);
for (let number = 1; number <= 9; number += 1) byName.set(String(number), { keys: [], shown: [], text: '', press: () => digit(number) });

/**
 * Returns a key's name in the table. Shift counts for letters and named keys only: '?' needs it on most keyboards.
 * @param {KeyboardEvent} event
 */
function nameOf(event) {
  const single = event.key.length === 1;
  const letter = single && event.key.toLowerCase() !== event.key.toUpperCase();
  const shift = event.shiftKey && (!single || letter || event.key === ' ');
  return `${event.ctrlKey || event.metaKey ? 'Ctrl+' : ''}${shift ? 'Shift+' : ''}${letter ? event.key.toLowerCase() : event.key}`;
}

/** Returns true if the element takes text or uses this key itself. @param {Event} event @param {string} key */
function taken(event, key) {
  const element = event.target;
  if (!(element instanceof HTMLElement)) return false;
  if (element.isContentEditable || element instanceof HTMLTextAreaElement || element instanceof HTMLSelectElement) return true;
  if (element instanceof HTMLInputElement) {
    if (!['checkbox', 'range', 'color', 'button'].includes(element.type)) return true;
    return key.startsWith('Arrow') || key === ' ' || key === 'Home' || key === 'End' || key.startsWith('Page');
  }
  return element instanceof HTMLButtonElement && (key === ' ' || key === 'Enter');
}

/** The key that is held, for those that end when it is released. @type {{code: string, release: () => void} | null} */
let holding = null;

/** @param {KeyboardEvent} event */
function down(event) {
  if (event.defaultPrevented || event.isComposing || document.querySelector('dialog[open]') || taken(event, event.key)) return;
  if (event.key === ' ' && !event.ctrlKey && !event.altKey && !event.shiftKey) {
    if (!event.repeat) {
      held.space = true;
      held.dragged = false;
      byId('stage', HTMLElement).classList.add('space');
    }
    event.preventDefault();
    return;
  }
  if (event.altKey) return;
  const key = byName.get(nameOf(event));
  if (!key) return;
  event.preventDefault();
  if (event.repeat && !key.repeats) return;
  if (key.release) holding = { code: event.code, release: key.release };
  key.press();
}

/** @param {KeyboardEvent} event */
function up(event) {
  if (event.key === ' ' && held.space) {
    held.space = false;
    byId('stage', HTMLElement).classList.remove('space');
    if (!held.dragged) toggle(1);
  }
  if (holding && holding.code === event.code) {
    holding.release();
    holding = null;
  }
}

/** Starts listening. */
export function startKeys() {
  document.addEventListener('keydown', down);
  document.addEventListener('keyup', up);
  addEventListener('blur', () => {
    held.space = false;
    byId('stage', HTMLElement).classList.remove('space');
    holding?.release();
    holding = null;
  });
  // A button that was clicked gives the keyboard back, so that Space plays instead of pressing it again.
  document.addEventListener('click', (event) => {
    const button = event.target instanceof Element ? event.target.closest('button') : null;
    if (button && event.detail > 0 && document.activeElement === button && !button.closest('dialog, .menu')) button.blur();
  });
  document.addEventListener('change', (event) => {
    if (event.target instanceof HTMLSelectElement && !event.target.closest('dialog')) event.target.blur();
  });
}
