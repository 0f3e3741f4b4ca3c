/**
 * A TCP connection's stream as a socket sees it: bytes to read, room to write, the peer's end, the
 * error that ended it. The receive window opens by what is read, as with Linux.
 */
import { FLAG_MORE, RC_OK } from "../../../assembly/abi.ts";
import type { EventSink, Network } from "./network.ts";
import { errnoOf } from "./outcome.ts";
import { ERRNO } from "./symbols.ts";

export type Phase = "connecting" | "open" | "dead";

export class Connection implements EventSink {
  handle = 0;
  localPort: number | undefined;
  phase: Phase;
  /** Bytes received and not read. */
  unread = 0;
  /** The peer has ended its stream. */
  ended = false;
  /** Our stream has ended. */
  finished = false;
  /** Bytes accepted and not acknowledged. */
  outstanding = 0;
  /** The error to be reported next, 0: none. */
  error = 0;
  /** A write found no room; room is reported again when a third is free. */
  full = false;
  /** The script has closed the socket. */
  released = false;
  readonly #network: Network;
  readonly #resetAfterEnd: string;
  readonly #changed: () => void;

  constructor(network: Network, phase: Phase, resetAfterEnd: string, changed: () => void) {
    this.#network = network;
    this.#resetAfterEnd = resetAfterEnd;
    this.phase = phase;
    this.#changed = changed;
  }

  connected(outcome: number, localPort: number): void {
    if (outcome === RC_OK) {
      this.phase = "open";
      this.localPort = localPort;
    } else {
      this.#end(outcome);
    }
    this.#changed();
  }

  received(bytes: number): void {
    if (bytes === 0) this.ended = true;
    else this.unread += bytes;
    this.#changed();
  }

  sent(bytes: number): void {
    this.outstanding -= bytes;
    this.#changed();
  }

  dead(_handle: number, reason: number, bytes: number): void {
    this.outstanding -= bytes;
    this.#end(reason);
    this.#changed();
  }

  /** Takes bytes out of what was received; they are given back to the kernel. */
  take(bytes: number): void {
    this.unread -= bytes;
    if (this.phase !== "dead") this.#network.call((ix) => ix.recvDone(this.handle, bytes));
  }

  /** Offers zeros to the kernel. Returns how many were accepted, 0 when it has no room. */
  give(bytes: number, more: boolean): number {
    const accepted = this.#network.send(this.handle, bytes, more ? FLAG_MORE : 0);
    if (accepted <= 0) return 0;
    this.outstanding += accepted;
    return accepted;
  }

  finish(): void {
    this.finished = true;
    if (this.phase !== "dead") this.#network.call((ix) => ix.shutdown(this.handle));
  }

  /** Gives the connection up: in order, or with RST when data was not read or `abort` says so. */
  release(abort: boolean): void {
    this.released = true;
    if (this.phase === "dead") return;
    if (abort || this.unread > 0) {
      this.#network.call((ix) => ix.abort(this.handle));
      this.phase = "dead";
    } else {
      this.#network.call((ix) => ix.close(this.handle));
    }
  }

  #end(reason: number): void {
    const connecting = this.phase === "connecting";
    this.phase = "dead";
    if (reason === RC_OK) return;
    const errno = errnoOf(reason);
    // A reset in answer to our SYN refuses it; what one after the peer's FIN is called differs.
    if (errno === ERRNO.ECONNRESET && connecting) this.error = ERRNO.ECONNREFUSED;
    else if (errno === ERRNO.ECONNRESET && this.ended) this.error = ERRNO[this.#resetAfterEnd];
    else this.error = errno;
  }
}
