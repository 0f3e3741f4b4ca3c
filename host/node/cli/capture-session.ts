/** The run's side of `ixwasm capture`: one capture at a time, its bytes sent to who asked for it. */
import { setTimeout as sleep } from "node:timers/promises";
import * as check from "../../dataplane/checks.ts";
import type { Clock } from "../../dataplane/clock.ts";
import type { LiveCapture } from "../../nic/live-capture.ts";
import type { Caller } from "./control-server.ts";
import { RequestError, type Request } from "./protocol.ts";

/** Time between two looks at the rings, ms. */
const INTERVAL = 5;

export interface CaptureResult {
  /** Frames written, and frames that found no room since the client or this process was too slow. */
  readonly frames: number;
  readonly dropped: number;
}

export class CaptureSession {
  readonly #live: LiveCapture;
  readonly #clock: Clock;
  /** The client that captures. */
  #owner: AbortSignal | undefined;
  #ending: AbortController | undefined;

  constructor(live: LiveCapture, clock: Clock) {
    this.#live = live;
    this.#clock = clock;
  }

  /** Captures until the request's limit is reached, `end` is called, or the client has gone. */
  async capture(request: Request, caller: Caller): Promise<CaptureResult> {
    const frames = check.integer("frames", request.frames, Infinity, 1, 1e12);
    const seconds = limit("seconds", request.seconds);
    const snapLength = check.integer("snapLength", request.snapLength, 65535, 14, 65535, "bytes");
    if (this.#live.active) {
      throw new RequestError("EBUSY", "a capture runs already: end that one first");
    }
    this.#ending = new AbortController();
    this.#owner = caller.signal;
    const signal = AbortSignal.any([this.#ending.signal, caller.signal]);
    this.#live.start((bytes) => void caller.sendData(bytes), { snapLength });
    try {
      const end = performance.now() + seconds * 1000;
      while (!signal.aborted && performance.now() < end && this.#live.frames < frames) {
        await sleep(INTERVAL, undefined, { signal }).catch(() => {});
        // What a slow client has no room for waits in the rings, and then is dropped and counted.
        if (caller.drained) this.#live.pump(this.#clock(), frames - this.#live.frames);
      }
    } finally {
      this.#live.stop(this.#clock(), frames - this.#live.frames);
      this.#owner = undefined;
    }
    return { frames: this.#live.frames, dropped: this.#live.dropped };
  }

  /** Ends the capture that this client has begun. */
  endCapture(caller: Caller): void {
    if (this.#owner !== caller.signal) {
      throw new RequestError("EINVAL", "this connection has begun no capture");
    }
    this.#ending!.abort();
  }

  /** Ends whatever capture there is. */
  end(): void {
    this.#ending?.abort();
  }
}

function limit(name: string, value: unknown): number {
  if (value === undefined) return Infinity;
  if (typeof value !== "number") throw check.typeError(name, "a number", value);
  if (!(value > 0 && value <= 1e9)) throw check.rangeError(name, "a number up to 1e9", value);
  return value;
}
