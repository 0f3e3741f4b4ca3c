/**
 * A page that is not isolated may not share memory with its workers, and has no SharedArrayBuffer; but
 * within one thread shared memory works all the same, and a WebAssembly memory knows its constructor.
 * To be imported before anything that uses it.
 */
if (typeof SharedArrayBuffer === "undefined") {
  const memory = new WebAssembly.Memory({ initial: 0, maximum: 0, shared: true });
  Object.assign(globalThis, { SharedArrayBuffer: memory.buffer.constructor });
}
