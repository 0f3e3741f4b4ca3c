/**
 * Typed arrays over one memory, made once per memory and thread and used for every packet. The
 * memory never grows (initial = maximum), so the views stay valid.
 *
 * Addresses may lie above 2^31: keep them unsigned (`>>> 0`), and prefer word indices (`>>> 2`),
 * which are small integers for all of 4 GiB.
 */
export class MemoryView {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  /**
   * 64-bit words: V8 moves one from array to array in a register, at twice the speed of 32 bits.
   */
  readonly longs: BigInt64Array;
  /** Bytes; what lies at or above is no address. */
  readonly size: number;

  constructor(buffer: ArrayBufferLike) {
    this.bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
    this.longs = new BigInt64Array(buffer);
    this.size = buffer.byteLength;
  }
}

const views = new WeakMap<WebAssembly.Memory, MemoryView>();

/** This thread's views of a dataplane's memory. */
export function viewOf(memory: WebAssembly.Memory): MemoryView {
  let view = views.get(memory);
  if (view === undefined) {
    view = new MemoryView(memory.buffer);
    views.set(memory, view);
  }
  return view;
}
