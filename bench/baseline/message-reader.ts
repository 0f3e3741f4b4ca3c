/** Puts messages together that say their length in their first four bytes. */
const LARGEST = 1 << 24;

export class MessageReader {
  readonly #onMessage: (message: Uint8Array) => void;
  readonly #bytes = Buffer.alloc(LARGEST);
  #got = 0;

  /** `onMessage` gets each, header included; its memory is used again for the next. */
  constructor(onMessage: (message: Uint8Array) => void) {
    this.#onMessage = onMessage;
  }

  /** Takes what has arrived: never more than one message is on its way. */
  take(chunk: Uint8Array): void {
    this.#bytes.set(chunk, this.#got);
    this.#got += chunk.length;
    if (this.#got < 4) return;
    const length = this.#bytes.readUInt32LE(0);
    if (this.#got < length) return;
    this.#got = 0;
    this.#onMessage(this.#bytes.subarray(0, length));
  }
}
