/**
 * What the parts of the emulated network say to each other. Handles are plain data: they survive
 * structured cloning, so a worker can be given the whole wiring of the cores it runs.
 */

/** A NIC port as any thread can reach it. */
export interface PortHandle {
  readonly name: string;
  /** The dataplane's linear memory: its rings and its frames. */
  readonly memory: WebAssembly.Memory;
  /** Address of each queue pair's block (`QUEUE_*` in abi.ts), by queue number. */
  readonly queues: readonly number[];
  /** RETA, filters, drop counters and ring locks, shared by all threads that use the port. */
  readonly state: SharedArrayBuffer;
  /** 6 bytes. */
  readonly mac: readonly number[];
  /** `OFFLOAD_*` that this port does for its dataplane. */
  readonly offloads: number;
}

/** How one direction of a link treats frames. Everything absent means a perfect wire. */
export interface LinkOptions {
  /** Bits per second; absent: unlimited. */
  readonly rate?: number;
  /** One-way propagation delay, µs. */
  readonly delay?: number;
  /** Uniform extra delay, 0 to this many µs; frames keep their order. */
  readonly jitter?: number;
  /** Probabilities from 0 to 1, each drawn per frame. */
  readonly loss?: number;
  readonly duplicate?: number;
  readonly corrupt?: number;
  /** A reordered frame is held back by `reorderDelay` µs (default 1000) while others pass it. */
  readonly reorder?: number;
  readonly reorderDelay?: number;
  /** Frames that wait for the rate at most; more are dropped at the tail. Default 1000. */
  readonly queueLimit?: number;
  /**
   * Frames waiting for the rate from which on ECN-capable ones are marked (CE, RFC 3168). Absent: never.
   */
  readonly ecnThreshold?: number;
  /** Seed of this link's random numbers. Default 1. */
  readonly seed?: number;
}

/** Where frames that leave a port go. */
export type Wire =
  { readonly kind: "link"; readonly to: PortHandle; readonly options: LinkOptions } | SwitchWire;

export interface SwitchWire {
  readonly kind: "switch";
  /** Shared MAC table of the switch. */
  readonly table: SharedArrayBuffer;
  readonly ports: readonly PortHandle[];
  /** Which of `ports` this wire comes from. */
  readonly port: number;
  readonly ways: Ways;
  /** Senders wait for rings that are full, instead of dropping frames. */
  readonly flowControl: boolean;
}

/** The ways between a switch and its ports. Backends of the thread that changes them see changes. */
export interface Ways {
  /** Changes so far. */
  version: number;
  /** By number of the port. */
  readonly ports: Way[];
}

/** The way between a port and its switch. */
export interface Way {
  /** From the port to the switch, and back. */
  up: LinkOptions;
  down: LinkOptions;
  /** The cable is pulled: what would come through it is lost, both ways. */
  cut: boolean;
  /** Ports that frames from this one do not get to. */
  readonly blocked: Set<number>;
}

/** What moves frames between a queue pair and the outside; owned by the core's own thread. */
export interface QueueBackend {
  /**
   * Takes every frame waiting in the TX ring, completes it, and delivers what is due at `now` (µs).
   * Returns how many frames it moved in either direction.
   */
  pump(now: number): number;
  /** When something held back becomes due, µs; Infinity when nothing is. */
  nextDeadline(): number;
  /**
   * Blocks this thread until frames from outside this process wait, for at most `micros` µs. Absent
   * where frames only come from other ports, whose senders ring the core's doorbell.
   */
  wait?(micros: number): void;
  /**
   * Where something else than the port's RETA steers what comes from outside: points flow groups to
   * other queues there as well. Returns for how long, µs, frames may still come to the old queues.
   */
  steer?(changes: Iterable<readonly [group: number, queue: number]>): number;
  close?(): void;
}
