/**
 * Puts virtual timers in the place of node:timers and node:timers/promises, for modules that import
 * from there. Modules that were imported before see it too, unless they have kept a function in a
 * variable of their own.
 */
import { createRequire, syncBuiltinESMExports } from "node:module";
import { replace } from "../../sim/globals.ts";
import type { VirtualTimers } from "../../sim/virtual-timers.ts";

interface WaitOptions {
  readonly signal?: AbortSignal;
}

const require = createRequire(import.meta.url);

/** Installs them. Returns what puts the real ones back. */
export function installTimerModules(timers: VirtualTimers): () => void {
  const wait = (delay?: number, value?: unknown, { signal }: WaitOptions = {}): Promise<unknown> =>
    waitFor(timers, delay, value, signal);
  const real = require("node:timers/promises") as { scheduler: object };
  const { setTimeout, setInterval, clearTimeout, clearInterval } = globalThis;
  const undo = [
    replace(require("node:timers") as object, {
      setTimeout,
      setInterval,
      clearTimeout,
      clearInterval,
    }),
    replace(real, {
      setTimeout: wait,
      setInterval: (delay?: number, value?: unknown, options?: WaitOptions) =>
        ticks(timers, delay, value, options),
    }),
    replace(real.scheduler, {
      wait: (delay: number, options?: WaitOptions) => wait(delay, undefined, options),
    }),
  ];
  syncBuiltinESMExports();
  return () => {
    for (const each of undo) each();
    syncBuiltinESMExports();
  };
}

function waitFor<T>(
  timers: VirtualTimers,
  delay: number | undefined,
  value: T,
  signal: AbortSignal | undefined,
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(aborted(signal));
      return;
    }
    const abort = (): void => {
      timers.clear(timeout);
      reject(aborted(signal!));
    };
    const timeout = timers.setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve(value);
    }, delay);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** As setInterval of node:timers/promises: ticks that were missed come one after the other. */
async function* ticks<T>(
  timers: VirtualTimers,
  delay: number | undefined,
  value: T,
  { signal }: WaitOptions = {},
): AsyncGenerator<T, void> {
  if (signal?.aborted) throw aborted(signal);
  let missed = 0;
  let ring: (() => void) | undefined;
  const interval = timers.setInterval(() => {
    missed++;
    ring?.();
  }, delay);
  const abort = (): void => ring?.();
  signal?.addEventListener("abort", abort);
  try {
    for (;;) {
      if (missed === 0) await new Promise<void>((resolve) => (ring = resolve));
      if (signal?.aborted) throw aborted(signal);
      missed--;
      yield value;
    }
  } finally {
    signal?.removeEventListener("abort", abort);
    timers.clear(interval);
  }
}

function aborted(signal: AbortSignal): Error {
  const error = new Error("The operation was aborted", { cause: signal.reason });
  error.name = "AbortError";
  return Object.assign(error, { code: "ABORT_ERR" });
}
