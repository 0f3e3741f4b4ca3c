/** The arrays that application and kernel share: 32-byte descriptors (`CALL_*` in assembly/abi.ts). */
import {
  CALL_A,
  CALL_B,
  CALL_C,
  CALL_COOKIE,
  CALL_D,
  CALL_HANDLE,
  CALL_OP,
  CALL_RESULT,
  CALL_SIZE,
} from "../../assembly/abi.ts";

/**
 * The fields of an array of descriptors, a view each that begins at the field of the first descriptor:
 * that of descriptor `index` is at `index << 3`, eight words a descriptor. Accessors are thereby so
 * short that the engine always inlines them, whatever the size of the loop they are in.
 */
export class Descriptors {
  readonly op: Uint32Array;
  /** The operation without its flags: at `index << 4`. */
  readonly operation: Uint16Array;
  readonly handle: Uint32Array;
  readonly cookie: Uint32Array;
  readonly result: Int32Array;
  readonly a: Uint32Array;
  readonly b: Uint32Array;
  readonly c: Uint32Array;
  readonly d: Uint32Array;

  /** `capacity` descriptors at `address`. */
  constructor(memory: WebAssembly.Memory, address: number, capacity: number) {
    const length = (offset: number): number => (capacity * CALL_SIZE - offset) >>> 2;
    const field = (offset: number): Uint32Array =>
      new Uint32Array(memory.buffer, address + offset, length(offset));
    this.op = field(CALL_OP);
    this.operation = new Uint16Array(memory.buffer, address, length(0) * 2);
    this.handle = field(CALL_HANDLE);
    this.cookie = field(CALL_COOKIE);
    this.result = new Int32Array(memory.buffer, address + CALL_RESULT, length(CALL_RESULT));
    this.a = field(CALL_A);
    this.b = field(CALL_B);
    this.c = field(CALL_C);
    this.d = field(CALL_D);
  }
}
