/** What a socket reads: from its context into the stream, or into the buffers of the option `onread`. */
import type { IxevContext } from "../../libix/ixev-context.ts";
import type { OnReadOptions } from "./options.ts";

/** Bytes handed on as one chunk at most. */
const CHUNK = 65536;

/** The part of a stream that reading needs. */
export interface Sink {
  readonly destroyed: boolean;
  push(chunk: Uint8Array | null): boolean;
  read(size: number): unknown;
  pause(): unknown;
}

export class Incoming {
  /** Bytes handed on so far. */
  bytes = 0;
  /** The stream has asked for more. */
  wanted = false;
  /** With `onread` only: nothing is handed on. */
  paused = false;
  #ended = false;
  readonly #sink: Sink;
  readonly #onread: OnReadOptions | undefined;
  #buffer: Uint8Array | undefined;

  constructor(sink: Sink, onread: OnReadOptions | undefined) {
    this.#sink = sink;
    this.#onread = onread;
    if (onread !== undefined) this.#buffer = nextBuffer(onread);
  }

  get hasBuffer(): boolean {
    return this.#onread !== undefined;
  }

  /** Hands on what there is, until the stream has enough. Returns how many bytes that was. */
  proceed(context: IxevContext): number {
    if (!this.wanted) return 0;
    const before = this.bytes;
    if (this.#onread === undefined) this.#push(context);
    else this.#fill(context, this.#onread);
    if (context.ended && !this.#ended && !this.#sink.destroyed) {
      this.#ended = true;
      this.#sink.push(null);
      this.#sink.read(0);
    }
    return this.bytes - before;
  }

  #push(context: IxevContext): void {
    for (let available = context.available; available > 0; available = context.available) {
      const chunk = Buffer.allocUnsafe(Math.min(available, CHUNK));
      this.bytes += context.recv(chunk);
      if (!this.#sink.push(chunk)) {
        this.wanted = false;
        return;
      }
      if (this.#sink.destroyed) return;
    }
  }

  #fill(context: IxevContext, onread: OnReadOptions): void {
    while (context.available > 0 && !this.paused && !this.#sink.destroyed) {
      const into = this.#buffer!;
      const length = context.recv(into);
      this.bytes += length;
      const goesOn = onread.callback(length, into);
      this.#buffer = nextBuffer(onread);
      if (goesOn === false) this.#sink.pause();
    }
  }
}

function nextBuffer({ buffer }: OnReadOptions): Uint8Array {
  return typeof buffer === "function" ? buffer() : buffer;
}
