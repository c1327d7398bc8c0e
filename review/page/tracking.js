// @ts-check
// Computing again what is stale: the button, its progress, and before/after.

/** @import {MasksAnswer, History} from './types.js' */
import { aborted, get, post, sentence, URGENCY } from './api.js';
import { temporary, draw } from './canvas.js';
import { byId, counted, grouped, say } from './dom.js';
import { Mask } from './masks.js';
import { distinct, total } from './spans.js';
import { on, store, takeState, tell, untrackable } from './store.js';

const button = byId('track', HTMLButtonElement);
const label = byId('track-label', HTMLElement);
const bar = byId('track-bar', HTMLProgressElement);
const auto = byId('track-auto', HTMLInputElement);
const compare = byId('compare', HTMLButtonElement);

/** Head of the amendments when tracking was last started, so that both states can be compared. */
const REMEMBERED = `sam2-review-before ${location.pathname}`;
let asked = false;
/** @type {AbortController | null} */
let reading = null;

/**
 * Starts computing what is stale, or stops it if it runs.
 * @param {{first?: number, last?: number, objects?: number[]}} [limits]
 */
export async function trackOrStop(limits = {}) {
  const why = untrackable();
  if (why) return say(`Nothing was computed. ${why}`, { kind: 'bad' });
  const { tracking, stale, head } = store.state;
  if (!tracking && !stale.length) return say('Nothing has to be computed again.');
  if (asked) return;
  asked = true;
  show();
  try {
    if (!tracking) sessionStorage.setItem(REMEMBERED, String(head));
    takeState(await post(tracking ? 'stop' : 'track', tracking ? {} : limits));
  } catch (error) {
    say(sentence(error), { kind: 'bad' });
  } finally {
    asked = false;
    show();
  }
}

/** Starts computing after a correction, if the person wants that. */
export function trackIfAsked() {
  if (auto.checked && !untrackable() && !store.state.tracking && store.state.stale.length && !store.waiting) void trackOrStop();
}

/** Shows what can be computed, or how far it is. */
function show() {
  const { tracking, stale } = store.state;
  const frames = total(stale);
  const why = untrackable();
  button.disabled = asked || Boolean(why) || (!tracking && !frames) || Boolean(tracking?.stopping);
  button.classList.toggle('primary', frames > 0 && !tracking);
  button.title = why ?? (tracking ? 'Stops after the current frame. What is done is kept. (T)' : `Computes again what the corrections since the last time can change: ${counted(frames, 'mask')}. (T)`);
  bar.hidden = !tracking;
  if (tracking) {
    label.textContent = tracking.stopping ? 'Stopping' : `Stop \u00b7 ${grouped(tracking.done)} of ${grouped(tracking.total)}`;
    bar.max = Math.max(1, tracking.total);
    bar.value = tracking.done;
    bar.setAttribute('aria-label', `Computing, frame ${tracking.frame}`);
  } else {
    label.textContent = frames ? `Track again: ${grouped(frames)} stale` : 'Nothing stale';
  }
  const changed = distinct(store.state.changed);
  compare.hidden = changed === 0;
  byId('compare-label', HTMLElement).textContent = `${grouped(changed)} changed`;
  compare.title = `${counted(changed, 'frame')} changed. Hold this button, or the key X, to see the masks before the last tracking.`;
}

/** Returns the amendment before the last tracking. */
async function beforeLast() {
  const kept = Number(sessionStorage.getItem(REMEMBERED) ?? NaN);
  if (kept >= 0 && kept < store.state.head) return kept;
  // The page was opened after the tracking: its entry in the history has a parent.
  const { entries } = /** @type {History} */ (await get('history', { urgency: URGENCY.shown }));
  // A click computes its own frame only; tracking computes several.
  const tracked = entries.filter(({ undone, decision, text }) => !undone && !decision && /\b(computed|tracked)\b.*\bframes\b|\bframes\b.*\b(computed|tracked)\b/i.test(text)).pop();
  return tracked ? tracked.parent : 0;
}

/** Shows the masks as they were before the last tracking, until [`showAfter`]. */
export async function showBefore() {
  if (store.before) return;
  store.before = true;
  tell('view');
  const frame = store.shown;
  reading = new AbortController();
  try {
    const before = await beforeLast();
    const answer = /** @type {MasksAnswer} */ (await get(`masks/${frame}?before=${before}`, { urgency: URGENCY.shown, signal: reading.signal }));
    temporary.before = { frame, masks: answer.objects.map(({ id, runs }) => ({ id, mask: new Mask(runs, store.run.width) })) };
    draw();
  } catch (error) {
    if (!aborted(error)) say(sentence(error), { kind: 'bad' });
  }
}

/** Shows the masks as they are. */
export function showAfter() {
  if (!store.before) return;
  reading?.abort();
  store.before = false;
  temporary.before = null;
  tell('view');
}

/** Starts following the state. */
export function startTracking() {
  button.addEventListener('click', () => void trackOrStop());
  compare.addEventListener('pointerdown', (event) => {
    compare.setPointerCapture(event.pointerId);
    void showBefore();
  });
  for (const end of ['pointerup', 'pointercancel', 'blur']) compare.addEventListener(end, showAfter);
  on(['shown'], () => {
    if (!store.before) return;
    showAfter();
    void showBefore();
  });
  auto.checked = localStorage.getItem('sam2-review-auto') === 'on';
  auto.addEventListener('change', () => {
    localStorage.setItem('sam2-review-auto', auto.checked ? 'on' : 'off');
    trackIfAsked();
  });
  let was = store.state.tracking;
  on(['state', 'ready'], () => {
    const { tracking } = store.state;
    if (was && !tracking) say(`Computed again: ${counted(was.done + 1 >= was.total ? was.total : was.done, 'mask')}. Hold X to compare with before.`);
    was = tracking;
    show();
  });
  show();
}
