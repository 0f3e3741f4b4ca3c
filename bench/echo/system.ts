/** What the echo experiment measures, and what it asks of the systems that it compares. */

/** What goes back and forth. */
export interface EchoTraffic {
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
}

export interface EchoParams extends EchoTraffic {
  /** Length of the measurement of throughput, and of that of latency, s; 0: left out. */
  readonly seconds: number;
  readonly latency: number;
  /** Measure the stages too, where that is possible. */
  readonly stages: boolean;
}

/** One measurement of a system. */
export interface EchoSample {
  /** Round trips, and connections opened, in `seconds`. */
  readonly messages: number;
  readonly opened: number;
  readonly seconds: number;
  /** Round-trip time of one message in flight on one connection; 0: not measured. */
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
}

/** Time to warm up before a measurement, s: compilers need it more than connections do. */
export const WARMUP = 0.7;

/** Longest time that opening all connections may take, s. */
export const OPENING = 60;
export const NOT_OPEN = `the connections were not all open after ${OPENING} s`;

/** What is measured where the throughput is not. */
export const NO_THROUGHPUT = { messages: 0, opened: 0, seconds: 0 };
/** What is measured where the latency is not. */
export const NO_LATENCY = { p50_us: 0, p99_us: 0 };

/** One message in flight on one connection, as latency is measured. */
export function oneInFlight(params: EchoParams): EchoParams {
  return { ...params, conns: 1, pipeline: 1, rounds: 0, cores: 1 };
}
