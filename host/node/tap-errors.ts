/**
 * What can go wrong with a TAP device. Every error names what is missing and what to do about it;
 * `code` is for programs.
 */
import { getSystemErrorName } from "node:util";

/**
 * | code                 | what is wrong |
 * |----------------------|---------------|
 * | ERR_TAP_UNSUPPORTED  | not Linux, or a processor without 64-bit addresses |
 * | ERR_TAP_NO_KOFFI     | the optional dependency koffi is not installed |
 * | ERR_TAP_NO_DEVICE    | /dev/net/tun is missing, or its driver is not there |
 * | ERR_TAP_NO_NAMESPACE | the network namespace asked for does not exist |
 * | ERR_TAP_PERMISSION   | neither root nor CAP_NET_ADMIN, and the interface is nobody's own |
 * | ERR_TAP_BUSY         | the interface exists and somebody else has it open |
 * | ERR_TAP_MISMATCH     | the interface exists and is no TAP, or of another number of queues |
 * | ERR_TAP_NO_STEERING  | flows cannot be steered: one queue, or opened with steering: false |
 * | ERR_TAP_CLOSED       | the TAP was closed already |
 * | ERR_TAP_SYSTEM       | any other error of a system call; `errno` tells which |
 */
export type TapErrorCode =
  | "ERR_TAP_UNSUPPORTED"
  | "ERR_TAP_NO_KOFFI"
  | "ERR_TAP_NO_DEVICE"
  | "ERR_TAP_NO_NAMESPACE"
  | "ERR_TAP_PERMISSION"
  | "ERR_TAP_BUSY"
  | "ERR_TAP_MISMATCH"
  | "ERR_TAP_NO_STEERING"
  | "ERR_TAP_CLOSED"
  | "ERR_TAP_SYSTEM";

export class TapError extends Error {
  readonly code: TapErrorCode;
  /** The system's error number, where a system call failed. */
  readonly errno: number | undefined;

  constructor(
    code: TapErrorCode,
    message: string,
    options: ErrorOptions & { errno?: number } = {},
  ) {
    super(message, options);
    this.name = "TapError";
    this.code = code;
    this.errno = options.errno;
  }
}

/** "EBUSY" and the like, for messages. */
export function errorName(errno: number): string {
  return errno > 0 ? getSystemErrorName(-errno) : `errno ${errno}`;
}
