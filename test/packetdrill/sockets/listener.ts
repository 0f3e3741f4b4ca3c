/** A listening port and the connections that wait to be accepted. */
import { RC_OK } from "../../../assembly/abi.ts";
import type { EventSink, Network } from "./network.ts";
import type { Endpoint } from "./socket.ts";

interface Waiting {
  readonly handle: number;
  readonly remote: Endpoint;
  /** RC_* code of its end, if it ended meanwhile. */
  dead: number | undefined;
}

export class Listener implements EventSink {
  readonly #network: Network;
  readonly #changed: () => void;
  readonly #waiting: Waiting[] = [];
  #handle = 0;

  constructor(network: Network, changed: () => void) {
    this.#network = network;
    this.#changed = changed;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Returns an RC_* code. As with Linux one connection more than the backlog may wait. */
  open(port: number, backlog: number): number {
    const cookie = this.#network.register(this);
    const { result, handle } = this.#network.call((ix) =>
      ix.listen(cookie, port, Math.max(backlog, 0) + 1),
    );
    if (result === RC_OK) this.#handle = handle;
    return result;
  }

  take(): Waiting | undefined {
    return this.#waiting.shift();
  }

  /** Connections that nobody accepted are refused. */
  close(): void {
    this.#network.call((ix) => ix.unlisten(this.#handle));
    for (const { handle, dead } of this.#waiting.splice(0)) {
      if (dead === undefined) this.#network.call((ix) => ix.reject(handle));
    }
  }

  knock(handle: number, ip: string, port: number): void {
    this.#waiting.push({ handle, remote: { ip, port }, dead: undefined });
    this.#changed();
  }

  dead(handle: number, reason: number): void {
    const waiting = this.#waiting.find((entry) => entry.handle === handle);
    if (waiting) waiting.dead = reason;
  }
}
