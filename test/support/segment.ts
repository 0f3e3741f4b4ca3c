/** What a test expects of a segment, and what is wrong with the one that came. */
import { toHex } from "./bytes.ts";
import { formatOption, type TcpHeader, type TcpOption } from "./packet.ts";

/** What a segment is held against; what is absent may be anything. */
export interface Expected {
  /** Compared without PSH, which is compared by `psh`. */
  readonly flags?: string;
  readonly psh?: boolean;
  readonly seq?: number;
  readonly ack?: number;
  readonly length?: number;
  readonly payload?: Uint8Array;
  /** Bytes, after scaling. */
  readonly window?: number | ((window: number) => boolean);
  /** Exactly these options in this order. */
  readonly options?: readonly TcpOption[];
  /** Exactly these SACK blocks, relative. */
  readonly sack?: readonly (readonly [number, number])[];
  /** Virtual time, µs: exactly, or within [from, to]. */
  readonly at?: number | readonly [from: number, to: number];
}

/** A segment of the kernel's with its numbers relative and its window scaled. */
export interface Received {
  readonly seq: number;
  readonly ack: number;
  readonly flags: string;
  readonly window: number;
  readonly payload: Uint8Array;
  /** Of the IP header. */
  readonly tos: number;
  /** Blocks of the SACK option, relative. */
  readonly sack: readonly (readonly [number, number])[];
  readonly header: TcpHeader;
  readonly at: number;
}

/** What is wrong with a segment, or undefined. */
export function mismatch(received: Received, expected: Expected): string | undefined {
  const flags = received.flags.replace("P", "");
  if (expected.flags !== undefined && flags !== expected.flags.replace("P", "")) {
    return `flags are ${received.flags}`;
  }
  if (expected.psh !== undefined && received.flags.includes("P") !== expected.psh) {
    return `PSH is ${expected.psh ? "off" : "on"}`;
  }
  if (expected.seq !== undefined && received.seq !== expected.seq) return `seq is ${received.seq}`;
  if (expected.ack !== undefined && received.ack !== expected.ack) return `ack is ${received.ack}`;
  const { length } = received.payload;
  if (expected.length !== undefined && length !== expected.length) return `length is ${length}`;
  if (expected.payload && toHex(expected.payload) !== toHex(received.payload)) {
    return `payload is ${toHex(received.payload.subarray(0, 32))} (${length} bytes)`;
  }
  const { window } = expected;
  const windowFits =
    typeof window === "function" ? window(received.window) : window === received.window;
  if (window !== undefined && !windowFits) return `window is ${received.window}`;
  if (expected.options) {
    const actual = formatOptions(received.header.options);
    if (actual !== formatOptions(expected.options)) return `options are ${actual}`;
  }
  if (expected.sack && String(expected.sack) !== String(received.sack)) {
    return `SACK blocks are ${JSON.stringify(received.sack)}`;
  }
  const [from, to] =
    typeof expected.at === "number"
      ? [expected.at, expected.at]
      : (expected.at ?? [-Infinity, Infinity]);
  if (received.at < from || received.at > to) return `it was sent at ${received.at}`;
  return undefined;
}

function formatOptions(options: readonly TcpOption[]): string {
  return `<${options.map(formatOption).join(",")}>`;
}

/** The expectation in one line. */
export function describeExpected(expected: Expected): string {
  const fields = Object.entries(expected).map(([name, value]) => {
    if (value instanceof Uint8Array) return `${name} ${toHex(value.subarray(0, 32))}`;
    if (name === "options") return formatOptions(value as readonly TcpOption[]);
    return `${name} ${String(value)}`;
  });
  return `[${fields.join(", ")}]`;
}
