// @ts-check
// What all parts of the page share, and who is told when it changes.

/** @import {Run, State, Queue, Span, Tool, Candidate, Thing, Prompt, Point, Box} from './types.js' */
import { within } from './dom.js';

/** @typedef {'state' | 'run' | 'wanted' | 'shown' | 'masks' | 'selected' | 'span' | 'view' | 'tool' | 'queue' | 'ready' | 'draft' | 'candidates' | 'warm' | 'play'} Topic */

/** @type {Map<Topic, (() => void)[]>} */
const listeners = new Map();

/**
 * Calls `work` whenever one of the topics changes. Listeners live as long as the page.
 * @param {Topic[]} topics
 * @param {() => void} work
 */
export function on(topics, work) {
  for (const topic of topics) {
    const list = listeners.get(topic) ?? [];
    list.push(work);
    listeners.set(topic, list);
  }
}

/** @param {Topic} topic */
export function tell(topic) {
  for (const work of listeners.get(topic) ?? []) work();
}

/**
 * A prompt as the page is about to send it. `runs` is a painted mask.
 * @typedef {{points: Point[], box: Box | null, runs: number[] | null, candidate: number | null, mask: boolean}} Draft
 */

export const store = {
  run: /** @type {Run} */ (/** @type {unknown} */ (null)),
  state: /** @type {State} */ (/** @type {unknown} */ (null)),
  queue: /** @type {Queue | null} */ (null),
  flagNames: /** @type {string[]} */ (['lost', 'area-jump', 'nearly-full', 'inverted', 'disagree', 'overlap', 'off-track', 'doubtful-prompt']),

  /** The frame that the person asked for, and the one on the canvas. */
  wanted: 0,
  shown: -1,
  /** 1 or -1: where the person is going, and in which steps. */
  direction: 1,
  step: 1,

  /** Masks that were read in an earlier epoch may be out of date. */
  epoch: 0,
  /** The selected object; 0 if there is none. */
  selected: 0,
  /** An object that was added and has no prompt yet. */
  fresh: /** @type {Thing | null} */ (null),
  span: /** @type {Span | null} */ (null),

  tool: /** @type {Tool} */ ('look'),
  brush: 12,
  opacity: 0.4,
  masks: true,
  outline: false,
  parts: true,
  hidden: /** @type {Set<number>} */ (new Set()),
  solo: 0,
  low: 0,
  high: 1,
  gamma: 1,
  /** True while the key for the state before the last tracking is held. */
  before: false,

  /** Drafts by `frame:object`, of clicks that are on the way. */
  drafts: /** @type {Map<string, Draft>} */ (new Map()),
  candidates: /** @type {{frame: number, object: number, list: Candidate[], preview: number | null} | null} */ (null),
  /** Frames on which clicks are answered at once. */
  warm: /** @type {Set<number>} */ (new Set()),

  online: true,
  playing: 0,
  loop: false,
  /** Sentence that says why nothing can be changed; `null` if things can be. */
  readOnly: /** @type {string | null} */ (null),
  /** Label of the change that is being sent, how many wait, and how long the last answer took. */
  busy: /** @type {string | null} */ (null),
  waiting: 0,
  took: /** @type {number | null} */ (null),
};

/** Returns why nothing can be changed at the moment, or `null`. */
export function blocked() {
  if (store.readOnly) return store.readOnly;
  return store.online ? null : 'The server does not answer.';
}

/** Returns why nothing can be computed, or `null`. */
export function untrackable() {
  if (store.run.canTrack === false) return store.run.hasPictures === false ? 'The recording is not there, only its masks.' : 'There is no model to compute with; see the messages of `sam2 review`.';
  return blocked();
}

/** Returns all objects, with the one that was added but not yet prompted. */
export function things() {
  const { fresh, state } = store;
  return fresh && !state.objects.some(({ id }) => id === fresh.id) ? [...state.objects, fresh] : state.objects;
}

/** @param {number} id */
export const thing = (id) => things().find((one) => one.id === id);

/**
 * Returns an object's name for people.
 * @param {number | null} id
 */
export function nameOf(id) {
  if (id === null) return 'all objects';
  return thing(id)?.name || `object ${id}`;
}

/** @param {number} id */
export const colourOf = (id) => thing(id)?.colour ?? '#888888';

/** Returns the command that opens a tunnel to the server, or an empty text. */
export function sshCommand() {
  const { ssh, machine } = store.run;
  const port = location.port || '80';
  return ssh ?? (machine ? `ssh -L ${port}:127.0.0.1:${port} ${machine}` : '');
}

/** @param {number} frame */
export const inRun = (frame) => within(Math.round(frame), store.run.first, store.run.last);

/**
 * Takes over a state that the server sent. An older one is ignored, because answers and events can overtake each other.
 * @param {State} state
 * @param {boolean} [force] after a lost connection the server may have begun again with lower numbers
 */
export function takeState(state, force = false) {
  const old = store.state;
  if (old && !force) {
    if (state.revision < old.revision) return;
    if (state.revision === old.revision && (state.tick ?? 0) < (old.tick ?? 0)) return;
  }
  // While frames are computed, `frame` events name what changed. All else moves the head; the end of the
  // computation may change flags of any frame.
  if (old && (old.head !== state.head || force || (old.tracking && !state.tracking))) store.epoch += 1;
  store.state = state;
  if (store.fresh && state.objects.some(({ id }) => id === store.fresh?.id)) store.fresh = null;
  if (!thing(store.selected)) select(state.objects[0]?.id ?? 0);
  tell('state');
}

/** @param {number} id */
export function select(id) {
  if (store.selected === id) return;
  store.selected = id;
  tell('selected');
}

/** @param {Span | null} span */
export function setSpan(span) {
  store.span = span;
  if (!span) store.loop = false;
  tell('span');
}

/** @param {Tool} tool */
export function setTool(tool) {
  store.tool = tool;
  tell('tool');
}

/**
 * @param {number} frame
 * @param {number} object
 */
export const promptAt = (frame, object) => store.state.prompts.find((one) => one.frame === frame && one.object === object);

/**
 * Returns the prompt of an object on a frame as it will be once everything on the way has arrived.
 * @param {number} frame
 * @param {number} object
 * @returns {Draft}
 */
export function draftOf(frame, object) {
  const draft = store.drafts.get(`${frame}:${object}`);
  if (draft) return { ...draft, points: [...draft.points] };
  const prompt = promptAt(frame, object);
  return {
    points: prompt ? prompt.points.map((point) => ({ ...point })) : [],
    box: prompt?.box ?? null, runs: null, candidate: prompt?.candidate ?? null, mask: prompt?.mask ?? false,
  };
}

/**
 * Returns prompts of a frame for drawing; those on the way are marked.
 * @param {number} frame
 * @returns {(Pick<Prompt, 'object' | 'points' | 'box' | 'mask' | 'corrected'> & {pending: boolean})[]}
 */
export function promptsOn(frame) {
  const list = store.state.prompts.filter((one) => one.frame === frame && !store.drafts.has(`${frame}:${one.object}`))
    .map((one) => ({ ...one, pending: false }));
  for (const [key, draft] of store.drafts) {
    const [at, object] = key.split(':').map(Number);
    if (at === frame) list.push({ ...draft, frame, object, corrected: true, pending: true });
  }
  return list;
}
