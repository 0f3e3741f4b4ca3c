/** What the engine's worker asks of whoever runs the scenario: in virtual time, on threads, or in slices. */
import type {
  CaptureFile,
  EngineMessage,
  Levers,
  Mode,
  Pace,
  PacketLife,
  Scenario,
  Snapshot,
} from "./messages.ts";

export interface Runner {
  readonly mode: Mode;
  readonly threads: number;
  /** Fulfilled when connections are open, or it makes no sense to wait any longer. */
  start(): Promise<void>;
  /** Levers that the board has already; only those that changed. */
  follow(changes: Partial<Levers>): void;
  pause(isPaused: boolean): void;
  setPace(pace: Pace): void;
  step(by: "packet" | "iteration"): void;
  migrate(groups: readonly number[], to: number): void;
  kill(core: number): void;
  watch(flow: number): void;
  snapshot(): Promise<Snapshot>;
  packet(id: number): PacketLife;
  capture(): Promise<CaptureFile>;
  /** Ends everything; nothing is told from then on. */
  stop(): Promise<void>;
}

/** What a runner is made of. */
export interface RunnerOptions {
  readonly scenario: Scenario;
  readonly pace: Pace;
  readonly kernel: WebAssembly.Module;
  /** Takes incidents, and what nobody has asked for. */
  readonly tell: (message: EngineMessage) => void;
  /** The person's clock, ms. */
  readonly wall: () => number;
}
