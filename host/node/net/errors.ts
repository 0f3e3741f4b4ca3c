/**
 * Errors as node:net makes them: `code`, `errno` and `syscall` of the system call that failed, and the
 * endpoint where there is one. Kernel codes become Linux's numbers.
 */
import { constants } from "node:os";
import { inspect } from "node:util";
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
  if (typeof value === "boolean") return `type boolean (${value})`;
  if (typeof value === "function") return `function ${value.name}`;
  if (typeof value === "object" && value !== null) return inspect(value, { depth: 0 });
  return String(value);
}

/** That an argument has the wrong type, in Node's words. */
export function invalidType(name: string, wanted: string, value: unknown): Error {
  const what = name.includes(".") ? "property" : "argument";
  const error = new TypeError(
    `The "${name}" ${what} must be ${wanted}. Received ${describe(value)}`,
  );
  return coded(error, "ERR_INVALID_ARG_TYPE");
}

/** That an argument has a value that is of no use, in Node's words. */
export function invalidValue(name: string, value: unknown, reason = "is invalid"): Error {
  const what = name.includes(".") ? "property" : "argument";
  const error = new TypeError(`The ${what} '${name}' ${reason}. Received ${describe(value)}`);
  return coded(error, "ERR_INVALID_ARG_VALUE");
}

/** The longest delay that a timer takes, ms. */
const LONGEST = 2 ** 31 - 1;

/** Checks milliseconds as node:net does; more than a timer takes become the most it takes. */
export function checkDuration(milliseconds: unknown): number {
  if (typeof milliseconds !== "number") throw invalidType("msecs", "of type number", milliseconds);
  if (!Number.isFinite(milliseconds) || milliseconds < 0) {
    const error = new RangeError(
      `The value of "msecs" is out of range. It must be a non-negative finite number. Received ${milliseconds}`,
    );
    throw coded(error, "ERR_OUT_OF_RANGE");
  }
  return Math.min(milliseconds, LONGEST);
}

/** "IPv4" or "IPv6". */
export function familyOf(address: string): string {
  return address.includes(":") ? "IPv6" : "IPv4";
}
