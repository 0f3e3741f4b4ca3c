/** Errors of sockets as streams: TypeErrors, as WinterTC's Sockets API has them, with Node's codes. */

export class SocketError extends TypeError {
  /** Such as "ECONNREFUSED". */
  readonly code: string;

  constructor(message: string, code: string) {
    super(`SocketError: ${message}`);
    this.name = "SocketError";
    this.code = code;
  }
}

/** An error of what was attempted, by its code, with whom. */
export function socketError(what: string, code: string, whom = ""): SocketError {
  return new SocketError(`${what} ${code} ${whom}`.trimEnd(), code);
}
