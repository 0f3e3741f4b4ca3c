/**
 * How much a socket takes for sending, counted as Linux does: in packets that the stack has cut ahead, each
 * as large as half the peer's window allows, with what it costs to keep it. A write goes on while there is
 * room when a packet is begun, so that it may take more than the buffer's size; and when it found none, a
 * third of the buffer must be free before it goes on.
 */
import type { TcbView } from "../run/tcb.ts";

/** What a packet costs besides its bytes. */
const PACKET_COST = 1280;
/** The largest packet, and the smallest buffer. */
const PACKET_MAX = 65_216;
const BUFFER_MIN = 4608;
const NO_LIMIT = 0xffffffff;

interface Packet {
  readonly start: number;
  end: number;
  /** It ends a record: nothing is added to it. */
  closed: boolean;
}

/** How a part of a write ends: as the write does, with a push of its own, or with neither. */
export type PartEnd = "last" | "pushed" | "open";

export class SendBuffer {
  /** Bytes of the stream that were taken, and of them those acknowledged. */
  taken = 0;
  acknowledged = 0;
  #limit: number;
  /** TCP_NOTSENT_LOWAT, or the kernel variable that stands in for it. */
  #lowWater = NO_LIMIT;
  /** Where a push was asked for last. */
  #pushed = 0;
  /** Somebody found no room. */
  #full = false;
  readonly #packets: Packet[] = [];
  readonly #tcb: () => TcbView | undefined;

  constructor(limit: number, lowWater: number, tcb: () => TcbView | undefined) {
    this.#limit = limit;
    this.#lowWater = lowWater;
    this.#tcb = tcb;
  }

  get limit(): number {
    return this.#limit;
  }

  /** SO_SNDBUF, which Linux doubles to make room for its own bookkeeping. */
  resize(bytes: number): void {
    this.#limit = Math.max(bytes * 2, BUFFER_MIN);
  }

  set lowWater(bytes: number) {
    this.#lowWater = bytes;
  }

  /** Whether a wait for room is over; asked only by who has found none is it stricter. */
  hasRoom(): boolean {
    const half = this.#queued() >> 1;
    const free = this.#limit - this.#queued() >= half && this.#isFree(this.#full ? 1 : 0);
    this.#full = !free;
    return free;
  }

  /** Whether somebody waits for room. */
  get awaited(): boolean {
    return this.#full;
  }

  /**
   * Takes up to `bytes`, and calls `push` with each part of them that the stack is to have now, and how it
   * ends: with the write, or with a push because the write goes on for long, or without.
   *
   * @returns how many were taken
   */
  take(bytes: number, recordEnd: boolean, push: (bytes: number, end: PartEnd) => void): number {
    const goal = this.#packetSize();
    const before = this.taken;
    let pushed = this.#sent();
    while (this.taken - before < bytes) {
      const left = bytes - (this.taken - before);
      const room = this.#roomInLast(goal, pushed);
      if (room === 0) {
        if (!this.#isFree(0)) break;
        this.#packets.push({ start: this.taken, end: this.taken, closed: false });
        continue;
      }
      const part = Math.min(left, room);
      this.#packets.at(-1)!.end += part;
      this.taken += part;
      push(part, this.#endOf(part, left));
      if (part < left) pushed = Math.min(this.#sent(), pushed + this.#burst());
    }
    const taken = this.taken - before;
    if (taken < bytes) this.#full = true;
    else if (recordEnd && taken > 0) this.#packets.at(-1)!.closed = true;
    return taken;
  }

  /** Bytes that a SYN took along. */
  takeFirst(bytes: number): void {
    if (bytes === 0) return;
    this.#packets.push({ start: 0, end: bytes, closed: true });
    this.taken = bytes;
    this.#pushed = bytes;
  }

  /** The stream begins anew. */
  reset(): void {
    this.taken = 0;
    this.acknowledged = 0;
    this.#pushed = 0;
    this.#full = false;
    this.#packets.length = 0;
  }

  /** The first `bytes` of the stream are acknowledged. */
  acknowledge(bytes: number): void {
    this.acknowledged = bytes;
    while (this.#packets.length > 0 && this.#packets[0].end <= bytes) this.#packets.shift();
  }

  #endOf(part: number, left: number): PartEnd {
    const tcb = this.#tcb();
    const mss = tcb?.get("mss") ?? 1;
    const long = this.taken - this.#pushed > (tcb?.get("sndWndMax") ?? NO_LIMIT) >>> 1;
    const whole = part % mss === 0 && part > mss;
    if (part !== left && !long && !whole) return "open";
    this.#pushed = this.taken;
    return part === left ? "last" : "pushed";
  }

  /** Bytes of the last packet that are still to be filled; `pushed`: what of the stream has gone. */
  #roomInLast(goal: number, pushed: number): number {
    const last = this.#packets.at(-1);
    if (!last || last.closed) return 0;
    if (last.end === last.start) return goal;
    if (last.end <= pushed) return 0;
    return Math.max(goal - (last.end - Math.max(last.start, pushed)), 0);
  }

  #isFree(strictness: number): boolean {
    if (this.#queued() >= this.#limit) return false;
    return (this.taken - this.#sent()) * 2 ** strictness < this.#lowWater;
  }

  #queued(): number {
    return this.taken - this.acknowledged + this.#packets.length * PACKET_COST;
  }

  /** Bytes of the stream that were sent at least once. */
  #sent(): number {
    const tcb = this.#tcb();
    const [next, una] = [tcb?.get("sndNxt"), tcb?.get("sndUna")];
    if (next === undefined || una === undefined) return this.taken;
    return Math.min(this.acknowledged + ((next - una) >>> 0), this.taken);
  }

  /** Full segments that fit half the largest window the peer has offered. */
  #packetSize(): number {
    const tcb = this.#tcb();
    const mss = Math.max(tcb?.get("mss") ?? 1, 1);
    const half = (tcb?.get("sndWndMax") ?? NO_LIMIT) >>> 1;
    return Math.max(Math.floor(Math.min(PACKET_MAX, half) / mss), 1) * mss;
  }

  /** What Linux sends at once of a packet that is full: half a congestion window. */
  #burst(): number {
    const tcb = this.#tcb();
    const mss = Math.max(tcb?.get("mss") ?? 1, 1);
    return Math.max(Math.floor((tcb?.get("cwnd") ?? 0) / mss / 2), 1) * mss;
  }
}
