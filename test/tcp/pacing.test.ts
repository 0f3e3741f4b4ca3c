/** Pacing of window-ruled controls on the timing wheel. */
import { describe, expect, test } from "vitest";
import { GAUGE_TIMERS } from "../../assembly/abi.ts";
import { pattern } from "../support/bytes.ts";
import { Bottleneck } from "../support/bottleneck.ts";
import { startKernel, type KernelHarness } from "../support/kernel.ts";
import { kernels, type KernelBuild } from "../support/kernels.ts";
import { TcpPeer } from "../support/peer.ts";

const MSS = 1000;
const ROUND_TRIP = 40_000;

function paced(build: KernelBuild): { k: KernelHarness; peer: TcpPeer } {
  const k = startKernel(build, {
    references: 4096,
    applicationWindow: 4 << 20,
    tcp: { pacing: true },
  });
  const peer = TcpPeer.synReceived(k, { mss: MSS, windowScale: 7, window: 4 << 20 });
  k.advance(ROUND_TRIP);
  peer.ack();
  peer.handle = k.event("knock").handle;
  k.accept(peer.handle);
  return { k, peer };
}

describe.each(kernels)("$name kernel", (build) => {
  test("the initial window goes out over half a round trip, by the timer alone", () => {
    const { k, peer } = paced(build);
    const start = k.now;
    k.send(peer.handle, pattern(10 * MSS));
    k.advance(ROUND_TRIP);
    const times = peer.takeAll().map(({ at }) => at - start);
    expect(times).toHaveLength(10);
    expect(times[0]).toBe(0);
    expect(times[9]).toBeGreaterThan(ROUND_TRIP * 0.3);
    expect(times[9]).toBeLessThan(ROUND_TRIP * 0.55);
    for (const [index, at] of times.entries()) {
      if (index > 1) expect(at - times[index - 2]).toBeGreaterThan(0);
    }
  });

  test("the rate over a long time is that of the path, and no timer is left behind", () => {
    const { k, peer } = paced(build);
    const path = new Bottleneck(k, peer, 1_000_000, ROUND_TRIP);
    path.run(2_000_000);
    expect(path.acknowledged).toBeGreaterThan(1_700_000);
    k.abort(peer.handle);
    expect(k.gauge(GAUGE_TIMERS)).toBe(0);
  });

  test("a pause leaves no credit beyond a quantum", () => {
    const { k, peer } = paced(build);
    k.send(peer.handle, pattern(10 * MSS));
    k.advance(ROUND_TRIP);
    peer.takeAll();
    peer.ack();
    k.advance(150_000);
    const start = k.now;
    k.send(peer.handle, pattern(20 * MSS, 10 * MSS));
    const atOnce = peer.takeAll();
    expect(atOnce.length).toBeLessThanOrEqual(3);
    k.advance(ROUND_TRIP);
    expect(peer.takeAll().every(({ at }) => at > start)).toBe(true);
  });

  test("data that waits for its time is not probed for, nor given up", () => {
    const { k, peer } = paced(build);
    k.send(peer.handle, pattern(4 * MSS));
    const first = peer.takeAll();
    expect(first.length).toBeLessThan(4);
    peer.ack();
    k.advance(ROUND_TRIP);
    const rest = peer.takeAll();
    expect(first.length + rest.length).toBe(4);
    for (const { payload } of rest) expect(payload).toHaveLength(MSS);
  });
});
