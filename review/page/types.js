// @ts-check
// Shapes of what the server sends (see API.md) and of what the page passes around.
export {};

/** @typedef {{first: number, last: number}} Span Frames, both ends inclusive. */
/** @typedef {{object: number | null, first: number, last: number}} ObjectSpan */
/** @typedef {{name: string, text: string}} Format */

/**
 * @typedef {object} Run
 * @property {string} recording
 * @property {number} frames
 * @property {number} first
 * @property {number} last
 * @property {number} width
 * @property {number} height
 * @property {number | null} rate
 * @property {boolean} deep
 * @property {string} model
 * @property {string} passes
 * @property {string} device
 * @property {string | null} readOnly
 * @property {Span[]} batches
 * @property {Format[]} formats
 * @property {string} [ssh] command that opens a tunnel
 * @property {string | null} [machine] name of the server's machine
 * @property {boolean} [hasPictures] false if only the masks are there
 * @property {boolean} [canTrack] false if there is no model or no recording
 * @property {string} version
 * @property {boolean} hasTrack
 */

/** @typedef {{x: number, y: number, positive: boolean, name?: string | null}} Point */
/** @typedef {[number, number, number, number]} Box Left, top, right, bottom. */
/** @typedef {{id: number, name: string, colour: string}} Thing An object of the recording. */

/**
 * @typedef {object} Prompt
 * @property {number} frame
 * @property {number} object
 * @property {Point[]} points
 * @property {Box | null} box
 * @property {boolean} mask
 * @property {number | null} candidate
 * @property {boolean} corrected
 */

/** @typedef {{frame: number, done: number, total: number, stopping: boolean}} Tracking */

/**
 * @typedef {object} State
 * @property {number} revision
 * @property {number} head
 * @property {boolean} canUndo
 * @property {boolean} canRedo
 * @property {string | null} nextUndo
 * @property {string | null} nextRedo
 * @property {Thing[]} objects
 * @property {Prompt[]} prompts
 * @property {ObjectSpan[]} stale
 * @property {ObjectSpan[]} changed
 * @property {ObjectSpan[]} locks
 * @property {ObjectSpan[]} absent
 * @property {Tracking | null} tracking
 * @property {string | null} message
 * @property {number} finished
 * @property {boolean} running
 * @property {number} [tick] grows with every state that is sent
 * @property {number} [known] frames whose facts the server has read for the timeline
 */

/**
 * @typedef {object} Lane
 * @property {number} id
 * @property {number[]} area
 * @property {number} areaMost
 * @property {number[]} score
 * @property {number[]} iou
 * @property {number[]} agreement
 * @property {number[]} present
 * @property {number[]} flags
 */

/**
 * @typedef {object} Lanes
 * @property {number} first
 * @property {number} last
 * @property {number} buckets
 * @property {number} revision
 * @property {string[]} [flagNames]
 * @property {boolean} [complete] false while the server still reads the run
 * @property {Lane[]} objects
 */

/**
 * @typedef {object} MaskAnswer
 * @property {number} id
 * @property {number[]} runs
 * @property {number} area
 * @property {number | null} score
 * @property {number | null} iou
 * @property {number | null} agreement
 * @property {boolean} prompted
 * @property {string[]} flags
 * @property {boolean} locked
 * @property {boolean} stale
 * @property {boolean} corrected
 */

/** @typedef {{object: number, name: string, x: number, y: number, likelihood: number}} BodyPart */
/** @typedef {{frame: number, revision: number, seconds: number | null, objects: MaskAnswer[], track?: BodyPart[]}} MasksAnswer */
/** @typedef {{id: string, object: number, first: number, last: number, worst: number, flags: string[], badness: number, state: 'open' | 'reviewed' | 'corrected', text: string}} QueueItem */
/** @typedef {{revision: number, reviewed: number, total: number, items: QueueItem[]}} Queue */
/** @typedef {{number: number, parent: number, when: string, who: string, text: string, current: boolean, undone: boolean, decision?: boolean}} Entry */
/** @typedef {{head: number, entries: Entry[]}} History */
/** @typedef {{runs: number[], iou: number, area: number}} Candidate */
/** @typedef {{state: State, masks: MasksAnswer | null, candidates?: Candidate[] | null, milliseconds: number}} Done */
/** @typedef {{written: string[], command: string}} Exported */
/** @typedef {{type: string, [field: string]: unknown}} Action */

/** @typedef {'look' | 'add' | 'subtract' | 'box' | 'brush' | 'eraser'} Tool */
/** @typedef {'area' | 'score' | 'iou' | 'agreement' | 'present'} Measure */
