// @ts-check
// The list of objects, and what can be done with the selected one.

import { act } from './actions.js';
import { visible } from './canvas.js';
import { byId, counted, grouped, icon, make, menu, say, spanText } from './dom.js';
import { flagLabel } from './flags.js';
import { shownFrame } from './frames.js';
import { fromTrack, remove } from './prompts.js';
import { covers } from './spans.js';
import { blocked, nameOf, on, select, setTool, store, tell, thing, things } from './store.js';

/** @import {Span, Thing} from './types.js' */

const list = byId('objects-list', HTMLElement);
const facts = byId('object-facts', HTMLElement);
/** Colours of new objects, as the command line gives them. */
const COLOURS = ['#e69f00', '#56b4e9', '#009e73', '#f0e442', '#0072b2', '#d55e00', '#cc79a7'];
let editing = 0;

/** Adds an object without a prompt. The server knows it once it is prompted. */
export function addObject() {
  const why = blocked();
  if (why) return say(`Nothing was changed. ${why}`, { kind: 'bad' });
  if (store.fresh) return select(store.fresh.id);
  const id = Math.max(0, ...store.state.objects.map((one) => one.id), ...store.state.prompts.map((one) => one.object)) + 1;
  store.fresh = { id, name: '', colour: COLOURS[(id - 1) % COLOURS.length] };
  select(id);
  tell('state');
  // The other tools can begin an object; these cannot.
  if (['look', 'subtract', 'eraser'].includes(store.tool)) setTool('add');
  say(`Object ${id}: click it on any frame where it is visible. Other objects stay as they are.`);
}

/** While frames play, the list follows at this pace, in milliseconds. */
const PACE = 250;
let drawnAt = 0;

/** Draws the list. Rows are few, so all of them are made anew, unless a name is being edited. */
function draw() {
  if (editing || (store.playing && performance.now() - drawnAt < PACE)) return;
  drawnAt = performance.now();
  const { scrollTop } = list;
  const focused = document.activeElement instanceof HTMLElement && list.contains(document.activeElement) ? document.activeElement.dataset.object : undefined;
  const why = blocked();
  const frame = shownFrame();
  list.replaceChildren(...things().map((one) => {
    const { id, colour } = one;
    const found = frame?.masks?.find(({ info }) => info.id === id);
    const absent = covers(store.state.absent, id, store.shown);
    const marks = found ? [found.info.prompted && 'prompted', found.info.locked && 'locked', found.info.stale && 'stale', absent && 'absent'].filter(Boolean) : [];
    const state = store.fresh?.id === id ? 'not prompted yet' : !found ? '' : found.mask.area ? `${grouped(found.mask.area)} px` : 'no mask here';
    const row = make('div', { class: `object${id === store.selected ? ' selected' : ''}${visible(id) ? '' : ' unseen'}`, role: 'option', 'aria-selected': String(id === store.selected), tabIndex: id === store.selected ? 0 : -1 },
      make('input', { type: 'color', value: colour, 'aria-label': `Colour of ${nameOf(id)}`, title: 'Colour', disabled: Boolean(why) || store.fresh?.id === id, tabIndex: -1,
        onchange: (/** @type {Event} */ event) => {
          if (event.target instanceof HTMLInputElement) void act({ type: 'colour', object: id, colour: event.target.value }, `Colouring ${nameOf(id)}`);
        } }),
      make('span', { class: 'number', text: String(id) }),
      make('span', { class: 'object-name' }, make('b', { text: nameOf(id), title: 'Double-click to rename (F2)' }), make('small', { text: [state, ...marks].filter(Boolean).join(' \u00b7 ') })),
      flagDots(found?.info.flags ?? []),
      make('button', { type: 'button', class: `bare${store.solo === id ? ' on' : ''}`, 'aria-pressed': String(store.solo === id), 'aria-label': `Show only ${nameOf(id)}`, title: 'Show only this object (I)', tabIndex: -1, onclick: () => solo(id) }, icon('solo')),
      make('button', { type: 'button', class: 'bare', 'aria-pressed': String(!visible(id)), 'aria-label': `Hide ${nameOf(id)}`, title: 'Hide or show this object (Shift+H)', tabIndex: -1, onclick: () => hide(id) }, icon(visible(id) ? 'eye' : 'closed')));
    row.dataset.object = String(id);
    row.addEventListener('click', (event) => {
      if (!(event.target instanceof Element && event.target.closest('button, input'))) select(id);
    });
    row.querySelector('b')?.addEventListener('dblclick', () => rename(id));
    return row;
  }));
  list.scrollTop = scrollTop;
  if (focused !== undefined) {
    const row = list.querySelector(`[data-object="${store.selected}"]`);
    if (row instanceof HTMLElement) row.focus({ preventScroll: true });
  }
  drawFacts();
}

/** @param {string[]} flags */
const flagDots = (flags) => make('span', { class: 'dots' }, ...flags.map((flag) => make('i', { class: `flag-${flag}`, title: flagLabel(flag) })));

/** Writes the numbers of the selected object on the frame on display. */
function drawFacts() {
  const frame = shownFrame();
  const found = frame?.masks?.find(({ info }) => info.id === store.selected);
  const why = blocked();
  facts.replaceChildren();
  if (found) {
    const { score, iou, agreement } = found.info;
    const number = (/** @type {number | null} */ value, /** @type {number} */ digits) => (value === null ? '\u2013' : value.toFixed(digits).replace('-', '\u2212'));
    for (const [name, value, told] of [['score', number(score, 1), 'Object score: above 0, the model sees the object'], ['IoU', number(iou, 2), 'How well the model itself thinks the mask fits'], ['agreement', number(agreement, 2), 'How far the masks tracked from both sides agree']]) {
      facts.append(make('span', { title: told }, `${name} `, make('b', { text: value })));
    }
  }
  const known = Boolean(thing(store.selected)) && store.fresh?.id !== store.selected;
  for (const button of document.querySelectorAll('#object-actions button')) {
    if (button instanceof HTMLButtonElement) button.disabled = Boolean(why) || !known;
  }
  byId('act-track', HTMLButtonElement).hidden = !store.run.hasTrack;
  byId('act-track', HTMLButtonElement).disabled = Boolean(why) || !thing(store.selected);
  byId('add-object', HTMLButtonElement).disabled = Boolean(why);
}

/** Shows only one object, or all again. @param {number} id */
export function solo(id) {
  store.solo = store.solo === id ? 0 : id;
  tell('view');
}

/** Hides or shows an object. @param {number} id */
export function hide(id) {
  if (store.solo) store.solo = 0;
  else if (!store.hidden.delete(id)) store.hidden.add(id);
  tell('view');
}

/** Opens a field for an object's name. @param {number} id */
export function rename(id) {
  const why = blocked();
  if (why) return say(`Nothing was changed. ${why}`, { kind: 'bad' });
  if (store.fresh?.id === id) return say('Prompt the object first; then it can have a name.');
  const name = list.querySelector(`[data-object="${id}"] .object-name`);
  if (!name) return;
  editing = id;
  const old = thing(id)?.name ?? '';
  const field = make('input', { type: 'text', value: old, maxLength: 60, 'aria-label': `Name of object ${id}` });
  let open = true;
  const end = (/** @type {boolean} */ keep) => {
    if (!open) return;
    open = false;
    editing = 0;
    const text = field.value.trim();
    draw();
    if (keep && text !== old) void act({ type: 'name', object: id, name: text }, `Renaming object ${id}`);
  };
  field.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') end(true);
    else if (event.key === 'Escape') end(false);
    event.stopPropagation();
  });
  field.addEventListener('blur', () => end(true));
  name.replaceChildren(field);
  field.focus();
  field.select();
}

/** Returns the selected span, or the frame on display. @returns {Span} */
const spanOrFrame = () => store.span ?? { first: store.shown, last: store.shown };

/**
 * Says that the selected object is not there, or takes that back.
 * @param {boolean} on
 */
export const absent = (on) => act({ type: 'absent', object: store.selected, ...spanOrFrame(), on }, `${on ? 'Absent' : 'Not absent'}: ${nameOf(store.selected)}`);

/**
 * Locks or unlocks frames.
 * @param {number | null} object `null` for all
 * @param {Span} span
 * @param {boolean} on
 */
export const lock = (object, span, on = true) => act({ type: 'lock', object, first: span.first, last: span.last, on }, `${on ? 'Locking' : 'Unlocking'} ${spanText(span)}`);

/**
 * Locks everything up to the frame on display: it looks good.
 * @param {number | null} object `null` for all
 */
export async function goodToHere(object) {
  const done = await lock(object, { first: store.run.first, last: store.shown });
  if (done) say(`Locked: ${object === null ? 'all objects' : nameOf(object)} up to frame ${grouped(store.shown)}. Nothing changes these masks until they are unlocked.`);
}

/** @param {HTMLElement} button */
function deleteMenu(button) {
  const id = store.selected, { first, last } = store.run;
  const cut = (/** @type {Span} */ span) => void act({ type: 'delete', object: id, ...span }, `Deleting ${nameOf(id)}`).then((done) => {
    if (done) say(`Deleted: ${nameOf(id)}, ${span.first === first && span.last === last ? 'everywhere' : spanText(span)}. Undo brings it back.`);
  });
  const here = { first: store.shown, last: store.shown };
  menu(button, `Delete ${nameOf(id)}`, [
    ...(store.span ? [{ text: `On ${spanText(store.span)}`, note: 'the selected span', press: () => cut(/** @type {Span} */ (store.span)) }] : []),
    { text: `On this frame only (${grouped(store.shown)})`, press: () => cut(here) },
    { text: 'From here on', note: `${counted(last - store.shown + 1, 'frame')}`, press: () => cut({ first: store.shown, last }) },
    { text: 'Everywhere', note: 'with all its prompts', press: () => cut({ first, last }) },
  ]);
}

/**
 * Lists the other objects in a menu.
 * @param {HTMLElement} button
 * @param {string} title
 * @param {(other: Thing) => void} press
 */
function others(button, title, press) {
  menu(button, title, store.state.objects.filter(({ id }) => id !== store.selected)
    .map((one) => ({ text: `${one.id}  ${nameOf(one.id)}`, colour: one.colour, press: () => press(one) })));
}

/** @param {HTMLElement} button */
export function swapMenu(button) {
  const { span } = store;
  const a = store.selected, first = span?.first ?? store.shown;
  others(button, span ? `Swap ${nameOf(a)} on ${spanText(span)} with` : `From frame ${grouped(first)} to the next lock, swap ${nameOf(a)} with`, ({ id }) => {
    void act({ type: 'swap', objects: [a, id], first, ...(span ? { last: span.last } : {}) }, `Swapping ${nameOf(a)} and ${nameOf(id)}`);
  });
}

/** @param {HTMLElement} button */
function mergeMenu(button) {
  const id = store.selected;
  others(button, `Join ${nameOf(id)} everywhere to`, (other) => {
    void act({ type: 'merge', object: id, into: other.id }, `Merging ${nameOf(id)} into ${nameOf(other.id)}`).then((done) => {
      if (done) select(other.id);
    });
  });
}

/** @param {HTMLElement} button */
function lockMenu(button) {
  const { span, selected: id, shown } = store;
  const spans = span ?? { first: shown, last: shown };
  menu(button, 'Locked masks are never changed', [
    { text: `All objects: good to here`, note: `G \u00b7 up to frame ${grouped(shown)}`, press: () => void goodToHere(null) },
    { text: `${nameOf(id)}: good to here`, note: 'Shift+G', press: () => void goodToHere(id) },
    { text: `Lock ${nameOf(id)} on ${spanText(spans)}`, press: () => void lock(id, spans) },
    { text: `Lock all objects on ${spanText(spans)}`, press: () => void lock(null, spans) },
    { text: `Unlock ${nameOf(id)} on ${spanText(spans)}`, press: () => void lock(id, spans, false) },
    { text: `Unlock all objects on ${spanText(spans)}`, press: () => void lock(null, spans, false) },
  ]);
}

/** @param {HTMLElement} button */
function absentMenu(button) {
  const spans = spanOrFrame();
  menu(button, `${nameOf(store.selected)} on ${spanText(spans)}`, [
    { text: 'Is not there', note: 'its masks are empty', press: () => void absent(true) },
    { text: 'May be there again', press: () => void absent(false) },
  ]);
}

/** Starts drawing and listening. */
export function startObjects() {
  byId('add-object', HTMLButtonElement).addEventListener('click', addObject);
  /** @type {[string, (button: HTMLElement) => void][]} */
  const buttons = [['act-rename', () => rename(store.selected)], ['act-swap', swapMenu], ['act-merge', mergeMenu], ['act-lock', lockMenu], ['act-absent', absentMenu],
    ['act-delete', deleteMenu], ['act-track', () => void fromTrack()], ['act-clear', () => void remove(store.shown, store.selected)]];
  for (const [id, press] of buttons) {
    const button = byId(id, HTMLButtonElement);
    button.addEventListener('click', () => press(button));
  }
  list.addEventListener('keydown', (event) => {
    const move = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (event.key === 'F2') rename(store.selected);
    if (!move || !(event.target instanceof HTMLElement) || event.target.getAttribute('role') !== 'option') return;
    neighbour(move);
    event.preventDefault();
    event.stopPropagation();
  });
  on(['state', 'shown', 'masks', 'selected', 'view', 'ready', 'run', 'play'], draw);
  on(['selected'], () => showSelected());
  draw();
  showSelected();
}

/** Scrolls the selected object into sight, without moving the page on a phone. */
function showSelected() {
  const row = list.querySelector('.selected');
  if (!(row instanceof HTMLElement)) return;
  const top = row.offsetTop - list.offsetTop;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + row.offsetHeight > list.scrollTop + list.clientHeight) list.scrollTop = top + row.offsetHeight - list.clientHeight;
}

/** Selects the next or previous object. @param {number} move */
export function neighbour(move) {
  const all = things();
  const at = all.findIndex(({ id }) => id === store.selected);
  const next = all[(at + move + all.length) % all.length];
  if (next) select(next.id);
}
