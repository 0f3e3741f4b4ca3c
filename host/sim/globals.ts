/**
 * Puts a network's time and chance in the place of the global ones: setTimeout, setInterval and their
 * counterparts, Date, performance.now, AbortSignal.timeout and Math.random. Microtasks, immediates and
 * messages stay real: it is by them that a network sees whether its applications are done.
 */
import { StateError } from "../dataplane/errors.ts";
import type { VirtualTimers } from "./virtual-timers.ts";

/** Where util.promisify looks for what to use instead. */
const PROMISIFIED = Symbol.for("nodejs.util.promisify.custom");

export interface VirtualGlobals {
  readonly timers: VirtualTimers;
  /** What Date is when the network's time is 0, ms of Unix time. */
  readonly epoch: number;
  readonly random: () => number;
}

let installed = false;

/**
 * Installs them. Returns what puts the real ones back.
 *
 * @throws {StateError} another network's are installed
 */
export function installGlobals(globals: VirtualGlobals): () => void {
  if (installed) {
    throw new StateError(
      "another network's virtual timers are installed: close that network first",
    );
  }
  installed = true;
  const { timers, epoch, random } = globals;
  const setTimeout = timers.setTimeout.bind(timers);
  const setInterval = timers.setInterval.bind(timers);
  Object.defineProperty(setTimeout, PROMISIFIED, {
    value: (delay: number, value: unknown) =>
      new Promise((resolve) => timers.setTimeout(() => resolve(value), delay)),
  });
  const clear = (timeout: unknown): void => timers.clear(timeout);
  const undo = [
    replace(globalThis, { setTimeout, setInterval, clearTimeout: clear, clearInterval: clear }),
    replace(globalThis, { Date: virtualDate(() => Math.floor(epoch + timers.now)) }),
    replace(performance, { now: () => timers.now }),
    replace(AbortSignal, { timeout: (delay: number) => timeoutSignal(timers, delay) }),
    replace(Math, { random }),
  ];
  return () => {
    for (const each of undo) each();
    installed = false;
  };
}

/** Replaces properties of an object. Returns what puts the old ones back. */
export function replace(object: object, values: Record<string, unknown>): () => void {
  const names = Object.keys(values);
  const before = names.map((name) => Object.getOwnPropertyDescriptor(object, name));
  for (const name of names) {
    const value = values[name];
    Object.defineProperty(object, name, { value, writable: true, configurable: true });
  }
  return () => {
    for (const [index, name] of names.entries()) {
      const descriptor = before[index];
      if (descriptor === undefined) Reflect.deleteProperty(object, name);
      else Object.defineProperty(object, name, descriptor);
    }
  };
}

function virtualDate(now: () => number): DateConstructor {
  return new Proxy(Date, {
    construct: (real, args, target) =>
      Reflect.construct(real, args.length === 0 ? [now()] : args, target) as object,
    apply: (real) => new real(now()).toString(),
    get: (real, name, receiver) =>
      name === "now" ? now : (Reflect.get(real, name, receiver) as unknown),
  });
}

function timeoutSignal(timers: VirtualTimers, delay: number): AbortSignal {
  const controller = new AbortController();
  timers.setTimeout(() => {
    const message = "The operation was aborted due to timeout";
    controller.abort(new DOMException(message, "TimeoutError"));
  }, delay);
  return controller.signal;
}
