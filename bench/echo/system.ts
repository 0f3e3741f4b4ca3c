/** What the echo experiment measures, and what it asks of the systems that it compares. */

export interface EchoParams {
  /** Connections, bytes per message, messages in flight per connection. */
  readonly conns: number;
  readonly size: number;
  readonly pipeline: number;
  /** Messages after which a connection is reset and opened again; 0: never. */
  readonly rounds: number;
  /** Cores of the server, and as many of the client. */
  readonly cores: number;
  /** The dataplanes' bound B: packets that enter protocol processing in one iteration. */
  readonly batch: number;
  /** Length of a measurement, s. */
  readonly seconds: number;
}

/** One measurement of a system. */
export interface EchoSample {
  /** Round trips, and connections opened, in `seconds`. */
  readonly messages: number;
  readonly opened: number;
  readonly seconds: number;
  /** Round-trip time of one message in flight on one connection. */
  readonly p50_us: number;
  readonly p99_us: number;
  /** Nanoseconds per message by stage, where they were measured. */
  readonly stages?: Readonly<Record<string, number>>;
}

export interface EchoSystem {
  readonly name: string;
  /** What it is, for the help. */
  readonly description: string;
  /** Prepares it; returns why it cannot be measured here, or null. */
  prepare(): Promise<string | null>;
  /** One measurement: throughput with all connections, then latency with one. */
  measure(params: EchoParams): Promise<EchoSample>;
  /** Undoes what `prepare` did. */
  dispose?(): void;
}

/** Time to warm up before a measurement, s: compilers need it more than connections do. */
export const WARMUP = 0.7;

/** Longest time that opening all connections may take, s. */
export const OPENING = 60;
export const NOT_OPEN = `the connections were not all open after ${OPENING} s`;

/** How long latency is measured, s. */
export function latencySeconds(params: EchoParams): number {
  return Math.min(params.seconds, 0.5);
}
