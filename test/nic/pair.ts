/** Two ports on a cable, and frames for the second, for the tests of a port's engine. */
import { RX_META_CHECKSUM_OK, RX_META_HAS_HASH } from "../../assembly/abi.ts";
import { connectPorts, createBackend, type QueueBackend } from "../../host/nic/index.ts";
import { pattern } from "./frames.ts";
import { FakeKernel, type FakeKernelOptions } from "./kernel.ts";

/** Metadata of a frame that was hashed, and whose checksums were found right. */
export const BOTH = RX_META_HAS_HASH | RX_META_CHECKSUM_OK;

export interface Pair {
  readonly a: FakeKernel;
  readonly b: FakeKernel;
  /** The engine of a's first queue. */
  readonly backend: QueueBackend;
}

/** Two ports on a perfect cable. */
export function pair(ofA: FakeKernelOptions = {}, ofB: FakeKernelOptions = {}): Pair {
  const a = new FakeKernel("a", ofA);
  const b = new FakeKernel("b", ofB);
  const [fromA] = connectPorts(a.handle, b.handle);
  const backend = createBackend(a.handle, 0, fromA);
  return { a, b, backend };
}

/** A frame of no protocol the NIC knows, for b. */
export function plainFrame(length: number, seed = 0): number[] {
  const frame = pattern(length, seed);
  frame.splice(0, 14, 2, 0, 0, 0, 0, 98, 2, 0, 0, 0, 0, 97, 0x88, 0xb5);
  return frame;
}
