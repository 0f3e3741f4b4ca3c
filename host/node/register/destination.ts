/** What goes to the dataplane, and what stays with the operating system. */
import { lookup as lookupNode } from "node:dns";
import { addressOf, isThisHost } from "../../net/names.ts";
import { defaultHost } from "../net/defaults.ts";
import type { LookupFunction } from "../net/lookup.ts";
import { isPassed } from "./pass.ts";

/** What node:net was asked to connect to, or to listen on, as far as it matters here. */
export interface Request {
  readonly port?: number | string | null;
  readonly host?: string;
  readonly path?: string;
  readonly fd?: number;
  readonly handle?: unknown;
  readonly _handle?: unknown;
}

export type Listener = (...args: unknown[]) => void;

/** True once all is the dataplane's, because it has a way out of the process of its own. */
let everything = false;

export function takeEverything(): void {
  everything = true;
}

/** How names are found that a program says: with a way out, also those that the system knows. */
export function lookupOf(given: LookupFunction | undefined): LookupFunction | undefined {
  return given ?? (everything ? (lookupNode as LookupFunction) : undefined);
}

/**
 * True for a connection that is the dataplane's: to this host by any of its names, or to a host of the
 * network. With a TAP device that is every one.
 */
export function isInside({ port, host, path, fd, handle, _handle }: Request): boolean {
  if (path || fd !== undefined || handle !== undefined || _handle !== undefined) return false;
  if (port === undefined || port === null || isPassed(host, port)) return false;
  return host === undefined || typeof host !== "string" || isInsideHost(host);
}

function isInsideHost(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  if (everything || bare === "" || isThisHost(bare)) return true;
  const own = defaultHost();
  const found = own.resolve(bare);
  if (found === undefined || own.isOwn(found)) return found !== undefined;
  return addressOf(bare) === undefined || own.network.names.nameOf(found) !== undefined;
}

/** True for what the dataplane listens on: any address, loopback, its own, unless the port is passed on. */
export function isOwn(host: string | undefined, port: number | string | null): boolean {
  if (isPassed(host, port)) return false;
  if (!host || isThisHost(host)) return true;
  const own = defaultHost();
  return own.isOwn(own.resolve(host) ?? "");
}

/** Reads (port[, host][, …][, listener]), (path), (options[, listener]), or what node:net made of it. */
export function readArguments(args: unknown[]): [Request, Listener | undefined] {
  const [first, second] = args;
  if (Array.isArray(first)) return [first[0] as Request, (first[1] ?? undefined) as Listener];
  const last = args.at(-1);
  const listener = typeof last === "function" ? (last as Listener) : undefined;
  if (typeof first === "object" && first !== null) return [first as Request, listener];
  if (typeof first === "string" && !(Number(first) >= 0)) return [{ path: first }, listener];
  const host = typeof second === "string" ? second : undefined;
  const port = typeof first === "function" ? undefined : (first as number);
  return [{ port, host }, listener];
}
