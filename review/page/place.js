// @ts-check
// The address keeps the frame and the object, so that links open the right place.

import { settled } from './dom.js';
import { on, select, store, things } from './store.js';
import { go } from './travel.js';

/** Returns the frame and the object of the address. */
export function placeOf() {
  const given = new URLSearchParams(location.hash.slice(1));
  const number = (/** @type {string} */ name) => {
    const value = given.get(name);
    return value !== null && /^\d+$/.test(value) ? Number(value) : null;
  };
  return { frame: number('frame'), object: number('object') };
}

/** Goes to the place of the address. */
function follow() {
  const { frame, object } = placeOf();
  if (object !== null && things().some(({ id }) => id === object)) select(object);
  if (frame !== null && frame !== store.wanted) go(frame);
}

/** Starts following the address and writing it. Browsers limit how often an address may change. */
export function startPlace() {
  const write = settled(350, () => {
    const text = `#frame=${store.wanted}${store.selected ? `&object=${store.selected}` : ''}`;
    if (location.hash !== text) history.replaceState(null, '', text);
  });
  on(['wanted', 'selected'], write);
  addEventListener('hashchange', follow);
}
