/**
 * The kernel's side of the two arrays, played by the test: it says what every call results in and
 * which events a poll brings. Memory is laid out as far as libix looks at it.
 */
import {
  CALL_SIZE,
  CFG_CORES,
  CFG_COPY_BREAK,
  CFG_FAST_OPEN,
  CFG_WINDOW,
  CFG_WINDOW_SIZE,
  CONFIG_BASE,
  CORE_EVENTS,
  CORE_EVENT_CAPACITY,
  CORE_EVENT_COUNT,
  CORE_ID,
  CORE_SYSCALLS,
  CORE_SYSCALL_CAPACITY,
  CORE_SYSCALL_COUNT,
  RC_OK,
  SG_SIZE,
  SYS_CONNECT,
  SYS_CONNECT_SEND,
  SYS_LISTEN,
  SYS_SEND,
  SYS_SENDV,
  SYS_TIMER_SET,
} from "../../assembly/abi.ts";
import type { App } from "../../host/libix/app.ts";
import { Ix } from "../../host/libix/ix.ts";

const CORE_BLOCK = 0x12000;
const EVENTS = 0x20000;
const CALLS = 0x30000;
export const FRAMES = 0x40000;
export const WINDOW = 0x80000;
export const WINDOW_SIZE = 0x80000;

/** A system call as the kernel reads it. */
export interface Call {
  readonly op: number;
  readonly flags: number;
  readonly handle: number;
  readonly cookie: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
}

/** An event, as far as it is not zero. */
export interface FakeEvent {
  readonly op: number;
  readonly handle?: number;
  readonly cookie?: number;
  readonly result?: number;
  readonly a?: number;
  readonly b?: number;
  readonly c?: number;
  readonly d?: number;
}

/** Decides what a call results in; undefined leaves it to the default: success. */
export type Respond = (call: Call) => number | undefined;

export interface FakeOptions {
  readonly calls?: number;
  readonly copyBreak?: number;
  readonly cores?: number;
  readonly core?: number;
  readonly windowSize?: number;
  /** `FAST_OPEN_*`. Default none. */
  readonly fastOpen?: number;
}

export class FakeKernel {
  readonly memory: WebAssembly.Memory;
  readonly ix: Ix;
  /** All calls that were run, in order. */
  readonly log: Call[] = [];
  respond: Respond = () => undefined;
  readonly #words: Uint32Array;
  #nextHandle = 0x100001;

  constructor(options: FakeOptions = {}) {
    const pages = 16;
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.#words = new Uint32Array(this.memory.buffer);
    this.#set(CONFIG_BASE + CFG_CORES, options.cores ?? 1);
    this.#set(CONFIG_BASE + CFG_COPY_BREAK, options.copyBreak ?? 1024);
    this.#set(CONFIG_BASE + CFG_WINDOW, WINDOW);
    this.#set(CONFIG_BASE + CFG_WINDOW_SIZE, options.windowSize ?? WINDOW_SIZE);
    this.#set(CONFIG_BASE + CFG_FAST_OPEN, options.fastOpen ?? 0);
    this.#set(CORE_BLOCK + CORE_ID, options.core ?? 0);
    this.#set(CORE_BLOCK + CORE_EVENTS, EVENTS);
    this.#set(CORE_BLOCK + CORE_EVENT_CAPACITY, 1024);
    this.#set(CORE_BLOCK + CORE_SYSCALLS, CALLS);
    this.#set(CORE_BLOCK + CORE_SYSCALL_CAPACITY, options.calls ?? 1024);
    this.ix = new Ix(this.memory, CORE_BLOCK, () => this.dispatch());
  }

  /** The calls that wait, as they lie in the array. */
  get pending(): Call[] {
    const count = this.#get(CORE_BLOCK + CORE_SYSCALL_COUNT);
    return Array.from({ length: count }, (_, index) => this.#read(CALLS + index * CALL_SIZE));
  }

  /** Runs the waiting calls and writes their results. */
  dispatch(): void {
    const calls = this.pending;
    for (const [index, call] of calls.entries()) {
      const at = CALLS + index * CALL_SIZE;
      const result = this.respond(call) ?? defaultResult(call, this.ix);
      this.#set(at + 12, result);
      const makes = [SYS_CONNECT, SYS_CONNECT_SEND, SYS_LISTEN, SYS_TIMER_SET].includes(call.op);
      if (makes && result >= RC_OK) this.#set(at + 4, this.#nextHandle++);
    }
    this.log.push(...calls);
    this.#set(CORE_BLOCK + CORE_SYSCALL_COUNT, 0);
  }

  /** One poll: runs the calls, then puts `events` into the array. Returns the calls that were run. */
  poll(events: readonly FakeEvent[] = []): Call[] {
    const before = this.log.length;
    this.dispatch();
    for (const [index, event] of events.entries()) {
      const at = EVENTS + index * CALL_SIZE;
      const { op, handle = 0, cookie = 0, result = 0, a = 0, b = 0, c = 0, d = 0 } = event;
      for (const [word, value] of [op, handle, cookie, result, a, b, c, d].entries()) {
        this.#set(at + word * 4, value);
      }
    }
    this.#set(CORE_BLOCK + CORE_EVENT_COUNT, events.length);
    return this.log.slice(before);
  }

  /** A poll and the application's turn; returns the calls that the poll ran. */
  round(app: App, events: readonly FakeEvent[] = [], now = 0): Call[] {
    const calls = this.poll(events);
    app.handle(this.ix, now);
    return calls;
  }

  /** Puts bytes where received data lies. */
  frame(offset: number, bytes: Uint8Array): number {
    this.ix.bytes.set(bytes, FRAMES + offset);
    return FRAMES + offset;
  }

  /** The bytes that a send or sendv refers to. */
  payload(call: Call): number[] {
    if (call.op === SYS_SEND) return [...this.ix.bytes.slice(call.a, call.a + call.b)];
    const bytes: number[] = [];
    for (const { address, length } of this.vector(call)) {
      bytes.push(...this.ix.bytes.slice(address, address + length));
    }
    return bytes;
  }

  /** The entries of a sendv. */
  vector(call: Call): { address: number; length: number }[] {
    return Array.from({ length: call.b }, (_, entry) => ({
      address: this.#get(call.a + entry * SG_SIZE),
      length: this.#get(call.a + entry * SG_SIZE + 4),
    }));
  }

  #read(at: number): Call {
    const operation = this.#get(at);
    return {
      op: operation & 0xffff,
      flags: operation >>> 16,
      handle: this.#get(at + 4),
      cookie: this.#get(at + 8),
      a: this.#get(at + 16),
      b: this.#get(at + 20),
      c: this.#get(at + 24),
      d: this.#get(at + 28),
    };
  }

  #get(address: number): number {
    return this.#words[address >>> 2];
  }

  #set(address: number, value: number): void {
    this.#words[address >>> 2] = value;
  }
}

function defaultResult(call: Call, ix: Ix): number {
  if (call.op === SYS_SEND) return call.b;
  if (call.op !== SYS_SENDV) return RC_OK;
  let total = 0;
  for (let entry = 0; entry < call.b; entry++) total += ix.words[(call.a >>> 2) + entry * 2 + 1];
  return total;
}

/** Calls that matter to a test: all but `nop`. */
export function essential(calls: readonly Call[]): Call[] {
  return calls.filter(({ op }) => op !== 0);
}

/** The operations of calls, without `nop`. */
export function operations(calls: readonly Call[]): number[] {
  return essential(calls).map(({ op }) => op);
}
