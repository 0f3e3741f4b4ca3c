/** Streams beside one another: each is sent as fast as it is taken, and counted as it is acknowledged. */
import {
  CONTROL_SHIFT,
  EV_CONNECTED,
  EV_DEAD,
  EV_KNOCK,
  EV_RECV,
  EV_SENT,
  EV_TIMER,
  FLAG_QUIET,
  SYS_SEND,
} from "../../assembly/abi.ts";
import type { App } from "../../host/libix/app.ts";
import { IpAddress } from "../../host/libix/ip-address.ts";
import type { Ix } from "../../host/libix/ix.ts";
import { SERVER_IP } from "../lib/pair.ts";
import { Sending } from "../lib/sending.ts";

export const PORT = 9000;
/** Bytes of a send. */
const CHUNK = 1 << 16;

export class FlowSender implements App {
  readonly #controls: readonly number[];
  readonly #starts: readonly number[];
  readonly #flows: readonly Sending[];
  /** Bytes acknowledged, by flow. */
  readonly acknowledged: Float64Array;
  #memory = 0;

  /**
   * @param controls of each flow, `CONTROL_*`
   * @param starts when each flow begins, µs from the start; default at once
   */
  constructor(controls: readonly number[], starts: readonly number[] = []) {
    this.#controls = controls;
    this.#starts = starts;
    this.#flows = controls.map(() => new Sending());
    this.acknowledged = new Float64Array(controls.length);
  }

  start(ix: Ix): void {
    this.#memory = ix.window.allocate(CHUNK);
    for (const flow of this.#flows.keys()) {
      const delay = this.#starts[flow] ?? 0;
      if (delay === 0) this.#connect(ix, flow);
      else ix.timerSet(flow, delay);
    }
  }

  #connect(ix: Ix, flow: number): void {
    const flags = FLAG_QUIET | (this.#controls[flow] << CONTROL_SHIFT);
    ix.connect(flow, IpAddress.parse(SERVER_IP), PORT, 0, flags);
  }

  handle(ix: Ix): void {
    const results = ix.takeResults();
    for (let i = 0; i < results; i++) {
      if (ix.resultOperation(i) === SYS_SEND) this.#flows[ix.resultCookie(i)].taken(ix, i);
    }
    for (let i = 0; i < ix.eventCount; i++) this.#event(ix, i);
    for (const [index, flow] of this.#flows.entries()) {
      if (flow.isFree) flow.send(ix, this.#memory, CHUNK, index);
    }
  }

  #event(ix: Ix, i: number): void {
    const flow = this.#flows[ix.eventCookie(i)];
    switch (ix.eventOp(i)) {
      case EV_TIMER:
        this.#connect(ix, ix.eventCookie(i));
        break;
      case EV_CONNECTED:
        flow.connected(ix, i);
        break;
      case EV_SENT:
        this.acknowledged[ix.eventCookie(i)] += ix.eventA(i);
        flow.sent(ix, i);
        break;
      case EV_DEAD:
        throw new Error(`a flow died: code ${ix.eventResult(i)}`);
    }
  }
}

export class FlowReceiver implements App {
  readonly #fresh = new Map<number, number>();
  /** Bytes of all streams so far. */
  received = 0;

  start(ix: Ix): void {
    ix.listen(0, PORT, 1024);
  }

  handle(ix: Ix): void {
    for (let i = 0; i < ix.eventCount; i++) {
      const handle = ix.eventHandle(i);
      if (ix.eventOp(i) === EV_KNOCK) ix.accept(handle, 0, FLAG_QUIET);
      else if (ix.eventOp(i) === EV_RECV) {
        this.#fresh.set(handle, (this.#fresh.get(handle) ?? 0) + ix.eventB(i));
        this.received += ix.eventB(i);
      }
    }
    for (const [handle, bytes] of this.#fresh) ix.recvDone(handle, bytes);
    this.#fresh.clear();
  }
}
