/**
 * The errors of the host. Each carries a `code` in the manner of Node's; where a condition has a
 * POSIX name, that name is the code.
 */
import {
  RC_AGAIN,
  RC_BADH,
  RC_CLOSED,
  RC_FAULT,
  RC_INUSE,
  RC_INVAL,
  RC_MOVED,
  RC_MSGSIZE,
  RC_NOBUFS,
  RC_NOMEM,
  RC_NOSYS,
  RC_NOTSUP,
  RC_OK,
  RC_REFUSED,
  RC_RESET,
  RC_TIMEOUT,
  RC_UNREACHABLE,
} from "../../assembly/abi.ts";

const SYSTEM_CODES = new Map<number, readonly [code: string, text: string]>([
  [RC_OK, ["OK", "no error"]],
  [RC_NOMEM, ["ENOMEM", "table is full"]],
  [RC_NOBUFS, ["ENOBUFS", "no packet buffer is free"]],
  [RC_INVAL, ["EINVAL", "invalid argument"]],
  [RC_AGAIN, ["EAGAIN", "try again"]],
  [RC_FAULT, ["EFAULT", "address is not the application's"]],
  [RC_NOSYS, ["ENOSYS", "no such system call"]],
  [RC_NOTSUP, ["ENOTSUP", "not supported"]],
  [RC_BADH, ["EBADF", "stale or foreign handle"]],
  [RC_CLOSED, ["EPIPE", "the connection's state does not allow the call any more"]],
  [RC_REFUSED, ["ECONNREFUSED", "connection refused"]],
  [RC_TIMEOUT, ["ETIMEDOUT", "connection timed out"]],
  [RC_UNREACHABLE, ["EHOSTUNREACH", "host is unreachable"]],
  [RC_RESET, ["ECONNRESET", "connection reset by peer"]],
  [RC_INUSE, ["EADDRINUSE", "port or address in use"]],
  [RC_MSGSIZE, ["EMSGSIZE", "datagram too long"]],
  [RC_MOVED, ["ESTALE", "the connection moved to another core"]],
]);

/** Node's code for a return code, outcome or reason of the kernel (`RC_*`): "ECONNREFUSED". */
export function codeName(code: number): string {
  return SYSTEM_CODES.get(code)?.[0] ?? "EUNKNOWN";
}

/** A system call, or a connection, that ended with one of the kernel's `RC_*` codes. */
export class SystemCallError extends Error {
  /** Node's code, such as "ECONNRESET". */
  readonly code: string;
  /** The kernel's code, negative. */
  readonly errno: number;
  /** What was attempted: "connect". */
  readonly syscall: string;

  constructor(syscall: string, errno: number) {
    const [code, text] = SYSTEM_CODES.get(errno) ?? ["EUNKNOWN", `code ${errno}`];
    super(`${syscall} ${code}: ${text}`);
    this.name = "SystemCallError";
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

/** An option of the right type with a value that is not allowed. */
export class OptionRangeError extends RangeError {
  readonly code = "ERR_OUT_OF_RANGE";
}

/** An option of the wrong type, missing, or unknown. */
export class OptionTypeError extends TypeError {
  readonly code = "ERR_INVALID_ARG_TYPE";
}

/** The kernel module is missing, does not fit this host, or refused its configuration. */
export class KernelError extends Error {
  readonly code = "ERR_IXWASM_KERNEL";

  constructor(message: string, options?: ErrorOptions) {
    super(`ixwasm: ${message}`, options);
    this.name = "KernelError";
  }
}

/** The engine has no room for a dataplane's linear memory. */
export class MemoryError extends Error {
  readonly code = "ENOMEM";

  constructor(message: string, options?: ErrorOptions) {
    super(`ixwasm: ${message}`, options);
    this.name = "MemoryError";
  }
}

/** Something of a dataplane is still in use that should not be. */
export class LeakError extends Error {
  readonly code = "ERR_IXWASM_LEAK";

  constructor(message: string) {
    super(`ixwasm: ${message}`);
    this.name = "LeakError";
  }
}

/** A run of elastic threads went on for longer than its caller allowed. */
export class LivelockError extends Error {
  readonly code = "ERR_IXWASM_LIVELOCK";

  constructor(message: string) {
    super(`ixwasm: ${message}`);
    this.name = "LivelockError";
  }
}

/** An elastic thread died: its application threw, or the kernel trapped. `cause` is what was thrown. */
export class CoreError extends Error {
  readonly code = "ERR_IXWASM_CORE";
  /** Name of the dataplane, and index of the core in it. */
  readonly dataplane: string;
  readonly core: number;

  constructor(dataplane: string, core: number, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`ixwasm: core ${core} of ${dataplane} died: ${reason}`, { cause });
    this.name = "CoreError";
    this.dataplane = dataplane;
    this.core = core;
  }
}

/** The object was used in a state that does not allow it: after `close`, or started twice. */
export class StateError extends Error {
  readonly code = "ERR_INVALID_STATE";

  constructor(message: string) {
    super(`ixwasm: ${message}`);
    this.name = "StateError";
  }
}
