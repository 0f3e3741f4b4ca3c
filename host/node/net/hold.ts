/** What keeps the process alive: a socket or server that is in use, unless it was told not to (`unref`). */
import type { Host } from "../../net/host.ts";
import { invalidType } from "./errors.ts";

export class Hold {
  #host: Host | null = null;
  #referenced = true;
  #held = false;

  /** In use from now on, on this host's network. */
  begin(host: Host): void {
    if (typeof host?.network?.ref !== "function") {
      throw invalidType("options.via", "a Host, as network.addHost returns it", host);
    }
    this.#host = host;
    this.#update();
  }

  /** No longer in use. */
  end(): void {
    this.#drop();
    this.#host = null;
  }

  ref(): void {
    this.#referenced = true;
    this.#update();
  }

  unref(): void {
    this.#referenced = false;
    this.#drop();
  }

  #update(): void {
    if (this.#host === null || !this.#referenced || this.#held) return;
    this.#held = true;
    this.#host.network.ref();
  }

  #drop(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#host!.network.unref();
  }
}
