// @ts-check
// The head of the page: what is open, what is being done, and what keeps things from being changed.

import { act, step } from './actions.js';
import { byId, counted, grouped, spanText } from './dom.js';
import { flagChip } from './flags.js';
import { shownFrame } from './frames.js';
import { lock } from './objects.js';
import { toggleLoop } from './player.js';
import { covers, total } from './spans.js';
import { blocked, nameOf, on, setSpan, sshCommand, store } from './store.js';
import { trackOrStop } from './tracking.js';

const busy = byId('busy', HTMLElement);
const bar = byId('span-bar', HTMLElement);
const strip = byId('frame-state', HTMLElement);
const loading = byId('loading', HTMLElement);
let slow = 0;

/** Shows the recording and how it was computed. */
function drawRun() {
  const { recording, model, device, width, height } = store.run;
  const title = byId('recording', HTMLElement);
  title.textContent = recording;
  title.title = recording;
  document.title = `${recording} \u2013 review`;
  byId('facts', HTMLElement).textContent = `${grouped(store.run.frames)} frames  \u00b7  ${width}\u2009\u00d7\u2009${height}  \u00b7  ${model}  \u00b7  ${device}`;
}

/** Shows banners and what is being sent. */
function drawReady() {
  byId('offline', HTMLElement).hidden = store.online;
  const ssh = sshCommand();
  byId('ssh', HTMLElement).textContent = ssh;
  byId('ssh-hint', HTMLElement).hidden = !ssh;
  const locked = byId('read-only', HTMLElement);
  locked.hidden = !store.readOnly;
  byId('read-only-why', HTMLElement).textContent = store.readOnly ? `Nothing can be changed here: ${store.readOnly}` : '';
  const { running, finished } = store.state;
  const job = byId('job', HTMLElement);
  job.hidden = !running;
  byId('job-text', HTMLElement).textContent = `The job is still running: ${grouped(finished)} of ${counted(store.run.last - store.run.first + 1, 'frame')} have masks.`;
  document.body.classList.toggle('offline', !store.online);
  const why = blocked();
  for (const [id, can, what, next, key] of /** @type {[string, boolean, string, string | null, string][]} */ ([
    ['undo', store.state.canUndo, 'Undo', store.state.nextUndo, 'Ctrl+Z'], ['redo', store.state.canRedo, 'Redo', store.state.nextRedo, 'Ctrl+Y']])) {
    const button = byId(id, HTMLButtonElement);
    button.disabled = Boolean(why) || !(can || store.busy);
    button.title = next ? `${what}: ${next} (${key})` : `${what} (${key})`;
  }
  busy.classList.toggle('active', store.busy !== null);
  if (store.busy) busy.textContent = `${store.busy}${store.waiting ? `  \u00b7  ${store.waiting} more` : ''}`;
  else if (!store.online) busy.textContent = 'Not connected';
  else if (store.readOnly) busy.textContent = 'Read-only';
  else busy.textContent = store.took === null ? 'All changes are saved' : `Saved  \u00b7  answer in ${store.took < 1000 ? `${Math.round(store.took)} ms` : `${(store.took / 1000).toFixed(1)} s`}`;
}

/** Shows the selected span and what can be done with it. */
function drawSpan() {
  const { span } = store;
  bar.hidden = !span;
  if (!span) return;
  byId('span-text', HTMLElement).textContent = `${spanText(span)} (${grouped(span.last - span.first + 1)})`;
  const why = Boolean(blocked());
  for (const id of ['span-lock', 'span-unlock', 'span-absent', 'span-delete', 'span-track']) byId(id, HTMLButtonElement).disabled = why;
  const inside = store.state.stale.filter(({ first, last }) => first <= span.last && last >= span.first)
    .map(({ first, last }) => ({ first: Math.max(first, span.first), last: Math.min(last, span.last) }));
  byId('span-track', HTMLButtonElement).hidden = !inside.length;
  byId('span-track', HTMLButtonElement).textContent = `Track ${grouped(total(inside))} stale`;
  byId('span-loop', HTMLButtonElement).setAttribute('aria-pressed', String(store.loop));
}

/** Shows what is known about the frame on display. */
function drawFrame() {
  const frame = shownFrame();
  strip.replaceChildren();
  if (!frame) return;
  if (frame.trouble) return strip.append(frame.trouble);
  if (store.shown - store.run.first >= store.state.finished) return strip.append('Not computed yet');
  if (store.before) return strip.append('Before the last tracking');
  const flags = new Set((frame.masks ?? []).flatMap(({ info }) => info.flags));
  strip.append(...store.flagNames.filter((name) => flags.has(name)).map(flagChip));
  const marks = [];
  if (store.run.hasPictures === false) marks.push('only the masks are there, not the recording');
  if (frame.masks?.some(({ info }) => info.prompted)) marks.push('prompted');
  if (store.state.locks.some(({ first, last }) => first <= store.shown && store.shown <= last)) marks.push('locked');
  if (frame.masks?.some(({ info }) => info.stale)) marks.push('stale: dashed outlines');
  if (covers(store.state.absent, store.selected, store.shown)) marks.push(`${nameOf(store.selected)} absent`);
  if (store.warm.has(store.shown) && store.tool !== 'look') marks.push('ready for clicks');
  if (marks.length) strip.append(marks.join('  \u00b7  '));
}

/** Says that a frame is being read, if that takes long enough to notice. */
function drawLoading() {
  clearTimeout(slow);
  if (store.wanted === store.shown) {
    loading.hidden = true;
    return;
  }
  slow = setTimeout(() => {
    if (store.wanted === store.shown) return;
    loading.hidden = false;
    loading.textContent = `Reading frame ${grouped(store.wanted)}${store.shown >= 0 ? `; shown is ${grouped(store.shown)}` : ''}`;
  }, 180);
}

/** Starts drawing and listening. */
export function startStatus() {
  byId('undo', HTMLButtonElement).addEventListener('click', () => void step('undo'));
  byId('redo', HTMLButtonElement).addEventListener('click', () => void step('redo'));
  const span = () => store.span ?? { first: store.shown, last: store.shown };
  byId('span-loop', HTMLButtonElement).addEventListener('click', toggleLoop);
  byId('span-lock', HTMLButtonElement).addEventListener('click', () => void lock(null, span()));
  byId('span-unlock', HTMLButtonElement).addEventListener('click', () => void lock(null, span(), false));
  byId('span-absent', HTMLButtonElement).addEventListener('click', () => void act({ type: 'absent', object: store.selected, ...span(), on: true }, `Absent: ${nameOf(store.selected)}`));
  byId('span-delete', HTMLButtonElement).addEventListener('click', () => void act({ type: 'delete', object: store.selected, ...span() }, `Deleting ${nameOf(store.selected)} on the span`));
  byId('span-track', HTMLButtonElement).addEventListener('click', () => void trackOrStop(span()));
  byId('span-clear', HTMLButtonElement).addEventListener('click', () => setSpan(null));
  on(['run'], drawRun);
  on(['ready', 'state', 'run'], drawReady);
  on(['span', 'state', 'ready'], drawSpan);
  on(['shown', 'masks', 'state', 'view', 'warm', 'tool', 'selected'], drawFrame);
  on(['wanted', 'shown'], drawLoading);
  drawRun();
  drawReady();
  drawSpan();
}
