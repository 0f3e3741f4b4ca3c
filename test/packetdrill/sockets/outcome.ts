/** What comes of a call. */
import {
  RC_CLOSED,
  RC_FAULT,
  RC_INUSE,
  RC_INVAL,
  RC_MSGSIZE,
  RC_NOBUFS,
  RC_NOMEM,
  RC_REFUSED,
  RC_RESET,
  RC_TIMEOUT,
  RC_UNREACHABLE,
} from "../../../assembly/abi.ts";
import { ERRNO } from "./symbols.ts";

export interface Outcome {
  readonly result: number;
  readonly errno?: number;
  /** What is wrong with a value handed back through an argument. */
  readonly wrong?: string;
}

/** A call under way; it is asked again whenever something may have changed. */
export interface Operation {
  /** undefined: it blocks. */
  attempt(): Outcome | undefined;
  /** When it ends even if nothing happens, µs; Infinity: never. */
  readonly deadline: number;
}

export function done(result: number): Outcome {
  return { result };
}

/** -1 and an error by its name or number. */
export function failed(error: string | number): Outcome {
  return { result: -1, errno: typeof error === "number" ? error : ERRNO[error] };
}

/** A call that is over when it is made. */
export function immediate(outcome: Outcome): Operation {
  return { attempt: () => outcome, deadline: -Infinity };
}

/** A call that waits for `attempt`, or fails with EAGAIN when it must not block. */
export function waiting(attempt: () => Outcome | undefined, nonblocking: boolean): Operation {
  return {
    attempt: () => attempt() ?? (nonblocking ? failed("EAGAIN") : undefined),
    deadline: nonblocking ? -Infinity : Infinity,
  };
}

const CODES: ReadonlyMap<number, string> = new Map([
  [RC_NOMEM, "ENOMEM"],
  [RC_NOBUFS, "ENOBUFS"],
  [RC_INVAL, "EINVAL"],
  [RC_FAULT, "EFAULT"],
  [RC_CLOSED, "EPIPE"],
  [RC_REFUSED, "ECONNREFUSED"],
  [RC_TIMEOUT, "ETIMEDOUT"],
  [RC_UNREACHABLE, "EHOSTUNREACH"],
  [RC_RESET, "ECONNRESET"],
  [RC_INUSE, "EADDRINUSE"],
  [RC_MSGSIZE, "EMSGSIZE"],
]);

/** The error number of a kernel's return code. */
export function errnoOf(code: number): number {
  return ERRNO[CODES.get(code) ?? "EINVAL"];
}
