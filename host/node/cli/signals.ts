/** Being told to end: by Ctrl-C (SIGINT), by SIGTERM, by the end of the terminal (SIGHUP). */
import { EXIT_INTERRUPTED } from "./errors.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** A second signal of an impatient user comes later than this, ms; npx passes on what we got already. */
const IMPATIENCE = 1000;

/**
 * Calls `end` at the first signal. A second one, when it comes late enough to be meant, ends the process
 * at once. Returns what takes all that back.
 */
export function onSignalToEnd(end: (signal: NodeJS.Signals) => void): () => void {
  let first = -1;
  const listener = (signal: NodeJS.Signals): void => {
    if (first < 0) {
      first = performance.now();
      end(signal);
    } else if (performance.now() - first > IMPATIENCE) {
      process.exit(EXIT_INTERRUPTED);
    }
  };
  for (const signal of SIGNALS) process.on(signal, listener);
  return () => {
    for (const signal of SIGNALS) process.off(signal, listener);
  };
}

/** Aborted when the process is told to end, until `release` is called. */
export function interruption(): { readonly signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const release = onSignalToEnd(() => controller.abort());
  return { signal: controller.signal, release };
}
