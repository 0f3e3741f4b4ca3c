/**
 * A flood of SYNs from spoofed addresses, in simulated time: the server's core is as busy as the cost
 * model says, so what the flood takes is missing elsewhere.
 */
import { describe, expect, it } from "vitest";
import { FLOOD_COSTS, simulateFlood } from "../../bench/flood/simulate.ts";
import type { SimulatedFlood } from "../../bench/flood/simulate.ts";

/** Four streams that fill 1 Gbit/s, and a million SYNs a second. */
const FLOOD: SimulatedFlood = {
  streams: 4,
  rate: 1e9,
  delay: 100,
  flood: 1e6,
  costs: FLOOD_COSTS,
  warmup: 0.1,
  seconds: 0.1,
};

describe("under a flood of a million SYNs a second", () => {
  const { quiet, flooded } = simulateFlood(FLOOD);

  it("established connections keep nine tenths of their throughput", () => {
    expect(quiet.goodput).toBeGreaterThan(0.9 * FLOOD.rate);
    expect(flooded.goodput).toBeGreaterThanOrEqual(0.9 * quiet.goodput);
  });

  it("new clients connect, by cookies, as often and as soon as without it", () => {
    expect(flooded.failures).toBe(0);
    expect(flooded.served).toBeGreaterThan(0.9 * quiet.served);
    expect(flooded.cookiesIn).toBeGreaterThan(0.9 * flooded.served);
    expect(flooded.wait).toBeLessThan(2 * quiet.wait);
  });

  it("every SYN is answered, but for those that filled the backlog first", () => {
    expect(flooded.syns).toBe(FLOOD.flood * FLOOD.seconds);
    expect(flooded.cookiesOut).toBeGreaterThan(flooded.syns - 1100);
  });

  it("the NIC drops nothing: between two polls the rings hold what comes", () => {
    expect(flooded.dropped).toBe(0);
    expect(flooded.busy).toBeLessThan(0.5);
  });
});

describe("when the core has no time for the flood", () => {
  const costs = { ...FLOOD_COSTS, packetIn: 2000 };
  const { quiet, flooded } = simulateFlood({ ...FLOOD, costs, rate: 1e8 });

  it("the NIC drops what does not fit the ring, the kernel nothing of the rest", () => {
    expect(quiet.dropped).toBe(0);
    expect(flooded.busy).toBeGreaterThan(0.95);
    expect(flooded.dropped).toBeGreaterThan(0);
    expect(flooded.dropped).toBeLessThan(flooded.syns);
  });

  it("connections suffer and live", () => {
    expect(flooded.failures).toBe(0);
    expect(flooded.goodput).toBeGreaterThan(0);
  });
});
