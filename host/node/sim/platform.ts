/** What simulated networks need of Node: turns of its event loop, and the errors that reach nobody. */
import type { Platform } from "../../sim/platform.ts";

/** Taken before fake timers can replace it. */
const immediate = setImmediate;

export const node: Platform = {
  turn: () => new Promise((resolve) => void immediate(resolve)),
  watch: (fail) => {
    const events = ["uncaughtException", "unhandledRejection"] as const;
    for (const event of events) process.on(event, fail);
    return () => {
      for (const event of events) process.off(event, fail);
    };
  },
};
