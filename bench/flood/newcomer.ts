/**
 * A client that comes anew all the time: it connects, sends a message, waits until that is acknowledged,
 * resets the connection and begins again. For how long it waited is kept of each.
 */
import { EV_CONNECTED, EV_DEAD, EV_SENT, RC_OK } from "../../assembly/abi.ts";
import type { App } from "../../host/libix/app.ts";
import { IpAddress } from "../../host/libix/ip-address.ts";
import type { Ix } from "../../host/libix/ix.ts";
import { SERVER_IP } from "../lib/pair.ts";

/** Bytes of the message. */
const MESSAGE = 64;

export class Newcomer implements App {
  readonly #port: number;
  #memory = 0;
  #dialedAt = 0;
  #fresh = true;
  /** From the SYN to the message's acknowledgment, µs. */
  readonly waits: number[] = [];
  /** Connections that did not come about, or died. */
  failures = 0;

  constructor(port: number) {
    this.#port = port;
  }

  start(ix: Ix): void {
    this.#memory = ix.window.allocate(MESSAGE);
    this.#dial(ix);
  }

  handle(ix: Ix, now: number): void {
    if (this.#fresh) this.#dialedAt = now;
    this.#fresh = false;
    for (let i = 0; i < ix.eventCount; i++) {
      const handle = ix.eventHandle(i);
      const operation = ix.eventOp(i);
      if (operation === EV_CONNECTED && ix.eventResult(i) === RC_OK) {
        ix.send(handle, this.#memory, MESSAGE);
      } else if (operation === EV_SENT) {
        this.waits.push(now - this.#dialedAt);
        ix.abort(handle);
        this.#dial(ix);
      } else if (operation === EV_CONNECTED || operation === EV_DEAD) {
        this.failures++;
        this.#dial(ix);
      }
    }
  }

  #dial(ix: Ix): void {
    this.#fresh = true;
    ix.connect(0, IpAddress.parse(SERVER_IP), this.#port);
  }
}
