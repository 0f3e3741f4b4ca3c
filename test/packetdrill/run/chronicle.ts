/**
 * What Linux' TCP_INFO says of how long a connection was in a state, which no field of a control block tells:
 * looked at whenever the kernel has become quiet, between which nothing changes. Times in µs.
 */
import type { TcbView } from "./tcb.ts";

/** What is known of the connection under test. */
export interface Times {
  /** Something was queued or in flight. */
  readonly busy: number;
  /** Of that: the peer's window alone held it up. */
  readonly windowLimited: number;
  /** Of that: all was sent, and the socket had no room for more. */
  readonly bufferLimited: number;
  /** Since data was received, or the connection was opened. */
  readonly sinceReceived: number;
}

export class Chronicle {
  #handle: number | undefined;
  #busy = 0;
  #windowLimited = 0;
  #bufferLimited = 0;
  #receivedAt = 0;
  #rcvNxt: number | undefined;
  #isBusy = false;
  #isLimited = false;
  #isStarved = false;
  #last = 0;

  /** The connection as it is from `now` on; `waits`: an application waits for room to write. */
  note(tcb: TcbView | undefined, waits: boolean, now: number): void {
    const elapsed = now - this.#last;
    this.#last = now;
    if (tcb?.get("handle") !== this.#handle) {
      this.#begin(tcb);
    } else {
      if (this.#isBusy) this.#busy += elapsed;
      if (this.#isLimited) this.#windowLimited += elapsed;
      if (this.#isStarved) this.#bufferLimited += elapsed;
    }
    if (!tcb) return;
    const rcvNxt = tcb.get("rcvNxt");
    if (rcvNxt !== this.#rcvNxt) {
      this.#rcvNxt = rcvNxt;
      this.#receivedAt = now;
    }
    this.#isBusy = isBusy(tcb);
    this.#isLimited = isWindowLimited(tcb);
    this.#isStarved = waits && isBusy(tcb) && hasSentAll(tcb);
  }

  timesAt(now: number): Times {
    const elapsed = now - this.#last;
    return {
      busy: this.#busy + (this.#isBusy ? elapsed : 0),
      windowLimited: this.#windowLimited + (this.#isLimited ? elapsed : 0),
      bufferLimited: this.#bufferLimited + (this.#isStarved ? elapsed : 0),
      sinceReceived: now - this.#receivedAt,
    };
  }

  #begin(tcb: TcbView | undefined): void {
    this.#handle = tcb?.get("handle");
    this.#busy = 0;
    this.#windowLimited = 0;
    this.#bufferLimited = 0;
    this.#rcvNxt = undefined;
  }
}

function isBusy(tcb: TcbView): boolean {
  return tcb.state !== "SYN_SENT" && tcb.state !== "SYN_RECEIVED" && tcb.get("txHead") !== 0;
}

/** Nothing waits to be sent, and the congestion window would take more. */
function hasSentAll(tcb: TcbView): boolean {
  const flight = ((tcb.get("sndNxt") ?? 0) - (tcb.get("sndUna") ?? 0)) >>> 0;
  return tcb.nextLength === undefined && flight < (tcb.get("cwnd") ?? 0);
}

/** What is to be sent next would exceed the peer's window, and not the congestion window. */
function isWindowLimited(tcb: TcbView): boolean {
  const next = tcb.nextLength;
  if (!isBusy(tcb) || next === undefined) return false;
  const value = (name: string): number => tcb.get(name) ?? 0;
  const flight = (value("sndNxt") - value("sndUna")) >>> 0;
  const wanted = flight + Math.min(next, value("mss"));
  return wanted > value("sndWnd") && wanted <= value("cwnd");
}
