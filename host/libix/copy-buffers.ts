/**
 * Blocks of the application window that copying sends are made into. They come from the window on
 * demand; a few are kept at hand, the rest go back to it.
 */
import type { AppWindow } from "./window.ts";

const KEPT = 64;

export class CopyBuffers {
  /** Bytes per buffer. */
  readonly size: number;
  readonly #window: AppWindow;
  readonly #spare = new Uint32Array(KEPT);
  #spares = 0;
  #returned = 0;

  constructor(window: AppWindow, size: number) {
    this.#window = window;
    this.size = size;
  }

  /** Address of a buffer, or 0 when the window is used up. */
  take(): number {
    return this.#spares > 0 ? this.#spare[--this.#spares] : this.#window.allocate(this.size);
  }

  /** Counts what came back: who found no buffer can see that it is worth trying again. */
  get returns(): number {
    return this.#returned + this.#window.frees;
  }

  /** Gives the buffers that are at hand back to the window. */
  trim(): void {
    while (this.#spares > 0) this.#window.free(this.#spare[--this.#spares]);
  }

  give(address: number): void {
    this.#returned++;
    if (this.#spares < KEPT) this.#spare[this.#spares++] = address;
    else this.#window.free(address);
  }
}
