// @ts-check
// Opens the page: reads the run and its state, then starts the parts.

/** @import {Run, State} from './types.js' */
import { get, load as requests, sentence } from './api.js';
import { startCandidates } from './candidates.js';
import { applyTone, drawn, startCanvas } from './canvas.js';
import { startDialogs } from './dialogs.js';
import { byId, placeIcons } from './dom.js';
import { listen } from './events.js';
import { sizes } from './frames.js';
import { startHistory } from './history.js';
import { startKeys } from './keys.js';
import { startObjects } from './objects.js';
import { placeOf, startPlace } from './place.js';
import { startPlayer } from './player.js';
import { watchCandidates } from './prompts.js';
import { startQueue } from './queue.js';
import { startStatus } from './status.js';
import { inRun, select, store, things } from './store.js';
import { startTimeline } from './timeline.js';
import { startTone } from './tone.js';
import { startTools } from './tools.js';
import { startTracking } from './tracking.js';
import { follow, go, recomputed } from './travel.js';

/** Reads what the page needs. Tries until the server answers. */
async function open() {
  const cover = byId('cover', HTMLElement);
  for (let wait = 500; ; wait = Math.min(8000, wait * 2)) {
    try {
      const [run, state] = await Promise.all([get('run'), get('state')]);
      store.run = /** @type {Run} */ (run);
      store.state = /** @type {State} */ (state);
      break;
    } catch (error) {
      cover.textContent = `${sentence(error)} Trying again.`;
      await new Promise((done) => { setTimeout(done, wait); });
    }
  }
  store.readOnly = store.run.readOnly;
  const { frame, object } = placeOf();
  select(object !== null && things().some(({ id }) => id === object) ? object : store.state.objects[0]?.id ?? 0);
  store.wanted = inRun(frame ?? store.run.first);
  placeIcons();
  cover.hidden = true;
  document.body.classList.add('open');
  startCanvas();
  startTimeline();
  startTools();
  startObjects();
  startCandidates();
  watchCandidates();
  startTracking();
  startPlayer();
  startTone();
  startStatus();
  startQueue();
  startHistory();
  startDialogs();
  startKeys();
  startPlace();
  follow();
  applyTone();
  go(store.wanted);
  listen(recomputed);
}

// Tests read these; nothing on the page does.
Object.assign(globalThis, { sam2Review: { store, drawn, sizes, requests } });

void open();
