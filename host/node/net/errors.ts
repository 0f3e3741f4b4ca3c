/**
 * Errors as node:net makes them: `code`, `errno` and `syscall` of the system call that failed, and the
 * endpoint where there is one. Kernel codes become Linux's numbers.
 */
import { constants } from "node:os";
import {
  RC_INUSE,
  RC_INVAL,
  RC_MSGSIZE,
  RC_NOBUFS,
  RC_NOMEM,
  RC_OK,
  RC_REFUSED,
  RC_RESET,
  RC_TIMEOUT,
  RC_UNREACHABLE,
} from "../../../assembly/abi.ts";
import { codeName } from "../../dataplane/errors.ts";

/** libuv's number for a name that nobody knows. */
const EAI_NONAME = -3008;

export interface NetError extends Error {
  code: string;
  errno: number;
  syscall: string;
  address?: string;
  port?: number;
  hostname?: string;
}

const NAMES = new Map<number, string>([
  [RC_INUSE, "EADDRINUSE"],
  [RC_INVAL, "EINVAL"],
  [RC_MSGSIZE, "EMSGSIZE"],
  [RC_NOBUFS, "ENOBUFS"],
  [RC_NOMEM, "ENOMEM"],
  [RC_REFUSED, "ECONNREFUSED"],
  [RC_RESET, "ECONNRESET"],
  [RC_TIMEOUT, "ETIMEDOUT"],
  [RC_UNREACHABLE, "EHOSTUNREACH"],
  [RC_OK, "ECONNRESET"],
]);

/** An error of a system call, by the kernel's `RC_*` code. */
export function systemError(
  syscall: string,
  outcome: number,
  endpoint?: { address: string; port: number },
): NetError {
  return named(syscall, NAMES.get(outcome) ?? codeName(outcome), endpoint);
}

/** An error of a system call, by the name that Linux has for it. */
export function named(
  syscall: string,
  code: string,
  endpoint?: { address: string; port: number },
): NetError {
  const where = endpoint === undefined ? "" : ` ${endpoint.address}:${endpoint.port}`;
  const number = (constants.errno as Record<string, number>)[code] ?? 0;
  return Object.assign(new Error(`${syscall} ${code}${where}`), {
    errno: -number,
    code,
    syscall,
    ...endpoint,
  });
}

/** What `dns.lookup` says of a name that nobody has. */
export function notFound(hostname: string): NetError {
  return Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), {
    errno: EAI_NONAME,
    code: "ENOTFOUND",
    syscall: "getaddrinfo",
    hostname,
  });
}

/** A TypeError or RangeError with one of Node's own codes. */
export function coded<E extends Error>(error: E, code: string): E & { code: string } {
  return Object.assign(error, { code });
}

/** Checks a port as node:net does: a number or a numeric string from 0 to 65535. */
export function checkPort(port: unknown, name = "options.port"): number {
  const number = typeof port === "string" && port.trim() !== "" ? Number(port) : port;
  if (typeof number !== "number" || !Number.isInteger(number) || number < 0 || number > 65535) {
    const error = new RangeError(`${name} should be >= 0 and < 65536. Received ${describe(port)}.`);
    throw coded(error, "ERR_SOCKET_BAD_PORT");
  }
  return number;
}

function describe(value: unknown): string {
  if (typeof value === "number") return `type number (${value})`;
  if (typeof value === "string") return `type string ('${value}')`;
  return String(value);
}
