/** What a worker is given to run a core, and what it says: plain data. */
import type { CaptureRingHandle, DataplaneHandle } from "../../../host/index.ts";
import type { Shared } from "../machines.ts";

export interface CoreTask {
  readonly dataplane: DataplaneHandle;
  readonly core: number;
  readonly role: "server" | "client";
  readonly shared: Shared;
  readonly capture: CaptureRingHandle;
  /** Empty iterations before the core sleeps. */
  readonly spinIterations: number;
}

/** A worker gets one task after the other; it can hear of the next when the last one is over. */
export type WorkerMessage =
  /** It is about to poll. */
  | { readonly kind: "ready" }
  /** It was asked to leave, and has. */
  | { readonly kind: "ended" }
  /** It threw, and leaves the core as it is. */
  | { readonly kind: "died"; readonly message: string };
