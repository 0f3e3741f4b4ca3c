/** The argument lists of node:net: `connect(port[, host][, listener])`, `listen(…)`, or options. */
import { checkPort, coded } from "./errors.ts";
import type { ListenOptions } from "./server.ts";
import type { ConnectOptions } from "./socket.ts";

type Listener = () => void;

/** What `connect` was asked for. */
export function normalizeConnect(args: unknown[]): [ConnectOptions, Listener | undefined] {
  const listener = listenerOf(args);
  const [first, second] = args;
  if (typeof first === "object" && first !== null) {
    const options = first as ConnectOptions;
    if (options.port === undefined) throw missing('"options", "port"');
    return [options, listener];
  }
  if (first === undefined || typeof first === "function") throw missing('"options", "port"');
  const host = typeof second === "string" ? second : undefined;
  return [{ port: first as number, host }, listener];
}

/** What `listen` was asked for. */
export function normalizeListen(args: unknown[]): [ListenOptions, Listener | undefined] {
  const listener = listenerOf(args);
  const [first, second, third] = args;
  if (typeof first === "object" && first !== null) {
    const options = first as ListenOptions;
    if (options.port === undefined) throw unusable(first);
    return [{ ...options, port: checkPort(options.port) }, listener];
  }
  if (first === undefined || first === null || typeof first === "function") {
    return [{ port: 0 }, listener];
  }
  if (typeof first === "string" && !/^\d+$/.test(first)) throw unusable(first);
  const host = typeof second === "string" ? second : undefined;
  const backlog = typeof second === "number" ? second : (third as number | undefined);
  return [{ port: checkPort(first), host, backlog }, listener];
}

function listenerOf(args: unknown[]): Listener | undefined {
  const last = args.at(-1);
  return typeof last === "function" ? (last as Listener) : undefined;
}

function missing(names: string): Error {
  const error = new TypeError(`The ${names} arguments must be specified`);
  return coded(error, "ERR_MISSING_ARGS");
}

/** Paths and file descriptors are the operating system's; a dataplane has ports. */
function unusable(value: unknown): Error {
  const error = new TypeError(
    `The argument 'options' must have the property "port". Received ${JSON.stringify(value)}`,
  );
  return coded(error, "ERR_INVALID_ARG_VALUE");
}
