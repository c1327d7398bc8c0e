// @ts-check
// Names, meanings and colours of flags and objects.

import { make } from './dom.js';

/** @type {Record<string, [string, string]>} */
const known = {
  lost: ['Lost', 'The mask is empty: the model does not see the object. Right if the animal is hidden or away; otherwise prompt it here.'],
  'area-jump': ['Area jump', 'The mask is suddenly much larger or smaller than in the frames before.'],
  'nearly-full': ['Nearly full', 'The mask covers nearly the whole picture.'],
  inverted: ['Inverted', 'The mask is likely the background instead of the object.'],
  disagree: ['Disagreement', 'The masks tracked from the prompts before and after differ, so one of them is wrong.'],
  overlap: ['Overlap', 'The mask covers pixels of another object: one animal has taken those of the other.'],
  'off-track': ['Off track', 'Sure body parts of the pose track lie outside of the mask, or in that of another object.'],
  'doubtful-prompt': ['Doubtful prompt', 'The mask of a prompted frame is doubtful, and with it all that is tracked from it. Look at it first.'],
};

/** @param {string} flag */
export const flagLabel = (flag) => known[flag]?.[0] ?? flag;
/** @param {string} flag */
export const flagMeaning = (flag) => known[flag]?.[1] ?? 'A person should look at these masks.';

/** @param {string} flag */
export const flagChip = (flag) => make('span', { class: `chip flag-${flag}`, text: flagLabel(flag), title: flagMeaning(flag) });

/** @type {Map<string, string>} */
let resolved = new Map();

/**
 * Returns the value of a colour variable of the style sheet, for canvases.
 * @param {string} name without the dashes
 */
export function colour(name) {
  const known = resolved.get(name);
  if (known) return known;
  const value = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim() || '#888888';
  resolved.set(name, value);
  return value;
}

const dark = matchMedia('(prefers-color-scheme: dark)');
/**
 * Calls `work` when the page turns dark or light.
 * @param {() => void} work
 */
export function onTheme(work) {
  dark.addEventListener('change', () => {
    resolved = new Map();
    readableCache.clear();
    work();
  });
}

/**
 * Parses `#rgb` and `#rrggbb`.
 * @param {string} css
 * @returns {number[]}
 */
const parse = (css) => (css.length === 4 ? [1, 2, 3].map((at) => parseInt(css[at], 16) * 17 || 0) : [1, 3, 5].map((at) => parseInt(css.slice(at, at + 2), 16) || 0));
/** @param {number[]} rgb */
const luminance = (rgb) => {
  const [r, g, b] = rgb.map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};

/** @type {Map<string, string>} */
const readableCache = new Map();
/**
 * Moves an object's colour away from the page's background until lines in it have a contrast of 3 (WCAG 1.4.11).
 * @param {string} css `#rrggbb`
 */
export function readable(css) {
  const known = readableCache.get(css);
  if (known) return known;
  const [rgb, background] = [parse(css), luminance(parse(colour('card')))];
  const towards = background > 0.5 ? 0 : 255;
  let found = css;
  for (let share = 0; share <= 1; share += 0.04) {
    const mixed = rgb.map((value) => Math.round(value * (1 - share) + towards * share));
    const own = luminance(mixed);
    found = `#${mixed.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
    if ((Math.max(own, background) + 0.05) / (Math.min(own, background) + 0.05) >= 3) break;
  }
  if (readableCache.size > 100) readableCache.clear();
  readableCache.set(css, found);
  return found;
}
