/** What the real measurement and the threads that it starts (processor.ts) agree on. */
import type { DataplaneHandle, Wire } from "../../host/node/index.ts";

/** Threads of a real measurement, each with a client and perhaps a core of the server. */
export const PROCESSORS = 2;

/** A core of a dataplane with one queue per core, and what runs on it. */
export interface Part {
  readonly dataplane: DataplaneHandle;
  readonly core: number;
  readonly wire: Wire;
  /** URL of a module whose default export is the application's factory, and its options. */
  readonly module: string;
  readonly options: unknown;
}

export interface ProcessorData {
  readonly server: Part | undefined;
  readonly client: Part;
  /** Words of CONTROL_*, then per processor the busy time of its server core, f64 µs. */
  readonly control: SharedArrayBuffer;
  readonly processor: number;
}

export const CONTROL_READY = 0;
export const CONTROL_STATE = 1;
export const CONTROL_BYTES = 64;

export const WAIT = 0;
export const RUN = 1;
export const STOP = 2;
