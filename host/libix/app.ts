/**
 * What an application is to the elastic thread that runs it: one object per core, called on that
 * core's thread right after the kernel, never from anywhere else.
 */
import type { Ix } from "./ix.ts";

/** The application of one core. */
export interface App {
  /** Called once, before the first poll: the place to listen, to dial, to set timers. */
  start?(ix: Ix): void;
  /**
   * Called after every poll that produced events or ran system calls of the application. It must
   * consume all events: the next poll overwrites them. `now` is the time of that poll, µs.
   */
  handle(ix: Ix, now: number): void;
}

/** What the factory of an application is given, once per core. */
export interface AppContext {
  readonly ix: Ix;
  /** Index of the core within its dataplane. */
  readonly core: number;
  /** What the runner was told to pass on; a structured clone of it when the core has a worker. */
  readonly options: unknown;
  /** Sends a message (structured clone) to whoever runs the application; for use now and then. */
  post(message: unknown): void;
}

/** Makes the application of one core: the default export of a module that runs on worker threads. */
export type AppFactory = (context: AppContext) => App;
