// @ts-check
// Small helpers for elements, numbers and messages.

import { shapes } from './icons.js';

/**
 * Returns the element with this id; throws if the page lacks it.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function byId(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`the page has no #${id}`);
  return element;
}

/**
 * Makes an element with properties and children.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {Record<string, unknown>} [given] `class`, `text`, attributes with `-` or `role`, listeners as `onclick`, else properties
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(name, given = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || value === null) continue;
    if (key === 'class') element.className = String(value);
    else if (key === 'text') element.textContent = String(value);
    else if (key.includes('-') || key === 'role' || key === 'for') element.setAttribute(key, String(value));
    else Reflect.set(element, key, value);
  }
  for (const child of children) if (child) element.append(child);
  return element;
}

/**
 * Makes an icon of 16 by 16 pixels that screen readers skip.
 * @param {keyof typeof shapes} name
 */
export function icon(name) {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(space, 'path');
  path.setAttribute('d', shapes[name]);
  svg.append(path);
  return svg;
}

/** Puts icons into the buttons that the page declares with `data-icon`. */
export function placeIcons() {
  for (const button of document.querySelectorAll('[data-icon]')) {
    const name = button.getAttribute('data-icon');
    if (name && name in shapes) button.prepend(icon(/** @type {keyof typeof shapes} */ (name)));
  }
}

/** @param {number} number */
export const grouped = (number) => Math.round(number).toLocaleString('en-US');

/**
 * Returns a number with its noun: "1 frame", "2,000 frames".
 * @param {number} number
 * @param {string} noun
 */
export const counted = (number, noun) => `${grouped(number)} ${noun}${number === 1 ? '' : 's'}`;

/**
 * Returns seconds as `0:27.1` or `1:02:03`.
 * @param {number} seconds
 * @param {boolean} [tenths]
 */
export function clock(seconds, tenths = true) {
  const every = tenths ? Math.floor(seconds * 10 + 1e-6) : Math.round(seconds) * 10;
  const whole = Math.floor(every / 10);
  const two = (/** @type {number} */ value) => String(value).padStart(2, '0');
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  const text = hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  return tenths ? `${text}.${every % 10}` : text;
}

/**
 * Names a span: "frame 7" or "frames 7 to 9".
 * @param {import('./types.js').Span} span
 */
export const spanText = ({ first, last }) => (first === last ? `frame ${grouped(first)}` : `frames ${grouped(first)} to ${grouped(last)}`);

/**
 * @param {number} value
 * @param {number} least
 * @param {number} most
 */
export const within = (value, least, most) => Math.min(most, Math.max(least, value));

/**
 * Returns a function that runs `work` once, `wait` milliseconds after the last call.
 * @param {number} wait
 * @param {() => void} work
 */
export function settled(wait, work) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, wait);
  };
}

/**
 * Returns a function that runs `work` in the next animation frame, however often it is called before.
 * @param {() => void} work
 */
export function nextFrame(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      work();
    });
  };
}

const toasts = () => byId('toasts', HTMLElement);

/**
 * Shows a message above the picture. Screen readers read it aloud. At most three stay on the page.
 * @param {string} text
 * @param {{kind?: 'note' | 'bad', button?: string, press?: () => void, stay?: boolean, topic?: string}} [options] a message replaces an older one on its topic
 */
export function say(text, { kind = 'note', button, press, stay = kind === 'bad', topic = text } = {}) {
  const box = toasts();
  for (const old of [...box.children]) if (old.getAttribute('data-topic') === topic) old.remove();
  while (box.children.length >= 3) box.firstElementChild?.remove();
  const toast = make('div', { class: `toast ${kind}`, 'data-topic': topic, 'data-text': text }, make('span', { text }));
  const close = () => toast.remove();
  if (button && press) {
    toast.append(make('button', { text: button, type: 'button', onclick: () => { close(); press(); } }));
  }
  toast.append(make('button', { class: 'bare', type: 'button', 'aria-label': 'Close this message', onclick: close }, icon('cross')));
  box.append(toast);
  if (!stay) setTimeout(close, button ? 9000 : 4500);
}

/**
 * Copies text to the clipboard. Falls back to a selection, because pages that are not on localhost lack the clipboard.
 * @param {string} text
 * @param {string} [what]
 */
export async function copy(text, what = text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make('textarea', { value: text, class: 'offscreen' });
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  say(`Copied: ${what}`, { topic: 'copied' });
}

/**
 * Opens a menu next to a button. Arrow keys move, Escape closes.
 * @param {HTMLElement} button
 * @param {string} label
 * @param {{text: string, note?: string, colour?: string, disabled?: boolean, press: () => void}[]} items
 */
export function menu(button, label, items) {
  document.querySelector('.menu')?.remove();
  const list = make('div', { class: 'menu', role: 'menu', 'aria-label': label }, make('p', { class: 'menu-title', text: label }));
  const close = () => {
    list.remove();
    document.removeEventListener('pointerdown', away, true);
    button.setAttribute('aria-expanded', 'false');
  };
  const away = (/** @type {Event} */ event) => {
    if (event.target instanceof Node && !list.contains(event.target)) close();
  };
  for (const { text, note, colour, disabled, press } of items) {
    const item = make('button', { type: 'button', role: 'menuitem', disabled: Boolean(disabled), onclick: () => { close(); button.focus(); press(); } });
    if (colour) {
      const swatch = make('span', { class: 'swatch' });
      swatch.style.background = colour;
      item.append(swatch);
    }
    item.append(make('span', { text }), note ? make('small', { text: note }) : '');
    list.append(item);
  }
  const buttons = [...list.querySelectorAll('button')].filter((one) => !one.disabled);
  list.addEventListener('keydown', (event) => {
    event.stopPropagation();
    const at = buttons.findIndex((one) => one === document.activeElement);
    const move = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (move) {
      buttons[(at + move + buttons.length) % buttons.length]?.focus();
      event.preventDefault();
    } else if (event.key === 'Escape' || event.key === 'Tab') {
      close();
      button.focus();
    }
  });
  document.body.append(list);
  const place = button.getBoundingClientRect(), size = list.getBoundingClientRect();
  const below = place.bottom + 4 + size.height <= innerHeight;
  list.style.left = `${within(place.left, 8, Math.max(8, innerWidth - size.width - 8))}px`;
  list.style.top = `${below ? place.bottom + 4 : Math.max(8, place.top - size.height - 4)}px`;
  button.setAttribute('aria-expanded', 'true');
  document.addEventListener('pointerdown', away, true);
  buttons[0]?.focus();
}
