/** A listening port and the connections that wait to be accepted. */
import {
  FAST_OPEN_KEY_SIZE,
  OPTION_FAST_OPEN,
  OPTION_FAST_OPEN_KEYS,
  RC_OK,
} from "../../../assembly/abi.ts";
import { TcbView } from "../run/tcb.ts";
import type { EventSink, Network } from "./network.ts";
import type { Endpoint } from "./socket.ts";

interface Waiting {
  readonly handle: number;
  readonly remote: Endpoint;
  /** RC_* code of its end, if it ended meanwhile. */
  dead: number | undefined;
  /** Bytes that it has received; Linux gives them to who accepts it even when it has ended. */
  received: number;
}

export class Listener implements EventSink {
  readonly #network: Network;
  readonly #changed: () => void;
  readonly #waiting: Waiting[] = [];
  #handle = 0;
  /** As `open` was told. */
  backlog = 0;

  constructor(network: Network, changed: () => void) {
    this.#network = network;
    this.#changed = changed;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Returns an RC_* code. As with Linux one connection more than the backlog may wait. */
  open(port: number, backlog: number, fastOpen: number): number {
    const cookie = this.#network.register(this);
    const { result, handle } = this.#network.call((ix) =>
      ix.listen(cookie, port, Math.max(backlog, 0) + 1, 0, fastOpen),
    );
    if (result === RC_OK) this.#handle = handle;
    this.backlog = backlog;
    return result;
  }

  /** How many connections may be open by their SYN alone. */
  setFastOpen(limit: number): void {
    this.#network.call((ix) => ix.option(this.#handle, OPTION_FAST_OPEN, limit));
  }

  setKeys(keys: Uint8Array): void {
    const at = this.#network.place(keys);
    const count = keys.length / FAST_OPEN_KEY_SIZE;
    this.#network.call((ix) => ix.option(this.#handle, OPTION_FAST_OPEN_KEYS, at, count));
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
    this.#waiting.push({ handle, remote: { ip, port }, dead: undefined, received: 0 });
    this.#changed();
  }

  polled(): void {
    for (const waiting of this.#waiting) {
      const tcb = TcbView.ofHandle(this.#network.memory, waiting.handle);
      waiting.received = tcb?.get("rxQueued") || waiting.received;
    }
  }

  dead(handle: number, reason: number): void {
    const waiting = this.#waiting.find((entry) => entry.handle === handle);
    if (waiting) waiting.dead = reason;
  }
}
