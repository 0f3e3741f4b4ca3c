/** Who runs the cores at full speed: workers, or one thread in slices. */
import type { Elasticity } from "../../host/index.ts";
import type { Board } from "./board.ts";
import type { Shared } from "./machines.ts";
import type { Network } from "./network.ts";
import type { Sampler } from "./sampler.ts";

export interface Plant {
  readonly mode: "threads" | "slices";
  readonly threads: number;
  readonly manager: Elasticity;
  /** Fulfilled when all cores poll. */
  start(): Promise<void>;
  /** The board says something new of the link, or of the batch bound. */
  follow(): void;
  stop(): Promise<void>;
}

export interface PlantOptions {
  readonly network: Network;
  readonly board: Board;
  readonly shared: Shared;
  readonly sampler: Sampler;
  readonly kernel: WebAssembly.Module;
  /** A core that ended by itself, and nobody could take over; or something that must not happen. */
  readonly onFailure: (error: unknown) => void;
}
