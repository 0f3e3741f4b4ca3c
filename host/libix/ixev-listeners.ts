/** The ports that an application listens on, by the cookie of their knocks. */
import { RC_OK } from "../../assembly/abi.ts";
import type { Ix } from "./ix.ts";

/** A port listened on. */
export class IxevListener {
  readonly port: number;
  /** What came of listen: RC_OK, or why not; null until the kernel has run it. */
  outcome: number | null = null;
  /** The loop's name for it in the arrays, and the kernel's once known. */
  readonly cookie: number;
  handle = 0;
  closed = false;

  constructor(port: number, cookie: number) {
    this.port = port;
    this.cookie = cookie;
  }
}

export class IxevListeners {
  readonly #ix: Ix;
  readonly #later: (call: () => void) => void;
  readonly #listeners = new Map<number, IxevListener>();
  #next = 0;

  /** `later` has a call made at the end of the round. */
  constructor(ix: Ix, later: (call: () => void) => void) {
    this.#ix = ix;
    this.#later = later;
  }

  open(port: number, backlog: number, flags: number, fastOpen: number): IxevListener {
    const listener = new IxevListener(port, this.#next++ >>> 0);
    this.#listeners.set(listener.cookie, listener);
    this.#later(() => this.#ix.listen(listener.cookie, port, backlog, flags, fastOpen));
    return listener;
  }

  find(cookie: number): IxevListener | undefined {
    return this.#listeners.get(cookie);
  }

  close(listener: IxevListener): void {
    if (listener.closed) return;
    listener.closed = true;
    if (listener.handle !== 0) this.#end(listener);
  }

  /** What came of the `listen` call at `index`. */
  settle(index: number): IxevListener {
    const ix = this.#ix;
    const listener = this.#listeners.get(ix.resultCookie(index))!;
    listener.outcome = ix.result(index);
    if (listener.outcome === RC_OK) {
      listener.handle = ix.resultHandle(index);
      if (listener.closed) this.#end(listener);
    } else {
      this.#listeners.delete(listener.cookie);
    }
    return listener;
  }

  /** Whoever knocks from now on finds nobody. */
  #end(listener: IxevListener): void {
    this.#listeners.delete(listener.cookie);
    this.#later(() => this.#ix.unlisten(listener.handle));
  }
}
