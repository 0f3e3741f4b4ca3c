/** The arguments of node:net: `connect(port[, host][, listener])`, `listen(…)`, or options; what is wrong with them. */
import { isIP } from "node:net";
import { checkPort, coded, invalidType, invalidValue } from "./errors.ts";
import type { ConnectOptions, ListenOptions, OnReadOptions, SocketOptions } from "./options.ts";

type Listener = () => void;

/** What `connect` was asked for. */
export function normalizeConnect(args: unknown[]): [ConnectOptions, Listener | undefined] {
  const listener = listenerOf(args);
  const [first, second] = args;
  if (typeof first === "object" && first !== null) {
    const options = first as ConnectOptions & { path?: unknown };
    if (options.path) throw invalidValue("options.path", options.path, ONLY_PORTS);
    if (options.port === undefined) throw missing('"options" or "port" or "path"');
    return [options, listener];
  }
  if (first === undefined || typeof first === "function") {
    throw missing('"options" or "port" or "path"');
  }
  if (typeof first === "string" && Number.isNaN(Number(first))) {
    throw invalidValue("options.path", first, ONLY_PORTS);
  }
  const host = typeof second === "string" ? second : undefined;
  return [{ port: first as number, host }, listener];
}

/** What `listen` was asked for; the port is a number. */
export function normalizeListen(args: unknown[]): [ListenOptions, Listener | undefined] {
  const listener = listenerOf(args);
  const [first, second, third] = args;
  if (typeof first === "object" && first !== null) {
    const options = first as ListenOptions;
    if (!("port" in options)) throw invalidValue("options", first, ONLY_PORTS);
    return [{ ...options, port: listenPort(options.port) }, listener];
  }
  if (first === undefined || first === null || typeof first === "function") {
    return [{ port: 0 }, listener];
  }
  if (typeof first === "string" && Number.isNaN(Number(first))) {
    throw invalidValue("options", first, ONLY_PORTS);
  }
  if (typeof first === "boolean") throw invalidValue("options", first, ONLY_PORTS);
  const host = typeof second === "string" ? second : undefined;
  const backlog = [second, third].find((each) => typeof each === "number");
  return [{ port: checkPort(first), host, backlog }, listener];
}

/** Paths and file descriptors are the operating system's; a dataplane has ports. */
const ONLY_PORTS = 'must have the property "port": a dataplane has neither paths nor descriptors';

function listenPort(port: unknown): number {
  if (port === undefined || port === null) return 0;
  if (typeof port === "number" || typeof port === "string") return checkPort(port);
  throw invalidValue("options", { port }, ONLY_PORTS);
}

function listenerOf(args: unknown[]): Listener | undefined {
  const last = args.at(-1);
  return typeof last === "function" ? (last as Listener) : undefined;
}

function missing(names: string): Error {
  const error = new TypeError(`The ${names} argument must be specified`);
  return coded(error, "ERR_MISSING_ARGS");
}

/** Checks where a connection is to come from; returns the address, if there is one. */
export function checkLocal({ localAddress, localPort }: ConnectOptions): string | undefined {
  if (localAddress !== undefined && isIP(localAddress) === 0) {
    const error = new TypeError(`Invalid IP address: ${String(localAddress)}`);
    throw coded(error, "ERR_INVALID_IP_ADDRESS");
  }
  if (localPort !== undefined) {
    if (typeof localPort !== "number") {
      throw invalidType("options.localPort", "of type number", localPort);
    }
    checkPort(localPort, "options.localPort");
  }
  return localAddress;
}

/** The option `onread` where it is complete; as in node:net it counts for nothing where it is not. */
export function checkOnRead(onread: OnReadOptions | null | undefined): OnReadOptions | undefined {
  if (typeof onread !== "object" || onread === null) return undefined;
  const { buffer, callback } = onread;
  const usable = buffer instanceof Uint8Array || typeof buffer === "function";
  return usable && typeof callback === "function" ? onread : undefined;
}

/** A socket's stream is of bytes. */
export function checkSocketOptions(options: SocketOptions): void {
  for (const name of ["objectMode", "readableObjectMode", "writableObjectMode"]) {
    const value = (options as Record<string, unknown>)[name];
    if (value) throw invalidValue(`options.${name}`, value, "is not supported");
  }
}
