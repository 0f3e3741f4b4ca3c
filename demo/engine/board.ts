/**
 * The levers as all threads see them: one f64 each in shared memory, written by the engine alone, read by
 * the applications and by whoever moves frames. A version tells that something changed.
 */
import { CONGESTION, PATTERNS, POLICIES, RANGES, type Levers, type Scenario } from "./messages.ts";

type NumberName = keyof typeof RANGES;

/** The levers that are numbers, in the order of their words; `load` is word 1 and so on. */
const NUMBERS = Object.keys(RANGES) as NumberName[];
const VERSION = NUMBERS.length;
const PATTERN = NUMBERS.length + 1;
/** One more than the core whose thread is to fail next; 0: none. */
const DOOMED = NUMBERS.length + 2;
/** 1: no requests are sent. */
const PAUSED = NUMBERS.length + 3;
/** One more than the connection that is followed; 0: none. */
const WATCHED = NUMBERS.length + 4;
const WORDS = NUMBERS.length + 5;

/** What may change of the levers, within their ranges and with nothing that is no lever. */
export function cleaned<T extends Partial<Scenario>>(changes: T): T {
  const clean: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(changes)) {
    if (name in RANGES) clean[name] = clamp(name as NumberName, value);
    else if (isChoice(name, value)) clean[name] = value;
  }
  return clean as T;
}

function clamp(name: NumberName, value: unknown): number {
  const [low, high] = RANGES[name];
  const number = Number.isFinite(value) ? (value as number) : low;
  const within = Math.min(Math.max(number, low), high);
  return isWhole(name) ? Math.round(within) : within;
}

function isWhole(name: NumberName): boolean {
  return ["cores", "connections", "inFlight", "size", "batch", "seed"].includes(name);
}

function isChoice(name: string, value: unknown): boolean {
  const choices: Record<string, readonly unknown[]> = {
    congestion: CONGESTION,
    pattern: PATTERNS,
    policy: POLICIES,
  };
  return choices[name]?.includes(value) ?? false;
}

export class Board {
  readonly buffer: SharedArrayBuffer;
  readonly #values: Float64Array;
  readonly #at: Readonly<Record<string, number>>;

  /** A view of `buffer`, or of a new board. */
  constructor(buffer = new SharedArrayBuffer(WORDS * 8)) {
    this.buffer = buffer;
    this.#values = new Float64Array(buffer);
    this.#at = Object.fromEntries(NUMBERS.map((name, index) => [name, index]));
  }

  get(name: NumberName): number {
    return this.#values[this.#at[name]];
  }

  /** How many times it was written. */
  get version(): number {
    return this.#values[VERSION];
  }

  set(changes: Partial<Levers & Pick<Scenario, "seed">>): void {
    for (const name of NUMBERS) {
      const value = changes[name];
      if (value !== undefined) this.#values[this.#at[name]] = value;
    }
    if (changes.pattern) this.#values[PATTERN] = PATTERNS.indexOf(changes.pattern);
    this.#values[VERSION]++;
  }

  /** The load at `now` (µs), messages a second, as the pattern has it around the lever's value. */
  loadAt(now: number): number {
    return this.get("load") * swing(PATTERNS[this.#values[PATTERN]], now);
  }

  /** Index of the connection that is followed, -1: none. */
  get watched(): number {
    return this.#values[WATCHED] - 1;
  }

  set watched(flow: number) {
    this.#values[WATCHED] = flow + 1;
  }

  /** Whether the clients hold their requests back. */
  get paused(): boolean {
    return this.#values[PAUSED] !== 0;
  }

  set paused(isPaused: boolean) {
    this.#values[PAUSED] = isPaused ? 1 : 0;
  }

  /** Has the thread of a server's core fail when it looks at its messages next. */
  doom(core: number): void {
    this.#values[DOOMED] = core + 1;
  }

  /** True once for the core that is to fail. */
  takeDoom(core: number): boolean {
    if (this.#values[DOOMED] !== core + 1) return false;
    this.#values[DOOMED] = 0;
    return true;
  }
}

/** Length of a pattern, µs. */
export const PATTERN_PERIOD = 2_000_000;
const SWING = 0.85;

function swing(pattern: (typeof PATTERNS)[number], now: number): number {
  const phase = (now % PATTERN_PERIOD) / PATTERN_PERIOD;
  if (pattern === "sine") return 1 + SWING * Math.sin(2 * Math.PI * phase);
  if (pattern === "step") return phase < 0.5 ? 1 - SWING : 1 + SWING;
  return 1;
}
