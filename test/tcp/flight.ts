/** Segments in flight to a peer with SACK, over a path whose round trip is known. */
import { expect } from "vitest";
import { RC_OK } from "../../assembly/abi.ts";
import { pattern } from "../support/bytes.ts";
import { startKernel, type HarnessOptions, type KernelHarness } from "../support/kernel.ts";
import type { KernelBuild } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

export const MSS = 1000;
export const MILLISECOND = 1000;
export const RTT = 20 * MILLISECOND;

/** Sequence number of the segment with that index. */
export function at(index: number): number {
  return 1 + index * MSS;
}

/** SACK blocks of segments, by index, in their order; neighbours in a row share one. */
export function blocks(indices: readonly number[]): [number, number][] {
  const runs: [number, number][] = [];
  for (const index of indices) {
    const last = runs.at(-1);
    if (last && last[1] === at(index)) last[1] += MSS;
    else runs.push([at(index), at(index + 1)]);
  }
  return runs.slice(0, 3);
}

/**
 * A connection with `flight` segments in flight for one round trip, as large as the window is, and
 * `more` to send.
 */
export function inFlight(
  build: KernelBuild,
  flight: number,
  more = 20,
  { timestamps = false, tcp = {} }: { timestamps?: boolean; tcp?: HarnessOptions["tcp"] } = {},
): { k: KernelHarness; peer: TcpPeer } {
  const k = startKernel(build, { tcp: { initialWindow: flight, ...tcp } });
  const peer = TcpPeer.synReceived(k, {
    // The kernel takes the bytes of timestamps off.
    mss: MSS + (timestamps ? 12 : 0),
    sack: true,
    ...(timestamps ? { timestamps: 7000 } : {}),
    windowScale: 3,
    window: 500_000,
  });
  k.advance(RTT);
  peer.ack();
  peer.handle = k.event("knock").handle;
  expect(k.accept(peer.handle)).toBe(RC_OK);
  let offered = 0;
  const length = (flight + more) * MSS;
  while (offered < length) {
    const taken = k.send(peer.handle, pattern(Math.min(length - offered, 50_000), offered));
    expect(taken).toBeGreaterThan(0);
    offered += taken;
  }
  const indices = peer.takeAll().map(({ seq }) => (seq - 1) / MSS);
  expect(indices).toEqual(Array.from({ length: flight }, (_, index) => index));
  k.advance(RTT);
  return { k, peer };
}
