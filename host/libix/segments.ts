/**
 * Records of byte ranges, linked into queues: what a connection has received and not consumed, and
 * what it has to send. All connections of a core share one pool, so an idle connection holds none and
 * nothing is allocated while traffic flows; the pool doubles when it runs out.
 */

/** Ends a queue; no record has this index. */
export const NO_SEGMENT = 0;

/** What becomes of a range's memory when it is done with: nothing, it is a copy buffer, or a callback. */
export const KEEP = 0;
export const COPIED = 1;
export const COMPLETE = 2;

const INITIAL = 256;

export class SegmentPool {
  /** Fields of the records, by index. The arrays are replaced when the pool grows: do not keep them. */
  address: Uint32Array = new Uint32Array(INITIAL);
  length: Uint32Array = new Uint32Array(INITIAL);
  next: Uint32Array = new Uint32Array(INITIAL);
  /** KEEP, COPIED, or COMPLETE: then `completion` is to be called. */
  kind: Uint8Array = new Uint8Array(INITIAL);
  readonly completion: (Completion | null)[] = [];
  #free = NO_SEGMENT;
  #inUse = 0;

  constructor() {
    this.#link(1);
  }

  /** Records in use. */
  get inUse(): number {
    return this.#inUse;
  }

  take(address: number, length: number, kind: number): number {
    if (this.#free === NO_SEGMENT) this.#grow();
    const segment = this.#free;
    this.#free = this.next[segment];
    this.address[segment] = address;
    this.length[segment] = length;
    this.next[segment] = NO_SEGMENT;
    this.kind[segment] = kind;
    this.#inUse++;
    return segment;
  }

  give(segment: number): void {
    this.next[segment] = this.#free;
    this.#free = segment;
    this.#inUse--;
  }

  #grow(): void {
    const first = this.next.length;
    this.address = doubled(this.address);
    this.length = doubled(this.length);
    this.next = doubled(this.next);
    const kind = new Uint8Array(this.next.length);
    kind.set(this.kind);
    this.kind = kind;
    this.#link(first);
  }

  /** Puts the records from `first` on into the free list, lowest first. */
  #link(first: number): void {
    for (let segment = this.next.length - 1; segment >= first; segment--) {
      this.completion[segment] = null;
      this.next[segment] = this.#free;
      this.#free = segment;
    }
  }
}

/** Told that a range needs no more memory: `acknowledged` or given up with its connection. */
export type Completion = (acknowledged: boolean) => void;

function doubled(array: Uint32Array): Uint32Array {
  const larger = new Uint32Array(array.length * 2);
  larger.set(array);
  return larger;
}
