// @ts-check
// The history: every change, who made it and when, and a way back to any of them.

/** @import {Entry, History} from './types.js' */
import { act } from './actions.js';
import { get, sentence } from './api.js';
import { byId, make, say, settled } from './dom.js';
import { List } from './list.js';
import { blocked, on, store } from './store.js';
import { go } from './travel.js';

const box = byId('history-list', HTMLElement);
const tab = byId('tab-history', HTMLButtonElement);

/** @type {List<Entry>} */
const list = new List(box, 46, render, (entry) => {
  const frame = /\bframes? (\d+)/.exec(entry.text);
  if (frame) go(Number(frame[1]));
});
let head = -1;
list.isCurrent = ({ number }) => number === head;

/** Reads the history if its panel is open. */
const readSoon = settled(150, () => void read());
async function read() {
  if (box.closest('[hidden]') || !store.online) return;
  try {
    const history = /** @type {History} */ (await get('history'));
    head = history.head;
    /** @type {Entry} */
    const start = { number: 0, parent: 0, when: '', who: '', text: 'The run as it was computed', current: head === 0, undone: false };
    const entries = [...history.entries, start].sort((a, b) => b.number - a.number);
    list.set(entries);
  } catch (error) {
    if (store.online) say(`The history could not be read. ${sentence(error)}`, { kind: 'bad' });
  }
}

/** @param {Entry} entry */
function render(entry) {
  const when = entry.when ? new Date(entry.when) : null;
  const here = entry.number === head;
  const told = [when ? when.toLocaleString([], { dateStyle: 'short', timeStyle: 'short' }) : '', entry.who, entry.undone ? 'undone' : ''].filter(Boolean).join(' \u00b7 ');
  const row = make('div', { class: `entry${entry.undone ? ' undone' : ''}${entry.decision === false ? ' computed' : ''}` },
    make('span', { class: 'number', text: String(entry.number) }),
    make('div', { class: 'item-text' }, make('div', { class: 'entry-title', text: entry.text, title: entry.text }), make('div', { class: 'muted', text: told })),
    here ? make('span', { class: 'muted here', text: 'now' })
      : make('button', { type: 'button', class: 'small', text: 'Go back here', tabIndex: -1, disabled: Boolean(blocked()), 'aria-label': `Return to the state after: ${entry.text}`, title: 'Returns to the state after this change. The way there can be undone.', onclick: () => void back(entry) }));
  return row;
}

/** @param {Entry} entry */
async function back(entry) {
  const done = await act({ type: 'return', to: entry.number }, 'Returning to an earlier state');
  if (done) say(`Back at: ${entry.text}. Undo leads forward again.`);
}

/** Shows the queue or the history. @param {'queue' | 'history'} name */
export function showTab(name) {
  for (const one of /** @type {const} */ (['queue', 'history'])) {
    const button = byId(`tab-${one}`, HTMLButtonElement);
    button.setAttribute('aria-selected', String(one === name));
    button.tabIndex = one === name ? 0 : -1;
    byId(`panel-${one}`, HTMLElement).hidden = one !== name;
  }
  if (name === 'history') void read();
}

/** Starts listening. */
export function startHistory() {
  const queue = byId('tab-queue', HTMLButtonElement);
  queue.addEventListener('click', () => showTab('queue'));
  tab.addEventListener('click', () => showTab('history'));
  for (const button of [queue, tab]) {
    button.addEventListener('keydown', (event) => {
      if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return;
      const other = button === queue ? tab : queue;
      showTab(button === queue ? 'history' : 'queue');
      other.focus();
      event.preventDefault();
      event.stopPropagation();
    });
  }
  on(['state'], () => { if (store.state.head !== head) readSoon(); });
  on(['ready'], readSoon);
}
