// @ts-check
// Requests to the server: few at a time, the urgent ones first.

/** A refusal with the server's sentence and status. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The server did not answer; whether it has read the request is unknown. */
export class Unreachable extends Error {}

/** Smaller is more urgent. */
export const URGENCY = { act: 0, shown: 1, panel: 2, ahead: 3, thumbnail: 4 };

// Browsers open six connections to a server, and events hold one of them.
const MOST = 5;
// Requests ahead of need leave two connections free, so that a click never queues after them.
const MOST_AHEAD = 3;

/**
 * @typedef {object} Job
 * @property {number} urgency
 * @property {() => Promise<void>} start
 */

/** @type {Job[]} */
const waiting = [];
/** @type {Set<Job>} */
const running = new Set();

/** Starts as many waiting requests as may run. */
function pump() {
  while (running.size < MOST && waiting.length) {
    let best = 0;
    for (let index = 1; index < waiting.length; index += 1) if (waiting[index].urgency < waiting[best].urgency) best = index;
    const job = waiting[best];
    if (job.urgency >= URGENCY.ahead && [...running].filter(({ urgency }) => urgency >= URGENCY.ahead).length >= MOST_AHEAD) return;
    waiting.splice(best, 1);
    running.add(job);
    void job.start().finally(() => {
      running.delete(job);
      pump();
    });
  }
}

/** Returns how many requests run and wait, for tests. */
export const load = () => ({ running: running.size, waiting: waiting.length });

/** @type {(online: boolean) => void} */
let heard = () => {};
/**
 * Calls `work` with false when the server does not answer, and with true when it does.
 * @param {(online: boolean) => void} work
 */
export const onContact = (work) => { heard = work; };

/**
 * Reads one answer. Throws [`Refused`], [`Unreachable`] or an `AbortError`.
 * @param {string} path
 * @param {RequestInit} options
 */
async function read(path, options) {
  let answer;
  try {
    answer = await fetch(path, { ...options, cache: 'no-store' });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    heard(false);
    throw new Unreachable('The server does not answer.');
  }
  heard(true);
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, typeof told.error === 'string' ? told.error : `The server answered ${answer.status}.`);
}

/**
 * Queues a request. The promise settles with what `take` makes of the answer.
 * @template T
 * @param {string} path
 * @param {number} urgency
 * @param {(answer: Response) => Promise<T>} take
 * @param {RequestInit & {signal?: AbortSignal}} [options]
 * @returns {{promise: Promise<T>, raise: (urgency: number) => void}}
 */
export function request(path, urgency, take, options = {}) {
  /** @type {Job} */
  const job = { urgency, start: async () => {} };
  const promise = new Promise((/** @type {(value: T) => void} */ resolve, reject) => {
    const { signal } = options;
    const drop = () => {
      const at = waiting.indexOf(job);
      if (at < 0) return;
      waiting.splice(at, 1);
      reject(new DOMException('no longer needed', 'AbortError'));
    };
    job.start = async () => {
      signal?.removeEventListener('abort', drop);
      try {
        resolve(await take(await read(path, options)));
      } catch (error) {
        // A connection that breaks in the middle of a body shows as a TypeError.
        reject(error instanceof TypeError ? new Unreachable('The connection broke.') : error);
      }
    };
    if (signal?.aborted) return reject(new DOMException('no longer needed', 'AbortError'));
    signal?.addEventListener('abort', drop, { once: true });
    waiting.push(job);
    pump();
  });
  const raise = (/** @type {number} */ to) => {
    job.urgency = Math.min(job.urgency, to);
    pump();
  };
  return { promise, raise };
}

/**
 * Reads JSON.
 * @param {string} path
 * @param {{urgency?: number, signal?: AbortSignal}} [options]
 * @returns {Promise<any>}
 */
export const get = (path, { urgency = URGENCY.panel, signal } = {}) =>
  request(path, urgency, (answer) => answer.json(), signal ? { signal } : {}).promise;

/**
 * Sends JSON and reads JSON. Never sends twice.
 * @param {string} path
 * @param {unknown} body
 * @returns {Promise<any>}
 */
export const post = (path, body) => request(path, URGENCY.act, (answer) => answer.json(), {
  method: 'POST', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' },
}).promise;

/** @param {unknown} error */
export const aborted = (error) => error instanceof DOMException && error.name === 'AbortError';

/** @param {unknown} error */
export const sentence = (error) => (error instanceof Error ? error.message : String(error));
