/**
 * What the clients count, in shared memory: written by the thread that runs them, read by the engine. The
 * latencies are a histogram whose buckets grow by a sixteenth of a power of two, 4 % wide.
 */

const ANSWERED = 0;
const OPEN = 1;
const SHED = 2;
const FORGED = 3;
/** Of the connection that is followed, as `ConnectionInfo`. */
const INFO = 8;
const INFO_WORDS = 8;
const BUCKETS = INFO + INFO_WORDS;
const BUCKET_COUNT = 512;
/** Shortest latency told apart, µs. */
const SHORTEST = 1 / 16;
const PER_OCTAVE = 16;

/** Of each connection: flow group (-1: not open) and local port. */
const FLOWS = BUCKETS + BUCKET_COUNT;
export const MAX_FLOWS = 512;
const WORDS = FLOWS + 2 * MAX_FLOWS;

/** `TCP_INFO_*` of assembly/abi.ts, as the kernel has it; all 0 before it was asked. */
export interface ConnectionInfo {
  readonly state: number;
  readonly cwnd: number;
  readonly ssthresh: number;
  readonly inFlight: number;
  readonly srtt: number;
  readonly rto: number;
  readonly recovery: number;
}

export class Tally {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Float64Array;

  /** A view of `buffer`, or of a new tally. */
  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(WORDS * 8);
    this.#words = new Float64Array(this.buffer);
    if (buffer === undefined) this.#words.fill(-1, FLOWS);
  }

  /** Requests answered, and requests that found no room to wait. */
  get answered(): number {
    return this.#words[ANSWERED];
  }

  get shed(): number {
    return this.#words[SHED];
  }

  /** Connections that are open. */
  get open(): number {
    return this.#words[OPEN];
  }

  get forged(): number {
    return this.#words[FORGED];
  }

  /** Flow group and port of each connection, by its index; -1: not open. */
  groupOf(flow: number): number {
    return this.#words[FLOWS + 2 * flow];
  }

  portOf(flow: number): number {
    return this.#words[FLOWS + 2 * flow + 1];
  }

  opened(flow: number, group: number, port: number): void {
    this.#words[OPEN]++;
    this.#words[FLOWS + 2 * flow] = group;
    this.#words[FLOWS + 2 * flow + 1] = port;
  }

  closed(flow: number): void {
    this.#words[OPEN]--;
    this.#words[FLOWS + 2 * flow] = -1;
    this.#words[FLOWS + 2 * flow + 1] = -1;
  }

  countAnswer(micros: number): void {
    this.#words[ANSWERED]++;
    this.#words[BUCKETS + bucketOf(micros)]++;
  }

  countShed(): void {
    this.#words[SHED]++;
  }

  countForged(): void {
    this.#words[FORGED]++;
  }

  /** What the client's TCP says of the connection that is followed. */
  get info(): ConnectionInfo {
    const [state, cwnd, ssthresh, inFlight, srtt, rto, recovery] = this.#words.subarray(INFO);
    return { state, cwnd, ssthresh, inFlight, srtt, rto, recovery };
  }

  set info({ state, cwnd, ssthresh, inFlight, srtt, rto, recovery }: ConnectionInfo) {
    this.#words.set([state, cwnd, ssthresh, inFlight, srtt, rto, recovery], INFO);
  }

  /** A copy of the histogram's counts. */
  latencies(): Float64Array {
    return this.#words.slice(BUCKETS, BUCKETS + BUCKET_COUNT);
  }
}

function bucketOf(micros: number): number {
  const octaves = Math.log2(Math.max(micros, SHORTEST) / SHORTEST);
  return Math.min(Math.floor(octaves * PER_OCTAVE), BUCKET_COUNT - 1);
}

/** Latency below which a share of the counted requests is, µs: the middle of its bucket. */
export function percentile(counts: Float64Array, share: number): number {
  let left = counts.reduce((sum, count) => sum + count, 0) * share;
  if (left === 0) return 0;
  for (let bucket = 0; bucket < counts.length; bucket++) {
    left -= counts[bucket];
    if (left <= 0) return SHORTEST * 2 ** ((bucket + 0.5) / PER_OCTAVE);
  }
  return SHORTEST * 2 ** (counts.length / PER_OCTAVE);
}
