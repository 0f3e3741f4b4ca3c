/** The argument lists of node:dgram, as `send`, `bind` and `connect` take them. */
import { Buffer } from "node:buffer";
import { coded } from "../net/errors.ts";

export type SendCallback = (error: Error | null, bytes: number) => void;

/** What a datagram may be given as. */
export type Message =
  string | NodeJS.ArrayBufferView | readonly (string | NodeJS.ArrayBufferView)[];

export interface Sending {
  readonly bytes: Buffer;
  /** Undefined for a connected socket. */
  readonly port: number | undefined;
  readonly address: string | undefined;
  readonly callback: SendCallback | undefined;
}

/**
 * What `send` was asked for: (message[, offset, length][, port][, address][, callback]); a connected
 * socket takes neither port nor address. The bytes are a copy.
 */
export function normalizeSend(args: unknown[], connected: boolean): Sending {
  const message = args[0] as Message;
  let rest = args.slice(1);
  const isPart = connected
    ? typeof rest[1] === "number"
    : Boolean(rest[3]) || (Boolean(rest[2]) && typeof rest[2] !== "function");
  const bytes = isPart
    ? Buffer.from(partOf(message, rest[0], rest[1]))
    : Buffer.concat(bytesOf(message));
  if (isPart) rest = rest.slice(2);
  if (connected) {
    const [port, address] = rest.filter((each) => typeof each !== "function");
    if (port || address) throw alreadyConnected();
    const callback = rest.find((each) => typeof each === "function");
    return { bytes, port: undefined, address: undefined, callback: callback as SendCallback };
  }
  const port = checkTarget(rest[0]);
  if (typeof rest[1] === "function") {
    return { bytes, port, address: undefined, callback: rest[1] as SendCallback };
  }
  const callback = typeof rest[2] === "function" ? (rest[2] as SendCallback) : undefined;
  return { bytes, port, address: checkAddress(rest[1]), callback };
}

/** A port that something is sent to: never 0. */
export function checkTarget(port: unknown): number {
  const number = typeof port === "string" && port.trim() !== "" ? Number(port) : port;
  if (typeof number === "number" && Number.isInteger(number) && number > 0 && number < 65536) {
    return number;
  }
  const error = new RangeError(
    `Port should be > 0 and < 65536. Received type ${typeof port} (${String(port)}).`,
  );
  throw coded(error, "ERR_SOCKET_BAD_PORT");
}

/** A name or an address; nothing at all is left to the caller. */
export function checkAddress(address: unknown): string | undefined {
  if (address === undefined || address === null) return undefined;
  if (typeof address === "string") return address === "" ? undefined : address;
  throw wrongType("address", "string", address);
}

export function alreadyConnected(): Error {
  return coded(new Error("Already connected"), "ERR_SOCKET_DGRAM_IS_CONNECTED");
}

export function wrongType(name: string, expected: string, value: unknown): Error {
  const error = new TypeError(
    `The "${name}" argument must be of type ${expected}. Received type ${typeof value}`,
  );
  return coded(error, "ERR_INVALID_ARG_TYPE");
}

/** A number within bounds, as setTTL and its like take it. */
export function checkNumber(name: string, value: unknown): number {
  if (typeof value === "number") return value;
  throw wrongType(name, "number", value);
}

function bytesOf(message: unknown): Uint8Array[] {
  if (!Array.isArray(message)) return [viewOf(message, "buffer")];
  return message.map((each) => viewOf(each, "buffer list arguments"));
}

function viewOf(value: unknown, name: string): Uint8Array {
  if (typeof value === "string") return Buffer.from(value);
  if (ArrayBuffer.isView(value)) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  const expected = "string or an instance of Buffer, TypedArray, or DataView";
  throw wrongType(name, expected, value);
}

function partOf(message: unknown, offset: unknown, length: unknown): Uint8Array {
  const bytes = viewOf(message, "buffer");
  const from = Number(offset) >>> 0;
  const count = Number(length) >>> 0;
  const outside = from > bytes.length ? "offset" : from + count > bytes.length ? "length" : null;
  if (outside !== null) {
    const error = new RangeError(`"${outside}" is outside of buffer bounds`);
    throw coded(error, "ERR_BUFFER_OUT_OF_BOUNDS");
  }
  return bytes.subarray(from, from + count);
}
