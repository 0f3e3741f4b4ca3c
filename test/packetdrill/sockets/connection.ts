/**
 * A TCP connection's stream as a socket sees it: bytes to read, room to write, the peer's end, the
 * error that ended it. The receive window opens by what is read, as with Linux.
 */
import { FLAG_MORE, FLAG_RECORD_END, RC_OK } from "../../../assembly/abi.ts";
import { Unsupported } from "../language/errors.ts";
import { TcbView } from "../run/tcb.ts";
import { Completions } from "./completions.ts";
import type { EventSink, Network } from "./network.ts";
import { errnoOf } from "./outcome.ts";
import { ERRNO } from "./symbols.ts";
import { TxTimestamps } from "./tx-timestamps.ts";

/** What may have made a socket ready: room to write, or anything else. */
export type Change = "room" | "state";

export type Phase = "connecting" | "open" | "dead";

/** What MSG_MORE and MSG_EOR ask for. */
export interface SendWishes {
  readonly more: boolean;
  readonly recordEnd: boolean;
}

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
  readonly completions = new Completions();
  readonly timestamps = new TxTimestamps();
  #accepted = 0;
  /** Bytes accepted that the kernel has not taken yet, what the last write wished, and what is to follow. */
  #backlog = 0;
  #wishes: SendWishes = { more: false, recordEnd: false };
  #forbidden: string | undefined;
  #ending: "none" | "finish" | "close" = "none";
  readonly #network: Network;
  readonly #resetAfterEnd: string;
  readonly #changed: (what: Change) => void;

  constructor(
    network: Network,
    phase: Phase,
    resetAfterEnd: string,
    changed: (what: Change) => void,
  ) {
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
    this.#changed("state");
  }

  received(bytes: number): void {
    this.#checkAllowed();
    if (bytes === 0) this.ended = true;
    else this.unread += bytes;
    this.#changed("state");
  }

  sent(bytes: number): void {
    this.#checkAllowed();
    this.#hand();
    this.#changed(this.#acknowledge(bytes) ? "state" : "room");
  }

  dead(_handle: number, reason: number, bytes: number): void {
    this.#acknowledge(bytes);
    this.#backlog = 0;
    this.#end(reason);
    // Nothing refers to memory any more.
    this.completions.acknowledged(this.#accepted);
    this.#changed("state");
  }

  /** Takes bytes out of what was received; they are given back to the kernel. */
  take(bytes: number): void {
    this.unread -= bytes;
    if (this.phase !== "dead") this.#network.call((ix) => ix.recvDone(this.handle, bytes));
  }

  /** Accepts zeros for the kernel, which has them as soon as it has room. */
  give(bytes: number, wishes: SendWishes): void {
    this.#checkAllowed();
    this.outstanding += bytes;
    this.#accepted += bytes;
    this.#backlog += bytes;
    this.#wishes = wishes;
    this.#hand();
    if (bytes === 0 && this.#backlog === 0) this.#network.send(this.handle, 0, 0);
  }

  /** Hands over to the kernel what it takes; behind the last of it, the end of the stream. */
  #hand(): void {
    const { more, recordEnd } = this.#wishes;
    const flags = (more ? FLAG_MORE : 0) | (recordEnd ? FLAG_RECORD_END : 0);
    while (this.#backlog > 0) {
      const accepted = this.#network.send(this.handle, this.#backlog, flags);
      if (accepted <= 0) return;
      this.#backlog -= accepted;
    }
    if (this.#ending === "finish") this.#network.call((ix) => ix.shutdown(this.handle));
    if (this.#ending === "close") this.#network.call((ix) => ix.close(this.handle));
    this.#ending = "none";
  }

  /** Bytes that the SYN took along. */
  accepted(bytes: number): void {
    this.outstanding += bytes;
    this.#accepted += bytes;
  }

  /** What was given last was memory of the application's own. */
  noteZeroCopy(): void {
    this.completions.sent(this.#accepted);
    this.completions.acknowledged(this.#accepted - this.outstanding);
  }

  /** Whether the error queue has entries. */
  get hasNotices(): boolean {
    return this.completions.waiting || this.timestamps.waiting;
  }

  /** Makes the script unsupported as soon as a packet comes or goes; undefined: no longer. */
  forbid(option: string | undefined): void {
    this.#forbidden = option;
  }

  settled(now: number): void {
    const tcb = TcbView.ofHandle(this.#network.memory, this.handle);
    const [next, una] = [tcb?.get("sndNxt"), tcb?.get("sndUna")];
    if (next === undefined || una === undefined) return;
    const acknowledged = this.#accepted - this.outstanding;
    this.timestamps.advance(acknowledged + ((next - una) >>> 0), acknowledged, now);
  }

  /** Changes how the kernel treats the connection, `OPTION_*`. */
  setOption(option: number, ...values: readonly [number, number?, number?]): number {
    return this.#network.call((ix) => ix.option(this.handle, option, ...values)).result;
  }

  finish(): void {
    this.#checkAllowed();
    this.finished = true;
    if (this.phase === "dead") return;
    this.#ending = "finish";
    this.#hand();
  }

  /** Gives the connection up: in order, or with RST when data was not read or `abort` says so. */
  release(abort: boolean): void {
    if (this.phase === "dead") return;
    if (abort || this.unread > 0) {
      this.#network.call((ix) => ix.abort(this.handle));
      this.phase = "dead";
    } else {
      this.#ending = "close";
      this.#hand();
    }
  }

  #checkAllowed(): void {
    if (this.#forbidden !== undefined) throw new Unsupported(`socket option ${this.#forbidden}`);
  }

  /** Returns whether memory became free. */
  #acknowledge(bytes: number): boolean {
    this.outstanding -= bytes;
    return this.completions.acknowledged(this.#accepted - this.outstanding);
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
