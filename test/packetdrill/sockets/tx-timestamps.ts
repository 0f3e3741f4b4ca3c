/**
 * SO_TIMESTAMPING of what is sent: for the last byte of each send, when it was handed to the card, when it
 * went out, and when it was acknowledged, as Linux puts it into a socket's error queue.
 */
import { symbolValue } from "./symbols.ts";

const ON_SCHEDULE = symbolValue("SOF_TIMESTAMPING_TX_SCHED")!;
const ON_SEND = symbolValue("SOF_TIMESTAMPING_TX_SOFTWARE")!;
const ON_ACK = symbolValue("SOF_TIMESTAMPING_TX_ACK")!;
const REPORT = symbolValue("SOF_TIMESTAMPING_SOFTWARE")!;
const NUMBERED = symbolValue("SOF_TIMESTAMPING_OPT_ID")!;

export interface Stamp {
  /** SCM_TSTAMP_*. */
  readonly info: number;
  /** Offset of the byte since the option was set; 0 when they are not numbered. */
  readonly key: number;
  /** Virtual time, µs. */
  readonly at: number;
}

export class TxTimestamps {
  #flags = 0;
  /** Where in the stream the numbers begin. */
  #base = 0;
  readonly #unsent: number[] = [];
  readonly #unacknowledged: number[] = [];
  readonly #stamps: Stamp[] = [];

  /** Whether all of them are known here. */
  static knows(flags: number): boolean {
    return (flags & ~(ON_SCHEDULE | ON_SEND | ON_ACK | REPORT | NUMBERED)) === 0;
  }

  set(flags: number, streamEnd: number): void {
    if (!(this.#flags & NUMBERED)) this.#base = streamEnd;
    this.#flags = flags;
  }

  get waiting(): boolean {
    return this.#stamps.length > 0;
  }

  /** A send has ended at byte `end` of the stream. */
  written(end: number): void {
    if (!(this.#flags & (ON_SCHEDULE | ON_SEND | ON_ACK))) return;
    this.#unsent.push(end);
    this.#unacknowledged.push(end);
  }

  /** So much of the stream was sent, and acknowledged, by now. */
  advance(sent: number, acknowledged: number, now: number): void {
    while (this.#unsent.length > 0 && this.#unsent[0] <= sent) {
      const end = this.#unsent.shift()!;
      this.#stamp(ON_SCHEDULE, "SCM_TSTAMP_SCHED", end, now);
      this.#stamp(ON_SEND, "SCM_TSTAMP_SND", end, now);
    }
    while (this.#unacknowledged.length > 0 && this.#unacknowledged[0] <= acknowledged) {
      this.#stamp(ON_ACK, "SCM_TSTAMP_ACK", this.#unacknowledged.shift()!, now);
    }
  }

  take(): Stamp | undefined {
    return this.#stamps.shift();
  }

  #stamp(flag: number, name: string, end: number, at: number): void {
    if (!(this.#flags & flag) || !(this.#flags & REPORT)) return;
    const key = this.#flags & NUMBERED ? end - this.#base - 1 : 0;
    this.#stamps.push({ info: symbolValue(name)!, key, at });
  }
}
