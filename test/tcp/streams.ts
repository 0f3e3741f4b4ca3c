/** Streams through a kernel that is short of something: what has come, and waiting until all has. */
import { concat } from "../support/bytes.ts";
import type { KernelHarness } from "../support/kernel.ts";
import type { TcpPeer } from "../support/peer.ts";

/** All that the kernel has handed over of a connection and the test has not taken. */
export function dataOf(k: KernelHarness, handle: number): Uint8Array {
  return concat(
    ...k.inbox.map((event) =>
      event.kind === "recv" && event.handle === handle ? event.data : new Uint8Array(),
    ),
  );
}

/** Lets both sides work until the kernel's stream of `length` bytes has arrived. */
export function drain(k: KernelHarness, peer: TcpPeer, length: number, rounds = 400): void {
  for (let i = 0; i < rounds && peer.stream().length < length; i++) {
    peer.takeAll();
    peer.ack();
    k.advance(50_000);
  }
}
