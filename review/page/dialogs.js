// @ts-check
// Dialogues: export and the sheet of keys.

/** @import {Exported} from './types.js' */
import { post, sentence } from './api.js';
import { byId, copy, make } from './dom.js';
import { groups } from './keys.js';
import { blocked, on, store } from './store.js';

const dialog = byId('export', HTMLDialogElement);
const sheet = byId('sheet', HTMLDialogElement);
const format = byId('export-format', HTMLSelectElement);
const path = byId('export-path', HTMLInputElement);
const result = byId('export-result', HTMLElement);
const send = byId('export-send', HTMLButtonElement);

/** Opens the dialogue for writing masks to files. */
export function openExport() {
  if (dialog.open) return;
  const { formats, recording } = store.run;
  if (!format.options.length) {
    format.replaceChildren(...formats.map(({ name, text }) => make('option', { value: name, text: `${text} (.${name})` })));
  }
  const base = recording.replace(/\.[^./\\]+$/, '');
  if (!path.value) path.value = `${base}.${format.value}`;
  const why = blocked();
  send.disabled = Boolean(why);
  result.replaceChildren(why ? make('p', { class: 'bad', text: why }) : '');
  const stale = store.state.stale.length > 0;
  byId('export-stale', HTMLElement).hidden = !stale;
  dialog.showModal();
  path.focus();
}

/** Sends the request and shows what was written. */
async function run() {
  if (send.disabled) return;
  send.disabled = true;
  result.replaceChildren(make('p', { text: 'Writing\u2026' }));
  try {
    const answer = /** @type {Exported} */ (await post('export', { outputs: [path.value.trim()], overwrite: byId('export-overwrite', HTMLInputElement).checked }));
    result.replaceChildren(make('p', { class: 'good', text: `Written: ${answer.written.join(', ')}` }),
      make('p', { class: 'muted', text: 'The same from the command line:' }),
      make('div', { class: 'command' }, make('code', { text: answer.command }), make('button', { type: 'button', class: 'small', text: 'Copy', onclick: () => void copy(answer.command, 'the command') })));
  } catch (error) {
    result.replaceChildren(make('p', { class: 'bad', text: sentence(error) }));
  } finally {
    send.disabled = Boolean(blocked());
  }
}

/** Opens the sheet of keys. */
export function openSheet() {
  if (sheet.open) return sheet.close();
  const body = byId('sheet-body', HTMLElement);
  if (!body.childElementCount) {
    for (const { title, keys } of groups()) {
      const list = make('dl');
      for (const { shown, text } of keys) list.append(make('dt', {}, ...shown.map((key) => make('kbd', { text: key }))), make('dd', { text }));
      body.append(make('section', {}, make('h3', { text: title }), list));
    }
  }
  sheet.showModal();
}

/** Starts listening. */
export function startDialogs() {
  byId('open-export', HTMLButtonElement).addEventListener('click', openExport);
  byId('open-sheet', HTMLButtonElement).addEventListener('click', openSheet);
  send.addEventListener('click', () => void run());
  format.addEventListener('change', () => {
    path.value = `${path.value.replace(/\.[^./\\]+$/, '')}.${format.value}`;
  });
  path.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') {
      event.preventDefault();
      void run();
    }
  });
  for (const one of [dialog, sheet]) {
    for (const close of one.querySelectorAll('[data-close]')) close.addEventListener('click', () => one.close());
    // A click next to a dialogue closes it.
    one.addEventListener('click', (event) => { if (event.target === one) one.close(); });
    one.addEventListener('keydown', (event) => event.stopPropagation());
  }
  on(['ready'], () => { if (dialog.open) send.disabled = Boolean(blocked()); });
}
