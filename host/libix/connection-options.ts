/** How an application wants a connection to behave, until and after the kernel was told. */
import type { Ix } from "./ix.ts";

export class ConnectionOptions {
  /** Values of the call by `OPTION_*`. */
  readonly #values = new Map<number, readonly [b: number, c: number, d: number]>();
  readonly #untold = new Set<number>();

  set(option: number, b: number, c = 0, d = 0): void {
    this.#values.set(option, [b, c, d]);
    this.#untold.add(option);
  }

  /** The call for an option was refused for now. */
  refused(option: number): void {
    if (this.#values.has(option)) this.#untold.add(option);
  }

  /** Tells the kernel what it does not know yet. */
  emit(ix: Ix, handle: number, cookie: number): void {
    for (const option of this.#untold) {
      const [b, c, d] = this.#values.get(option)!;
      ix.option(handle, option, b, c, d, cookie);
    }
    this.#untold.clear();
  }
}
