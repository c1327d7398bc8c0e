// @ts-check
// The review queue: spans that a person should look at, the worst first.

/** @import {Queue, QueueItem} from './types.js' */
import { act } from './actions.js';
import { get } from './api.js';
import { byId, clock, grouped, icon, make, say, settled } from './dom.js';
import { flagChip, flagLabel } from './flags.js';
import { List } from './list.js';
import { blocked, colourOf, nameOf, on, select, store, tell, things } from './store.js';
import { beyond } from './spans.js';
import { giveUpThumbnail, HEIGHT, thumbnail, WIDTH } from './thumbnails.js';
import { go } from './travel.js';

const box = byId('queue-list', HTMLElement);
const progress = byId('queue-progress', HTMLProgressElement);
const count = byId('queue-count', HTMLElement);
const byObject = byId('queue-object', HTMLSelectElement);
const byFlag = byId('queue-flag', HTMLSelectElement);
const order = byId('queue-order', HTMLSelectElement);
const openOnly = byId('queue-open', HTMLInputElement);
const empty = byId('queue-empty', HTMLElement);

/** @type {List<QueueItem>} */
const list = new List(box, 66, render, (item) => visit(item), (item) => giveUpThumbnail(item));
/** The item that the person is at. */
let current = '';
list.isCurrent = ({ id }) => id === current;
let version = '';
let busy = false;

/** Returns what the queue depends on. */
const versionNow = () => [store.state.revision, store.state.head, store.state.known, Boolean(store.state.tracking)].join();

/** Reads the queue if it may have changed. */
const readSoon = settled(200, () => void read());

async function read() {
  if (busy || !store.online) return;
  busy = true;
  const asked = versionNow();
  try {
    store.queue = /** @type {Queue} */ (await get('queue'));
    version = asked;
    tell('queue');
  } catch (error) {
    if (store.online) empty.textContent = error instanceof Error ? error.message : String(error);
  } finally {
    busy = false;
    if (versionNow() !== asked && !store.state.tracking) readSoon();
  }
}

/** Returns the items that the filters let through, in the chosen order. */
function filtered() {
  const items = store.queue?.items ?? [];
  const object = Number(byObject.value), flag = byFlag.value;
  const some = items.filter((item) => (!object || item.object === object) && (!flag || item.flags.includes(flag)) && (!openOnly.checked || item.state === 'open' || item.id === current));
  return some.sort((a, b) => (order.value === 'time' ? a.first - b.first || a.object - b.object : b.badness - a.badness || a.first - b.first));
}

/** Shows the queue. The place of the list is kept. */
function draw() {
  const { queue } = store;
  if (!queue) return;
  progress.max = Math.max(1, queue.total);
  progress.value = queue.reviewed;
  count.textContent = queue.total ? `${grouped(queue.reviewed)} of ${grouped(queue.total)}` : 'nothing to review';
  const items = filtered();
  list.set(items);
  const at = items.findIndex(({ id }) => id === current);
  if (at >= 0) {
    list.active = at;
    list.mark();
  }
  empty.hidden = items.length > 0;
  empty.textContent = queue.total === 0 ? 'The program has flagged nothing.' : openOnly.checked && queue.reviewed === queue.total ? 'All is reviewed.' : 'No item matches the filters.';
}

/** Fills the filters with the objects and flags that occur. */
function drawFilters() {
  const fill = (/** @type {HTMLSelectElement} */ field, /** @type {[string, string][]} */ options) => {
    const old = field.value;
    if (field.dataset.options === JSON.stringify(options)) return;
    field.dataset.options = JSON.stringify(options);
    field.replaceChildren(...options.map(([value, text]) => make('option', { value, text })));
    field.value = options.some(([value]) => value === old) ? old : '';
  };
  const items = store.queue?.items ?? [];
  fill(byObject, [['', 'All objects'], ...things().map((one) => /** @type {[string, string]} */ ([String(one.id), nameOf(one.id)]))]);
  fill(byFlag, [['', 'All flags'], ...store.flagNames.filter((flag) => items.some(({ flags }) => flags.includes(flag))).map((flag) => /** @type {[string, string]} */ ([flag, flagLabel(flag)]))]);
}

/** @param {QueueItem} item */
function render(item) {
  const canvas = make('canvas', { 'aria-hidden': 'true' });
  canvas.style.width = `${WIDTH}px`;
  canvas.style.height = `${HEIGHT}px`;
  void thumbnail(item, canvas);
  const swatch = make('span', { class: 'swatch' });
  swatch.style.background = colourOf(item.object);
  const done = item.state !== 'open';
  const span = item.first === item.last ? grouped(item.first) : `${grouped(item.first)}\u2013${grouped(item.last)}`;
  const tick = make('button', { type: 'button', class: `bare tick${done ? ' on' : ''}`, tabIndex: -1, disabled: Boolean(blocked()) || item.state === 'corrected',
    'aria-pressed': String(done), 'aria-label': done ? `${item.state}: ${item.text}` : `Mark as reviewed: ${item.text}`, title: done ? item.state : 'Mark as reviewed (R)', onclick: () => void mark(item, item.state === 'open') }, icon('tick'));
  const row = make('div', { class: `item ${item.state}` }, canvas,
    make('div', { class: 'item-text' },
      make('div', { class: 'item-title' }, swatch, make('b', { text: nameOf(item.object) }), make('span', { class: 'muted', text: item.text })),
      make('div', { class: 'item-flags' }, ...item.flags.map(flagChip)),
      make('div', { class: 'muted item-when', text: `${span}${store.run.rate ? `  \u00b7  ${clock(item.worst / store.run.rate, false)}` : ''}` })),
    tick);
  const bad = make('span', { class: 'badness', title: `Badness ${item.badness.toFixed(2)} of 1` });
  bad.style.height = `${Math.round(100 * item.badness)}%`;
  row.append(bad);
  row.setAttribute('aria-label', `${nameOf(item.object)}, ${item.text}, ${item.flags.map(flagLabel).join(', ')}, frames ${item.first} to ${item.last}, ${item.state}`);
  return row;
}

/** Goes to the worst frame of an item. @param {QueueItem} item */
function visit(item) {
  current = item.id;
  if (things().some(({ id }) => id === item.object)) select(item.object);
  go(item.worst);
  const at = list.items.findIndex(({ id }) => id === item.id);
  if (at >= 0) list.activate(at);
}

/**
 * Goes to the next or previous item that is open; to the first one if none was visited.
 * @param {number} move 1 or -1
 */
export function nextItem(move) {
  const items = list.items;
  let at = items.findIndex(({ id }) => id === current);
  if (at < 0 && move < 0) at = items.length;
  for (let index = at + move; index >= 0 && index < items.length; index += move) {
    if (items[index].state === 'open') return visit(items[index]);
  }
  say(move > 0 ? 'No open item follows in the queue.' : 'No open item comes before this one.');
}

/**
 * Marks an item as reviewed, or takes that back.
 * @param {QueueItem} item
 * @param {boolean} on
 */
async function mark(item, on) {
  const done = await act({ type: 'reviewed', item: item.id, on }, on ? 'Marking as reviewed' : 'Taking the mark back');
  if (!done || !store.queue) return done;
  const mine = store.queue.items.find(({ id }) => id === item.id);
  if (mine && (mine.state === 'open') === on) {
    mine.state = on ? 'reviewed' : 'open';
    store.queue.reviewed += on ? 1 : -1;
    tell('queue');
  }
  return done;
}

/**
 * Marks the current item as reviewed and goes to the next one.
 * @param {boolean} on
 */
export async function markCurrent(on) {
  const item = store.queue?.items.find(({ id }) => id === current)
    ?? store.queue?.items.find((one) => one.object === store.selected && one.first <= store.shown && store.shown <= one.last);
  if (!item) return say('No item of the queue is on display. The key N goes to the next one.');
  current = item.id;
  const already = (item.state !== 'open') === on;
  if (already || await mark(item, on)) {
    if (on) nextItem(1);
  }
}

/**
 * Goes to the next or previous flagged span in time.
 * @param {number} direction
 */
export function nextFlag(direction) {
  const items = (store.queue?.items ?? []).filter((item) => (!Number(byObject.value) || item.object === Number(byObject.value)) && (!byFlag.value || item.flags.includes(byFlag.value)));
  const frame = beyond(items.map(({ first }) => first), store.wanted, direction);
  if (frame === null) return say(direction > 0 ? 'No flag follows.' : 'No flag comes before.');
  const item = items.find(({ first }) => first === frame);
  if (item && things().some(({ id }) => id === item.object)) select(item.object);
  go(frame);
}

/** Starts reading and drawing. */
export function startQueue() {
  for (const field of [byObject, byFlag, order, openOnly]) field.addEventListener('change', draw);
  byId('queue-next', HTMLButtonElement).addEventListener('click', () => nextItem(1));
  byId('queue-previous', HTMLButtonElement).addEventListener('click', () => nextItem(-1));
  on(['state'], () => {
    if (versionNow() !== version && (!store.state.tracking || !store.queue)) readSoon();
  });
  on(['queue'], () => {
    drawFilters();
    draw();
  });
  let names = '';
  on(['state', 'ready'], () => {
    const now = JSON.stringify([store.state.objects, blocked()]);
    if (now === names) return;
    names = now;
    drawFilters();
    draw();
  });
  void read();
}
