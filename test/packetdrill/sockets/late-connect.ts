/**
 * A socket that connects when something is written to it (MSG_FASTOPEN, TCP_FASTOPEN_CONNECT): whom to, and what
 * the SYN has left of the first write.
 */
import { done, failed, waiting, type Operation, type Outcome } from "./outcome.ts";
import type { Endpoint } from "./socket.ts";
import { ERRNO } from "./symbols.ts";
import type { TcpSocket } from "./tcp-socket.ts";

export class LateConnect {
  /** Whom a write has to connect to first. */
  remote: Endpoint | undefined;
  /** Goes on with a write that blocks until the handshake is over. */
  #pending: (() => void) | undefined;
  readonly #socket: TcpSocket;

  constructor(socket: TcpSocket) {
    this.#socket = socket;
  }

  /** The handshake is over. */
  connected(): void {
    const write = this.#pending;
    this.#pending = undefined;
    write?.();
  }

  /** What the SYN has left is sent in the moment in which the handshake is over. */
  restOf(count: number, taken: number, flags: number): Operation {
    const socket = this.#socket;
    let rest: Operation | undefined;
    this.#pending = () => {
      rest = socket.write(count - taken, flags);
      rest.attempt();
    };
    const attempt = (): Outcome | undefined => {
      if (socket.connection!.phase === "connecting") return undefined;
      if (!rest) return failed(socket.takeError() || ERRNO.ECONNREFUSED);
      const outcome = rest.attempt();
      return outcome && outcome.result >= 0 ? done(taken + outcome.result) : outcome;
    };
    return waiting(attempt, false);
  }
}
