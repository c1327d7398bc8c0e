// @ts-check
// Contrast, gamma, opacity and what is shown on the stage.

import { actualSize, applyTone, fit, onView, view, zoom } from './canvas.js';
import { byId, settled } from './dom.js';
import { on, store, tell } from './store.js';
import { toneChanged } from './travel.js';

const low = byId('tone-low', HTMLInputElement), high = byId('tone-high', HTMLInputElement), gamma = byId('tone-gamma-value', HTMLInputElement);
const box = byId('tone-box', HTMLElement), button = byId('tone-button', HTMLButtonElement);
const opacity = byId('opacity', HTMLInputElement);

/** The server is asked once the slider rests. */
const askSoon = settled(150, toneChanged);

/** Takes over the sliders. */
function change() {
  store.low = Math.min(Number(low.value), Number(high.value) - 0.01);
  store.high = Math.max(Number(high.value), store.low + 0.01);
  store.gamma = Number(gamma.value);
  show();
  applyTone();
  if (store.run.deep) askSoon();
}

function show() {
  byId('tone-low-text', HTMLElement).textContent = `${Math.round(100 * store.low)} %`;
  byId('tone-high-text', HTMLElement).textContent = `${Math.round(100 * store.high)} %`;
  byId('tone-gamma-text', HTMLElement).textContent = store.gamma.toFixed(2);
  button.classList.toggle('on', store.low !== 0 || store.high !== 1 || store.gamma !== 1);
}

/** Opens or closes the sliders for contrast. @param {boolean} [open] */
export function toggleTone(open = Boolean(box.hidden)) {
  box.hidden = !open;
  button.setAttribute('aria-expanded', String(open));
  if (open) low.focus();
  else button.focus();
}

/** @param {'masks' | 'outline' | 'parts'} name */
export function toggleView(name) {
  store[name] = !store[name];
  tell('view');
}

/** Starts listening. */
export function startTone() {
  for (const field of [low, high, gamma]) field.addEventListener('input', change);
  byId('tone-reset', HTMLButtonElement).addEventListener('click', () => {
    low.value = '0';
    high.value = '1';
    gamma.value = '1';
    change();
  });
  button.addEventListener('click', () => toggleTone());
  document.addEventListener('pointerdown', (event) => {
    if (!box.hidden && event.target instanceof Node && !box.contains(event.target) && !button.contains(event.target)) {
      box.hidden = true;
      button.setAttribute('aria-expanded', 'false');
    }
  });
  box.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') toggleTone(false);
  });
  opacity.addEventListener('input', () => {
    store.opacity = Number(opacity.value) / 100;
    tell('view');
  });
  const toggles = /** @type {const} */ (['masks', 'outline', 'parts']);
  for (const name of toggles) byId(`view-${name}`, HTMLButtonElement).addEventListener('click', () => toggleView(name));
  const drawToggles = () => {
    for (const name of toggles) byId(`view-${name}`, HTMLButtonElement).setAttribute('aria-pressed', String(store[name]));
    byId('view-parts', HTMLButtonElement).hidden = !store.run.hasTrack;
  };
  on(['view', 'run'], drawToggles);
  drawToggles();
  byId('zoom-in', HTMLButtonElement).addEventListener('click', () => zoom(1.5));
  byId('zoom-out', HTMLButtonElement).addEventListener('click', () => zoom(1 / 1.5));
  byId('zoom-fit', HTMLButtonElement).addEventListener('click', fit);
  byId('zoom-value', HTMLButtonElement).addEventListener('click', actualSize);
  const zoomText = () => {
    const percent = view.scale * (devicePixelRatio || 1) * 100;
    byId('zoom-value', HTMLButtonElement).textContent = `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
  };
  onView(zoomText);
  zoomText();
  show();
}
