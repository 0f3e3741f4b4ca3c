/**
 * A NIC port. The handle is plain data that any thread can be given; `Port` is one thread's view of
 * it: typed arrays made once, and what the control plane and the senders do with the shared state.
 *
 * Receiving goes: length → MAC filter → exact-match filter → RSS hash → RETA → queue.
 */
import { CORE_MULTICAST, FLOW_GROUPS, QUEUE_CORE, WASM_PAGE } from "../../assembly/abi.ts";
import { FilterTable } from "./filters.ts";
import type { FilterTuple } from "./filters.ts";
import { viewOf } from "./memory-view.ts";
import type { MemoryView } from "./memory-view.ts";
import {
  filtersOffset,
  LINE_LOCK,
  PORT_COUNTERS,
  QUEUE_LOCK,
  QUEUE_RX_COUNTERS,
  QUEUE_STATE_SIZE,
  QUEUE_TX_COUNTERS,
  RETA_BYTES,
  RX_COUNTERS,
  STATE_CONTROL_LOCK,
  STATE_COUNTERS,
  STATE_FILTER_COUNT,
  STATE_LINE,
  STATE_LINE_FROM_SWITCH,
  STATE_MULTICAST,
  STATE_PROMISCUOUS,
  STATE_QUEUES,
  STATE_RETA,
  STATE_RETA_SELECTOR,
  STATE_VERSION,
  stateSize,
  TX_COUNTERS,
} from "./port-state.ts";
import { freeLock, lock, unlock } from "./ring-lock.ts";
import type { PortHandle } from "./types.ts";

export interface PortOptions {
  readonly name: string;
  readonly memory: WebAssembly.Memory;
  /** Addresses of the queue blocks, by queue number. */
  readonly queues: readonly number[];
  /** 6 bytes, a unicast address. */
  readonly mac: ArrayLike<number>;
  /** `OFFLOAD_*` */
  readonly offloads: number;
  /** Take frames for any destination. Default false. */
  readonly promiscuous?: boolean;
  /** Take all multicast frames, not only those that cores asked for. Default false. */
  readonly multicast?: boolean;
}

export type PortCounterName = (typeof PORT_COUNTERS)[number];
export type RxCounterName = (typeof RX_COUNTERS)[number];
export type TxCounterName = (typeof TX_COUNTERS)[number];

/** All counters of a port. Frames, except where the name says bytes. */
export interface PortCounters extends Record<PortCounterName, number> {
  readonly queues: readonly (Record<RxCounterName, number> & Record<TxCounterName, number>)[];
}

/**
 * Makes a port over a dataplane's memory. Flow group g begins on queue g modulo the queues; frames that
 * have no hash go where group 0 goes.
 */
export function createPort(options: PortOptions): PortHandle {
  const { name, memory, queues, offloads } = options;
  const mac = Array.from(options.mac);
  if (mac.length !== 6 || mac.some((byte) => !Number.isInteger(byte) || byte < 0 || byte > 255)) {
    throw new RangeError("mac: expected 6 bytes");
  }
  if ((mac[0] & 1) !== 0) throw new RangeError("mac: a port's address must be unicast");
  if (queues.length === 0) throw new RangeError("queues: a port needs at least one queue pair");
  for (const queue of queues) {
    if (queue % 4 !== 0 || queue < WASM_PAGE || queue >= memory.buffer.byteLength) {
      throw new RangeError(`queues: ${queue} is no address of a queue block`);
    }
  }
  const state = new SharedArrayBuffer(stateSize(queues.length));
  const port = { name, memory, queues: [...queues], state, mac, offloads };
  const words = new Int32Array(state);
  words[STATE_PROMISCUOUS >> 2] = options.promiscuous ? 1 : 0;
  words[STATE_MULTICAST >> 2] = options.multicast ? 1 : 0;
  for (let group = 0; group < FLOW_GROUPS; group++) {
    words[(STATE_RETA >> 2) + group] = group % queues.length;
  }
  return port;
}

/** One thread's view of a port. */
export class Port {
  readonly handle: PortHandle;
  readonly memory: MemoryView;
  /** Words of the shared state. */
  readonly state: Int32Array;
  /** The same as f64, for queue counters. */
  readonly numbers: Float64Array;
  readonly filters: FilterTable;
  readonly offloads: number;

  /** As of the last `refresh`: the RETA in force, filters, changes of both, and who is let in. */
  reta: Int32Array;
  filterCount = 0;
  version = 0;
  promiscuous = false;
  multicast = false;

  readonly #tables: readonly Int32Array[];
  /** Own address: first four bytes and last two, as they lie in memory. */
  readonly #macHead: number;
  readonly #macTail: number;
  /** Queues that a sender may still be delivering to by an old RETA, or old filters. */
  readonly #unsettled = new Set<number>();

  constructor(handle: PortHandle) {
    const { state, mac } = handle;
    this.handle = handle;
    this.memory = viewOf(handle.memory);
    this.state = new Int32Array(state);
    this.numbers = new Float64Array(state);
    this.filters = new FilterTable(state, filtersOffset(handle.queues.length));
    this.offloads = handle.offloads;
    this.#tables = [0, 1].map(
      (i) => new Int32Array(state, STATE_RETA + i * RETA_BYTES, FLOW_GROUPS),
    );
    this.reta = this.#tables[0];
    this.#macHead = mac[0] | (mac[1] << 8) | (mac[2] << 16) | (mac[3] << 24);
    this.#macTail = mac[4] | (mac[5] << 8);
    this.refresh();
  }

  /** Looks at the shared settings. A sender does so once per batch, so a batch sees one RETA. */
  refresh(): void {
    const state = this.state;
    // First: what changes from here on makes this version an old one.
    this.version = Atomics.load(state, STATE_VERSION >> 2);
    this.reta = this.#tables[Atomics.load(state, STATE_RETA_SELECTOR >> 2)];
    this.filterCount = state[STATE_FILTER_COUNT >> 2];
    this.promiscuous = state[STATE_PROMISCUOUS >> 2] !== 0;
    this.multicast = state[STATE_MULTICAST >> 2] !== 0;
  }

  /** Whether the MAC filter lets in a frame for this destination, given as it lies in memory. */
  accepts(macHead: number, macTail: number): boolean {
    if (macHead === this.#macHead && macTail === this.#macTail) return true;
    if (this.promiscuous) return true;
    if ((macHead & 1) === 0) return false;
    if (this.multicast || (macHead === -1 && macTail === 0xffff)) return true;
    return this.#wantsGroup(macHead, macTail);
  }

  /** Whether a core has asked for groups of that hash (CORE_MULTICAST), which few frames are sent to. */
  #wantsGroup(macHead: number, macTail: number): boolean {
    const bit = ((macHead >>> 24) ^ macTail ^ (macTail >>> 8)) & 63;
    const { words } = this.memory;
    return this.handle.queues.some((queue) => {
      const core = words[(queue + QUEUE_CORE) >>> 2] >>> 0;
      if (core === 0) return false;
      return ((words[(core + CORE_MULTICAST + (bit >> 5) * 4) >>> 2] >>> (bit & 31)) & 1) !== 0;
    });
  }

  setPromiscuous(on: boolean): void {
    Atomics.store(this.state, STATE_PROMISCUOUS >> 2, on ? 1 : 0);
  }

  setMulticast(on: boolean): void {
    Atomics.store(this.state, STATE_MULTICAST >> 2, on ? 1 : 0);
  }

  /** The queue of each of the 128 flow groups. */
  retaEntries(): number[] {
    this.refresh();
    return Array.from(this.reta);
  }

  /** True when RETA or filters changed since the last `refresh`. */
  get isStale(): boolean {
    return Atomics.load(this.state, STATE_VERSION >> 2) !== this.version;
  }

  /**
   * Moves flow groups to other queues, all in one step. When this returns true, no frame of these groups
   * comes to their old queues any more: a sender holds a queue's lock while it delivers, and looks
   * there whether what it steered by is still in force; here every old queue's lock is passed through
   * after the change. False: a sender has been stopped in mid-delivery for so long that it was not waited
   * for; `settle` then tells when it is over.
   */
  updateReta(changes: Iterable<readonly [group: number, queue: number]>): boolean {
    const list = Array.from(changes);
    for (const [group, queue] of list) {
      if (!Number.isInteger(group) || group < 0 || group >= FLOW_GROUPS) {
        throw new RangeError(`group: ${group} is not in 0…${FLOW_GROUPS - 1}`);
      }
      this.#checkQueue(queue);
    }
    return this.#change(() => {
      const selector = Atomics.load(this.state, STATE_RETA_SELECTOR >> 2);
      const current = this.#tables[selector];
      const next = this.#tables[1 - selector];
      next.set(current);
      const old = new Set<number>();
      for (const [group, queue] of list) {
        if (current[group] !== queue) old.add(current[group]);
        next[group] = queue;
      }
      Atomics.store(this.state, STATE_RETA_SELECTOR >> 2, 1 - selector);
      return this.#turnOver(old);
    });
  }

  /** True when all changes that were made here hold for every sender, as `updateReta` says. */
  settle(): boolean {
    for (const queue of this.#unsettled) {
      const index = this.lockOf(queue);
      if (!lock(this.state, index)) continue;
      unlock(this.state, index);
      this.#unsettled.delete(queue);
    }
    return this.#unsettled.size === 0;
  }

  /**
   * Sends one flow to a queue whatever its hash says, as exactly as `updateReta`; false when the
   * filter table is full.
   */
  addFilter(tuple: FilterTuple, queue: number): boolean {
    this.#checkQueue(queue);
    return this.#changeFilters(() => this.filters.add(tuple, queue));
  }

  /** The flow goes where its hash says from now on. False when there is no such filter. */
  removeFilter(tuple: FilterTuple): boolean {
    return this.#changeFilters(() => this.filters.remove(tuple));
  }

  /**
   * Gives back the port's locks that a thread held when it ended: `holder` is that thread's
   * LOCK_HOLDER. Returns how many it held.
   */
  freeLocksOf(holder: number): number {
    const queues = this.handle.queues.map((_, queue) => this.lockOf(queue));
    const lines = [STATE_LINE, STATE_LINE_FROM_SWITCH].map((line) => (line + LINE_LOCK) >> 2);
    const locks = [STATE_CONTROL_LOCK >> 2, ...lines, ...queues];
    return locks.filter((index) => freeLock(this.state, index, holder)).length;
  }

  /** Index into `state` of the lock of a queue's fill and rx rings. */
  lockOf(queue: number): number {
    return (STATE_QUEUES + queue * QUEUE_STATE_SIZE + QUEUE_LOCK) >> 2;
  }

  /** Counts a frame that was dropped before it had a queue; any thread. */
  count(counter: PortCounterName): void {
    const low = (STATE_COUNTERS >> 2) + PORT_COUNTERS.indexOf(counter) * 2;
    if (Atomics.add(this.state, low, 1) === -1) Atomics.add(this.state, low + 1, 1);
  }

  /** A snapshot; a sender in mid-batch has not yet added that batch. */
  counters(): PortCounters {
    const named: Record<string, number> = {};
    PORT_COUNTERS.forEach((name, i) => {
      const low = (STATE_COUNTERS >> 2) + i * 2;
      named[name] = (this.state[low] >>> 0) + this.state[low + 1] * 2 ** 32;
    });
    const queues = this.handle.queues.map((_, queue) => {
      const own: Record<string, number> = {};
      RX_COUNTERS.forEach((name, i) => (own[name] = this.numbers[this.rxCounters(queue) + i]));
      TX_COUNTERS.forEach((name, i) => (own[name] = this.numbers[this.txCounters(queue) + i]));
      return own;
    });
    return { ...named, queues } as unknown as PortCounters;
  }

  /** Index into `numbers` of a queue's first receive counter. */
  rxCounters(queue: number): number {
    return (STATE_QUEUES + queue * QUEUE_STATE_SIZE + QUEUE_RX_COUNTERS) >> 3;
  }

  /** Index into `numbers` of a queue's first transmit counter. */
  txCounters(queue: number): number {
    return (STATE_QUEUES + queue * QUEUE_STATE_SIZE + QUEUE_TX_COUNTERS) >> 3;
  }

  #checkQueue(queue: number): void {
    const queues = this.handle.queues.length;
    if (!Number.isInteger(queue) || queue < 0 || queue >= queues) {
      throw new RangeError(`queue: ${queue} is not in 0…${queues - 1}`);
    }
  }

  /** A filter may take its flow from any queue. */
  #changeFilters(body: () => boolean): boolean {
    return this.#change(() => {
      const changed = body();
      if (changed) this.#turnOver(this.handle.queues.keys());
      return changed;
    });
  }

  /** Makes what senders have steered by an old version. True when none delivers by it any more. */
  #turnOver(queues: Iterable<number>): boolean {
    Atomics.add(this.state, STATE_VERSION >> 2, 1);
    for (const queue of queues) this.#unsettled.add(queue);
    return this.settle();
  }

  #change<T>(body: () => T): T {
    if (!lock(this.state, STATE_CONTROL_LOCK >> 2)) {
      throw new Error(`port ${this.handle.name}: another thread holds the control lock`);
    }
    try {
      return body();
    } finally {
      unlock(this.state, STATE_CONTROL_LOCK >> 2);
    }
  }
}
